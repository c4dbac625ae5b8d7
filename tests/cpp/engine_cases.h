// What every engine must do, whatever it runs on: each case compares with the double-precision reference. A Backend
// offers
//   auto make(const Model& model, int max_batch) const   an engine, adasgn::Inference
//   double tolerance() const                              relative error of features and logits (docs/benchmarks.md)
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "adasgn/constants.h"
#include "adasgn/effort.h"
#include "adasgn/engine.h"
#include "random_model.h"
#include "reference.h"

namespace adasgn::testing {

constexpr float kPoison = -7.5e30F;
constexpr std::size_t kGuard = 64;

template <class T>
constexpr T poison_of() {
    if constexpr (std::is_integral_v<T>) {
        return -222473315;  // the other is beyond an integer's range
    } else {
        return kPoison;
    }
}

// An output of `size` values, poisoned, between guard zones that destruction checks.
template <class T>
class Output {
  public:
    explicit Output(std::size_t size) : values_(size + 2 * kGuard, poison_of<T>()) {}
    ~Output() {
        for (std::size_t i = 0; i < kGuard; ++i) {
            CHECK(values_[i] == poison_of<T>());
            CHECK(values_[values_.size() - 1 - i] == poison_of<T>());
        }
    }
    T* data() { return values_.data() + kGuard; }
    std::vector<T> copy() { return {values_.begin() + kGuard, values_.end() - kGuard}; }

