// A block that takes one frame through policy and branch, in parts: what branch_frames.cu puts together in each block,
// and whole_clip.cu divides among blocks.
#pragma once

#include "branch.h"
#include "one_joint.h"
#include "policy.h"

namespace adasgn::cuda {

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

// The action of frame n. What the policy looks at is there after this, frame n's at `at`, too. All threads of the
// block.
template <class Block>
ADASGN_DEVICE int picked_action(const FrameParameters& p, int n, const float* at) {
    // A warp per action, whose weights set out with the features'. A warp without an action takes the last one's
    // place, and a warp with several comes back for them.
    const ActionWeights weights(p.policy, minimum(warp(), p.branch_count - 1));
    policy_features<Block>(p, n);
    const int length = p.frames.clip_frames;
    const int t = n % length;
    put_logit<Block>(warp(), p.branch_count, action_logit(weights, at, t, length));
    for (int candidate = warp() + kWarps; candidate < p.branch_count; candidate += kWarps) {
        put_logit<Block>(candidate, p.branch_count, action_logit(ActionWeights(p.policy, candidate), at, t, length));
    }
    block_barrier();  // logits; also all are done with the features, unless the frame's is the result
    return argmax(Block::logits(), p.branch_count);
}

// Frame n through a branch; whether it was wanted.
template <class Block, class Doubt = Wanted>
ADASGN_DEVICE bool run_frame(const FrameParameters& p, int n, const BranchWeights& branch, const Doubt& doubt = {}) {
    const TileFrames frame{nullptr, n, 1};
    if (branch.joints == 1) {
        return run_one_joint<typename Block::Low>(branch, p.frames, frame, p.features, doubt);
    }
    return branch.joints <= Block::Low::kRows
               ? run_several_joints<typename Block::Low>(branch, p.frames, frame, p.features, doubt)
               : run_several_joints<typename Block::High>(branch, p.frames, frame, p.features, doubt);
}

static_assert(kThreads == kFeature, "a thread per channel");

}  // namespace adasgn::cuda
