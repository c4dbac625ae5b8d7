#include "adasgn/causal.h"

#include "adasgn/checks.h"
#include "adasgn/constants.h"

namespace adasgn {

namespace {

// (count, 3) points relative to `origin` (3,).
float* relative(const float* points, int count, const float* origin, float* to) {
    for (int i = 0; i < count * kCoordinates; ++i) {
        *to++ = points[i] - origin[i % kCoordinates];
    }
    return to;
}

}  // namespace

void causal_frame(const Description& description, const float* const* rows, float* current, float* previous) {
    expect_causal(description, "causal frame");
    const CausalShape& causal = *description.causal;
    const int newest = causal.lead();
    const int joints = description.recorded_joints();
    const int origin_at = causal.origin * kCoordinates;
    const float* const origin = rows[newest] + origin_at;
    current = relative(rows[newest], joints, origin, current);
    previous = relative(rows[newest - 1], joints, origin, previous);
    for (const int ago : causal.trail) {
        current = relative(rows[newest - ago] + origin_at, 1, origin, current);
        previous = relative(rows[newest - ago - 1] + origin_at, 1, origin, previous);
    }
}

}  // namespace adasgn
