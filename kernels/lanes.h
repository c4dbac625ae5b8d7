// What the 32 lanes of a warp make of a value each.
#pragma once

#include "device.h"

namespace adasgn::cuda {

// combine of all lanes' values, on all lanes: in this order wherever it is asked for, so that sums are alike.
template <class Combine>
ADASGN_DEVICE float over_lanes(float value, const Combine& combine) {
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2) {
        value = combine(value, shuffle_xor(value, mask));
    }
    return value;
}

ADASGN_DEVICE float sum_over_lanes(float value) {
    return over_lanes(value, [](float a, float b) { return a + b; });
}

ADASGN_DEVICE float maximum_over_lanes(float value) {
    return over_lanes(value, [](float a, float b) { return maximum(a, b); });
}

}  // namespace adasgn::cuda
