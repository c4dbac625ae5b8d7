// The ops, one file per subject; their schemas are in library.cpp. Symbols: B clips, P persons, T frames, V joints,
// A branches, K classes, N frames of any clips. Every tensor is float32 unless said otherwise, may have any strides,
// and lies on the device of its engine. All raise ValueError for arguments that do not fit; what their values would
// have to tell on a GPU is NaN in the results instead (LoadedModel::checks_values).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <tuple>

namespace adasgn::ops {

using at::Tensor;

// -- temporal_head.cpp: the pattern for an op --------------------------------------------------------------------

// features (B, T, 256) -> logits (B, K).
Tensor temporal_head(const Tensor& features, std::int64_t engine);

// -- policy.cpp --------------------------------------------------------------------------------------------------

// frames (N, V, 3) and those before each (N, V, 3), none: velocity zero -> features (N, 256) of branch 0.
Tensor policy_features(const Tensor& frames, const std::optional<Tensor>& previous, std::int64_t engine);

// features (B, T, 256) of branch 0 -> actions (B, T) int32 and their logits (B, T, A), of a model without policy
// all 0.
std::tuple<Tensor, Tensor> policy_actions(const Tensor& features, std::int64_t engine);

// -- branches.cpp ------------------------------------------------------------------------------------------------

// All frames (N, V, 3) through one branch -> features (N, 256).
Tensor branch_forward(const Tensor& frames, const std::optional<Tensor>& previous, std::int64_t branch,
                      std::int64_t engine);

// Each frame through the branch in actions (N,) int32 -> features (N, 256). policy_features (N, 256), if given, serve
// the frames of action 0.
Tensor branch_features(const Tensor& frames, const std::optional<Tensor>& previous, const Tensor& actions,
                       const std::optional<Tensor>& policy_features, std::int64_t engine);

// -- routing.cpp -------------------------------------------------------------------------------------------------

// actions (N,) int32 -> order (N,) int32, the frames sorted by branch, and starts (A + 1,) int32: branch i has the
// frames order[starts[i]:starts[i + 1]].
std::tuple<Tensor, Tensor> route(const Tensor& actions, std::int64_t branches);

// What route does on a GPU, where the actions' range is not checked; for tensors of any device.
std::tuple<Tensor, Tensor> route_on_device(const Tensor& actions, std::int64_t branches);

// values (N, …) of any type, order (n,) int32 -> values[order] (n, …).
Tensor gather(const Tensor& values, const Tensor& order);

// The inverse: values (n, …), order (n,) int32 without repetitions -> (count, …) with row order[i] = values[i], zero
// in the other rows.
Tensor scatter(const Tensor& values, const Tensor& order, std::int64_t count);

// -- forward.cpp: clips are (B, T, V, 3), or (B, P, T, V, 3) whose persons' scores are averaged -------------------

// -> logits (B, K), actions (B, [P,] T) int32 by the policy or escalation, features (B, [P,] T, 256), or (B, [P,] T, 0)
// if not wanted. threshold: of a model that escalates (inference.h); negative: that of its own effort.
std::tuple<Tensor, Tensor, Tensor> run(const Tensor& clips, std::int64_t engine, bool features, double threshold);

// The same with the caller's actions (B, [P,] T) int32 -> logits, features.
std::tuple<Tensor, Tensor> run_forced(const Tensor& clips, const Tensor& actions, std::int64_t engine, bool features);

// Every branch on every frame, the class logits of the branches averaged -> logits (B, K).
Tensor run_fuse(const Tensor& clips, std::int64_t engine);

}  // namespace adasgn::ops
