// csrc/torch/cuda/streams.h on the emulated device, with the current stream that a test has set.
#include "streams_host.h"

#include "adasgn/cuda/memory.h"
#include "cuda/streams.h"
#include "emulator.h"

namespace adasgn::ops {

struct CallOrder::State {
    cuda::OwnEvent done{cuda::create_ordering_event};  // of the last call; not recorded: there was none
};

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

CallOrder::CallOrder(int /*device*/) : state_(new State) {}
CallOrder::~CallOrder() = default;
CallOrder::Call::Call(CallOrder& order)
    : order_(order), stream_(emulated_stream()), captured_(cuda::emulator::capturing(stream_)) {
    if (!captured_) {
        cuda::expect_ok(cuda::wait_event(stream_, order.state_->done.get()), "waiting for another stream");
    }
}
CallOrder::Call::~Call() {
    if (!captured_) {
        static_cast<void>(cuda::record_event(order_.state_->done.get(), stream_));
    }
}

}  // namespace adasgn::ops
