// The CUDA engine on the emulated device in both precisions and under every schedule, for tests.
#pragma once

#include <doctest/doctest.h>

#include <vector>

#include "adasgn/cuda/engine.h"
#include "emulator.h"
#include "engine_cases.h"

namespace adasgn::testing {

using cuda::Precision;
using cuda::TileRows;

// An engine that at its end has left no finding of the emulator's instruments.
class EmulatedEngine : public cuda::Engine {
  public:
    EmulatedEngine(const Model& model, const cuda::EngineOptions& options, const cuda::Schedule& schedule)
        : cuda::Engine(model, options) {
        if (schedule.block_per_frame && !on_device().has_frame_blocks()) {
            CHECK_THROWS_WITH_AS(force_schedule(schedule), doctest::Contains("schedule: expected tiles"), Error);
            return;  // by tiles then
        }
        if (schedule.whole_clips) {
            if (!on_device().has_whole_clips()) {
                CHECK_THROWS_WITH_AS(force_schedule(schedule), doctest::Contains("expected whole clips"), Error);
                return;  // as it chooses itself then
            }
            cuda::DeviceTraits large = cuda::emulator::default_traits();
            large.multiprocessors = cuda::emulator::kManyMultiprocessors;
            cuda::emulator::set_traits(large);
        }
        force_schedule(schedule);
    }
    ~EmulatedEngine() {
        cuda::emulator::set_traits(cuda::emulator::default_traits());
        for (const cuda::emulator::Finding& finding : cuda::emulator::findings()) {
            FAIL_CHECK(finding.text);
        }
        CHECK(cuda::emulator::check_guards() == "");
    }
};

// The paper's branches on clips of 8 frames: a clip has several tiles of 32 and of 64 rows, two have several of 128,
// and the last tile is not full. Twenty frames show no more, and the emulator is slow.
inline const Shape kShort22{22, {1, 11, 22}, {false, true}, 8, 14, true};

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

inline const std::vector<Emulated> kBackends = {
    {Precision::f32, {true, TileRows::r32, TileRows::r32}, "f32, a block per frame"},
    {Precision::f32, {false, TileRows::r32, TileRows::r32}, "f32, tiles of 32 rows"},
    {Precision::f32, {false, TileRows::r32, TileRows::r64}, "f32, temporal tiles of 64 rows"},
    {Precision::f16, {true, TileRows::r32, TileRows::r32}, "f16, a block per frame"},
    {Precision::f16, {true, TileRows::r32, TileRows::r32, true}, "f16, whole clips"},
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

// One of each precision and kind, the smallest and the largest tiles among them: for what does not depend on how many
// rows a tile has.
template <class Check>
void with_each_way(const Check& check) {
    for (const int index : {0, 1, 3, 4, 7}) {
        INFO(kBackends[index].name);
        check(kBackends[index]);
    }
}

}  // namespace adasgn::testing