  private:
    std::vector<T> values_;
};

inline std::vector<int> reference_actions(const Model& model, const float* clip) {
    const Description& d = model.description;
    std::vector<int> actions(d.frames, 0);
    if (d.adaptive) {
        const Doubles scores = action_logits(model, clip_features(model, clip, actions));
        const auto count = static_cast<std::ptrdiff_t>(d.branches.size());
        for (int t = 0; t < d.frames; ++t) {
            const double* const row = scores.data() + t * count;
            actions[t] = static_cast<int>(std::max_element(row, row + count) - row);
        }
    }
    return actions;
}

// Features (T, 256) frame by frame, and logits (K,), of one clip.
inline void check_clip(const Model& model, const float* clip, const std::vector<int>& actions, const float* features,
                       const float* logits, double tolerance) {
    const Doubles truth = clip_features(model, clip, actions);
    for (int t = 0; t < model.description.frames; ++t) {
        CAPTURE(t);
        CAPTURE(model.description.branches[actions[t]].name);
        const Doubles row(truth.begin() + t * kFeature, truth.begin() + (t + 1) * kFeature);
        CHECK(relative_error(row, features + t * kFeature) < tolerance);
    }
    CHECK(relative_error(class_logits(model, truth), logits) < tolerance);
}

// run() on a random model, actions included.
template <class Backend>
void check_run(const Backend& backend, const Shape& shape, int clips, unsigned seed) {
    const Model model = random_model(shape, seed);
    const Description& d = model.description;
    auto engine = backend.make(model, clips);
    std::mt19937 random(seed + 1);
    const std::size_t floats = clip_floats(d);
    const std::vector<float> input = random_floats(clips * floats, random);
    const std::size_t frames = static_cast<std::size_t>(clips) * d.frames;
    Output<float> logits(static_cast<std::size_t>(clips) * d.classes);
    Output<std::int32_t> actions(frames);
    Output<float> features(frames * kFeature);
    engine.run(input.data(), clips, 1, {logits.data(), actions.data(), features.data()});
    for (int clip = 0; clip < clips; ++clip) {
        CAPTURE(clip);
        const float* const from = input.data() + clip * floats;
        const std::vector<int> expected = reference_actions(model, from);
        CHECK(std::equal(expected.begin(), expected.end(), actions.data() + clip * d.frames));
        check_clip(model, from, expected, features.data() + clip * d.frames * kFeature,
                   logits.data() + clip * d.classes, backend.tolerance());
    }
}

// Mixed, an empty branch, all frames in one branch.
template <class Backend>
void check_forced_actions(const Backend& backend, const Shape& shape = kAdaptive22) {
    const Model model = random_model(shape, 10);
    const std::size_t floats = clip_floats(model.description);
    const int frames = model.description.frames;
    const auto branches = static_cast<std::int32_t>(model.description.branches.size());
    auto engine = backend.make(model, 2);
    std::mt19937 random(11);
    const std::vector<float> clips = random_floats(2 * floats, random);
    std::vector<std::vector<std::int32_t>> cases;
    for (std::int32_t branch = 0; branch < branches; ++branch) {
        cases.emplace_back(2 * frames, branch);
    }
    cases.emplace_back();
    for (int i = 0; i < 2 * frames; ++i) {
        cases.back().push_back((i * 7 + i / 5) % branches);
    }
    cases.emplace_back(2 * frames, branches - 1);
    cases.back()[frames - 3] = 1;  // a single frame of its own, the other branches empty
    for (const auto& actions : cases) {
        Output<float> logits(2 * 14);
        Output<float> features(2 * frames * kFeature);
        Output<std::int32_t> taken(2 * frames);
        engine.run_forced(clips.data(), actions.data(), 2, 1, {logits.data(), taken.data(), features.data()});
        CHECK(taken.copy() == actions);
        for (int clip = 0; clip < 2; ++clip) {
            const std::vector<int> own(actions.begin() + clip * frames, actions.begin() + (clip + 1) * frames);
            check_clip(model, clips.data() + clip * floats, own, features.data() + clip * frames * kFeature,
                       logits.data() + clip * 14, backend.tolerance());
        }
    }
}

// Fuse averages the branches' logits; persons are averaged.
template <class Backend>
void check_fuse_and_persons(const Backend& backend, const Shape& shape = kAdaptive22) {
    const Model model = random_model(shape, 12);
    const std::size_t floats = clip_floats(model.description);
    const auto branches = static_cast<int>(model.description.branches.size());
    auto engine = backend.make(model, 4);
    std::mt19937 random(13);
    const std::vector<float> clips = random_floats(4 * floats, random);
    Doubles expected(2 * 14, 0.0);
    for (int clip = 0; clip < 4; ++clip) {
        for (int branch = 0; branch < branches; ++branch) {
            const Doubles features =
                clip_features(model, clips.data() + clip * floats, std::vector<int>(model.description.frames, branch));
            const Doubles logits = class_logits(model, features);
            for (int k = 0; k < 14; ++k) {
                expected[clip / 2 * 14 + k] += logits[k] / (2 * branches);
            }
        }
    }
    Output<float> logits(2 * 14);
    engine.run_fuse(clips.data(), 2, 2, {logits.data()});
    CHECK(relative_error(expected, logits.data()) < backend.tolerance());

    if (model.description.escalates) {
        return;  // check_escalation has samples of persons
    }
    Output<float> alone(4 * 14);
    Output<float> averaged(2 * 14);
    engine.run(clips.data(), 4, 1, {alone.data()});
    engine.run(clips.data(), 2, 2, {averaged.data()});
    for (int sample = 0; sample < 2; ++sample) {
        for (int k = 0; k < 14; ++k) {
            const float mean = (alone.data()[sample * 28 + k] + alone.data()[sample * 28 + 14 + k]) / 2;
            CHECK(averaged.data()[sample * 14 + k] == doctest::Approx(mean).epsilon(1e-5));
        }
    }
}

// Samples that are unsure go on, at thresholds at which none, all and some do; persons stay together.
template <class Backend>
void check_escalation(const Backend& backend, const Shape& shape, int samples, int persons, unsigned seed) {
    Model model = random_model(shape, seed);
    const Description& d = model.description;
    std::mt19937 random(seed + 1);
    const std::size_t clip = clip_floats(d);
    const std::size_t frames = static_cast<std::size_t>(persons) * d.frames;
    const std::vector<float> clips = random_floats(samples * persons * clip, random);
    double squares = 0;
    for (const double logit : sample_level(model, 0, clips.data(), persons).logits) {
        squares += logit * logit / d.classes;
    }
    for (float& weight : model.tensors["temporal.classify.weight"].values) {
        weight *= static_cast<float>(2 / std::sqrt(squares));  // so that probabilities are neither alike nor 0 and 1
    }
    auto engine = backend.make(model, samples * persons);

    std::vector<std::vector<Level>> levels(samples);
    std::vector<double> confident;  // of all samples after all levels
    for (int sample = 0; sample < samples; ++sample) {
        for (int branch = 0; branch < static_cast<int>(d.branches.size()); ++branch) {
            levels[sample].push_back(sample_level(model, branch, clips.data() + sample * persons * clip, persons));
        }
        const Escalated all = escalate(levels[sample], 2);
        confident.insert(confident.end(), all.confident.begin(), all.confident.end() - 1);
    }
    std::sort(confident.begin(), confident.end());
    std::size_t widest = 1;  // so that rounding decides nothing
    for (std::size_t i = 1; i < confident.size(); ++i) {
        widest = confident[i] - confident[i - 1] > confident[widest] - confident[widest - 1] ? i : widest;
    }
    REQUIRE(confident[widest] - confident[widest - 1] > 100 * backend.tolerance());
    const double some = (confident[widest] + confident[widest - 1]) / 2;

    for (const double threshold : {0.0, 2.0, some}) {
        CAPTURE(threshold);
        Output<float> logits(static_cast<std::size_t>(samples) * d.classes);
        Output<std::int32_t> actions(samples * frames);
        Output<float> features(samples * frames * kFeature);
        engine.run(clips.data(), samples, persons, {logits.data(), actions.data(), features.data()},
                   static_cast<float>(threshold));
        for (int sample = 0; sample < samples; ++sample) {
            CAPTURE(sample);
            const Escalated truth = escalate(levels[sample], threshold);
            CHECK(relative_error(truth.logits, logits.data() + sample * d.classes) < backend.tolerance());
            const std::int32_t* const taken = actions.data() + sample * frames;
            CHECK(std::vector<std::int32_t>(taken, taken + frames) == std::vector<std::int32_t>(frames, truth.level));
            const float* const found = features.data() + sample * frames * kFeature;
            CHECK(relative_error(levels[sample][truth.level].features, found) < backend.tolerance());
        }
    }

    const auto logits_of = [&](auto... threshold) {
        Output<float> logits(static_cast<std::size_t>(samples) * d.classes);
        engine.run(clips.data(), samples, persons, {logits.data()}, threshold...);
        return logits.copy();
    };
    CHECK(logits_of() == logits_of(threshold_of(d, d.default_effort)));
    CHECK(logits_of() == logits_of(kDefaultThreshold));
}

// Thresholds that are none, and of models that have none.
template <class Backend>
void check_thresholds(const Backend& backend) {
    std::mt19937 random(26);
    const std::vector<float> clip = random_floats(20 * 66, random);
    const auto message = [&](const Shape& shape, float threshold) -> std::string {
        auto engine = backend.make(random_model(shape, 25), 1);
        std::vector<float> logits(14, kPoison);
        try {
            engine.run(clip.data(), 1, 1, {logits.data()}, threshold);
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::engine);
            CHECK(logits == std::vector<float>(14, kPoison));
            return error.what();
        }
        return "no error";
    };
    CHECK(message(kAdaptive22, 0.5F).find("threshold: expected none, as this model does not escalate") == 0);
    CHECK(message(kAdaptive22, kDefaultThreshold) == "no error");
    CHECK(message(kEscalating22, std::numeric_limits<float>::quiet_NaN()).find("threshold: expected a number") == 0);
    CHECK(message(kEscalating22, std::numeric_limits<float>::infinity()) == "no error");
}

