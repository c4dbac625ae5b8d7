// The numbers of the CUDA engine on the emulated device: every case of every engine, in both precisions, under every
// schedule.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "adasgn/cuda/engine.h"
#include "adasgn/effort.h"
#include "emulated_backends.h"
#include "emulator.h"
#include "engine_cases.h"

using namespace adasgn;
using namespace adasgn::testing;

TEST_CASE("run agrees with the reference") {
    with_each_backend([](const Emulated& backend) {
        check_run(backend, kAdaptive22, 1, 1);
        check_run(backend, kShort22, 3, 1);
        check_run(backend, kDense25, 1, 2);
    });
}

TEST_CASE("odd shapes: one frame, one joint, 32 joints, no branch of one joint, more classes than a row holds") {
    with_each_backend([](const Emulated& backend) {
        check_run(backend, {7, {2, 3, 7}, {false, true}, 1, 2, true}, 2, 3);
        check_run(backend, {1, {1}, {true}, 5, 3, false}, 3, 4);
        check_run(backend, {32, {32}, {true}, 3, 300, false}, 1, 5);
        check_run(backend, {40, {1, 17, 31}, {false}, 7, 33, true}, 2, 6);
        check_run(backend, {25, {16, 25}, {false, true}, 3, 4, true}, 1, 7);
    });
}

TEST_CASE("a pose branch: by itself and before others, one joint to 256, rows and inputs that fill no tile") {
    with_each_backend([](const Emulated& backend) {
        check_run(backend, kPose22, 3, 50);
        check_run(backend, {22, {}, {}, 20, 14, false, true}, 2, 51);
        check_run(backend, {1, {}, {}, 5, 3, false, true}, 27, 52);  // 135 frames
        check_run(backend, {1, {1}, {false}, 1, 3, true, true}, 3, 53);
        check_run(backend, {45, {5}, {true}, 7, 4, true, true}, 5, 54);
        check_run(backend, {256, {}, {}, 3, 4, false, true}, 1, 55);
    });
}

TEST_CASE("a temporal module with a stride: lengths odd and even, one frame, a clip to several a tile") {
    with_each_backend([](const Emulated& backend) {
        check_run(backend, {5, {5}, {false}, 20, 14, false, false, false, 2}, 7, 60);
        check_run(backend, {4, {1, 4}, {false}, 7, 3, true, false, false, 2}, 3, 61);
        check_run(backend, {3, {}, {}, 1, 3, false, true, false, 2}, 3, 62);
        check_run(backend, {3, {}, {}, 32, 3, false, true, false, 2}, 2, 63);
        check_run(backend, {3, {}, {}, 31, 20, false, true, false, 1}, 2, 64);
    });
    check_run(kBackends[6], {2, {}, {}, 61, 3, false, true, false, 2}, 3, 65);  // the longest of a tile, nearly
    check_run(kBackends[6], {2, {}, {}, 62, 3, false, true, false, 2}, 3, 66);
    check_run(kBackends[7], {2, {}, {}, 125, 3, false, true, false, 2}, 2, 67);
    check_run(kBackends[7], {2, {}, {}, 126, 3, false, true, false, 2}, 2, 68);
}

