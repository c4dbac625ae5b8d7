#include "player.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <deque>

#include "adasgn/constants.h"
#include "random_model.h"

using namespace nvinfer1;

// As libnvinfer says it; tests change it.
std::int32_t played_major = NV_TENSORRT_MAJOR;
extern "C" __attribute__((visibility("default"))) std::int32_t getInferLibMajorVersion() noexcept {
    return played_major;
}

namespace adasgn::testing {

namespace {

class Log final : public ILogger {
  public:
    void log(Severity severity, const AsciiChar* message) noexcept override {
        CHECK(severity == Severity::kERROR);
        CHECK(std::strncmp(message, "AdaSGN plugin: ", 15) == 0);
        text += std::string(message) + "\n";
    }
    std::string text;
};
Log kept_log;

class Finder final : public ILoggerFinder {
  public:
    ILogger* findLogger() override { return &kept_log; }
};
Finder finder;

// What TensorRT gives to attached plugins.
class Resources final : public IPluginResourceContext {
  public:
    IGpuAllocator* getGpuAllocator() const noexcept override { return nullptr; }
    IErrorRecorder* getErrorRecorder() const noexcept override { return nullptr; }
};

// A dimension of a network under construction: a number, or -1 for B and -2 for P.
class Dimension final : public IDimensionExpr {
  public:
    explicit Dimension(std::int64_t given) : held_(given) { mImpl = &held_; }
    ~Dimension() noexcept override = default;
    std::int64_t value() const { return held_.value; }

  private:
    struct Held final : apiv::VDimensionExpr {
        explicit Held(std::int64_t given) : value(given) {}
        bool isConstant() const override { return value >= 0; }
        std::int64_t getConstantValue() const override {
            CHECK(isConstant());
            return value;
        }
        bool isSizeTensor() const override { return false; }
        std::int64_t value;
    };
    Held held_;
};

class Expressions final : public IExprBuilder {
  public:
    Expressions() : held_(*this) { mImpl = &held_; }
    ~Expressions() noexcept override = default;
    const Dimension* keep(std::int64_t value) { return &all_.emplace_back(value); }

