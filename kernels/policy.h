// The policy's temporal convolution, a warp per frame.
#pragma once

#include "device.h"
#include "launch.h"

namespace adasgn::cuda {

// Features of branch 0 around one frame, in registers: a lane holds channels lane() + 32·i. Null: beyond the clip.
class PolicyWindow {
  public:
    ADASGN_DEVICE PolicyWindow(const float* before, const float* at, const float* after) {
        const float* const taps[kTaps] = {before, at, after};
#pragma unroll
        for (int tap = 0; tap < kTaps; ++tap) {
#pragma unroll
            for (int i = 0; i < kChannels; ++i) {
                values_[tap][i] = taps[tap] == nullptr ? 0 : taps[tap][lane() + 32 * i];
            }
        }
    }

    // The same for all lanes, whichever kernel asks: one order of additions.
    ADASGN_DEVICE float action_logit(const PolicyWeights& policy, int action) const {
        const float* const weight = policy.weight + action * kTaps * kFeature + lane();
        float sum = 0;
#pragma unroll
        for (int tap = 0; tap < kTaps; ++tap) {
#pragma unroll
            for (int i = 0; i < kChannels; ++i) {
                sum += values_[tap][i] * load_global(weight + tap * kFeature + 32 * i);
            }
        }
        for (int mask = 16; mask > 0; mask /= 2) {
            sum += shuffle_xor(sum, mask);
        }
        return sum + load_global(policy.bias + action);
    }

  private:
    static constexpr int kChannels = kFeature / 32;
    float values_[kTaps][kChannels];
};

// The greatest, of equals the first.
ADASGN_DEVICE int argmax(const float* logits, int count) {
    int best = 0;
    for (int action = 1; action < count; ++action) {
        best = logits[action] > logits[best] ? action : best;
    }
    return best;
}

// An action as a branch number; one that is none is reported, and the frame goes through branch 0.
ADASGN_DEVICE int checked_action(int action, int branch_count, int frame, int* fault) {
    if (action >= 0 && action < branch_count) {
        return action;
    }
    atomic_max(fault + 1, frame + 1);
    return 0;
}

}  // namespace adasgn::cuda
