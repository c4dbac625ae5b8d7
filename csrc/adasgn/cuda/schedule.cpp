#include "adasgn/cuda/schedule.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace adasgn::cuda {

namespace {

// What a multiprocessor's work takes, in units of a tile of 32 rows, as measured on an H100 in binary16 with the frames
// of SHREC'17 (bench/results/gpu): a whole wave of tiles, on the clock from the first to the last. The ratios are those
// of multiply-adds and of what a tile waits for, so they are taken for other devices too.
constexpr double kTile32 = 1.0;
constexpr double kTile64 = 1.65;
constexpr double kTile128 = 2.9;
constexpr double kFrame = 0.92;        // a block per frame: one frame's branch
constexpr double kFramePolicy = 0.10;  // and before it the policy, in the same block
constexpr double kRouter = 0.35;       // the policy and the router, a launch before the tiles

// A pose branch: a wave of blocks that have 32 frames and 16 columns, both layers, against one of tiles. By the bytes
// that each fetches and what it multiplies; not measured yet.
constexpr double kPoseSplit = 1.0;
constexpr double kPose64 = 7.0;
constexpr double kPose128 = 12.0;

// Samples of many that are expected to go on to the next level, of a model that escalates.
constexpr double kUnsure = 1.0 / 3;

// Clips, as a part of the multiprocessors, up to which the temporal module divides a clip among blocks; above it high
// tiles read the weights less often.
constexpr double kSplitClips = 1.0 / 6;
constexpr double kHighTemporal = 1.0;  // clips a multiprocessor from which on tiles of 128 rows are better than of 64

constexpr int kPolicyBlocks = 2;  // of the policy's kernel that a multiprocessor runs at once or nearly so

// Of a wave that is expected to be so little full, the tiles are those of the cheapest branch, and seldom there.
constexpr double kSeldom = 0.15;

// Blocks that are all alike run in waves, one on each multiprocessor. seldom: the part of a wave that counts for none.
double waves(double blocks, const DeviceTraits& device, double seldom = 0) {
    return std::max(1.0, std::ceil(blocks / device.multiprocessors - seldom));
}

TileRows temporal_rows(const Workload& model, Precision precision, const DeviceTraits& device, int frames) {
    const double clips = static_cast<double>(frames) / model.clip_frames;
    if (model.clip_frames <= kSplitFrames && clips <= std::max(1.0, kSplitClips * device.multiprocessors)) {
        return TileRows::r32;
    }
    const TileRows highest = highest_temporal_tile(precision);
    const bool fits = model.clip_frames + kTaps - 1 <= static_cast<int>(TileRows::r64);
    return fits && clips < kHighTemporal * device.multiprocessors ? TileRows::r64 : highest;
}

}  // namespace

double expected_tiles(const Workload& model, TileRows rows, int frames) {
    const auto branches = static_cast<int>(model.joints.size());
    const int first = model.joints.size() > 1 ? 1 : 0;
    double tiles = 0;
    for (int branch = first; branch < branches; ++branch) {
        // Shares that are not known: all alike, but the policy's own branch, of which there is no tile.
        const double share = model.shares.empty() ? 1.0 / (branches - first) : model.shares[branch];
        const double expected = share * frames;
        const int size = frames_of_tile(rows, model.joints[branch]);
        if (branches - first == 1 && model.shares.empty()) {
            tiles += std::ceil(expected / size);
        } else {
            tiles += expected / size + 0.5 * (1 - std::exp(-expected));
        }
    }
    return tiles;
}

TileRows pose_rows(Precision precision, const DeviceTraits& device, int frames) {
    if (precision == Precision::f32) {
        return TileRows::r32;
    }
    const auto wave_of = [&](TileRows rows, int blocks, double cost) {
        const int size = static_cast<int>(rows);
        return waves(static_cast<double>((frames + size - 1) / size) * blocks, device) * cost;
    };
    TileRows best = TileRows::r32;
    double least = wave_of(best, kFeature / kBlock, kPoseSplit);
    const TileRows highest = highest_branch_tile(precision, device.shared_per_block);
    for (const auto& [rows, cost] : {std::pair(TileRows::r64, kPose64), std::pair(TileRows::r128, kPose128)}) {
        const double waited = wave_of(rows, 1, cost);
        if (rows <= highest && waited < least) {
            least = waited;
            best = rows;
        }
    }
    return best;
}

int policy_rows(const DeviceTraits& device, int frames) {
    // Low blocks end soonest, as long as all run at once or nearly so.
    for (const int rows : {kFewPolicyRows, kMorePolicyRows}) {
        if (frames <= (rows - 2) * kPolicyBlocks * device.multiprocessors) {
            return rows;
        }
    }
    return kManyPolicyRows;
}

Schedule choose_level(const Workload& model, int level, Precision precision, const DeviceTraits& device, int frames) {
    Workload alone{};
    alone.clip_frames = model.clip_frames;
    alone.joints = {model.joints[level]};
    alone.pose = model.pose && level == 0;
    alone.has_frame_blocks = !alone.pose;
    const double clips = static_cast<double>(frames) / model.clip_frames * (level == 0 ? 1 : kUnsure);
    return choose_schedule(alone, precision, device, static_cast<int>(std::ceil(clips)) * model.clip_frames);
}

Schedule choose_schedule(const Workload& model, Precision precision, const DeviceTraits& device, int frames) {
    Schedule best{};
    best.temporal_rows = temporal_rows(model, precision, device, frames);
    if (model.pose && model.joints.size() == 1) {
        best.branch_rows = pose_rows(precision, device, frames);
        return best;
    }
    double least = 0;
    const TileRows highest = highest_branch_tile(precision, device.shared_per_block);
    const struct {
        TileRows rows;
        double cost;
    } tiles[] = {{TileRows::r32, kTile32}, {TileRows::r64, kTile64}, {TileRows::r128, kTile128}};
    for (const auto& [rows, cost] : tiles) {
        if (rows > highest) {
            break;
        }
        const double waited = waves(expected_tiles(model, rows, frames), device, model.adaptive ? kSeldom : 0) * cost;
        const double total = waited + (model.adaptive ? kRouter : 0);
        if (least == 0 || total < least) {
            least = total;
            best.branch_rows = rows;
        }
    }
    if (model.has_frame_blocks) {
        const double total = waves(frames, device) * kFrame + (model.adaptive ? kFramePolicy : 0);
        best.block_per_frame = total < least;
    }
    return best;
}

}  // namespace adasgn::cuda
