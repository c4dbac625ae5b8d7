// A pose branch's inputs: positions and velocities of all joints of a frame, as one vector.
#pragma once

#include "frame_coordinates.h"

namespace adasgn::cuda {

constexpr int kLanes = 32;

// A lane's input, the one from `begin` on, of `Frames_` frames from `first` on: to shared memory, a row a frame, zeros
// beyond the last frame and the last input. Velocities are subtracted before they are rounded. All lanes of a warp.
template <class Precision, int Frames_>
ADASGN_DEVICE void stage_inputs(const Frames& frames, int first, int begin, typename Precision::Element* to,
                                int stride) {
    static_assert(Frames_ <= kLanes, "a bit for each frame");
    const int width = frames.input_joints * kCoordinates;
    const int input = begin + lane();
    const bool velocity = input >= width;
    // A lane looks whether a frame is there, and whether it has moved; all know of all.
    const int frame = first + lane();
    const bool exists = lane() < Frames_ && frame < frames.count;
    const bool starts = frames.previous == nullptr || (frames.clip_frames != 0 && frame % frames.clip_frames == 0);
    const unsigned there = ballot(exists);
    const unsigned moved = ballot(exists && !starts);
    const unsigned wanted = input >= 2 * width ? 0 : velocity ? moved : there;
    const unsigned subtracted = velocity ? wanted : 0;
    const size_t at = static_cast<size_t>(first) * width + (velocity ? input - width : input);
    const float* const current = frames.coordinates + at;
    const float* const previous = frames.previous == nullptr ? current : frames.previous + at;
    float now[Frames_];
    float before[Frames_];
#pragma unroll
    for (int i = 0; i < Frames_; ++i) {
        now[i] = (wanted >> i & 1) != 0 ? load_global(current + i * width) : 0;
        before[i] = (subtracted >> i & 1) != 0 ? load_global(previous + i * width) : 0;
    }
    float most = 0;
#pragma unroll
    for (int i = 0; i < Frames_; ++i) {
        most = maximum(most, maximum(magnitude(now[i]), magnitude(before[i])));
        Precision::store(to + i * stride + lane(), now[i] - before[i]);
    }
    if (most <= kMaxCoordinate) {
        return;
    }
    // Rarely: NaN is kept by all that follows, so that the clip's scores say it too.
#pragma unroll 1
    for (int i = 0; i < Frames_; ++i) {
        const float x = (wanted >> i & 1) != 0 ? load_global(current + i * width) : 0;
        const float y = (subtracted >> i & 1) != 0 ? load_global(previous + i * width) : 0;
        if (!(magnitude(x) <= kMaxCoordinate && magnitude(y) <= kMaxCoordinate)) {
            Precision::store(to + i * stride + lane(), kNan);
            atomic_max(frames.fault, first + i + 1);
        }
    }
}

}  // namespace adasgn::cuda
