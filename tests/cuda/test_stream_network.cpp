// A causal model on the emulated device, step by step, beside the CPU's.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "adasgn/cuda/stream_network.h"
#include "adasgn/engine.h"
#include "adasgn/load.h"
#include "adasgn/recogniser.h"
#include "copied_output.h"
#include "emulator.h"
#include "in_child.h"
#include "moving_body.h"
#include "random_model.h"
#include "reference.h"

using namespace adasgn;
using namespace adasgn::testing;
using cuda::Precision;
namespace emulator = cuda::emulator;

namespace {

// As shipped, smaller: a pose branch, rings of several lengths.
const Shape kOne{9, {}, {}, 17, 5, false, true, false, 1, CausalShape{{2, 4}, {1, 2, 4}, 3, 1}};
// Escalates; its temporal module classifies its newest row alone.
const Shape kTwo{12, {5}, {true}, 7, 3, false, true, true, 1, CausalShape{{1}, {2, 1}, 1, 0}};

std::unique_ptr<online::FrameNetwork> on_cpu(const Model& model, int slots) {
    adasgn::EngineOptions options;
    options.max_batch = slots;
    return online::continual_network(model, std::make_shared<Engine>(model, options), slots, nullptr, WeightType::f32);
}

// Both networks, given the same.
class Beside {
  public:
    Beside(const Model& model, int slots, Precision precision)
        : model_(model), cpu_(on_cpu(model, slots)), gpu_(cuda::stream_network(model, {slots, precision, 0})) {}

    // New frames of these slots; the largest difference of features and logits, relative to the CPU's largest.
    double step(const std::vector<int>& slots) {
        const Description& d = model_.description;
        const int count = static_cast<int>(slots.size());
        const std::vector<float> now = random_floats(count * d.joints * 3, random_);
        const std::vector<float> before = random_floats(count * d.joints * 3, random_);
        std::vector<std::int32_t> branches;
        for (int i = 0; i < count; ++i) {
            branches.push_back(static_cast<std::int32_t>(random_() % d.branches.size()));
        }
        std::vector<float> features(count * kFeature);
        std::vector<float> given(count * kFeature);
        cpu_->features(now.data(), before.data(), branches.data(), count, given.data());
        gpu_->features(now.data(), before.data(), branches.data(), count, features.data());
        const double spatial = relative_error({given.begin(), given.end()}, features.data());
        std::vector<float> logits(count * d.classes);
        std::vector<float> others(count * d.classes);
        cpu_->try_frames(slots.data(), count, given.data(), logits.data());
        gpu_->try_frames(slots.data(), count, features.data(), others.data());
        const double apart = relative_error({logits.begin(), logits.end()}, others.data());
        std::vector<float> again(features.size());
        std::vector<float> at_once(others.size());
        CHECK(
            gpu_->step(now.data(), before.data(), branches.data(), slots.data(), count, again.data(), at_once.data()));
        CHECK(again == features);
        CHECK(at_once == others);
        std::fill(at_once.begin(), at_once.end(), 0.0F);
        CHECK(gpu_->step(now.data(), before.data(), branches.data(), slots.data(), count, nullptr, at_once.data()));
        CHECK(at_once == others);
        return std::max(spatial, apart);
    }
    double kept_step(const std::vector<int>& slots) {
        const double difference = step(slots);
        both([&](online::FrameNetwork& network) { network.keep(slots.data(), static_cast<int>(slots.size())); });
        return difference;
    }
    template <class Call>
    void both(const Call& call) {
        call(*cpu_);
        call(*gpu_);
    }

  private:
    Model model_;
    std::unique_ptr<online::FrameNetwork> cpu_;
    std::unique_ptr<online::FrameNetwork> gpu_;
    std::mt19937 random_{5};
};

double bound(Precision precision) {
    return precision == Precision::f32 ? 1e-5 : 6e-3;
}

}  // namespace

TEST_CASE("every step is the CPU's: rings that come round, frames that are tried again, pasts that come and go") {
    for (const Shape* const shape : {&kOne, &kTwo}) {
        for (const Precision precision : {Precision::f32, Precision::f16}) {
            Beside networks(random_model(*shape, 3), 4, precision);
            double worst = 0;
            for (int t = 0; t < 2 * shape->frames; ++t) {
                worst = std::max(worst, networks.kept_step({2, 0}));
                worst = std::max(worst, networks.step({3}));
                worst = std::max(worst, networks.kept_step({3, 1}));  // 3 again, with another frame
                if (t == shape->frames) {
                    networks.both([](online::FrameNetwork& network) { network.reset(0); });
                }
                if (t == shape->frames + 2) {
                    networks.both([](online::FrameNetwork& network) { network.save(2); });
                }
                if (t == shape->frames + 6) {
                    networks.both([](online::FrameNetwork& network) { network.restore(2); });
                }
            }
            CHECK(worst < bound(precision));
            CHECK(worst > 0);  // two computations
        }
    }
}

