// A model loaded on the CPU, ready to run. Constructing packs weights and allocates every buffer for a stated maximum
// batch; after that nothing is allocated. One engine serves one caller at a time; engines share nothing, so several run
// in several threads. An engine belongs to the process that constructed it: after fork the child may destroy it, and
// every other call throws Error (engine).
//
// Symbols: V joints, T frames, A branches, K classes; a clip is (T, V, 3) floats, C-contiguous. All functions throw
// Error: kind `clip` for counts, values or actions that do not fit, and then write no output. Coordinates are those of
// normalised clips, at most 1e4 (kMaxCoordinate); features at most 1e18.
#pragma once

#include <cstdint>
#include <memory>

#include "adasgn/error.h"
#include "adasgn/model.h"

namespace adasgn {

struct EngineOptions {
    int max_batch = 1;                      // most clips (samples x persons) of one run
    int threads = 1;                        // of this engine, the caller's included
    const char* instruction_set = nullptr;  // one of instruction_sets(); null: the best
    // Unless null, called every 64 clips or so of a larger run, which ends there with what this throws.
    void (*between_parts)() = nullptr;
};

// Where run writes to; null for what is not wanted.
struct Result {
    float* logits;                    // (samples, K), averaged over the persons
    std::int32_t* actions = nullptr;  // (samples, persons, T)
    float* features = nullptr;        // (samples, persons, T, 256)
};

class Engine {
  public:
    explicit Engine(const Model& model, const EngineOptions& options = {});
    ~Engine();
    Engine(Engine&&) noexcept;
    Engine& operator=(Engine&&) noexcept;

    const Description& description() const;
    const char* instruction_set() const;
    int max_batch() const;
    int threads() const;

    // Clips (samples, persons, T, V, 3), each frame through the branch that the policy picks (dense: the only one).
    void run(const float* clips, int samples, int persons, const Result& result);
    // The same with the caller's actions (samples, persons, T).
    void run_forced(const float* clips, const std::int32_t* actions, int samples, int persons, const Result& result);
    // Every branch on every frame, the class logits of the branches averaged; result.actions must be null, as must
    // result.features.
    void run_fuse(const float* clips, int samples, int persons, const Result& result);

    // The stages, for callers that keep features of their own. Frames are given as coordinates (frames, V, 3) and those
    // of the frame before each; null `previous`: all velocities are zero (so too where both frames are equal).
    void policy_features(const float* frames, const float* previous, int count, float* features);
    // features (clips, T, 256) of branch 0 -> actions (clips, T) and, unless null, action logits (clips, T, A).
    void actions(const float* features, int clips, std::int32_t* actions, float* action_logits);
    // actions (count,) -> features (count, 256). Unless null, policy_features (count, 256) serve frames of action 0.
    void branch_features(const float* frames, const float* previous, const std::int32_t* actions, int count,
                         const float* policy_features, float* features);
    // features (clips, T, 256) -> logits (clips, K).
    void temporal_head(const float* features, int clips, float* logits);

    // Whether no kernel has written outside its buffers; for tests.
    bool buffers_intact() const;

  private:
    struct State;
    State& here();  // for calls that work; Error in another process

    std::unique_ptr<State> state_;
};

// Names of the instruction sets this build has and this processor can run, best first; null after the last.
const char* const* instruction_sets();

}  // namespace adasgn
