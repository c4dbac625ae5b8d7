// All that the ops ask of torch's CUDA: its devices and streams. One header, two implementations chosen when linking:
// streams_cuda.cpp, and for the tests tests/cuda/streams_host.cpp.
#pragma once

#include <c10/core/Device.h>

#include <memory>

#include "adasgn/cuda/runtime.h"

namespace adasgn::ops {

// A device that torch was asked for by name, with its index: the current one where none was given.
c10::Device indexed(c10::Device device);

// Where tensors lie for an engine on the GPU of this number.
c10::Device tensors_of(int device);

// The calls of one engine, one after the other on whatever streams: all share the engine's scratch memory.
//
// While the stream is captured nothing is waited for and nothing noted: an event of outside cannot be waited for
// inside a graph, nor one of inside outside it, and a graph runs whenever it is launched. In which order graphs and
// other calls of an engine run is up to whoever launches them.
class CallOrder {
  public:
    explicit CallOrder(int device);
    ~CallOrder();
    CallOrder(const CallOrder&) = delete;
    CallOrder& operator=(const CallOrder&) = delete;

    // A call, from construction to destruction. The device is the current one.
    class Call {
      public:
        // Torch's current stream waits for what the last call has given to its own; the host does not.
        explicit Call(CallOrder& order);
        ~Call();
        Call(const Call&) = delete;
        Call& operator=(const Call&) = delete;

        cuda::Stream stream() const { return stream_; }

      private:
        CallOrder& order_;
        cuda::Stream stream_;
        bool captured_;
    };

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace adasgn::ops
