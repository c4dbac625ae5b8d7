// The policy: features of the cheapest branch, and the actions it picks from them.
#include "adasgn/constants.h"
#include "checks.h"
#include "ops.h"

namespace adasgn::ops {

Tensor policy_features(const Tensor& frames, const std::optional<Tensor>& previous, std::int64_t engine) {
    const auto found = find_engine(engine);
    const Frames input(*found, frames, previous);
    Tensor features = floats({input.count, kFeature}, found->device());
    found->alone([&](Inference& e) {
        e.policy_features(input.current_data(), input.before_data(), input.count, features.mutable_data_ptr<float>());
    });
    return features;
}

std::tuple<Tensor, Tensor> policy_actions(const Tensor& features, std::int64_t engine) {
    const auto found = find_engine(engine);
    const Description& description = found->description();
    const Tensor input = expect_clip_features(*found, features);
    const int clips = rows("features", input.size(0));
    Tensor actions = integers({clips, description.frames}, found->device());
    Tensor logits =
        floats({clips, description.frames, static_cast<std::int64_t>(description.branches.size())}, found->device());
    float* const logits_at = description.adaptive ? logits.mutable_data_ptr<float>() : nullptr;
    found->alone([&](Inference& e) {
        e.actions(input.const_data_ptr<float>(), clips, actions.mutable_data_ptr<std::int32_t>(), logits_at);
    });
    if (!description.adaptive) {
        logits.zero_();
    }
    return {actions, logits};
}

}  // namespace adasgn::ops
