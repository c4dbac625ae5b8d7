#include "adasgn/model.h"

#include "adasgn/constants.h"
#include "adasgn/error.h"

namespace adasgn {

int BranchShape::layer_inputs(int layer) const {
    return layer == 0 ? kEmbedding : layer_outputs(layer - 1);
}

int BranchShape::layer_outputs(int layer) const {
    return big() && layer == 0 ? kNode : kFeature;
}

const Tensor& Model::tensor(const std::string& wanted) const {
    const auto found = tensors.find(wanted);
    if (found == tensors.end()) {
        throw Error(ErrorKind::model_file, name + ": expected a tensor " + wanted + ", found none");
    }
    return found->second;
}

std::map<std::string, std::vector<std::int64_t>> expected_tensors(const Description& description) {
    std::map<std::string, std::vector<std::int64_t>> shapes;
    for (std::size_t i = 0; i < description.branches.size(); ++i) {
        const BranchShape& branch = description.branches[i];
        const std::string prefix = "branches." + std::to_string(i) + ".";
        const std::int64_t joints = branch.joints;
        if (branch.pose()) {
            shapes[prefix + "hidden.weight"] = {2 * joints * kCoordinates, kPoseHidden};
            shapes[prefix + "hidden.bias"] = {kPoseHidden};
            shapes[prefix + "output.weight"] = {kPoseHidden, kFeature};
            shapes[prefix + "output.bias"] = {kFeature};
            continue;
        }
        for (const char* part : {"position.", "velocity."}) {
            shapes[prefix + part + "transform"] = {kCoordinates, joints, description.joints};
            shapes[prefix + part + "shift"] = {joints, kCoordinates};
            shapes[prefix + part + "hidden.weight"] = {kCoordinates, kEmbedding};
            shapes[prefix + part + "hidden.bias"] = {kEmbedding};
            shapes[prefix + part + "output.weight"] = {kEmbedding, kEmbedding};
            shapes[prefix + part + "output.bias"] = {kEmbedding};
        }
        if (joints > 1) {
            shapes[prefix + "adjacency.q"] = {kEmbedding, kEmbedding};
            shapes[prefix + "adjacency.r"] = {joints, kEmbedding};
            shapes[prefix + "adjacency.u"] = {joints, kEmbedding};
            shapes[prefix + "adjacency.c"] = {joints, joints};
        }
        for (int k = 0; k < branch.layer_count(); ++k) {
            const std::string layer = prefix + "layers." + std::to_string(k) + ".";
            const std::int64_t inputs = branch.layer_inputs(k);
            const std::int64_t outputs = branch.layer_outputs(k);
            shapes[layer + "itself"] = {inputs, outputs};
            shapes[layer + "bias"] = {outputs};
            if (joints > 1) {
                shapes[layer + "neighbours"] = {inputs, outputs};
            }
            if (k == 0) {
                shapes[layer + "bias"] = {joints, outputs};
                if (joints > 1) {
                    shapes[layer + "neighbours_constant"] = {joints, outputs};
                }
            }
        }
    }
    if (description.adaptive) {
        const auto actions = static_cast<std::int64_t>(description.branches.size());
        shapes["policy.weight"] = {kTaps, kFeature, actions};
        shapes["policy.bias"] = {actions};
    }
    if (description.causal) {
        for (std::size_t i = 0; i < description.causal->dilations.size(); ++i) {
            const std::string layer = "temporal.layers." + std::to_string(i) + ".";
            shapes[layer + "weight"] = {kTaps, kFeature, kFeature};
            shapes[layer + "bias"] = {kFeature};
        }
    } else {
        shapes["temporal.across.weight"] = {kTaps, kFeature, kFeature};
        shapes["temporal.across.bias"] = {description.temporal_frames(), kFeature};
    }
    shapes["temporal.widen.weight"] = {kFeature, kTemporal};
    shapes["temporal.widen.bias"] = {kTemporal};
    shapes["temporal.classify.weight"] = {kTemporal, description.classes};
    shapes["temporal.classify.bias"] = {description.classes};
    return shapes;
}

}  // namespace adasgn
