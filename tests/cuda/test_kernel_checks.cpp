// The CUDA kernels with every access checked (docs/emulator.md): nothing is found in them as they are, and whichever of
// their barriers and waits is left out, its absence is found.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "adasgn/cuda/engine.h"
#include "adasgn/cuda/stream_network.h"
#include "emulator.h"
#include "random_model.h"

using namespace adasgn;
using namespace adasgn::testing;
using cuda::Precision;
using cuda::TileRows;
namespace emulator = cuda::emulator;

namespace {

struct Scenario {
    Precision precision;
    cuda::Schedule schedule;
    Shape shape;
    emulator::Schedule order = {};
};

const emulator::Schedule kOrders[] = {
    {emulator::Order::ascending, 1}, {emulator::Order::descending, 1}, {emulator::Order::random, 7}};

// Small models of all branch shapes: one joint, up to 16, more than 16.
std::vector<Scenario> scenarios() {
    const Shape routed{19, {1, 5, 19}, {false, true}, 3, 4, true};
    const Shape several{12, {6, 12}, {false, true}, 3, 4, true};  // the policy's branch has several joints
    const Shape dense{5, {5}, {true}, 3, 4, false};
    const Shape wide{37, {1, 4}, {false}, 3, 4, true};  // more joints than are staged at a time
    const Shape pose{45, {}, {}, 3, 4, false, true};    // likewise, more inputs
    const Shape posed{5, {5}, {false}, 3, 4, true, true, false, 2};
    std::vector<Scenario> all;
    for (const Shape* const shape : {&routed, &several, &dense, &wide, &pose, &posed}) {
        for (const Precision precision : {Precision::f32, Precision::f16}) {
            if (shape != &several && shape != &pose) {
                all.push_back({precision, {true, TileRows::r32, TileRows::r32}, *shape});
            }
            all.push_back({precision, {false, TileRows::r32, TileRows::r32}, *shape});
        }
    }
    const Shape many{5, {1, 5}, {false}, 17, 3, true};  // more policy blocks than have the temporal module's columns
    const Shape strided{4, {4}, {false}, 3, 3, false, false, false, 2};
    for (const Shape* const shape : {&routed, &dense, &wide, &many, &strided}) {
        for (int orders = 0; orders < 2; ++orders) {
            all.push_back({Precision::f16, {true, TileRows::r32, TileRows::r32, true}, *shape});
        }
    }
    all.push_back({Precision::f16, {false, TileRows::r64, TileRows::r64}, routed});
    all.push_back({Precision::f16, {false, TileRows::r128, TileRows::r128}, routed});
    all.push_back({Precision::f16, {false, TileRows::r64, TileRows::r64}, posed});
    const Shape levels{5, {3, 5}, {false}, 3, 4, false, true, true, 2};
    all.push_back({Precision::f16, {true, TileRows::r32, TileRows::r32}, levels});
    for (const Precision precision : {Precision::f32, Precision::f16}) {
        all.push_back({precision, {false, TileRows::r32, TileRows::r64}, levels});
    }
    all.push_back({Precision::f16, {false, TileRows::r64, TileRows::r32}, pose});
    all.push_back({Precision::f16, {false, TileRows::r128, TileRows::r32}, pose});
    const Shape causal{7, {}, {}, 7, 3, false, true, false, 1, CausalShape{{1}, {2, 1}, 1, 0}};
    const Shape pooled{45, {}, {}, 5, 3, false, true, false, 1, CausalShape{{1}, {1}, 3, 0}};
    for (const Precision precision : {Precision::f32, Precision::f16}) {
        for (int orders = 0; orders < 2; ++orders) {
            all.push_back({precision, {}, causal});
            all.push_back({precision, {}, pooled});
        }
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
        all[i].order = kOrders[i % std::size(kOrders)];
    }
    return all;
}

// Steps of a stream, of two groups of tracks and of one.
void run_stream(const Model& model, Precision precision) {
    constexpr int kTracks = 33;
    const Description& d = model.description;
    const std::unique_ptr<online::FrameNetwork> network = cuda::stream_network(model, {kTracks, precision, 0});
    std::mt19937 random(2);
    const std::vector<float> frames = random_floats(kTracks * d.joints * kCoordinates, random);
    const std::vector<std::int32_t> branches(kTracks);
    std::vector<float> features(kTracks * kFeature);
    std::vector<float> logits(kTracks * d.classes);
    std::vector<int> slots(kTracks);
    std::iota(slots.begin(), slots.end(), 0);
    for (const int count : {kTracks, 3, 3}) {
        network->features(frames.data(), frames.data(), branches.data(), count, features.data());
        network->try_frames(slots.data(), count, features.data(), logits.data());
        network->step(frames.data(), frames.data(), branches.data(), slots.data(), count, features.data(),
                      logits.data());
        network->keep(slots.data(), count);
    }
}

// All modes; what the emulator finds ends a run and is returned, else empty.
std::string run(const Scenario& scenario) {
    emulator::set_schedule(scenario.order);
    cuda::DeviceTraits device = emulator::default_traits();
    device.multiprocessors = scenario.schedule.whole_clips ? emulator::kManyMultiprocessors : device.multiprocessors;
    emulator::set_traits(device);
    const Model model = random_model(scenario.shape, 1);
    const Description& d = model.description;
    if (d.causal) {
        try {
            run_stream(model, scenario.precision);
        } catch (const Error& error) {
            return error.what();
        }
        return emulator::findings().empty() ? "" : emulator::findings().front().text;
    }
    std::mt19937 random(2);
    const std::vector<float> clips = random_floats(2 * d.frames * d.joints * kCoordinates, random);
    std::vector<std::int32_t> actions;
    for (int i = 0; i < 2 * d.frames; ++i) {
        actions.push_back(i % static_cast<int>(d.branches.size()));
    }
    std::vector<float> logits(2 * d.classes);
    try {
        cuda::Engine engine(model, {2, scenario.precision, 0});
        engine.force_schedule(scenario.schedule);
        engine.run_forced(clips.data(), actions.data(), 2, 1, {logits.data()});
        engine.run(clips.data(), 1, 2, {logits.data()});
        if (d.escalates) {
            engine.run(clips.data(), 2, 1, {logits.data()}, 2.0F);  // all samples to the last level
        }
        engine.run_fuse(clips.data(), 2, 1, {logits.data()});
    } catch (const Error& error) {
        return error.what();
    }
    return emulator::findings().empty() ? "" : emulator::findings().front().text;
}

}  // namespace

