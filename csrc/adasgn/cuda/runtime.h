// The few things that host code asks of a GPU's runtime: memory, copies, streams, graphs. One header, two
// implementations chosen when linking: runtime_cuda.cpp, and for the tests tests/emulator/runtime_host.cpp.
#pragma once

#include <cstddef>
#include <string>

namespace adasgn::cuda {

// A cudaStream_t; null: the default stream.
using Stream = void*;

// Outcome of a call: 0, or the runtime's error code. Launchers return the first that is not 0.
struct [[nodiscard]] Status {
    int code = 0;

    explicit operator bool() const { return code != 0; }
    const char* text() const;  // "out of memory"
};

constexpr int kInvalidValue = 1;  // the code of a launcher that is asked for what no kernel does: cudaErrorInvalidValue
constexpr int kTooManyBlocks = 720;  // of a launch whose blocks do not fit at once: cudaErrorCooperativeLaunchTooLarge

// What of a device decides how kernels are launched on it.
struct DeviceTraits {
    std::string name;
    int architecture;  // 87: compute capability 8.7
    int multiprocessors;
    int shared_per_block;  // bytes, the most by opt-in
    int shared_per_multiprocessor;
};

int device_count();  // 0 where there is no GPU or no driver
Status device_traits(int device, DeviceTraits& traits);
Status current_device(int& device);
Status set_device(int device);

Status allocate(void** memory, std::size_t bytes);  // device memory, aligned to 256 bytes
void release(void* memory) noexcept;
Status allocate_pinned(void** memory, std::size_t bytes);  // host memory that copies run fast from
void release_pinned(void* memory) noexcept;
// Pinned memory that kernels reach as well, at `device`: what they write the host reads when it has waited for them,
// without a copy. Over PCIe no atomics. Released by release_pinned(host).
Status allocate_mapped(void** host, void** device, std::size_t bytes);

Status copy_to_device(void* device, const void* host, std::size_t bytes, Stream stream);
Status copy_to_host(void* host, const void* device, std::size_t bytes, Stream stream);
Status copy_on_device(void* to, const void* from, std::size_t bytes, Stream stream);
Status zero(void* device, std::size_t bytes, Stream stream);

// Work of a stream runs in the order in which it was given to it, work of different streams in any order or at once,
// the default stream's as well, unless an event or the host orders them.
Status create_stream(Stream& stream);
void destroy_stream(Stream stream) noexcept;
Status synchronise(Stream stream);  // the host waits for all that was given to the stream
Status synchronise_device();        // and to all streams

// Everything given to `stream` between begin and end becomes a graph instead of being run. What would wait for the
// device (synchronise, allocate, a copy from pageable memory) is an error in between: capture is the proof that a run
// does not synchronise.
struct GraphHandle;
Status begin_capture(Stream stream);
Status end_capture(Stream stream, GraphHandle*& graph);
Status launch_graph(GraphHandle* graph, Stream stream);
Status upload_graph(GraphHandle* graph, Stream stream);  // beforehand, which the first launch would do otherwise
void destroy_graph(GraphHandle* graph) noexcept;

// Marks in a stream's work that keep the time at which the device came by. `elapsed` is of two marks that it has come
// by already, in microseconds.
using Event = void*;
Status create_event(Event& event);
Status create_ordering_event(Event& event);  // cheaper: keeps no time
void destroy_event(Event event) noexcept;
Status record_event(Event event, Stream stream);
// What is given to the stream from now on waits for the mark as last recorded; the host does not. None: for nothing.
Status wait_event(Stream stream, Event event);
Status elapsed(double& microseconds, Event from, Event to);

}  // namespace adasgn::cuda
