// A model on a GPU, with arrays of the host in and out. Each kind of run (mode, samples, persons) is captured as one
// CUDA graph the first time, copies included, and replayed with new input after that.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "adasgn/cuda/device_engine.h"
#include "adasgn/inference.h"

namespace adasgn::cuda {

class Engine : public Inference {
  public:
    Engine(const Model& model, const EngineOptions& options);
    ~Engine() override;
    Engine(Engine&&) noexcept;
    Engine& operator=(Engine&&) noexcept;

    const Description& description() const override { return on_device().description(); }
    int max_batch() const override { return on_device().options().max_batch; }

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

    // As run, run_forced (given actions, of the host) and run_fuse, for clips that lie on the device already. They are
    // read on stream(), in its order: what writes them elsewhere must be waited for there.
    enum class Mode { adaptive, forced, fuse };
    void run_device(Mode mode, const float* device_clips, const std::int32_t* actions, int samples, int persons,
                    const Result& result, float threshold = kDefaultThreshold);

    // A stream of the engine's own, which does not wait for the default stream. Graphs are captured on another one, so
    // other libraries may make this one wait for their work at any time.
    Stream stream() const;
    // stream() waits for what another stream of this device has been given so far (1 and 2: the default stream, the
    // calling thread's own default stream), or this thread for all work of the device, for clips whose stream is
    // unknown.
    void wait_for(Stream other);
    void wait_for_device();

    // Captures the graph of a kind of run beforehand, so that the first such run is as fast as the others.
    void prepare(Mode mode, int samples, int persons, bool features = false);

    // For benchmarks: microseconds of `repeats` runs (adaptive) on the device alone, from before the launch of their
    // graph, which has kernels and no copies of the host, until its last kernel has ended. Clips of the host (batches,
    // samples, persons, T, V, 3) are uploaded beforehand; repeat i is on batch i % batches, and the last one's logits
    // (samples, K) are written. threshold: as of run. wait: each repeat is launched on an idle device, so that its time
    // has the launch in it; otherwise the device goes from one to the next, and the launches pass unnoticed.
    std::vector<double> time_graph(const float* clips, int batches, int samples, int persons, int repeats, bool wait,
                                   float* logits, float threshold = kDefaultThreshold);

    // For tests and benchmarks: how runs are launched from now on, instead of by what the device is.
    void force_schedule(const Schedule& schedule);

    // For callers whose results stay on the device too.
    DeviceEngine& on_device();
    const DeviceEngine& on_device() const;

  private:
    struct State;
    struct Release {  // in another process nothing is: it all belongs to the driver
        void operator()(State* state) const;
    };
    std::unique_ptr<State, Release> state_;
};

}  // namespace adasgn::cuda
