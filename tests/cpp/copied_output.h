// What a push gave, kept beyond the next push, and compared.
#pragma once

#include <doctest/doctest.h>

#include <vector>

#include "adasgn/recogniser.h"

namespace adasgn::testing {

struct CopiedOutput {
    std::vector<StepResult> results;
    std::vector<std::vector<float>> probabilities;  // of each; empty unless ready
    std::vector<GestureEvent> events;
};

inline void add_output(CopiedOutput& all, const Recogniser::Output& output, int classes) {
    for (int i = 0; i < output.count; ++i) {
        const StepResult& result = output.results[i];
        CHECK((result.probabilities != nullptr) == result.ready);
        all.probabilities.emplace_back();
        if (result.ready) {
            all.probabilities.back().assign(result.probabilities, result.probabilities + classes);
        }
        all.results.push_back(result);
    }
    all.events.insert(all.events.end(), output.events, output.events + output.event_count);
}

inline CopiedOutput copy_output(const Recogniser::Output& output, int classes) {
    CopiedOutput copy;
    add_output(copy, output, classes);
    return copy;
}

// All but timings.
inline bool same_result(const StepResult& a, const StepResult& b) {
    return a.track == b.track && a.state == b.state && a.ready == b.ready && a.stamp == b.stamp &&
           a.newest == b.newest && a.age == b.age && a.label == b.label && a.confidence == b.confidence &&
           a.action == b.action && a.macs == b.macs && a.interpolated == b.interpolated &&
           a.missing_joints == b.missing_joints && a.gesture == b.gesture;
}

inline bool same_event(const GestureEvent& a, const GestureEvent& b) {
    return a.kind == b.kind && a.id == b.id && a.track == b.track && a.label == b.label &&
           a.confidence == b.confidence && a.start == b.start && a.end == b.end && a.decided == b.decided &&
           a.lost == b.lost;
}

inline bool same_output(const CopiedOutput& a, const CopiedOutput& b) {
    return std::equal(a.results.begin(), a.results.end(), b.results.begin(), b.results.end(), same_result) &&
           a.probabilities == b.probabilities &&
           std::equal(a.events.begin(), a.events.end(), b.events.begin(), b.events.end(), same_event);
}

}  // namespace adasgn::testing
