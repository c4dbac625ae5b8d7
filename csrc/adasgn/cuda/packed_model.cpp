#include "adasgn/cuda/packed_model.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "adasgn/checks.h"
#include "adasgn/error.h"

namespace adasgn::cuda {

namespace {

constexpr std::size_t kAlignment = 256;  // of every array, as of the device's own allocations

// Rounds to nearest even. Only for finite values up to 65504 in magnitude.
std::uint16_t to_binary16(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const std::uint32_t sign = bits >> 16 & 0x8000U;
    const std::uint32_t magnitude = bits & 0x7fffffffU;
    if (magnitude >= 0x38800000U) {  // a normal binary16: 2^-14 and above
        const std::uint32_t rounded = magnitude + 0xfffU + (magnitude >> 13 & 1U);
        return static_cast<std::uint16_t>(sign | ((rounded >> 13) - (112U << 10)));
    }
    // A multiple of 2^-24; adding 2^-1 as a float leaves it in the last ten bits, rounded.
    float scaled;
    std::memcpy(&scaled, &magnitude, sizeof scaled);
    scaled += 0.5F;
    std::uint32_t fixed;
    std::memcpy(&fixed, &scaled, sizeof fixed);
    return static_cast<std::uint16_t>(sign | (fixed & 0x7ffU));
}

// A matrix (depth, width): element (k, n) at values[k · depth_step + n · width_step]; beyond it zeros.
struct Matrix {
    const std::vector<float>& values;
    int depth;
    int width;
    int depth_step;
    int width_step;

    explicit Matrix(const Tensor& tensor)  // (…, inputs, outputs); leading axes count as inputs
        : values(tensor.values), width(static_cast<int>(tensor.shape.back())), depth_step(width), width_step(1) {
        depth = static_cast<int>(values.size()) / width;
    }
    Matrix(const Tensor& tensor, bool /*transposed*/)
        : values(tensor.values),
          depth(static_cast<int>(tensor.shape[1])),
          width(static_cast<int>(tensor.shape[0])),
          depth_step(1),
          width_step(depth) {}

