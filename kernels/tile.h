// A tile: the frames of one branch that a thread block takes through the branch at once, their joints stacked as rows,
// and where in shared memory its activations lie.
#pragma once

#include "frame_coordinates.h"
#include "weight_stream.h"

namespace adasgn::cuda {

// Rows are padded by 16 bytes: eight rows one after another, or the rows of a quarter warp, then lie in different
// banks.
template <class Precision>
constexpr int row_stride(int width) {
    return width + 16 / static_cast<int>(sizeof(typename Precision::Element));
}

// The visible list of what is instantiated: rows of a tile in 16s, how many blocks of weights are on their way, and
// whether the tile is one frame. The bytes that follow from it decide on which devices a tile can be used (at most 99
// KB a block on 8.6, 8.9 and 12.0; 163 KB on 8.0 and 8.7; 227 KB on 9.0 to 11.0). A low tile's products are short, so
// that more has to be on its way; a high one's results take the registers.
template <class Precision_, int Tiles_, int Slots_, bool OneFrame_ = false>
struct Tile {
    using Precision = Precision_;
    using Element = typename Precision::Element;
    static constexpr int kTiles = Tiles_;
    static constexpr int kRows = kBlock * kTiles;
    static constexpr bool kOneFrame = OneFrame_;
    static constexpr bool kAhead = kTiles <= 2;  // registers are left for what results will need
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
    static constexpr int kSlots = Slots_ / 2;  // compiled for these, a lane's registers hold no more without spilling
#else
    static constexpr int kSlots = Slots_;
#endif
    using Stream = WeightStream<Precision, Precision::kOwnShare ? kSlots : Slots_>;

    static constexpr int kStride64 = row_stride<Precision>(kEmbedding);
    static constexpr int kStride128 = row_stride<Precision>(kNode);
    static constexpr int kStride256 = row_stride<Precision>(kFeature);
    static constexpr int kStrideJoints = row_stride<Precision>(kMaxBranchJoints);

    // Shared memory in bytes. `wide` holds rows of 256 channels; `near` and `far` rows of 128 each, or together 256.
    static constexpr int kWide = 0;
    static constexpr int kNear = kWide + kRows * kStride256 * static_cast<int>(sizeof(Element));
    static constexpr int kFar = kNear + kRows * kStride128 * static_cast<int>(sizeof(Element));
    static constexpr int kAdjacency = kFar + kRows * kStride128 * static_cast<int>(sizeof(Element));
    static constexpr int kRings = kAdjacency + kRows * kStrideJoints * static_cast<int>(sizeof(Element));
    static constexpr int kBytes = kRings + kWarps * Stream::kSharedBytes;

    static_assert(3 * kStride64 <= kStride256, "position's and velocity's hidden layer and the queries share `wide`");
    static_assert(kStride256 <= 2 * kStride128, "rows of 256 fit `near` and `far` together");
    static_assert(2 * kCoordinates * sizeof(float) <= kStrideJoints * sizeof(Element),
                  "the transformed coordinates lie where the adjacency comes later");
    static_assert(kNear % 128 == 0 && kRings % 16 == 0);

    // Coordinates on their way to `moved`, where hidden layers and d come later.
    static_assert(kRows * kStagedFloats * static_cast<int>(sizeof(float)) <= kAdjacency, "a row is a frame at most");
    ADASGN_DEVICE static float* staged() {
        return reinterpret_cast<float*>(shared_memory() + kWide);
    }
    ADASGN_DEVICE static Element* wide() {
        return reinterpret_cast<Element*>(shared_memory() + kWide);
    }
    ADASGN_DEVICE static Element* near() {
        return reinterpret_cast<Element*>(shared_memory() + kNear);
    }
    ADASGN_DEVICE static Element* far() {
        return reinterpret_cast<Element*>(shared_memory() + kFar);
    }
    ADASGN_DEVICE static Element* adjacency() {
        return reinterpret_cast<Element*>(shared_memory() + kAdjacency);
    }
    ADASGN_DEVICE static float* moved() {
        return reinterpret_cast<float*>(shared_memory() + kAdjacency);
    }
    // Of this warp, in bytes of shared memory.
    ADASGN_DEVICE static int ring() {
        return kRings + warp() * Stream::kSharedBytes;
    }
};

using ExactTile32 = Tile<Binary32, 2, 3>;
using Tile32 = Tile<Binary16, 2, 16>;
using Tile64 = Tile<Binary16, 4, 8>;
using Tile128 = Tile<Binary16, 8, 4>;

// For a block per frame, of up to 16 and up to 32 joints.
using ExactFrame16 = Tile<Binary32, 1, 3, true>;
using ExactFrame32 = Tile<Binary32, 2, 3, true>;
using Frame16 = Tile<Binary16, 1, 16, true>;
using Frame32 = Tile<Binary16, 2, 16, true>;

static_assert(ExactTile32::kBytes <= 99 * 1024 && Tile32::kBytes <= 99 * 1024 && Tile64::kBytes <= 99 * 1024);
static_assert(Tile128::kBytes <= 163 * 1024);

// Which frames a tile holds: frame f of it is list[f], which the kernel before may have written, or first + f without a
// list.
struct TileFrames {
    const int* list;
    int first;
    int count;

    ADASGN_DEVICE int frame(int f) const { return list == nullptr ? first + f : list[f]; }
};

// Whether a tile that has begun is wanted: of a branch that runs its own frames it is. kernels/whole_clip.cu has one
// that finds out on the way.
struct Wanted {
    static constexpr int kLooks = 3;  // how often a tile asks, at most

    // Before the products in whose time the answer comes.
    template <int Look>
    ADASGN_DEVICE void ask() {}
    // Before the block_barrier() behind which all threads know.
    template <int Look>
    ADASGN_DEVICE void tell() {}
    // Whether it is known by now that it is not.
    template <int Look>
    ADASGN_DEVICE bool known_unwanted() const {
        return false;
    }
    // At the end, when it must be known. For the warp.
    ADASGN_DEVICE bool wanted() const { return true; }
};

}  // namespace adasgn::cuda
