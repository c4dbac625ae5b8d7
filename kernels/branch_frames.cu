// The spatial modules on few frames: a block per frame, the policy included.
#include "frame_block.h"

namespace adasgn::cuda {

namespace {

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
        action = picked_action<Block>(p, n, at);
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
    run_frame<Block>(p, n, p.branches[action]);
}

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
