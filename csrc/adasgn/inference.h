// What every engine does, whatever device it runs on: adasgn::Engine (engine.h) on the CPU, adasgn::cuda::Engine
// (cuda/engine.h) on a GPU; load_engine (load.h) makes the one that is asked for by name.
//
// Symbols: V joints, T frames, A branches, K classes; a clip is (T, V, 3) floats, C-contiguous. Clips of a causal model
// are windows (lead + T, V_r, 3) of recorded joints (Description::clip_frames, recorded_joints), the newest frame last;
// frames of the stages are what causal_frame (causal.h) makes, of V joints. Arrays lie on the host, and each call
// returns when its results are there, unless an implementation says otherwise. All functions throw Error: kind `clip`
// for counts, values or actions that do not fit, and then write no output. Coordinates are those of normalised clips,
// at most 1e4 (kMaxCoordinate); features at most 1e18.
//
// One engine serves one caller at a time; engines share nothing, so several run in several threads. An engine belongs
// to the process that constructed it: after fork the child may destroy it, and every other call throws Error (engine).
#pragma once

#include <cstdint>

#include "adasgn/error.h"
#include "adasgn/model.h"

namespace adasgn {

// Where run writes to; null for what is not wanted.
struct Result {
    float* logits;                    // (samples, K), averaged over the persons
    std::int32_t* actions = nullptr;  // (samples, persons, T)
    float* features = nullptr;        // (samples, persons, T, 256)
};

constexpr float kDefaultThreshold = -1;

class Inference {
  public:
    virtual ~Inference() = default;

    virtual const Description& description() const = 0;
    virtual int max_batch() const = 0;  // most clips (samples x persons) of one run

    // Clips (samples, persons, T, V, 3), each frame through the branch that the policy picks (dense: the only one).
    //
    // A model that escalates sends every sample through its first branch, and those whose highest probability is below
    // `threshold` through the next one too, and so on; the probabilities of a sample's branches are averaged. Then
    // logits are the logarithms of these averages, actions the branch that a sample ended at, features that branch's.
    // threshold: effort.h makes one of an effort; 0: nothing escalates; above 1: everything does; kDefaultThreshold:
    // the model's default effort. Other models take no threshold but that: Error (engine).
    virtual void run(const float* clips, int samples, int persons, const Result& result,
                     float threshold = kDefaultThreshold) = 0;
    // The same with the caller's actions (samples, persons, T).
    virtual void run_forced(const float* clips, const std::int32_t* actions, int samples, int persons,
                            const Result& result) = 0;
    // Every branch on every frame, the class logits of the branches averaged; result.actions must be null, as must
    // result.features.
    virtual void run_fuse(const float* clips, int samples, int persons, const Result& result) = 0;

    // The stages, for callers that keep features of their own. Frames are given as coordinates (frames, V, 3) and those
    // of the frame before each; null `previous`: all velocities are zero (so too where both frames are equal).
    virtual void policy_features(const float* frames, const float* previous, int count, float* features) = 0;
    // features (clips, T, 256) of branch 0 -> actions (clips, T) and, unless null, action logits (clips, T, A).
    virtual void actions(const float* features, int clips, std::int32_t* actions, float* action_logits) = 0;
    // actions (count,) -> features (count, 256). Unless null, policy_features (count, 256) serve frames of action 0.
    virtual void branch_features(const float* frames, const float* previous, const std::int32_t* actions, int count,
                                 const float* policy_features, float* features) = 0;
    // features (clips, T, 256) -> logits (clips, K).
    virtual void temporal_head(const float* features, int clips, float* logits) = 0;

  protected:
    Inference() = default;
    Inference(Inference&&) = default;
    Inference& operator=(Inference&&) = default;
};

}  // namespace adasgn
