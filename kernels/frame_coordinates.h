// The coordinates of frames and their velocities on their way to the branches' first products, through shared memory.
#pragma once

#include "device.h"
#include "launch.h"

namespace adasgn::cuda {

constexpr float kNan = __builtin_nanf("");
constexpr int kStaged = 32;  // joints of a clip that are there at a time

// What `stage` writes of a frame, in floats: positions, then velocities, of up to kStaged joints.
constexpr int kStagedFloats = 2 * kStaged * kCoordinates;

ADASGN_DEVICE float checked_coordinate(float x) {
    return x <= kMaxCoordinate && x >= -kMaxCoordinate ? x : kNan;
}

// Joints first … first + joints - 1 of `count` frames to shared memory: [frame][position,
// velocity][kStaged][coordinate]. NaN in place of what is NaN itself or beyond kMaxCoordinate. number(f): the number of
// the f-th frame; below zero: zeros. All threads of the block; complete after its next barrier.
template <class Number>
ADASGN_DEVICE void stage(const Frames& input, float* to, int count, int first, int joints, const Number& number) {
    const int values = joints * kCoordinates;
#pragma unroll 2
    for (int i = thread_index(); i < count * values; i += kThreads) {
        const int f = count == 1 ? 0 : i / values;
        const int value = i - f * values;
        const int frame = number(f);
        float position = 0;
        float velocity = 0;
        if (frame >= 0) {
            const size_t at = (static_cast<size_t>(frame) * input.input_joints + first) * kCoordinates + value;
            const bool moving = input.previous != nullptr && (input.clip_frames == 0 || frame % input.clip_frames != 0);
            const float current = load_global(input.coordinates + at);
            const float previous = load_global((moving ? input.previous : input.coordinates) + at);
            position = checked_coordinate(current);
            velocity = current - checked_coordinate(previous);
        }
        to[f * kStagedFloats + value] = position;
        to[f * kStagedFloats + kStagedFloats / 2 + value] = velocity;
    }
}

// Where a coordinate of a staged frame begins, joint by joint kCoordinates apart. part: position's coordinates, then
// velocity's.
ADASGN_DEVICE const float* staged_coordinate(const float* staged, int f, int part) {
    return staged + f * kStagedFloats + part / kCoordinates * (kStagedFloats / 2) + part % kCoordinates;
}

// A sum over all joints of a frame's coordinates; where it is not finite, one of them was not, or too large: that is
// noted, and the NaN is kept by all that follows, so that the clip's scores say it too.
ADASGN_DEVICE float finite_or_fault(const Frames& input, int frame, float sum) {
    if (sum - sum == 0) {
        return sum;
    }
    atomic_max(input.fault, frame + 1);
    return kNan;
}

}  // namespace adasgn::cuda
