// What the engine asks of a CPU: one table of functions per instruction set, and the plain structs they work on.
//
// A row is one joint of one frame (spatial module) or one frame (pose branch, temporal module). Every activation buffer
// has rows of kRowStride floats whatever the width in use, so that row offsets are constants of the kernels.
#pragma once

#include <cstddef>
#include <cstdint>

#include "adasgn/constants.h"

namespace adasgn::cpu {

// 17 cache lines: consecutive rows fall into different sets of the first-level cache.
constexpr int kRowStride = kFeature + 16;

// A matrix (depth, width) packed into panels of Kernels::panel columns, [width / panel][depth][panel], the last panel
// filled up with zeros. A product starts from `start`: a row per joint or frame, start_stride floats apart, or with
// start_stride 0 the same row for all. Rows are filled up to whole panels.
//
// halved: of each weight the upper 16 bits, rounded (bfloat16). Then a row of a panel has half as many words: of each
// two vectors of Kernels::lanes columns, lane by lane, the first one's in the lower bits.
struct Packed {
    const float* panels = nullptr;
    bool halved = false;
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
    int stride = 1;
    Packed across[kTaps];  // the first tap's start is the bias of each frame that is made
    Packed widen;
    Packed classify;
};

// A layer of a causal temporal module: x + ReLU(taps at frames t - 2d, t - d, t).
struct CausalLayer {
    Packed taps[kTaps];  // the first one's start is the bias
    int dilation = 0;    // d
    // Of a window only the rows that the next layer reads are made: this many, so many frames apart.
    int made = 0;
    int apart = 0;
    std::ptrdiff_t past = 0;  // in CausalTrack::past, where a ring of the last 2d rows that came in begins
};

struct CausalWeights {
    int frames = 0;  // T
    int layer_count = 0;
    CausalLayer layers[kMaxTemporalLayers];
    Packed widen;
    int pool = 1;                     // rows whose maximum is classified
    std::ptrdiff_t widened_past = 0;  // in CausalTrack::past, where a ring of the last pool - 1 widened rows begins
    Packed classify;

    std::ptrdiff_t past_floats() const { return widened_past + static_cast<std::ptrdiff_t>(pool - 1) * kTemporal; }
    std::ptrdiff_t newest_floats() const { return static_cast<std::ptrdiff_t>(layer_count) * kFeature + kTemporal; }
};

// What a causal temporal module remembers of a track. Frame number f is kept in place f % size of each ring.
struct CausalTrack {
    const float* past;     // (past_floats)
    float* newest;         // (newest_floats): of the frame that is tried, each layer's input (256) and the widened row
    std::int64_t frame;    // number of the frame that is tried
    const float* feature;  // (256)
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
    int panel;  // of an even number of vectors
    int lanes;  // of a vector

    // Features of `count` frames, all of one branch.
    void (*branch)(const BranchWeights& weights, const Frame* frames, int count, const Scratch& scratch);
    // Action logits (clips, frames, actions) of features (clips, frames, 256).
    void (*policy)(const PolicyWeights& weights, const float* features, int clips, float* logits,
                   const Scratch& scratch);
    // Class logits (clips, classes) of features (clips, frames, 256).
    void (*temporal)(const TemporalWeights& weights, const float* features, int clips, float* logits,
                     const Scratch& scratch);
    // The same of a causal model, of whole windows.
    void (*causal_windows)(const CausalWeights& weights, const float* features, int clips, float* logits,
                           const Scratch& scratch);
    // Class logits (count, classes) of the newest frames of tracks.
    void (*causal_frames)(const CausalWeights& weights, const CausalTrack* tracks, int count, float* logits,
                          const Scratch& scratch);
    // Whether all values are numbers of at most this magnitude.
    bool (*within)(float bound, const float* values, std::size_t count);
    // Multiply-adds and nothing else, for benchmarks: so many rounds; returns how many one round has.
    long (*multiply_adds)(long rounds, float* sink);
};

// The names this build has and this processor can run, best first; null after the last.
const char* const* instruction_sets();

// The table of a name, or the best one for null; null for a name that is not in instruction_sets().
const Kernels* kernels_for(const char* name);

}  // namespace adasgn::cpu
