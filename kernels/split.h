// Products of few rows, divided among many multiprocessors: a block has up to 32 rows and 16 columns, and its warps
// divide the sum's channels among them, so that the sum is soon done and each weight is read by one block.
#pragma once

#include "tile.h"
#include "weight_stream.h"

namespace adasgn::cuda {

// Of a block's results a thread adds up two columns of one row.
struct PairPlace {
    int row = thread_index() / 8;
    int column = 2 * (thread_index() % 8);
};

// Each warp has its 32 channels of every row in shared memory, multiplies them with its rows of the weights, and all
// sums meet there.
template <class Precision_, int Tiles_ = kSplitFrames / kBlock>
struct Split {
    using Precision = Precision_;
    using Element = typename Precision::Element;
    static constexpr int kTiles = Tiles_;
    static constexpr int kRows = kTiles * kBlock;                     // frames of a clip, or tracks, at most
    static_assert(kRows <= kSplitFrames && kSplitFrames == 32);       // a lane per row finds the maxima
    static constexpr int kChannels = kFeature / kWarps;               // of a warp
    static constexpr int kStride = row_stride<Precision>(kChannels);  // of a row
    // Of a warp's rows: one of zeros above the clip, and below, which the first and last tap read.
    static constexpr int kRowBytes = (kRows + kTaps - 1) * kStride * static_cast<int>(sizeof(Element));
    static constexpr int kSumStride = kBlock + 2;  // lanes that read rows one after another then use all banks
    static constexpr int kSums = kWarps * kRowBytes;
    static constexpr int kSumBytes = kWarps * kRows * kSumStride * static_cast<int>(sizeof(float));
    static constexpr int kBytes = kSums + kSumBytes;
    static constexpr int kCopies = kChannels * static_cast<int>(sizeof(Element)) / 16;  // 16 bytes each, of a row

    ADASGN_DEVICE static Element* rows() { return reinterpret_cast<Element*>(shared_memory() + warp() * kRowBytes); }
    ADASGN_DEVICE static float* sums(int of_warp) {
        return reinterpret_cast<float*>(shared_memory() + kSums) + of_warp * kRows * kSumStride;
    }
    ADASGN_DEVICE static int column() { return block_index_y() * kBlock; }

    // This warp's channels of `count` rows of 256 on their way to shared memory: zeros beyond, Rows in all. Other
    // blocks or the kernel before may have written them.
    template <int Rows>
    class Fetched {
      public:
        // place(row): where the row of 256 lies.
        template <class Place>
        ADASGN_DEVICE Fetched(const Place& place, int count) {
#pragma unroll
            for (int i = 0; i < kBatches; ++i) {
                const int row = i * kRowsAtOnce + lane() / kCopies;
                x_[i] =
                    row < count
                        ? load_fresh(reinterpret_cast<const uint4*>(place(row) + warp() * kChannels + first_channel()))
                        : uint4{0, 0, 0, 0};
            }
        }

        // For the warp, after a warp_barrier().
        ADASGN_DEVICE void put() const {
#pragma unroll
            for (int i = 0; i < kBatches; ++i) {
                const int row = i * kRowsAtOnce + lane() / kCopies;
                *reinterpret_cast<uint4*>(rows() + row * kStride + first_channel()) = x_[i];
            }
        }

      private:
        static constexpr int kRowsAtOnce = 32 / kCopies;
        static constexpr int kBatches = Rows / kRowsAtOnce;

        ADASGN_DEVICE static int first_channel() {
            return lane() % kCopies * (16 / static_cast<int>(sizeof(Element)));
        }

        uint4 x_[kBatches];
    };

    // Rows that lie one behind the other, fetched and put.
    template <int Rows>
    ADASGN_DEVICE static void fetch(const Element* from, int count) {
        Fetched<Rows>([=](int row) { return from + static_cast<size_t>(row) * kFeature; }, count).put();
    }

    // The same of rows of float, which put themselves from row `to` on.
    template <int Rows>
    ADASGN_DEVICE static void fetch_floats(const float* from, int count, int to) {
        constexpr int kFours = kChannels / 4;
        constexpr int kRowsAtOnce = 32 / kFours;
        const int channel = 4 * (lane() % kFours);
        from += warp() * kChannels + channel;
        float4 x[Rows / kRowsAtOnce];
#pragma unroll
        for (int i = 0; i < Rows / kRowsAtOnce; ++i) {
            const int row = i * kRowsAtOnce + lane() / kFours;
            x[i] =
                row < count ? load_fresh(reinterpret_cast<const float4*>(from + row * kFeature)) : float4{0, 0, 0, 0};
        }
#pragma unroll
        for (int i = 0; i < Rows / kRowsAtOnce; ++i) {
            Element* const at = rows() + (to + i * kRowsAtOnce + lane() / kFours) * kStride + channel;
            Precision::store_pair(at, x[i].x, x[i].y);
            Precision::store_pair(at + 2, x[i].z, x[i].w);
        }
    }

    // This warp's sums to shared memory, among those of all warps from `all` on.
    template <int Tiles>
    ADASGN_DEVICE static void put(Accumulators<Tiles, 1>& results, float* all = sums(0)) {
        float* const own = all + warp() * kRows * kSumStride;
        results.pairs([=](int row, int column, float& x, float& y) {
            *reinterpret_cast<float2*>(own + row * kSumStride + column) = {x, y};
        });
    }
    // All warps' together.
    ADASGN_DEVICE static float2 sum(int row, int column, const float* all = sums(0)) {
        float2 total{0, 0};
#pragma unroll
        for (int of_warp = 0; of_warp < kWarps; ++of_warp) {
            const float2 part = *reinterpret_cast<const float2*>(all + (of_warp * kRows + row) * kSumStride + column);
            total = {total.x + part.x, total.y + part.y};
        }
        return total;
    }
};

// A warp's two blocks of weights of each tap: of its 32 channels, 16 columns, those of the thread block unless said. Of
// a matrix of [columns / 32][depth][2] blocks they are 2 · warp() and the next of each tap's, counted from the
// `first`-th.
template <class Precision_, int Taps, bool OwnShare = Precision_::kOwnShare>
class SliceWeights {  // in registers
  public:
    using Precision = Precision_;
    static constexpr int kSlots = 2 * Taps;

    ADASGN_DEVICE SliceWeights(const void* packed, int depth, int first = 0, int column = block_index_y()) {
        const int begin = slice_begin(depth, first, column);
#pragma unroll
        for (int i = 0; i < kSlots; ++i) {
            shares_[i] = load_once(static_cast<const uint4*>(packed) + (begin + slice_block(i)) * 32 + lane());
        }
    }
    ADASGN_DEVICE typename Precision::Share next(int slot) const {
        return shares_[slot];
    }

    ADASGN_DEVICE void refill(int) const {}  // all are there from the beginning

    ADASGN_DEVICE static int slice_begin(int depth, int first, int column) {
        return (column / 2 * depth + first + warp() * 2) * 2 + column % 2;
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

    ADASGN_DEVICE SliceWeights(const void* packed, int depth, int first = 0, int column = block_index_y())
        : first_(static_cast<const unsigned char*>(packed) +
                 static_cast<size_t>(InRegisters::slice_begin(depth, first, column)) * Precision::kBlockBytes) {}
    ADASGN_DEVICE typename Precision::Share next() {
        return Precision::share(first_ + InRegisters::slice_block(next_++) * Precision::kBlockBytes);
    }

  private:
    const unsigned char* first_;
    int next_ = 0;
};

}  // namespace adasgn::cuda