TEST_CASE("a pose branch: every mode from a graph, frames of each action, stages") {
    constexpr int kFrames = 8;
    const Model model = random_model({22, {11, 22}, {false, true}, kFrames, 14, true, true}, 56);
    std::mt19937 random(57);
    with_each_backend([&](const Emulated& backend) {
        EmulatedEngine engine = backend.make(model, 2);
        engine.prepare(cuda::Engine::Mode::forced, 2, 1);
        std::vector<std::int32_t> actions;
        for (int i = 0; i < 2 * kFrames; ++i) {
            actions.push_back(i % 7 % 5);
        }
        for (int repeat = 0; repeat < 2; ++repeat) {
            const std::vector<float> clips = random_floats(2 * kFrames * 66, random);
            std::vector<float> previous(clips.size());
            for (std::size_t i = 0; i < clips.size(); ++i) {
                previous[i] = i % (kFrames * 66) < 66 ? clips[i] : clips[i - 66];
            }
            Output<float> logits(2 * 14);
            Output<float> features(2 * kFrames * kFeature);
            Output<float> fused(2 * 14);
            Output<float> looked_at(2 * kFrames * kFeature);
            Output<float> stage(2 * kFrames * kFeature);
            engine.run_forced(clips.data(), actions.data(), 2, 1, {logits.data(), nullptr, features.data()});
            engine.run_fuse(clips.data(), 2, 1, {fused.data()});
            engine.policy_features(clips.data(), previous.data(), 2 * kFrames, looked_at.data());
            engine.branch_features(clips.data(), previous.data(), actions.data(), 2 * kFrames, nullptr, stage.data());
            for (int clip = 0; clip < 2; ++clip) {
                const float* const from = clips.data() + clip * kFrames * 66;
                const std::vector<int> own(actions.begin() + clip * kFrames, actions.begin() + (clip + 1) * kFrames);
                check_clip(model, from, own, features.data() + clip * kFrames * kFeature, logits.data() + clip * 14,
                           backend.tolerance());
                check_clip(model, from, own, stage.data() + clip * kFrames * kFeature, logits.data() + clip * 14,
                           backend.tolerance());
                const Doubles exact = clip_features(model, from, std::vector<int>(kFrames, 0));
                CHECK(relative_error(exact, looked_at.data() + clip * kFrames * kFeature) < 1e-5);
                Doubles mean(14, 0.0);
                for (int branch = 0; branch < 5; ++branch) {
                    const Doubles part =
                        class_logits(model, clip_features(model, from, std::vector<int>(kFrames, branch)));
                    for (int k = 0; k < 14; ++k) {
                        mean[k] += part[k] / 5;
                    }
                }
                CHECK(relative_error(mean, fused.data() + clip * 14) < backend.tolerance());
            }
        }
    });
}

TEST_CASE("a pose branch: its features are the same in every batch, so that actions are") {
    const Model model = random_model({22, {11}, {false}, 20, 4, true, true}, 58);
    std::mt19937 random(59);
    const std::vector<float> clips = random_floats(4 * 20 * 66, random);
    std::vector<float> expected;
    with_each_backend([&](const Emulated& backend) {
        EmulatedEngine engine = backend.make(model, 4);
        Output<float> together(80 * kFeature);
        engine.policy_features(clips.data(), nullptr, 80, together.data());
        if (expected.empty()) {
            expected = together.copy();
        }
        CHECK(together.copy() == expected);
        Output<float> one(kFeature);
        engine.policy_features(clips.data() + 77 * 66, nullptr, 1, one.data());
        CHECK(std::equal(expected.begin() + 77 * kFeature, expected.begin() + 78 * kFeature, one.data()));
    });
}

