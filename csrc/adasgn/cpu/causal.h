// The temporal module of a causal model, whose rows depend on the past alone: of whole windows, and of the newest
// frames of tracks whose past is kept. The rows of all clips or tracks are one block, gathered tap by tap from where
// they lie.
#pragma once

#include "adasgn/cpu/product.h"

namespace adasgn::cpu::ADASGN_ISA {

constexpr int kHalves = kTemporal / kFeature;  // widened rows lie as two, as they are wider than a row of scratch
static_assert(kHalves * kFeature == kTemporal);

// Rows that layers read and write.
struct CausalRows {
    float* taps[kTaps];
    float* x;  // of the layer that is next

    explicit CausalRows(const Scratch& scratch)
        : taps{scratch.coordinates, scratch.hidden, scratch.embedding}, x(scratch.first), other_(scratch.second) {}

    // Row number `row` of a tap; the newest tap is also what the layer's result is added to.
    ADASGN_INLINE void gather(int tap, std::ptrdiff_t row, const float* from) {
        std::memcpy(taps[tap] + row * kRowStride, from, kFeature * sizeof(float));
        if (tap == kTaps - 1) {
            std::memcpy(other_ + row * kRowStride, from, kFeature * sizeof(float));
        }
    }

    // x of the next layer, from the gathered rows.
    inline void apply(const CausalLayer& layer, int rows) {
        Product product{{}, kTaps, layer.taps[0].start, 0, 1, rows, kFeature, Finish::add_relu, other_, 0};
        for (int tap = 0; tap < kTaps; ++tap) {
            product.operands[tap] = weighted(taps[tap], 0, layer.taps[tap]);
        }
        run(product);
        float* const made = other_;
        other_ = x;
        x = made;
    }

  private:
    float* other_;
};

inline void widen(const CausalWeights& weights, const float* x, int blocks, int rows, Finish finish,
                  float* const (&halves)[kHalves]) {
    for (int half = 0; half < kHalves; ++half) {
        const std::ptrdiff_t column = static_cast<std::ptrdiff_t>(half) * kFeature;
        Operand operand = weighted(x, static_cast<std::ptrdiff_t>(rows) * kRowStride, weights.widen);
        operand.b = panels_from(weights.widen, column);
        run({{operand},
             1,
             weights.widen.start + column,
             0,
             blocks,
             rows,
             kFeature,
             finish,
             halves[half],
             static_cast<std::ptrdiff_t>(kRowStride)});
    }
}

// One panel of classes after another, since there may be more of them than a row of scratch holds.
inline void classify(const CausalWeights& weights, float* const (&halves)[kHalves], int rows, float* logits,
                     float* panel_of_logits) {
    const int classes = weights.classify.width;
    for (int column = 0; column < classes; column += kPanel) {
        Packed panel = weights.classify;
        panel.panels = panels_from(weights.classify, column);
        const int width = classes - column < kPanel ? classes - column : kPanel;
        Product product{{}, kHalves, panel.start + column, 0, 1, rows, width, Finish::plain, panel_of_logits, 0};
        for (int half = 0; half < kHalves; ++half) {
            Operand& operand = product.operands[half];
            operand = weighted(halves[half], 0, panel);
            operand.b += static_cast<std::ptrdiff_t>(half) * kFeature * kPanel;
            operand.depth = kFeature;
        }
        run(product);
        for (int row = 0; row < rows; ++row) {
            std::memcpy(logits + static_cast<std::ptrdiff_t>(row) * classes + column,
                        panel_of_logits + static_cast<std::ptrdiff_t>(row) * kRowStride, width * sizeof(float));
        }
    }
}

// features (clips, T, 256) -> logits (clips, classes).
inline void causal_window_logits(const CausalWeights& weights, const float* features, int clips, float* logits,
                                 const Scratch& scratch) {
    CausalRows rows(scratch);
    const float* from = features;
    std::ptrdiff_t row_floats = kFeature;
    int rows_of_clip = weights.frames;
    int apart = 1;
    for (int i = 0; i < weights.layer_count; ++i) {
        const CausalLayer& layer = weights.layers[i];
        for (int clip = 0; clip < clips; ++clip) {
            const float* const first = from + static_cast<std::ptrdiff_t>(clip) * rows_of_clip * row_floats;
            for (int made = 0; made < layer.made; ++made) {
                for (int tap = 0; tap < kTaps; ++tap) {
                    const std::ptrdiff_t row = (made * layer.apart + tap * layer.dilation) / apart;
                    rows.gather(tap, clip * layer.made + made, first + row * row_floats);
                }
            }
        }
        rows.apply(layer, clips * layer.made);
        from = rows.x;
        row_floats = kRowStride;
        rows_of_clip = layer.made;
        apart = layer.apart;
    }
    float* const halves[kHalves] = {scratch.coordinates, scratch.hidden};
    const bool one_row = weights.pool == 1;  // then all clips are one block, whose tiles are high
    widen(weights, rows.x, one_row ? 1 : clips, one_row ? clips : weights.pool,
          one_row ? Finish::relu : Finish::relu_maximum, halves);
    classify(weights, halves, clips, logits, scratch.mixed);
}

inline void causal_frame_logits(const CausalWeights& weights, const CausalTrack* tracks, int count, float* logits,
                                const Scratch& scratch) {
    CausalRows rows(scratch);
    for (int i = 0; i < weights.layer_count; ++i) {
        const CausalLayer& layer = weights.layers[i];
        const int ring = (kTaps - 1) * layer.dilation;
        for (int row = 0; row < count; ++row) {
            const CausalTrack& track = tracks[row];
            const float* const past = track.past + layer.past;
            const float* const x = i == 0 ? track.feature : rows.x + static_cast<std::ptrdiff_t>(row) * kRowStride;
            rows.gather(0, row, past + track.frame % ring * kFeature);
            rows.gather(1, row, past + (track.frame + layer.dilation) % ring * kFeature);
            rows.gather(2, row, x);
            std::memcpy(track.newest + static_cast<std::ptrdiff_t>(i) * kFeature, x, kFeature * sizeof(float));
        }
        rows.apply(layer, count);
    }
    float* const halves[kHalves] = {scratch.coordinates, scratch.hidden};
    widen(weights, rows.x, 1, count, Finish::relu, halves);
    for (int row = 0; row < count; ++row) {
        const CausalTrack& track = tracks[row];
        for (int half = 0; half < kHalves; ++half) {
            float* const widened = halves[half] + static_cast<std::ptrdiff_t>(row) * kRowStride;
            std::memcpy(track.newest + static_cast<std::ptrdiff_t>(weights.layer_count + half) * kFeature, widened,
                        kFeature * sizeof(float));
            for (int before = 0; before < weights.pool - 1; ++before) {
                const float* const other = track.past + weights.widened_past +
                                           static_cast<std::ptrdiff_t>(before) * kTemporal +
                                           static_cast<std::ptrdiff_t>(half) * kFeature;
                for (int k = 0; k < kFeature; k += kLanes) {
                    store(stdx::max(load(widened + k), load(other + k)), widened + k);
                }
            }
        }
    }
    classify(weights, halves, count, logits, scratch.mixed);
}

}  // namespace adasgn::cpu::ADASGN_ISA
