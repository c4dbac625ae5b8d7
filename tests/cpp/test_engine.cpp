// Every stage of the engine against the double-precision reference, for every instruction set of this processor.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "adasgn/constants.h"
#include "adasgn/engine.h"
#include "random_model.h"
#include "reference.h"

using namespace adasgn;
using namespace adasgn::testing;

namespace {

constexpr double kTolerance = 1e-5;  // of a feature's norm, BRIEF §7
constexpr float kPoison = -7.5e30F;
constexpr std::size_t kGuard = 64;

std::vector<const char*> sets() {
    std::vector<const char*> names;
    for (const char* const* set = instruction_sets(); *set != nullptr; ++set) {
        names.push_back(*set);
    }
    return names;
}

// An output of `size` values, poisoned, between guard zones that destruction checks.
template <class T>
class Output {
  public:
    explicit Output(std::size_t size) : values_(size + 2 * kGuard, static_cast<T>(kPoison)) {}
    ~Output() {
        for (std::size_t i = 0; i < kGuard; ++i) {
            CHECK(values_[i] == static_cast<T>(kPoison));
            CHECK(values_[values_.size() - 1 - i] == static_cast<T>(kPoison));
        }
    }
    T* data() { return values_.data() + kGuard; }
    std::vector<T> copy() { return {values_.begin() + kGuard, values_.end() - kGuard}; }

  private:
    std::vector<T> values_;
};

int argmax(const double* row, int count) {
    return static_cast<int>(std::max_element(row, row + count) - row);
}

// Checks run() on `clips` clips of a random model against the reference, actions included.
void check_run(const Shape& shape, int clips, int threads, const char* set, unsigned seed) {
    const Model model = random_model(shape, seed);
    const Description& d = model.description;
    Engine engine(model, {clips, threads, set});
    std::mt19937 random(seed + 1);
    const std::size_t floats = static_cast<std::size_t>(d.frames) * d.joints * kCoordinates;
    const std::vector<float> input = random_floats(clips * floats, random);
    const std::size_t frames = static_cast<std::size_t>(clips) * d.frames;
    Output<float> logits(static_cast<std::size_t>(clips) * d.classes);
    Output<std::int32_t> actions(frames);
    Output<float> features(frames * kFeature);
    engine.run(input.data(), clips, 1, {logits.data(), actions.data(), features.data()});
    CHECK(engine.buffers_intact());
    for (int clip = 0; clip < clips; ++clip) {
        const float* const from = input.data() + clip * floats;
        std::vector<int> expected(d.frames, 0);
        if (d.adaptive) {
            const Doubles scores = action_logits(model, clip_features(model, from, expected));
            const int count = static_cast<int>(d.branches.size());
            for (int t = 0; t < d.frames; ++t) {
                expected[t] = argmax(scores.data() + t * count, count);
            }
        }
        const std::int32_t* const taken = actions.data() + clip * d.frames;
        CHECK(std::equal(expected.begin(), expected.end(), taken));
        const Doubles truth = clip_features(model, from, expected);
        for (int t = 0; t < d.frames; ++t) {
            const Doubles row(truth.begin() + t * kFeature, truth.begin() + (t + 1) * kFeature);
            const std::size_t at = (static_cast<std::size_t>(clip) * d.frames + t) * kFeature;
            CHECK(relative_error(row, features.data() + at) < kTolerance);
        }
        CHECK(relative_error(class_logits(model, truth), logits.data() + clip * d.classes) < kTolerance);
    }
}

}  // namespace

TEST_CASE("run agrees with the reference") {
    for (const char* set : sets()) {
        CAPTURE(set);
        check_run(kAdaptive22, 3, 1, set, 1);
        check_run(kDense25, 1, 1, set, 2);
    }
}

