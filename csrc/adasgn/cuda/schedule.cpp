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

// A tile of another branch against one of a big branch of several joints, by the predictions of bench/predict.
constexpr double kSmall = 0.6;
constexpr double kOneJoint = 0.7;

// When tiles differ, a part of the cheapest, which come last, that multiprocessors wait for each other on average.
constexpr double kLast = 0.5;
// A branch of which fewer tiles than this are expected is seldom there, and makes no run longer.
constexpr double kSeldom = 0.5;

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

// Blocks of the policy's kernel that a multiprocessor runs at once, by its registers: of the lowest, and of others.
constexpr int kFewPolicyBlocks = 1;
constexpr int kPolicyBlocks = 2;

// Blocks that are all alike run in waves, one on each multiprocessor.
double waves(double blocks, const DeviceTraits& device) {
    return std::max(1.0, std::ceil(blocks / device.multiprocessors));
}

// The first branch of which there are tiles: of the policy's own the features are there, and a pose branch has none.
int first_with_tiles(const Workload& model) {
    return model.joints.size() > 1 ? 1 : 0;
}

// Whether all frames that come in tiles take one branch.
bool alike(const Workload& model) {
    return model.shares.empty() && static_cast<int>(model.joints.size()) - first_with_tiles(model) == 1;
}

// Tiles of a branch that so many frames are expected to make: its share of them, and half a tile more, which is what is
// empty of the last one, if there is a frame at all.
double expected_tiles(const Workload& model, int branch, TileRows rows, int frames) {
    const int with_tiles = static_cast<int>(model.joints.size()) - first_with_tiles(model);
    const double share = model.shares.empty() ? 1.0 / with_tiles : model.shares[branch];
    const double expected = share * frames;
    const double tiles = expected / frames_of_tile(rows, model.joints[branch]);
    return alike(model) ? std::ceil(tiles) : tiles + 0.5 * (1 - std::exp(-expected));
}

// What a tile of a branch takes against one of a big branch of several joints.
double kind_cost(const Workload& model, int branch) {
    return (model.big[branch] ? 1 : kSmall) * (model.joints[branch] == 1 ? kOneJoint : 1);
}

// What a block per frame takes, in units of a tile of 32 rows of a big branch: the policy in all, then waves of those
// that take another branch than its own, as long as the longest of them.
double frames_cost(const Workload& model, const DeviceTraits& device, int frames) {
    if (!model.adaptive) {
        return waves(frames, device) * kFrame * kind_cost(model, 0);
    }
    const int count = static_cast<int>(model.joints.size());
    const auto expected = [&](int branch) {
        return frames * (model.shares.empty() ? 1.0 / count : model.shares[branch]);
    };
    double longest = 0;
    for (int branch = 1; branch < count; ++branch) {
        longest = expected(branch) >= kSeldom ? std::max(longest, kind_cost(model, branch)) : longest;
    }
    longest = longest == 0 ? kSmall * kOneJoint : longest;
    return waves(frames, device) * kFramePolicy + waves(frames - expected(0), device) * kFrame * longest;
}

double height_cost(TileRows rows) {
    return rows == TileRows::r32 ? kTile32 : rows == TileRows::r64 ? kTile64 : kTile128;
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

bool has_whole_clips(const Workload& model, Precision precision) {
    return precision == Precision::f16 && model.may_take_frame_blocks && !model.pose &&
           model.clip_frames <= kSplitFrames;
}

double tiles_cost(const Workload& model, TileRows rows, const DeviceTraits& device, int frames) {
    const int first = first_with_tiles(model);
    const int end = static_cast<int>(model.joints.size());
    if (end - first == 1) {
        return waves(expected_tiles(model, first, rows, frames), device) * height_cost(rows) * kind_cost(model, first);
    }
    double work = 0;
    double longest = 0;
    double last = 0;
    for (int branch = first; branch < end; ++branch) {
        const double cost = height_cost(rows) * kind_cost(model, branch);
        const double tiles = expected_tiles(model, branch, rows, frames);
        work += tiles * cost;
        if (tiles >= kSeldom) {
            longest = std::max(longest, cost);
            last = last == 0 ? cost : std::min(last, cost);
        }
    }
    const int units = device.multiprocessors;
    return std::max(longest, (work + kLast * last * (units - 1)) / units);
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
    // Low blocks end soonest, as long as all run at once.
    for (const auto& [rows, blocks] :
         {std::pair(kFewPolicyRows, kFewPolicyBlocks), std::pair(kMorePolicyRows, kPolicyBlocks)}) {
        if (frames <= (rows - 2) * blocks * device.multiprocessors) {
            return rows;
        }
    }
    return kManyPolicyRows;
}

Schedule choose_level(const Workload& model, int level, Precision precision, const DeviceTraits& device, int frames) {
    Workload alone{};
    alone.clip_frames = model.clip_frames;
    alone.joints = {model.joints[level]};
    alone.big = {model.big[level]};
    alone.pose = model.pose && level == 0;
    alone.may_take_frame_blocks = !alone.pose;
    const double clips = static_cast<double>(frames) / model.clip_frames * (level == 0 ? 1 : kUnsure);
    const int expected = static_cast<int>(std::ceil(clips)) * model.clip_frames;
    Schedule best = choose_schedule(alone, precision, device, expected);
    best.whole_clips = false;  // levels follow each other
    return best;
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
    for (const TileRows rows : {TileRows::r32, TileRows::r64, TileRows::r128}) {
        if (rows > highest) {
            break;
        }
        const double total = tiles_cost(model, rows, device, frames) + (model.adaptive ? kRouter : 0);
        if (least == 0 || total < least) {
            least = total;
            best.branch_rows = rows;
        }
    }
    best.block_per_frame = model.may_take_frame_blocks && frames_cost(model, device, frames) < least;
    const double clips = static_cast<double>(frames) / model.clip_frames;
    const int blocks = clip_blocks(model.clip_frames, static_cast<int>(model.joints.size()), model.adaptive);
    // Without a policy nothing runs beside something else, and flags take as long as early starts.
    best.whole_clips = model.adaptive && best.block_per_frame && has_whole_clips(model, precision) &&
                       best.temporal_rows == TileRows::r32 &&
                       clips * blocks <= std::min(device.multiprocessors, model.clip_blocks_at_once);
    return best;
}

}  // namespace adasgn::cuda
