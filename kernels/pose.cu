// A pose branch: all joints of a frame as one vector, two layers. It is the first that a clip meets, and often the only
// one, so that few frames must be soon done.
//
//   x = positions, velocities ─▶ hidden = relu(x·W + b) ─▶ feature = relu(hidden·W + b)
//
// Few frames, or in float: two kernels, in which a block has 32 frames and 16 columns. Many: tiles of frames, which go
// through both layers in shared memory.
#include "pose_inputs.h"
#include "relu.h"
#include "split.h"

namespace adasgn::cuda {

namespace {

// -- few frames ----------------------------------------------------------------------------------------------------

template <class Precision>
ADASGN_KERNEL(kThreads, 2)
void hidden_split(const __grid_constant__ PoseParameters p) {
    using Part = Split<Precision>;
    using Weights = SliceWeights<Precision, 1>;
    let_next_kernel_start();  // output_split's blocks fetch their weights and wait
    const int depth = (p.weights.inputs + kPoseHidden) / kBlock;
    Weights weights(p.weights.stream, depth);
    const int first = block_index() * Part::kRows;
    const PairPlace pair;
    const float2 bias =
        load_global(reinterpret_cast<const float2*>(p.weights.hidden_bias + Part::column() + pair.column));
    auto* const rows = Part::rows();
    Accumulators<Part::kTiles, 1> results;
    results.clear();
    for (int begin = 0; begin < p.weights.inputs; begin += kFeature) {
        const int own = begin + warp() * Part::kChannels;
        if (own < p.weights.inputs) {
            if (begin > 0) {
                warp_barrier();  // the rows are done with
                weights = Weights(p.weights.stream, depth, begin / kBlock);
            }
            stage_inputs<Precision, Part::kRows>(p.frames, first, own, rows, Part::kStride);
            warp_barrier();  // rows
            multiply<Part::kChannels, 0>(results, static_cast<const typename Part::Element*>(rows), Part::kStride,
                                         weights);
        }
    }
    Part::put(results);
    block_barrier();  // sums
    if (first + pair.row < p.frames.count) {
        const float2 sum = Part::sum(pair.row, pair.column);
        auto* const to = static_cast<typename Part::Element*>(p.hidden) +
                         static_cast<size_t>(first + pair.row) * kPoseHidden + Part::column();
        Precision::store_pair(to + pair.column, relu(sum.x + bias.x), relu(sum.y + bias.y));
    }
}

template <class Precision>
ADASGN_KERNEL(kThreads, 2)
void output_split(const __grid_constant__ PoseParameters p) {
    using Part = Split<Precision>;
    static_assert(kPoseHidden == kFeature);
    const int inputs = p.weights.inputs / kBlock;
    SliceWeights<Precision, 1> weights(p.weights.stream, inputs + kPoseHidden / kBlock, inputs);
    const int first = block_index() * Part::kRows;
    const PairPlace pair;
    const float2 bias =
        load_global(reinterpret_cast<const float2*>(p.weights.output_bias + Part::column() + pair.column));
    let_next_kernel_start();
    wait_for_previous_kernel();  // hidden_split's results
    Part::template fetch<Part::kRows>(
        static_cast<const typename Part::Element*>(p.hidden) + static_cast<size_t>(first) * kPoseHidden,
        p.frames.count - first);
    warp_barrier();  // rows
    Accumulators<Part::kTiles, 1> results;
    results.clear();
    multiply<Part::kChannels, 0>(results, static_cast<const typename Part::Element*>(Part::rows()), Part::kStride,
                                 weights);
    Part::put(results);
    block_barrier();  // sums
    if (first + pair.row < p.frames.count) {
        const float2 sum = Part::sum(pair.row, pair.column);
        float* const to = p.features + static_cast<size_t>(first + pair.row) * kFeature + Part::column();
        *reinterpret_cast<float2*>(to + pair.column) = {relu(sum.x + bias.x), relu(sum.y + bias.y)};
    }
}

// -- many frames ---------------------------------------------------------------------------------------------------

// relu(results + bias), a warp's 32 columns, pair by pair.
template <int Tiles, class Put>
ADASGN_DEVICE void finish(Accumulators<Tiles, 2>& results, const float* bias, const Put& put) {
    Addends<1, 2> biases;
    biases.load([&](int, int column) { return bias + column; });
#pragma unroll
    for (int tile = 0; tile < Tiles; ++tile) {
#pragma unroll
        for (int i = 0; i < 16; ++i) {
            const float2& both = biases.values[0][i / 8][i / 4 % 2][0];
            float& value = results.values[tile][i / 8][i / 4 % 2][i % 4];
            value = relu(value + (i % 2 == 0 ? both.x : both.y));
        }
    }
    results.pairs(put);
}

// A tile's inputs come in up to 256 at a time; a warp has 32 columns of both layers.
template <class Tile>
ADASGN_KERNEL(kThreads, 1)
void pose_tiles(const __grid_constant__ PoseParameters p) {
    using Precision = typename Tile::Precision;
    using Element = typename Tile::Element;
    constexpr int kColumns = kFeature / kWarps;
    constexpr int kFramesAtOnce = 16;
    constexpr int kStride = Tile::kStride256;
    static_assert(kColumns == 2 * kBlock && kPoseInputs % kLanes == 0 && kFeature % kPoseInputs == 0);
    static_assert(kPoseInputs / kBlock * 2 % Tile::kSlots == 0, "weights of the next inputs begin at the first slot");
    let_next_kernel_start();  // the temporal module's blocks fetch their weights and wait
    const int first = block_index() * Tile::kRows;
    const int blocks = (p.weights.inputs + kPoseHidden) / kBlock * 2;  // of a warp's weights
    typename Tile::Stream weights(static_cast<const unsigned char*>(p.weights.stream) +
                                      static_cast<size_t>(warp()) * blocks * Precision::kBlockBytes,
                                  blocks, 1, Tile::ring());
    Accumulators<Tile::kTiles, 2> results;
    results.clear();
    for (int begin = 0; begin < p.weights.inputs; begin += kFeature) {
        if (begin > 0) {
            block_barrier();  // the inputs before are done with
        }
        const int inputs = minimum(kFeature, p.weights.inputs - begin);
        const int parts = inputs / kLanes;
        for (int i = warp(); i < parts * (Tile::kRows / kFramesAtOnce); i += kWarps) {
            const int row = i / parts * kFramesAtOnce;
            const int input = i % parts * kLanes;
            stage_inputs<Precision, kFramesAtOnce>(p.frames, first + row, begin + input,
                                                   Tile::wide() + row * kStride + input, kStride);
        }
        block_barrier();  // inputs
#pragma unroll 1
        for (int input = 0; input < inputs; input += kPoseInputs) {
            multiply<kPoseInputs, 0>(results, static_cast<const Element*>(Tile::wide()) + input, kStride, weights);
        }
    }
    Element* const hidden = Tile::near();
    const int column = warp() * kColumns;
    finish(results, p.weights.hidden_bias + column, [&](int row, int at, float& x, float& y) {
        Precision::store_pair(hidden + row * kStride + column + at, x, y);
    });
    block_barrier();  // hidden
    results.clear();
    multiply<kPoseHidden, 0>(results, static_cast<const Element*>(hidden), kStride, weights);
    finish(results, p.weights.output_bias + column, [&](int row, int at, float& x, float& y) {
        if (first + row < p.frames.count) {
            float* const to = p.features + static_cast<size_t>(first + row) * kFeature + column;
            *reinterpret_cast<float2*>(to + at) = {x, y};
        }
    });
}

// -- launches ------------------------------------------------------------------------------------------------------

template <class Precision>
Status launch_split(const PoseParameters& p, Stream stream) {
    constexpr int kBytes = Split<Precision>::kBytes;
    constexpr int kRows = Split<Precision>::kRows;
    const Grid grid{(p.frames.count + kRows - 1) / kRows, kFeature / kBlock};
    if (const Status failed = launch(hidden_split<Precision>, grid, kThreads, kBytes, stream, p)) {
        return failed;
    }
    return launch(output_split<Precision>, grid, kThreads, kBytes, stream, p, Overlap::with_previous);
}

template <class Tile>
Status launch_tiles(const PoseParameters& p, Stream stream) {
    const int blocks = (p.frames.count + Tile::kRows - 1) / Tile::kRows;
    return launch(pose_tiles<Tile>, {blocks}, kThreads, Tile::kBytes, stream, p);
}

}  // namespace

Status pose(const PoseParameters& p, Precision precision, TileRows rows, Stream stream) {
    if (p.frames.count == 0) {
        return {};
    }
    if (precision == Precision::f32) {
        return rows == TileRows::r32 ? launch_split<Binary32>(p, stream) : Status{kInvalidValue};
    }
    switch (rows) {
        case TileRows::r32:
            return launch_split<Binary16>(p, stream);
        case TileRows::r64:
            return launch_tiles<Tile64>(p, stream);
        default:
            return launch_tiles<Tile128>(p, stream);
    }
}

}  // namespace adasgn::cuda
