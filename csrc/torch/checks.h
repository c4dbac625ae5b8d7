// What every op does with its arguments. A check names the argument, what was expected and what was found.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <initializer_list>
#include <optional>

#include "engines.h"

namespace adasgn::ops {

using at::Tensor;

// One extent of a shape: its symbol and its value, negative where any will do.
struct Extent {
    const char* symbol;
    std::int64_t value = -1;
};

// The tensor, C-contiguous, if it lies on `device` and has this type and shape; else ValueError.
Tensor expect(const char* name, const Tensor& tensor, c10::Device device, c10::ScalarType type,
              std::initializer_list<Extent> shape);

// The number of rows as the engine counts them; ValueError where there are too many.
int rows(const char* name, std::int64_t count);

// A contiguous tensor for results, on the engine's device.
Tensor floats(c10::IntArrayRef shape, c10::Device device);
Tensor integers(c10::IntArrayRef shape, c10::Device device);

// frames (N, V, 3) and the frame before each, checked against an engine.
struct Frames {
    Frames(const LoadedModel& model, const Tensor& frames, const std::optional<Tensor>& previous);

    Tensor current;
    Tensor before;  // undefined: all velocities are zero
    int count;

    const float* current_data() const { return current.const_data_ptr<float>(); }
    const float* before_data() const { return before.defined() ? before.const_data_ptr<float>() : nullptr; }
};

// features (B, T, 256), checked against an engine.
Tensor expect_clip_features(const LoadedModel& model, const Tensor& features);

// For an engine that could not refuse actions (…) that are no branch (LoadedModel::checks_values): NaN in the features
// (…, 256) of those frames, and if given, in the logits (B, K) of the clips that have one. Nothing waits.
void spoil_bad_actions(const LoadedModel& model, const Tensor& actions, const Tensor& features,
                       const Tensor& logits = {});

}  // namespace adasgn::ops
