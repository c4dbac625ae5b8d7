// The router: each frame's action, and the frames of every branch as lists. Where the policy looks at a small branch of
// one joint, the features it looks at are computed here, too.
//
// A block counts and ranks its frames by ballots, takes its part of each branch's list with one atomic addition a
// branch, and writes the frames there. A frame's place in a list depends on which block comes first; its feature does
// not depend on its place.
#include "one_joint.h"
#include "policy.h"

namespace adasgn::cuda {

namespace {

// Actions of a block's frames, then where its frames begin in each branch's list.
template <int Frames>
struct Sorted {
    static_assert(Frames <= 32, "a lane per frame sorts a block's frames");
    static constexpr int kBytes = static_cast<int>(sizeof(int)) * (Frames + kMaxBranches);

    int* actions;  // in shared memory

    ADASGN_DEVICE explicit Sorted(int byte) : actions(reinterpret_cast<int*>(shared_memory() + byte)) {}

    // Frame `first` + slot's action, by one lane.
    ADASGN_DEVICE void put(const RouteParameters& p, int first, int slot, int action) const {
        actions[slot] = action;
        if (p.actions != nullptr) {
            p.actions[first + slot] = action;
        }
    }

    // Lists frames first … first + count - 1, whose actions are put; a block_barrier() comes before.
    ADASGN_DEVICE void list(const RouteParameters& p, int first, int count) const {
        if (warp() > 0 || p.counts == nullptr) {
            return;
        }
        int* const places = actions + Frames;
        const int action = lane() < count ? actions[lane()] : -1;
        unsigned peers = 0;    // frames of this lane's frame's branch
        unsigned members = 0;  // frames of branch number lane()
        for (int branch = 0; branch < p.branch_count; ++branch) {
            const unsigned found = ballot(action == branch && branch != p.skip);
            peers = action == branch ? found : peers;
            members = lane() == branch ? found : members;
        }
        if (members != 0) {
            places[lane()] = atomic_add(p.counts + lane(), count_bits(members));
        }
        warp_barrier();  // places
        if (peers != 0) {
            const int rank = count_bits(peers & ((1U << lane()) - 1));
            p.lists[static_cast<size_t>(action) * p.frames + places[action] + rank] = first + lane();
        }
    }
};

// The policy's action of frame n, on all lanes; features of branch 0 of it and those beside it from `at` on.
ADASGN_DEVICE int policy_action(const RouteParameters& p, int n, const float* at) {
    const int t = n % p.clip_frames;
    int best = 0;
    float most = 0;
    for (int action = 0; action < p.branch_count; ++action) {
        const float logit = action_logit(ActionWeights(p.policy, action), at, t, p.clip_frames);
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
    static_assert(kRoutedFrames == kWarps);
    let_next_kernel_start();  // branch_tiles
    const Sorted<kRoutedFrames> sorted(0);
    const int first = block_index() * kRoutedFrames;
    const int n = first + warp();
    if (n < p.frames) {
        const int action = p.given == nullptr ? policy_action(p, n, p.features + static_cast<size_t>(n) * kFeature)
                                              : checked_action(load_global(p.given + n), p.branch_count, n, p.fault);
        if (lane() == 0) {
            sorted.put(p, first, warp(), action);
        }
    }
    block_barrier();  // actions
    sorted.list(p, first, minimum(kRoutedFrames, p.frames - first));
}

// Logits of the frames of a block [Rows - 2][branch], from the features of these and of one more on either side: a warp
// per action, whose weights it keeps, all frames' sums at a time.
template <int Rows>
ADASGN_DEVICE void action_logits(const RouteParameters& p, int first, const float* features, float* logits) {
    constexpr int kFrames = Rows - 2;
    for (int action = warp(); action < p.branch_count; action += kWarps) {
        const ActionWeights weights(p.policy, action);
        float sums[kFrames];
#pragma unroll
        for (int slot = 0; slot < kFrames; ++slot) {
            sums[slot] = 0;
        }
        int t = (first + p.clip_frames - 1) % p.clip_frames;  // of the row in its clip
#pragma unroll
        for (int row = 0; row < Rows; ++row) {
            float feature[ActionWeights::kChannels];
            load_feature(feature, features + row * kFeature);
#pragma unroll
            for (int tap = 0; tap < kTaps; ++tap) {
                const int slot = row - tap;  // the frame whose tap this row is
                const bool beyond = (tap == 0 && t == p.clip_frames - 1) || (tap == kTaps - 1 && t == 0);
                if (slot >= 0 && slot < kFrames && !beyond) {
                    sums[slot] = weights.add(sums[slot], tap, feature);
                }
            }
            t = t + 1 == p.clip_frames ? 0 : t + 1;
        }
#pragma unroll
        for (int slot = 0; slot < kFrames; ++slot) {
            const float logit = weights.logit(sums[slot]);
            if (lane() == 0) {
                logits[slot * kMaxBranches + action] = logit;
            }
        }
    }
}

// Features of `Rows` frames a block; with routing, the first and the last are there for the policy's taps alone.
template <int Rows>
ADASGN_KERNEL(kThreads, Rows == kFewPolicyRows ? 1 : 2)
void policy_frames(const __grid_constant__ PolicyParameters p) {
    let_next_kernel_start();  // branch_tiles
    const Sorted<Rows> sorted(OneJoint<Rows>::kBytes);
    const int beside = p.routes ? 1 : 0;
    const int size = Rows - 2 * beside;
    const int first = block_index() * size;
    const int count = minimum(size, p.frames.count - first);
    {
        OneJoint<Rows> branch(p.branch, p.frames);
        branch.run(first - beside, p.frames.count);
    }
    block_barrier();  // features
    const float* const features = OneJoint<Rows>::features() + beside * kFeature;
    if (p.routes) {
        float* const logits = OneJoint<Rows>::spare();
        if (p.route.given == nullptr) {
            action_logits<Rows>(p.route, first, OneJoint<Rows>::features(), logits);
            block_barrier();  // logits
        }
        if (thread_index() < count) {
            const int slot = thread_index();
            const int n = first + slot;
            sorted.put(p.route, first, slot,
                       p.route.given == nullptr
                           ? argmax(logits + slot * kMaxBranches, p.route.branch_count)
                           : checked_action(load_global(p.route.given + n), p.route.branch_count, n, p.route.fault));
        }
        block_barrier();  // actions
        sorted.list(p.route, first, count);
    }
    for (int slot = warp(); slot < count; slot += kWarps) {
        if (!p.routes || sorted.actions[slot] == 0) {
            float4* const to = reinterpret_cast<float4*>(p.features + static_cast<size_t>(first + slot) * kFeature);
            const float4* const from = reinterpret_cast<const float4*>(features + slot * kFeature);
            for (int i = lane(); i < kFeature / 4; i += 32) {
                to[i] = from[i];
            }
        }
    }
}

template <int Rows>
Status launch_policy(const PolicyParameters& p, Stream stream) {
    const int size = p.routes ? Rows - 2 : Rows;
    const int blocks = (p.frames.count + size - 1) / size;
    constexpr int kBytes = OneJoint<Rows>::kBytes + Sorted<Rows>::kBytes;
    return blocks == 0 ? Status{} : launch(policy_frames<Rows>, {blocks}, kThreads, kBytes, stream, p);
}

}  // namespace

Status route(const RouteParameters& p, Stream stream) {
    const int blocks = (p.frames + kRoutedFrames - 1) / kRoutedFrames;
    constexpr int kBytes = Sorted<kRoutedFrames>::kBytes;
    return blocks == 0 ? Status{} : launch(route_frames, {blocks}, kThreads, kBytes, stream, p);
}

Status policy(const PolicyParameters& p, int rows, Stream stream) {
    if (p.branch.plain == nullptr) {
        return {kInvalidValue};
    }
    switch (rows) {
        case kFewPolicyRows:
            return launch_policy<kFewPolicyRows>(p, stream);
        case kMorePolicyRows:
            return launch_policy<kMorePolicyRows>(p, stream);
        case kManyPolicyRows:
            return launch_policy<kManyPolicyRows>(p, stream);
        default:
            return {kInvalidValue};
    }
}

}  // namespace adasgn::cuda
