// What a causal model's branches see of a frame: everything relative to the origin joint, and that joint's own trail.
#pragma once

#include "adasgn/model.h"

namespace adasgn {

// rows: lead + 1 pointers to the recorded joints (V_r, 3) of consecutive frames, the oldest first, the frame itself
// last. With x the joints and o the origin joint of frame t, trail k = k_1, k_2, …:
//   current  (V, 3): x_t - o_t,     then o_(t-k) - o_t
//   previous (V, 3): x_(t-1) - o_t, then o_(t-k-1) - o_t
// Throws Error (engine) for the description of a model that is not causal.
void causal_frame(const Description& description, const float* const* rows, float* current, float* previous);

}  // namespace adasgn