TEST_CASE("groups of tracks: one is full, one is not, and more than run at once follow each other") {
    const Model model = random_model(kOne, 4);
    cuda::DeviceTraits few = emulator::default_traits();
    few.multiprocessors = 8;
    for (const bool small : {false, true}) {
        emulator::set_traits(small ? few : emulator::default_traits());
        for (const int count : {1, 16, 17, 33, 70}) {
            Beside networks(model, 70, Precision::f16);
            std::vector<int> slots(count);
            for (int i = 0; i < count; ++i) {
                slots[i] = (i * 31 + 3) % 70;
            }
            for (int t = 0; t < 2; ++t) {
                CHECK(networks.kept_step(slots) < bound(Precision::f16));
            }
        }
    }
    emulator::set_traits(emulator::default_traits());
}

TEST_CASE("the order of threads and blocks changes nothing") {
    const Model model = random_model(kOne, 6);
    std::mt19937 random(7);
    const std::vector<float> features = random_floats(20 * kFeature, random);
    std::vector<int> slots(20);
    for (int i = 0; i < 20; ++i) {
        slots[i] = 19 - i;
    }
    std::vector<float> expected;
    for (const emulator::Schedule& schedule : emulator::schedules()) {
        emulator::set_schedule(schedule);
        const auto network = cuda::stream_network(model, {20, Precision::f16, 0});
        std::vector<float> logits(20 * kOne.classes);
        for (int t = 0; t < 4; ++t) {
            network->try_frames(slots.data(), 20, features.data(), logits.data());
            network->keep(slots.data(), 20);
        }
        if (expected.empty()) {
            expected = logits;
        }
        CHECK(expected == logits);
    }
    emulator::set_schedule({});
    CHECK(emulator::findings().empty());
}

TEST_CASE("a recogniser on the device tells what one on the CPU tells") {
    const Shape shape{24, {11}, {false}, 10, 14, false, true, true, 1, CausalShape{{2, 4}, {1, 2}, 4, 1}};
    const Model model = lively_model(shape, 11);
    for (const float idle : {0.0F, 0.03F}) {
        RecogniserOptions options;
        options.max_tracks = 2;
        options.idle_motion = idle;
        Recogniser cpu = load_recogniser(model, options);
        Recogniser gpu = load_recogniser(model, options, "cuda", "f32");
        const MovingBody bodies[] = {{model.description.recorded_joints(), 12},
                                     {model.description.recorded_joints(), 13}};
        int steps = 0;
        int dearer = 0;
        for (std::int64_t stamp = 0; stamp < 4'000'000'000; stamp += 40'000'000) {
            const std::int64_t at = stamp % 1'000'000'000 < 700'000'000 ? stamp / 1'000'000'000 : stamp;  // at rest
            const std::vector<float> joints[] = {bodies[0].at(at), bodies[1].at(stamp)};
            const TrackInput tracks[] = {{7, joints[0].data()}, {8, joints[1].data()}};
            const bool trial = stamp / 40'000'000 % 5 == 3;
            for (int times = trial ? 2 : 1; times > 0; --times) {  // first without a change
                const CopiedOutput a = copy_output(cpu.push(stamp, tracks, 2, times == 1), 14);
                const CopiedOutput b = copy_output(gpu.push(stamp, tracks, 2, times == 1), 14);
                REQUIRE(a.results.size() == b.results.size());
                REQUIRE(a.events.size() == b.events.size());
                for (std::size_t i = 0; i < a.results.size(); ++i) {
                    CHECK(a.results[i].label == b.results[i].label);
                    CHECK(a.results[i].action == b.results[i].action);
                    CHECK(a.results[i].macs == b.results[i].macs);
                    CHECK(a.results[i].confidence == doctest::Approx(b.results[i].confidence).epsilon(1e-4));
                    steps += a.results[i].ready ? 1 : 0;
                    dearer += a.results[i].action > 0 ? 1 : 0;
                }
            }
        }
        CHECK(steps > 100);
        CHECK(dearer > 5);
        CHECK(dearer < steps);
        CHECK((cpu.stats().idle_steps > 5) == (idle > 0));
        CHECK(cpu.stats().idle_steps == gpu.stats().idle_steps);
    }
}

