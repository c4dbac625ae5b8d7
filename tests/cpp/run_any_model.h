// Runs a model that the reader accepted, whatever is in it, in every mode and, if it is causal, as a stream: results
// are finite, guard zones stay whole, and all that may be thrown is a named error. Throws std::logic_error for what may
// not be.
#pragma once

#include "adasgn/model.h"

namespace adasgn::testing {

// Models that take long are passed over; false for those. The seed picks coordinates, stamps and options, and how large
// the weights become: a file that is made by mutations has few weights that are not 0.
bool run_any_model(Model model, unsigned seed);

}  // namespace adasgn::testing
