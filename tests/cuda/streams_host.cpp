// csrc/torch/cuda/streams.h on the emulated device, which has done what it was given when a call returns: calls on
// different streams need not wait for each other.
#include "streams_host.h"

#include "cuda/streams.h"

namespace adasgn::ops {

struct CallOrder::State {};

cuda::Stream& emulated_stream() {
    static cuda::Stream stream = nullptr;
    return stream;
}

c10::Device indexed(c10::Device device) {
    return {device.type(), device.has_index() ? device.index() : static_cast<c10::DeviceIndex>(0)};
}

c10::Device tensors_of(int /*device*/) {
    return c10::kCPU;
}

CallOrder::CallOrder(int /*device*/) {}
CallOrder::~CallOrder() = default;
CallOrder::Call::Call(CallOrder& order) : order_(order), stream_(emulated_stream()), captured_(false) {}
CallOrder::Call::~Call() {
    static_cast<void>(order_);
    static_cast<void>(captured_);
}

}  // namespace adasgn::ops