  private:
    struct Held final : apiv::VExprBuilder {
        explicit Held(Expressions& of) : owner(of) {}
        const IDimensionExpr* constant(std::int64_t value) override { return owner.keep(value); }
        const IDimensionExpr* operation(DimensionOperation, const IDimensionExpr&, const IDimensionExpr&) override {
            return nullptr;
        }
        const IDimensionExpr* declareSizeTensor(std::int32_t, const IDimensionExpr&, const IDimensionExpr&) override {
            return nullptr;
        }
        Expressions& owner;
    };
    std::deque<Dimension> all_;
    Held held_;
};

template <class T>
Field field_of(const std::string& name, PluginFieldType type, T value) {
    std::vector<char> bytes(sizeof value);
    std::memcpy(bytes.data(), &value, sizeof value);
    return {name, type, bytes, 1};
}

std::int64_t product(const Shape4or5& shape) {
    std::int64_t all = 1;
    for (const std::int64_t extent : shape) {
        all *= extent;
    }
    return all;
}

PluginTensorDesc described(const Shape4or5& shape, DataType type) {
    PluginTensorDesc desc{};
    desc.dims = dims_of(shape);
    desc.type = type;
    desc.format = TensorFormat::kLINEAR;
    desc.scale = 1;
    return desc;
}

// Clips, logits, actions of a shape of clips.
std::vector<PluginTensorDesc> described_all(const Description& d, const Shape4or5& shape) {
    Shape4or5 actions(shape.begin(), shape.end() - 2);
    return {described(shape, DataType::kFLOAT), described({shape[0], d.classes}, DataType::kFLOAT),
            described(actions, DataType::kINT32)};
}

// The formats that a builder tries, of which exactly one is the plugin's.
void check_formats(IPluginV3OneBuild& part) {
    const DataType right[] = {DataType::kFLOAT, DataType::kFLOAT, DataType::kINT32};
    for (std::int32_t position = 0; position < 3; ++position) {
        int accepted = 0;
        for (const DataType type : {DataType::kFLOAT, DataType::kHALF, DataType::kINT8, DataType::kINT32}) {
            for (const TensorFormat format : {TensorFormat::kLINEAR, TensorFormat::kCHW2}) {
                DynamicPluginTensorDesc all[3] = {};
                for (int i = 0; i < 3; ++i) {
                    all[i].desc.type = right[i];
                    all[i].desc.format = TensorFormat::kLINEAR;
                }
                all[position].desc.type = type;
                all[position].desc.format = format;
                const bool fits = part.supportsFormatCombination(position, all, 1, 2);
                CHECK(fits == (type == right[position] && format == TensorFormat::kLINEAR));
                accepted += fits ? 1 : 0;
            }
        }
        CHECK(accepted == 1);
    }
}

}  // namespace

Field int_field(const std::string& name, std::int32_t value) {
    return field_of(name, PluginFieldType::kINT32, value);
}

Field float_field(const std::string& name, float value) {
    return field_of(name, PluginFieldType::kFLOAT32, value);
}

Field bytes_field(const std::string& name, const std::vector<char>& bytes) {
    return {name, PluginFieldType::kINT8, bytes, static_cast<std::int32_t>(bytes.size())};
}

Fields fields_of(const Model& model, std::int32_t precision) {
    return {bytes_field("model", file_bytes(model)), int_field("precision", precision)};
}

std::string take_log() {
    setLoggerFinder(&finder);
    std::string text;
    std::swap(text, kept_log.text);
    return text;
}

IPluginCreatorV3One& creator() {
    setLoggerFinder(&finder);
    std::int32_t count = 0;
    IPluginCreatorInterface* const* const all = getCreators(count);
    REQUIRE(count == 1);
    const InterfaceInfo info = all[0]->getInterfaceInfo();
    CHECK(std::string(info.kind) == "PLUGIN CREATOR_V3ONE");
    CHECK(info.major == 1);
    CHECK(all[0]->getAPILanguage() == APILanguage::kCPP);
    auto& found = static_cast<IPluginCreatorV3One&>(*all[0]);
    CHECK(std::string(found.getPluginName()) == "AdaSGN");
    CHECK(std::string(found.getPluginVersion()) == "1");
    CHECK(std::string(found.getPluginNamespace()) == "adasgn_edge");
    return found;
}

PluginPointer create(const Fields& fields, TensorRTPhase phase) {
    IPluginCreatorV3One& made_by = creator();
    // Values lie where a byte stream has them, not where their type would.
    std::vector<std::vector<char>> shifted;
    std::vector<PluginField> given;
    for (const Field& field : fields) {
        std::vector<char>& place = shifted.emplace_back(1);
        place.insert(place.end(), field.values.begin(), field.values.end());
        given.emplace_back(field.name.c_str(), field.values.empty() ? nullptr : place.data() + 1, field.type,
                           field.length);
    }
    const PluginFieldCollection collection{static_cast<std::int32_t>(given.size()), given.data()};
    return PluginPointer(made_by.createPlugin("a layer", &collection, phase));
}

IPluginV3OneBuild& build_part(IPluginV3& plugin) {
    IPluginCapability* const part = plugin.getCapabilityInterface(PluginCapabilityType::kBUILD);
    REQUIRE(part != nullptr);
    CHECK(std::string(part->getInterfaceInfo().kind) == "PLUGIN_V3ONE_BUILD");
    return static_cast<IPluginV3OneBuild&>(*part);
}

IPluginV3OneRuntime& runtime_part(IPluginV3& plugin) {
    IPluginCapability* const part = plugin.getCapabilityInterface(PluginCapabilityType::kRUNTIME);
    REQUIRE(part != nullptr);
    CHECK(std::string(part->getInterfaceInfo().kind) == "PLUGIN_V3ONE_RUNTIME");
    return static_cast<IPluginV3OneRuntime&>(*part);
}

Dims dims_of(const Shape4or5& shape) {
    Dims dims{};
    dims.nbDims = static_cast<std::int32_t>(shape.size());
    std::copy(shape.begin(), shape.end(), dims.d);
    return dims;
}

std::optional<std::vector<Shape4or5>> output_shapes(IPluginV3& plugin, const Shape4or5& input) {
    Expressions expressions;
    DimsExprs clips{};
    clips.nbDims = static_cast<std::int32_t>(input.size());
    for (std::size_t i = 0; i < input.size(); ++i) {
        clips.d[i] = expressions.keep(input[i] < 0 ? -1 - static_cast<std::int64_t>(i) : input[i]);
    }
    DimsExprs outputs[2] = {};
    if (build_part(plugin).getOutputShapes(&clips, 1, nullptr, 0, outputs, 2, expressions) != 0) {
        return std::nullopt;
    }
    std::vector<Shape4or5> shapes;
    for (const DimsExprs& output : outputs) {
        Shape4or5& shape = shapes.emplace_back();
        for (int i = 0; i < output.nbDims; ++i) {
            REQUIRE(output.d[i] != nullptr);
            shape.push_back(static_cast<const Dimension*>(output.d[i])->value());
        }
    }
    return shapes;
}

std::int32_t configure(IPluginV3& plugin, const Profile& profile) {
    DynamicPluginTensorDesc input{};
    input.desc = described(profile.least, DataType::kFLOAT);
    for (std::size_t i = 0; i < profile.least.size(); ++i) {
        input.desc.dims.d[i] = profile.least[i] == profile.most[i] ? profile.least[i] : -1;
    }
    input.min = dims_of(profile.least);
    input.opt = input.max = dims_of(profile.most);
    const DynamicPluginTensorDesc outputs[2] = {};
    return build_part(plugin).configurePlugin(&input, 1, outputs, 2);
}

Fields build(const Fields& fields, const Shape4or5& input, const std::vector<Profile>& profiles, Cloning cloning) {
    const PluginPointer given = create(fields, TensorRTPhase::kBUILD);
    REQUIRE_MESSAGE(given != nullptr, take_log());
    const PluginPointer layer(given->clone());  // a network keeps one of its own
    REQUIRE(layer != nullptr);
    auto* const core = static_cast<IPluginV3OneCore*>(layer->getCapabilityInterface(PluginCapabilityType::kCORE));
    REQUIRE(core != nullptr);
    CHECK(std::string(core->getInterfaceInfo().kind) == "PLUGIN_V3ONE_CORE");
    CHECK(std::string(core->getPluginName()) == "AdaSGN");
    CHECK(std::string(core->getPluginVersion()) == "1");
    CHECK(std::string(core->getPluginNamespace()) == "adasgn_edge");
    CHECK(std::string(layer->getInterfaceInfo().kind) == "PLUGIN");
    CHECK(layer->getCapabilityInterface(static_cast<PluginCapabilityType>(3)) == nullptr);

    IPluginV3OneBuild& part = build_part(*layer);
    REQUIRE(part.getNbOutputs() == 2);
    const DataType input_type = DataType::kFLOAT;
    DataType types[2] = {DataType::kINT8, DataType::kINT8};
    REQUIRE(part.getOutputDataTypes(types, 2, &input_type, 1) == 0);
    CHECK(types[0] == DataType::kFLOAT);
    CHECK(types[1] == DataType::kINT32);
    const auto shapes = output_shapes(*layer, input);
    REQUIRE_MESSAGE(shapes, take_log());
    CHECK(shapes->at(0).size() == 2);
    CHECK(shapes->at(1).size() == input.size() - 2);
    for (std::size_t i = 0; i + 3 < input.size(); ++i) {
        CHECK(shapes->at(1)[i] == (input[i] < 0 ? -1 - static_cast<std::int64_t>(i) : input[i]));
    }
    CHECK(shapes->at(0)[0] == shapes->at(1)[0]);
    CHECK(shapes->at(1).back() == input[input.size() - 3]);
    check_formats(part);
    CHECK(part.getFormatCombinationLimit() >= 1);
    CHECK(part.getNbTactics() == 0);
    CHECK(part.getTimingCacheID() == nullptr);

    std::vector<PluginPointer> clones;
    for (const Profile& profile : profiles) {
        IPluginV3* configured = layer.get();
        if (cloning == Cloning::one_each) {
            configured = clones.emplace_back(layer->clone()).get();
        }
        REQUIRE_MESSAGE(configure(*configured, profile) == 0, take_log());
        CHECK(build_part(*configured).getWorkspaceSize(nullptr, 0, nullptr, 0) == 0);
    }
    const PluginFieldCollection* const kept = runtime_part(*layer).getFieldsToSerialize();
    REQUIRE_MESSAGE(kept != nullptr, take_log());
    Fields file;
    for (int i = 0; i < kept->nbFields; ++i) {
        const PluginField& field = kept->fields[i];
        const std::size_t size = field.type == PluginFieldType::kINT8 ? 1 : 4;
        const auto* const values = static_cast<const char*>(field.data);
        file.push_back({field.name, field.type, {values, values + size * field.length}, field.length});
    }
    CHECK(take_log() == "");
    return file;
}

Tensors::Tensors(const Description& d, const Shape4or5& most) {
    clip_count = product(most);
    logit_count = most[0] * d.classes;
    action_count = clip_count / d.joints / kCoordinates;
    clips = cuda::DeviceMemory<float>(clip_count);
    logits = cuda::DeviceMemory<float>(logit_count);
    actions = cuda::DeviceMemory<std::int32_t>(action_count);
    host_clips = cuda::PinnedMemory<float>(clip_count);
}

Context::Context(IPluginV3& plugin, const Description& description, const Shape4or5& most, bool attached)
    : description_(description), plugin_(&plugin), tensors_(description, most) {
    if (attached) {
        Resources resources;
        own_.reset(runtime_part(plugin).attachToContext(&resources));
        plugin_ = own_.get();
    }
}

std::int32_t Context::enqueue(const Shape4or5& shape) {
    REQUIRE(usable());
    const std::vector<PluginTensorDesc> all = described_all(description_, shape);
    IPluginV3OneRuntime& part = runtime_part(*plugin_);
    if (shape != shape_) {
        shape_.clear();
        if (const std::int32_t failed = part.onShapeChange(all.data(), 1, all.data() + 1, 2)) {
            return failed;
        }
        shape_ = shape;
    }
    const void* const inputs[] = {tensors_.clips.data()};
    void* const outputs[] = {tensors_.logits.data(), tensors_.actions.data()};
    return part.enqueue(all.data(), all.data() + 1, inputs, outputs, nullptr, static_cast<cudaStream_t>(stream()));
}

void Context::upload(const std::vector<float>& clips) {
    REQUIRE(clips.size() <= tensors_.clip_count);
    std::copy(clips.begin(), clips.end(), tensors_.host_clips.data());
    cuda::expect_ok(
        cuda::copy_to_device(tensors_.clips.data(), tensors_.host_clips.data(), clips.size() * sizeof(float), stream()),
        "clips");
}

Outputs Context::download(const Shape4or5& shape) {
    Outputs found;
    found.logits.resize(shape[0] * description_.classes);
    found.actions.resize(product({shape.begin(), shape.end() - 2}));
    cuda::expect_ok(
        cuda::copy_to_host(found.logits.data(), tensors_.logits.data(), found.logits.size() * sizeof(float), stream()),
        "logits");
    cuda::expect_ok(cuda::copy_to_host(found.actions.data(), tensors_.actions.data(),
                                       found.actions.size() * sizeof(std::int32_t), stream()),
                    "actions");
    cuda::expect_ok(cuda::synchronise(stream()), "a run");
    return found;
}

Outputs Context::run(const std::vector<float>& clips, const Shape4or5& shape) {
    upload(clips);
    REQUIRE_MESSAGE(enqueue(shape) == 0, take_log());
    return download(shape);
}

cuda::Graph Context::capture(const Shape4or5& shape) {
    REQUIRE(shape == shape_);
    return cuda::Graph(stream(), [&] { REQUIRE_MESSAGE(enqueue(shape) == 0, take_log()); });
}

}  // namespace adasgn::testing
