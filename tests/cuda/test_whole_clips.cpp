// Clips in one launch (kernels/whole_clip.cu) against the launches that they stand for, number by number; that blocks
// leave once their frame is another's; and what it takes.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "adasgn/cuda/engine.h"
#include "adasgn/error.h"
#include "emulated_backends.h"
#include "emulator.h"
#include "random_model.h"

using namespace adasgn;
using namespace adasgn::testing;
namespace emulator = cuda::emulator;

namespace {

constexpr cuda::Schedule kLaunches{true, TileRows::r32, TileRows::r32};
constexpr cuda::Schedule kWhole{true, TileRows::r32, TileRows::r32, true};

struct Results {
    std::vector<float> logits;
    std::vector<std::int32_t> actions;
    std::vector<float> features;

    Results(const Description& d, int samples, int persons)
        : logits(static_cast<std::size_t>(samples) * d.classes),
          actions(static_cast<std::size_t>(samples) * persons * d.frames),
          features(actions.size() * kFeature) {}
    Result output() { return {logits.data(), actions.data(), features.data()}; }
    bool operator==(const Results& other) const {
        return logits == other.logits && actions == other.actions && features == other.features;
    }
};

struct Batch {
    int samples;
    int persons;
};

void set_multiprocessors(int count) {
    cuda::DeviceTraits device = emulator::default_traits();
    device.multiprocessors = count;
    emulator::set_traits(device);
}

// Runs of both ways: the policy's actions, then given ones.
void check_equal(const Shape& shape, const std::vector<Batch>& batches, unsigned seed) {
    const Model model = random_model(shape, seed);
    const Description& d = model.description;
    int clips = 0;
    for (const Batch& batch : batches) {
        clips = std::max(clips, batch.samples * batch.persons);
    }
    EmulatedEngine launches(model, {clips, Precision::f16, 0}, kLaunches);
    EmulatedEngine whole(model, {clips, Precision::f16, 0}, kWhole);
    std::mt19937 random(seed + 1);
    for (int repeat = 0; repeat < 2; ++repeat) {
        for (const Batch& batch : batches) {
            CAPTURE(batch.samples);
            CAPTURE(batch.persons);
            const int count = batch.samples * batch.persons;
            const std::vector<float> input = random_floats(count * clip_floats(d), random);
            std::vector<std::int32_t> given(static_cast<std::size_t>(count) * d.frames);
            for (std::int32_t& action : given) {
                action = static_cast<std::int32_t>(random() % d.branches.size());
            }
            Results expected(d, batch.samples, batch.persons);
            Results found(d, batch.samples, batch.persons);
            launches.run(input.data(), batch.samples, batch.persons, expected.output());
            whole.run(input.data(), batch.samples, batch.persons, found.output());
            CHECK(found == expected);
            launches.run_forced(input.data(), given.data(), batch.samples, batch.persons, expected.output());
            whole.run_forced(input.data(), given.data(), batch.samples, batch.persons, found.output());
            CHECK(found == expected);
        }
    }
}

}  // namespace

TEST_CASE("the same numbers as by a block per frame and the temporal module's launches") {
    const emulator::Schedule orders[] = {
        {emulator::Order::ascending, 1}, {emulator::Order::descending, 1}, {emulator::Order::random, 3}};
    for (const emulator::Schedule& order : orders) {
        emulator::set_schedule(order);
        check_equal(kShort22, {{1, 1}, {2, 1}, {1, 2}}, 80);
        check_equal({7, {1, 7}, {false}, 3, 20, true}, {{5, 1}, {1, 4}}, 81);  // more than 16 classes
        check_equal({5, {5}, {true}, 4, 3, false}, {{1, 1}, {3, 2}}, 82);
    }
    emulator::set_schedule({});
    check_equal({6, {1, 6}, {false, true}, 17, 5, true}, {{1, 1}},
                83);  // more frames than the temporal module's blocks
    check_equal({6, {1, 6}, {false}, 32, 5, true}, {{1, 1}, {2, 1}}, 84);
    check_equal({6, {6}, {false}, 32, 5, false}, {{2, 1}}, 85);
    check_equal({6, {1}, {true}, 1, 5, false}, {{1, 1}, {6, 1}}, 86);
    check_equal({6, {1, 2, 6}, {false}, 9, 5, true, false, false, 2}, {{1, 1}, {3, 1}}, 87);
    check_equal({4, {4}, {true}, 20, 5, false, false, false, 2}, {{1, 1}}, 88);
}

TEST_CASE("more samples than run at once are launched one after another") {
    // 16 + 3·3 blocks a clip, of 132
    const Shape shape{5, {1, 5}, {false, true}, 3, 4, true};
    check_equal(shape, {{12, 1}, {3, 4}, {1, 5}}, 89);
}

