#include "creator.h"

#include <memory>

#include "fields.h"
#include "log.h"
#include "plugin.h"

namespace adasgn::tensorrt {

nvinfer1::IPluginV3* Creator::createPlugin(const char*, const nvinfer1::PluginFieldCollection* fields,
                                           nvinfer1::TensorRTPhase phase) noexcept {
    std::unique_ptr<Plugin> made;
    const bool ready = guarded("creation", [&] {
        made = std::make_unique<Plugin>(std::make_shared<Content>(read_fields(fields, phase), phase));
    });
    return ready ? made.release() : nullptr;
}

const nvinfer1::PluginFieldCollection* Creator::getFieldNames() noexcept {
    return &field_names();
}

const char* Creator::getPluginName() const noexcept {
    return kName;
}

const char* Creator::getPluginVersion() const noexcept {
    return kVersion;
}

const char* Creator::getPluginNamespace() const noexcept {
    return kNamespace;
}

}  // namespace adasgn::tensorrt
