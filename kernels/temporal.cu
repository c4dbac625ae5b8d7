// The temporal module and the classifier, for few clips and for many.
//
// Many: two kernels of products, whose blocks divide clips and columns among them, then one of dot products.
//
// Few: a block has a clip and 16 columns, so that many multiprocessors have a part; its warps divide the sum's channels
// among them, so that the sum is soon done. The last block to finish a sample's clips classifies it.
#include "relu.h"
#include "samples.h"
#include "temporal_split.h"
#include "tile.h"

namespace adasgn::cuda {

namespace {

// Which row of its clip a row of results is, and which counted from the tile's first; -1: none.
struct RowPlace {
    int r;
    int row;
};

// -- many clips ----------------------------------------------------------------------------------------------------

// A block has kRows rows (frames of whole clips) and kColumns columns; low tiles are narrow, so that all
// multiprocessors have some.
template <class Precision_, int Tiles_, int Slots, int Warps, int Blocks_>
struct TemporalTile {
    using Precision = Precision_;
    using Element = typename Precision::Element;
    using Weights = WeightStream<Precision, Slots>;
    static constexpr int kTiles = Tiles_;
    static constexpr int kBlocks = Blocks_;  // of a warp's columns
    static constexpr int kRows = kBlock * kTiles;
    static constexpr int kTileThreads = 32 * Warps;
    static constexpr int kColumns = Warps * kBlocks * kBlock;
    static constexpr int kStride = row_stride<Precision>(kFeature);
    // With one row of zeros or of another clip above and below, which the first and last tap read.
    static constexpr int kRings = (kRows + kTaps - 1) * kStride * static_cast<int>(sizeof(Element));
    static constexpr int kPlaces = kRings + Warps * Weights::kSharedBytes;  // RowPlace of each row
    static constexpr int kBytes = kPlaces + kRows * static_cast<int>(sizeof(RowPlace));

    ADASGN_DEVICE static RowPlace* places() { return reinterpret_cast<RowPlace*>(shared_memory() + kPlaces); }
    ADASGN_DEVICE static Element* rows() { return reinterpret_cast<Element*>(shared_memory()); }

    ADASGN_DEVICE static int first_column() { return block_index_y() * kColumns + warp() * kBlocks * kBlock; }

