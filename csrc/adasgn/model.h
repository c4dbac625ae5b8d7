// A trained model as read from a `.adasgn` file: its description and its folded tensors (docs/model_file.md).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace adasgn {

// What makes a branch's feature: all joints as one node and no graph, or graph layers, one or three.
enum class Size { pose, small, big };

struct BranchShape {
    std::string name;  // "B-25"
    int joints;        // V_i; of a pose branch V
    Size size;

    bool pose() const { return size == Size::pose; }
    bool big() const { return size == Size::big; }
    int layer_count() const { return pose() ? 0 : big() ? 3 : 1; }  // graph layers
    int layer_inputs(int layer) const;  // 64 for the first: the joint-type half is folded away
    int layer_outputs(int layer) const;
};

// From recorded joints to the clip a model expects, as joint indices.
struct Preprocessing {
    std::vector<int> origin;  // joints whose mean it is, mostly one
    std::optional<std::array<int, 2>> scale_bone;
    std::vector<int> parents;
};

// Of a model that escalates: at this effort, 0…1, samples less confident than `threshold` go on to the next branch;
// what a clip then costs on average (full count) and the accuracy that was measured on held-out clips.
struct EffortPoint {
    double effort;
    double threshold;
    std::int64_t macs;
    std::optional<double> accuracy;
};

// Of a causal model, which is one for streams: what its features and its temporal module see is in the past
// (docs/engine.md). Frames are those of a grid of fixed steps.
struct CausalShape {
    std::vector<int> trail;      // how many frames ago the origin joint is looked at, ascending
    std::vector<int> dilations;  // of the temporal module's layers, each with taps at t - 2d, t - d and t
    int pool;                    // newest rows of the temporal module whose maximum is classified
    int origin;                  // the recorded joint that a frame is relative to

    int lead() const { return trail.empty() ? 1 : trail.back() + 1; }  // frames before its own that a feature needs
};

// How a causal model's probabilities become gestures with a start and an end (docs/model_file.md); times in
// nanoseconds.
struct Decision {
    float smoothing;                      // weight of the newest probabilities in their running mean
    float start, end;                     // probability at which a gesture starts and below which it ends
    float low;                            // probability of any gesture from which on a start is dated back
    std::int64_t minimum;                 // duration, before a gesture is told
    std::int64_t maximum;                 // duration, after which it ends
    std::int64_t cool_down;               // between two gestures
    std::int64_t start_shift, end_shift;  // added to the times that are told
};

// Of a causal model.
struct Recognition {
    std::int64_t step;  // of the grid, nanoseconds
    int none;           // the class that is no gesture
    Decision decision;
    std::int64_t delay = 0;  // steps in nanoseconds: a window's label is about the instant so long before its newest
};

struct Description {
    std::string kind;  // "adasgn", "sgn" or "single"
    int joints;        // V; of a causal model the recorded ones and after them the trail
    int classes;
    int frames;      // T; of a causal model the features that its temporal module sees
    int stride;      // of the temporal module's first convolution, 1 or 2
    bool adaptive;   // has a policy
    bool escalates;  // every sample takes the first branch, unsure ones the next too
    std::vector<BranchShape> branches;
    std::string layout;  // name of the skeleton layout
    std::vector<std::string> joint_names;
    std::vector<std::string> class_names;
    std::string stream;  // "joint", "bone" or "velocity"
    double window;       // seconds that a clip spans
    Preprocessing preprocessing;
    std::string precision;                                  // "f32" or "f16": of the file; in memory all is float32
    std::map<std::string, std::vector<std::int64_t>> cost;  // "paper", "full", "folded": MACs by branch
    std::vector<EffortPoint> effort_table;                  // from effort 0 to 1; empty unless the model escalates
    double default_effort = 0;
    std::vector<double> action_shares;  // share of frames that the policy gives to each branch; empty: not known
    std::optional<CausalShape> causal;
    std::optional<Recognition> recognition;  // of a causal model

    int temporal_frames() const { return (frames + stride - 1) / stride; }  // rows after that convolution
    // A clip is (clip_frames, recorded_joints, 3): T and V, but of a causal model a window of T + lead frames.
    int recorded_joints() const { return causal ? joints - static_cast<int>(causal->trail.size()) : joints; }
    int clip_frames() const { return causal ? frames + causal->lead() : frames; }

    std::string json;  // all of it as the file has it, for readers in other languages; empty for one that is no file's
};

struct Tensor {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
};

struct Model {
    Description description;
    std::map<std::string, Tensor> tensors;
    std::string name = "model";  // of the file, in messages

    const Tensor& tensor(const std::string& name) const;
};

// The names and shapes that a description calls for, no more, no less.
std::map<std::string, std::vector<std::int64_t>> expected_tensors(const Description& description);

// Reads a file; throws Error (model_file) that names what was expected and what was found.
Model read_model(const std::string& path);

// The same from memory; `name` is what error messages call it.
Model parse_model(const void* bytes, std::size_t size, const std::string& name = "model");

}  // namespace adasgn
