// Loads an engine file of TensorRT's that has the AdaSGN plugin in it, and classifies one clip:
//
//     tensorrt_classify libadasgn_tensorrt.so model.engine model.adasgn clip.f32
//
// `adasgn-edge tensorrt build model.adasgn -o model.engine` or trtexec makes the engine file (docs/tensorrt.md), on the
// GPU that it is to run on. Engine files are trusted input: load none of a stranger's. The model file, which the engine
// was built of, has the names of the classes and branches. clip.f32: as of classify_clip.
#include <NvInferRuntime.h>
#include <adasgn/error.h>
#include <adasgn/model.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

// What TensorRT and the plugin have to say, from warnings on.
class Logger final : public nvinfer1::ILogger {
  public:
    void log(Severity severity, const char* message) noexcept override {
        if (severity <= Severity::kWARNING) {
            std::fprintf(stderr, "%s\n", message);
        }
    }
};

template <class T>
T* expect(T* made, const std::string& what) {
    if (made == nullptr) {
        throw std::runtime_error(what);
    }
    return made;
}

void expect_ok(cudaError_t status, const char* what) {
    if (status != cudaSuccess) {
        throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
    }
}

std::vector<char> read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        throw std::runtime_error(path + ": expected a file that can be read, found none");
    }
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Free {
    void operator()(void* memory) const { static_cast<void>(cudaFree(memory)); }
};
using DeviceMemory = std::unique_ptr<void, Free>;

DeviceMemory allocate(std::size_t bytes) {
    void* memory = nullptr;
    expect_ok(cudaMalloc(&memory, bytes), "device memory");
    return DeviceMemory(memory);
}

struct Stream {
    Stream() { expect_ok(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking), "a stream"); }
    ~Stream() { static_cast<void>(cudaStreamDestroy(handle)); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    cudaStream_t handle = nullptr;
};

// A program in a loop keeps all of this but the copies and enqueueV3, which it captures as a graph after a first run.
void classify(const std::vector<std::string>& arguments) {
    const adasgn::Model model = adasgn::read_model(arguments[2]);
    const adasgn::Description& d = model.description;
    const std::vector<char> clip = read(arguments[3]);
    const std::size_t clip_bytes = sizeof(float) * d.frames * d.joints * 3;
    if (clip.size() != clip_bytes) {
        throw std::runtime_error(arguments[3] + ": expected " + std::to_string(clip_bytes) + " bytes, found " +
                                 std::to_string(clip.size()));
    }

    Logger logger;
    const std::unique_ptr<nvinfer1::IRuntime> runtime(
        expect(nvinfer1::createInferRuntime(logger), "TensorRT: expected a runtime, found none"));
    expect(runtime->getPluginRegistry().loadLibrary(arguments[0].c_str()), arguments[0] + ": TensorRT cannot load it");
    const std::vector<char> file = read(arguments[1]);
    const std::unique_ptr<nvinfer1::ICudaEngine> engine(
        expect(runtime->deserializeCudaEngine(file.data(), file.size()),
               arguments[1] + ": expected an engine file of this GPU and TensorRT version"));
    const std::unique_ptr<nvinfer1::IExecutionContext> context(
        expect(engine->createExecutionContext(), "TensorRT: expected a context, found none"));

    std::vector<float> logits(d.classes);
    std::vector<std::int32_t> actions(d.frames);
    const DeviceMemory there[] = {allocate(clip_bytes), allocate(logits.size() * sizeof(float)),
                                  allocate(actions.size() * sizeof(std::int32_t))};
    const nvinfer1::Dims shape{4, {1, d.frames, d.joints, 3}};
    const bool fits = context->setInputShape("clips", shape) && context->setTensorAddress("clips", there[0].get()) &&
                      context->setTensorAddress("logits", there[1].get()) &&
                      context->setTensorAddress("actions", there[2].get());
    if (!fits) {
        throw std::runtime_error(arguments[1] + ": expected an engine of " + arguments[2] +
                                 " with the tensors clips, logits and actions");
    }
    const Stream stream;
    expect_ok(cudaMemcpyAsync(there[0].get(), clip.data(), clip_bytes, cudaMemcpyHostToDevice, stream.handle), "copy");
    if (!context->enqueueV3(stream.handle)) {
        throw std::runtime_error("TensorRT: expected a run, found that it failed");
    }
    expect_ok(cudaMemcpyAsync(logits.data(), there[1].get(), logits.size() * sizeof(float), cudaMemcpyDeviceToHost,
                              stream.handle),
              "copy");
    expect_ok(cudaMemcpyAsync(actions.data(), there[2].get(), actions.size() * sizeof(std::int32_t),
                              cudaMemcpyDeviceToHost, stream.handle),
              "copy");
    expect_ok(cudaStreamSynchronize(stream.handle), "a run");

    const auto best = std::max_element(logits.begin(), logits.end());
    if (!std::isfinite(*best)) {  // nothing waits on the device to refuse it
        throw std::runtime_error(arguments[3] + ": expected finite coordinates of at most 10000, found others");
    }
    double sum = 0;
    for (const float logit : logits) {
        sum += std::exp(logit - *best);
    }
    std::printf("%s  %.1f %%\nbranches:", d.class_names[best - logits.begin()].c_str(), 100 / sum);
    for (const std::int32_t action : actions) {
        std::printf(" %s", d.branches[action].name.c_str());
    }
    std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.size() != 4) {
        std::fprintf(stderr, "usage: %s libadasgn_tensorrt.so model.engine model.adasgn clip.f32\n", argv[0]);
        return 2;
    }
    try {
        classify(arguments);
    } catch (const std::exception& error) {  // adasgn::Error among them
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
