// What a plugin is made of, as TensorRT carries it from a network or an engine file: fields of a name, a type and
// values.
//
//     model      INT8, bytes   a whole .adasgn file
//     precision  INT32         16 (unless given) or 32
//     effort     FLOAT32       0…1, of a model that escalates; NaN (unless given): the model file's own
//     max_batch  INT32         most clips (samples x persons); in engine files alone, learnt when they are built
#pragma once

#include <NvInferRuntime.h>

#include <cstdint>
#include <limits>
#include <vector>

namespace adasgn::tensorrt {

struct Settings {
    std::vector<char> file;
    std::int32_t precision = 16;
    float effort = std::numeric_limits<float>::quiet_NaN();
    std::int32_t max_batch = 0;  // 0: not known yet
};

// The names and types of the fields that a network gives.
const nvinfer1::PluginFieldCollection& field_names() noexcept;

// Throws Error (engine) for a field that is unknown, given twice, missing, of another type or length, or out of range.
Settings read_fields(const nvinfer1::PluginFieldCollection* given, nvinfer1::TensorRTPhase phase);

// Settings as the fields of an engine file, once the largest batch is known; they point into `settings`.
class SerializedFields {
  public:
    SerializedFields(const Settings& settings, std::int32_t max_batch);
    SerializedFields(const SerializedFields&) = delete;
    SerializedFields& operator=(const SerializedFields&) = delete;

    const nvinfer1::PluginFieldCollection* collection() const { return &collection_; }

  private:
    std::int32_t max_batch_;
    std::vector<nvinfer1::PluginField> fields_;
    nvinfer1::PluginFieldCollection collection_{};
};

}  // namespace adasgn::tensorrt
