#include "adasgn/online/costs.h"

#include "adasgn/constants.h"

namespace adasgn::online {

namespace {

constexpr std::int64_t kPair = 256;  // θ and φ
constexpr std::int64_t kLayer = std::int64_t{kTaps} * kFeature * kFeature;
constexpr std::int64_t kWiden = std::int64_t{kFeature} * kTemporal;

}  // namespace

std::int64_t branch_macs(const Description& description, int branch) {
    const BranchShape& shape = description.branches[branch];
    const std::int64_t joints = shape.joints;
    if (shape.pose()) {
        return 2 * joints * kCoordinates * kPoseHidden + kPoseHidden * kFeature;
    }
    const bool moves = description.kind != "sgn";  // has a joint transform
    std::int64_t per_joint = 2 * (kCoordinates * kEmbedding + kEmbedding * kEmbedding) + 2 * kNode * kPair;
    std::int64_t adjacency_rows = kPair;  // the adjacency itself, then its product with the input of every layer
    for (int layer = 0, inputs = kNode; layer < shape.layer_count(); ++layer) {
        per_joint += 2 * std::int64_t{inputs} * shape.layer_outputs(layer);
        adjacency_rows += inputs;
        inputs = shape.layer_outputs(layer);
    }
    if (moves) {
        per_joint += std::int64_t{description.joints} * 2 * kCoordinates;
    }
    return joints * per_joint + joints * joints * adjacency_rows;
}

std::int64_t temporal_step_macs(const Description& description) {
    const auto layers = static_cast<std::int64_t>(description.causal->dilations.size());
    return layers * kLayer + kWiden + std::int64_t{kTemporal} * description.classes;
}

std::int64_t temporal_window_macs(const Description& description) {
    std::int64_t macs = std::int64_t{kTemporal} * description.classes;
    int rows = description.frames;
    for (const int dilation : description.causal->dilations) {
        rows -= 2 * dilation;
        macs += rows * kLayer;
    }
    return macs + rows * kWiden;
}

}  // namespace adasgn::online
