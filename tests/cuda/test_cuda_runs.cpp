// What a run of the CUDA engine promises beside its numbers, on the emulated device: order, graphs, streams, refusals.
#include <doctest/doctest.h>

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
#include "emulated_backends.h"
#include "emulator.h"
#include "engine_cases.h"
#include "in_child.h"

using namespace adasgn;
using namespace adasgn::testing;

TEST_CASE("the order of threads and blocks changes nothing") {
    const Model model = random_model(kShort22, 30);
    std::mt19937 random(31);
    const std::vector<float> clips = random_floats(2 * kShort22.frames * 66, random);
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
    const Model model = random_model(kShort22, 32);
    const int frames = kShort22.frames;
    std::mt19937 random(33);
    with_each_way([&](const Emulated& backend) {
        EmulatedEngine engine = backend.make(model, 2);
        engine.prepare(cuda::Engine::Mode::adaptive, 2, 1);
        const std::vector<std::int32_t> actions(2 * frames, 3);
        for (int repeat = 0; repeat < 2; ++repeat) {  // the second time from the graph of the first
            const std::vector<float> clips = random_floats(2 * frames * 66, random);
            Output<float> logits(2 * 14);
            Output<float> forced(2 * 14);
            engine.run(clips.data(), 2, 1, {logits.data()});
            engine.run_forced(clips.data(), actions.data(), 2, 1, {forced.data()});
            for (int clip = 0; clip < 2; ++clip) {
                const float* const from = clips.data() + clip * frames * 66;
                const Doubles features = clip_features(model, from, reference_actions(model, from));
                CHECK(relative_error(class_logits(model, features), logits.data() + clip * 14) < backend.tolerance());
                const Doubles thirds = clip_features(model, from, std::vector<int>(frames, 3));
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
    const Model model = random_model(kShort22, 37);
    const int frames = kShort22.frames;
    std::mt19937 random(38);
    std::vector<float> clips = random_floats(3 * frames * 66, random);
    with_each_way([&](const Emulated& backend) {
        EmulatedEngine engine = backend.make(model, 3);
        Output<float> expected(3 * 14);
        engine.run(clips.data(), 3, 1, {expected.data()});
        cuda::DeviceMemory<float> there(clips.size());
        cuda::DeviceMemory<float> scores(3 * 14);
        for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                                std::nextafter(kMaxCoordinate, 2e4F), -1e30F}) {
            std::vector<float> broken = clips;
            broken[frames * 66 + 5 * 66 + 8] = bad;
            cuda::expect_ok(cuda::copy_to_device(there.data(), broken.data(), broken.size() * sizeof(float), nullptr),
                            "copy");
            engine.on_device().run(there.data(), nullptr, 3, 1, {scores.data()}, nullptr);
            CHECK(engine.on_device().fault(nullptr).not_finite / frames == 1);
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
    const Model model = random_model(kShort22, 34);
    const int frames = kShort22.frames;
    std::mt19937 random(35);
    std::vector<float> clips = random_floats(2 * frames * 66, random);
    const std::vector<std::int32_t> actions(2 * frames, 5);
    with_each_backend([&](const Emulated& backend) {
        EmulatedEngine engine = backend.make(model, 2);
        Output<float> calm(2 * frames * kFeature);
        Output<float> beside(2 * frames * kFeature);
        Output<float> logits(2 * 14);
        engine.run_forced(clips.data(), actions.data(), 2, 1, {logits.data(), nullptr, calm.data()});
        std::vector<float> wild = clips;
        std::fill(wild.begin() + frames * 66, wild.begin() + (frames + 1) * 66,
                  kMaxCoordinate);  // activations beyond binary16
        engine.run_forced(wild.data(), actions.data(), 2, 1, {logits.data(), nullptr, beside.data()});
        CHECK(std::equal(calm.data(), calm.data() + frames * kFeature, beside.data()));
        CHECK(std::equal(calm.data() + (frames + 2) * kFeature, calm.data() + 2 * frames * kFeature,
                         beside.data() + (frames + 2) * kFeature));
    });
}

TEST_CASE("a run that fails half way leaves no frames in the lists of the next") {
    const Model model = random_model({7, {1, 7}, {false}, 3, 2, true}, 49);
    std::mt19937 random(50);
    const std::vector<float> clips = random_floats(2 * 3 * 7 * 3, random);
    const std::vector<std::int32_t> given{1, 0, 1, 1, 1, 0};
    cuda::DeviceEngine engine(model, {2, Precision::f16, 0});
    engine.force_schedule({false, cuda::TileRows::r128, cuda::TileRows::r32});
    const cuda::DeviceMemory<float> there(clips.size());
    const cuda::DeviceMemory<std::int32_t> actions(given.size());
    const cuda::DeviceMemory<float> features(6 * kFeature);
    const cuda::DeviceMemory<float> scores(2 * 2);
    cuda::expect_ok(cuda::copy_to_device(there.data(), clips.data(), clips.size() * sizeof(float), nullptr), "copy");
    cuda::expect_ok(cuda::copy_to_device(actions.data(), given.data(), given.size() * sizeof(int), nullptr), "copy");
    const auto run = [&] {
        engine.run(there.data(), actions.data(), 2, 1, {scores.data()}, nullptr);
        std::vector<float> logits(2 * 2);
        cuda::expect_ok(cuda::copy_to_host(logits.data(), scores.data(), 2 * 2 * sizeof(float), nullptr), "copy");
        return logits;
    };
    const std::function<void()> halves[] = {
        [&] { run(); },
        [&] { engine.branch_features(there.data(), nullptr, actions.data(), 6, nullptr, features.data(), nullptr); },
    };
    const std::vector<float> expected = run();
    for (const std::function<void()>& half : halves) {
        cuda::DeviceTraits small = cuda::emulator::default_traits();
        small.shared_per_block = 48 * 1024;  // too little for tiles of 128 rows, enough for the policy
        cuda::emulator::set_traits(small);
        CHECK_THROWS_WITH_AS(half(), doctest::Contains("the branches"), Error);
        cuda::emulator::set_traits(cuda::emulator::default_traits());
        CHECK(run() == expected);
        half();
        CHECK(run() == expected);
    }
    CHECK(cuda::emulator::findings().empty());
}

TEST_CASE("after fork the child is refused, and the driver is not called when it lets the engine go") {
    const Model model = random_model(kAdaptive22, 39);
    const std::vector<float> clip(20 * 66, 0.5F);
    std::vector<float> logits(14);
    auto engine = std::make_unique<cuda::Engine>(model, cuda::EngineOptions{1, cuda::Precision::f32, 0});
    engine->run(clip.data(), 1, 1, {logits.data()});
    CHECK(in_child([&] {
              const bool all =
                  refused([&] { engine->run(clip.data(), 1, 1, {logits.data()}); }) &&
                  refused([&] { engine->run_fuse(clip.data(), 0, 1, {logits.data()}); }) &&
                  refused([&] { engine->temporal_head(nullptr, 0, logits.data()); }) &&
                  refused([&] { engine->policy_features(clip.data(), nullptr, 1, logits.data()); }) &&
                  refused([&] { engine->prepare(cuda::Engine::Mode::adaptive, 1, 1); }) &&
                  refused([&] { engine->on_device().run(nullptr, nullptr, 0, 1, {logits.data()}, nullptr); });
              engine.reset();
              return all;
          }) == "as expected");
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
    CHECK(
        message(kCausal22, 0) ==
        "model: expected one that is not causal on a GPU, found a causal one, which the engine of the device cpu runs");
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
