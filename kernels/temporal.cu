// The temporal module and the classifier: two kernels of products, whose blocks divide clips and columns among them,
// then one of dot products.
#include "weight_stream.h"

#include "tile.h"

namespace adasgn::cuda {

namespace {

// The frame that a row of results is, in its clip and counted from the tile's first; -1: none.
struct RowPlace {
    int t;
    int frame;
};

// A block has kRows rows (frames of whole clips) and kColumns columns. Low tiles are narrow: few clips leave most
// multiprocessors idle unless the columns are spread over many blocks.
template <class Precision_, int Tiles_, int Warps, int Blocks_, int Stages>
struct TemporalTile {
    using Precision = Precision_;
    using Element = typename Precision::Element;
    using Weights = WeightStream<Precision, Stages>;
    static constexpr int kTiles = Tiles_;
    static constexpr int kBlocks = Blocks_;
    static constexpr int kRows = kBlock * kTiles;
    static constexpr int kTileThreads = 32 * Warps;
    static constexpr int kColumns = Warps * kBlocks * kBlock;
    static constexpr int kStride = row_stride<Precision>(kFeature);
    // With one row of zeros or of another clip above and below, which the first and last tap read.
    static constexpr int kRings = (kRows + kTaps - 1) * kStride * static_cast<int>(sizeof(Element));
    static constexpr int kPlaces = kRings + Warps * Weights::kRingBytes;  // RowPlace of each row
    static constexpr int kBytes = kPlaces + kRows * static_cast<int>(sizeof(RowPlace));

    ADASGN_DEVICE static RowPlace* places() { return reinterpret_cast<RowPlace*>(shared_memory() + kPlaces); }
    ADASGN_DEVICE static Element* rows() { return reinterpret_cast<Element*>(shared_memory()); }

    ADASGN_DEVICE static int first_column() { return block_index_y() * kColumns + warp() * kBlocks * kBlock; }

