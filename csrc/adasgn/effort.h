// The effort dial of a model that escalates (docs/engine.md).
#pragma once

#include "adasgn/model.h"

namespace adasgn {

// The threshold of `run` at which the model works with this effort, 0…1: between two rows of its table, interpolated.
// Throws Error (engine) for a model that does not escalate and for an effort that is not from 0 to 1.
float threshold_of(const Description& description, double effort);

}  // namespace adasgn
