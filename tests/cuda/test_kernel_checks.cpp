// The CUDA kernels with every access checked (docs/emulator.md): nothing is found in them as they are, and whichever of
// their barriers and waits is left out, its absence is found.
#include <doctest/doctest.h>

#include <cstring>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "adasgn/cuda/engine.h"
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
    all.push_back({Precision::f16, {false, TileRows::r64, TileRows::r64}, routed});
    all.push_back({Precision::f16, {false, TileRows::r128, TileRows::r128}, routed});
    all.push_back({Precision::f16, {false, TileRows::r64, TileRows::r64}, posed});
    const Shape levels{5, {3, 5}, {false}, 3, 4, false, true, true, 2};
    all.push_back({Precision::f16, {true, TileRows::r32, TileRows::r32}, levels});
    all.push_back({Precision::f16, {false, TileRows::r32, TileRows::r64}, levels});
    all.push_back({Precision::f16, {false, TileRows::r64, TileRows::r32}, pose});
    all.push_back({Precision::f16, {false, TileRows::r128, TileRows::r32}, pose});
    for (std::size_t i = 0; i < all.size(); ++i) {
        all[i].order = kOrders[i % std::size(kOrders)];
    }
    return all;
}

// All modes; what the emulator finds ends a run and is returned, else empty.
std::string run(const Scenario& scenario) {
    emulator::set_schedule(scenario.order);
    const Model model = random_model(scenario.shape, 1);
    const Description& d = model.description;
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
    CHECK(calls.size() >= 15);
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
}
