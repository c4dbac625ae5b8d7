// Products of few rows, divided among many multiprocessors: a block has 32 rows and 16 columns, and its warps divide
// the sum's channels among them, so that the sum is soon done and each weight is read by one block.
#pragma once

#include "tile.h"
#include "weight_stream.h"

namespace adasgn::cuda {

// Each warp has its 32 channels of every row in shared memory, multiplies them with its rows of the weights, and all
// sums meet there.
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

    // This warp's channels of `count` rows of 256, which the kernel before may have written; zeros beyond, Rows in all.
    // For the warp, after a warp_barrier().
    template <int Rows>
    ADASGN_DEVICE static void fetch(const Element* from, int count) {
        constexpr int kRowsAtOnce = 32 / kCopies;
        constexpr int kBatches = Rows / kRowsAtOnce;
        const int channel = lane() % kCopies * (16 / static_cast<int>(sizeof(Element)));
        from += warp() * kChannels + channel;
        uint4 x[kBatches];
#pragma unroll
        for (int i = 0; i < kBatches; ++i) {
            const int row = i * kRowsAtOnce + lane() / kCopies;
            x[i] = row < count ? load_fresh(reinterpret_cast<const uint4*>(from + static_cast<size_t>(row) * kFeature))
                               : uint4{0, 0, 0, 0};
        }
#pragma unroll
        for (int i = 0; i < kBatches; ++i) {
            const int row = i * kRowsAtOnce + lane() / kCopies;
            *reinterpret_cast<uint4*>(rows() + row * kStride + channel) = x[i];
        }
    }

    // This warp's sums to shared memory.
    template <int Tiles>
    ADASGN_DEVICE static void put(Accumulators<Tiles, 1>& results) {
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

// A warp's two blocks of weights of each tap: of its 32 channels, the thread block's 16 columns. Of a matrix of
// [columns / 32][depth][2] blocks they are 2 · warp() and the next of each tap's, counted from the `first`-th.
template <class Precision_, int Taps, bool OwnShare = Precision_::kOwnShare>
class SliceWeights {  // in registers
  public:
    using Precision = Precision_;
    static constexpr int kSlots = 2 * Taps;

    ADASGN_DEVICE SliceWeights(const void* packed, int depth, int first = 0) {
        const int begin = slice_begin(depth, first);
#pragma unroll
        for (int i = 0; i < kSlots; ++i) {
            shares_[i] = load_once(static_cast<const uint4*>(packed) + (begin + slice_block(i)) * 32 + lane());
        }
    }
    ADASGN_DEVICE typename Precision::Share next(int slot) const {
        return shares_[slot];
    }

    ADASGN_DEVICE void refill(int) const {}  // all are there from the beginning

    ADASGN_DEVICE static int slice_begin(int depth, int first) {
        const int column = block_index_y();
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

    ADASGN_DEVICE SliceWeights(const void* packed, int depth, int first = 0)
        : first_(static_cast<const unsigned char*>(packed) +
                 static_cast<size_t>(InRegisters::slice_begin(depth, first)) * Precision::kBlockBytes) {}
    ADASGN_DEVICE typename Precision::Share next() {
        return Precision::share(first_ + InRegisters::slice_block(next_++) * Precision::kBlockBytes);
    }

  private:
    const unsigned char* first_;
    int next_ = 0;
};

}  // namespace adasgn::cuda
