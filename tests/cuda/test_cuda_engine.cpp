// The CUDA engine on the emulated device: every case of every engine, in both precisions, under every schedule.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "adasgn/cuda/engine.h"
#include "adasgn/effort.h"
#include "adasgn/load.h"
#include "emulator.h"
#include "engine_cases.h"

using namespace adasgn;
using namespace adasgn::testing;
using cuda::Precision;
using cuda::TileRows;

namespace {

// An engine that at its end has left no finding of the emulator's instruments.
class EmulatedEngine : public cuda::Engine {
  public:
    EmulatedEngine(const Model& model, const cuda::EngineOptions& options, const cuda::Schedule& schedule)
        : cuda::Engine(model, options) {
        if (schedule.block_per_frame && !on_device().has_frame_blocks()) {
            CHECK_THROWS_WITH_AS(force_schedule(schedule), doctest::Contains("schedule: expected tiles"), Error);
            return;  // by tiles then
        }
        force_schedule(schedule);
    }
    ~EmulatedEngine() {
        for (const cuda::emulator::Finding& finding : cuda::emulator::findings()) {
            FAIL_CHECK(finding.text);
        }
        CHECK(cuda::emulator::check_guards() == "");
    }
};

struct Emulated {
    Precision precision;
    cuda::Schedule schedule;
    const char* name;

    // binary16 rounds to 5e-4; the random weights make the softmax sharp, which multiplies that. The trained model is
    // held to the error of PyTorch in binary16 (tests/engine).
    double tolerance() const { return precision == Precision::f32 ? 1e-5 : 6e-3; }
    EmulatedEngine make(const Model& model, int max_batch) const {
        return EmulatedEngine(model, {max_batch, precision, 0}, schedule);
    }
};

const std::vector<Emulated> kBackends = {
    {Precision::f32, {true, TileRows::r32, TileRows::r32}, "f32, a block per frame"},
    {Precision::f32, {false, TileRows::r32, TileRows::r32}, "f32, tiles of 32 rows"},
    {Precision::f32, {false, TileRows::r32, TileRows::r64}, "f32, temporal tiles of 64 rows"},
    {Precision::f16, {true, TileRows::r32, TileRows::r32}, "f16, a block per frame"},
    {Precision::f16, {false, TileRows::r32, TileRows::r32}, "f16, tiles of 32 rows"},
    {Precision::f16, {false, TileRows::r64, TileRows::r64}, "f16, tiles of 64 rows"},
    {Precision::f16, {false, TileRows::r128, TileRows::r128}, "f16, tiles of 128 rows"},
};

template <class Check>
void with_each_backend(const Check& check) {
    for (const Emulated& backend : kBackends) {
        INFO(backend.name);
        check(backend);
    }
}

}  // namespace