    // This warp's columns of a matrix of [columns / 32][inputs / 16][2] blocks.
    ADASGN_DEVICE static Weights weights(const void* packed, int inputs) {
        const int column = first_column() / kBlock;
        const int depth = inputs / kBlock;
        const size_t first = static_cast<size_t>(column / 2) * depth * 2 + column % 2;
        return Weights(static_cast<const unsigned char*>(packed) + first * Precision::kBlockBytes, depth * kBlocks,
                       2 / kBlocks, kRings + warp() * Weights::kSharedBytes);
    }
};

using ExactTemporal64 = TemporalTile<Binary32, 4, 3, 8, 1>;
using Temporal64 = TemporalTile<Binary16, 4, 8, 4, 1>;
using Temporal128 = TemporalTile<Binary16, 8, 4, 8, 2>;
static_assert(ExactTemporal64::kBytes <= 99 * 1024 && Temporal128::kBytes <= 99 * 1024);

// Clips of a tile with `rows_of_clip` rows each.
template <class Tile>
ADASGN_DEVICE int clips_of_tile(int rows_of_clip) {
    return Tile::kRows / rows_of_clip;
}

// Rows of results that a clip takes in a tile; of frames in shared memory Stride times as many: one before the clip's
// first and those after its last are zeros.
template <int Stride>
ADASGN_HOST_DEVICE constexpr int result_rows(int clip_rows) {
    return clip_rows + (kTaps - 1) / Stride;
}

// relu(f[t-1]·W0 + f[t]·W1 + f[t+1]·W2 + bias[r]), t = Stride·r. With P = result_rows, row c·P·Stride + 1 + t of shared
// memory is frame t of clip c; so a tap is an offset of a row and a row of results Stride rows, and of each clip one or
// two rows of results go unused.
template <class Tile, int Stride>
ADASGN_KERNEL(Tile::kTileThreads, 1)
void across_frames(const __grid_constant__ TemporalParameters p) {
    using Precision = typename Tile::Precision;
    using Element = typename Tile::Element;
    const int length = p.clip_frames;
    const int clip_results = result_rows<Stride>(p.clip_rows);
    const int clip_rows = Stride * clip_results;
    const int size = clips_of_tile<Tile>(clip_rows);
    const int first = block_index() * size;
    let_next_kernel_start();
    if (has_list(p)) {
        wait_for_previous_kernel();  // the kernels before it made the list
    }
    const int count = minimum(size, clip_count(p) - first);
    if (count <= 0) {
        return;
    }
    typename Tile::Weights weights = Tile::weights(p.weights.across, kTaps * kFeature);
    wait_for_previous_kernel();  // features; so far, weights have set out beside it
    clear_counts(p);
    constexpr int kFours = kFeature / 4;
    for (int i = thread_index(); i < (Tile::kRows + kTaps - 1) * kFours; i += Tile::kTileThreads) {
        const int row = i / kFours;
        const int channel = i % kFours * 4;
        const int clip = row / clip_rows;
        const int t = row % clip_rows - 1;
        float4 x{0, 0, 0, 0};
        if (clip < count && t >= 0 && t < length) {
            const size_t frame = static_cast<size_t>(clip_number(p, first + clip)) * length + t;
            x = load_fresh(reinterpret_cast<const float4*>(p.features + frame * kFeature + channel));
        }
        Element* const to = Tile::rows() + row * Tile::kStride + channel;
        Precision::store_pair(to, x.x, x.y);
        Precision::store_pair(to + 2, x.z, x.w);
    }
    for (int row = thread_index(); row < Tile::kRows / Stride; row += Tile::kTileThreads) {
        const int clip = row / clip_results;
        const int r = row % clip_results;
        Tile::places()[row] = {r, clip < count && r < p.clip_rows ? clip * p.clip_rows + r : -1};
    }
    block_barrier();  // features, places
    Accumulators<Tile::kTiles / Stride, Tile::kBlocks> results;
    results.clear();
    for (int tap = 0; tap < kTaps; ++tap) {
        multiply<kFeature, 0>(results, static_cast<const Element*>(Tile::rows()) + tap * Tile::kStride,
                              Stride * Tile::kStride, weights);
    }
    results.pairs([&](int row, int column, float& x, float& y) {
        const RowPlace place = Tile::places()[row];
        if (place.row >= 0) {
            column += Tile::first_column();
            const float* const bias = p.weights.across_bias + place.r * kFeature + column;
            const size_t to = static_cast<size_t>(first) * p.clip_rows + place.row;
            Precision::store_pair(static_cast<Element*>(p.across) + to * kFeature + column, relu(x + load_global(bias)),
                                  relu(y + load_global(bias + 1)));
        }
    });
}

// max over r of relu(y[r]·W + bias)
template <class Tile>
ADASGN_KERNEL(Tile::kTileThreads, 1)
void widen_and_pool(const __grid_constant__ TemporalParameters p) {
    using Precision = typename Tile::Precision;
    using Element = typename Tile::Element;
    const int length = p.clip_rows;
    const int size = clips_of_tile<Tile>(length);
    const int first = block_index() * size;
    let_next_kernel_start();
    if (has_list(p)) {
        wait_for_previous_kernel();  // the kernels before it made the list
    }
    const int count = minimum(size, clip_count(p) - first);
    if (count <= 0) {
        return;
    }
    typename Tile::Weights weights = Tile::weights(p.weights.widen, kFeature);
    wait_for_previous_kernel();                                                 // across_frames' results
    constexpr int kCopies = kFeature * static_cast<int>(sizeof(Element)) / 16;  // of a row
    constexpr int kElements = 16 / static_cast<int>(sizeof(Element));
    const Element* const from = static_cast<const Element*>(p.across) + static_cast<size_t>(first) * length * kFeature;
    for (int i = thread_index(); i < Tile::kRows * kCopies; i += Tile::kTileThreads) {
        const int row = i / kCopies;
        const int channel = i % kCopies * kElements;
        uint4 sixteen_bytes{0, 0, 0, 0};
        if (row < count * length) {
            sixteen_bytes =
                load_fresh(reinterpret_cast<const uint4*>(from + static_cast<size_t>(row) * kFeature + channel));
        }
        *reinterpret_cast<uint4*>(Tile::rows() + row * Tile::kStride + channel) = sixteen_bytes;
    }
    block_barrier();  // y
    Accumulators<Tile::kTiles, Tile::kBlocks> results;
    results.clear();
    multiply<kFeature, 0>(results, static_cast<const Element*>(Tile::rows()), Tile::kStride, weights);
    block_barrier();  // y is done with: the warp's columns of the results take its place
    const float* const bias = p.weights.widen_bias + Tile::first_column();
    Element* const rows = Tile::rows() + warp() * Tile::kBlocks * kBlock;
    results.pairs([&](int row, int column, float& x, float& y) {
        Precision::store_pair(rows + row * Tile::kStride + column, relu(x + load_global(bias + column)),
                              relu(y + load_global(bias + column + 1)));
    });
    warp_barrier();                                     // rows
    constexpr int kPairs = Tile::kBlocks * kBlock / 2;  // of columns: a part of the warp takes a clip, frame by frame
    const int column = lane() % kPairs * 2;
    for (int clip = lane() / kPairs; clip < count; clip += 32 / kPairs) {
        const Element* const of_clip = rows + clip * length * Tile::kStride + column;
        float2 most{0, 0};
        for (int t = 0; t < length; ++t) {
            const float2 pair = Precision::load_pair(of_clip + t * Tile::kStride);
            most.x = maximum(most.x, pair.x);
            most.y = maximum(most.y, pair.y);
        }
        float* const pooled = p.pooled + static_cast<size_t>(first + clip) * kTemporal + Tile::first_column() + column;
        *reinterpret_cast<float2*>(pooled) = most;
    }
}

// -- classifier ----------------------------------------------------------------------------------------------------

// A warp per class.
ADASGN_KERNEL(kThreads, 1)
void classify_samples(const __grid_constant__ TemporalParameters p) {
    const int label = block_index_y() * kWarps + warp();
    const ClassWeights of_class(p, minimum(label, p.classes - 1));
    let_next_kernel_start();
    wait_for_previous_kernel();  // widen_and_pool's results
    if (label < p.classes && block_index() * p.persons < clip_count(p)) {
        const Lanes512 pooled = pooled_values(p, block_index(), [](const float4* from) { return load_fresh(from); });
        classify(p, sample_number(p, block_index()), label, pooled, of_class);
    }
}

// A warp per sample.
ADASGN_KERNEL(kThreads, 1)
void settle_samples(const __grid_constant__ TemporalParameters p) {
    const int i = block_index() * kWarps + warp();
    let_next_kernel_start();     // of the next level
    wait_for_previous_kernel();  // scores
    if (i * p.persons < clip_count(p)) {
        settle(p, sample_number(p, i), threshold_of(p.escalation));
    }
}

// -- few clips -----------------------------------------------------------------------------------------------------

// As across_frames, a clip and 16 columns a block.
template <class Precision, int Stride>
ADASGN_KERNEL(kThreads, 2)
void across_split(const __grid_constant__ TemporalParameters p) {
    AcrossColumns<Precision, Stride> columns(p);
    let_next_kernel_start();
    wait_for_previous_kernel();  // features; so far, weights have set out beside it
    clear_counts(p);
    if (block_index() >= clip_count(p)) {
        return;
    }
    using Element = typename Precision::Element;
    const size_t clip = static_cast<size_t>(clip_number(p, block_index()));
    Element* const to = static_cast<Element*>(p.across) + static_cast<size_t>(block_index()) * p.clip_rows * kFeature;
    columns.run(p.features + clip * p.clip_frames * kFeature, p.clip_frames, to, p.clip_rows);
}

// As widen_and_pool, a clip of up to 16 · Tiles rows and 16 columns a block; the last block of a sample classifies it.
template <class Precision, int Tiles>
ADASGN_KERNEL(kThreads, 2)
void widen_split(const __grid_constant__ TemporalParameters p) {
    using Columns = WidenColumns<Precision, Tiles>;
    Columns columns(p, block_index_y());
    const int clip = block_index();
    const auto* const rows =
        static_cast<const typename Precision::Element*>(p.across) + static_cast<size_t>(clip) * p.clip_rows * kFeature;
    let_next_kernel_start();     // of the next level
    wait_for_previous_kernel();  // across_split's results
    if (clip >= clip_count(p)) {
        return;
    }
    Columns::fetch(rows, p.clip_rows);
    float* const sums = Columns::Part::sums(0);
    columns.multiply_rows(sums);
    block_barrier();  // sums
    columns.pool(sums, p.clip_rows, p.pooled + static_cast<size_t>(clip) * kTemporal);
    const FirstClasses ahead(p);
    const int place = clip / p.persons;
    int* const told = reinterpret_cast<int*>(sums);
    if (!finishes_last(p.done + place, p.persons * (kTemporal / kBlock), told)) {
        return;
    }
    const int sample = sample_number(p, place);
    classify_place(p, place, sample, ahead);
    if (p.escalation.probabilities != nullptr) {
        const float threshold = threshold_of(p.escalation);
        block_barrier();  // scores
        if (warp() == 0) {
            settle(p, sample, threshold);
        }
    }
}

// -- launches ------------------------------------------------------------------------------------------------------

template <class Tile, int Stride>
Status launch_tiles(const TemporalParameters& p, Stream stream) {
    const auto blocks = [&](int rows_of_clip) {
        const int size = Tile::kRows / rows_of_clip;
        return (p.clips + size - 1) / size;
    };
    constexpr Overlap overlap = Overlap::with_previous;
    const Grid across{blocks(Stride * result_rows<Stride>(p.clip_rows)), kFeature / Tile::kColumns};
    const Grid widen{blocks(p.clip_rows), kTemporal / Tile::kColumns};
    if (const Status failed =
            launch(across_frames<Tile, Stride>, across, Tile::kTileThreads, Tile::kBytes, stream, p, overlap)) {
        return failed;
    }
    if (const Status failed =
            launch(widen_and_pool<Tile>, widen, Tile::kTileThreads, Tile::kBytes, stream, p, overlap)) {
        return failed;
    }
    const Grid classes{p.clips / p.persons, (p.classes + kWarps - 1) / kWarps};
    if (const Status failed = launch(classify_samples, classes, kThreads, 0, stream, p, overlap)) {
        return failed;
    }
    if (p.escalation.probabilities == nullptr) {
        return {};
    }
    const int samples = p.clips / p.persons;
    return launch(settle_samples, {(samples + kWarps - 1) / kWarps}, kThreads, 0, stream, p, overlap);
}

template <class Precision, int Stride>
Status launch_split(const TemporalParameters& p, Stream stream) {
    constexpr int kBytes = Split<Precision>::kBytes;
    const Grid across{p.clips, kFeature / kBlock};
    const Grid widen{p.clips, kTemporal / kBlock};
    if (const Status failed =
            launch(across_split<Precision, Stride>, across, kThreads, kBytes, stream, p, Overlap::with_previous)) {
        return failed;
    }
    const auto widened = p.clip_rows <= kBlock ? widen_split<Precision, 1> : widen_split<Precision, 2>;
    return launch(widened, widen, kThreads, kBytes, stream, p, Overlap::with_previous);
}

template <int Stride>
Status launch_temporal(const TemporalParameters& p, Precision precision, TileRows rows, Stream stream) {
    const bool exact = precision == Precision::f32;
    if (rows == TileRows::r32) {
        return exact ? launch_split<Binary32, Stride>(p, stream) : launch_split<Binary16, Stride>(p, stream);
    }
    if (exact) {
        return launch_tiles<ExactTemporal64, Stride>(p, stream);
    }
    return rows == TileRows::r64 ? launch_tiles<Temporal64, Stride>(p, stream)
                                 : launch_tiles<Temporal128, Stride>(p, stream);
}

}  // namespace

TileRows highest_temporal_tile(Precision precision) {
    return precision == Precision::f32 ? TileRows::r64 : TileRows::r128;
}

Status temporal(const TemporalParameters& p, Precision precision, TileRows rows, Stream stream) {
    if (p.clips == 0) {
        return {};
    }
    const int most = rows == TileRows::r32 ? kSplitFrames : static_cast<int>(rows) - (kTaps - 1);
    if (p.clip_frames > most) {
        return {kInvalidValue};  // no clip fits
    }
    if (p.clip_rows != (p.clip_frames + p.stride - 1) / p.stride) {
        return {kInvalidValue};
    }
    switch (p.stride) {
        case 1:
            return launch_temporal<1>(p, precision, rows, stream);
        case 2:
            return launch_temporal<2>(p, precision, rows, stream);
        default:
            return {kInvalidValue};
    }
}

}  // namespace adasgn::cuda
