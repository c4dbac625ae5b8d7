// The spatial modules on many frames: tiles of frames that the router has sorted.
#include "branch.h"

namespace adasgn::cuda {

namespace {

// A tile of one branch's frames.
struct Place {
    int branch;
    int tile;   // of the branch's
    int count;  // of the branch's frames
};

// The b-th tile, counting the tiles of the dearest branch first, so that the last to finish are cheap. The counts come
// from the device: the launch has blocks for the worst case, and surplus ones find none.
ADASGN_DEVICE bool find_tile(const BranchParameters& p, int rows, int b, Place& place) {
    if (p.lists == nullptr) {
        place = {p.only, b, p.frames.count};
        return true;
    }
    constexpr int kAtOnce = 8;
    for (int last = p.branch_count - 1; last >= 0; last -= kAtOnce) {
        int counts[kAtOnce];
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i) {  // all on their way before the first is used
            counts[i] = i <= last ? p.counts[last - i] : 0;
        }
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i) {
            const int size = rows / p.branches[i <= last ? last - i : 0].joints;
            const int tiles = (counts[i] + size - 1) / size;
            if (b < tiles) {
                place = {last - i, b, counts[i]};
                return true;
            }
            b -= tiles;
        }
    }
    return false;
}

template <class Tile>
ADASGN_KERNEL(kThreads, 1)
void branch_tiles(const __grid_constant__ BranchParameters p) {
    let_next_kernel_start();  // the temporal module's blocks fetch their weights and wait
    if (p.lists != nullptr) {
        wait_for_previous_kernel();  // which made them; a block knows its branch, and what to fetch, from nothing else
    }
    Place place;
    if (!find_tile(p, Tile::kRows, block_index(), place)) {
        return;
    }
    const auto [branch, tile, count] = place;
    const int size = Tile::kRows / p.branches[branch].joints;
    const int first = tile * size;
    const int* const list = p.lists == nullptr ? nullptr : p.lists + branch * p.frames.count + first;
    const TileFrames frames{list, first, minimum(size, count - first)};
    if (p.branches[branch].joints > 1) {
        run_several_joints<Tile>(p.branches[branch], p.frames, frames, p.features);
    } else {
        run_one_joint<Tile>(p.branches[branch], p.frames, frames, p.features);
    }
}

template <class Tile>
Status launch_tiles(const BranchParameters& p, TileRows rows, Stream stream) {
    const int blocks = branch_blocks(p, rows);
    if (blocks == 0) {
        return {};
    }
    // Without lists the kernel may be the first of a run, after one of the caller's that makes the clips.
    const Overlap overlap = p.lists == nullptr ? Overlap::none : Overlap::with_previous;
    return launch(branch_tiles<Tile>, {blocks}, kThreads, Tile::kBytes, stream, p, overlap);
}

}  // namespace

int frames_of_tile(TileRows rows, int joints) {
    return static_cast<int>(rows) / joints;
}

TileRows highest_branch_tile(Precision precision, int shared) {
    if (precision == Precision::f32) {
        return TileRows::r32;
    }
    return Tile128::kBytes <= shared ? TileRows::r128 : TileRows::r64;
}

int branch_blocks(const BranchParameters& p, TileRows rows) {
    const int count = p.frames.count;
    if (p.lists == nullptr) {
        const int size = frames_of_tile(rows, p.branches[p.only].joints);
        return (count + size - 1) / size;
    }
    // All frames in the branch with the fewest frames a tile, and a broken tile in each of the others.
    int most = 0;
    for (int i = 0; i < p.branch_count; ++i) {
        const int size = frames_of_tile(rows, p.branches[i].joints);
        const int tiles = (count + size - 1) / size;
        most = tiles > most ? tiles : most;
    }
    return count == 0 ? 0 : most + p.branch_count - 1;
}

Status run_branches(const BranchParameters& p, Precision precision, TileRows rows, Stream stream) {
    if (precision == Precision::f32) {
        return launch_tiles<ExactTile32>(p, TileRows::r32, stream);
    }
    switch (rows) {
        case TileRows::r32:
            return launch_tiles<Tile32>(p, rows, stream);
        case TileRows::r64:
            return launch_tiles<Tile64>(p, rows, stream);
        default:
            return launch_tiles<Tile128>(p, rows, stream);
    }
}

}  // namespace adasgn::cuda