// The stages put together are run.
template <class Backend>
void check_stages(const Backend& backend, const Shape& shape = kAdaptive22) {
    const Model model = random_model(shape, 14);
    const int frames = model.description.frames;
    const int both = 2 * frames;
    const std::size_t floats = clip_floats(model.description);
    const std::size_t row = floats / frames;
    auto engine = backend.make(model, 2);
    std::mt19937 random(15);
    const std::vector<float> clips = random_floats(2 * floats, random);
    std::vector<float> previous(clips.size());
    for (std::size_t i = 0; i < clips.size(); ++i) {
        previous[i] = i % floats < row ? clips[i] : clips[i - row];  // the first frame stands still
    }
    Output<float> logits(2 * 14);
    Output<std::int32_t> actions(both);
    Output<float> features(both * kFeature);
    engine.run(clips.data(), 2, 1, {logits.data(), actions.data(), features.data()});

    Output<float> policy(both * kFeature);
    Output<float> routed(both * kFeature);
    Output<float> routed_alone(both * kFeature);
    Output<std::int32_t> chosen(both);
    Output<float> scores(both * model.description.branches.size());
    Output<float> head(2 * 14);
    engine.policy_features(clips.data(), previous.data(), both, policy.data());
    engine.actions(policy.data(), 2, chosen.data(), scores.data());
    engine.branch_features(clips.data(), previous.data(), chosen.data(), both, policy.data(), routed.data());
    engine.branch_features(clips.data(), previous.data(), chosen.data(), both, nullptr, routed_alone.data());
    engine.temporal_head(routed.data(), 2, head.data());
    CHECK(chosen.copy() == actions.copy());
    const Doubles expected_scores =
        action_logits(model, clip_features(model, clips.data(), std::vector<int>(frames, 0)));
    CHECK(relative_error(expected_scores, scores.data()) < 1e-5);  // the policy is exact in every precision
    const std::vector<float> run_features = features.copy();
    const std::vector<float> run_logits = logits.copy();
    CHECK(relative_error({run_features.begin(), run_features.end()}, routed.data()) < 1e-6);
    CHECK(routed.copy() == routed_alone.copy());
    CHECK(relative_error({run_logits.begin(), run_logits.end()}, head.data()) < 1e-6);
}

