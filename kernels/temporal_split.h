// The temporal module of one clip, divided among blocks of 16 columns (kernels/split.h), and the classifier, which is
// left to the block that finishes last: the steps that kernels put together, in launches of their own (temporal.cu) or
// in one (whole_clip.cu).
#pragma once

#include "lanes.h"
#include "relu.h"
#include "samples.h"
#include "split.h"

namespace adasgn::cuda {

// The convolution's 16 columns of this thread block. Weights are on their way once there is one of these.
template <class Precision_, int Stride>
class AcrossColumns {
  public:
    using Precision = Precision_;
    using Part = Split<Precision>;
    using Element = typename Part::Element;

    ADASGN_DEVICE explicit AcrossColumns(const TemporalParameters& p)
        : weights_(p.weights.across, kTaps * kFeature / kBlock) {
        if (own_.row < p.clip_rows) {
            bias_ = load_global(reinterpret_cast<const float2*>(p.weights.across_bias + own_.row * kFeature +
                                                                Part::column() + own_.column));
        }
    }

    // relu(f[t-1]·W0 + f[t]·W1 + f[t+1]·W2 + bias[r]), t = Stride·r, of `length` features (256,); `rows` rows of
    // results go to `to`, (rows, 256).
    ADASGN_DEVICE void run(const float* features, int length, Element* to, int rows) {
        Element* const left = Part::rows();
        Part::template fetch_floats<Part::kRows>(features, length, 1);
        for (int i = lane(); i < Part::kChannels; i += 32) {
            const int of_pair = i % (Part::kChannels / 2) * 2;
            const int outer = i / (Part::kChannels / 2) * (Part::kRows + 1);
            Precision::store_pair(left + outer * Part::kStride + of_pair, 0, 0);
        }
        warp_barrier();  // rows
        Accumulators<Part::kTiles / Stride, 1> results;
        results.clear();
        constexpr int kStep = Stride * Part::kStride;
        multiply<Part::kChannels, 0>(results, left, kStep, weights_);
        multiply<Part::kChannels, 2>(results, left + Part::kStride, kStep, weights_);
        multiply<Part::kChannels, 4>(results, left + 2 * Part::kStride, kStep, weights_);
        Part::put(results);
        block_barrier();  // sums
        if (own_.row < rows) {
            const float2 sum = Part::sum(own_.row, own_.column);
            Precision::store_pair(to + own_.row * kFeature + Part::column() + own_.column, relu(sum.x + bias_.x),
                                  relu(sum.y + bias_.y));
        }
    }

  private:
    static_assert(kTaps == 3);
    SliceWeights<Precision, kTaps> weights_;
    PairPlace own_;
    float2 bias_{0, 0};
};

// 16 of the 512 columns that the convolution's results are widened to, of a clip of up to 16 · Tiles rows.
template <class Precision_, int Tiles>
class WidenColumns {
  public:
    using Precision = Precision_;
    using Part = Split<Precision>;
    using Element = typename Part::Element;

    // `columns`: which 16 of them.
    ADASGN_DEVICE WidenColumns(const TemporalParameters& p, int columns)
        : weights_(p.weights.widen, kFeature / kBlock, 0, columns), first_(columns * kBlock + 2 * warp()) {
        bias_ = load_global(reinterpret_cast<const float2*>(p.weights.widen_bias + first_));
    }

    // This warp's channels of a clip's rows. For the warp.
    ADASGN_DEVICE static void fetch(const Element* rows, int count) {
        Part::template fetch<Tiles * kBlock>(rows, count);
        warp_barrier();  // rows
    }

    // What they add to y[r]·W, to `sums` (kernels/split.h).
    ADASGN_DEVICE void multiply_rows(float* sums) {
        Accumulators<Tiles, 1> results;
        results.clear();
        multiply<Part::kChannels, 0>(results, static_cast<const Element*>(Part::rows()), Part::kStride, weights_);
        Part::put(results, sums);
    }

    // max over r of relu(y[r]·W + bias), of as many rows as were fetched, to its places in `pooled`, (512,). After a
    // block_barrier() behind multiply_rows().
    ADASGN_DEVICE void pool(const float* sums, int rows, float* pooled) const {
        float2 most{0, 0};
        if (lane() < rows) {  // a lane per row
            const float2 sum = Part::sum(lane(), 2 * warp(), sums);
            most = {relu(sum.x + bias_.x), relu(sum.y + bias_.y)};
        }
        most = {maximum_over_lanes(most.x), maximum_over_lanes(most.y)};
        if (lane() == 0 && rows > 0) {
            *reinterpret_cast<float2*>(pooled + first_) = most;
        }
    }

  private:
    SliceWeights<Precision, 1> weights_;
    int first_;  // column of this warp's two
    float2 bias_;
};

// -- the block that finishes a sample last ---------------------------------------------------------------------------

// Whether this block is the last of the sample's `blocks`, all of which ask once; what they wrote is there for it. Is
// told to all threads at `told`, in shared memory that is free. Then `done` is zero again.
ADASGN_DEVICE bool finishes_last(int* done, int blocks, int* told) {
    block_barrier();  // what each warp has written; what lay at `told` is done with
    if (thread_index() == 0) {
        // What this block has written is seen before it counts as done; what others wrote before, by the last.
        *told = atomic_add_ordered(done, 1) == blocks - 1 ? 1 : 0;
    }
    block_barrier();  // told
    if (*told == 0) {
        return false;
    }
    if (thread_index() == 0) {
        *done = 0;  // for the next run
    }
    return true;
}

// Weights of each warp's first classes, on their way before a block knows whether it classifies.
struct FirstClasses {
    ClassWeights first;
    ClassWeights second;

    ADASGN_DEVICE explicit FirstClasses(const TemporalParameters& p)
        : first(p, minimum(warp(), p.classes - 1)), second(p, minimum(warp() + kWarps, p.classes - 1)) {}
};

// A sample's scores, from what all its blocks have pooled at its place of the run; or, not `there`, of zeros, and they
// go nowhere.
ADASGN_DEVICE void classify_place(const TemporalParameters& p, int place, int sample, const FirstClasses& ahead,
                                  bool there = true) {
    const Lanes512 all = pooled_values(p, place, [=](const float4* pooled) {
        return there ? load_fresh(pooled) : float4{0, 0, 0, 0};
    });
    int label = warp();
    if (label < p.classes) {
        classify(p, sample, label, all, ahead.first, there);
    }
    label += kWarps;
    if (label < p.classes) {
        classify(p, sample, label, all, ahead.second, there);
    }
#pragma unroll 2
    for (label += kWarps; label < p.classes; label += kWarps) {
        classify(p, sample, label, all, ClassWeights(p, label), there);
    }
}

}  // namespace adasgn::cuda
