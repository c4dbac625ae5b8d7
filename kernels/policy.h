// The policy's temporal convolution, a warp per frame; features lie in shared or in device memory.
#pragma once

#include "lanes.h"
#include "launch.h"

namespace adasgn::cuda {

// One action's weights, in registers: a lane holds channels lane() + 32·i of each tap.
class ActionWeights {
  public:
    static constexpr int kChannels = kFeature / 32;

    ADASGN_DEVICE ActionWeights(const PolicyWeights& policy, int action) : bias_(load_global(policy.bias + action)) {
        const float* const weight = policy.weight + action * kTaps * kFeature + lane();
#pragma unroll
        for (int i = 0; i < kTaps * kChannels; ++i) {
            values_[i / kChannels][i % kChannels] = load_global(weight + 32 * i);
        }
    }

    // This lane's part of the logit of a frame: what a frame before it, itself or after it adds. Whichever kernel asks,
    // taps come in this order and so do channels, so that all engines' kernels pick alike.
    ADASGN_DEVICE float add(float sum, int tap, const float (&feature)[kChannels]) const {
#pragma unroll
        for (int i = 0; i < kChannels; ++i) {
            sum += feature[i] * values_[tap][i];
        }
        return sum;
    }

    // The logit, from the sums of all lanes.
    ADASGN_DEVICE float logit(float sum) const {
        return sum_over_lanes(sum) + bias_;
    }

  private:
    float values_[kTaps][kChannels];
    float bias_;
};

ADASGN_DEVICE void load_feature(float (&to)[ActionWeights::kChannels], const float* from) {
#pragma unroll
    for (int i = 0; i < ActionWeights::kChannels; ++i) {
        to[i] = from[lane() + 32 * i];
    }
}

// The logit of frame t of a clip of `length`, whose feature is `at`; those beside it lie before and after it.
ADASGN_DEVICE float action_logit(const ActionWeights& weights, const float* at, int t, int length) {
    float sum = 0;
#pragma unroll
    for (int tap = 0; tap < kTaps; ++tap) {
        const int beside = tap - kTaps / 2;
        if (t + beside >= 0 && t + beside < length) {
            float feature[ActionWeights::kChannels];
            load_feature(feature, at + beside * kFeature);
            sum = weights.add(sum, tap, feature);
        }
    }
    return weights.logit(sum);
}

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
