// How large everything that an engine computes can become, told from the weights alone.
//
// Weights may be finite and yet take sums beyond float's range; an infinite sum becomes NaN in a softmax or a
// difference, and ReLU makes a zero of that: an ordinary label for what could not be computed. So what engines take is
// bounded, and models are refused with which the bounds do not hold.
#pragma once

#include "adasgn/model.h"

namespace adasgn {

// Throws Error (model_file) for weights that are not finite, or with which some sum could come near float's range for
// coordinates of at most kMaxCoordinate. Returns the largest feature that the stages can take, at most kMaxFeature.
float expect_computable(const Model& model);

}  // namespace adasgn