    // This warp's columns of a matrix of [columns / 32][inputs / 16][2] blocks.
    ADASGN_DEVICE static Weights weights(const void* packed, int inputs) {
        const int column = first_column() / kBlock;
        const int depth = inputs / kBlock;
        const int block = column / 2 * depth * 2 + column % 2;
        return Weights(static_cast<const unsigned char*>(packed) + static_cast<size_t>(block) * Precision::kBlockBytes,
                       depth * kBlocks, 2 / kBlocks, kRings + warp() * Weights::kRingBytes);
    }
};

using ExactTemporal32 = TemporalTile<Binary32, 2, 4, 1, 3>;
using ExactTemporal64 = TemporalTile<Binary32, 4, 8, 2, 3>;
using Temporal32 = TemporalTile<Binary16, 2, 4, 1, 8>;
using Temporal64 = TemporalTile<Binary16, 4, 8, 2, 4>;
using Temporal128 = TemporalTile<Binary16, 8, 8, 2, 4>;
static_assert(ExactTemporal64::kBytes <= 99 * 1024 && Temporal128::kBytes <= 99 * 1024);

// Clips of a tile with `rows_of_clip` rows each.
template <class Tile>
ADASGN_DEVICE int clips_of_tile(int rows_of_clip) {
    return Tile::kRows / rows_of_clip;
}

// relu(f[t-1]·W0 + f[t]·W1 + f[t+1]·W2 + bias[t]). Row c·(T + 2) + 1 + t of shared memory is frame t of clip c, the
// rows around a clip are zero; so a tap is an offset of a row, and of each clip two rows of results go unused.
template <class Tile>
ADASGN_KERNEL(Tile::kTileThreads, 1)
void across_frames(const __grid_constant__ TemporalParameters p) {
    using Precision = typename Tile::Precision;
    using Element = typename Tile::Element;
    typename Tile::Weights weights = Tile::weights(p.weights.across, kTaps * kFeature);
    const int length = p.clip_frames;
    const int size = clips_of_tile<Tile>(length + kTaps - 1);
    const int first = block_index() * size;
    const int count = minimum(size, p.clips - first);
    constexpr int kFours = kFeature / 4;
    for (int i = thread_index(); i < (Tile::kRows + kTaps - 1) * kFours; i += Tile::kTileThreads) {
        const int row = i / kFours;
        const int channel = i % kFours * 4;
        const int clip = row / (length + kTaps - 1);
        const int t = row % (length + kTaps - 1) - 1;
        float4 x{0, 0, 0, 0};
        if (clip < count && t >= 0 && t < length) {
            const size_t frame = static_cast<size_t>(first + clip) * length + t;
            x = load_global(reinterpret_cast<const float4*>(p.features + frame * kFeature + channel));
        }
        Element* const to = Tile::rows() + row * Tile::kStride + channel;
        Precision::store_pair(to, x.x, x.y);
        Precision::store_pair(to + 2, x.z, x.w);
    }
    for (int row = thread_index(); row < Tile::kRows; row += Tile::kTileThreads) {
        const int clip = row / (length + kTaps - 1);
        const int t = row % (length + kTaps - 1);
        Tile::places()[row] = {t, clip < count && t < length ? clip * length + t : -1};
    }
    block_barrier();  // features, places
    Accumulators<Tile::kTiles, Tile::kBlocks> results;
    results.clear();
    for (int tap = 0; tap < kTaps; ++tap) {
        multiply<Precision>(results, static_cast<const Element*>(Tile::rows()) + tap * Tile::kStride, Tile::kStride,
                            kFeature, weights);
    }
    results.pairs([&](int row, int column, float& x, float& y) {
        const RowPlace place = Tile::places()[row];
        if (place.frame >= 0) {
            column += Tile::first_column();
            const float* const bias = p.weights.across_bias + place.t * kFeature + column;
            const size_t frame = static_cast<size_t>(first) * length + place.frame;
            Precision::store_pair(static_cast<Element*>(p.across) + frame * kFeature + column,
                                  maximum(x + load_global(bias), 0.0F), maximum(y + load_global(bias + 1), 0.0F));
        }
    });
}

// max over t of relu(y[t]·W + bias)
template <class Tile>
ADASGN_KERNEL(Tile::kTileThreads, 1)
void widen_and_pool(const __grid_constant__ TemporalParameters p) {
    using Precision = typename Tile::Precision;
    using Element = typename Tile::Element;
    typename Tile::Weights weights = Tile::weights(p.weights.widen, kFeature);
    const int length = p.clip_frames;
    const int size = clips_of_tile<Tile>(length);
    const int first = block_index() * size;
    const int count = minimum(size, p.clips - first);
    constexpr int kCopies = kFeature * static_cast<int>(sizeof(Element)) / 16;  // of a row
    constexpr int kElements = 16 / static_cast<int>(sizeof(Element));
    const Element* const from = static_cast<const Element*>(p.across) + static_cast<size_t>(first) * length * kFeature;
    for (int i = thread_index(); i < Tile::kRows * kCopies; i += Tile::kTileThreads) {
        const int row = i / kCopies;
        const int channel = i % kCopies * kElements;
        uint4 sixteen_bytes{0, 0, 0, 0};
        if (row < count * length) {
            sixteen_bytes =
                load_global(reinterpret_cast<const uint4*>(from + static_cast<size_t>(row) * kFeature + channel));
        }
        *reinterpret_cast<uint4*>(Tile::rows() + row * Tile::kStride + channel) = sixteen_bytes;
    }
    block_barrier();  // y
    Accumulators<Tile::kTiles, Tile::kBlocks> results;
    results.clear();
    multiply<Precision>(results, static_cast<const Element*>(Tile::rows()), Tile::kStride, kFeature, weights);
    block_barrier();  // y is done with: the warp's columns of the results take its place
    const float* const bias = p.weights.widen_bias + Tile::first_column();
    Element* const rows = Tile::rows() + warp() * Tile::kBlocks * kBlock;
    results.pairs([&](int row, int column, float& x, float& y) {
        Precision::store_pair(rows + row * Tile::kStride + column, maximum(x + load_global(bias + column), 0.0F),
                              maximum(y + load_global(bias + column + 1), 0.0F));
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

// Scores of a sample, a warp per class, averaged over its persons.
ADASGN_KERNEL(kThreads, 1)
void classify_samples(const __grid_constant__ TemporalParameters p) {
    const int label = block_index_y() * kWarps + warp();
    if (label >= p.classes) {
        return;
    }
    const int sample = block_index();
    constexpr int kFours = kTemporal / (4 * 32);
    const float4* const weight =
        reinterpret_cast<const float4*>(p.weights.classify + static_cast<size_t>(label) * kTemporal);
    float4 w[kFours];
#pragma unroll
    for (int i = 0; i < kFours; ++i) {
        w[i] = load_global(weight + 32 * i + lane());
    }
    float sum = 0;
    for (int person = 0; person < p.persons; ++person) {
        const float4* const pooled =
            reinterpret_cast<const float4*>(p.pooled + (static_cast<size_t>(sample) * p.persons + person) * kTemporal);
#pragma unroll
        for (int i = 0; i < kFours; ++i) {
            const float4 x = load_global(pooled + 32 * i + lane());
            sum += x.x * w[i].x + x.y * w[i].y + x.z * w[i].z + x.w * w[i].w;
        }
    }
    for (int mask = 16; mask > 0; mask /= 2) {
        sum += shuffle_xor(sum, mask);
    }
    if (lane() == 0) {
        const float score = sum / static_cast<float>(p.persons) + load_global(p.weights.classify_bias + label);
        float* const to = p.logits + static_cast<size_t>(sample) * p.classes + label;
        *to = p.add ? *to + p.scale * score : p.scale * score;
    }
}

template <class Tile>
Status launch_products(const TemporalParameters& p, Stream stream) {
    const auto blocks = [&](int rows_of_clip) {
        const int size = Tile::kRows / rows_of_clip;
        return (p.clips + size - 1) / size;
    };
    const Grid across{blocks(p.clip_frames + kTaps - 1), kFeature / Tile::kColumns};
    const Grid widen{blocks(p.clip_frames), kTemporal / Tile::kColumns};
    if (const Status failed = launch(across_frames<Tile>, across, Tile::kTileThreads, Tile::kBytes, stream, p)) {
        return failed;
    }
    return launch(widen_and_pool<Tile>, widen, Tile::kTileThreads, Tile::kBytes, stream, p);
}

Status products(const TemporalParameters& p, Precision precision, TileRows rows, Stream stream) {
    if (precision == Precision::f32) {
        return rows == TileRows::r32 ? launch_products<ExactTemporal32>(p, stream)
                                     : launch_products<ExactTemporal64>(p, stream);
    }
    switch (rows) {
        case TileRows::r32:
            return launch_products<Temporal32>(p, stream);
        case TileRows::r64:
            return launch_products<Temporal64>(p, stream);
        default:
            return launch_products<Temporal128>(p, stream);
    }
}

}  // namespace

TileRows highest_temporal_tile(Precision precision) {
    return precision == Precision::f32 ? TileRows::r64 : TileRows::r128;
}

Status temporal(const TemporalParameters& p, Precision precision, TileRows rows, Stream stream) {
    if (p.clips == 0) {
        return {};
    }
    if (p.clip_frames + kTaps - 1 > static_cast<int>(rows)) {
        return {kInvalidValue};  // no clip fits a tile
    }
    if (const Status failed = products(p, precision, rows, stream)) {
        return failed;
    }
    const Grid classes{p.clips / p.persons, (p.classes + kWarps - 1) / kWarps};
    return launch(classify_samples, classes, kThreads, 0, stream, p);
}

}  // namespace adasgn::cuda