// A tie of action logits goes to the lowest index.
template <class Backend>
void check_tie(const Backend& backend) {
    Model model = random_model(kAdaptive22, 16);
    auto& weight = model.tensors["policy.weight"].values;
    std::fill(weight.begin(), weight.end(), 0.0F);
    auto& bias = model.tensors["policy.bias"].values;
    bias = {0, 1, 3, 2, 3, 3};
    auto engine = backend.make(model, 1);
    std::mt19937 random(17);
    const std::vector<float> clip = random_floats(20 * 66, random);
    Output<float> logits(14);
    Output<std::int32_t> actions(20);
    engine.run(clip.data(), 1, 1, {logits.data(), actions.data()});
    CHECK(actions.copy() == std::vector<std::int32_t>(20, 2));
}

// An empty batch is no work.
template <class Backend>
void check_empty(const Backend& backend) {
    auto engine = backend.make(random_model(kAdaptive22, 18), 1);
    Output<float> logits(0);
    Output<std::int32_t> actions(0);
    engine.run(nullptr, 0, 1, {logits.data()});
    engine.run_fuse(nullptr, 0, 1, {logits.data()});
    engine.policy_features(nullptr, nullptr, 0, logits.data());
    engine.actions(nullptr, 0, actions.data(), nullptr);
    engine.branch_features(nullptr, nullptr, nullptr, 0, nullptr, logits.data());
    engine.temporal_head(nullptr, 0, logits.data());
}

