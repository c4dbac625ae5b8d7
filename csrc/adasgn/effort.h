// What a run costs, and the effort dial of a model that escalates (docs/engine.md).
#pragma once

#include <cstdint>

#include "adasgn/model.h"

namespace adasgn {

// The threshold of `run` at which the model works with this effort, 0…1: between two rows of its table, interpolated.
// Throws Error (engine) for a model that does not escalate and for an effort that is not from 0 to 1.
float threshold_of(const Description& description, double effort);

// The largest effort whose expected cost (of a clip, full count) is at most `macs`. Throws Error (engine) for a model
// that does not escalate and where even effort 0 costs more.
double effort_within(const Description& description, std::int64_t macs);

// Multiply-adds (full count of the description) of samples whose frames took these branches, actions (samples, persons,
// T), into macs (samples,). forced: the branches were the caller's, so that a model that escalates ran no other.
void count_macs(const Description& description, const std::int32_t* actions, int samples, int persons, bool forced,
                std::int64_t* macs);

}  // namespace adasgn
