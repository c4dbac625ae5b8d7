#include "adasgn/plan.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <string>
#include <utility>

#include "adasgn/error.h"

namespace adasgn {

using cpu::kRowStride;

namespace {

// Of a finite value the upper 16 bits, rounded to nearest even.
std::uint32_t to_bfloat16(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return (bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16;
}

}  // namespace

const cpu::Kernels& checked_kernels(const char* name) {
    const cpu::Kernels* const found = cpu::kernels_for(name);
    if (found == nullptr) {
        std::string known;
        for (const char* const* set = cpu::instruction_sets(); *set != nullptr; ++set) {
            known += std::string(known.empty() ? "" : ", ") + *set;
        }
        throw Error(ErrorKind::engine, "instruction set: expected one of " + known + ", found " + name);
    }
    return *found;
}

Plan::Plan(const Model& model, const cpu::Kernels& kernels, Part part, bool halved)
    : panel_(kernels.panel), lanes_(kernels.lanes) {
    const Description& description = model.description;
    for (int i = 0; part == Part::whole && i < static_cast<int>(description.branches.size()); ++i) {
        branches_.push_back(branch(model, i));
    }
    if (description.causal) {
        causal_ = causal(model, halved);
        return;
    }
    if (description.adaptive) {
        policy_.frames = description.frames;
        taps(model.tensor("policy.weight"), policy_.taps);
        start_from_row(policy_.taps[0], model.tensor("policy.bias").values.data());
    }
    temporal_.frames = description.frames;
    temporal_.stride = description.stride;
    taps(model.tensor("temporal.across.weight"), temporal_.across);
    start_from_rows(temporal_.across[0], model.tensor("temporal.across.bias").values.data(),
                    description.temporal_frames());
    temporal_.widen = affine(model, "temporal.widen");
    temporal_.classify = affine(model, "temporal.classify");
}

bool Plan::buffers_intact() const {
    return std::all_of(buffers_.begin(), buffers_.end(), [](const Buffer& buffer) { return buffer.intact(); });
}

int Plan::whole_panels(int columns) const {
    return (columns + panel_ - 1) / panel_ * panel_;
}

float* Plan::allocate(std::size_t floats) {
    buffers_.emplace_back(floats);
    return buffers_.back().data();
}

cpu::Packed Plan::pack(const float* values, int depth, int width, int depth_step, int width_step, bool halved) {
    Buffer panels(static_cast<std::size_t>(depth) * whole_panels(width));
    for (int n = 0; n < width; ++n) {
        float* const column = panels.data() + static_cast<std::size_t>(n / panel_) * depth * panel_ + n % panel_;
        for (int k = 0; k < depth; ++k) {
            column[static_cast<std::size_t>(k) * panel_] =
                values[static_cast<std::size_t>(k) * depth_step + static_cast<std::size_t>(n) * width_step];
        }
    }
    cpu::Packed packed;
    packed.depth = depth;
    packed.width = width;
    packed.halved = halved;
    if (!halved) {
        packed.panels = panels.data();
        buffers_.push_back(std::move(panels));
        return packed;
    }
    float* word = allocate(panels.size() / 2);
    packed.panels = word;
    for (const float* low = panels.data(); low != panels.data() + panels.size(); low += 2 * lanes_) {
        for (int lane = 0; lane < lanes_; ++lane, ++word) {
            const std::uint32_t both = to_bfloat16(low[lane]) | to_bfloat16(low[lanes_ + lane]) << 16;
            std::memcpy(word, &both, sizeof both);
        }
    }
    return packed;
}

cpu::Packed Plan::pack(const Tensor& tensor, bool halved) {
    const int depth = static_cast<int>(tensor.shape[0]);
    const int width = static_cast<int>(tensor.shape[1]);
    return pack(tensor.values.data(), depth, width, width, 1, halved);
}

cpu::Packed Plan::affine(const Model& model, const std::string& name, bool halved) {
    cpu::Packed packed = pack(model.tensor(name + ".weight"), halved);
    start_from_row(packed, model.tensor(name + ".bias").values.data());
    return packed;
}

void Plan::start_from_row(cpu::Packed& packed, const float* row) {
    float* const start = allocate(whole_panels(packed.width));
    std::copy(row, row + packed.width, start);
    packed.start = start;
    packed.start_stride = 0;
}

void Plan::start_from_rows(cpu::Packed& packed, const float* rows, int count) {
    float* const start = allocate(static_cast<std::size_t>(count) * kRowStride);
    for (int row = 0; row < count; ++row) {
        const float* const from = rows + static_cast<std::size_t>(row) * packed.width;
        std::copy(from, from + packed.width, start + static_cast<std::size_t>(row) * kRowStride);
    }
    packed.start = start;
    packed.start_stride = kRowStride;
}

cpu::CoordinateEmbedding Plan::embedding(const Model& model, const std::string& prefix, int inputs, int joints) {
    const int padded = whole_panels(joints);
    float* const transform = allocate(static_cast<std::size_t>(kCoordinates) * inputs * padded);
    float* const shift = allocate(static_cast<std::size_t>(kCoordinates) * padded);
    const std::vector<float>& matrix = model.tensor(prefix + "transform").values;  // (3, V_i, V)
    const std::vector<float>& offset = model.tensor(prefix + "shift").values;      // (V_i, 3)
    for (int c = 0; c < kCoordinates; ++c) {
        for (int j = 0; j < joints; ++j) {
            shift[c * padded + j] = offset[j * kCoordinates + c];
            for (int v = 0; v < inputs; ++v) {
                transform[(c * inputs + v) * padded + j] = matrix[(c * joints + j) * inputs + v];
            }
        }
    }
    cpu::CoordinateEmbedding weights;
    weights.transform = transform;
    weights.shift = shift;
    weights.hidden = affine(model, prefix + "hidden");
    weights.output = affine(model, prefix + "output");
    return weights;
}

cpu::BranchWeights Plan::branch(const Model& model, int index) {
    const BranchShape& shape = model.description.branches[index];
    const std::string prefix = "branches." + std::to_string(index) + ".";
    const int joints = shape.joints;
    cpu::BranchWeights weights;
    weights.input_joints = model.description.joints;
    if (shape.pose()) {
        weights.is_pose = true;
        weights.pose = {affine(model, prefix + "hidden"), affine(model, prefix + "output")};
        return weights;
    }
    weights.joints = joints;
    weights.padded_joints = whole_panels(joints);
    weights.layer_count = shape.layer_count();
    weights.position = embedding(model, prefix + "position.", weights.input_joints, joints);
    weights.velocity = embedding(model, prefix + "velocity.", weights.input_joints, joints);
    if (joints > 1) {
        weights.query = pack(model.tensor(prefix + "adjacency.q"));
        start_from_rows(weights.query, model.tensor(prefix + "adjacency.r").values.data(), joints);
        const Tensor& u = model.tensor(prefix + "adjacency.u");
        weights.key_bias = pack(u.values.data(), kEmbedding, joints, 1, kEmbedding);
        start_from_rows(weights.key_bias, model.tensor(prefix + "adjacency.c").values.data(), joints);
    }
    for (int k = 0; k < weights.layer_count; ++k) {
        const std::string name = prefix + "layers." + std::to_string(k) + ".";
        cpu::GraphLayer& layer = weights.layers[k];
        const float* const bias = model.tensor(name + "bias").values.data();
        layer.itself = pack(model.tensor(name + "itself"));
        if (k == 0 && joints > 1) {
            start_from_rows(layer.itself, bias, joints);
        } else {
            start_from_row(layer.itself, bias);
        }
        if (joints > 1) {
            layer.neighbours = pack(model.tensor(name + "neighbours"));
            if (k == 0) {
                start_from_rows(layer.neighbours, model.tensor(name + "neighbours_constant").values.data(), joints);
            }
        }
    }
    return weights;
}

void Plan::taps(const Tensor& weight, cpu::Packed (&packed)[kTaps], bool halved) {
    const int depth = static_cast<int>(weight.shape[1]);
    const int width = static_cast<int>(weight.shape[2]);
    for (int tap = 0; tap < kTaps; ++tap) {
        packed[tap] =
            pack(weight.values.data() + static_cast<std::size_t>(tap) * depth * width, depth, width, width, 1, halved);
    }
}

cpu::CausalWeights Plan::causal(const Model& model, bool halved) {
    const CausalShape& shape = *model.description.causal;
    cpu::CausalWeights weights;
    weights.frames = model.description.frames;
    weights.layer_count = static_cast<int>(shape.dilations.size());
    for (int i = 0; i < weights.layer_count; ++i) {
        const std::string name = "temporal.layers." + std::to_string(i);
        cpu::CausalLayer& layer = weights.layers[i];
        taps(model.tensor(name + ".weight"), layer.taps, halved);
        start_from_row(layer.taps[0], model.tensor(name + ".bias").values.data());
        layer.dilation = shape.dilations[i];
        layer.past = weights.widened_past;
        weights.widened_past += static_cast<std::ptrdiff_t>(kTaps - 1) * layer.dilation * kFeature;
    }
    weights.pool = shape.pool;
    weights.widen = affine(model, "temporal.widen", halved);
    weights.classify = affine(model, "temporal.classify");

    // From the end: `span` frames before the newest one the first row is needed, then others `apart` frames apart.
    int span = shape.pool - 1;
    int apart = shape.pool > 1 ? 1 : 0;
    for (int i = weights.layer_count - 1; i >= 0; --i) {
        cpu::CausalLayer& layer = weights.layers[i];
        layer.apart = std::max(apart, 1);
        layer.made = span / layer.apart + 1;
        span += (kTaps - 1) * layer.dilation;
        apart = std::gcd(apart, layer.dilation);
    }
    return weights;
}

}  // namespace adasgn
