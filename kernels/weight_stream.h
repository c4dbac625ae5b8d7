// One warp's weights on their way from the second-level cache to its registers.
//
// Weights are packed into blocks of 16 inputs x 16 outputs in the order in which a warp uses them, across all products
// of a branch; the stream runs ahead of their use and on through the thread block's barriers, and needs none itself.
//
// A binary16 block holds, for lane 4g + q, the eight values that the lane feeds to two mma: of columns g and g + 8 the
// inputs 2q, 2q + 1, 2q + 8 and 2q + 9. So a lane reads its 16 bytes and nothing else, straight into registers:
// WeightRegisters. A binary32 block is [input][q][columns 2q, 2q + 1, 2q + 8, 2q + 9]; the eight lanes of a column read
// the same, so the warp fetches a block together: WeightRing.
#pragma once

#include <type_traits>

#include "precision.h"

namespace adasgn::cuda {

// The next Slots blocks in registers. Which slot is read must be known when the kernel is compiled, or the registers
// would be memory: whoever takes blocks counts them.
template <class Precision_, int Slots>
class WeightRegisters {
  public:
    using Precision = Precision_;
    using Share = typename Precision::Share;
    static constexpr int kSlots = Slots;
    static constexpr int kSharedBytes = 0;  // of a warp

    // The `blocks` blocks of one warp, at least Slots, `step` blocks apart.
    ADASGN_DEVICE WeightRegisters(const void* source, int blocks, int step, int /*ring*/)
        : source_(static_cast<const uint4*>(source) + lane()), left_(blocks - Slots), step_(step * 32) {
#pragma unroll
        for (int slot = 0; slot < Slots; ++slot) {
            shares_[slot] = load_once(source_ + slot * step_);
        }
        source_ += Slots * step_;
    }

    // This lane's share of the next block, which is the slot-th of the Slots: 0, 1, … Slots - 1, 0, ….
    ADASGN_DEVICE const Share& next(int slot) const {
        return shares_[slot];
    }

    // What next(slot) gave has been multiplied: the block that takes its place sets out.
    ADASGN_DEVICE void refill(int slot) {
        if (slot < left_) {
            shares_[slot] = load_once(source_ + slot * step_);
        }
        if (slot == Slots - 1) {
            source_ += Slots * step_;
            left_ -= Slots;
        }
    }

  private:
    Share shares_[Slots];
    const uint4* source_;  // of the Slots blocks after those in registers
    int left_;             // how many blocks there are from there on
    int step_;
};

// A ring of blocks in shared memory, each warp its own, that cp.async fills ahead of use.
template <class Precision_, int Slots>
class WeightRing {
    static_assert(Slots >= 2);

  public:
    using Precision = Precision_;
    static constexpr int kSharedBytes = Slots * Precision::kBlockBytes;  // of a warp

    // The `blocks` blocks of one warp, `step` blocks apart; the warp's own ring begins at byte `ring` of shared memory.
    ADASGN_DEVICE WeightRing(const void* source, int blocks, int step, int ring)
        : source_(static_cast<const unsigned char*>(source)), left_(blocks), step_(step), ring_(ring) {
        for (int slot = 0; slot < Slots - 1; ++slot) {
            fetch(slot);
        }
    }

    // This lane's share of the next block, good until the call after.
    ADASGN_DEVICE typename Precision::Share next() {
        copy_async_wait<Slots - 2>();
        warp_barrier();  // the block's parts are there for all lanes, and all are done with the block before it,
        const int before = slot_ == 0 ? Slots - 1 : slot_ - 1;
        const typename Precision::Share share = Precision::share(place(slot_));
        slot_ = slot_ + 1 == Slots ? 0 : slot_ + 1;
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

template <class Precision, int Slots>
using WeightStream =
    std::conditional_t<Precision::kOwnShare, WeightRegisters<Precision, Slots>, WeightRing<Precision, Slots>>;

// results += left (Tiles x 16 rows, Depth columns) · the stream's next Depth / 16 rows of Blocks blocks, of which the
// first is the Start-th that is taken from the stream.
template <int Depth, int Start, int Tiles, int Blocks, class Weights>
ADASGN_DEVICE void multiply(Accumulators<Tiles, Blocks>& results, const typename Weights::Precision::Element* left,
                            int stride, Weights& weights) {
    Weights::Precision::template multiply<Depth, Start>(results, left, stride, weights);
}

}  // namespace adasgn::cuda
