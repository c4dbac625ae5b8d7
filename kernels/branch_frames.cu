// The spatial modules on few frames: a block per frame, the policy included.
#include "branch.h"

#include "policy.h"

namespace adasgn::cuda {

namespace {

constexpr int greatest(int a, int b) {
    return a > b ? a : b;
}

// The tile of the policy's branch, which is always exact, and those of the branches: for up to 16 joints and for more.
template <class PolicyTile_, class LowTile, class HighTile>
struct FrameBlock {
    using PolicyTile = PolicyTile_;
    using Low = LowTile;
    using High = HighTile;
    static constexpr int kFeatures = greatest(HighTile::kBytes, PolicyTile::kBytes);  // of the frame and its neighbours
    static constexpr int kLogits = kFeatures + kTaps * kFeature * static_cast<int>(sizeof(float));
    static constexpr int kBytes = kLogits + kMaxBranches * static_cast<int>(sizeof(float));
    ADASGN_DEVICE static float* features() { return reinterpret_cast<float*>(shared_memory() + kFeatures); }
    ADASGN_DEVICE static float* logits() { return reinterpret_cast<float*>(shared_memory() + kLogits); }
};

// For a policy that looks at one joint, and at several.
template <class Low, class High>
using OneJointPolicy = FrameBlock<ExactTile16, Low, High>;
template <class Low, class High>
using SeveralJointsPolicy = FrameBlock<ExactTile32, Low, High>;
static_assert(SeveralJointsPolicy<Tile16, Tile32>::kBytes <= 99 * 1024);
static_assert(SeveralJointsPolicy<ExactTile16, ExactTile32>::kBytes <= 99 * 1024);

// Features of branch 0 of frames begin … end - 1, in shared memory.
template <class Block>
ADASGN_DEVICE void policy_features(const FrameParameters& p, int begin, int end) {
    using PolicyTile = typename Block::PolicyTile;
    const BranchWeights& branch = p.branches[0];
    const int size = PolicyTile::kRows / branch.joints;
    for (int first = begin; first < end; first += size) {
        const TileFrames frames{nullptr, first, minimum(size, end - first)};
        const FeatureOutput to{Block::features() + (first - begin) * kFeature, false};
        if constexpr (PolicyTile::kRows == kBlock) {
            run_one_joint<PolicyTile>(branch, p.frames, frames, to);
        } else {
            run_several_joints<PolicyTile>(branch, p.frames, frames, to);
        }
        block_barrier();  // features; also the tile's memory is free for the next
    }
}

template <class Block>
ADASGN_KERNEL(kThreads, 1)
void frame_blocks(const __grid_constant__ FrameParameters p) {
    const int n = block_index();
    const bool adaptive = p.policy.weight != nullptr;
    int action = p.given == nullptr ? 0 : checked_action(load_global(p.given + n), p.branch_count, n, p.frames.fault);
    const bool decides = adaptive && p.given == nullptr;
    const int length = p.frames.clip_frames;
    const bool has_before = decides && n % length > 0;
    const bool has_after = decides && n % length + 1 < length;
    const int begin = n - (has_before ? 1 : 0);
    if (adaptive && action == 0) {  // one call for both cases: its code is the kernel's greater part
        policy_features<Block>(p, begin, n + (has_after ? 2 : 1));
    }
    if (decides) {
        const float* const at = Block::features() + (n - begin) * kFeature;
        const PolicyWindow window(has_before ? at - kFeature : nullptr, at, has_after ? at + kFeature : nullptr);
        for (int candidate = warp(); candidate < p.branch_count; candidate += kWarps) {
            const float logit = window.action_logit(p.policy, candidate);
            if (lane() == 0) {
                Block::logits()[candidate] = logit;
            }
        }
        block_barrier();  // logits
        action = argmax(Block::logits(), p.branch_count);
    }
    if (thread_index() == 0 && p.actions != nullptr) {
        p.actions[n] = action;
    }
    if (adaptive && action == 0) {
        for (int channel = thread_index(); channel < kFeature; channel += kThreads) {
            p.features[static_cast<size_t>(n) * kFeature + channel] =
                Block::features()[(n - begin) * kFeature + channel];
        }
        return;
    }
    const BranchWeights& branch = p.branches[action];
    const TileFrames frame{nullptr, n, 1};
    const FeatureOutput to{p.features, true};
    if (branch.joints == 1) {
        run_one_joint<typename Block::Low>(branch, p.frames, frame, to);
    } else if (branch.joints <= Block::Low::kRows) {
        run_several_joints<typename Block::Low>(branch, p.frames, frame, to);
    } else {
        run_several_joints<typename Block::High>(branch, p.frames, frame, to);
    }
}

template <class Low, class High>
Status launch_frames(const FrameParameters& p, Stream stream) {
    const auto launched = [&](auto block) {
        using Block = decltype(block);
        return launch(frame_blocks<Block>, {p.frames.count}, kThreads, Block::kBytes, stream, p);
    };
    const bool one_joint = p.policy.weight == nullptr || p.branches[0].joints == 1;
    return one_joint ? launched(OneJointPolicy<Low, High>{}) : launched(SeveralJointsPolicy<Low, High>{});
}

}  // namespace

Status run_frames(const FrameParameters& p, Precision precision, Stream stream) {
    if (p.frames.count == 0) {
        return {};
    }
    return precision == Precision::f32 ? launch_frames<ExactTile16, ExactTile32>(p, stream)
                                       : launch_frames<Tile16, Tile32>(p, stream);
}

}  // namespace adasgn::cuda
