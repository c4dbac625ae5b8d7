#include "plugin.h"

#include <cmath>
#include <string>
#include <utility>

#include "adasgn/checks.h"
#include "adasgn/effort.h"
#include "log.h"

namespace adasgn::tensorrt {

using nvinfer1::DataType;
using nvinfer1::Dims;
using nvinfer1::DimsExprs;
using nvinfer1::DynamicPluginTensorDesc;
using nvinfer1::PluginCapabilityType;
using nvinfer1::PluginTensorDesc;

namespace {

constexpr std::int32_t kFailed = -1;

std::int32_t status(bool succeeded) noexcept {
    return succeeded ? 0 : kFailed;
}

void expect_counts(std::int32_t inputs, std::int32_t outputs) {
    if (inputs != 1 || outputs != 2) {
        throw Error(ErrorKind::engine, "tensors: expected 1 input and 2 outputs, found " + std::to_string(inputs) +
                                           " and " + std::to_string(outputs));
    }
}

std::string text(const Dims& dims) {
    std::string all = "(";
    for (int i = 0; i < dims.nbDims && i < Dims::MAX_DIMS; ++i) {
        all += (i > 0 ? ", " : "") + std::to_string(dims.d[i]);
    }
    return all + ")";
}

[[noreturn]] void fail_clips(const Description& d, const Dims& found) {
    const std::string rest =
        std::to_string(d.frames) + ", " + std::to_string(d.joints) + ", " + std::to_string(kCoordinates) + ")";
    throw Error(ErrorKind::clip,
                "clips: expected shape (B, " + rest + " or (B, persons, " + rest + ", found " + text(found));
}

struct Batch {
    int samples;
    int persons;
};

// Of clips (B, T, V, 3) or (B, P, T, V, 3), none of which is unknown.
Batch batch_of(const Description& d, const Dims& dims) {
    const bool with_persons = dims.nbDims == 5;
    if (dims.nbDims != 4 && !with_persons) {
        fail_clips(d, dims);
    }
    const std::int64_t* const clip = dims.d + (with_persons ? 2 : 1);
    const std::int64_t samples = dims.d[0];
    const std::int64_t persons = with_persons ? dims.d[1] : 1;
    if (clip[0] != d.frames || clip[1] != d.joints || clip[2] != kCoordinates || samples < 0 || persons < 1) {
        fail_clips(d, dims);
    }
    expect_range("clips (B)", samples, 0, kMaxBatch);
    expect_range("persons", persons, 1, kMaxBatch);
    return {static_cast<int>(samples), static_cast<int>(persons)};
}

// What an output's values have to be.
DataType type_of(std::int32_t position) {
    return position == 2 ? DataType::kINT32 : DataType::kFLOAT;
}

}  // namespace

Content::Content(Settings given, nvinfer1::TensorRTPhase phase)
    : settings(std::move(given)),
      precision(settings.precision == 32 ? cuda::Precision::f32 : cuda::Precision::f16),
      threshold(kDefaultThreshold),
      max_batch(settings.max_batch) {
    Model model = parse_model(settings.file.data(), settings.file.size(), "field model");
    expect_not_causal(model.description, "in TensorRT");
    if (!std::isnan(settings.effort)) {
        threshold = threshold_of(model.description, settings.effort);
    }
    if (phase == nvinfer1::TensorRTPhase::kBUILD) {
        // A model beyond the kernels' limits is refused now, not on the first context.
        static_cast<void>(cuda::PackedModel(model, precision));
    }
    description = std::move(model.description);
}

void Plugin::Release::operator()(cuda::DeviceEngine* engine) const {
    if (engine->here()) {
        delete engine;
    }
}

nvinfer1::IPluginCapability* Plugin::getCapabilityInterface(PluginCapabilityType type) noexcept {
    switch (type) {
        case PluginCapabilityType::kCORE:
            return static_cast<nvinfer1::IPluginV3OneCore*>(this);
        case PluginCapabilityType::kBUILD:
            return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
        case PluginCapabilityType::kRUNTIME:
            return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
    }
    return nullptr;
}

nvinfer1::IPluginV3* Plugin::clone() noexcept {
    std::unique_ptr<Plugin> made;
    return guarded("clone", [&] { made = std::make_unique<Plugin>(content_); }) ? made.release() : nullptr;
}

std::int32_t Plugin::getOutputDataTypes(DataType* outputs, std::int32_t output_count, const DataType* inputs,
                                        std::int32_t input_count) const noexcept {
    return status(guarded("output types", [&] {
        expect_counts(input_count, output_count);
        if (inputs[0] != DataType::kFLOAT) {
            throw Error(ErrorKind::engine, "clips: expected float32 (DataType 0), found DataType " +
                                               std::to_string(static_cast<std::int32_t>(inputs[0])));
        }
        outputs[0] = type_of(1);
        outputs[1] = type_of(2);
    }));
}

std::int32_t Plugin::getOutputShapes(const DimsExprs* inputs, std::int32_t input_count, const DimsExprs*, std::int32_t,
                                     DimsExprs* outputs, std::int32_t output_count,
                                     nvinfer1::IExprBuilder& builder) noexcept {
    return status(guarded("output shapes", [&] {
        expect_counts(input_count, output_count);
        const Description& d = content_->description;
        const DimsExprs& clips = inputs[0];
        const int leading = clips.nbDims - 3;  // B, or B and P
        Dims known{};
        known.nbDims = clips.nbDims;
        bool fits = leading == 1 || leading == 2;
        for (int i = 0; i < clips.nbDims && i < Dims::MAX_DIMS; ++i) {
            known.d[i] = clips.d[i]->isConstant() ? clips.d[i]->getConstantValue() : -1;
        }
        for (int i = 0; fits && i < 3; ++i) {
            const int expected[] = {d.frames, d.joints, kCoordinates};
            fits = known.d[leading + i] == expected[i];
        }
        if (!fits) {
            fail_clips(d, known);
        }
        outputs[0].nbDims = 2;
        outputs[0].d[0] = clips.d[0];
        outputs[0].d[1] = builder.constant(d.classes);
        outputs[1].nbDims = leading + 1;
        outputs[1].d[0] = clips.d[0];
        outputs[1].d[1] = clips.d[1];
        outputs[1].d[leading] = builder.constant(d.frames);
    }));
}

bool Plugin::supportsFormatCombination(std::int32_t position, const DynamicPluginTensorDesc* in_out,
                                       std::int32_t input_count, std::int32_t output_count) noexcept {
    return input_count == 1 && output_count == 2 && position >= 0 && position < 3 &&
           in_out[position].desc.type == type_of(position) &&
           in_out[position].desc.format == nvinfer1::TensorFormat::kLINEAR;
}

std::int32_t Plugin::configurePlugin(const DynamicPluginTensorDesc* inputs, std::int32_t input_count,
                                     const DynamicPluginTensorDesc*, std::int32_t output_count) noexcept {
    return status(guarded("configuration", [&] {
        expect_counts(input_count, output_count);
        const Batch batch = batch_of(content_->description, inputs[0].max);
        const std::int64_t clips = static_cast<std::int64_t>(batch.samples) * batch.persons;
        expect_option("clips of the largest profile (B x persons)", clips, 1, kMaxBatch);
        std::int32_t known = content_->max_batch;
        while (known < clips && !content_->max_batch.compare_exchange_weak(known, static_cast<std::int32_t>(clips))) {
        }
    }));
}

nvinfer1::IPluginV3* Plugin::attachToContext(nvinfer1::IPluginResourceContext*) noexcept {
    std::unique_ptr<Plugin> made;
    const bool ready = guarded("a context", [&] {
        made = std::make_unique<Plugin>(content_);
        made->engine();
    });
    return ready ? made.release() : nullptr;
}

std::int32_t Plugin::onShapeChange(const PluginTensorDesc* inputs, std::int32_t input_count, const PluginTensorDesc*,
                                   std::int32_t output_count) noexcept {
    return status(guarded("new shapes", [&] {
        expect_counts(input_count, output_count);
        const Batch batch = batch_of(content_->description, inputs[0].dims);
        checked_clips(batch.samples, batch.persons, engine().options().max_batch);
    }));
}

std::int32_t Plugin::enqueue(const PluginTensorDesc* input_desc, const PluginTensorDesc*, const void* const* inputs,
                             void* const* outputs, void*, cudaStream_t stream) noexcept {
    return status(guarded("a run", [&] {
        const Batch batch = batch_of(content_->description, input_desc[0].dims);
        engine().run(static_cast<const float*>(inputs[0]), nullptr, batch.samples, batch.persons,
                     {static_cast<float*>(outputs[0]), static_cast<std::int32_t*>(outputs[1])}, stream,
                     {content_->threshold});
    }));
}

const nvinfer1::PluginFieldCollection* Plugin::getFieldsToSerialize() noexcept {
    const bool ready = guarded("serialization", [&] {
        const std::int32_t max_batch = content_->max_batch;
        if (max_batch == 0) {
            throw Error(ErrorKind::engine, "max_batch: expected to be known from a profile, found none configured");
        }
        serialized_ = std::make_unique<SerializedFields>(content_->settings, max_batch);
    });
    return ready ? serialized_->collection() : nullptr;
}

cuda::DeviceEngine& Plugin::engine() {
    const std::int32_t max_batch = content_->max_batch;
    if (engine_ == nullptr || engine_->options().max_batch < max_batch) {
        int device = 0;
        cuda::expect_ok(cuda::current_device(device), "the current device");
        const Model model = parse_model(content_->settings.file.data(), content_->settings.file.size(), "field model");
        engine_.reset();  // before the next: there may not be memory for both
        engine_.reset(new cuda::DeviceEngine(model, {max_batch, content_->precision, device}));
    }
    return *engine_;
}

}  // namespace adasgn::tensorrt
