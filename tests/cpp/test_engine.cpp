// The CPU engine: every case of every engine (engine_cases.h), for every instruction set of this processor.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "adasgn/constants.h"
#include "adasgn/engine.h"
#include "adasgn/load.h"
#include "checked_engine.h"
#include "emulated.h"
#include "engine_cases.h"
#include "random_model.h"
#include "reference.h"

using namespace adasgn;
using namespace adasgn::testing;

namespace {

std::vector<const char*> sets() {
    std::vector<const char*> names;
    for (const char* const* set = instruction_sets(); *set != nullptr; ++set) {
        names.push_back(*set);
    }
    return names;
}

struct Cpu {
    const char* set;
    int threads = 1;

    double tolerance() const { return 1e-5; }
    CheckedEngine make(const Model& model, int max_batch) const {
        return CheckedEngine(model, {max_batch, threads, set});
    }
};

// ThreadSanitizer and an emulated processor, which are slow, see the best set alone: threads share the same memory in
// all of them, and the others are tested elsewhere.
template <class Check>
void with_each_set(const Check& check) {
    for (const char* set : sets()) {
        INFO(set);
        check(Cpu{set});
#ifdef __SANITIZE_THREAD__
        break;
#endif
        if (kEmulated) {
            break;
        }
    }
}

// What routes, averages and refuses is no processor's own: an emulated one sees it with branches that cost little.
const Shape kCheap22{22, {1, 11}, {false}, 20, 14, true, true};
const Shape kCheapEscalating22{22, {1}, {false}, 20, 14, false, true, true, 2};
const Shape& adaptive22 = kEmulated ? kCheap22 : kAdaptive22;
const Shape& pose22 = kEmulated ? kCheap22 : kPose22;
const Shape& escalating22 = kEmulated ? kCheapEscalating22 : kEscalating22;

}  // namespace

// Otherwise an emulated or an older processor would test less than it seems to.
TEST_CASE("the instruction sets are the processor's; the best one is the one that runs") {
#if defined(__aarch64__)
    const std::vector<std::string> expected{"neon"};
#else
    std::vector<std::string> expected{"sse2"};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        expected.insert(expected.begin(), "avx2");
    }
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl")) {
        expected.insert(expected.begin(), "avx512");
    }
#endif
    const std::vector<const char*> found = sets();
    CHECK(std::equal(found.begin(), found.end(), expected.begin(), expected.end()));
    CheckedEngine engine(random_model(kAdaptive22, 21));
    CHECK(engine.instruction_set() == expected[0]);
    MESSAGE("runs with " << expected[0]);
}

TEST_CASE("run agrees with the reference") {
    with_each_set([](const Cpu& cpu) {
        check_run(cpu, kAdaptive22, kEmulated ? 1 : 3, 1);
        check_run(cpu, kDense25, 1, 2);
        check_run(cpu, pose22, 3, 22);
    });
}

TEST_CASE("odd shapes: one frame, one joint, many joints, more classes than a row holds") {
    with_each_set([](const Cpu& cpu) {
        check_run(cpu, {7, {2, 3, 7}, {false, true}, 1, 2, true}, 2, 3);
        check_run(cpu, {1, {1}, {true}, 5, 3, false}, 3, 4);
        check_run(cpu, {33, {33}, {true}, 3, 300, false}, 1, 5);
        check_run(cpu, {40, {1, 17, 31}, {false}, 7, 33, true}, 2, 6);
        check_run(cpu, {256, {256}, {false}, 2, 5, false}, 1, 7);
    });
}

TEST_CASE("a pose branch alone: one joint, one frame, more inputs than a row of scratch holds") {
    with_each_set([](const Cpu& cpu) {
        check_run(cpu, {22, {}, {}, 20, 14, false, true}, 1, 23);
        check_run(cpu, {1, {}, {}, 1, 2, false, true}, 1, 24);
        check_run(cpu, {2, {1, 2}, {false}, 1, 3, true, true}, 2, 25);
        check_run(cpu, {42, {}, {}, 3, 3, false, true}, 1, 26);   // 252 inputs, 256 columns
        check_run(cpu, {43, {}, {}, 3, 3, false, true}, 1, 27);   // 258: two parts
        check_run(cpu, {85, {}, {}, 2, 3, false, true}, 1, 28);   // the first velocity within a part
        check_run(cpu, {128, {}, {}, 1, 3, false, true}, 1, 29);  // whole parts
        check_run(cpu, {256, {}, {}, 2, 5, false, true}, 1, 30);
        check_run(cpu, {256, {1}, {true}, 2, 5, true, true}, 1, 31);
    });
}

