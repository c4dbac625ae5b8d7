// A model on a GPU, for callers whose data is there already. Constructing uploads the weights and allocates all
// scratch memory for a stated maximum batch; after that every function only launches kernels on the caller's stream:
// nothing allocates, nothing waits, all can be captured in a graph. The scratch memory is the engine's own, so one
// engine serves one stream at a time: two runs of one engine that are not ordered may wait for each other's flags for
// ever (kernels/whole_clip.cu, kernels/causal.cu).
//
// Pointers are device pointers. Symbols as in adasgn/engine.h: V joints, T frames, A branches, K classes. Counts are
// checked here (Error, kind clip); what the data holds is checked on the device and reported by `fault`.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "adasgn/cuda/memory.h"
#include "adasgn/cuda/packed_model.h"
#include "adasgn/cuda/schedule.h"
#include "adasgn/inference.h"
#include "adasgn/model.h"
#include "adasgn/process.h"
#include "launch.h"

namespace adasgn::cuda {

struct EngineOptions {
    int max_batch = 1;                     // most clips (samples x persons) of one run
    Precision precision = Precision::f16;  // of all but the policy, which is exact always
    int device = 0;
};

struct DeviceResult {
    float* logits;                    // (samples, K)
    std::int32_t* actions = nullptr;  // (samples, persons, T)
    float* features = nullptr;        // (samples, persons, T, 256)
};

// Of a model that escalates: a sample less sure than this goes on. The value, negative for the model's default; or,
// where `at` is not null, what lies there (device memory, or mapped) when the kernels run.
struct Threshold {
    float value = kDefaultThreshold;
    const float* at = nullptr;
};

// The last frame that could not be right, of those launched since the last look; -1: none.
struct Fault {
    int not_finite = -1;  // coordinates are NaN or infinite
    int bad_action = -1;  // no number of a branch
};

class DeviceEngine {
  public:
    // Of a causal model an engine has the branches alone, if it is asked for those: policy_features, branch_features.
    enum class Part { all, branches };

    // Throws Error (engine) where there is no such device, or a model or options that it cannot run.
    DeviceEngine(const Model& model, const EngineOptions& options, Part part = Part::all);

    const Description& description() const { return description_; }
    const EngineOptions& options() const { return options_; }
    const DeviceTraits& traits() const { return traits_; }
    float max_feature() const { return max_feature_; }  // that may be given (adasgn/bounds.h)
    int max_frames() const { return options_.max_batch * description_.frames; }

    // Every call below begins with this: its device is the current one from here on. Throws Error (engine) in another
    // process than the one that made the engine: after fork a child has nothing of the GPU.
    OnDevice make_current() const;
    // Whether this is that process. In another one an engine must not be destroyed: the driver is not to be called.
    bool here() const noexcept { return process_.here(); }

    // Clips (samples, persons, T, V, 3); given actions (samples, persons, T), or null for the policy's.
    void run(const float* clips, const std::int32_t* given, int samples, int persons, const DeviceResult& result,
             Stream stream, const Threshold& threshold = {});
    // Every branch on every frame, the class logits averaged, to logits (samples, K).
    void run_fuse(const float* clips, int samples, int persons, float* logits, Stream stream);

    // The stages, as of adasgn::Engine.
    void policy_features(const float* frames, const float* previous, int count, float* features, Stream stream);
    void actions(const float* features, int clips, std::int32_t* actions, float* action_logits, Stream stream);
    void branch_features(const float* frames, const float* previous, const std::int32_t* actions, int count,
                         const float* policy_features, float* features, Stream stream);
    void temporal_head(const float* features, int clips, float* logits, Stream stream);

    // Where a causal model lies on the device, for who runs it frame by frame: its temporal module, no layers of
    // another model; its pose branch, no inputs of one without. And its frames, as the kernels take them: those at
    // `coordinates`, which come after those at `previous`.
    const CausalWeights& causal_weights() const { return causal_; }
    const PoseWeights& pose_weights() const { return pose_; }
    Frames single_frames(const float* coordinates, const float* previous, int count) const;