// What does not fit is a named error and no output; the engine goes on after it.
template <class Backend>
void check_errors(const Backend& backend) {
    const Model model = random_model(kAdaptive22, 19);
    auto engine = backend.make(model, 2);
    std::mt19937 random(20);
    std::vector<float> clips = random_floats(3 * 20 * 66, random);
    std::vector<float> logits(3 * 14, kPoison);
    const auto message = [&](auto&& call) -> std::string {
        try {
            call();
        } catch (const Error& error) {
            CHECK(std::all_of(logits.begin(), logits.end(), [](float x) { return x == kPoison; }));
            return error.what();
        }
        return "no error";
    };
    const auto contains = [](const std::string& text, const char* part) {
        return text.find(part) != std::string::npos;
    };

    CHECK(contains(message([&] { engine.run(clips.data(), 3, 1, {logits.data()}); }), "expected 0 to 2, found 3"));
    CHECK(contains(message([&] { engine.run(clips.data(), 2, 2, {logits.data()}); }), "found 4"));
    CHECK(contains(message([&] { engine.run(clips.data(), 1, 0, {logits.data()}); }), "persons"));
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            std::nextafter(kMaxCoordinate, 2e4F), -3e38F}) {
        for (const std::size_t at :
             {std::size_t{0}, std::size_t{20 * 66 + 3 * 66 + 7 * 3 + 2}, std::size_t{2 * 20 * 66 - 1}}) {
            const float kept = clips[at];
            clips[at] = bad;
            const std::string text = message([&] { engine.run(clips.data(), 2, 1, {logits.data()}); });
            CHECK(contains(text, "expected finite coordinates"));
            if (at == 20 * 66 + 3 * 66 + 7 * 3 + 2) {
                CHECK(contains(text, "clip 1"));
                CHECK(contains(text, "frame 3, joint 7, coordinate 2"));
            }
            clips[at] = kept;
        }
    }
    std::vector<std::int32_t> actions(40, 1);
    actions[33] = 6;
    CHECK(contains(message([&] { engine.run_forced(clips.data(), actions.data(), 2, 1, {logits.data()}); }),
                   "expected branch numbers 0 to 5, found 6 at frame 33"));
    actions[33] = -1;
    CHECK(
        contains(message([&] { engine.run_forced(clips.data(), actions.data(), 2, 1, {logits.data()}); }), "found -1"));

    std::vector<float> given(2 * 20 * kFeature, 1.0F);
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -2e18F, 3e38F}) {
        given[7 * kFeature + 3] = bad;
        CHECK(contains(message([&] { engine.temporal_head(given.data(), 2, logits.data()); }),
                       "features: expected finite values of at most 1e+18"));
        CHECK(contains(message([&] { engine.actions(given.data(), 2, actions.data(), nullptr); }),
                       "at position 1795 of 10240"));
        const float kept = clips[66 + 5];
        clips[66 + 5] = bad;
        CHECK(contains(message([&] { engine.policy_features(clips.data(), nullptr, 3, given.data()); }),
                       "frames: expected finite values of at most 10000"));
        clips[66 + 5] = kept;
    }

    // The bound itself is no error, whatever the signs; what comes of it is finite.
    std::vector<float> large(clips.begin(), clips.begin() + 20 * 66);
    std::transform(large.begin(), large.end(), large.begin(), [](float x) { return std::copysign(kMaxCoordinate, x); });
    Output<float> finite(14);
    engine.run(large.data(), 1, 1, {finite.data()});
    const std::vector<float> found = finite.copy();
    CHECK(std::all_of(found.begin(), found.end(), [](float x) { return std::isfinite(x) && x != kPoison; }));

    Output<float> afterwards(14);
    engine.run(clips.data(), 1, 1, {afterwards.data()});
    const Doubles features = clip_features(model, clips.data(), reference_actions(model, clips.data()));
    CHECK(relative_error(class_logits(model, features), afterwards.data()) < backend.tolerance());
}

}  // namespace adasgn::testing