TEST_CASE("a temporal module with a stride: frames odd and even, fewer than a convolution's taps") {
    with_each_set([](const Cpu& cpu) {
        for (const int frames : {1, 2, 3, 4, 7}) {
            check_run(cpu, {2, {1}, {false}, frames, 3, true, true, false, 2}, 3, 40 + frames);
        }
        check_run(cpu, {22, {}, {}, 20, 14, false, true, false, 2}, 2, 50);
    });
}

TEST_CASE("a model that escalates: samples that are unsure go on, with all their persons") {
    with_each_set([](const Cpu& cpu) { check_escalation(cpu, escalating22, 5, 1, 60); });
    check_escalation(Cpu{nullptr}, escalating22, 3, 2, 61);
    if (!kEmulated) {
        check_escalation(Cpu{nullptr, 3}, {5, {5}, {false, true}, 3, 4, false, true, true}, 40, 1, 62);  // in parts
    }
    check_escalation(Cpu{nullptr}, {3, {1, 3}, {true}, 2, 2, false, false, true}, 2, 1, 63);
    check_escalation(Cpu{nullptr}, {4, {2}, {false}, 1, 300, false, true, true, 2}, 4, 1, 64);
    check_thresholds(Cpu{nullptr});
}

TEST_CASE("causal models on windows: branches of every size, every kind of temporal module") {
    const auto pose = [](int recorded, int frames, int classes, CausalShape causal) {
        const int joints = recorded + static_cast<int>(causal.trail.size());
        return Shape{joints, {}, {}, frames, classes, false, true, false, 1, std::move(causal)};
    };
    with_each_set([&](const Cpu& cpu) {
        check_run(cpu, {25, {25}, {true}, 15, 18, false, false, false, 1, CausalShape{{2, 4, 8}, {1, 2, 4}, 1, 1}}, 3,
                  70);
        check_run(cpu, {24, {9}, {false}, 20, 14, false, false, false, 1, CausalShape{{1, 3}, {1, 2, 4}, 6, 0}}, 2, 71);
        check_run(cpu, {24, {1}, {true}, 7, 14, false, false, false, 1, CausalShape{{1, 3}, {1, 2}, 1, 21}}, 9, 72);
        check_run(cpu, pose(22, 31, 18, {{2, 4, 8}, {1, 2, 4, 8}, 1, 1}), 2, 73);
        check_run(cpu, pose(1, 3, 2, {{}, {1}, 1, 0}), 5, 74);             // no trail, one joint, always 0
        check_run(cpu, pose(3, 17, 300, {{5}, {3, 5}, 1, 2}), 3, 75);      // no common factor, many classes
        check_run(cpu, pose(3, 18, 3, {{1, 2}, {4, 2, 2}, 2, 0}), 3, 76);  // dilations that fall, two rows
        check_run(cpu, pose(3, 33, 3, {{1}, std::vector<int>(16, 1), 1, 0}), 2, 77);
        check_run(cpu, pose(44, 9, 3, {{1}, {4}, 1, 0}), 1, 78);
        if (!kEmulated) {
            check_escalation(cpu, kCausal22, 3, 1, 79);
            check_forced_actions(cpu, kCausal22);
        }
    });
    if (kEmulated) {
        return;
    }
    check_escalation(Cpu{nullptr}, kCausal22, 2, 2, 80);
    // In several parts.
    check_escalation(Cpu{nullptr, 3},
                     {5, {5}, {false, true}, 4, 4, false, true, true, 1, CausalShape{{1, 2}, {1}, 2, 0}}, 40, 1, 81);
    check_fuse_and_persons(Cpu{nullptr}, kCausal22);
}

TEST_CASE("a causal model's window that does not fit is a named error") {
    const Model model = random_model(kCausal22, 82);
    CheckedEngine engine(model, {2});
    std::mt19937 random(83);
    std::vector<float> windows = random_floats(2 * clip_floats(model.description), random);
    std::vector<float> logits(2 * 14, kPoison);
    const std::size_t floats = 29 * 66;  // lead + T frames of 22 joints
    REQUIRE(windows.size() == 2 * floats);
    windows[floats + 28 * 66 + 21 * 3 + 2] = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS_WITH_AS(engine.run(windows.data(), 2, 1, {logits.data()}),
                         "clip 1: expected finite coordinates of at most 10000, found nan at frame 28, joint 21, "
                         "coordinate 2",
                         Error);
    const std::vector<std::int32_t> actions(40, 5);
    CHECK_THROWS_WITH_AS(engine.run_forced(windows.data(), actions.data(), 2, 1, {logits.data()}),
                         "actions: expected branch numbers 0 to 4, found 5 at frame 0", Error);
    CHECK(logits == std::vector<float>(2 * 14, kPoison));
    engine.run(windows.data(), 1, 1, {logits.data()});  // the first one is sound
    CHECK(logits[0] != kPoison);
}

