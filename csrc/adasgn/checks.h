// What every engine checks of its options and input, with the same words. All throw Error.
#pragma once

#include <cstddef>
#include <cstdint>

#include "adasgn/constants.h"
#include "adasgn/error.h"
#include "adasgn/model.h"

namespace adasgn {

constexpr int kMaxBatch = 65536;

// Kind engine: an option out of its range.
void expect_option(const char* what, std::int64_t value, std::int64_t low, std::int64_t high);

// Kind clip: a count out of its range.
void expect_range(const char* what, std::int64_t value, std::int64_t low, std::int64_t high);

// Kind clip: clips of a run, samples x persons; returns their number.
int checked_clips(int samples, int persons, int max_batch);

// Kind clip: an action that is no branch number.
void expect_actions(const Description& description, const std::int32_t* actions, int count);

bool all_finite(const float* values, std::size_t count);

// For values of which some are not finite: say which.
[[noreturn]] void fail_not_finite(const char* what, const float* values, std::size_t count);
// The same for clips (count, T, V, 3).
[[noreturn]] void fail_not_finite_clips(const Description& description, const float* clips, int count);

}  // namespace adasgn