TEST_CASE("every access is in bounds, initialised and ordered; each barrier and wait is needed, its absence is found") {
    REQUIRE(emulator::checks_accesses());
    struct Call {
        emulator::OrderingCall call;
        std::vector<Scenario> reached_by;
    };
    std::map<std::string, Call> calls;
    for (const Scenario& scenario : scenarios()) {
        emulator::record_ordering_calls();
        CHECK(run(scenario) == "");
        emulator::clear_findings();
        for (const emulator::OrderingCall& call : emulator::ordering_calls()) {
            const char* const name = std::strrchr(call.file, '/');
            const std::string place = std::string(call.what) + " at " + (name == nullptr ? call.file : name + 1) + ":" +
                                      std::to_string(call.line);
            calls.try_emplace(place, Call{call, {}}).first->second.reached_by.push_back(scenario);
        }
    }
    CHECK(calls.size() >= 80);
    for (const auto& [place, of_place] : calls) {
        emulator::omit(&of_place.call);
        std::string found;
        for (const Scenario& scenario : of_place.reached_by) {
            found = run(scenario);
            emulator::clear_findings();
            if (!found.empty()) {
                break;
            }
        }
        emulator::omit(nullptr);
        MESSAGE("without " << place << ": " << (found.empty() ? "NOTHING FOUND" : found));
        CHECK_MESSAGE(!found.empty(), place);
    }
    emulator::set_schedule({});
    emulator::set_traits(emulator::default_traits());
}

TEST_CASE("clips that another stream writes are read in order if the engine is told to wait, else the race is found") {
    REQUIRE(emulator::checks_accesses());
    const Model model = random_model({5, {5}, {true}, 3, 2, false}, 3);
    std::mt19937 random(4);
    const std::vector<float> clip = random_floats(3 * 5 * 3, random);
    const auto run_after = [&](const auto& wait) -> std::string {
        cuda::Engine engine(model, {1, Precision::f32, 0});
        const cuda::OwnStream side;
        const cuda::DeviceMemory<float> there(clip.size());
        const cuda::PinnedMemory<float> here(clip.size());
        std::copy(clip.begin(), clip.end(), here.data());
        float logits[2];
        std::string found;
        try {
            cuda::expect_ok(cuda::copy_to_device(there.data(), here.data(), clip.size() * sizeof(float), side.get()),
                            "copy");
            wait(engine, side.get());
            engine.run_device(cuda::Engine::Mode::adaptive, there.data(), nullptr, 1, 1, {logits});
        } catch (const Error& error) {
            found = error.what();
        }
        cuda::expect_ok(cuda::synchronise_device(), "a run");
        emulator::clear_findings();
        return found;
    };
    CHECK(run_after([](cuda::Engine&, cuda::Stream) {}).find("with no event or synchronise between") !=
          std::string::npos);
    CHECK(run_after([](cuda::Engine& engine, cuda::Stream side) { engine.wait_for(side); }) == "");
    CHECK(run_after([](cuda::Engine& engine, cuda::Stream) { engine.wait_for_device(); }) == "");
}