    // What the device found since the last call; waits for the stream.
    Fault fault(Stream stream);

    // Whether a block can take a frame through policy and branch: else only tiles can be forced.
    bool has_frame_blocks() const {
        return description_.adaptive ? has_pose() || has_plain_policy() : !has_pose() || routes();
    }
    bool has_whole_clips() const { return cuda::has_whole_clips(workload_, options_.precision); }
    Schedule schedule(int frames) const;
    Schedule level_schedule(int level, int frames) const;  // of a model that escalates
    void force_schedule(const Schedule& schedule);

  private:
    Frames frames_of_clips(const float* clips, int count) const;
    BranchParameters branch_parameters(const Frames& frames, float* features) const;
    Precision precision(int branch) const { return branch_precision(description_, options_.precision, branch); }

    // Whether frames of a run may take different branches; branch 0 then has run on all of them.
    bool routes() const { return branches_.size() > 1; }
    bool has_pose() const { return description_.branches.front().pose(); }
    bool has_plain_policy() const { return branches_.front().plain != nullptr; }

    void run_one_branch(const Frames& frames, int branch, float* features, Stream stream);
    void run_pose(const Frames& frames, float* features, Stream stream);
    PolicyParameters policy_parameters(const Frames& frames, float* features) const;
    void run_policy(const PolicyParameters& parameters, Stream stream);
    // `work` fills the lists and ends by emptying them; where it fails half way, they are empty all the same.
    template <class Work>
    void with_lists(Stream stream, const Work& work);
    // Features of several branches by tiles; actions may be null.
    void run_tiles(const Frames& frames, const std::int32_t* given, std::int32_t* actions, float* features,
                   Stream stream);
    RouteParameters route_parameters(int frames, const std::int32_t* given, std::int32_t* actions, bool lists) const;
    void run_routed(const Frames& frames, float* features, Stream stream);
    void route_frames(const RouteParameters& parameters, Stream stream);
    TemporalParameters head_parameters(const float* features, int samples, int persons, float* logits) const;
    void head(const TemporalParameters& parameters, Stream stream);
    // Level by level, samples that are not sure enough go on: lists that the device makes and reads.
    void run_levels(const Frames& frames, int samples, int persons, const DeviceResult& result, float* features,
                    const Threshold& threshold, Stream stream);
    void run_level(const Frames& frames, int level, const Listed& listed, float* features, Stream stream);

    OwnProcess process_;
    Description description_;
    EngineOptions options_;
    DeviceTraits traits_;
    float max_feature_;
    DeviceMemory<unsigned char> weights_;
    std::vector<BranchWeights> branches_;
    PolicyWeights policy_{};
    PoseWeights pose_{};
    TemporalWeights temporal_{};
    CausalWeights causal_{};
    Workload workload_;
    std::optional<Schedule> forced_;

    DeviceMemory<float> features_;        // (max_batch, T, 256)
    DeviceMemory<unsigned char> hidden_;  // (max_batch, T, 256), with a pose branch
    DeviceMemory<float> looked_at_;       // (max_batch, T, 256): features of the policy's branch, with a pose branch
    DeviceMemory<unsigned char> across_;  // (max_batch, T, 256)
    DeviceMemory<float> pooled_;          // (max_batch, 512)
    DeviceMemory<float> level_logits_;    // (max_batch, K), of a model that escalates
    DeviceMemory<float> probabilities_;   // (max_batch, K)
    DeviceMemory<int> done_;              // (max_batch,) zero between runs (kernels/launch.h: TemporalParameters)
    DeviceMemory<int> counts_;            // (A,) frames that the router has listed; zero between runs
    DeviceMemory<int> level_counts_;      // (A,) of a model that escalates: those of each level
    DeviceMemory<int> lists_;             // (A, max_batch · T)
    DeviceMemory<int> fault_;             // (2,)
    DeviceMemory<int> clip_flags_;        // (max_batch, kClipFlags) zero between runs, where clips run in one launch
};

}  // namespace adasgn::cuda
