// The spatial module of one branch on a group of frames: coordinates to pooled features, one pass, all in scratch.
// The formulas are those of docs/model_file.md; one frame is one block of V_i rows.
#pragma once

#include "adasgn/cpu/product.h"

namespace adasgn::cpu::ADASGN_ISA {

constexpr int kVelocityColumn = kCoordinates;  // in a row of Scratch::coordinates, after the position

// One frame's joints through the transform, three planes of padded joints, then as columns of V_i rows.
inline void transform_joints(const CoordinateEmbedding& weights, const BranchWeights& branch, const float* current,
                             const float* previous, float* rows) {
    const int padded = branch.padded_joints;
    alignas(64) float plane[kMaxJoints];
    for (int c = 0; c < kCoordinates; ++c) {
        const float* const matrix = weights.transform + static_cast<std::ptrdiff_t>(c) * branch.input_joints * padded;
        for (int column = 0; column < padded; column += kLanes) {
            Vec sum = load(weights.shift + c * padded + column);
            for (int v = 0; v < branch.input_joints; ++v) {
                float x = current[v * kCoordinates + c];
                if (previous != nullptr) {
                    x -= previous[v * kCoordinates + c];
                }
                sum += x * load(matrix + static_cast<std::ptrdiff_t>(v) * padded + column);
            }
            store(sum, plane + column);
        }
        for (int joint = 0; joint < branch.joints; ++joint) {
            rows[joint * kRowStride + c] = plane[joint];
        }
    }
}

// The transform of zero velocity is its shift.
inline void shift_only(const CoordinateEmbedding& weights, const BranchWeights& branch, float* rows) {
    for (int c = 0; c < kCoordinates; ++c) {
        for (int joint = 0; joint < branch.joints; ++joint) {
            rows[joint * kRowStride + c] = weights.shift[c * branch.padded_joints + joint];
        }
    }
}

// All rows of all frames as one block, with the same bias for each.
inline void dense(const float* in, int rows, const Packed& weights, Finish finish, float* out) {
    run({{weighted(in, 0, weights)}, 1, weights.start, 0, 1, rows, weights.width, finish, out, 0});
}

// Rows of frames with a start of its own for each joint.
inline void per_joint(const float* in, int frames, int joints, const Packed& weights, Finish finish, float* out) {
    const std::ptrdiff_t block = static_cast<std::ptrdiff_t>(joints) * kRowStride;
    run({{weighted(in, block, weights)},
         1,
         weights.start,
         weights.start_stride,
         frames,
         joints,
         weights.width,
         finish,
         out,
         block});
}

inline void softmax_row(float* row, int joints, int padded) {
    for (int j = joints; j < padded; ++j) {
        row[j] = -1e30F;
    }
    Vec maximum = load(row);
    for (int j = kLanes; j < padded; j += kLanes) {
        maximum = stdx::max(maximum, load(row + j));
    }
    const Vec top = stdx::hmax(maximum);
    Vec sum = 0.0F;
    for (int j = 0; j < padded; j += kLanes) {
        const Vec power = exp_nonpositive(load(row + j) - top);
        store(power, row + j);
        sum += power;
    }
    const Vec scale = 1.0F / stdx::reduce(sum);
    for (int j = 0; j < padded; j += kLanes) {
        store(load(row + j) * scale, row + j);
    }
}

// softmax((D·q + r)·Dᵀ + D·uᵀ + c) of each frame, into scratch.adjacency.
inline void adjacency(const BranchWeights& branch, int frames, const Scratch& scratch) {
    const int joints = branch.joints;
    const int padded = branch.padded_joints;
    per_joint(scratch.embedding, frames, joints, branch.query, Finish::plain, scratch.hidden);
    for (int frame = 0; frame < frames; ++frame) {
        const std::ptrdiff_t offset = static_cast<std::ptrdiff_t>(frame) * joints * kRowStride;
        const float* const embedding = scratch.embedding + offset;
        float* const logits = scratch.adjacency + offset;
        for (int j = 0; j < padded; ++j) {
            for (int k = 0; k < kEmbedding; ++k) {
                scratch.transposed[k * padded + j] = j < joints ? embedding[j * kRowStride + k] : 0.0F;
            }
        }
        run({{mixed(scratch.hidden + offset, 0, scratch.transposed, padded, 0, kEmbedding),
              weighted(embedding, 0, branch.key_bias)},
             2,
             branch.key_bias.start,
             branch.key_bias.start_stride,
             1,
             joints,
             joints,
             Finish::plain,
             logits,
             0});
        const int used = (joints + kLanes - 1) / kLanes * kLanes;
        for (int joint = 0; joint < joints; ++joint) {
            softmax_row(logits + joint * kRowStride, joints, used);
        }
    }
}

inline void spatial_features(const BranchWeights& branch, const Frame* frames, int count, const Scratch& scratch) {
    const int joints = branch.joints;
    const int rows = count * joints;
    const std::ptrdiff_t block = static_cast<std::ptrdiff_t>(joints) * kRowStride;
    for (int i = 0; i < count; ++i) {
        const Frame& frame = frames[i];
        float* const to = scratch.coordinates + i * block;
        transform_joints(branch.position, branch, frame.current, nullptr, to);
        if (frame.previous == nullptr) {
            shift_only(branch.velocity, branch, to + kVelocityColumn);
        } else {
            transform_joints(branch.velocity, branch, frame.current, frame.previous, to + kVelocityColumn);
        }
    }
    dense(scratch.coordinates, rows, branch.position.hidden, Finish::relu, scratch.hidden);
    dense(scratch.hidden, rows, branch.position.output, Finish::relu, scratch.embedding);
    dense(scratch.coordinates + kVelocityColumn, rows, branch.velocity.hidden, Finish::relu, scratch.hidden);
    dense(scratch.hidden, rows, branch.velocity.output, Finish::add_relu, scratch.embedding);

    if (joints > 1) {
        adjacency(branch, count, scratch);
    }
    const float* x = scratch.embedding;
    for (int i = 0; i < branch.layer_count; ++i) {
        const GraphLayer& layer = branch.layers[i];
        const bool last = i + 1 == branch.layer_count;
        float* const out = last ? scratch.pooled : i % 2 == 0 ? scratch.first : scratch.second;
        const int width = layer.itself.width;
        if (joints == 1) {
            run({{weighted(x, kRowStride, layer.itself)},
                 1,
                 layer.itself.start,
                 0,
                 1,
                 rows,
                 width,
                 Finish::relu,
                 out,
                 0});
            x = out;
            continue;
        }
        Product product{{},
                        2,
                        layer.itself.start,
                        layer.itself.start_stride,
                        count,
                        joints,
                        width,
                        last ? Finish::relu_maximum : Finish::relu,
                        out,
                        last ? static_cast<std::ptrdiff_t>(kRowStride) : block};
        product.operands[1] = weighted(x, block, layer.itself);
        if (i == 0) {  // A·(D·W + constant): W first, as the layer widens
            per_joint(x, count, joints, layer.neighbours, Finish::plain, scratch.mixed);
            product.operands[0] = mixed(scratch.adjacency, block, scratch.mixed, kRowStride, block, joints);
        } else {  // (A·x)·W: x is no wider than x·W
            run({{mixed(scratch.adjacency, block, x, kRowStride, block, joints)},
                 1,
                 nullptr,
                 0,
                 count,
                 joints,
                 layer.neighbours.depth,
                 Finish::plain,
                 scratch.mixed,
                 block});
            product.operands[0] = weighted(scratch.mixed, block, layer.neighbours);
        }
        run(product);
        x = out;
    }
    for (int i = 0; i < count; ++i) {
        std::memcpy(frames[i].feature, scratch.pooled + static_cast<std::ptrdiff_t>(i) * kRowStride,
                    kFeature * sizeof(float));
    }
}

}  // namespace adasgn::cpu::ADASGN_ISA
