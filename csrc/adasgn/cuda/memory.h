// Resources of a GPU tied to scope, and its errors as exceptions.
#pragma once

#include <cstddef>
#include <utility>

#include "adasgn/cuda/runtime.h"

namespace adasgn::cuda {

// Throws Error (engine) that says what failed, unless all is well.
void expect_ok(Status status, const char* what);

// Makes a device the current one, and the one before it current again.
class OnDevice {
  public:
    explicit OnDevice(int device);
    ~OnDevice();
    OnDevice(const OnDevice&) = delete;
    OnDevice& operator=(const OnDevice&) = delete;

  private:
    int before_ = 0;
};

// Memory of `count` T, on the device or pinned on the host.
template <class T, Status (*Allocate)(void**, std::size_t), void (*Release)(void*) noexcept>
class Memory {
  public:
    Memory() = default;
    explicit Memory(std::size_t count) {
        if (count > 0) {
            expect_ok(Allocate(reinterpret_cast<void**>(&data_), count * sizeof(T)), "memory for the engine");
        }
    }
    ~Memory() {
        if (data_ != nullptr) {
            Release(data_);
        }
    }
    Memory(Memory&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
    Memory& operator=(Memory&& other) noexcept {
        std::swap(data_, other.data_);
        return *this;
    }

    T* data() const { return data_; }

  private:
    T* data_ = nullptr;
};

template <class T>
using DeviceMemory = Memory<T, allocate, release>;
template <class T>
using PinnedMemory = Memory<T, allocate_pinned, release_pinned>;

// Memory of `count` T on the host that kernels write as well, at an address of their own.
template <class T>
class MappedMemory {
  public:
    explicit MappedMemory(std::size_t count) {
        if (count > 0) {
            expect_ok(allocate_mapped(reinterpret_cast<void**>(&host_), reinterpret_cast<void**>(&device_),
                                      count * sizeof(T)),
                      "memory for the engine");
        }
    }
    ~MappedMemory() {
        if (host_ != nullptr) {
            release_pinned(host_);
        }
    }
    MappedMemory(const MappedMemory&) = delete;
    MappedMemory& operator=(const MappedMemory&) = delete;

    T* host() const { return host_; }
    T* device() const { return device_; }

  private:
    T* host_ = nullptr;
    T* device_ = nullptr;
};

// A stream of the engine's own.
class OwnStream {
  public:
    OwnStream() { expect_ok(create_stream(stream_), "a stream"); }
    ~OwnStream() { destroy_stream(stream_); }
    OwnStream(const OwnStream&) = delete;
    OwnStream& operator=(const OwnStream&) = delete;

    Stream get() const { return stream_; }

  private:
    Stream stream_ = nullptr;
};

class OwnEvent {
  public:
    OwnEvent() : OwnEvent(create_event) {}
    // create: create_event, or create_ordering_event where no time is asked for.
    explicit OwnEvent(Status (*create)(Event&)) { expect_ok(create(event_), "an event"); }
    ~OwnEvent() { destroy_event(event_); }
    OwnEvent(OwnEvent&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
    OwnEvent& operator=(OwnEvent&&) = delete;

    Event get() const { return event_; }
    void record(Stream stream) const { expect_ok(record_event(event_, stream), "an event"); }
    // Of events that the device has come by.
    double microseconds_until(const OwnEvent& later) const {
        double found = 0;
        expect_ok(elapsed(found, event_, later.event_), "the time between events");
        return found;
    }

  private:
    Event event_ = nullptr;
};

class Graph {
  public:
    // Captures what `enqueue` gives to the stream.
    template <class Enqueue>
    Graph(Stream stream, const Enqueue& enqueue) {
        expect_ok(begin_capture(stream), "capture of a graph");
        try {
            enqueue();
        } catch (...) {
            GraphHandle* broken = nullptr;
            static_cast<void>(end_capture(stream, broken));
            destroy_graph(broken);
            throw;
        }
        expect_ok(end_capture(stream, graph_), "capture of a graph");
    }
    // Of what the stream was given since begin_capture.
    explicit Graph(Stream stream) { expect_ok(end_capture(stream, graph_), "capture of a graph"); }
    ~Graph() { destroy_graph(graph_); }
    Graph(Graph&& other) noexcept : graph_(std::exchange(other.graph_, nullptr)) {}
    Graph& operator=(Graph&&) = delete;

    // What the first launch would do otherwise; waits for it.
    void upload(Stream stream) const {
        expect_ok(upload_graph(graph_, stream), "upload of a graph");
        expect_ok(synchronise(stream), "upload of a graph");
    }
    void launch(Stream stream) const { expect_ok(launch_graph(graph_, stream), "launch of a graph"); }

  private:
    GraphHandle* graph_ = nullptr;
};

}  // namespace adasgn::cuda
