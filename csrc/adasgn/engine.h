// A model on the CPU. Constructing packs weights and allocates every buffer for a stated maximum batch; after that
// nothing is allocated.
#pragma once

#include <cstdint>
#include <memory>

#include "adasgn/error.h"
#include "adasgn/inference.h"
#include "adasgn/model.h"

namespace adasgn {

struct EngineOptions {
    int max_batch = 1;                      // most clips (samples x persons) of one run
    int threads = 1;                        // of this engine, the caller's included
    const char* instruction_set = nullptr;  // one of instruction_sets(); null: the best
    // Unless null, called every 64 clips or so of a larger run, which ends there with what this throws.
    void (*between_parts)() = nullptr;
};

class Engine : public Inference {
  public:
    explicit Engine(const Model& model, const EngineOptions& options = {});
    ~Engine() override;
    Engine(Engine&&) noexcept;
    Engine& operator=(Engine&&) noexcept;

    const Description& description() const override;
    const char* instruction_set() const;
    int max_batch() const override;
    int threads() const;

    void run(const float* clips, int samples, int persons, const Result& result,
             float threshold = kDefaultThreshold) override;
    void run_forced(const float* clips, const std::int32_t* actions, int samples, int persons,
                    const Result& result) override;
    void run_fuse(const float* clips, int samples, int persons, const Result& result) override;
    void policy_features(const float* frames, const float* previous, int count, float* features) override;
    void actions(const float* features, int clips, std::int32_t* actions, float* action_logits) override;
    void branch_features(const float* frames, const float* previous, const std::int32_t* actions, int count,
                         const float* policy_features, float* features) override;
    void temporal_head(const float* features, int clips, float* logits) override;

    // Whether no kernel has written outside its buffers; for tests.
    bool buffers_intact() const;

  private:
    struct State;
    State& here();  // for calls that work; Error in another process

    std::unique_ptr<State> state_;
};

// Names of the instruction sets this build has and this processor can run, best first; null after the last.
const char* const* instruction_sets();

// What benchmarks put the engine beside: so many rounds of multiply-adds of an instruction set (null: the best) on this
// core, and nothing else; returns how many there were. Throws Error for a name that is not in instruction_sets().
long multiply_adds(const char* instruction_set, long rounds);

}  // namespace adasgn
