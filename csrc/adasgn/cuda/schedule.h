// Which kernels a number of frames runs on: a pure function of the device and of what the model is, so that it can be
// tabulated for any board (`python -m bench.predict --schedules` mirrors it) and tested.
#pragma once

#include <vector>

#include "adasgn/cuda/runtime.h"
#include "launch.h"

namespace adasgn::cuda {

// How a number of frames is launched.
struct Schedule {
    bool block_per_frame;  // kernels/branch_frames.cu: no router; else tiles of
    TileRows branch_rows;  // of a model that is a pose branch alone: pose_rows
    TileRows temporal_rows;
    bool whole_clips = false;  // kernels/whole_clip.cu, with a block per frame: all in one launch
};

// What of a model decides it.
struct Workload {
    int clip_frames;
    bool adaptive;
    // Whether a block can take a frame through policy and branch, of a run that is not one of levels: these are chosen
    // one by one (choose_level).
    bool may_take_frame_blocks;
    bool pose;                          // whether branch 0 is a pose branch
    std::vector<int> joints;            // of each branch
    std::vector<bool> big;              // likewise
    std::vector<double> shares;         // of frames, of each branch; empty: not known
    int clip_blocks_at_once = 1 << 30;  // of whole clips, by the runtime; a multiprocessor has no two in any case
};

// Whether clips, policy, branches and temporal module, can run in one launch, which is there in binary16.
bool has_whole_clips(const Workload& model, Precision precision);

// What the tiles of so many frames are expected to take, all multiprocessors together, in units of a tile of 32 rows of
// a big branch: the longest tile, or the work of all shared out and the wait for the last to finish.
double tiles_cost(const Workload& model, TileRows rows, const DeviceTraits& device, int frames);

// Of a pose branch: 32 while it is better to divide its columns among blocks.
TileRows pose_rows(Precision precision, const DeviceTraits& device, int frames);

// Of a thread block of the policy's kernel (kernels/launch.h), for so many frames.
int policy_rows(const DeviceTraits& device, int frames);

// Of a level of a model that escalates, whose runs have so many frames.
Schedule choose_level(const Workload& model, int level, Precision precision, const DeviceTraits& device, int frames);

Schedule choose_schedule(const Workload& model, Precision precision, const DeviceTraits& device, int frames);

}  // namespace adasgn::cuda