TEST_CASE("run agrees with the reference") {
    with_each_backend([](const Emulated& backend) {
        check_run(backend, kAdaptive22, 3, 1);
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
    check_run(kBackends[5], {2, {}, {}, 61, 3, false, true, false, 2}, 3, 65);  // the longest of a tile, nearly
    check_run(kBackends[5], {2, {}, {}, 62, 3, false, true, false, 2}, 3, 66);
    check_run(kBackends[6], {2, {}, {}, 125, 3, false, true, false, 2}, 2, 67);
    check_run(kBackends[6], {2, {}, {}, 126, 3, false, true, false, 2}, 2, 68);
}

TEST_CASE("a pose branch: every mode from a graph, frames of each action, stages") {
    const Model model = random_model(kPose22, 56);
    std::mt19937 random(57);
    with_each_backend([&](const Emulated& backend) {
        EmulatedEngine engine = backend.make(model, 2);
        engine.prepare(cuda::Engine::Mode::forced, 2, 1);
        std::vector<std::int32_t> actions;
        for (int i = 0; i < 40; ++i) {
            actions.push_back(i % 7 % 5);
        }
        for (int repeat = 0; repeat < 2; ++repeat) {
            const std::vector<float> clips = random_floats(2 * 20 * 66, random);
            std::vector<float> previous(clips.size());
            for (std::size_t i = 0; i < clips.size(); ++i) {
                previous[i] = i % (20 * 66) < 66 ? clips[i] : clips[i - 66];
            }
            Output<float> logits(2 * 14);
            Output<float> features(40 * kFeature);
            Output<float> fused(2 * 14);
            Output<float> looked_at(40 * kFeature);
            Output<float> stage(40 * kFeature);
            engine.run_forced(clips.data(), actions.data(), 2, 1, {logits.data(), nullptr, features.data()});
            engine.run_fuse(clips.data(), 2, 1, {fused.data()});
            engine.policy_features(clips.data(), previous.data(), 40, looked_at.data());
            engine.branch_features(clips.data(), previous.data(), actions.data(), 40, nullptr, stage.data());
            for (int clip = 0; clip < 2; ++clip) {
                const float* const from = clips.data() + clip * 20 * 66;
                const std::vector<int> own(actions.begin() + clip * 20, actions.begin() + (clip + 1) * 20);
                check_clip(model, from, own, features.data() + clip * 20 * kFeature, logits.data() + clip * 14,
                           backend.tolerance());
                check_clip(model, from, own, stage.data() + clip * 20 * kFeature, logits.data() + clip * 14,
                           backend.tolerance());
                const Doubles exact = clip_features(model, from, std::vector<int>(20, 0));
                CHECK(relative_error(exact, looked_at.data() + clip * 20 * kFeature) < 1e-5);
                Doubles mean(14, 0.0);
                for (int branch = 0; branch < 5; ++branch) {
                    const Doubles part = class_logits(model, clip_features(model, from, std::vector<int>(20, branch)));
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
        with_each_backend([&](const Emulated& backend) {
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
    with_each_backend([&](const Emulated& backend) {
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
    with_each_backend([](const Emulated& backend) { check_forced_actions(backend); });
}

TEST_CASE("fuse averages the branches' logits; persons are averaged") {
    with_each_backend([](const Emulated& backend) { check_fuse_and_persons(backend); });
}

TEST_CASE("the stages put together are run") {
    with_each_backend([](const Emulated& backend) { check_stages(backend); });
}

TEST_CASE("a tie of action logits goes to the lowest index") {
    with_each_backend([](const Emulated& backend) { check_tie(backend); });
}

TEST_CASE("an empty batch is no work") {
    with_each_backend([](const Emulated& backend) { check_empty(backend); });
}

TEST_CASE("what does not fit is a named error and no output") {
    with_each_backend([](const Emulated& backend) { check_errors(backend); });
}

TEST_CASE("the order of threads and blocks changes nothing") {
    const Model model = random_model(kAdaptive22, 30);
    std::mt19937 random(31);
    const std::vector<float> clips = random_floats(2 * 20 * 66, random);
    with_each_backend([&](const Emulated& backend) {
        std::vector<float> expected;
        using cuda::emulator::Order;
        for (const cuda::emulator::Schedule schedule : {cuda::emulator::Schedule{Order::ascending, 1},
                                                        {Order::descending, 1},
                                                        {Order::random, 1},
                                                        {Order::random, 2}}) {
            cuda::emulator::set_schedule(schedule);
            EmulatedEngine engine = backend.make(model, 2);
            Output<float> logits(2 * 14);
            engine.run(clips.data(), 2, 1, {logits.data()});
            if (expected.empty()) {
                expected = logits.copy();
            }
            CHECK(expected == logits.copy());
        }
        cuda::emulator::set_schedule({});
    });
}

TEST_CASE("every mode is captured as a graph and replayed with new input") {
    const Model model = random_model(kAdaptive22, 32);
    std::mt19937 random(33);
    with_each_backend([&](const Emulated& backend) {
        EmulatedEngine engine = backend.make(model, 2);
        engine.prepare(cuda::Engine::Mode::adaptive, 2, 1);
        const std::vector<std::int32_t> actions(40, 3);
        for (int repeat = 0; repeat < 2; ++repeat) {  // the second time from the graph of the first
            const std::vector<float> clips = random_floats(2 * 20 * 66, random);
            Output<float> logits(2 * 14);
            Output<float> forced(2 * 14);
            engine.run(clips.data(), 2, 1, {logits.data()});
            engine.run_forced(clips.data(), actions.data(), 2, 1, {forced.data()});
            for (int clip = 0; clip < 2; ++clip) {
                const float* const from = clips.data() + clip * 20 * 66;
                const Doubles features = clip_features(model, from, reference_actions(model, from));
                CHECK(relative_error(class_logits(model, features), logits.data() + clip * 14) < backend.tolerance());
                const Doubles thirds = clip_features(model, from, std::vector<int>(20, 3));
                CHECK(relative_error(class_logits(model, thirds), forced.data() + clip * 14) < backend.tolerance());
            }
        }
    });
}

TEST_CASE("in every mode, a clip that is not finite is refused, and the runs after it are as those before") {
    const Model model = random_model({7, {2, 3, 7}, {false, true}, 3, 2, true}, 40);
    const std::size_t clip_floats = 3 * 7 * 3;
    std::mt19937 random(41);
    const std::vector<float> clips = random_floats(2 * static_cast<int>(clip_floats), random);
    const std::vector<std::int32_t> actions{0, 1, 2, 3, 4, 5};
    using Run = std::function<void(EmulatedEngine&, const float*, float*)>;
    const Run runs[] = {
        [](EmulatedEngine& engine, const float* from, float* to) { engine.run(from, 2, 1, {to}); },
        [](EmulatedEngine& engine, const float* from, float* to) { engine.run(from, 1, 2, {to}); },
        [&](EmulatedEngine& engine, const float* from, float* to) {
            engine.run_forced(from, actions.data(), 2, 1, {to});
        },
        [](EmulatedEngine& engine, const float* from, float* to) { engine.run_fuse(from, 2, 1, {to}); },
    };
    with_each_backend([&](const Emulated& backend) {
        EmulatedEngine engine = backend.make(model, 2);
        for (const Run& run : runs) {
            Output<float> expected(2 * 2);
            run(engine, clips.data(), expected.data());
            for (const int clip : {0, 1}) {
                std::vector<float> broken = clips;
                broken[clip == 0 ? 0 : broken.size() - 1] = std::numeric_limits<float>::quiet_NaN();
                Output<float> logits(2 * 2);
                CHECK_THROWS_WITH_AS(run(engine, broken.data(), logits.data()),
                                     doctest::Contains(clip == 0 ? "clip 0: " : "clip 1: "), Error);
                CHECK(logits.copy() == std::vector<float>(4, kPoison));
            }
            Output<float> again(2 * 2);
            run(engine, clips.data(), again.data());
            CHECK(again.copy() == expected.copy());
        }
    });
}

TEST_CASE("the actions of a run are those that were taken, whoever chose them") {
    const Model dense = random_model({5, {5}, {true}, 3, 2, false}, 42);
    const Model adaptive = random_model({7, {2, 7}, {false}, 3, 2, true}, 43);
    std::mt19937 random(44);
    const std::vector<float> clips = random_floats(2 * 3 * 7 * 3, random);
    const std::vector<std::int32_t> given{1, 0, 1, 1, 1, 0};
    with_each_backend([&](const Emulated& backend) {
        EmulatedEngine single = backend.make(dense, 2);
        EmulatedEngine several = backend.make(adaptive, 2);
        Output<float> logits(2 * 2);
        for (int repeat = 0; repeat < 2; ++repeat) {
            Output<std::int32_t> taken(6);
            several.run_forced(clips.data(), given.data(), 2, 1, {logits.data(), taken.data()});
            CHECK(taken.copy() == given);
            Output<std::int32_t> only(6);
            single.run(clips.data(), 2, 1, {logits.data(), only.data()});
            CHECK(only.copy() == std::vector<std::int32_t>(6, 0));
            Output<std::int32_t> chosen(6);
            several.run(clips.data(), 2, 1, {logits.data(), chosen.data()});
            for (int clip = 0; clip < 2; ++clip) {
                const std::vector<int> expected = reference_actions(adaptive, clips.data() + clip * 3 * 7 * 3);
                CHECK(std::equal(expected.begin(), expected.end(), chosen.data() + clip * 3));
            }
        }
    });
}

TEST_CASE("clips on the device are read when the stream that writes them has, if the engine is told") {
    const Model model = random_model({5, {5}, {true}, 3, 2, false}, 45);
    std::mt19937 random(46);
    const std::vector<float> clips = random_floats(3 * 5 * 3, random);
    cuda::Engine engine(model, {1, Precision::f32, 0});
    Output<float> expected(2);
    engine.run(clips.data(), 1, 1, {expected.data()});
    const cuda::DeviceMemory<float> there(clips.size());
    const cuda::PinnedMemory<float> here(clips.size());
    std::copy(clips.begin(), clips.end(), here.data());
    const cuda::OwnStream side;
    for (const bool stream_is_known : {true, false}) {
        cuda::expect_ok(cuda::zero(there.data(), clips.size() * sizeof(float), side.get()), "clearing");
        cuda::expect_ok(cuda::copy_to_device(there.data(), here.data(), clips.size() * sizeof(float), side.get()),
                        "copy");
        if (stream_is_known) {
            engine.wait_for(side.get());
        } else {
            engine.wait_for_device();
        }
        Output<float> logits(2);
        engine.run_device(cuda::Engine::Mode::adaptive, there.data(), nullptr, 1, 1, {logits.data()});
        CHECK(logits.copy() == expected.copy());
    }
    CHECK(cuda::emulator::findings().empty());
}

TEST_CASE(
    "on the device, a clip that is not finite gets scores that are NaN, and a flag; other clips are as they were") {
    const Model model = random_model(kAdaptive22, 37);
    std::mt19937 random(38);
    std::vector<float> clips = random_floats(3 * 20 * 66, random);
    with_each_backend([&](const Emulated& backend) {
        EmulatedEngine engine = backend.make(model, 3);
        Output<float> expected(3 * 14);
        engine.run(clips.data(), 3, 1, {expected.data()});
        cuda::DeviceMemory<float> there(clips.size());
        cuda::DeviceMemory<float> scores(3 * 14);
        for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                                std::nextafter(kMaxCoordinate, 2e4F), -1e30F}) {
            std::vector<float> broken = clips;
            broken[20 * 66 + 5 * 66 + 8] = bad;
            cuda::expect_ok(cuda::copy_to_device(there.data(), broken.data(), broken.size() * sizeof(float), nullptr),
                            "copy");
            engine.on_device().run(there.data(), nullptr, 3, 1, {scores.data()}, nullptr);
            CHECK(engine.on_device().fault(nullptr).not_finite / 20 == 1);
            CHECK(engine.on_device().fault(nullptr).not_finite == -1);
            std::vector<float> logits(3 * 14);
            cuda::expect_ok(cuda::copy_to_host(logits.data(), scores.data(), 3 * 14 * sizeof(float), nullptr), "copy");
            for (int k = 0; k < 14; ++k) {
                CHECK(logits[k] == expected.data()[k]);
                CHECK(std::isnan(logits[14 + k]));
                CHECK(logits[28 + k] == expected.data()[28 + k]);
            }
        }
    });
}

TEST_CASE("a wild frame leaves the other frames of its tile as they are") {
    const Model model = random_model(kAdaptive22, 34);
    std::mt19937 random(35);
    std::vector<float> clips = random_floats(2 * 20 * 66, random);
    const std::vector<std::int32_t> actions(40, 5);
    with_each_backend([&](const Emulated& backend) {
        EmulatedEngine engine = backend.make(model, 2);
        Output<float> calm(40 * kFeature);
        Output<float> beside(40 * kFeature);
        Output<float> logits(2 * 14);
        engine.run_forced(clips.data(), actions.data(), 2, 1, {logits.data(), nullptr, calm.data()});
        std::vector<float> wild = clips;
        std::fill(wild.begin() + 20 * 66, wild.begin() + 21 * 66, kMaxCoordinate);  // activations beyond binary16
        engine.run_forced(wild.data(), actions.data(), 2, 1, {logits.data(), nullptr, beside.data()});
        CHECK(std::equal(calm.data(), calm.data() + 20 * kFeature, beside.data()));
        CHECK(std::equal(calm.data() + 22 * kFeature, calm.data() + 40 * kFeature, beside.data() + 22 * kFeature));
    });
}

TEST_CASE("after fork the child is refused, and the driver is not called when it lets the engine go") {
    const Model model = random_model(kAdaptive22, 39);
    const std::vector<float> clip(20 * 66, 0.5F);
    std::vector<float> logits(14);
    auto engine = std::make_unique<cuda::Engine>(model, cuda::EngineOptions{1, cuda::Precision::f32, 0});
    engine->run(clip.data(), 1, 1, {logits.data()});
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const auto refused = [](auto&& call) {
            try {
                call();
            } catch (const Error& error) {
                return error.kind() == ErrorKind::engine && std::strstr(error.what(), "forked") != nullptr;
            }
            return false;
        };
        const bool all = refused([&] { engine->run(clip.data(), 1, 1, {logits.data()}); }) &&
                         refused([&] { engine->run_fuse(clip.data(), 0, 1, {logits.data()}); }) &&
                         refused([&] { engine->temporal_head(nullptr, 0, logits.data()); }) &&
                         refused([&] { engine->policy_features(clip.data(), nullptr, 1, logits.data()); }) &&
                         refused([&] { engine->prepare(cuda::Engine::Mode::adaptive, 1, 1); }) &&
                         refused([&] { engine->on_device().run(nullptr, nullptr, 0, 1, {logits.data()}, nullptr); });
        engine.reset();
        _exit(all ? 0 : 1);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    engine->run(clip.data(), 1, 1, {logits.data()});
}

TEST_CASE("models and devices that do not fit are named errors") {
    const auto message = [](const Shape& shape, int device) -> std::string {
        try {
            cuda::Engine(random_model(shape, 36), {1, Precision::f16, device});
        } catch (const Error& error) {
            return error.what();
        }
        return "no error";
    };
    CHECK(message({33, {33}, {true}, 3, 5, false}, 0).find("at most 32 joints on a GPU, found B-33") !=
          std::string::npos);
    CHECK(message({5, {5}, {true}, 127, 5, false}, 0).find("at most 126 frames") != std::string::npos);
    CHECK(message(kDense25, 1).find("expected a GPU below 1") != std::string::npos);
    cuda::DeviceTraits old = cuda::emulator::default_traits();
    old.architecture = 72;
    cuda::emulator::set_traits(old);
    CHECK(message(kDense25, 0).find("compute capability 8.0 or higher, found 7.2") != std::string::npos);
    cuda::emulator::set_traits(cuda::emulator::default_traits());
    cuda::emulator::set_memory_limit(1 << 20);
    CHECK(message(kDense25, 0).find("memory for the engine") != std::string::npos);
    cuda::emulator::set_memory_limit(std::size_t{8} << 30);
}

TEST_CASE("both engines are one interface, loaded by the device's name") {
    const Model model = random_model({7, {2, 7}, {false}, 3, 2, true}, 47);
    std::mt19937 random(48);
    const std::vector<float> clip = random_floats(3 * 7 * 3, random);
    const std::unique_ptr<Inference> engines[] = {load_engine(model), load_engine(model, {"cuda", "f32"}),
                                                  load_engine(model, {"cuda:0"})};
    std::vector<std::vector<float>> logits;
    for (const std::unique_ptr<Inference>& engine : engines) {
        logits.emplace_back(2);
        engine->run(clip.data(), 1, 1, {logits.back().data()});
    }
    CHECK(relative_error({logits[0].begin(), logits[0].end()}, logits[1].data()) < 1e-5);
    const double half = relative_error({logits[0].begin(), logits[0].end()}, logits[2].data());
    CHECK((half > 1e-5 && half < 6e-3));  // binary16 by default
    CHECK_THROWS_WITH_AS(load_engine(model, {"cuda:1"}), doctest::Contains("expected a GPU below 1"), Error);
    CHECK_THROWS_WITH_AS(load_engine(model, {"cuda", "", 1, 2}), "threads: expected 1 on a GPU, found 2", Error);
}
