// What a causal model costs frame by frame, in multiply-adds, full count: every multiplication that depends on input.
#pragma once

#include <cstdint>

#include "adasgn/model.h"

namespace adasgn::online {

std::int64_t branch_macs(const Description& description, int branch);  // one frame
std::int64_t temporal_step_macs(const Description& description);       // one frame, the rest being known
std::int64_t temporal_window_macs(const Description& description);     // all T features

}  // namespace adasgn::online
