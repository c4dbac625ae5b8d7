#pragma once

#include "device.h"

namespace adasgn::cuda {

// A NaN stays a NaN.
ADASGN_DEVICE float relu(float x) {
    return maximum(x, 0.0F);
}

}  // namespace adasgn::cuda
