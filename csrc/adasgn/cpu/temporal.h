// Over the frames of a clip: the policy's action logits and the temporal module with its classifier.
// A convolution over time is a product with one operand per tap, on features with a row of zeros at both ends.
#pragma once

#include "adasgn/cpu/product.h"

namespace adasgn::cpu::ADASGN_ISA {

// features (clips, frames, 256) into rows, each clip between two rows of zeros; returns the floats from clip to clip.
inline std::ptrdiff_t pad_clips(const float* features, int clips, int frames, float* rows) {
    const std::ptrdiff_t block = static_cast<std::ptrdiff_t>(frames + 2) * kRowStride;
    for (int clip = 0; clip < clips; ++clip) {
        float* to = rows + clip * block;
        std::memset(to, 0, kFeature * sizeof(float));
        for (int t = 0; t < frames; ++t) {
            to += kRowStride;
            std::memcpy(to, features, kFeature * sizeof(float));
            features += kFeature;
        }
        std::memset(to + kRowStride, 0, kFeature * sizeof(float));
    }
    return block;
}

inline void over_time(const Packed (&taps)[kTaps], const float* padded, std::ptrdiff_t a_block, int clips, int frames,
                      Finish finish, float* out) {
    Product product{{},
                    kTaps,
                    taps[0].start,
                    taps[0].start_stride,
                    clips,
                    frames,
                    taps[0].width,
                    finish,
                    out,
                    static_cast<std::ptrdiff_t>(frames) * kRowStride};
    for (int tap = 0; tap < kTaps; ++tap) {
        product.operands[tap] = weighted(padded + tap * kRowStride, a_block, taps[tap]);
    }
    run(product);
}

inline void policy_logits(const PolicyWeights& weights, const float* features, int clips, float* logits,
                          const Scratch& scratch) {
    const std::ptrdiff_t block = pad_clips(features, clips, weights.frames, scratch.first);
    over_time(weights.taps, scratch.first, block, clips, weights.frames, Finish::plain, scratch.second);
    const int actions = weights.taps[0].width;
    for (int row = 0; row < clips * weights.frames; ++row) {
        std::memcpy(logits + static_cast<std::ptrdiff_t>(row) * actions,
                    scratch.second + static_cast<std::ptrdiff_t>(row) * kRowStride, actions * sizeof(float));
    }
}

inline void temporal_logits(const TemporalWeights& weights, const float* features, int clips, float* logits,
                            const Scratch& scratch) {
    const int frames = weights.frames;
    const std::ptrdiff_t block = pad_clips(features, clips, frames, scratch.first);
    over_time(weights.across, scratch.first, block, clips, frames, Finish::relu, scratch.second);
    run({{weighted(scratch.second, static_cast<std::ptrdiff_t>(frames) * kRowStride, weights.widen)},
         1,
         weights.widen.start,
         0,
         clips,
         frames,
         kTemporal,
         Finish::relu_maximum,
         scratch.pooled,
         kTemporal});
    // One panel of classes after another into a row, since there may be more classes than a row of scratch holds.
    const int classes = weights.classify.width;
    for (int column = 0; column < classes; column += kPanel) {
        Packed panel = weights.classify;
        panel.panels += static_cast<std::ptrdiff_t>(column) * panel.depth;
        const int width = classes - column < kPanel ? classes - column : kPanel;
        run({{weighted(scratch.pooled, kTemporal, panel)},
             1,
             panel.start + column,
             0,
             clips,
             1,
             width,
             Finish::plain,
             scratch.mixed,
             kRowStride});
        for (int clip = 0; clip < clips; ++clip) {
            std::memcpy(logits + static_cast<std::ptrdiff_t>(clip) * classes + column,
                        scratch.mixed + static_cast<std::ptrdiff_t>(clip) * kRowStride, width * sizeof(float));
        }
    }
}

}  // namespace adasgn::cpu::ADASGN_ISA
