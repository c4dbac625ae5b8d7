// What makes plugins for TensorRT: of a network's fields when an engine is built, of an engine file's when it is
// loaded.
#pragma once

#include <NvInferRuntime.h>

namespace adasgn::tensorrt {

class Creator final : public nvinfer1::IPluginCreatorV3One {
  public:
    // Null, and a line in the log, for fields that no plugin can be made of.
    nvinfer1::IPluginV3* createPlugin(const char* name, const nvinfer1::PluginFieldCollection* fields,
                                      nvinfer1::TensorRTPhase phase) noexcept override;
    const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override;
    const char* getPluginName() const noexcept override;
    const char* getPluginVersion() const noexcept override;
    const char* getPluginNamespace() const noexcept override;
};

}  // namespace adasgn::tensorrt
