// Over the frames of a clip: the policy's action logits and the temporal module with its classifier.
// A convolution over time is a product with one operand per tap, on features with a row of zeros at both ends.
#pragma once

#include "adasgn/cpu/product.h"

namespace adasgn::cpu::ADASGN_ISA {

// Frames that a convolution makes of `frames`, with a row of zeros at both ends.
ADASGN_INLINE int strided(int frames, int stride) {
    return (frames + stride - 1) / stride;
}

// Where the padded row of a clip lies: rows 0, stride, 2·stride … first, then 1, 1 + stride …, so that each tap of a
// strided convolution reads one row after another.
ADASGN_INLINE std::ptrdiff_t place_of_row(int row, int made, int stride) {
    return (row % stride * (made + 1) + row / stride) * static_cast<std::ptrdiff_t>(kRowStride);
}

// features (clips, frames, 256) into rows, each clip between two rows of zeros, as far as a convolution with this
// stride reads them; returns the floats from clip to clip.
inline std::ptrdiff_t pad_clips(const float* features, int clips, int frames, int stride, float* rows) {
    const int made = strided(frames, stride);
    const int read = stride * (made - 1) + kTaps;
    const std::ptrdiff_t block = static_cast<std::ptrdiff_t>(read) * kRowStride;
    for (int clip = 0; clip < clips; ++clip) {
        const float* from = features + static_cast<std::ptrdiff_t>(clip) * frames * kFeature;
        for (int row = 0; row < read; ++row) {
            float* const to = rows + clip * block + place_of_row(row, made, stride);
            if (row == 0 || row > frames) {
                std::memset(to, 0, kFeature * sizeof(float));
            } else {
                std::memcpy(to, from, kFeature * sizeof(float));
                from += kFeature;
            }
        }
    }
    return block;
}

// made: frames of the result.
inline void over_time(const Packed (&taps)[kTaps], const float* padded, std::ptrdiff_t a_block, int clips, int made,
                      int stride, Finish finish, float* out) {
    Product product{{},
                    kTaps,
                    taps[0].start,
                    taps[0].start_stride,
                    clips,
                    made,
                    taps[0].width,
                    finish,
                    out,
                    static_cast<std::ptrdiff_t>(made) * kRowStride};
    for (int tap = 0; tap < kTaps; ++tap) {
        product.operands[tap] = weighted(padded + place_of_row(tap, made, stride), a_block, taps[tap]);
    }
    run(product);
}

inline void policy_logits(const PolicyWeights& weights, const float* features, int clips, float* logits,
                          const Scratch& scratch) {
    const std::ptrdiff_t block = pad_clips(features, clips, weights.frames, 1, scratch.first);
    over_time(weights.taps, scratch.first, block, clips, weights.frames, 1, Finish::plain, scratch.second);
    const int actions = weights.taps[0].width;
    for (int row = 0; row < clips * weights.frames; ++row) {
        std::memcpy(logits + static_cast<std::ptrdiff_t>(row) * actions,
                    scratch.second + static_cast<std::ptrdiff_t>(row) * kRowStride, actions * sizeof(float));
    }
}

inline void temporal_logits(const TemporalWeights& weights, const float* features, int clips, float* logits,
                            const Scratch& scratch) {
    const int stride = weights.stride;
    const int made = strided(weights.frames, stride);
    const std::ptrdiff_t block = pad_clips(features, clips, weights.frames, stride, scratch.first);
    over_time(weights.across, scratch.first, block, clips, made, stride, Finish::relu, scratch.second);
    run({{weighted(scratch.second, static_cast<std::ptrdiff_t>(made) * kRowStride, weights.widen)},
         1,
         weights.widen.start,
         0,
         clips,
         made,
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
