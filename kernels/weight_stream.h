// One warp's weights on their way from the second-level cache to its registers.
//
// Weights are packed into blocks of 16 inputs x 16 outputs in the order in which a warp uses them, across all products
// of a branch. A ring of blocks in shared memory, each warp its own, is filled by cp.async ahead of use: the stream
// runs on through the block's barriers, and no barrier is needed for it.
//
// A binary16 block holds, for lane 4g + q, the eight values that the lane feeds to two mma: of columns g and g + 8 the
// inputs 2q, 2q + 1, 2q + 8 and 2q + 9. So a lane copies and reads the same 16 bytes, and nothing passes between lanes.
// A binary32 block is [input][q][columns 2q, 2q + 1, 2q + 8, 2q + 9].
#pragma once

#include "precision.h"

namespace adasgn::cuda {

template <class Precision, int Stages>
class WeightStream {
    static_assert(Stages >= 2);

  public:
    // Ring bytes of a warp.
    static constexpr int kRingBytes = Stages * Precision::kBlockBytes;

    // The `blocks` blocks of one warp, `step` blocks apart; the warp's own ring begins at byte `ring` of shared memory.
    ADASGN_DEVICE WeightStream(const void* source, int blocks, int step, int ring)
        : source_(static_cast<const unsigned char*>(source)), left_(blocks), step_(step), ring_(ring) {
        for (int slot = 0; slot < Stages - 1; ++slot) {
            fetch(slot);
        }
    }

    // This lane's share of the next block; a share that is a pointer is good until the call after.
    ADASGN_DEVICE typename Precision::Share next() {
        copy_async_wait<Stages - 2>();
        if (!Precision::kOwnShare) {
            warp_barrier();  // the block's parts are there for all lanes, and all are done with the block before it,
        }
        const int before = slot_ == 0 ? Stages - 1 : slot_ - 1;
        const typename Precision::Share share = Precision::share(place(slot_));
        slot_ = slot_ + 1 == Stages ? 0 : slot_ + 1;
        fetch(before);  // whose place is filled here
        return share;
    }

  private:
    ADASGN_DEVICE unsigned char* place(int slot) const {
        return shared_memory() + ring_ + slot * Precision::kBlockBytes;
    }

    ADASGN_DEVICE void fetch(int slot) {
        if (left_ > 0) {
#pragma unroll
            for (int i = 0; i < Precision::kCopies; ++i) {
                const int at = (32 * i + lane()) * 16;
                copy_async(place(slot) + at, source_ + at);
            }
            source_ += step_ * Precision::kBlockBytes;
            --left_;
        }
        copy_async_commit();  // an empty group at the end keeps the count of groups in step
    }

    const unsigned char* source_;
    int left_;
    int step_;
    int ring_;
    int slot_ = 0;
};

// results += left (Tiles x 16 rows, `depth` columns) · the stream's next depth / 16 rows of Blocks blocks.
template <class Precision, int Stages, int Tiles, int Blocks>
ADASGN_DEVICE void multiply(Accumulators<Tiles, Blocks>& results, const typename Precision::Element* left, int stride,
                            int depth, WeightStream<Precision, Stages>& weights) {
#pragma unroll 1
    for (int k = 0; k < depth; k += kBlock) {
        Precision::multiply(results, left + k, stride, weights);
    }
}

}  // namespace adasgn::cuda