TEST_CASE("threads do not change a bit") {
    for (const Shape& shape : kEmulated ? std::vector<Shape>{kCheap22, kCheapEscalating22}
                                        : std::vector<Shape>{kAdaptive22, kPose22, kEscalating22, kCausal22}) {
        const Model model = random_model(shape, 8);
        std::mt19937 random(9);
        const std::vector<float> clips = random_floats(5 * clip_floats(model.description), random);
        std::vector<float> expected;
        for (const int threads : {1, 2, 3, 8}) {
            CheckedEngine engine(model, {5, threads, nullptr});
            Output<float> logits(5 * 14);
            engine.run(clips.data(), 5, 1, {logits.data()});
            if (expected.empty()) {
                expected = logits.copy();
            }
            CHECK(expected == logits.copy());
        }
    }
}

TEST_CASE("forced actions: mixed, an empty branch, all frames in one branch") {
    with_each_set([](const Cpu& cpu) {
        check_forced_actions(cpu, adaptive22);
        check_forced_actions(cpu, escalating22);
        if (!kEmulated) {
            check_forced_actions(cpu, kPose22);
        }
    });
}

TEST_CASE("fuse averages the branches' logits; persons are averaged") {
    check_fuse_and_persons(Cpu{nullptr}, adaptive22);
    check_fuse_and_persons(Cpu{nullptr}, escalating22);
    if (!kEmulated) {
        check_fuse_and_persons(Cpu{nullptr}, kPose22);
    }
}

TEST_CASE("the stages put together are run") {
    check_stages(Cpu{nullptr}, adaptive22);
    if (!kEmulated) {
        check_stages(Cpu{nullptr}, kPose22);
    }
}

TEST_CASE("a tie of action logits goes to the lowest index") {
    check_tie(Cpu{nullptr});
}

TEST_CASE("an empty batch is no work") {
    check_empty(Cpu{nullptr});
}

TEST_CASE("what does not fit is a named error and no output") {
    check_errors(Cpu{nullptr});
    const Model model = random_model(kAdaptive22, 19);
    const auto message = [&](const EngineOptions& options) -> std::string {
        try {
            Engine(model, options);
        } catch (const Error& error) {
            return error.what();
        }
        return "no error";
    };
    CHECK(message({0, 1, nullptr}).find("max_batch") != std::string::npos);
    CHECK(message({1, 0, nullptr}).find("threads") != std::string::npos);
    CHECK(message({1, 1, "mmx"}).find("found mmx") != std::string::npos);
}

TEST_CASE("an engine is loaded by its device's name; what cannot be had is a named error") {
    const Model model = random_model(kDense25, 50);
    const auto message = [&](const LoadOptions& options) -> std::string {
        try {
            load_engine(model, options);
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::engine);
            return error.what();
        }
        return "no error";
    };
    CHECK(message({"cpu", "f16"}) == "precision: expected f32 on the CPU, found f16");
    CHECK(message({"cpu", "f64"}) == "precision: expected f32 or f16, found f64");
    CHECK(message({"tpu"}) == "device: expected cpu, cuda or cuda:<index>, found tpu");
    CHECK(message({"cuda:x"}) == "device: expected cpu, cuda or cuda:<index>, found cuda:x");
    CHECK(
        message({"cuda:0"}) ==
        "device: expected cpu, as this program was built without the CUDA engine (install adasgn_edge configured with "
        "-DADASGN_CUDA=ON, then build this again), found cuda:0");
    CHECK(message({"cpu", "", 0}).find("max_batch") == 0);

    std::mt19937 random(51);
    const std::vector<float> clips = random_floats(2 * 20 * 75, random);
    Output<float> expected(2 * 60);
    Output<float> found(2 * 60);
    Engine(model, {2}).run(clips.data(), 2, 1, {expected.data()});
    const std::unique_ptr<Inference> loaded = load_engine(model, {"cpu", "f32", 2, 2});
    CHECK(loaded->max_batch() == 2);
    CHECK(loaded->description().joints == 25);
    loaded->run(clips.data(), 2, 1, {found.data()});
    CHECK(found.copy() == expected.copy());
}
