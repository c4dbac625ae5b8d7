// A pose branch on a group of frames: a frame is one row, all its positions and then all its velocities.
// The formulas are those of docs/model_file.md.
#pragma once

#include "adasgn/cpu/product.h"

namespace adasgn::cpu::ADASGN_ISA {

// Inputs `first` … first + depth - 1 of each frame's row of 2 · coordinates into `rows`.
inline void stage_motion(const Frame* frames, int count, int coordinates, int first, int depth, float* rows) {
    const int end = first + depth;
    for (int i = 0; i < count; ++i, rows += kRowStride) {
        const Frame& frame = frames[i];
        float* to = rows;
        for (int k = first; k < end && k < coordinates; ++k) {
            *to++ = frame.current[k];
        }
        for (int k = first > coordinates ? first - coordinates : 0; k < end - coordinates; ++k) {
            *to++ = frame.previous == nullptr ? 0.0F : frame.current[k] - frame.previous[k];
        }
    }
}

inline void pose_features(const BranchWeights& branch, const Frame* frames, int count, const Scratch& scratch) {
    const Packed& hidden = branch.pose.hidden;
    const Packed& output = branch.pose.output;
    // With more joints than fit in a row of scratch, one part of the inputs after another adds to the sums.
    for (int first = 0; first < hidden.depth; first += kFeature) {
        const int depth = hidden.depth - first < kFeature ? hidden.depth - first : kFeature;
        stage_motion(frames, count, branch.input_joints * kCoordinates, first, depth, scratch.coordinates);
        Operand inputs = weighted(scratch.coordinates, 0, hidden);
        inputs.b += static_cast<std::ptrdiff_t>(first) * kPanel;
        inputs.depth = depth;
        run({{inputs},
             1,
             first == 0 ? hidden.start : scratch.hidden,
             first == 0 ? 0 : static_cast<std::ptrdiff_t>(kRowStride),
             1,
             count,
             kPoseHidden,
             first + depth == hidden.depth ? Finish::relu : Finish::plain,
             scratch.hidden,
             0});
    }
    run({{weighted(scratch.hidden, 0, output)},
         1,
         output.start,
         0,
         1,
         count,
         kFeature,
         Finish::relu,
         scratch.pooled,
         0});
    for (int i = 0; i < count; ++i) {
        std::memcpy(frames[i].feature, scratch.pooled + static_cast<std::ptrdiff_t>(i) * kRowStride,
                    kFeature * sizeof(float));
    }
}

}  // namespace adasgn::cpu::ADASGN_ISA
