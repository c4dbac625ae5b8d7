// runtime.h without a GPU: work runs when it is given, or is recorded as closures while its stream is captured.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "runtime_state.h"

namespace adasgn::cuda {

using namespace emulator;

namespace {

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

}  // namespace adasgn::cuda