TEST_CASE("after fork the child is refused, and the driver is not called when it lets the network go") {
    const Model model = random_model(kOne, 9);
    const std::vector<float> joints(model.description.joints * 3, 0.5F);
    std::vector<float> features(kFeature);
    std::vector<float> logits(model.description.classes);
    const std::int32_t action = 0;
    const int slot = 0;
    auto network = cuda::stream_network(model, {1, Precision::f16, 0});
    const auto step = [&] { network->step(joints.data(), joints.data(), &action, &slot, 1, nullptr, logits.data()); };
    step();
    CHECK(in_child([&] {
              const bool all =
                  refused(step) &&
                  refused([&] { network->features(joints.data(), joints.data(), &action, 1, features.data()); }) &&
                  refused([&] { network->try_frames(&slot, 1, features.data(), logits.data()); }) &&
                  refused([&] { network->reset(0); }) && refused([&] { network->save(0); }) &&
                  refused([&] { network->restore(0); });
              network.reset();
              return all;
          }) == "as expected");
    step();
}

TEST_CASE("what does not fit is a named error, and the network goes on") {
    const Model model = random_model(kOne, 8);
    const auto message = [&](auto&& call) -> std::string {
        try {
            call();
        } catch (const Error& error) {
            return error.what();
        }
        return "no error";
    };
    cuda::DeviceTraits tiny = emulator::default_traits();
    tiny.multiprocessors = 1;
    emulator::set_traits(tiny);
    CHECK(message([&] {
              cuda::stream_network(model, {1, Precision::f32, 0});
          }).find("expected a GPU on which 16 blocks of the streaming kernel run at once, found ") !=
          std::string::npos);
    emulator::set_traits(emulator::default_traits());
    CHECK(message([&] {
              cuda::stream_network(random_model(kDense25, 1), {1, Precision::f16, 0});
          }) == "stream network: expected a causal model, found kind sgn");
    CHECK(message([&] {
              cuda::stream_network(model, {0, Precision::f16, 0});
          }).find("slots: expected") != std::string::npos);
    CHECK(message([&] {
              cuda::stream_network(model, {1, Precision::f16, 3});
          }).find("expected a GPU below 1") != std::string::npos);
    RecogniserOptions options;
    options.exact = true;
    CHECK(message([&] { load_recogniser(model, options, "cuda"); }) ==
          "mode: expected continual on a device other than the CPU, found exact");
    options = {};
    options.weights = WeightType::bf16;
    CHECK(message([&] { load_recogniser(model, options, "cuda"); }).find("weights: expected f32") == 0);
    CHECK(message([&] { load_recogniser(model, {}, "gpu"); }).find("device: expected cpu, cuda or cuda:<index>") == 0);
    CHECK(message([&] { load_recogniser(model, {}, "cpu", "f16"); }) ==
          "precision: expected f32 on the CPU, found f16");

    Beside networks(model, 2, Precision::f32);
    const int frame = model.description.joints * 3;
    networks.both([&](online::FrameNetwork& network) {
        std::vector<float> joints(2 * frame, 1.0F);
        std::vector<float> features(2 * kFeature);
        const std::int32_t actions[] = {0, 0};
        joints[frame + 4] = std::numeric_limits<float>::quiet_NaN();
        const std::string said =
            message([&] { network.features(joints.data(), joints.data(), actions, 2, features.data()); });
        CHECK(said.find("frames: expected finite values of at most 10000, found nan") == 0);
        std::vector<float> logits(2 * model.description.classes);
        const int slots[] = {0, 1};
        for (const auto& [at, what] : {std::pair(0, "frames: "), std::pair(1, "previous frames: ")}) {
            std::vector<float> sound(2 * frame, 1.0F);
            const float* const given[] = {at == 0 ? joints.data() : sound.data(),
                                          at == 1 ? joints.data() : sound.data()};
            bool is_done = true;
            const std::string told =
                message([&] { is_done = network.step(given[0], given[1], actions, slots, 2, nullptr, logits.data()); });
            CHECK((!is_done || told.find(what) == 0));
        }
        features[3] = 1e30F;
        CHECK(message([&] { network.try_frames(slots, 2, features.data(), logits.data()); }).find("features: ") == 0);
    });
    CHECK(networks.kept_step({0, 1}) < bound(Precision::f32));
}
