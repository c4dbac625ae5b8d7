// The kernels of one instruction set. Compiled several times, each with its own ADASGN_ISA and machine flags.
#include "adasgn/cpu/causal.h"
#include "adasgn/cpu/multiply_adds.h"
#include "adasgn/cpu/pose.h"
#include "adasgn/cpu/spatial.h"
#include "adasgn/cpu/temporal.h"

namespace adasgn::cpu::ADASGN_ISA {

static void branch(const BranchWeights& weights, const Frame* frames, int count, const Scratch& scratch) {
    (weights.is_pose ? pose_features : spatial_features)(weights, frames, count, scratch);
}

static bool within(float bound, const float* values, std::size_t count) {
    Vec sum = 0.0F;  // x - x is 0 for finite x, NaN for the others, which max may pass over
    Vec largest = 0.0F;
    std::size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        const Vec x = load(values + i);
        sum += x - x;
        largest = stdx::max(largest, stdx::max(x, -x));
    }
    bool fits = stdx::reduce(sum) == 0.0F && stdx::hmax(largest) <= bound;
    for (; i < count; ++i) {
        fits = fits && values[i] <= bound && values[i] >= -bound;
    }
    return fits;
}

#define ADASGN_TEXT_(name) #name
#define ADASGN_TEXT(name) ADASGN_TEXT_(name)

extern const Kernels kernels;
const Kernels kernels = {
    ADASGN_TEXT(ADASGN_ISA), kPanel, kLanes,        branch, policy_logits, temporal_logits, causal_window_logits,
    causal_frame_logits,     within, multiply_adds,
};

}  // namespace adasgn::cpu::ADASGN_ISA
