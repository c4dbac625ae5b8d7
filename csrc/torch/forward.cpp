// The whole forward pass: clips to class logits, each frame through the branch of the policy or of the caller, or all.
#include <vector>

#include "adasgn/constants.h"
#include "checks.h"
#include "ops.h"

namespace adasgn::ops {

namespace {

// clips (B, T, V, 3) or (B, P, T, V, 3), checked, and what belongs to them.
class Clips {
  public:
    Clips(const LoadedModel& model, const Tensor& clips)
        : description_(model.description()), device_(model.device()), with_persons_(clips.dim() == 5) {
        const int frames = description_.frames;
        const int joints = description_.joints;
        clips_ = with_persons_ ? expect("clips", clips, device_, at::kFloat,
                                        {{"B"}, {"P"}, {"T", frames}, {"V", joints}, {"C", kCoordinates}})
                               : expect("clips", clips, device_, at::kFloat,
                                        {{"B"}, {"T", frames}, {"V", joints}, {"C", kCoordinates}});
        samples = rows("clips", clips_.size(0));
        persons = with_persons_ ? rows("clips", clips_.size(1)) : 1;
    }

    int samples;
    int persons;

    const float* data() const { return clips_.const_data_ptr<float>(); }
    Tensor logits() const { return floats({samples, description_.classes}, device_); }
    Tensor actions() const { return integers(clips_.sizes().slice(0, clips_.dim() - 2), device_); }
    Tensor features(bool wanted) const {
        std::vector<std::int64_t> shape = clips_.sizes().slice(0, clips_.dim() - 2).vec();
        shape.push_back(wanted ? kFeature : 0);
        return floats(shape, device_);
    }

    Tensor expect_actions(const Tensor& given) const {
        const int frames = description_.frames;
        return with_persons_
                   ? expect("actions", given, device_, at::kInt, {{"B", samples}, {"P", persons}, {"T", frames}})
                   : expect("actions", given, device_, at::kInt, {{"B", samples}, {"T", frames}});
    }

  private:
    const Description& description_;
    c10::Device device_;
    bool with_persons_;
    Tensor clips_;
};

float* data_if(bool wanted, const Tensor& tensor) {
    return wanted ? tensor.mutable_data_ptr<float>() : nullptr;
}

}  // namespace

std::tuple<Tensor, Tensor, Tensor> run(const Tensor& clips, std::int64_t engine, bool features, double threshold) {
    const auto found = find_engine(engine);
    const Clips input(*found, clips);
    Tensor logits = input.logits();
    Tensor actions = input.actions();
    Tensor pooled = input.features(features);
    const Result result{logits.mutable_data_ptr<float>(), actions.mutable_data_ptr<std::int32_t>(),
                        data_if(features, pooled)};
    found->alone([&](Inference& e) {
        e.run(input.data(), input.samples, input.persons, result, static_cast<float>(threshold));
    });
    return {logits, actions, pooled};
}

std::tuple<Tensor, Tensor> run_forced(const Tensor& clips, const Tensor& actions, std::int64_t engine, bool features) {
    const auto found = find_engine(engine);
    const Clips input(*found, clips);
    const Tensor forced = input.expect_actions(actions);
    Tensor logits = input.logits();
    Tensor pooled = input.features(features);
    const Result result{logits.mutable_data_ptr<float>(), nullptr, data_if(features, pooled)};
    found->alone([&](Inference& e) {
        e.run_forced(input.data(), forced.const_data_ptr<std::int32_t>(), input.samples, input.persons, result);
    });
    spoil_bad_actions(*found, forced, pooled, logits);
    return {logits, pooled};
}

Tensor run_fuse(const Tensor& clips, std::int64_t engine) {
    const auto found = find_engine(engine);
    const Clips input(*found, clips);
    Tensor logits = input.logits();
    const Result result{logits.mutable_data_ptr<float>()};
    found->alone([&](Inference& e) { e.run_fuse(input.data(), input.samples, input.persons, result); });
    return logits;
}

}  // namespace adasgn::ops
