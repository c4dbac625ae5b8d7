// The spatial modules on few frames: a block per frame, the policy included.
#include "branch.h"
#include "one_joint.h"
#include "policy.h"

namespace adasgn::cuda {

namespace {

constexpr int greatest(int a, int b) {
    return a > b ? a : b;
}

// The tiles of branches of up to 16 joints and of more.
template <class LowTile, class HighTile>
struct FrameBlock {
    using Low = LowTile;
    using High = HighTile;
    using Policy = OneJoint<kTaps>;  // on the frame and those beside it
    static constexpr int kLogits = greatest(High::kBytes, Policy::kBytes);
    static constexpr int kBytes = kLogits + kMaxBranches * static_cast<int>(sizeof(float));
    ADASGN_DEVICE static float* logits() { return reinterpret_cast<float*>(shared_memory() + kLogits); }
};

using ExactBlock = FrameBlock<ExactFrame16, ExactFrame32>;
using HalfBlock = FrameBlock<Frame16, Frame32>;
static_assert(ExactBlock::kBytes <= 99 * 1024 && HalfBlock::kBytes <= 99 * 1024);

// Features of branch 0 of frame n and those beside it are there after this.
template <class Block>
ADASGN_DEVICE void policy_features(const FrameParameters& p, int n) {
    if (p.policy_features != nullptr) {
        wait_for_previous_kernel();  // whose they are
        return;
    }
    typename Block::Policy policy(p.branches[0], p.frames);
    policy.run(n - kTaps / 2, p.frames.count);
    block_barrier();  // features
}

template <class Block>
ADASGN_DEVICE void put_logit(int action, int count, float logit) {
    if (action < count && lane() == 0) {
        Block::logits()[action] = logit;
    }
}

template <class Block>
ADASGN_KERNEL(kThreads, 1)
void frame_blocks(const __grid_constant__ FrameParameters p) {
    let_next_kernel_start();  // the temporal module's blocks fetch their weights and wait
    int n = block_index();
    if (p.listed.frames != nullptr) {
        wait_for_previous_kernel();  // which made the list
        if (n >= *p.listed.count) {
            return;
        }
        n = p.listed.frames[n];
    }
    const bool adaptive = p.policy.weight != nullptr;
    int action = p.given == nullptr ? 0 : checked_action(load_global(p.given + n), p.branch_count, n, p.frames.fault);
    const bool decides = adaptive && p.given == nullptr;
    const float* const at = p.policy_features != nullptr ? p.policy_features + static_cast<size_t>(n) * kFeature
                                                         : Block::Policy::features() + kTaps / 2 * kFeature;
    if (decides) {
        // A warp per action, whose weights set out with the features'. A warp without an action takes the last one's
        // place, and a warp with several comes back for them.
        const ActionWeights weights(p.policy, minimum(warp(), p.branch_count - 1));
        policy_features<Block>(p, n);
        const int length = p.frames.clip_frames;
        const int t = n % length;
        put_logit<Block>(warp(), p.branch_count, action_logit(weights, at, t, length));
        for (int candidate = warp() + kWarps; candidate < p.branch_count; candidate += kWarps) {
            put_logit<Block>(candidate, p.branch_count,
                             action_logit(ActionWeights(p.policy, candidate), at, t, length));
        }
        block_barrier();  // logits; also all are done with the features, unless the frame's is the result
        action = argmax(Block::logits(), p.branch_count);
    } else if (adaptive && (action == 0 || p.policy_features != nullptr)) {
        policy_features<Block>(p, n);
    }
    if (thread_index() == 0 && p.actions != nullptr) {
        p.actions[n] = action;
    }
    if (adaptive && action == 0) {
        p.features[static_cast<size_t>(n) * kFeature + thread_index()] = at[thread_index()];
        return;
    }
    const BranchWeights& branch = p.branches[action];
    const TileFrames frame{nullptr, n, 1};
    if (branch.joints == 1) {
        run_one_joint<typename Block::Low>(branch, p.frames, frame, p.features);
    } else if (branch.joints <= Block::Low::kRows) {
        run_several_joints<typename Block::Low>(branch, p.frames, frame, p.features);
    } else {
        run_several_joints<typename Block::High>(branch, p.frames, frame, p.features);
    }
}

static_assert(kThreads == kFeature, "a thread per channel");

template <class Block>
Status launch_frames(const FrameParameters& p, Stream stream) {
    const bool waits = p.policy_features != nullptr || p.listed.frames != nullptr;
    const Overlap overlap = waits ? Overlap::with_previous : Overlap::none;
    return launch(frame_blocks<Block>, {p.frames.count}, kThreads, Block::kBytes, stream, p, overlap);
}

}  // namespace

Status run_frames(const FrameParameters& p, Precision precision, Stream stream) {
    if (p.policy.weight != nullptr && p.branches[0].plain == nullptr && p.policy_features == nullptr) {
        return {kInvalidValue};
    }
    if (p.frames.count == 0) {
        return {};
    }
    return precision == Precision::f32 ? launch_frames<ExactBlock>(p, stream) : launch_frames<HalfBlock>(p, stream);
}

}  // namespace adasgn::cuda