    float at(int k, int n) const {
        return k < depth && n < width ? values[static_cast<std::size_t>(k) * depth_step + n * width_step] : 0.0F;
    }
};

// Appends the block of 16 x 16 that begins at (k, n), in the order of kernels/weight_stream.h.
void append_block(std::vector<unsigned char>& bytes, const Matrix& matrix, int k, int n, Precision precision) {
    const std::size_t begin = bytes.size();
    if (precision == Precision::f32) {
        bytes.resize(begin + kBlock * kBlock * sizeof(float));
        float* to = reinterpret_cast<float*>(bytes.data() + begin);
        for (int input = 0; input < kBlock; ++input) {
            for (int q = 0; q < 4; ++q) {
                for (const int column : {2 * q, 2 * q + 1, 2 * q + 8, 2 * q + 9}) {
                    *to++ = matrix.at(k + input, n + column);
                }
            }
        }
        return;
    }
    bytes.resize(begin + kBlock * kBlock * sizeof(std::uint16_t));
    auto* to = reinterpret_cast<std::uint16_t*>(bytes.data() + begin);
    for (int lane = 0; lane < 32; ++lane) {
        const int g = lane / 4;
        const int q = lane % 4;
        for (const int column : {g, g + 8}) {
            for (const int input : {2 * q, 2 * q + 1, 2 * q + 8, 2 * q + 9}) {
                *to++ = to_binary16(matrix.at(k + input, n + column));
            }
        }
    }
}

void expect_binary16(const Model& model) {
    for (const auto& [name, tensor] : model.tensors) {
        for (const float value : tensor.values) {
            if (std::fabs(value) > 65504.0F) {
                throw Error(ErrorKind::engine, "model: expected weights that binary16 can hold, found " +
                                                   std::to_string(value) + " in " + name +
                                                   "; load it with precision f32");
            }
        }
    }
}

// One warp's share of a product of 64 columns: four warps side by side.
void append_half_product(std::vector<unsigned char>& bytes, const Tensor& weight, int warp, Precision precision) {
    const Matrix matrix(weight);
    for (int k = 0; k < matrix.depth; k += kBlock) {
        append_block(bytes, matrix, k, warp % 4 * kBlock, precision);
    }
}

// One warp's share of a product whose columns are divided among all warps.
void append_product(std::vector<unsigned char>& bytes, const Tensor& weight, int warp, Precision precision) {
    const Matrix matrix(weight);
    const int columns = matrix.width / kWarps;
    for (int k = 0; k < matrix.depth; k += kBlock) {
        for (int n = 0; n < columns; n += kBlock) {
            append_block(bytes, matrix, k, warp * columns + n, precision);
        }
    }
}

// [columns / 32][inputs / 16][2]
void append_columns(std::vector<unsigned char>& bytes, const Tensor& weight, Precision precision) {
    const Matrix matrix(weight);
    for (int n = 0; n < matrix.width; n += 2 * kBlock) {
        for (int k = 0; k < matrix.depth; k += kBlock) {
            append_block(bytes, matrix, k, n, precision);
            append_block(bytes, matrix, k, n + kBlock, precision);
        }
    }
}

// Of a ring with so many rows at least: a power of two, so that a frame's number may wrap around.
int ring_places(int rows) {
    int places = 1;
    while (places < rows) {
        places *= 2;
    }
    return places;
}

template <class T>
const T* place(const void* base, std::size_t offset) {
    return reinterpret_cast<const T*>(static_cast<const unsigned char*>(base) + offset);
}

}  // namespace

Precision branch_precision(const Description& description, Precision precision, int branch) {
    return description.adaptive && branch == 0 ? Precision::f32 : precision;
}

bool PackedModel::has_plain_policy(const Description& description) {
    return description.adaptive && description.branches[0].joints == 1 && description.branches[0].size == Size::small;
}

PackedModel::PackedModel(const Model& model, Precision precision) : adaptive_(model.description.adaptive) {
    const Description& description = model.description;
    if (static_cast<int>(description.branches.size()) > kMaxBranches) {
        throw Error(ErrorKind::engine, "model: expected at most " + std::to_string(kMaxBranches) + " branches, found " +
                                           std::to_string(description.branches.size()));
    }
    for (const BranchShape& branch : description.branches) {
        if (!branch.pose() && branch.joints > kMaxBranchJoints) {
            throw Error(ErrorKind::engine, "model: expected branches of at most " + std::to_string(kMaxBranchJoints) +
                                               " joints on a GPU, found " + branch.name);
        }
    }
    const int most_frames = static_cast<int>(highest_temporal_tile(precision)) - (kTaps - 1);
    if (!description.causal && description.frames > most_frames) {
        throw Error(ErrorKind::engine, "model: expected clips of at most " + std::to_string(most_frames) +
                                           " frames on a GPU in this precision, found " +
                                           std::to_string(description.frames));
    }
    if (precision == Precision::f16) {
        expect_binary16(model);
    }
    for (int i = 0; i < static_cast<int>(description.branches.size()); ++i) {
        const Precision of_branch = branch_precision(description, precision, i);
        if (description.branches[i].pose()) {
            pack_pose(model, of_branch);
            Branch branch{};
            branch.weights.joints = 1;
            branches_.push_back(branch);
        } else {
            branches_.push_back(pack_branch(model, i, of_branch));
        }
    }
    if (adaptive_) {
        const Tensor& weight = model.tensor("policy.weight");  // (3, 256, A)
        const int inputs = kTaps * kFeature;
        const int actions = static_cast<int>(weight.shape[2]);
        std::vector<float> by_action;
        for (int action = 0; action < actions; ++action) {
            for (int input = 0; input < inputs; ++input) {
                by_action.push_back(weight.values[static_cast<std::size_t>(input) * actions + action]);
            }
        }
        policy_weight_ = add_floats(by_action);
        policy_bias_ = add_floats(model.tensor("policy.bias").values);
    }
    pack_temporal(model, precision);
}

BranchWeights PackedModel::branch(int index, const void* base) const {
    const Branch& branch = branches_[index];
    BranchWeights weights = branch.weights;
    if (weights.stream_blocks == 0) {
        return weights;  // a pose branch
    }
    weights.constants = place<float>(base, branch.constants);
    weights.stream = place<unsigned char>(base, branch.stream);
    weights.key_bias = place<unsigned char>(base, branch.key_bias);
    weights.plain = branch.has_plain ? place<float>(base, branch.plain) : nullptr;
    return weights;
}

PolicyWeights PackedModel::policy(const void* base) const {
    if (!adaptive_) {
        return {nullptr, nullptr};
    }
    return {place<float>(base, policy_weight_), place<float>(base, policy_bias_)};
}

PoseWeights PackedModel::pose(const void* base) const {
    if (pose_.inputs == 0) {
        return {};
    }
    return {place<unsigned char>(base, pose_.stream), place<float>(base, pose_.hidden_bias),
            place<float>(base, pose_.output_bias), pose_.inputs};
}

TemporalWeights PackedModel::temporal(const void* base) const {
    if (!causal_.layers.empty()) {
        return {};
    }
    return {place<unsigned char>(base, temporal_.across), place<float>(base, temporal_.across_bias),
            place<unsigned char>(base, temporal_.widen),  place<float>(base, temporal_.widen_bias),
            place<float>(base, temporal_.classify),       place<float>(base, temporal_.classify_bias)};
}

CausalWeights PackedModel::causal(const void* base) const {
    CausalWeights weights = causal_.weights;
    if (weights.layer_count == 0) {
        return weights;
    }
    for (int i = 0; i < weights.layer_count; ++i) {
        weights.layers[i].weights = place<unsigned char>(base, causal_.layers[i].weights);
        weights.layers[i].bias = place<float>(base, causal_.layers[i].bias);
    }
    weights.widen = place<unsigned char>(base, temporal_.widen);
    weights.widen_bias = place<float>(base, temporal_.widen_bias);
    weights.classify = place<float>(base, temporal_.classify);
    weights.classify_bias = place<float>(base, temporal_.classify_bias);
    return weights;
}

PackedModel::Offset PackedModel::begin_array() {
    bytes_.resize((bytes_.size() + kAlignment - 1) / kAlignment * kAlignment);
    return bytes_.size();
}

PackedModel::Offset PackedModel::add_floats(const std::vector<float>& values) {
    const Offset offset = begin_array();
    const auto* const from = reinterpret_cast<const unsigned char*>(values.data());
    bytes_.insert(bytes_.end(), from, from + values.size() * sizeof(float));
    return offset;
}

PackedModel::Branch PackedModel::pack_branch(const Model& model, int index, Precision precision) {
    const BranchShape& shape = model.description.branches[index];
    const std::string prefix = "branches." + std::to_string(index) + ".";
    const bool several = shape.joints > 1;
    Branch branch{};
    branch.weights.joints = static_cast<std::int16_t>(shape.joints);
    branch.weights.big = shape.big() ? 1 : 0;
    branch.constants = pack_constants(model, index);
    branch.stream = begin_array();
    for (int warp = 0; warp < kWarps; ++warp) {
        append_half_product(bytes_, model.tensor(prefix + "position.output.weight"), warp, precision);
        append_half_product(bytes_, model.tensor(prefix + "velocity.output.weight"), warp, precision);
        if (several) {
            append_half_product(bytes_, model.tensor(prefix + "adjacency.q"), warp, precision);
        }
        for (int layer = 0; layer < shape.layer_count(); ++layer) {
            const std::string name = prefix + "layers." + std::to_string(layer);
            if (several) {
                append_product(bytes_, model.tensor(name + ".neighbours"), warp, precision);
            }
            append_product(bytes_, model.tensor(name + ".itself"), warp, precision);
        }
    }
    const int block_bytes = kBlock * kBlock * (precision == Precision::f32 ? 4 : 2);
    branch.weights.stream_blocks = static_cast<int>((bytes_.size() - branch.stream) / block_bytes / kWarps);
    branch.key_bias = begin_array();
    if (several) {
        const Matrix transposed(model.tensor(prefix + "adjacency.u"), true);
        for (int n = 0; n < kMaxBranchJoints; n += kBlock) {
            for (int k = 0; k < kEmbedding; k += kBlock) {
                append_block(bytes_, transposed, k, n, precision);
            }
        }
    }
    branch.has_plain = index == 0 && has_plain_policy(model.description);
    if (branch.has_plain) {
        std::vector<float> plain;
        for (const char* const name : {"position.output.weight", "velocity.output.weight", "layers.0.itself"}) {
            const std::vector<float>& values = model.tensor(prefix + name).values;  // (64, 64) twice, (64, 256)
            plain.insert(plain.end(), values.begin(), values.end());
        }
        branch.plain = add_floats(plain);
    }
    return branch;
}

void PackedModel::pack_pose(const Model& model, Precision precision) {
    const Matrix hidden(model.tensor("branches.0.hidden.weight"));  // (6·V, 256)
    const Matrix output(model.tensor("branches.0.output.weight"));  // (256, 256)
    pose_.inputs = (hidden.depth + kPoseInputs - 1) / kPoseInputs * kPoseInputs;
    pose_.stream = begin_array();
    for (int n = 0; n < kFeature; n += 2 * kBlock) {
        const auto append = [&](const Matrix& matrix, int inputs) {
            for (int k = 0; k < inputs; k += kBlock) {
                append_block(bytes_, matrix, k, n, precision);
                append_block(bytes_, matrix, k, n + kBlock, precision);
            }
        };
        append(hidden, pose_.inputs);
        append(output, kPoseHidden);
    }
    pose_.hidden_bias = add_floats(model.tensor("branches.0.hidden.bias").values);
    pose_.output_bias = add_floats(model.tensor("branches.0.output.bias").values);
}

PackedModel::Offset PackedModel::pack_columns(const Tensor& weight, Precision precision) {
    const Offset offset = begin_array();
    append_columns(bytes_, weight, precision);
    return offset;
}

void PackedModel::pack_temporal(const Model& model, Precision precision) {
    if (model.description.causal) {
        pack_causal(model, precision);
    } else {
        temporal_.across = pack_columns(model.tensor("temporal.across.weight"), precision);
        temporal_.across_bias = add_floats(model.tensor("temporal.across.bias").values);
    }
    temporal_.widen = pack_columns(model.tensor("temporal.widen.weight"), precision);
    temporal_.widen_bias = add_floats(model.tensor("temporal.widen.bias").values);
    const Matrix classify(model.tensor("temporal.classify.weight"));  // (512, K)
    std::vector<float> by_class;
    for (int label = 0; label < classify.width; ++label) {
        for (int input = 0; input < classify.depth; ++input) {
            by_class.push_back(classify.at(input, label));
        }
    }
    temporal_.classify = add_floats(by_class);
    temporal_.classify_bias = add_floats(model.tensor("temporal.classify.bias").values);
}

void PackedModel::pack_causal(const Model& model, Precision precision) {
    const CausalShape& shape = *model.description.causal;
    CausalWeights& weights = causal_.weights;
    weights.layer_count = static_cast<int>(shape.dilations.size());
    for (int i = 0; i < weights.layer_count; ++i) {
        const std::string name = "temporal.layers." + std::to_string(i);
        CausalLayer& layer = weights.layers[i];
        layer.dilation = shape.dilations[i];
        layer.past = weights.past_rows;
        layer.mask = ring_places((kTaps - 1) * layer.dilation + 1) - 1;
        weights.past_rows += layer.mask + 1;
        causal_.layers.push_back(
            {pack_columns(model.tensor(name + ".weight"), precision), add_floats(model.tensor(name + ".bias").values)});
    }
    weights.pool = shape.pool;
    weights.pool_mask = ring_places(shape.pool) - 1;
}

PackedModel::Offset PackedModel::pack_constants(const Model& model, int index) {
    const BranchShape& shape = model.description.branches[index];
    const std::string prefix = "branches." + std::to_string(index) + ".";
    const int inputs = model.description.joints;
    const int joints = shape.joints;
    const ConstantsLayout at = constants_layout(inputs, joints, shape.big());
    std::vector<float> constants(at.size);
    const auto copy = [&](const std::string& name, int to) {
        const std::vector<float>& values = model.tensor(prefix + name).values;
        std::copy(values.begin(), values.end(), constants.begin() + to);
    };
    int part = 0;
    for (const std::string name : {"position.", "velocity."}) {
        const std::vector<float>& transform = model.tensor(prefix + name + "transform").values;  // (3, V_i, V)
        const std::vector<float>& shift = model.tensor(prefix + name + "shift").values;          // (V_i, 3)
        for (int c = 0; c < kCoordinates; ++c) {
            const int row = part * kCoordinates + c;
            for (int j = 0; j < joints; ++j) {
                constants[at.shift + row * joints + j] = shift[j * kCoordinates + c];
                for (int v = 0; v < inputs; ++v) {
                    constants[at.transform + (row * inputs + v) * joints + j] =
                        transform[(c * joints + j) * inputs + v];
                }
            }
        }
        copy(name + "hidden.weight", at.hidden + part * (kCoordinates + 1) * kEmbedding);
        copy(name + "hidden.bias", at.hidden + (part * (kCoordinates + 1) + kCoordinates) * kEmbedding);
        copy(name + "output.bias", at.output_bias + part * kEmbedding);
        ++part;
    }
    for (int layer = 0; layer < shape.layer_count(); ++layer) {
        copy("layers." + std::to_string(layer) + ".bias", at.bias[layer]);
    }
    if (joints > 1) {
        copy("adjacency.r", at.query);
        copy("adjacency.c", at.logits);
        copy("layers.0.neighbours_constant", at.neighbours_constant);
    }
    return add_floats(constants);
}

}  // namespace adasgn::cuda
