// A model as one layer of a TensorRT network: clips in, logits and actions out, all of the adaptive forward inside, on
// the CUDA engine. One source for TensorRT 10 and 11.
//
//     input 0   clips    float32 (B, T, V, 3) or (B, P, T, V, 3)
//     output 0  logits   float32 (B, K)
//     output 1  actions  int32 (B, T) or (B, P, T): as those of Inference::run
//
// Nothing waits, so coordinates are checked on the device: a clip that has one that is not finite, or beyond 1e4, gets
// logits that are NaN, the others what they get without it.
//
// TensorRT makes a plugin of fields (fields.h), clones it freely, and attaches a clone to each execution context. That
// one has the weights on its device and scratch memory for the largest batch of all profiles; it launches, and neither
// allocates nor waits. No function lets an exception through: it logs (log.h) and returns what stands for failure.
#pragma once

#include <NvInferRuntime.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "adasgn/cuda/device_engine.h"
#include "fields.h"

namespace adasgn::tensorrt {

constexpr const char* kName = "AdaSGN";
constexpr const char* kVersion = "1";
constexpr const char* kNamespace = "adasgn_edge";

// What the clones of a plugin share. TensorRT may configure any of them for any profile and ask any of them for the
// fields to serialize.
struct Content {
    // Throws Error for a file or settings that no engine can be made of.
    Content(Settings settings, nvinfer1::TensorRTPhase phase);

    Settings settings;
    Description description;
    cuda::Precision precision;
    float threshold;
    std::atomic<std::int32_t> max_batch;
};

class Plugin final : public nvinfer1::IPluginV3,
                     public nvinfer1::IPluginV3OneCore,
                     public nvinfer1::IPluginV3OneBuild,
                     public nvinfer1::IPluginV3OneRuntime {
  public:
    explicit Plugin(std::shared_ptr<Content> content) : content_(std::move(content)) {}

    nvinfer1::IPluginCapability* getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept override;
    nvinfer1::IPluginV3* clone() noexcept override;

    const char* getPluginName() const noexcept override { return kName; }
    const char* getPluginVersion() const noexcept override { return kVersion; }
    const char* getPluginNamespace() const noexcept override { return kNamespace; }

    std::int32_t getNbOutputs() const noexcept override { return 2; }
    std::int32_t getOutputDataTypes(nvinfer1::DataType* outputs, std::int32_t output_count,
                                    const nvinfer1::DataType* inputs, std::int32_t input_count) const noexcept override;
    std::int32_t getOutputShapes(const nvinfer1::DimsExprs* inputs, std::int32_t input_count,
                                 const nvinfer1::DimsExprs* shape_inputs, std::int32_t shape_input_count,
                                 nvinfer1::DimsExprs* outputs, std::int32_t output_count,
                                 nvinfer1::IExprBuilder& builder) noexcept override;
    bool supportsFormatCombination(std::int32_t position, const nvinfer1::DynamicPluginTensorDesc* in_out,
                                   std::int32_t input_count, std::int32_t output_count) noexcept override;
    std::int32_t configurePlugin(const nvinfer1::DynamicPluginTensorDesc* inputs, std::int32_t input_count,
                                 const nvinfer1::DynamicPluginTensorDesc* outputs,
                                 std::int32_t output_count) noexcept override;

    // The clone is ready to run. Null: there is no such GPU, or not enough memory on it.
    nvinfer1::IPluginV3* attachToContext(nvinfer1::IPluginResourceContext* context) noexcept override;
    std::int32_t onShapeChange(const nvinfer1::PluginTensorDesc* inputs, std::int32_t input_count,
                               const nvinfer1::PluginTensorDesc* outputs, std::int32_t output_count) noexcept override;
    std::int32_t enqueue(const nvinfer1::PluginTensorDesc* input_desc, const nvinfer1::PluginTensorDesc* output_desc,
                         const void* const* inputs, void* const* outputs, void* workspace,
                         cudaStream_t stream) noexcept override;
    const nvinfer1::PluginFieldCollection* getFieldsToSerialize() noexcept override;

  private:
    // Of the current device; made now if it is not there, or too small. A builder may time a plugin without attaching
    // it.
    cuda::DeviceEngine& engine();

    struct Release {  // in another process the driver is not to be called
        void operator()(cuda::DeviceEngine* engine) const;
    };
    std::shared_ptr<Content> content_;
    std::unique_ptr<cuda::DeviceEngine, Release> engine_;
    std::unique_ptr<SerializedFields> serialized_;
};

}  // namespace adasgn::tensorrt
