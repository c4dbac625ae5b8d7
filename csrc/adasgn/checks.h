// What every engine checks of its options and input, with the same words. All throw Error.
#pragma once

#include <cstddef>
#include <cstdint>

#include "adasgn/constants.h"
#include "adasgn/error.h"
#include "adasgn/model.h"

namespace adasgn {

constexpr int kMaxBatch = 65536;
constexpr int kMaxThreads = 1024;

// Kind engine: an option out of its range.
void expect_option(const char* what, std::int64_t value, std::int64_t low, std::int64_t high);

// Kind engine: a causal model, where only others run: "on a GPU".
void expect_not_causal(const Description& description, const char* where);

// Kind engine: a model that is not causal, where `what` takes no other: "temporal stream".
void expect_causal(const Description& description, const char* what);

// Kind clip: a count out of its range.
void expect_range(const char* what, std::int64_t value, std::int64_t low, std::int64_t high);

// Kind clip: clips of a run, samples x persons; returns their number.
int checked_clips(int samples, int persons, int max_batch);

// Kind clip: an action that is no branch number.
void expect_actions(const Description& description, const std::int32_t* actions, int count);

// Kind engine: a threshold that is none, or one of a model that does not escalate. Returns the threshold to use: of a
// negative one (kDefaultThreshold) that of the model's default effort.
float checked_threshold(const Description& description, float threshold);

// Whether all values are numbers of at most this magnitude.
bool all_within(float bound, const float* values, std::size_t count);

// Kind clip, for values of which some are not: says which.
[[noreturn]] void fail_beyond(const char* what, float bound, const float* values, std::size_t count);
// The same for the coordinates of clips (count, T, V, 3), of a causal model windows.
[[noreturn]] void fail_clips(const Description& description, const float* clips, int count);
// Kind model_file: all that was given is within its bounds, and still the logits are not finite.
[[noreturn]] void fail_logits();

}  // namespace adasgn