TEST_CASE("odd shapes: one frame, one joint, many joints, more classes than a row holds") {
    for (const char* set : sets()) {
        CAPTURE(set);
        check_run({7, {2, 3, 7}, {false, true}, 1, 2, true}, 2, 1, set, 3);
        check_run({1, {1}, {true}, 5, 3, false}, 3, 1, set, 4);
        check_run({33, {33}, {true}, 3, 300, false}, 1, 1, set, 5);
        check_run({40, {1, 17, 31}, {false}, 7, 33, true}, 2, 1, set, 6);
        check_run({256, {256}, {false}, 2, 5, false}, 1, 1, set, 7);
    }
}

TEST_CASE("threads do not change a bit") {
    const Model model = random_model(kAdaptive22, 8);
    std::mt19937 random(9);
    const std::vector<float> clips = random_floats(5 * 20 * 22 * 3, random);
    std::vector<float> expected;
    for (const int threads : {1, 2, 3, 8}) {
        Engine engine(model, {5, threads, nullptr});
        Output<float> logits(5 * 14);
        engine.run(clips.data(), 5, 1, {logits.data()});
        if (expected.empty()) {
            expected = logits.copy();
        }
        CHECK(expected == logits.copy());
    }
}

TEST_CASE("forced actions: mixed, an empty branch, all frames in one branch") {
    const Model model = random_model(kAdaptive22, 10);
    for (const char* set : sets()) {
        CAPTURE(set);
        Engine engine(model, {2, 1, set});
        std::mt19937 random(11);
        const std::vector<float> clips = random_floats(2 * 20 * 22 * 3, random);
        std::vector<std::vector<std::int32_t>> cases;
        for (std::int32_t branch = 0; branch < 6; ++branch) {
            cases.emplace_back(40, branch);
        }
        cases.emplace_back();
        for (int i = 0; i < 40; ++i) {
            cases.back().push_back((i * 7 + i / 5) % 6);
        }
        cases.emplace_back(40, 5);
        cases.back()[17] = 2;  // a single frame of its own, four empty branches
        for (const auto& actions : cases) {
            Output<float> logits(2 * 14);
            Output<float> features(40 * kFeature);
            Output<std::int32_t> taken(40);
            engine.run_forced(clips.data(), actions.data(), 2, 1, {logits.data(), taken.data(), features.data()});
            CHECK(taken.copy() == actions);
            for (int clip = 0; clip < 2; ++clip) {
                const std::vector<int> own(actions.begin() + clip * 20, actions.begin() + (clip + 1) * 20);
                const Doubles truth = clip_features(model, clips.data() + clip * 20 * 66, own);
                CHECK(relative_error(truth, features.data() + clip * 20 * kFeature) < kTolerance);
                CHECK(relative_error(class_logits(model, truth), logits.data() + clip * 14) < kTolerance);
            }
        }
        CHECK(engine.buffers_intact());
    }
}

TEST_CASE("fuse averages the branches' logits; persons are averaged") {
    const Model model = random_model(kAdaptive22, 12);
    Engine engine(model, {4, 1, nullptr});
    std::mt19937 random(13);
    const std::vector<float> clips = random_floats(4 * 20 * 66, random);
    Doubles expected(2 * 14, 0.0);
    for (int clip = 0; clip < 4; ++clip) {
        for (int branch = 0; branch < 6; ++branch) {
            const Doubles features = clip_features(model, clips.data() + clip * 20 * 66, std::vector<int>(20, branch));
            const Doubles logits = class_logits(model, features);
            for (int k = 0; k < 14; ++k) {
                expected[clip / 2 * 14 + k] += logits[k] / 12;
            }
        }
    }
    Output<float> logits(2 * 14);
    engine.run_fuse(clips.data(), 2, 2, {logits.data()});
    CHECK(relative_error(expected, logits.data()) < kTolerance);

    Output<float> alone(4 * 14);
    Output<float> averaged(2 * 14);
    engine.run(clips.data(), 4, 1, {alone.data()});
    engine.run(clips.data(), 2, 2, {averaged.data()});
    for (int sample = 0; sample < 2; ++sample) {
        for (int k = 0; k < 14; ++k) {
            const float mean = (alone.data()[sample * 28 + k] + alone.data()[sample * 28 + 14 + k]) / 2;
            CHECK(averaged.data()[sample * 14 + k] == doctest::Approx(mean));
        }
    }
}

