// Which kernels a batch runs on: choices against what was measured, and what must hold for any device.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "adasgn/cuda/schedule.h"

using namespace adasgn;
using cuda::Precision;
using cuda::Schedule;
using cuda::TileRows;

namespace {

const cuda::DeviceTraits kH100{"H100", 90, 132, 232448, 233472};
const cuda::DeviceTraits kOrinNano{"Orin Nano", 87, 8, 166912, 167936};
const cuda::DeviceTraits kAgxOrin{"AGX Orin", 87, 16, 166912, 167936};
const cuda::DeviceTraits kAda{"a card with 99 KB a block", 89, 128, 101376, 102400};

// SHREC's AdaSGN, with the shares that its model file has, and dense SGN beside it.
const std::vector<int> kJoints{1, 1, 11, 11, 22, 22};
const std::vector<bool> kBig{false, true, false, true, false, true};
const cuda::Workload kAdaptive{20, true, true, false, kJoints, kBig, {0.110, 0.138, 0.380, 0.344, 0.015, 0.014}};
const cuda::Workload kDense{20, false, true, false, {22}, {true}, {}};

std::string text(const Schedule& schedule) {
    const std::string rows = std::to_string(static_cast<int>(schedule.branch_rows));
    const std::string way = schedule.whole_clips ? "whole" : schedule.block_per_frame ? "frames" : rows;
    return way + ", " + std::to_string(static_cast<int>(schedule.temporal_rows));
}

std::string chosen(const cuda::Workload& model, const cuda::DeviceTraits& device, int clips) {
    return text(choose_schedule(model, Precision::f16, device, clips * model.clip_frames));
}

}  // namespace

// Of one clip with a policy it is predicted.
TEST_CASE("on an H100 the choice is the fastest that was measured, or as fast") {
    struct Measured {
        int clips;
        const char* adaptive;
        const char* dense;
    };
    const Measured measured[] = {
        {1, "whole, 32", "frames, 32"}, {2, "frames, 32", "frames, 32"}, {4, "frames, 32", "frames, 32"},
        {8, "32, 32", "64, 32"},        {16, "32, 32", "frames, 32"},    {32, "64, 64", "128, 64"},
        {256, "128, 128", "128, 128"},  {1024, "128, 128", "128, 128"},
    };
    for (const Measured& one : measured) {
        CAPTURE(one.clips);
        CHECK(chosen(kAdaptive, kH100, one.clips) == one.adaptive);
        CHECK(chosen(kDense, kH100, one.clips) == one.dense);
    }
}

TEST_CASE("whole clips where all their blocks find a multiprocessor of their own, of a policy in binary16") {
    CHECK(cuda::clip_blocks(20, 6, true) == 120);
    CHECK(cuda::clip_blocks(20, 1, false) == 36);
    CHECK(cuda::clip_blocks(8, 3, true) == 16 + 16);
    const cuda::Workload three{20, true, true, false, {1, 11, 22}, {false, true, true}, {0.2, 0.5, 0.3}};
    CHECK(chosen(three, kH100, 2) == "whole, 32");  // 2 x 60 blocks
    CHECK(chosen(three, kH100, 3) == "frames, 32");
    CHECK(chosen(three, kAgxOrin, 1) != "whole, 32");
    CHECK(chosen(kAdaptive, {"H100 PCIe", 90, 114, 232448, 233472}, 1) == "frames, 32");
    CHECK(!choose_schedule(three, Precision::f32, kH100, 20).whole_clips);
}

TEST_CASE("few multiprocessors: tiles stay low as long as the work is shared out") {
    CHECK(chosen(kAdaptive, kOrinNano, 1) == "32, 32");  // nine tiles on eight multiprocessors, most of them short
    CHECK(chosen(kAdaptive, kOrinNano, 2) == "64, 64");
    CHECK(chosen(kAdaptive, kOrinNano, 4) == "64, 64");
    CHECK(chosen(kAdaptive, kAgxOrin, 4) == "64, 64");
    CHECK(chosen(kAdaptive, kAgxOrin, 8) == "64, 64");
    CHECK(chosen(kAdaptive, kOrinNano, 64) == "128, 128");
}

TEST_CASE("what tiles take: waves of those that are alike, else the longest or the work shared out") {
    CHECK(tiles_cost(kDense, TileRows::r32, kOrinNano, 20) == doctest::Approx(3));
    CHECK(tiles_cost(kDense, TileRows::r64, kOrinNano, 20) == doctest::Approx(2 * 1.65));
    cuda::Workload one_branch = kAdaptive;
    one_branch.shares = {0, 0, 0, 1, 0, 0};
    CHECK(tiles_cost(one_branch, TileRows::r128, kH100, 20) == doctest::Approx(2.9));
    CHECK(tiles_cost(one_branch, TileRows::r32, kOrinNano, 80) == doctest::Approx((40.5 + 0.5 * 7) / 8));
    one_branch.shares = {0, 1, 0, 0, 0, 0};  // big, of one joint
    CHECK(tiles_cost(one_branch, TileRows::r32, kH100, 20) == doctest::Approx(0.7));
    one_branch.shares = {0.5, 0, 0.5, 0, 0, 0};  // small, of several
    CHECK(tiles_cost(one_branch, TileRows::r32, kH100, 20) == doctest::Approx(0.6));
}

