// runtime.h without a GPU: work runs when it is given, or is recorded as closures while its stream is captured.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "block.h"
#include "memory.h"
#include "order.h"

namespace adasgn::cuda {

using namespace emulator;

namespace {

struct StreamState;
// What a stream was given, to be done once or at each launch of a graph, by whichever stream it is launched in.
using Task = std::function<Status(StreamState&)>;

}  // namespace

struct GraphHandle {
    std::vector<Task> tasks;
};

namespace {

// CUDA's numbers for what can go wrong here.
constexpr Status invalid_value{1};
constexpr Status out_of_memory{2};
constexpr Status invalid_configuration{9};
constexpr Status invalid_device{101};
constexpr Status invalid_handle{400};
constexpr Status illegal_state{401};
constexpr Status not_ready{600};
constexpr Status launch_failure{719};
constexpr Status too_many_blocks{kTooManyBlocks};
constexpr Status not_supported{801};
constexpr Status capture_unsupported{900};
constexpr Status capture_invalidated{901};
constexpr Status capture_isolation{905};
constexpr Status captured_event{907};

struct StreamState {
    StreamOrder order;
    std::unique_ptr<GraphHandle> recording = nullptr;  // null: not being captured
    bool invalidated = false;
};

struct EventState {
    bool timed;
    bool recorded = false;
    Clock over{};                                  // when it was recorded
    std::chrono::steady_clock::time_point time{};  // the host's, as work runs when it is given
    const GraphHandle* capture = nullptr;          // in which it was last recorded; null: outside captures
};

// What a copy has put into pinned memory and the host has not waited for: until then the host finds poison there, the
// device the values.
struct Undelivered {
    WorkName work;
    unsigned char* to;
    std::vector<unsigned char> values;
};

struct Device {
    DeviceTraits traits = default_traits();
    std::size_t memory_limit = std::size_t{8} << 30;
    std::size_t memory_used = 0;
    StreamState default_stream{StreamOrder(0, Clock{})};
    std::vector<std::unique_ptr<StreamState>> streams;
    std::vector<std::size_t> free_numbers;  // of streams that were destroyed
    std::size_t used_numbers = 1;
    Clock host;   // what the host has waited for; all threads of the host are taken for one
    Clock given;  // all work of all streams
    std::vector<Undelivered> undelivered;
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

// The default stream by its three names: null, cudaStreamLegacy and cudaStreamPerThread.
bool is_default(Stream stream) {
    return reinterpret_cast<std::uintptr_t>(stream) <= 2;
}

StreamState* state_of(Stream stream) {
    if (is_default(stream)) return &device().default_stream;
    for (const auto& candidate : device().streams)
        if (candidate.get() == stream) return candidate.get();
    return nullptr;
}

Status submit(Stream stream, Task task) {
    StreamState* state = state_of(stream);
    if (state == nullptr) return invalid_handle;
    if (state->invalidated) return capture_invalidated;
    if (state->recording == nullptr) return task(*state);
    state->recording->tasks.push_back(std::move(task));
    return Status{};
}

void show_undelivered() {
    for (const Undelivered& one : device().undelivered) std::memcpy(one.to, one.values.data(), one.values.size());
}

void hide_undelivered() {
    auto& all = device().undelivered;
    all.erase(
        std::remove_if(all.begin(), all.end(),
                       [](const Undelivered& one) { return device().host.of(one.work.stream) >= one.work.number; }),
        all.end());
    for (Undelivered& one : all) std::memcpy(one.values.data(), one.to, one.values.size());
    for (const Undelivered& one : all) fill_poison(one.to, one.values.size());
}

void host_waits(const Clock& over) {
    show_undelivered();
    device().host.join(over);
    hide_undelivered();
}

Work begin_work(StreamState& stream, const char* what, const void* kernel, Overlap overlap) {
    Work work = stream.order.begin(what, kernel, overlap, device().host);
    device().given.set(work.stream, work.number);
    if (observer != nullptr) observer->work_begins(work);
    return work;
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
    auto& undelivered = device().undelivered;
    undelivered.erase(std::remove_if(undelivered.begin(), undelivered.end(),
                                     [&](const Undelivered& one) { return allocation_at(one.to) == allocation; }),
                      undelivered.end());
    device().memory_used -= allocation->bytes;
    end_allocation(*allocation);
}

Status failure() {
    device().last_finding = machine().findings.back().text;
    return launch_failure;
}

Status run(StreamState& stream, const Launch& launch) {
    const Work work = begin_work(stream, "kernel", launch.kernel, launch.overlap);
    show_undelivered();
    const bool well = machine().run(launch);
    hide_undelivered();
    stream.order.end(work, machine().next_starts_early());
    if (well) {
        const std::string wrecked = check_guards();
        if (wrecked.empty()) return Status{};
        report("kernel " + function_name(launch.kernel) + ": " + wrecked);
    }
    return failure();
}

// A copy, or with `from` null a fill. What lies in pageable memory is not the emulator's.
Status transfer(StreamState& stream, const char* what, void* to, const void* from, std::size_t bytes) {
    const Work work = begin_work(stream, what, nullptr, Overlap::none);
    stream.order.end(work, false);
    if (observer != nullptr) {
        const std::string found =
            observer->transfers(on_device(to, bytes) ? to : nullptr, on_device(from, bytes) ? from : nullptr, bytes);
        if (!found.empty()) {
            machine().findings.push_back({Instrument::racecheck, "racecheck: " + describe(work) + ": " + found});
            return failure();
        }
    }
    show_undelivered();
    if (from != nullptr) {
        std::memmove(to, from, bytes);
    } else {
        std::memset(to, 0, bytes);
    }
    if (pinned(to, bytes))
        device().undelivered.push_back({work, static_cast<unsigned char*>(to), std::vector<unsigned char>(bytes)});
    hide_undelivered();
    return Status{};
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
        case too_many_blocks.code:
            return "too many blocks in cooperative launch";
        case not_supported.code:
            return "operation not supported";
        case not_ready.code:
            return "device not ready";
        case launch_failure.code:
            return device().last_finding.c_str();
        case capture_unsupported.code:
            return "operation not permitted when stream is capturing";
        case capture_invalidated.code:
            return "operation failed due to a previous error during capture";
        case capture_isolation.code:
            return "dependency created on uncaptured work in another stream";
        case captured_event.code:
            return "operation not permitted on an event last recorded in a capturing stream";
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
    return submit(stream, [=](StreamState& on) {
        if (!on_device(to, bytes)) return invalid_value;
        return transfer(on, "copy_to_device", to, host, bytes);
    });
}

Status copy_to_host(void* host, const void* from, std::size_t bytes, Stream stream) {
    const Lock lock;
    if (bytes == 0) return Status{};
    if (!on_device(from, bytes)) return invalid_value;
    if (!pinned(host, bytes) && breaks_capture()) return capture_unsupported;
    return submit(stream, [=](StreamState& on) {
        if (!on_device(from, bytes)) return invalid_value;
        Status status = transfer(on, "copy_to_host", host, from, bytes);
        if (!pinned(host, bytes)) host_waits(on.order.over());  // the call returns when the copy is done
        return status;
    });
}

Status copy_on_device(void* to, const void* from, std::size_t bytes, Stream stream) {
    const Lock lock;
    if (bytes == 0) return Status{};
    if (!on_device(to, bytes) || !on_device(from, bytes)) return invalid_value;
    return submit(stream, [=](StreamState& on) {
        if (!on_device(to, bytes) || !on_device(from, bytes)) return invalid_value;
        return transfer(on, "copy_on_device", to, from, bytes);
    });
}

Status zero(void* memory, std::size_t bytes, Stream stream) {
    const Lock lock;
    if (bytes == 0) return Status{};
    if (!on_device(memory, bytes)) return invalid_value;
    return submit(stream, [=](StreamState& on) {
        if (!on_device(memory, bytes)) return invalid_value;
        return transfer(on, "zero", memory, nullptr, bytes);
    });
}

Status create_stream(Stream& stream) {
    const Lock lock;
    // A number is used again once the host has waited for all that its last stream was given.
    auto& free = device().free_numbers;
    const auto over = std::find_if(free.begin(), free.end(), [](std::size_t number) {
        return device().host.of(number) == device().given.of(number);
    });
    const std::size_t number = over == free.end() ? device().used_numbers++ : *over;
    if (over != free.end()) free.erase(over);
    device().streams.push_back(std::make_unique<StreamState>(StreamState{StreamOrder(number, device().host)}));
    stream = device().streams.back().get();
    return Status{};
}

void destroy_stream(Stream stream) noexcept {
    const Lock lock;
    if (captured == stream) captured = nullptr;
    auto& streams = device().streams;
    const auto found = std::find_if(streams.begin(), streams.end(),
                                    [stream](const auto& candidate) { return candidate.get() == stream; });
    if (found == streams.end()) return;
    device().free_numbers.push_back((*found)->order.number());
    streams.erase(found);
}

Status synchronise(Stream stream) {
    const Lock lock;
    if (breaks_capture()) return capture_unsupported;
    const StreamState* state = state_of(stream);
    if (state == nullptr) return invalid_handle;
    host_waits(state->order.over());
    return Status{};
}

Status synchronise_device() {
    const Lock lock;
    if (breaks_capture()) return capture_unsupported;
    host_waits(device().given);
    return Status{};
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
    StreamState* state = state_of(stream);
    if (state == nullptr) return invalid_handle;
    if (state->recording == nullptr) state->order.settle();
    for (const Task& task : graph->tasks)
        if (Status failed = submit(stream, task)) return failed;
    if (state->recording == nullptr) state->order.settle();
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

Status create_event(Event& event) {
    event = new EventState{true};
    return Status{};
}

Status create_ordering_event(Event& event) {
    event = new EventState{false};
    return Status{};
}

void destroy_event(Event event) noexcept {
    delete static_cast<EventState*>(event);
}

Status record_event(Event event, Stream stream) {
    const Lock lock;
    StreamState* state = state_of(stream);
    if (state == nullptr) return invalid_handle;
    if (state->invalidated) return capture_invalidated;
    auto& mark = *static_cast<EventState*>(event);
    mark.capture = state->recording.get();  // captured: no part of the graph, known to its own capture only
    if (mark.capture != nullptr) return Status{};
    mark.recorded = true;
    mark.over = state->order.over();
    mark.over.join(device().host);
    mark.time = std::chrono::steady_clock::now();
    return Status{};
}

Status wait_event(Stream stream, Event event) {
    const Lock lock;
    StreamState* state = state_of(stream);
    if (state == nullptr) return invalid_handle;
    if (state->invalidated) return capture_invalidated;
    const auto& mark = *static_cast<const EventState*>(event);
    if (state->recording != nullptr) {
        if (mark.capture == state->recording.get()) return Status{};  // the work of one stream is in order anyway
        state->invalidated = true;
        return capture_isolation;
    }
    if (mark.capture != nullptr) return captured_event;
    if (mark.recorded) state->order.wait(mark.over);
    return Status{};
}

Status elapsed(double& microseconds, Event from, Event to) {
    const Lock lock;
    const auto& first = *static_cast<const EventState*>(from);
    const auto& last = *static_cast<const EventState*>(to);
    for (const EventState* mark : {&first, &last}) {
        if (!mark->timed || !mark->recorded || mark->capture != nullptr) return invalid_handle;
        if (!device().host.covers(mark->over)) return not_ready;
    }
    microseconds = std::chrono::duration<double, std::micro>(last.time - first.time).count();
    return Status{};
}

namespace emulator {

namespace {

Status launch_either(const Launch& launch, std::size_t parameter_bytes, Stream stream) {
    if (launch.threads < 1 || launch.threads > most_threads || launch.grid.x < 1 || launch.grid.y < 1 ||
        launch.grid.y > 65535)
        return invalid_configuration;
    if (launch.shared_bytes > static_cast<std::size_t>(device().traits.shared_per_block) ||
        launch.shared_bytes > shared_capacity)
        return invalid_value;
    auto copy = std::make_shared<std::vector<std::max_align_t>>(parameter_bytes / sizeof(std::max_align_t) + 1);
    std::memcpy(copy->data(), launch.parameters, parameter_bytes);
    return submit(stream, [launch, copy](StreamState& on) {
        Launch with_copy = launch;
        with_copy.parameters = copy->data();
        return run(on, with_copy);
    });
}

}  // namespace

Status launch(const void* kernel, Invoke invoke, const void* parameters, std::size_t parameter_bytes, Grid grid,
              int threads, std::size_t shared_bytes, Stream stream, Overlap overlap) {
    const Lock lock;
    return launch_either({kernel, invoke, parameters, grid, threads, shared_bytes, overlap, false}, parameter_bytes,
                         stream);
}

// By shared memory, and by the least threads and blocks that multiprocessors of 8.0 and later have room for. Registers
// are not known here.
Status resident_blocks(int threads, std::size_t shared_bytes, int& blocks) {
    const Lock lock;
    constexpr int threads_each = 1536;
    constexpr int blocks_each = 16;
    constexpr std::size_t reserved = 1024;  // shared memory of a block that is CUDA's
    blocks = 0;
    if (threads < 1 || threads > most_threads) return invalid_configuration;
    const DeviceTraits& traits = device().traits;
    if (shared_bytes > static_cast<std::size_t>(traits.shared_per_block)) return invalid_value;
    const auto shared_each = static_cast<std::size_t>(traits.shared_per_multiprocessor);
    const int by_threads = threads_each / ((threads + lanes - 1) / lanes * lanes);
    const int by_memory = static_cast<int>(shared_each / (shared_bytes + reserved));
    blocks = traits.multiprocessors * std::min({by_threads, by_memory, blocks_each});
    return Status{};
}

Status launch_resident(const void* kernel, Invoke invoke, const void* parameters, std::size_t parameter_bytes,
                       Grid grid, int threads, std::size_t shared_bytes, Stream stream) {
    const Lock lock;
    int fit = 0;
    if (Status failed = resident_blocks(threads, shared_bytes, fit)) return failed;
    const std::int64_t blocks = std::int64_t{grid.x} * grid.y;
    if (blocks > fit) return too_many_blocks;
    if (blocks > most_blocks || static_cast<std::size_t>(blocks * threads) > stack_count) return not_supported;
    return launch_either({kernel, invoke, parameters, grid, threads, shared_bytes, Overlap::none, true},
                         parameter_bytes, stream);
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
