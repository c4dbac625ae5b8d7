// Plays TensorRT: does with a plugin what a builder, an engine file and execution contexts do with it, in their order,
// and checks what TensorRT relies on. Written against the public interface; it and the plugin are compiled with the
// double of the declarations, or with real ones.
#pragma once

#include <NvInferRuntime.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adasgn/cuda/memory.h"
#include "adasgn/model.h"

extern "C" {
void setLoggerFinder(nvinfer1::ILoggerFinder* finder) noexcept;
nvinfer1::IPluginCreatorInterface* const* getCreators(std::int32_t& count) noexcept;
}

namespace adasgn::testing {

// A field that owns its values.
struct Field {
    std::string name;
    nvinfer1::PluginFieldType type;
    std::vector<char> values;
    std::int32_t length;
};
using Fields = std::vector<Field>;

Field int_field(const std::string& name, std::int32_t value);
Field float_field(const std::string& name, float value);
Field bytes_field(const std::string& name, const std::vector<char>& bytes);
// What a network gives for a model.
Fields fields_of(const Model& model, std::int32_t precision);

// What the plugin has logged since the last call, at kERROR; empty: nothing. TensorRT's logger is in place from the
// first call of anything below.
std::string take_log();

// The creator that the library offers.
nvinfer1::IPluginCreatorV3One& creator();

using PluginPointer = std::unique_ptr<nvinfer1::IPluginV3>;
PluginPointer create(const Fields& fields, nvinfer1::TensorRTPhase phase);

nvinfer1::IPluginV3OneBuild& build_part(nvinfer1::IPluginV3& plugin);
nvinfer1::IPluginV3OneRuntime& runtime_part(nvinfer1::IPluginV3& plugin);

using Shape4or5 = std::vector<std::int64_t>;
nvinfer1::Dims dims_of(const Shape4or5& shape);

// Of clips; the first dimensions vary from `least` to `most`.
struct Profile {
    Shape4or5 least, most;
};

// Output shapes for an input with -1 for what varies, as the plugin expresses them: -1 for B, -2 for P. None: refused.
std::optional<std::vector<Shape4or5>> output_shapes(nvinfer1::IPluginV3& plugin, const Shape4or5& input);

// Tells a plugin the profile; its status.
std::int32_t configure(nvinfer1::IPluginV3& plugin, const Profile& profile);

// How a builder goes about profiles, which the interface does not say.
enum class Cloning { one_for_all, one_each };

// Builds an engine: what its file has of the plugin. `input` has -1 for what varies.
Fields build(const Fields& fields, const Shape4or5& input, const std::vector<Profile>& profiles,
             Cloning cloning = Cloning::one_for_all);

// Tensors of a run on the device.
struct Tensors {
    explicit Tensors(const Description& description, const Shape4or5& most);

    cuda::DeviceMemory<float> clips;
    cuda::DeviceMemory<float> logits;
    cuda::DeviceMemory<std::int32_t> actions;
    cuda::PinnedMemory<float> host_clips;
    std::size_t clip_count;
    std::size_t logit_count;
    std::size_t action_count;
};

struct Outputs {
    std::vector<float> logits;
    std::vector<std::int32_t> actions;
};

// An execution context of an engine, with a stream of its own.
class Context {
  public:
    // null `attached`: a builder that runs the plugin as it is.
    Context(nvinfer1::IPluginV3& plugin, const Description& description, const Shape4or5& most, bool attached = true);

    bool usable() const { return plugin_ != nullptr; }
    // Shapes first, if they are others than before, then a run; 0: both succeeded.
    std::int32_t enqueue(const Shape4or5& shape);
    void upload(const std::vector<float>& clips);
    Outputs download(const Shape4or5& shape);
    // All three; REQUIREs success.
    Outputs run(const std::vector<float>& clips, const Shape4or5& shape);
    // A graph of a run in this shape, of which a plain one has been before.
    cuda::Graph capture(const Shape4or5& shape);

    cuda::Stream stream() const { return stream_.get(); }

  private:
    const Description description_;
    PluginPointer own_;
    nvinfer1::IPluginV3* plugin_;
    cuda::OwnStream stream_;
    Tensors tensors_;
    Shape4or5 shape_;
};

}  // namespace adasgn::testing