TEST_CASE("the policy's blocks are as low as all run at once: one of the lowest on a multiprocessor, two of others") {
    CHECK(policy_rows(kOrinNano, 16) == cuda::kFewPolicyRows);
    CHECK(policy_rows(kOrinNano, 17) == cuda::kMorePolicyRows);
    CHECK(policy_rows(kOrinNano, 96) == cuda::kMorePolicyRows);
    CHECK(policy_rows(kOrinNano, 97) == cuda::kManyPolicyRows);
    CHECK(policy_rows(kAgxOrin, 20) == cuda::kFewPolicyRows);
    CHECK(policy_rows(kH100, 264) == cuda::kFewPolicyRows);
    CHECK(policy_rows(kH100, 1280) == cuda::kMorePolicyRows);
}

TEST_CASE("a pose branch divides its columns among blocks until high tiles are better; in f32 always") {
    const cuda::Workload pose{20, false, false, true, {1}, {false}, {}};
    struct Expected {
        const cuda::DeviceTraits& device;
        int clips;
        TileRows rows;
    };
    for (const auto& [device, clips, rows] :
         {Expected{kH100, 1, TileRows::r32}, Expected{kH100, 64, TileRows::r32}, Expected{kH100, 256, TileRows::r64},
          Expected{kH100, 512, TileRows::r128}, Expected{kOrinNano, 1, TileRows::r32},
          Expected{kOrinNano, 16, TileRows::r64}, Expected{kAda, 1024, TileRows::r64}}) {
        CAPTURE(device.name);
        CAPTURE(clips);
        const Schedule schedule = choose_schedule(pose, Precision::f16, device, 20 * clips);
        CHECK(schedule.branch_rows == rows);
        CHECK(!schedule.block_per_frame);
        CHECK(choose_schedule(pose, Precision::f32, device, 20 * clips).branch_rows == TileRows::r32);
    }
}

TEST_CASE("a level is chosen for as many samples as are expected there") {
    const cuda::Workload levels{20, false, false, true, {1, 22}, {false, true}, {}};
    CHECK(text(choose_level(levels, 0, Precision::f16, kH100, 20)) == "32, 32");
    CHECK(text(choose_level(levels, 1, Precision::f16, kH100, 20 * 3)) == chosen(kDense, kH100, 1));
    CHECK(text(choose_level(levels, 1, Precision::f16, kH100, 20 * 96)) == chosen(kDense, kH100, 32));
}

TEST_CASE("what a device or a model cannot do is not chosen") {
    cuda::Workload several = kAdaptive;
    several.may_take_frame_blocks = false;
    cuda::Workload longer = kAdaptive;
    longer.clip_frames = 50;
    cuda::Workload longest = kAdaptive;
    longest.clip_frames = 100;
    for (const auto* const device : {&kH100, &kOrinNano, &kAgxOrin, &kAda}) {
        for (int clips = 1; clips <= 4096; clips += 1 + clips / 3) {
            CAPTURE(device->name);
            CAPTURE(clips);
            for (const Precision precision : {Precision::f16, Precision::f32}) {
                const Schedule schedule = choose_schedule(several, precision, *device, 20 * clips);
                CHECK(!schedule.block_per_frame);
                CHECK(schedule.branch_rows <= highest_branch_tile(precision, device->shared_per_block));
                CHECK(schedule.temporal_rows <= cuda::highest_temporal_tile(precision));
            }
            CHECK(choose_schedule(longer, Precision::f16, *device, 50 * clips).temporal_rows >= TileRows::r64);
            CHECK(choose_schedule(longest, Precision::f16, *device, 100 * clips).temporal_rows == TileRows::r128);
        }
    }
}

TEST_CASE("shares decide: where all frames take cheap branches, tiles stay few and so stay low") {
    cuda::Workload cheap = kAdaptive;
    cheap.shares = {0.5, 0.5, 0, 0, 0, 0};
    CHECK(tiles_cost(cheap, TileRows::r32, kOrinNano, 640) <
          0.1 * tiles_cost(kAdaptive, TileRows::r32, kOrinNano, 640));
    CHECK(chosen(cheap, kH100, 32) == "32, 64");
    cuda::Workload unknown = kAdaptive;
    unknown.shares.clear();
    CHECK(tiles_cost(unknown, TileRows::r64, kH100, 640) > tiles_cost(kAdaptive, TileRows::r64, kH100, 640));
}