TEST_CASE("a model that escalates: unsure samples go on, level by level, in every way and from the same graph") {
    struct Ended {
        int level;
        Doubles probabilities;
        double closest;  // to the threshold, of all that were compared with it
    };
    // scores [clip][level]
    const auto reference = [](const std::vector<std::vector<Doubles>>& scores, int sample, int persons,
                              double threshold) {
        Doubles mean(scores[0][0].size(), 0.0);
        Ended ended{0, mean, 10};
        for (std::size_t level = 0; level < scores[0].size(); ++level) {
            double sum = 0;
            for (std::size_t k = 0; k < mean.size(); ++k) {
                mean[k] = 0;
                for (int person = 0; person < persons; ++person) {
                    mean[k] += scores[sample * persons + person][level][k] / persons;
                }
                sum += std::exp(mean[k]);
            }
            for (std::size_t k = 0; k < mean.size(); ++k) {
                ended.probabilities[k] = (ended.probabilities[k] * level + std::exp(mean[k]) / sum) / (level + 1);
            }
            ended.level = static_cast<int>(level);
            const double surest = *std::max_element(ended.probabilities.begin(), ended.probabilities.end());
            ended.closest = std::min(ended.closest, std::abs(surest - threshold));
            if (!(surest < threshold)) {
                break;
            }
        }
        return ended;
    };
    const int clips = 12;
    for (const Shape& shape : {Shape{7, {3, 7}, {true}, 4, 5, false, true, true, 2},
                               Shape{19, {1, 19}, {false}, 3, 40, false, false, true, 1}}) {
        const Model model = random_model(shape, 70);
        const Description& d = model.description;
        std::mt19937 random(71);
        const std::size_t floats = static_cast<std::size_t>(d.frames) * d.joints * kCoordinates;
        const std::vector<float> input = random_floats(clips * floats, random, 0.5F);
        std::vector<std::vector<Doubles>> expected_features(clips);
        std::vector<std::vector<Doubles>> scores(clips);
        for (int clip = 0; clip < clips; ++clip) {
            for (int level = 0; level < static_cast<int>(d.branches.size()); ++level) {
                expected_features[clip].push_back(
                    clip_features(model, input.data() + clip * floats, std::vector<int>(d.frames, level)));
                scores[clip].push_back(class_logits(model, expected_features[clip].back()));
            }
        }
        with_each_way([&](const Emulated& backend) {
            EmulatedEngine engine = backend.make(model, clips);
            const bool exact = backend.precision == Precision::f32;
            int ended_at[3] = {0, 0, 0};
            for (const int persons : {1, 3}) {
                for (const float threshold : {0.0F, 0.5F, 0.8F, 2.0F}) {
                    CAPTURE(persons);
                    CAPTURE(threshold);
                    const int samples = clips / persons;
                    Output<float> logits(samples * d.classes);
                    Output<std::int32_t> actions(clips * d.frames);
                    Output<float> features(clips * d.frames * kFeature);
                    engine.run(input.data(), samples, persons, {logits.data(), actions.data(), features.data()},
                               threshold);
                    for (int sample = 0; sample < samples; ++sample) {
                        CAPTURE(sample);
                        const Ended ended = reference(scores, sample, persons, threshold);
                        if (ended.closest < (exact ? 1e-5 : 0.01)) {
                            continue;  // rounding decides
                        }
                        ++ended_at[ended.level];
                        for (int k = 0; k < d.classes; ++k) {
                            CHECK(std::abs(std::exp(logits.data()[sample * d.classes + k]) - ended.probabilities[k]) <
                                  (exact ? 1e-5 : 0.01));
                        }
                        for (int clip = sample * persons; clip < (sample + 1) * persons; ++clip) {
                            CHECK(relative_error(expected_features[clip][ended.level],
                                                 features.data() + clip * d.frames * kFeature) < backend.tolerance());
                            for (int t = 0; t < d.frames; ++t) {
                                CHECK(actions.data()[clip * d.frames + t] == ended.level);
                            }
                        }
                    }
                }
            }
            for (std::size_t level = 0; level < d.branches.size(); ++level) {
                CHECK(ended_at[level] > 2);
            }
            // Without a threshold: that of the model's own effort.
            Output<float> expected(clips * d.classes);
            Output<float> found(clips * d.classes);
            engine.run(input.data(), clips, 1, {expected.data()}, threshold_of(d, d.default_effort));
            engine.run(input.data(), clips, 1, {found.data()});
            CHECK(expected.copy() == found.copy());
            // The caller's actions: one pass, scores as they are.
            std::vector<std::int32_t> given;
            for (int i = 0; i < clips * d.frames; ++i) {
                given.push_back(i % 5 % static_cast<int>(d.branches.size()));
            }
            Output<float> features(clips * d.frames * kFeature);
            engine.run_forced(input.data(), given.data(), clips, 1, {found.data(), nullptr, features.data()});
            for (int clip = 0; clip < clips; ++clip) {
                const std::vector<int> own(given.begin() + clip * d.frames, given.begin() + (clip + 1) * d.frames);
                check_clip(model, input.data() + clip * floats, own, features.data() + clip * d.frames * kFeature,
                           found.data() + clip * d.classes, backend.tolerance());
            }
        });
    }
}

