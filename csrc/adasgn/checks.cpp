#include "adasgn/checks.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "adasgn/effort.h"

namespace adasgn {

namespace {

void expect_between(ErrorKind kind, const char* what, std::int64_t value, std::int64_t low, std::int64_t high) {
    if (value < low || value > high) {
        throw Error(kind, std::string(what) + ": expected " + std::to_string(low) + " to " + std::to_string(high) +
                              ", found " + std::to_string(value));
    }
}

std::size_t first_beyond(float bound, const float* values, std::size_t count) {
    return std::find_if(values, values + count, [=](float x) { return !(std::fabs(x) <= bound); }) - values;
}

std::string text(float value) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%g", static_cast<double>(value));
    return digits;
}

}  // namespace

void expect_option(const char* what, std::int64_t value, std::int64_t low, std::int64_t high) {
    expect_between(ErrorKind::engine, what, value, low, high);
}

void expect_range(const char* what, std::int64_t value, std::int64_t low, std::int64_t high) {
    expect_between(ErrorKind::clip, what, value, low, high);
}

float checked_threshold(const Description& description, float threshold) {
    if (!description.escalates) {
        if (!(threshold < 0)) {
            throw Error(ErrorKind::engine,
                        "threshold: expected none, as this model does not escalate, found " + text(threshold));
        }
        return 0;
    }
    if (std::isnan(threshold)) {
        throw Error(ErrorKind::engine, "threshold: expected a number, found " + text(threshold));
    }
    return threshold < 0 ? threshold_of(description, description.default_effort) : threshold;
}

void expect_not_causal(const Description& description, const char* where) {
    if (description.causal) {
        throw Error(ErrorKind::engine, "model: expected one that is not causal " + std::string(where) +
                                           ", found a causal one, which the engine of the device cpu runs");
    }
}

void expect_causal(const Description& description, const char* what) {
    if (!description.causal) {
        throw Error(ErrorKind::engine, std::string(what) + ": expected a causal model, found kind " + description.kind);
    }
}

int checked_clips(int samples, int persons, int max_batch) {
    expect_range("persons", persons, 1, max_batch);
    expect_range("clips (samples x persons; the engine's max_batch is the most)",
                 static_cast<std::int64_t>(samples) * persons, 0, max_batch);
    return samples * persons;
}

void expect_actions(const Description& description, const std::int32_t* actions, int count) {
    const auto branches = static_cast<std::int32_t>(description.branches.size());
    for (int i = 0; i < count; ++i) {
        if (actions[i] < 0 || actions[i] >= branches) {
            throw Error(ErrorKind::clip, "actions: expected branch numbers 0 to " + std::to_string(branches - 1) +
                                             ", found " + std::to_string(actions[i]) + " at frame " +
                                             std::to_string(i));
        }
    }
}

bool all_within(float bound, const float* values, std::size_t count) {
    return first_beyond(bound, values, count) == count;
}

void fail_beyond(const char* what, float bound, const float* values, std::size_t count) {
    const std::size_t at = first_beyond(bound, values, count);
    throw Error(ErrorKind::clip, std::string(what) + ": expected finite values of at most " + text(bound) + ", found " +
                                     (at < count ? text(values[at]) : std::string("some too large to compute with")) +
                                     " at position " + std::to_string(at) + " of " + std::to_string(count));
}

void fail_clips(const Description& description, const float* clips, int count) {
    const int frames = description.clip_frames();
    const std::size_t frame_floats = static_cast<std::size_t>(description.recorded_joints()) * kCoordinates;
    const std::size_t floats = static_cast<std::size_t>(count) * frames * frame_floats;
    const std::size_t at = first_beyond(kMaxCoordinate, clips, floats);
    if (at == floats) {
        throw Error(ErrorKind::clip, "clips: expected coordinates whose products are finite, found some too large");
    }
    const std::size_t frame = at / frame_floats;
    throw Error(ErrorKind::clip, "clip " + std::to_string(frame / frames) +
                                     ": expected finite coordinates of at most " + text(kMaxCoordinate) + ", found " +
                                     text(clips[at]) + " at frame " + std::to_string(frame % frames) + ", joint " +
                                     std::to_string(at % frame_floats / kCoordinates) + ", coordinate " +
                                     std::to_string(at % kCoordinates));
}

void fail_logits() {
    throw Error(ErrorKind::model_file, "model: expected weights that give finite logits, found them too large");
}

}  // namespace adasgn
