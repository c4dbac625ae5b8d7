// The CUDA kernels as host code sees them: plain structs of device pointers and sizes, one function per launch, each
// returning an error. Nothing here allocates, synchronises or knows of a framework; every launch can be captured.
//
// Symbols: V joints of a clip, V_i of a branch, T frames, N frames in all, A branches, K classes. docs/model_file.md
// has the forward pass that the kernels compute.
#pragma once

#include <cstdint>

#include "adasgn/constants.h"
#include "adasgn/cuda/runtime.h"

#ifdef __CUDACC__
#define ADASGN_HOST_DEVICE __host__ __device__
#else
#define ADASGN_HOST_DEVICE
#endif

namespace adasgn::cuda {

// f32: the exact mode, on the ordinary arithmetic units. f16: weights and activations binary16 on tensor cores,
// accumulated in float; coordinates, softmax, policy and class scores stay float.
enum class Precision { f32, f16 };

constexpr int kMaxBranchJoints = 32;  // V_i

constexpr int kBlock = 16;  // packed weights come in blocks of 16 x 16 (kernels/weight_stream.h)
constexpr int kWarps = 8;   // of a thread block of the branch kernels
constexpr int kThreads = 32 * kWarps;

constexpr int kRoutedFrames = 8;  // frames of a thread block of the router: one a warp, so that few finish soon
// Likewise where the block computes the policy's features too, of one more frame on either side: how many altogether,
// for few frames, for more and for many.
constexpr int kFewPolicyRows = 4;
constexpr int kMorePolicyRows = 8;
constexpr int kManyPolicyRows = 16;

// Output width of graph layer k of a branch (the input of layer 0 is 64 wide).
ADASGN_HOST_DEVICE constexpr int layer_width(bool big, int layer) {
    return big && layer == 0 ? kNode : kFeature;
}

// Where in BranchWeights::constants each array begins, in floats. All but the last begin at an even place.
struct ConstantsLayout {
    int transform;            // [position, velocity][coordinate][V][V_i]
    int shift;                // [position, velocity][coordinate][V_i]
    int hidden;               // [position, velocity][three rows of weight, bias][64]
    int output_bias;          // [position, velocity][64]
    int bias[kMaxLayers];     // [V_i][width] of layer 0, [width] of the others
    int query;                // r [V_i][64], with several joints; as the next two
    int neighbours_constant;  // [V_i][width]
    int logits;               // c [V_i][V_i]
    int size;
};

ADASGN_HOST_DEVICE constexpr ConstantsLayout constants_layout(int input_joints, int joints, bool big) {
    ConstantsLayout layout{};
    int at = 0;
    layout.transform = at;
    at += 2 * kCoordinates * input_joints * joints;
    layout.shift = at;
    at += 2 * kCoordinates * joints;
    layout.hidden = at;
    at += 2 * (kCoordinates + 1) * kEmbedding;
    layout.output_bias = at;
    at += 2 * kEmbedding;
    for (int layer = 0; layer < (big ? 3 : 1); ++layer) {
        layout.bias[layer] = at;
        at += (layer == 0 ? joints : 1) * layer_width(big, layer);
    }
    layout.query = at;
    layout.neighbours_constant = at;
    layout.logits = at;
    if (joints > 1) {
        layout.neighbours_constant = layout.query + joints * kEmbedding;
        layout.logits = layout.neighbours_constant + joints * layer_width(big, 0);
        at = layout.logits + joints * joints;
    }
    layout.size = at;
    return layout;
}

// One branch on the device.
struct BranchWeights {
    const float* constants;  // ConstantsLayout
    // All products' weights in the order in which each warp uses them, [warp][block of 16 x 16]:
    //   position.output, velocity.output, q (several joints): warp w takes columns 16·(w % 4) and on
    //   each layer's neighbours (several joints), then itself: warp w takes width/8 columns from w·width/8 on
    // each product along its inputs, 16 at a time; where a warp has 32 columns, two blocks side by side follow each
    // other.
    const void* stream;
    int stream_blocks;     // per warp
    const void* key_bias;  // u as a product's right side, columns the V_i joints filled up to 32: blocks [2][4]
    // Of the branch that the policy looks at, if it is small and has one joint (kernels/one_joint.h): position.output
    // and velocity.output [64][64], itself [64][256]. Else null.
    const float* plain;
    std::int16_t joints;  // V_i
    std::int16_t big;     // three graph layers rather than one
};

// Inputs of a pose branch come in so many; beyond 6·V they are zero, and so are their weights.
constexpr int kPoseInputs = 64;

// A pose branch on the device. Its BranchWeights have one joint, a row of a tile, and nothing else.
struct PoseWeights {
    // Blocks of 16 x 16, [columns / 32][inputs / 16, then 256 / 16][2]: of each 32 columns both layers' weights.
    const void* stream;
    const float* hidden_bias;  // (256,)
    const float* output_bias;  // (256,)
    int inputs;                // a multiple of kPoseInputs
};

// The frames to run. Frame n's coordinates (V, 3) begin at coordinates + n·V·3, those of the frame before it at
// previous + n·V·3; its velocity is zero where previous is null, or where clip_frames is not 0 and divides n. So for
// whole clips previous = coordinates - V·3 and clip_frames = T.
struct Frames {
    const float* coordinates;
    const float* previous;
    int count;  // N
    int input_joints;
    int clip_frames;
    int* fault;  // [2]: one more than a frame with coordinates beyond kMaxCoordinate or NaN, and with a wrong action
};

// Clips of a run that goes on with some alone: their frames, clip after clip in `frames`, as many as *count says. Null:
// the run has all.
struct Listed {
    const int* frames;
    const int* count;
};

// Features of frames by tiles of one branch each.
struct BranchParameters {
    Frames frames;
    BranchWeights branches[kMaxBranches];
    int branch_count;
    const int* counts;  // (A,) frames of each branch, and
    const int* lists;   // (A, N) which; null: all frames through branch `only`
    int only;
    float* features;  // (N, 256)
};

// A pose branch's features.
struct PoseParameters {
    Frames frames;
    PoseWeights weights;
    void* hidden;     // (N, 256), float or binary16 as the precision; unused by tiles
    float* features;  // (N, 256)
};

struct PolicyWeights {
    const float* weight;  // [A][3 taps][256]
    const float* bias;    // [A]
};

// A block per frame, from coordinates to feature: the policy on the frame and its neighbours, then the branch it picks.
// For few frames, where every block finds a multiprocessor of its own, this needs no router.
struct FrameParameters {
    Frames frames;
    BranchWeights branches[kMaxBranches];
    int branch_count;
    // Null pointers: dense, every frame through branch 0. Else branch 0 has `plain`, or there are policy_features.
    PolicyWeights policy;
    const float* policy_features;  // (N, 256) of branch 0, by the kernel before
    Listed listed;                 // by the kernel before; surplus blocks exit
    const std::int32_t* given;     // (N,) actions of the caller; null: the policy's
    std::int32_t* actions;         // (N,), unless null
    float* features;               // (N, 256)
};

// Actions from policy features, and the frames of each branch.
struct RouteParameters {
    int frames;  // N
    int clip_frames;
    int branch_count;
    PolicyWeights policy;
    const float* features;      // (N, 256) of branch 0; unused with given actions
    const std::int32_t* given;  // (N,); null: the policy's
    std::int32_t* actions;      // (N,), unless null
    float* action_logits;       // (N, A), unless null
    int* counts;                // (A,), zero before the launch (TemporalParameters::clear); null: no lists
    int* lists;                 // (A, N)
    int skip;                   // a branch whose frames are not listed; -1: none
    int* fault;                 // as in Frames
};

// The features of a branch 0 that has `plain`, and in the same launch what the router does with them.
struct PolicyParameters {
    Frames frames;
    BranchWeights branch;
    float* features;        // (N, 256); with `routes` only where the action is 0, as the branches write the others
    bool routes;            // else features alone
    RouteParameters route;  // whose features are not used
};

// A model that escalates: what becomes of a sample's scores at one of its levels. Their softmax joins the mean of the
// levels before; where the highest is below the threshold, the sample goes on, else the level is where it ends.
struct Escalation {
    int level;
    float* probabilities;       // (samples, K), the mean; null: the model does not escalate
    float* result;              // (samples, K), its logarithms
    std::int32_t* actions;      // (samples, persons, T), unless null: the level, where it ends
    float threshold;            // or, unless null,
    const float* threshold_at;  // where it lies when the kernels run
    Listed listed;              // of this level
    int* next_frames;           // of the next one, to be filled; null: this is the last
    int* next_count;
};

struct TemporalWeights {
    // Blocks of 16 x 16, [columns / 32][inputs / 16][2]; across has the three taps' inputs one after another.
    const void* across;
    const float* across_bias;  // (T', 256)
    const void* widen;
    const float* widen_bias;  // (512,)
    const float* classify;    // [K][512]
    const float* classify_bias;
};

struct TemporalParameters {
    TemporalWeights weights;
    int clips;  // samples x persons
    int clip_frames;
    int stride;     // 1 or 2: the convolution makes rows of frames 0, stride, 2·stride, …
    int clip_rows;  // T': how many
    int persons;
    int classes;
    const float* features;  // (clips, T, 256)
    void* across;           // (clips, T', 256), float or binary16 as the precision
    float* pooled;          // (clips, 512)
    int* done;              // (samples,) zero between runs: how many blocks have pooled their part
    int* clear;             // (kMaxBranches,) lengths of lists that become zero when the features are there; null: none
    float* logits;          // (samples, K), averaged over the persons; where the model escalates, of one level
    float scale;            // of what is written to logits; with `add`, added to what is there (fuse mode)
    bool add;
    Escalation escalation;
};

constexpr int kSplitFrames = 32;  // of a thread block of the ways with few frames; of a clip in the temporal module's

// Clips in one launch each, whose blocks wait for each other: as run_frames and then temporal, in binary16. Of a model
// whose policy looks at a branch that has `plain`, or of one without policy.
struct ClipParameters {
    FrameParameters spatial;
    TemporalParameters temporal;  // `features` as those of `spatial`
    int* flags;                   // (clips, kClipFlags) zero between runs
    int blocks;                   // of a clip; this and the next are filled in by run_clips
    int first;                    // clip of a launch
};

constexpr int kClipHeads = kFeature / kBlock;  // blocks of a clip that have the temporal module's columns
constexpr int kClipFlags = kSplitFrames + kClipHeads + kWarps * kSplitFrames;  // of a clip

// Thread blocks of a clip: each frame's policy and branches, or each frame; those that are first with the policy have
// the temporal module's columns, or there are some for them.
ADASGN_HOST_DEVICE constexpr int clip_blocks(int clip_frames, int branches, bool adaptive) {
    const int first = adaptive && clip_frames > kClipHeads ? clip_frames : kClipHeads;
    return first + clip_frames * (adaptive ? branches - 1 : 1);
}

// A layer of a causal temporal module on the device: x[t] + relu(x[t-2d]·W0 + x[t-d]·W1 + x[t]·W2 + bias).
struct CausalLayer {
    const void* weights;  // as TemporalWeights::across
    const float* bias;    // (256,)
    int dilation;         // d
    int past;             // in a track's past, the row of 256 where the ring of the layer's inputs begins
    int mask;             // places of the ring less one: a power of two above 2d; frame f is in place f & mask
};

struct CausalWeights {
    CausalLayer layers[kMaxTemporalLayers];
    int layer_count;
    int past_rows;  // of a track
    const void* widen;
    const float* widen_bias;  // (512,)
    const float* classify;    // [K][512]
    const float* classify_bias;
    int pool;       // newest widened rows whose maximum is classified
    int pool_mask;  // places of their ring less one
};

// A track whose newest frame is tried.
struct CausalTrack {
    int slot;        // whose past it has
    unsigned frame;  // number of the frame; wraps around
};

// The newest frames of tracks through a causal temporal module, and before that, if asked for, through the pose branch.
// What it makes of them joins the past in places of their own, where they may be tried again; with the next number of a
// frame they are kept.
struct CausalParameters {
    CausalWeights weights;
    int first;  // of the launch's tracks
    int count;  // of all
    int classes;
    const CausalTrack* tracks;  // (count,), no slot twice
    Frames frames;              // of the pose branch; its count is that of all tracks
    PoseWeights pose;           // no inputs: the features are given
    void* hidden;               // (count, 256) as `past`; of the pose branch
    float* features;            // (count, 256): given, or, unless null, those of the pose branch
    void* past;                 // (slots, past_rows, 256), float or binary16 as the precision
    float* widened;             // (slots, pool_mask + 1, 512); unused where pool is 1
    void* last;                 // (count, 256) as `past`: what comes out of the last layer
    float* pooled;              // (count, 512)
    int* flags;                 // (groups, kCausalBlocks), zero between runs; a group: kCausalRows tracks at least
    float* logits;              // (count, K)
};

constexpr int kCausalBlocks = kFeature / kBlock;  // of a group of tracks: each has 16 columns of every layer
constexpr int kCausalRows = 16;                   // of the smallest group

// Rows of a tile: 32 for few frames, the rest for many; of the temporal module 32 are one clip, whatever its length,
// and there, as of a pose branch, the columns of 32 rows are divided among blocks. The height decides the shared memory
// of a block, so the greatest that a device takes is a trait of the device (kernels/tile.h).
enum class TileRows { r32 = 32, r64 = 64, r128 = 128 };

// Highest tiles of a device whose blocks may have `shared` bytes of shared memory.
TileRows highest_branch_tile(Precision precision, int shared);
TileRows highest_temporal_tile(Precision precision);  // fits every device

// Frames that share a tile: those of one branch whose joints, stacked, fit its rows.
int frames_of_tile(TileRows rows, int joints);

// Upper bound of the thread blocks that route any N frames; surplus blocks exit.
int branch_blocks(const BranchParameters& parameters, TileRows rows);

Status run_branches(const BranchParameters& parameters, Precision precision, TileRows rows, Stream stream);
// Tiles of 64 and 128 rows in f16 alone: in f32, that of policies, a frame's feature is the same in every batch.
Status pose(const PoseParameters& parameters, Precision precision, TileRows rows, Stream stream);
Status run_frames(const FrameParameters& parameters, Precision precision, Stream stream);
// Blocks of run_clips that the current device runs at once; 0 where it cannot let blocks wait for each other.
Status clip_blocks_at_once(int& blocks);
// As many samples at a time as run at once; kTooManyBlocks where not even one does.
Status run_clips(ClipParameters parameters, Stream stream);
Status route(const RouteParameters& parameters, Stream stream);
// rows: kFewPolicyRows, kMorePolicyRows or kManyPolicyRows.
Status policy(const PolicyParameters& parameters, int rows, Stream stream);
Status temporal(const TemporalParameters& parameters, Precision precision, TileRows rows, Stream stream);
// Blocks that wait for each other: kTooManyBlocks where not even those of one group run at once.
Status causal(const CausalParameters& parameters, Precision precision, Stream stream);

}  // namespace adasgn::cuda
