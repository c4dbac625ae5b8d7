#include "fields.h"

#include <cstring>
#include <string>

#include "adasgn/checks.h"
#include "adasgn/error.h"

namespace adasgn::tensorrt {

using nvinfer1::PluginField;
using nvinfer1::PluginFieldCollection;
using nvinfer1::PluginFieldType;
using nvinfer1::TensorRTPhase;

namespace {

[[noreturn]] void fail(const std::string& message) {
    throw Error(ErrorKind::engine, message);
}

std::string name_of(PluginFieldType type) {
    switch (type) {
        case PluginFieldType::kINT8:
            return "INT8";
        case PluginFieldType::kINT32:
            return "INT32";
        case PluginFieldType::kFLOAT32:
            return "FLOAT32";
        default:
            return "type " + std::to_string(static_cast<std::int32_t>(type));
    }
}

void expect_type(const PluginField& field, PluginFieldType type) {
    if (field.type != type) {
        fail("field " + std::string(field.name) + ": expected " + name_of(type) + ", found " + name_of(field.type));
    }
    if (field.data == nullptr || field.length < 1) {
        fail("field " + std::string(field.name) + ": expected values, found none");
    }
}

template <class T>
T single(const PluginField& field, PluginFieldType type) {
    expect_type(field, type);
    if (field.length != 1) {
        fail("field " + std::string(field.name) + ": expected one value, found " + std::to_string(field.length));
    }
    T value;
    std::memcpy(&value, field.data, sizeof value);  // in an engine file it may lie anywhere
    return value;
}

// Its place in what `read_fields` has seen.
int index_of(const char* name, TensorRTPhase phase) {
    const char* const names[] = {"model", "precision", "effort", "max_batch"};
    const int count = phase == TensorRTPhase::kRUNTIME ? 4 : 3;
    for (int i = 0; i < count; ++i) {
        if (name != nullptr && std::strcmp(name, names[i]) == 0) {
            return i;
        }
    }
    fail("field " + std::string(name == nullptr ? "without a name" : name).substr(0, 40) +
         ": expected one of model, precision and effort" + (count == 4 ? ", and max_batch" : ""));
}

}  // namespace

const PluginFieldCollection& field_names() noexcept {
    static const PluginField fields[] = {PluginField("model", nullptr, PluginFieldType::kINT8),
                                         PluginField("precision", nullptr, PluginFieldType::kINT32, 1),
                                         PluginField("effort", nullptr, PluginFieldType::kFLOAT32, 1)};
    static const PluginFieldCollection names{3, fields};
    return names;
}

Settings read_fields(const PluginFieldCollection* given, TensorRTPhase phase) {
    if (given == nullptr || given->nbFields < 0 || (given->nbFields > 0 && given->fields == nullptr)) {
        fail("fields: expected a collection of them, found none");
    }
    Settings settings;
    bool seen[4] = {};
    for (int i = 0; i < given->nbFields; ++i) {
        const PluginField& field = given->fields[i];
        const int index = index_of(field.name, phase);
        if (seen[index]) {
            fail("field " + std::string(field.name) + ": expected once, found twice");
        }
        seen[index] = true;
        if (index == 0) {
            expect_type(field, PluginFieldType::kINT8);
            const auto* const bytes = static_cast<const char*>(field.data);
            settings.file.assign(bytes, bytes + field.length);
        } else if (index == 1) {
            settings.precision = single<std::int32_t>(field, PluginFieldType::kINT32);
        } else if (index == 2) {
            settings.effort = single<float>(field, PluginFieldType::kFLOAT32);
        } else {
            settings.max_batch = single<std::int32_t>(field, PluginFieldType::kINT32);
            expect_option("field max_batch", settings.max_batch, 1, kMaxBatch);
        }
    }
    if (!seen[0]) {
        fail("field model: expected the bytes of a .adasgn file, found no such field");
    }
    if (phase == TensorRTPhase::kRUNTIME && !seen[3]) {
        fail("field max_batch: expected in an engine file, found no such field");
    }
    if (settings.precision != 16 && settings.precision != 32) {
        fail("field precision: expected 16 or 32, found " + std::to_string(settings.precision));
    }
    return settings;
}

SerializedFields::SerializedFields(const Settings& settings, std::int32_t max_batch)
    : max_batch_(max_batch),
      fields_{PluginField("model", settings.file.data(), PluginFieldType::kINT8,
                          static_cast<std::int32_t>(settings.file.size())),
              PluginField("precision", &settings.precision, PluginFieldType::kINT32, 1),
              PluginField("effort", &settings.effort, PluginFieldType::kFLOAT32, 1),
              PluginField("max_batch", &max_batch_, PluginFieldType::kINT32, 1)},
      collection_{static_cast<std::int32_t>(fields_.size()), fields_.data()} {}

}  // namespace adasgn::tensorrt
