// docs/model_file.md's forward pass in scalar double precision: the truth the kernels are compared with.
#pragma once

#include <vector>

#include "adasgn/model.h"

namespace adasgn::testing {

using Doubles = std::vector<double>;

// Feature (256,) of one frame (V, 3); null `previous`: velocity zero.
Doubles frame_feature(const Model& model, int branch, const float* current, const float* previous);
// Action logits (T, A) of features (T, 256).
Doubles action_logits(const Model& model, const Doubles& features);
// Class logits (K,) of features (T, 256).
Doubles class_logits(const Model& model, const Doubles& features);
// Features (T, 256) of a clip (T, V, 3), of a causal model of a window (lead + T, V_r, 3), frame t through branch
// actions[t].
Doubles clip_features(const Model& model, const float* clip, const std::vector<int>& actions);

// What one branch makes of a sample, persons' clips (persons, T, V, 3).
struct Level {
    Doubles features;  // (persons, T, 256)
    Doubles logits;    // (K,), mean over the persons
};
Level sample_level(const Model& model, int branch, const float* clips, int persons);

// Where a sample ends that has these levels.
struct Escalated {
    Doubles logits;     // (K,), logarithms of the averaged probabilities
    int level;          // that it ends at
    Doubles confident;  // after each level up to that one, the highest probability
};
Escalated escalate(const std::vector<Level>& levels, double threshold);

// |found - expected| / |expected|, Euclidean norms.
double relative_error(const Doubles& expected, const float* found);

}  // namespace adasgn::testing
