// A network for tests of the recogniser: what a frame is labelled, and how surely on the first branch, stands in its
// joints. It notes what is asked of it and checks that it is asked in order.
//
// Joints (V_r = 3), the first the origin: the second's x is the class, the third's the first branch's logit for it; the
// next branch is sure.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <thread>
#include <vector>

#include "adasgn/constants.h"
#include "adasgn/online/frame_network.h"
#include "adasgn/recogniser.h"
#include "random_model.h"

namespace adasgn::testing {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kGridStep = 50 * kMs;
constexpr int kScriptClasses = 4;  // the last one is none
constexpr int kScriptNone = 3;
constexpr int kScriptWindow = 6;  // lead + T
constexpr int kScriptLead = 3;

// Two branches that escalate at effort 0.25 below a probability of 0.5; without smoothing or minimum.
inline Description script_description() {
    const Shape shape{4, {2}, {false}, 3, kScriptClasses, false, true, true, 1, CausalShape{{2}, {1}, 1, 0}};
    Description description = random_model(shape, 1).description;
    description.recognition->step = kGridStep;
    description.recognition->delay = 0;
    description.recognition->decision = {1, 0.7F, 0.4F, 0.5F, 0, 10'000 * kMs, 0, 0, 0};
    return description;
}

// Joints (3, 3) of a body that stands at `place`.
inline std::vector<float> script_joints(int label, float logit = 20, float place = 0) {
    return {place, 0, 0, place + static_cast<float>(label), 1, 0, place + logit, 2, 0};
}

struct ScriptLog {
    std::vector<std::vector<std::int32_t>> branches;  // of each call
    std::vector<int> tried;                           // frames of each call
    std::vector<int> resets;                          // slots
    int kept = 0;
    std::int64_t sleep_ns = 0;  // of each call of features
    bool fail = false;          // the next call
};

class ScriptedNetwork : public online::FrameNetwork {
  public:
    ScriptedNetwork(int slots, ScriptLog& log) : pasts_(2 * slots), slots_(slots), log_(log) {}

    void features(const float* current, const float*, const std::int32_t* branches, int count,
                  float* features) override {
        if (log_.fail) {
            throw Error(ErrorKind::engine, "script: expected to go on, found a failure");
        }
        std::this_thread::sleep_for(std::chrono::nanoseconds(log_.sleep_ns));
        log_.branches.emplace_back(branches, branches + count);
        for (int i = 0; i < count; ++i, current += 4 * kCoordinates, features += kFeature) {
            std::fill_n(features, kFeature, 0.0F);
            features[0] = current[3];
            features[1] = branches[i] == 0 ? current[6] : 20;
        }
    }

    // The newest frame's label; older frames add a little, so that a past that is not what it should be shows.
    void try_frames(const int* slots, int count, const float* features, float* logits) override {
        log_.tried.push_back(count);
        for (int i = 0; i < count; ++i, features += kFeature, logits += kScriptClasses) {
            Past& past = pasts_[slots[i]];
            past.tried = features[0] + features[1];
            past.waiting = true;
            for (int k = 0; k < kScriptClasses; ++k) {
                logits[k] = k == std::lround(features[0]) ? features[1] : 0;
            }
            logits[0] += 1e-3F * past.sum;
        }
    }

    void keep(const int* slots, int count) override {
        log_.kept += count;
        for (int i = 0; i < count; ++i) {
            Past& past = pasts_[slots[i]];
            CHECK(past.waiting);
            past.waiting = false;
            past.sum = 0.5F * past.sum + past.tried;
        }
    }

    void reset(int slot) override {
        log_.resets.push_back(slot);
        pasts_[slot] = {};
    }
    void save(int slot) override { pasts_[slots_ + slot] = pasts_[slot]; }
    void restore(int slot) override { pasts_[slot] = pasts_[slots_ + slot]; }
    std::int64_t spatial_macs(int branch) const override { return branch == 0 ? 100 : 1000; }
    std::int64_t temporal_macs(int) const override { return 7; }

  private:
    struct Past {
        float sum = 0;
        float tried = 0;
        bool waiting = false;
    };

    std::vector<Past> pasts_;
    int slots_;
    ScriptLog& log_;
};

}  // namespace adasgn::testing