TEST_CASE(
    "a model that escalates, on the device: the threshold is the call's; a clip that is not finite ends where it is") {
    const Model model = random_model({7, {3, 7}, {true}, 4, 5, false, true, true, 1}, 72);
    std::mt19937 random(73);
    const std::size_t floats = 4 * 7 * 3;
    std::vector<float> clips = random_floats(3 * floats, random, 0.5F);
    with_each_way([&](const Emulated& backend) {
        EmulatedEngine engine = backend.make(model, 3);
        Output<float> expected(3 * 5);
        engine.run(clips.data(), 3, 1, {expected.data()}, 2.0F);
        std::vector<float> broken = clips;
        broken[floats + 40] = std::numeric_limits<float>::quiet_NaN();
        CHECK_THROWS_WITH_AS(engine.run(broken.data(), 3, 1, {expected.data()}, 2.0F), doctest::Contains("clip 1: "),
                             Error);
        cuda::DeviceMemory<float> there(clips.size());
        cuda::DeviceMemory<float> scores(3 * 5);
        cuda::DeviceMemory<std::int32_t> levels(3 * 4);
        cuda::expect_ok(cuda::copy_to_device(there.data(), broken.data(), broken.size() * sizeof(float), nullptr),
                        "copy");
        engine.on_device().run(there.data(), nullptr, 3, 1, {scores.data(), levels.data()}, nullptr, {2.0F});
        CHECK(engine.on_device().fault(nullptr).not_finite / 4 == 1);
        std::vector<float> logits(3 * 5);
        std::vector<std::int32_t> ended(3 * 4);
        cuda::expect_ok(cuda::copy_to_host(logits.data(), scores.data(), 3 * 5 * sizeof(float), nullptr), "copy");
        cuda::expect_ok(cuda::copy_to_host(ended.data(), levels.data(), 3 * 4 * sizeof(std::int32_t), nullptr), "copy");
        for (int k = 0; k < 5; ++k) {
            CHECK(logits[k] == expected.data()[k]);
            CHECK(std::isnan(logits[5 + k]));
            CHECK(logits[10 + k] == expected.data()[10 + k]);
        }
        CHECK(ended == std::vector<std::int32_t>{2, 2, 2, 2, 0, 0, 0, 0, 2, 2, 2, 2});
    });
    EmulatedEngine engine = kBackends.front().make(random_model({5, {5}, {true}, 3, 2, false}, 74), 1);
    std::vector<float> logits(2, kPoison);
    CHECK_THROWS_WITH_AS(engine.run(clips.data(), 1, 1, {logits.data()}, 0.5F), doctest::Contains("threshold: "),
                         Error);
    CHECK(logits == std::vector<float>(2, kPoison));
}

TEST_CASE("forced actions: mixed, an empty branch, all frames in one branch") {
    with_each_backend([](const Emulated& backend) { check_forced_actions(backend, kShort22); });
}

TEST_CASE("fuse averages the branches' logits; persons are averaged") {
    with_each_way([](const Emulated& backend) { check_fuse_and_persons(backend, kShort22); });
}

TEST_CASE("the stages put together are run") {
    with_each_backend([](const Emulated& backend) { check_stages(backend, kShort22); });
}

TEST_CASE("a tie of action logits goes to the lowest index") {
    with_each_way([](const Emulated& backend) { check_tie(backend); });
}

TEST_CASE("an empty batch is no work") {
    with_each_backend([](const Emulated& backend) { check_empty(backend); });
}

TEST_CASE("what does not fit is a named error and no output") {
    for (const int index : {1, 3}) {  // each precision, tiles and blocks: how many rows a tile has is not the subject
        INFO(kBackends[index].name);
        check_errors(kBackends[index]);
    }
}
