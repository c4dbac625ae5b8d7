// What the emulated device is: its streams, events and memory, and the work they were given. runtime_host.cpp and
// launches.cpp act on it.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "block.h"
#include "memory.h"
#include "order.h"

namespace adasgn::cuda {

namespace emulator {

struct StreamState;
// What a stream was given, to be done once or at each launch of a graph, by whichever stream it is launched in.
using Task = std::function<Status(StreamState&)>;

}  // namespace emulator

struct GraphHandle {
    std::vector<emulator::Task> tasks;
};

namespace emulator {

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

Device& device();

std::recursive_mutex& mutex();

struct Lock : std::lock_guard<std::recursive_mutex> {
    Lock() : std::lock_guard<std::recursive_mutex>(mutex()) {}
};

extern thread_local StreamState* captured;  // by this host thread

// What waits for the device breaks a capture of the same host thread.
bool breaks_capture();

// The default stream by its three names: null, cudaStreamLegacy and cudaStreamPerThread.
bool is_default(Stream stream);
StreamState* state_of(Stream stream);
Status submit(Stream stream, Task task);

// Around what the device does: it finds the values in pinned memory, the host poison.
void show_undelivered();
void hide_undelivered();

void host_waits(const Clock& over);
Work begin_work(StreamState& stream, const char* what, const void* kernel, Overlap overlap);

bool pinned(const void* memory, std::size_t bytes);
bool on_device(const void* memory, std::size_t bytes);

// A finding of memcheck; what a call returns whose work left a finding.
void report(const std::string& text);
Status failure();

}  // namespace emulator

}  // namespace adasgn::cuda
