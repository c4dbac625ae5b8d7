// The router: each frame's action, and the frames of every branch as lists.
//
// A block counts and ranks its frames by ballots, takes its part of each branch's list with one atomic addition a
// branch, and writes the frames there. A frame's place in a list depends on which block comes first; its feature does
// not depend on its place.
#include "policy.h"

namespace adasgn::cuda {

namespace {

constexpr int kFramesOfWarp = kPolicyFrames / kWarps;
static_assert(kPolicyFrames % kWarps == 0 && kPolicyFrames <= 32, "a lane per frame sorts a block's frames");

ADASGN_DEVICE int* block_actions() {
    return reinterpret_cast<int*>(shared_memory());
}

ADASGN_DEVICE int* list_places() {
    return block_actions() + kPolicyFrames;
}

constexpr int kShared = static_cast<int>(sizeof(int)) * (kPolicyFrames + kMaxBranches);

// The policy's action of frame n, on all lanes.
ADASGN_DEVICE int policy_action(const RouteParameters& p, int n) {
    const float* const at = p.features + static_cast<size_t>(n) * kFeature;
    const int t = n % p.clip_frames;
    const PolicyWindow window(t > 0 ? at - kFeature : nullptr, at, t + 1 < p.clip_frames ? at + kFeature : nullptr);
    int best = 0;
    float most = 0;
    for (int action = 0; action < p.branch_count; ++action) {
        const float logit = window.action_logit(p.policy, action);
        if (action == 0 || logit > most) {
            best = action;
            most = logit;
        }
        if (lane() == 0 && p.action_logits != nullptr) {
            p.action_logits[static_cast<size_t>(n) * p.branch_count + action] = logit;
        }
    }
    return best;
}

ADASGN_KERNEL(kThreads, 1)
void route_frames(const __grid_constant__ RouteParameters p) {
    const int first = block_index() * kPolicyFrames;
    for (int i = 0; i < kFramesOfWarp; ++i) {
        const int slot = warp() * kFramesOfWarp + i;
        const int n = first + slot;
        if (n >= p.frames) {
            break;  // the same for the whole warp
        }
        const int action = p.given == nullptr ? policy_action(p, n)
                                              : checked_action(load_global(p.given + n), p.branch_count, n, p.fault);
        if (lane() == 0) {
            block_actions()[slot] = action;
            if (p.actions != nullptr) {
                p.actions[n] = action;
            }
        }
    }
    if (p.counts == nullptr) {
        return;
    }
    block_barrier();  // actions
    if (warp() > 0) {
        return;
    }
    const int n = first + lane();
    const int action = lane() < kPolicyFrames && n < p.frames ? block_actions()[lane()] : -1;
    unsigned peers = 0;    // frames of this lane's frame's branch
    unsigned members = 0;  // frames of branch number lane()
    for (int branch = 0; branch < p.branch_count; ++branch) {
        const unsigned found = ballot(action == branch && branch != p.skip);
        peers = action == branch ? found : peers;
        members = lane() == branch ? found : members;
    }
    if (members != 0) {
        list_places()[lane()] = atomic_add(p.counts + lane(), count_bits(members));
    }
    warp_barrier();  // places
    if (peers != 0) {
        const int rank = count_bits(peers & ((1U << lane()) - 1));
        p.lists[static_cast<size_t>(action) * p.frames + list_places()[action] + rank] = n;
    }
}

}  // namespace

Status route(const RouteParameters& p, Stream stream) {
    const int blocks = (p.frames + kPolicyFrames - 1) / kPolicyFrames;
    return blocks == 0 ? Status{} : launch(route_frames, {blocks}, kThreads, kShared, stream, p);
}

}  // namespace adasgn::cuda