TEST_CASE("one sample that does not fit at once is a named error, and the next run is as it should be") {
    const Shape shape{5, {1, 5}, {false, true}, 3, 4, true};
    const Model model = random_model(shape, 90);
    std::mt19937 random(91);
    const std::vector<float> input = random_floats(2 * clip_floats(model.description), random);
    EmulatedEngine engine(model, {2, Precision::f16, 0}, kWhole);
    Results expected(model.description, 2, 1);
    engine.run(input.data(), 2, 1, expected.output());
    set_multiprocessors(12);  // 24 blocks
    Results none(model.description, 1, 1);
    cuda::Engine small(model, {2, Precision::f16, 0});
    small.force_schedule(kWhole);
    CHECK_THROWS_WITH_AS(small.run(input.data(), 1, 1, none.output()), doctest::Contains("the clips"), Error);
    set_multiprocessors(emulator::kManyMultiprocessors);
    Results found(model.description, 2, 1);
    engine.run(input.data(), 2, 1, found.output());
    CHECK(found == expected);
}

TEST_CASE("coordinates and actions that are refused leave no flags behind") {
    const Shape shape{7, {1, 7}, {false}, 3, 4, true};
    const Model model = random_model(shape, 92);
    const Description& d = model.description;
    std::mt19937 random(93);
    const std::vector<float> good = random_floats(2 * clip_floats(d), random);
    std::vector<float> bad = good;
    bad[clip_floats(d) + 5] = std::nanf("");
    const std::vector<std::int32_t> wrong{0, 1, 1, 2, 0, 1};
    EmulatedEngine engine(model, {2, Precision::f16, 0}, kWhole);
    Results expected(d, 2, 1);
    Results found(d, 2, 1);
    engine.run(good.data(), 2, 1, expected.output());
    CHECK_THROWS_AS(engine.run(bad.data(), 2, 1, found.output()), Error);
    engine.run(good.data(), 2, 1, found.output());
    CHECK(found == expected);
    CHECK_THROWS_AS(engine.run_forced(good.data(), wrong.data(), 2, 1, found.output()), Error);
    engine.run(good.data(), 2, 1, found.output());
    CHECK(found == expected);
}

TEST_CASE("blocks leave once they know that their frame takes another branch") {
    const Shape shape{7, {1, 7}, {false, true}, 3, 4, true};  // S-1, B-1, S-7, B-7
    const Model model = random_model(shape, 97);
    std::mt19937 random(98);
    const std::vector<float> input = random_floats(clip_floats(model.description), random);
    emulator::set_schedule({emulator::Order::ascending, 1});  // the policy's blocks come first
    const auto barrier_places = [&](int action) {
        const std::vector<std::int32_t> given(3, action);
        EmulatedEngine engine(model, {1, Precision::f16, 0}, kWhole);
        Results results(model.description, 1, 1);
        emulator::record_ordering_calls();
        engine.run_forced(input.data(), given.data(), 1, 1, results.output());
        int count = 0;
        for (const emulator::OrderingCall& call : emulator::ordering_calls()) {
            const std::string file = call.file;
            count += std::string(call.what) == "block_barrier" && file.substr(file.rfind('/') + 1) == "branch.h";
        }
        return count;
    };
    // Places in the source: coordinates, moved, hidden layers, d, queries, G; of blocks that go on sums, x1, x2, and
    // that x2 is done with.
    CHECK(barrier_places(3) == 6 + 4);
    CHECK(barrier_places(0) <= 6 + 1);  // x1, behind which B-1 looks for the first time
    emulator::set_schedule({});
}

TEST_CASE("a device with room for a clip's blocks takes whole clips by itself") {
    const Shape shape{7, {1, 7}, {false}, 3, 4, true};
    const Model model = random_model(shape, 99);
    const Description& d = model.description;
    std::mt19937 random(100);
    const std::vector<float> input = random_floats(clip_floats(d), random);
    EmulatedEngine launches(model, {1, Precision::f16, 0}, kLaunches);
    Results expected(d, 1, 1);
    launches.run(input.data(), 1, 1, expected.output());
    const int blocks = cuda::clip_blocks(d.frames, 2, true);
    for (const int multiprocessors : {blocks - 1, blocks}) {
        set_multiprocessors(multiprocessors);
        cuda::Engine engine(model, {1, Precision::f16, 0});
        CHECK(engine.on_device().schedule(d.frames).whole_clips == (multiprocessors == blocks));
        Results found(d, 1, 1);
        engine.run(input.data(), 1, 1, found.output());
        CHECK(found == expected);
    }
    set_multiprocessors(16);
}

TEST_CASE("what has no whole clips says so") {
    const Model adaptive = random_model(kShort22, 94);
    for (const auto& [model, precision] :
         {std::pair(adaptive, Precision::f32),
          std::pair(random_model({5, {}, {}, 3, 4, false, true}, 95), Precision::f16),
          std::pair(random_model({5, {5}, {false}, 33, 4, false}, 96), Precision::f16)}) {
        cuda::Engine engine(model, {1, precision, 0});
        CHECK_THROWS_WITH_AS(
            engine.force_schedule({!model.description.branches.front().pose(), TileRows::r32, TileRows::r32, true}),
            doctest::Contains("expected whole clips in f16"), Error);
    }
    cuda::Engine engine(adaptive, {1, Precision::f16, 0});
    CHECK_THROWS_WITH_AS(engine.force_schedule({false, TileRows::r32, TileRows::r32, true}),
                         doctest::Contains("expected whole clips in f16"), Error);
}
