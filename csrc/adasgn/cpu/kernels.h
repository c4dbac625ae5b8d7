// What the engine asks of a CPU: one table of functions per instruction set, and the plain structs they work on.
//
// A row is one joint of one frame (spatial module) or one frame (pose branch, temporal module). Every activation buffer
// has rows of kRowStride floats whatever the width in use, so that row offsets are constants of the kernels.
#pragma once

#include <cstddef>

#include "adasgn/constants.h"

namespace adasgn::cpu {

// 17 cache lines: consecutive rows fall into different sets of the first-level cache.
constexpr int kRowStride = kFeature + 16;

// A matrix (depth, width) packed into panels of Kernels::panel columns, [width / panel][depth][panel], the last panel
// filled up with zeros. A product starts from `start`: a row per joint or frame, start_stride floats apart, or with
// start_stride 0 the same row for all. Rows are filled up to whole panels.
struct Packed {
    const float* panels = nullptr;
    const float* start = nullptr;
    std::ptrdiff_t start_stride = 0;
    int depth = 0;
    int width = 0;
};

// Coordinates (V, 3) -> (V_i, 64): transform with the folded batch norm, then 3 -> 64 -> 64 with ReLU after each.
struct CoordinateEmbedding {
    const float* transform = nullptr;  // [coordinate][input joint][padded joint]
    const float* shift = nullptr;      // [coordinate][padded joint]
    Packed hidden;
    Packed output;
};

// ReLU(A·x·neighbours + x·itself + bias); of the first layer neighbours.start and itself.start hold the terms of the
// joint-type embedding. With one joint A = 1 and `itself` is all.
struct GraphLayer {
    Packed neighbours;
    Packed itself;
};

// All positions, then all velocities of a frame (6V) -> 256 -> 256 with ReLU after each.
struct PoseEmbedding {
    Packed hidden;
    Packed output;
};

struct BranchWeights {
    int input_joints = 0;  // V
    bool is_pose = false;  // then `pose` is all that follows
    PoseEmbedding pose;
    int joints = 0;         // V_i
    int padded_joints = 0;  // V_i filled up to whole panels
    int layer_count = 0;
    CoordinateEmbedding position;
    CoordinateEmbedding velocity;
    Packed query;     // q, starting from r (docs/model_file.md); unused with one joint, as the next
    Packed key_bias;  // u transposed (64, V_i), starting from c
    GraphLayer layers[kMaxLayers];
};

struct TemporalWeights {
    int frames = 0;
    Packed across[kTaps];  // the first tap's start is the bias of each frame
    Packed widen;
    Packed classify;
};

struct PolicyWeights {
    int frames = 0;
    Packed taps[kTaps];
};

// One frame to run: coordinates (V, 3) of it and of the frame before it (null: velocity zero); where its (256,) goes.
struct Frame {
    const float* current;
    const float* previous;
    float* feature;
};

// A worker's own buffers, each of rows of kRowStride floats; `transposed` and `pooled` have their own shapes.
struct Scratch {
    float* coordinates;
    float* hidden;
    float* embedding;
    float* adjacency;
    float* mixed;
    float* first;
    float* second;
    float* transposed;  // (64, kMaxJoints)
    float* pooled;      // (rows, kTemporal)
};

struct Kernels {
    const char* name;
    int panel;

    // Features of `count` frames, all of one branch.
    void (*branch)(const BranchWeights& weights, const Frame* frames, int count, const Scratch& scratch);
    // Action logits (clips, frames, actions) of features (clips, frames, 256).
    void (*policy)(const PolicyWeights& weights, const float* features, int clips, float* logits,
                   const Scratch& scratch);
    // Class logits (clips, classes) of features (clips, frames, 256).
    void (*temporal)(const TemporalWeights& weights, const float* features, int clips, float* logits,
                     const Scratch& scratch);
    // Whether all values are numbers of at most this magnitude.
    bool (*within)(float bound, const float* values, std::size_t count);
};

// The names this build has and this processor can run, best first; null after the last.
const char* const* instruction_sets();

// The table of a name, or the best one for null; null for a name that is not in instruction_sets().
const Kernels* kernels_for(const char* name);

}  // namespace adasgn::cpu
