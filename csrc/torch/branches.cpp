// Spatial branches: frames to features, through one branch or each through its own.
#include <ATen/ops/full.h>

#include "adasgn/constants.h"
#include "checks.h"
#include "ops.h"

namespace adasgn::ops {

Tensor branch_forward(const Tensor& frames, const std::optional<Tensor>& previous, std::int64_t branch,
                      std::int64_t engine) {
    const auto found = find_engine(engine);
    const auto branches = static_cast<std::int64_t>(found->description().branches.size());
    TORCH_CHECK_VALUE(0 <= branch && branch < branches, "branch: expected 0 to ", branches - 1, ", found ", branch);
    const Tensor actions =
        at::full({frames.dim() > 0 ? frames.size(0) : 0}, branch, at::TensorOptions(found->device()).dtype(at::kInt));
    return branch_features(frames, previous, actions, std::nullopt, engine);
}

Tensor branch_features(const Tensor& frames, const std::optional<Tensor>& previous, const Tensor& actions,
                       const std::optional<Tensor>& policy_features, std::int64_t engine) {
    const auto found = find_engine(engine);
    const Frames input(*found, frames, previous);
    const Tensor taken = expect("actions", actions, found->device(), at::kInt, {{"N", input.count}});
    Tensor known;
    if (policy_features.has_value()) {
        known = expect("policy_features", *policy_features, found->device(), at::kFloat,
                       {{"N", input.count}, {"", kFeature}});
    }
    Tensor features = floats({input.count, kFeature}, found->device());
    found->alone([&](Inference& e) {
        e.branch_features(input.current_data(), input.before_data(), taken.const_data_ptr<std::int32_t>(), input.count,
                          known.defined() ? known.const_data_ptr<float>() : nullptr,
                          features.mutable_data_ptr<float>());
    });
    spoil_bad_actions(*found, taken, features);
    return features;
}

}  // namespace adasgn::ops
