// streams.h for a torch with CUDA.
#include "streams.h"

#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include "adasgn/cuda/memory.h"

namespace adasgn::ops {

namespace {

void expect_ok(cudaError_t error, const char* what) {
    if (error != cudaSuccess) {
        static_cast<void>(cudaGetLastError());  // CUDA would report it to the next launch as well
    }
    cuda::expect_ok(cuda::Status{error}, what);
}

}  // namespace

struct CallOrder::State {
    c10::DeviceIndex device;
    cudaEvent_t done = nullptr;  // of the last call; null: there was none
};

c10::Device indexed(c10::Device device) {
    if (device.has_index()) {
        return device;
    }
    // Without a GPU, torch has no current one; the engine then says that there is none.
    return {device.type(), c10::cuda::device_count() > 0 ? c10::cuda::current_device() : c10::DeviceIndex{0}};
}

c10::Device tensors_of(int device) {
    return {c10::kCUDA, static_cast<c10::DeviceIndex>(device)};
}

CallOrder::CallOrder(int device) : state_(new State{static_cast<c10::DeviceIndex>(device)}) {}

CallOrder::~CallOrder() {
    if (state_->done != nullptr) {
        static_cast<void>(cudaEventDestroy(state_->done));
    }
}

CallOrder::Call::Call(CallOrder& order) : order_(order) {
    const cudaStream_t stream = c10::cuda::getCurrentCUDAStream(order.state_->device);
    stream_ = stream;
    cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    expect_ok(cudaStreamIsCapturing(stream, &capture), "torch's current stream");
    captured_ = capture != cudaStreamCaptureStatusNone;
    if (captured_) {
        return;
    }
    if (order.state_->done == nullptr) {
        expect_ok(cudaEventCreateWithFlags(&order.state_->done, cudaEventDisableTiming), "an event");
    } else {
        // On the same stream this waits for nothing. Handles are not compared: a new stream may have an old one's.
        expect_ok(cudaStreamWaitEvent(stream, order.state_->done, 0), "waiting for another stream");
    }
}

CallOrder::Call::~Call() {
    if (!captured_) {
        // If this fails, so has the call: the stream takes no work any more.
        static_cast<void>(cudaEventRecord(order_.state_->done, static_cast<cudaStream_t>(stream_)));
    }
}

}  // namespace adasgn::ops
