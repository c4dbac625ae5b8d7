// runtime.h without a GPU: work runs when it is given, or is recorded as closures while its stream is captured.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "block.h"
#include "memory.h"

namespace adasgn::cuda {

using namespace emulator;
using Work = std::function<Status()>;

struct GraphHandle {
    std::vector<Work> work;
};

namespace {

// CUDA's numbers for what can go wrong here.
constexpr Status invalid_value{1};
constexpr Status out_of_memory{2};
constexpr Status invalid_configuration{9};
constexpr Status invalid_device{101};
constexpr Status invalid_handle{400};
constexpr Status illegal_state{401};
constexpr Status launch_failure{719};
constexpr Status capture_unsupported{900};
constexpr Status capture_invalidated{901};

struct StreamState {
    std::unique_ptr<GraphHandle> recording;  // null: not being captured
    bool invalidated = false;
};

struct Device {
    DeviceTraits traits = default_traits();
    std::size_t memory_limit = std::size_t{8} << 30;
    std::size_t memory_used = 0;
    std::vector<std::unique_ptr<StreamState>> streams;
    std::string last_finding;  // what launch_failure's text is
};

Device& device() {
    static Device one;
    return one;
}

std::recursive_mutex& mutex() {
    static std::recursive_mutex one;
    return one;
}

struct Lock : std::lock_guard<std::recursive_mutex> {
    Lock() : std::lock_guard<std::recursive_mutex>(mutex()) {}
};

thread_local StreamState* captured = nullptr;  // by this host thread

// What waits for the device breaks a capture of the same host thread.
bool breaks_capture() {
    if (captured == nullptr) return false;
    captured->invalidated = true;
    return true;
}

StreamState* state_of(Stream stream) {
    for (const auto& candidate : device().streams)
        if (candidate.get() == stream) return candidate.get();
    return nullptr;
}

// The default stream by its three names: null, cudaStreamLegacy and cudaStreamPerThread.
bool is_default(Stream stream) {
    return reinterpret_cast<std::uintptr_t>(stream) <= 2;
}

Status submit(Stream stream, Work work) {
    if (is_default(stream)) return work();
    StreamState* state = state_of(stream);
    if (state == nullptr) return invalid_handle;
    if (state->invalidated) return capture_invalidated;
    if (state->recording == nullptr) return work();
    state->recording->work.push_back(std::move(work));
    return Status{};
}

bool pinned(const void* memory, std::size_t bytes) {
    const Allocation* allocation = allocation_of(memory, bytes);
    return allocation != nullptr && allocation->pinned;
}

bool on_device(const void* memory, std::size_t bytes) {
    return allocation_of(memory, bytes) != nullptr;
}

Status allocate_either(void** memory, std::size_t bytes, bool in_host_memory) {
    const Lock lock;
    *memory = nullptr;
    if (breaks_capture()) return capture_unsupported;
    if (bytes == 0) return Status{};
    if (bytes > device().memory_limit - std::min(device().memory_used, device().memory_limit)) return out_of_memory;
    Allocation* allocation = create_allocation(bytes, in_host_memory);
    if (allocation == nullptr) return out_of_memory;
    device().memory_used += bytes;
    *memory = allocation->data;
    return Status{};
}

void report(const std::string& text) {
    machine().findings.push_back({Instrument::memcheck, "memcheck: " + text});
}

void release_either(void* memory, bool in_host_memory) {
    const Lock lock;
    if (memory == nullptr) return;
    breaks_capture();
    Allocation* allocation = allocation_at(memory);
    if (allocation == nullptr || !allocation->live || allocation->data != memory ||
        allocation->pinned != in_host_memory) {
        report("release of memory that is not allocated");
        return;
    }
    const std::string wrecked = overwritten_guard(*allocation);
    if (!wrecked.empty()) report(wrecked + ", found when it was released");
    if (observer != nullptr) observer->forget(allocation->pages, allocation->page_bytes);
    device().memory_used -= allocation->bytes;
    end_allocation(*allocation);
}

Status run(const Launch& launch) {
    Machine& block = machine();
    if (block.run(launch)) {
        const std::string wrecked = check_guards();
        if (wrecked.empty()) return Status{};
        report("kernel " + function_name(launch.kernel) + ": " + wrecked);
    }
    device().last_finding = block.findings.back().text;
    return launch_failure;
}

}  // namespace

// Runtime.

const char* Status::text() const {
    switch (code) {
        case 0:
            return "no error";
        case invalid_value.code:
            return "invalid argument";
        case out_of_memory.code:
            return "out of memory";
        case invalid_configuration.code:
            return "invalid configuration argument";
        case invalid_device.code:
            return "invalid device ordinal";
        case invalid_handle.code:
            return "invalid resource handle";
        case illegal_state.code:
            return "the operation cannot be performed in the present state";
        case launch_failure.code:
            return device().last_finding.c_str();
        case capture_unsupported.code:
            return "operation not permitted when stream is capturing";
        case capture_invalidated.code:
            return "operation failed due to a previous error during capture";
    }
    return "unrecognized error code";
}

int device_count() {
    return 1;
}

Status device_traits(int index, DeviceTraits& traits) {
    const Lock lock;
    if (index != 0) return invalid_device;
    traits = device().traits;
    return Status{};
}

Status current_device(int& index) {
    index = 0;
    return Status{};
}

Status set_device(int index) {
    return index == 0 ? Status{} : invalid_device;
}

Status allocate(void** memory, std::size_t bytes) {
    return allocate_either(memory, bytes, false);
}
void release(void* memory) noexcept {
    release_either(memory, false);
}
Status allocate_pinned(void** memory, std::size_t bytes) {
    return allocate_either(memory, bytes, true);
}
void release_pinned(void* memory) noexcept {
    release_either(memory, true);
}

Status allocate_mapped(void** host, void** device, std::size_t bytes) {
    const Status status = allocate_pinned(host, bytes);
    *device = *host;
    return status;
}

Status copy_to_device(void* to, const void* host, std::size_t bytes, Stream stream) {
    const Lock lock;
    if (bytes == 0) return Status{};
    if (!on_device(to, bytes)) return invalid_value;
    if (!pinned(host, bytes) && breaks_capture()) return capture_unsupported;
    return submit(stream, [=] {
        if (!on_device(to, bytes)) return invalid_value;
        std::memcpy(to, host, bytes);
        if (observer != nullptr) observer->host_writes(to, bytes);
        return Status{};
    });
}

Status copy_to_host(void* host, const void* from, std::size_t bytes, Stream stream) {
    const Lock lock;
    if (bytes == 0) return Status{};
    if (!on_device(from, bytes)) return invalid_value;
    if (!pinned(host, bytes) && breaks_capture()) return capture_unsupported;
    return submit(stream, [=] {
        if (!on_device(from, bytes)) return invalid_value;
        std::memcpy(host, from, bytes);
        return Status{};
    });
}

Status copy_on_device(void* to, const void* from, std::size_t bytes, Stream stream) {
    const Lock lock;
    if (bytes == 0) return Status{};
    if (!on_device(to, bytes) || !on_device(from, bytes)) return invalid_value;
    return submit(stream, [=] {
        if (!on_device(to, bytes) || !on_device(from, bytes)) return invalid_value;
        std::memmove(to, from, bytes);
        if (observer != nullptr && pinned(from, bytes)) observer->host_writes(to, bytes);
        if (observer != nullptr && !pinned(from, bytes)) observer->device_copies(to, from, bytes);
        return Status{};
    });
}

Status zero(void* memory, std::size_t bytes, Stream stream) {
    const Lock lock;
    if (bytes == 0) return Status{};
    if (!on_device(memory, bytes)) return invalid_value;
    return submit(stream, [=] {
        if (!on_device(memory, bytes)) return invalid_value;
        std::memset(memory, 0, bytes);
        if (observer != nullptr) observer->host_writes(memory, bytes);
        return Status{};
    });
}

Status create_stream(Stream& stream) {
    const Lock lock;
    device().streams.push_back(std::make_unique<StreamState>());
    stream = device().streams.back().get();
    return Status{};
}

void destroy_stream(Stream stream) noexcept {
    const Lock lock;
    if (captured == stream) captured = nullptr;
    auto& streams = device().streams;
    streams.erase(std::remove_if(streams.begin(), streams.end(),
                                 [stream](const auto& candidate) { return candidate.get() == stream; }),
                  streams.end());
}

Status synchronise(Stream stream) {
    const Lock lock;
    if (breaks_capture()) return capture_unsupported;
    return is_default(stream) || state_of(stream) != nullptr ? Status{} : invalid_handle;
}

Status synchronise_device() {
    const Lock lock;
    return breaks_capture() ? capture_unsupported : Status{};
}

Status begin_capture(Stream stream) {
    const Lock lock;
    if (is_default(stream)) return capture_unsupported;
    StreamState* state = state_of(stream);
    if (state == nullptr) return invalid_handle;
    if (captured != nullptr || state->recording != nullptr) return illegal_state;
    state->recording = std::make_unique<GraphHandle>();
    state->invalidated = false;
    captured = state;
    return Status{};
}

Status end_capture(Stream stream, GraphHandle*& graph) {
    const Lock lock;
    graph = nullptr;
    StreamState* state = state_of(stream);
    if (state == nullptr || state->recording == nullptr || captured != state) return illegal_state;
    captured = nullptr;
    std::unique_ptr<GraphHandle> recorded = std::move(state->recording);
    if (std::exchange(state->invalidated, false)) return capture_invalidated;
    graph = recorded.release();
    return Status{};
}

Status launch_graph(GraphHandle* graph, Stream stream) {
    const Lock lock;
    for (const Work& work : graph->work)
        if (Status failed = submit(stream, work)) return failed;
    return Status{};
}

Status upload_graph(GraphHandle* /*graph*/, Stream stream) {
    const Lock lock;
    if (breaks_capture()) return capture_unsupported;
    return is_default(stream) || state_of(stream) != nullptr ? Status{} : invalid_handle;
}

void destroy_graph(GraphHandle* graph) noexcept {
    delete graph;
}

// The clock is the host's, as work runs when it is given.
using Clock = std::chrono::steady_clock;
using Mark = std::optional<Clock::time_point>;

Status create_event(Event& event) {
    event = new Mark();
    return Status{};
}

void destroy_event(Event event) noexcept {
    delete static_cast<Mark*>(event);
}

Status record_event(Event event, Stream stream) {
    const Lock lock;
    return submit(stream, [=] {
        *static_cast<Mark*>(event) = Clock::now();
        return Status{};
    });
}

// What the other stream was given has run by now.
Status wait_event(Stream stream, Event /*event*/) {
    const Lock lock;
    return submit(stream, [] { return Status{}; });
}

Status elapsed(double& microseconds, Event from, Event to) {
    const Mark first = *static_cast<Mark*>(from);
    const Mark last = *static_cast<Mark*>(to);
    if (!first || !last) return invalid_handle;
    microseconds = std::chrono::duration<double, std::micro>(*last - *first).count();
    return Status{};
}

namespace emulator {

Status launch(const void* kernel, Invoke invoke, const void* parameters, std::size_t parameter_bytes, Grid grid,
              int threads, std::size_t shared_bytes, Stream stream) {
    const Lock lock;
    if (threads < 1 || threads > most_threads || grid.x < 1 || grid.y < 1 || grid.y > 65535)
        return invalid_configuration;
    if (shared_bytes > static_cast<std::size_t>(device().traits.shared_per_block) || shared_bytes > shared_capacity)
        return invalid_value;
    const auto* bytes = static_cast<const unsigned char*>(parameters);
    auto copy = std::make_shared<std::vector<std::max_align_t>>(parameter_bytes / sizeof(std::max_align_t) + 1);
    std::memcpy(copy->data(), bytes, parameter_bytes);
    return submit(stream, [=] { return run(Launch{kernel, invoke, copy->data(), grid, threads, shared_bytes}); });
}

DeviceTraits default_traits() {
    return {"emulated Orin", 87, 16, 166912, 167936};
}

std::vector<Schedule> schedules(int random_ones) {
    std::vector<Schedule> all = {{Order::ascending, 0}, {Order::descending, 0}};
    for (int seed = 1; seed <= random_ones; ++seed) all.push_back({Order::random, static_cast<std::uint64_t>(seed)});
    return all;
}

void set_schedule(Schedule schedule) {
    const Lock lock;
    machine().schedule = schedule;
}

void set_traits(const DeviceTraits& traits) {
    const Lock lock;
    device().traits = traits;
}

void set_memory_limit(std::size_t bytes) {
    const Lock lock;
    device().memory_limit = bytes;
}

std::vector<Finding> findings() {
    const Lock lock;
    return machine().findings;
}

void clear_findings() {
    const Lock lock;
    machine().findings.clear();
}

bool checks_accesses() {
    return observer != nullptr;
}

std::string check_guards() {
    const Lock lock;
    for (std::size_t i = 0; i < allocation_count(); ++i) {
        std::string wrecked = overwritten_guard(allocation_number(i));
        if (!wrecked.empty()) return wrecked;
    }
    return {};
}

std::vector<AllocationRecord> allocations() {
    const Lock lock;
    std::vector<AllocationRecord> live;
    for (std::size_t i = 0; i < allocation_count(); ++i) {
        const Allocation& allocation = allocation_number(i);
        if (allocation.live) live.push_back({allocation.data, allocation.bytes, allocation.pinned});
    }
    return live;
}

}  // namespace emulator

}  // namespace adasgn::cuda
