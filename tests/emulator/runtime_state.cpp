#include "runtime_state.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace adasgn::cuda::emulator {

thread_local StreamState* captured = nullptr;

Device& device() {
    static Device one;
    return one;
}

std::recursive_mutex& mutex() {
    static std::recursive_mutex one;
    return one;
}

bool breaks_capture() {
    if (captured == nullptr) return false;
    captured->invalidated = true;
    return true;
}

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

void report(const std::string& text) {
    machine().findings.push_back({Instrument::memcheck, "memcheck: " + text});
}

Status failure() {
    device().last_finding = machine().findings.back().text;
    return launch_failure;
}

}  // namespace adasgn::cuda::emulator
