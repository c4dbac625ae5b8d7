// The temporal module and the classifier, for few clips and for many.
//
// Many: two kernels of products, whose blocks divide clips and columns among them, then one of dot products.
//
// Few: a block has a clip and 16 columns, so that many multiprocessors have a part; its warps divide the sum's channels
// among them, so that the sum is soon done. The last block to finish a sample's clips classifies it.
#include "relu.h"
#include "tile.h"
#include "weight_stream.h"

namespace adasgn::cuda {

namespace {

// The frame that a row of results is, in its clip and counted from the tile's first; -1: none.
struct RowPlace {
    int t;
    int frame;
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
        multiply<kFeature, 0>(results, static_cast<const Element*>(Tile::rows()) + tap * Tile::kStride, Tile::kStride,
                              weights);
    }
    results.pairs([&](int row, int column, float& x, float& y) {
        const RowPlace place = Tile::places()[row];
        if (place.frame >= 0) {
            column += Tile::first_column();
            const float* const bias = p.weights.across_bias + place.t * kFeature + column;
            const size_t frame = static_cast<size_t>(first) * length + place.frame;
            Precision::store_pair(static_cast<Element*>(p.across) + frame * kFeature + column,
                                  relu(x + load_global(bias)), relu(y + load_global(bias + 1)));
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

// What a lane has of the weights of a class.
struct ClassWeights {
    static constexpr int kFours = kTemporal / (4 * 32);
    float4 values[kFours];

    ADASGN_DEVICE ClassWeights(const TemporalParameters& p, int label) {
        const float4* const from =
            reinterpret_cast<const float4*>(p.weights.classify + static_cast<size_t>(label) * kTemporal) + lane();
#pragma unroll
        for (int i = 0; i < kFours; ++i) {
            values[i] = load_global(from + 32 * i);
        }
    }
};

// What a lane has of the 512 values before the classifier, summed over a sample's persons.
class Pooled {
  public:
    // load: how a float4 is read from memory.
    template <class Load>
    ADASGN_DEVICE Pooled(const TemporalParameters& p, int sample, const Load& load) {
        const float4* const first =
            reinterpret_cast<const float4*>(p.pooled + static_cast<size_t>(sample) * p.persons * kTemporal) + lane();
#pragma unroll
        for (int i = 0; i < kFours; ++i) {
            values_[i] = load(first + 32 * i);
        }
        for (int person = 1; person < p.persons; ++person) {
#pragma unroll
            for (int i = 0; i < kFours; ++i) {
                const float4 x = load(first + person * (kTemporal / 4) + 32 * i);
                values_[i] = {values_[i].x + x.x, values_[i].y + x.y, values_[i].z + x.z, values_[i].w + x.w};
            }
        }
    }

    // The score of a class, a warp's work.
    ADASGN_DEVICE void classify(const TemporalParameters& p, int sample, int label, const ClassWeights& weights) const {
        float sum = 0;
#pragma unroll
        for (int i = 0; i < kFours; ++i) {
            const float4& w = weights.values[i];
            sum += values_[i].x * w.x + values_[i].y * w.y + values_[i].z * w.z + values_[i].w * w.w;
        }
#pragma unroll
        for (int mask = 16; mask > 0; mask /= 2) {
            sum += shuffle_xor(sum, mask);
        }
        if (lane() == 0) {
            const float score = sum / static_cast<float>(p.persons) + load_global(p.weights.classify_bias + label);
            float* const to = p.logits + static_cast<size_t>(sample) * p.classes + label;
            *to = p.add ? *to + p.scale * score : p.scale * score;
        }
    }

  private:
    static constexpr int kFours = ClassWeights::kFours;
    float4 values_[kFours];
};

// A warp per class.
ADASGN_KERNEL(kThreads, 1)
void classify_samples(const __grid_constant__ TemporalParameters p) {
    const int label = block_index_y() * kWarps + warp();
    if (label < p.classes) {
        const ClassWeights weights(p, label);
        const Pooled pooled(p, block_index(), [](const float4* from) { return load_global(from); });
        pooled.classify(p, block_index(), label, weights);
    }
}

// -- few clips -----------------------------------------------------------------------------------------------------

// A block's share of a product with one clip: 16 columns. Each warp has its 32 channels of every row in shared memory,
// multiplies them with its rows of the weights, and all sums meet there.
template <class Precision_>
struct Split {
    using Precision = Precision_;
    using Element = typename Precision::Element;
    static constexpr int kTiles = 2;
    static constexpr int kRows = kTiles * kBlock;                     // frames of a clip at most
    static_assert(kRows == kSplitFrames && kRows == 32);              // a lane per row finds the maxima
    static constexpr int kChannels = kFeature / kWarps;               // of a warp
    static constexpr int kStride = row_stride<Precision>(kChannels);  // of a row
    // Of a warp's rows: one of zeros above the clip, and below, which the first and last tap read.
    static constexpr int kRowBytes = (kRows + kTaps - 1) * kStride * static_cast<int>(sizeof(Element));
    static constexpr int kSumStride = kBlock + 2;  // lanes that read rows one after another then use all banks
    static constexpr int kSums = kWarps * kRowBytes;
    static constexpr int kBytes = kSums + kWarps * kRows * kSumStride * static_cast<int>(sizeof(float));
    static constexpr int kCopies = kChannels * static_cast<int>(sizeof(Element)) / 16;  // 16 bytes each, of a row

    ADASGN_DEVICE static Element* rows() { return reinterpret_cast<Element*>(shared_memory() + warp() * kRowBytes); }
    ADASGN_DEVICE static float* sums(int of_warp) {
        return reinterpret_cast<float*>(shared_memory() + kSums) + of_warp * kRows * kSumStride;
    }
    ADASGN_DEVICE static int column() { return block_index_y() * kBlock; }

    // This warp's sums to shared memory.
    ADASGN_DEVICE static void put(Accumulators<kTiles, 1>& results) {
        results.pairs([](int row, int column, float& x, float& y) {
            *reinterpret_cast<float2*>(sums(warp()) + row * kSumStride + column) = {x, y};
        });
    }
    // All warps' together.
    ADASGN_DEVICE static float2 sum(int row, int column) {
        float2 total{0, 0};
#pragma unroll
        for (int of_warp = 0; of_warp < kWarps; ++of_warp) {
            const float2 part = *reinterpret_cast<const float2*>(sums(of_warp) + row * kSumStride + column);
            total = {total.x + part.x, total.y + part.y};
        }
        return total;
    }
};

// A warp's two blocks of weights of each tap: of its 32 channels, the thread block's 16 columns.
template <class Precision_, int Taps, bool OwnShare = Precision_::kOwnShare>
class SliceWeights {  // in registers
  public:
    using Precision = Precision_;
    static constexpr int kSlots = 2 * Taps;

    ADASGN_DEVICE explicit SliceWeights(const void* packed) {
        const int first = slice_begin(Taps);
#pragma unroll
        for (int i = 0; i < kSlots; ++i) {
            shares_[i] = load_once(static_cast<const uint4*>(packed) + (first + slice_block(i)) * 32 + lane());
        }
    }
    ADASGN_DEVICE typename Precision::Share next(int slot) const {
        return shares_[slot];
    }

    ADASGN_DEVICE void refill(int) const {}  // all are there from the beginning

    // Blocks lie as [columns / 32][inputs / 16][2].
    ADASGN_DEVICE static int slice_begin(int taps) {
        const int column = block_index_y();
        return (column / 2 * (taps * kFeature / kBlock) + warp() * 2) * 2 + column % 2;
    }
    ADASGN_DEVICE static int slice_block(int i) {
        return (i / 2 * (kFeature / kBlock) + i % 2) * 2;
    }

  private:
    typename Precision::Share shares_[kSlots];
};

template <class Precision_, int Taps>
class SliceWeights<Precision_, Taps, false> {  // in global memory
  public:
    using Precision = Precision_;
    using InRegisters = SliceWeights<Precision, Taps, true>;

    ADASGN_DEVICE explicit SliceWeights(const void* packed)
        : first_(static_cast<const unsigned char*>(packed) +
                 static_cast<size_t>(InRegisters::slice_begin(Taps)) * Precision::kBlockBytes) {}
    ADASGN_DEVICE typename Precision::Share next() {
        return Precision::share(first_ + InRegisters::slice_block(next_++) * Precision::kBlockBytes);
    }

  private:
    const unsigned char* first_;
    int next_ = 0;
};

// As across_frames, a clip and 16 columns a block.
template <class Precision>
ADASGN_KERNEL(kThreads, 2)
void across_split(const __grid_constant__ TemporalParameters p) {
    using Part = Split<Precision>;
    SliceWeights<Precision, kTaps> weights(p.weights.across);
    const int length = p.clip_frames;
    const size_t first = static_cast<size_t>(block_index()) * length;
    const int row = thread_index() / 8;  // of the results that this thread adds up, two columns each
    const int column = 2 * (thread_index() % 8);
    float2 bias{0, 0};
    if (row < length) {
        bias = load_global(
            reinterpret_cast<const float2*>(p.weights.across_bias + row * kFeature + Part::column() + column));
    }
    constexpr int kFours = Part::kChannels / 4;
    constexpr int kRowsAtOnce = 32 / kFours;
    const int channel = 4 * (lane() % kFours);
    const float* const from = p.features + first * kFeature + warp() * Part::kChannels + channel;
    auto* const rows = Part::rows();
    let_next_kernel_start();
    wait_for_previous_kernel();  // features; so far, weights have set out beside it
    float4 x[Part::kRows / kRowsAtOnce];
#pragma unroll
    for (int i = 0; i < Part::kRows / kRowsAtOnce; ++i) {
        const int t = i * kRowsAtOnce + lane() / kFours;
        x[i] = t < length ? load_fresh(reinterpret_cast<const float4*>(from + t * kFeature)) : float4{0, 0, 0, 0};
    }
#pragma unroll
    for (int i = 0; i < Part::kRows / kRowsAtOnce; ++i) {
        auto* const to = rows + (1 + i * kRowsAtOnce + lane() / kFours) * Part::kStride + channel;
        Precision::store_pair(to, x[i].x, x[i].y);
        Precision::store_pair(to + 2, x[i].z, x[i].w);
    }
    for (int i = lane(); i < Part::kChannels; i += 32) {
        const int of_pair = i % (Part::kChannels / 2) * 2;
        const int outer = i / (Part::kChannels / 2) * (Part::kRows + 1);
        Precision::store_pair(rows + outer * Part::kStride + of_pair, 0, 0);
    }
    warp_barrier();  // rows
    Accumulators<Part::kTiles, 1> results;
    results.clear();
#pragma unroll
    for (int tap = 0; tap < kTaps; ++tap) {
        const auto* const left = rows + tap * Part::kStride;
        if (tap == 0) {
            multiply<Part::kChannels, 0>(results, left, Part::kStride, weights);
        } else if (tap == 1) {
            multiply<Part::kChannels, 2>(results, left, Part::kStride, weights);
        } else {
            multiply<Part::kChannels, 4>(results, left, Part::kStride, weights);
        }
    }
    Part::put(results);
    block_barrier();  // sums
    if (row < length) {
        const float2 sum = Part::sum(row, column);
        auto* const to = static_cast<typename Part::Element*>(p.across) + (first + row) * kFeature + Part::column();
        Precision::store_pair(to + column, relu(sum.x + bias.x), relu(sum.y + bias.y));
    }
}

// As widen_and_pool, a clip and 16 columns a block; the last block of a sample classifies it.
template <class Precision>
ADASGN_KERNEL(kThreads, 2)
void widen_split(const __grid_constant__ TemporalParameters p) {
    using Part = Split<Precision>;
    SliceWeights<Precision, 1> weights(p.weights.widen);
    const int length = p.clip_frames;
    const int clip = block_index();
    const int column = 2 * warp();  // of the results that this thread adds up: a lane per row
    const float2 bias = load_global(reinterpret_cast<const float2*>(p.weights.widen_bias + Part::column() + column));
    constexpr int kElements = Part::kChannels / Part::kCopies;
    constexpr int kRowsAtOnce = 32 / Part::kCopies;
    const int channel = kElements * (lane() % Part::kCopies);
    const auto* const from = static_cast<const typename Part::Element*>(p.across) +
                             static_cast<size_t>(clip) * length * kFeature + warp() * Part::kChannels + channel;
    auto* const rows = Part::rows();
    wait_for_previous_kernel();  // across_split's results
    uint4 x[Part::kRows / kRowsAtOnce];
#pragma unroll
    for (int i = 0; i < Part::kRows / kRowsAtOnce; ++i) {
        const int t = i * kRowsAtOnce + lane() / Part::kCopies;
        x[i] = t < length ? load_fresh(reinterpret_cast<const uint4*>(from + t * kFeature)) : uint4{0, 0, 0, 0};
    }
#pragma unroll
    for (int i = 0; i < Part::kRows / kRowsAtOnce; ++i) {
        const int t = i * kRowsAtOnce + lane() / Part::kCopies;
        *reinterpret_cast<uint4*>(rows + t * Part::kStride + channel) = x[i];
    }
    warp_barrier();  // rows
    Accumulators<Part::kTiles, 1> results;
    results.clear();
    multiply<Part::kChannels, 0>(results, static_cast<const typename Part::Element*>(rows), Part::kStride, weights);
    Part::put(results);
    block_barrier();  // sums
    const float2 sum = Part::sum(lane(), column);
    const bool there = lane() < length;
    float2 most{there ? relu(sum.x + bias.x) : 0, there ? relu(sum.y + bias.y) : 0};
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2) {
        most.x = maximum(most.x, shuffle_xor(most.x, mask));
        most.y = maximum(most.y, shuffle_xor(most.y, mask));
    }
    if (lane() == 0) {
        float* const pooled = p.pooled + static_cast<size_t>(clip) * kTemporal + Part::column() + column;
        *reinterpret_cast<float2*>(pooled) = most;
    }
    // Which block is the last is told to all threads where the sums were; its first classes' weights set out before it
    // knows.
    const ClassWeights first_class(p, minimum(warp(), p.classes - 1));
    const ClassWeights second_class(p, minimum(warp() + kWarps, p.classes - 1));
    block_barrier();  // what each warp has pooled; the sums are done with
    int* const last = reinterpret_cast<int*>(Part::sums(0));
    const int sample = clip / p.persons;
    if (thread_index() == 0) {
        const int blocks = p.persons * (kTemporal / kBlock);
        fence();  // what this block has pooled is seen before it counts as done
        *last = atomic_add(p.done + sample, 1) == blocks - 1 ? 1 : 0;
        fence();  // what the other blocks wrote before they counted is read after this
    }
    block_barrier();  // last
    if (*last == 0) {
        return;
    }
    if (thread_index() == 0) {
        p.done[sample] = 0;  // for the next run
    }
    const Pooled all(p, sample, [](const float4* pooled) { return load_fresh(pooled); });
    int label = warp();
    if (label < p.classes) {
        all.classify(p, sample, label, first_class);
    }
    label += kWarps;
    if (label < p.classes) {
        all.classify(p, sample, label, second_class);
    }
#pragma unroll 2
    for (label += kWarps; label < p.classes; label += kWarps) {
        all.classify(p, sample, label, ClassWeights(p, label));
    }
}

// -- launches ------------------------------------------------------------------------------------------------------

template <class Tile>
Status launch_tiles(const TemporalParameters& p, Stream stream) {
    const auto blocks = [&](int rows_of_clip) {
        const int size = Tile::kRows / rows_of_clip;
        return (p.clips + size - 1) / size;
    };
    const Grid across{blocks(p.clip_frames + kTaps - 1), kFeature / Tile::kColumns};
    const Grid widen{blocks(p.clip_frames), kTemporal / Tile::kColumns};
    if (const Status failed = launch(across_frames<Tile>, across, Tile::kTileThreads, Tile::kBytes, stream, p)) {
        return failed;
    }
    if (const Status failed = launch(widen_and_pool<Tile>, widen, Tile::kTileThreads, Tile::kBytes, stream, p)) {
        return failed;
    }
    const Grid classes{p.clips / p.persons, (p.classes + kWarps - 1) / kWarps};
    return launch(classify_samples, classes, kThreads, 0, stream, p);
}

template <class Precision>
Status launch_split(const TemporalParameters& p, Stream stream) {
    constexpr int kBytes = Split<Precision>::kBytes;
    const Grid across{p.clips, kFeature / kBlock};
    const Grid widen{p.clips, kTemporal / kBlock};
    if (const Status failed =
            launch(across_split<Precision>, across, kThreads, kBytes, stream, p, Overlap::with_previous)) {
        return failed;
    }
    return launch(widen_split<Precision>, widen, kThreads, kBytes, stream, p, Overlap::with_previous);
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
    if (rows == TileRows::r32) {
        return precision == Precision::f32 ? launch_split<Binary32>(p, stream) : launch_split<Binary16>(p, stream);
    }
    if (precision == Precision::f32) {
        return launch_tiles<ExactTemporal64>(p, stream);
    }
    return rows == TileRows::r64 ? launch_tiles<Temporal64>(p, stream) : launch_tiles<Temporal128>(p, stream);
}

}  // namespace adasgn::cuda
