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
    int origin;
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

struct Description {
    std::string kind;  // "adasgn", "sgn" or "single"
    int joints;        // V
    int classes;
    int frames;      // T
    int stride;      // of the temporal module's first convolution, 1 or 2
    bool adaptive;   // has a policy
    bool escalates;  // every sample takes the first branch, unsure ones the next too
    std::vector<BranchShape> branches;
    std::string layout;  // name of the skeleton layout
    std::vector<std::string> joint_names;
    std::vector<std::string> class_names;
    std::string stream;  // "joint", "bone" or "velocity"
    double window;       // seconds that T frames span
    Preprocessing preprocessing;
    std::string precision;                                  // "f32" or "f16": of the file; in memory all is float32
    std::map<std::string, std::vector<std::int64_t>> cost;  // "paper", "full", "folded": MACs by branch
    std::vector<EffortPoint> effort_table;                  // from effort 0 to 1; empty unless the model escalates
    double default_effort = 0;
    std::vector<double> action_shares;  // share of frames that the policy gives to each branch; empty: not known
    int temporal_frames() const { return (frames + stride - 1) / stride; }  // rows after that convolution

    std::string json;  // all of it as the file has it, for readers in other languages; empty for one that is no file's
};

struct Tensor {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
};

struct Model {
    Description description;
    std::map<std::string, Tensor> tensors;

    const Tensor& tensor(const std::string& name) const;
};

// The names and shapes that a description calls for, no more, no less.
std::map<std::string, std::vector<std::int64_t>> expected_tensors(const Description& description);

// Reads a file; throws Error (model_file) that names what was expected and what was found.
Model read_model(const std::string& path);

// The same from memory; `name` is what error messages call it.
Model parse_model(const void* bytes, std::size_t size, const std::string& name = "model");

}  // namespace adasgn
