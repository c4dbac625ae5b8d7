// runtime.h for a GPU. Needs CUDA's headers and runtime library, no nvcc.
#include <cuda_runtime.h>

#include <memory>

#include "adasgn/cuda/runtime.h"

namespace adasgn::cuda {

struct GraphHandle {
    cudaGraphExec_t executable;
};

namespace {

// The error is reported here; CUDA would report it to the next launch as well.
Status outcome(cudaError_t error) {
    if (error != cudaSuccess) static_cast<void>(cudaGetLastError());
    return Status{error};
}

cudaStream_t native(Stream stream) {
    return static_cast<cudaStream_t>(stream);
}

Status attribute(int& value, cudaDeviceAttr which, int device) {
    return outcome(cudaDeviceGetAttribute(&value, which, device));
}

// While a stream is captured, a copy to or from pageable memory is refused: some drivers would record it, others not,
// and outside a capture it may wait for the device.
Status copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, const void* host, Stream stream) {
    if (bytes == 0) return Status{};
    cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    if (Status failed = outcome(cudaStreamIsCapturing(native(stream), &capture))) return failed;
    if (host != nullptr && capture != cudaStreamCaptureStatusNone) {
        cudaPointerAttributes attributes{};
        if (Status failed = outcome(cudaPointerGetAttributes(&attributes, host))) return failed;
        if (attributes.type == cudaMemoryTypeUnregistered) return Status{cudaErrorStreamCaptureUnsupported};
    }
    return outcome(cudaMemcpyAsync(to, from, bytes, kind, native(stream)));
}

Status make_event(Event& event, unsigned flags) {
    cudaEvent_t created = nullptr;
    const Status status = outcome(cudaEventCreateWithFlags(&created, flags));
    event = created;
    return status;
}

}  // namespace

const char* Status::text() const {
    return cudaGetErrorString(static_cast<cudaError_t>(code));
}

int device_count() {
    int count = 0;
    return outcome(cudaGetDeviceCount(&count)) ? 0 : count;
}

Status device_traits(int device, DeviceTraits& traits) {
    auto properties = std::make_unique<cudaDeviceProp>();
    if (Status failed = outcome(cudaGetDeviceProperties(properties.get(), device))) return failed;
    int major = 0;
    int minor = 0;
    if (Status failed = attribute(major, cudaDevAttrComputeCapabilityMajor, device)) return failed;
    if (Status failed = attribute(minor, cudaDevAttrComputeCapabilityMinor, device)) return failed;
    traits.name = properties->name;
    traits.architecture = 10 * major + minor;
    if (Status failed = attribute(traits.multiprocessors, cudaDevAttrMultiProcessorCount, device)) return failed;
    if (Status failed = attribute(traits.shared_per_block, cudaDevAttrMaxSharedMemoryPerBlockOptin, device))
        return failed;
    return attribute(traits.shared_per_multiprocessor, cudaDevAttrMaxSharedMemoryPerMultiprocessor, device);
}

Status current_device(int& device) {
    return outcome(cudaGetDevice(&device));
}
Status set_device(int device) {
    return outcome(cudaSetDevice(device));
}

Status allocate(void** memory, std::size_t bytes) {
    return outcome(cudaMalloc(memory, bytes));
}
void release(void* memory) noexcept {
    static_cast<void>(outcome(cudaFree(memory)));
}
Status allocate_pinned(void** memory, std::size_t bytes) {
    return outcome(cudaMallocHost(memory, bytes));
}
void release_pinned(void* memory) noexcept {
    static_cast<void>(outcome(cudaFreeHost(memory)));
}

Status allocate_mapped(void** host, void** device, std::size_t bytes) {
    if (Status failed = outcome(cudaHostAlloc(host, bytes, cudaHostAllocMapped))) return failed;
    const Status status = outcome(cudaHostGetDevicePointer(device, *host, 0));
    if (status) release_pinned(*host);
    return status;
}

Status copy_to_device(void* device, const void* host, std::size_t bytes, Stream stream) {
    return copy(device, host, bytes, cudaMemcpyHostToDevice, host, stream);
}

Status copy_to_host(void* host, const void* device, std::size_t bytes, Stream stream) {
    return copy(host, device, bytes, cudaMemcpyDeviceToHost, host, stream);
}

Status copy_on_device(void* to, const void* from, std::size_t bytes, Stream stream) {
    return copy(to, from, bytes, cudaMemcpyDeviceToDevice, nullptr, stream);
}

Status zero(void* device, std::size_t bytes, Stream stream) {
    if (bytes == 0) return Status{};
    return outcome(cudaMemsetAsync(device, 0, bytes, native(stream)));
}

Status create_stream(Stream& stream) {
    cudaStream_t created = nullptr;
    const Status status = outcome(cudaStreamCreateWithFlags(&created, cudaStreamNonBlocking));
    stream = created;
    return status;
}

void destroy_stream(Stream stream) noexcept {
    if (stream != nullptr) static_cast<void>(outcome(cudaStreamDestroy(native(stream))));
}

Status synchronise(Stream stream) {
    return outcome(cudaStreamSynchronize(native(stream)));
}

Status synchronise_device() {
    return outcome(cudaDeviceSynchronize());
}

Status begin_capture(Stream stream) {
    return outcome(cudaStreamBeginCapture(native(stream), cudaStreamCaptureModeThreadLocal));
}

Status end_capture(Stream stream, GraphHandle*& graph) {
    graph = nullptr;
    cudaGraph_t recorded = nullptr;
    if (Status failed = outcome(cudaStreamEndCapture(native(stream), &recorded))) return failed;
    cudaGraphExec_t executable = nullptr;
    const Status status = outcome(cudaGraphInstantiate(&executable, recorded, 0));
    static_cast<void>(outcome(cudaGraphDestroy(recorded)));
    if (status) return status;
    graph = new GraphHandle{executable};
    return Status{};
}

Status launch_graph(GraphHandle* graph, Stream stream) {
    return outcome(cudaGraphLaunch(graph->executable, native(stream)));
}

Status upload_graph(GraphHandle* graph, Stream stream) {
    return outcome(cudaGraphUpload(graph->executable, native(stream)));
}

void destroy_graph(GraphHandle* graph) noexcept {
    if (graph == nullptr) return;
    static_cast<void>(outcome(cudaGraphExecDestroy(graph->executable)));
    delete graph;
}

Status create_event(Event& event) {
    return make_event(event, cudaEventDefault);
}

Status create_ordering_event(Event& event) {
    return make_event(event, cudaEventDisableTiming);
}

void destroy_event(Event event) noexcept {
    if (event != nullptr) static_cast<void>(outcome(cudaEventDestroy(static_cast<cudaEvent_t>(event))));
}

Status record_event(Event event, Stream stream) {
    return outcome(cudaEventRecord(static_cast<cudaEvent_t>(event), native(stream)));
}

Status wait_event(Stream stream, Event event) {
    return outcome(cudaStreamWaitEvent(native(stream), static_cast<cudaEvent_t>(event), 0));
}

Status elapsed(double& microseconds, Event from, Event to) {
    float milliseconds = 0;
    const Status status =
        outcome(cudaEventElapsedTime(&milliseconds, static_cast<cudaEvent_t>(from), static_cast<cudaEvent_t>(to)));
    microseconds = 1e3 * static_cast<double>(milliseconds);
    return status;
}

}  // namespace adasgn::cuda