TEST_CASE("the stages put together are run") {
    const Model model = random_model(kAdaptive22, 14);
    Engine engine(model, {2, 1, nullptr});
    std::mt19937 random(15);
    const std::vector<float> clips = random_floats(2 * 20 * 66, random);
    std::vector<float> previous(clips.size());
    for (std::size_t i = 0; i < clips.size(); ++i) {
        previous[i] = i % (20 * 66) < 66 ? clips[i] : clips[i - 66];  // the first frame stands still
    }
    Output<float> logits(2 * 14);
    Output<std::int32_t> actions(40);
    Output<float> features(40 * kFeature);
    engine.run(clips.data(), 2, 1, {logits.data(), actions.data(), features.data()});

    Output<float> policy(40 * kFeature);
    Output<float> routed(40 * kFeature);
    Output<float> routed_alone(40 * kFeature);
    Output<std::int32_t> chosen(40);
    Output<float> scores(40 * 6);
    Output<float> head(2 * 14);
    engine.policy_features(clips.data(), previous.data(), 40, policy.data());
    engine.actions(policy.data(), 2, chosen.data(), scores.data());
    engine.branch_features(clips.data(), previous.data(), chosen.data(), 40, policy.data(), routed.data());
    engine.branch_features(clips.data(), previous.data(), chosen.data(), 40, nullptr, routed_alone.data());
    engine.temporal_head(routed.data(), 2, head.data());
    CHECK(chosen.copy() == actions.copy());
    const Doubles expected_scores = action_logits(model, clip_features(model, clips.data(), std::vector<int>(20, 0)));
    CHECK(relative_error(expected_scores, scores.data()) < kTolerance);
    const std::vector<float> run_features = features.copy();
    const std::vector<float> run_logits = logits.copy();
    CHECK(relative_error({run_features.begin(), run_features.end()}, routed.data()) < 1e-6);
    CHECK(routed.copy() == routed_alone.copy());
    CHECK(relative_error({run_logits.begin(), run_logits.end()}, head.data()) < 1e-6);
}

TEST_CASE("a tie of action logits goes to the lowest index") {
    Model model = random_model(kAdaptive22, 16);
    auto& weight = model.tensors["policy.weight"].values;
    std::fill(weight.begin(), weight.end(), 0.0F);
    auto& bias = model.tensors["policy.bias"].values;
    bias = {0, 1, 3, 2, 3, 3};
    Engine engine(model);
    std::mt19937 random(17);
    const std::vector<float> clip = random_floats(20 * 66, random);
    Output<float> logits(14);
    Output<std::int32_t> actions(20);
    engine.run(clip.data(), 1, 1, {logits.data(), actions.data()});
    CHECK(actions.copy() == std::vector<std::int32_t>(20, 2));
}

TEST_CASE("an empty batch is no work") {
    Engine engine(random_model(kAdaptive22, 18));
    Output<float> logits(0);
    engine.run(nullptr, 0, 1, {logits.data()});
    engine.policy_features(nullptr, nullptr, 0, nullptr);
    CHECK(engine.buffers_intact());
}

TEST_CASE("what does not fit is a named error and no output") {
    const Model model = random_model(kAdaptive22, 19);
    Engine engine(model, {2, 1, nullptr});
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
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
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
    CHECK(contains(message([&] { Engine(model, {0, 1, nullptr}); }), "max_batch"));
    CHECK(contains(message([&] { Engine(model, {1, 0, nullptr}); }), "threads"));
    CHECK(contains(message([&] { Engine(model, {1, 1, "mmx"}); }), "found mmx"));
}
