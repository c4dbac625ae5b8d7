// The features that the policy looks at, exactly and soon: a small branch of one joint, on a few frames that follow one
// another. A thread has a column of each product, for all frames; its weights are on their way before it knows what
// they will be multiplied with.
//
//   moved ─▶ hidden (position, velocity) ─▶ d, of which each product's 64 inputs are two threads' work ─▶ feature
//
// Frames stand in for rows; what a frame's feature is does not depend on the others, nor on Rows.
#pragma once

#include "frame_coordinates.h"
#include "launch.h"
#include "relu.h"

namespace adasgn::cuda {

template <int Rows>
class OneJoint {
  public:
    // Shared memory, in floats.
    static constexpr int kHidden = 0;                                 // [position, velocity][Rows][64]
    static constexpr int kPartial = kHidden + 2 * Rows * kEmbedding;  // [position, velocity][half][Rows][64]
    static constexpr int kD = kPartial + 4 * Rows * kEmbedding;       // [Rows][64]
    static constexpr int kFeatures = kD + Rows * kEmbedding;          // [Rows][256]
    static constexpr int kStagedAt = kFeatures;                       // coordinates, until features take their place
    static constexpr int kMoved = kFeatures + Rows * kFeature;        // [Rows][position, velocity][coordinate]
    static constexpr int kBytes = 4 * (kMoved + Rows * 2 * kCoordinates);

    ADASGN_DEVICE OneJoint(const BranchWeights& branch, const Frames& input)
        : input_(input), constants_(branch.constants), at_(constants_layout(input.input_joints, 1, false)) {
        const float* const hidden = constants_ + at_.hidden + part() * (kCoordinates + 1) * kEmbedding + column();
#pragma unroll
        for (int i = 0; i < kCoordinates + 1; ++i) {
            hidden_[i] = load_global(hidden + i * kEmbedding);
        }
        output_ = branch.plain + part() * kEmbedding * kEmbedding + half() * kHalf * kEmbedding + column();
        layer_ = branch.plain + 2 * kEmbedding * kEmbedding + thread_index();
        for (int i = 0; i < 2; ++i) {
            output_bias_[i] = load_global(constants_ + at_.output_bias + i * kEmbedding + column());
        }
        layer_bias_ = load_global(constants_ + at_.bias[0] + thread_index());
        if constexpr (kAhead) {
            output_weights_.load(output_);
            layer_weights_.load(layer_);
        }
    }

    // Features of frames first … first + Rows - 1, those from 0 to end - 1 of them, in shared memory from features()
    // on; complete after the caller's next barrier. All threads of the block.
    ADASGN_DEVICE void run(int first, int end) {
        transform(first, end);
        block_barrier();  // moved
        hidden();
        block_barrier();  // hidden layers
        embed();
        block_barrier();  // halves of the sums
        for (int i = thread_index(); i < Rows * kEmbedding; i += kThreads) {
            const float* const partial = shared() + kPartial + i;
            constexpr int kStep = Rows * kEmbedding;
            shared()[kD + i] = relu(partial[0] + partial[kStep] + output_bias_[0]) +
                               relu(partial[2 * kStep] + partial[3 * kStep] + output_bias_[1]);
        }
        block_barrier();  // d
        layer();
    }

    ADASGN_DEVICE static float* features() {
        return shared() + kFeatures;
    }
    // What nothing needs any more once features are there: 256 floats a row.
    ADASGN_DEVICE static float* spare() {
        return shared() + kHidden;
    }

  private:
    static constexpr int kHalf = kEmbedding / 2;  // inputs of a thread's part of an output layer
    static constexpr bool kAhead = Rows <= 4;     // registers are left for all weights
    static constexpr int kLanes = 8;              // that share the sum over the joints of a clip
    static_assert(kThreads == 4 * kEmbedding && kThreads == kFeature);

    // `Inputs` weights of a column, `Width` apart; either all at once or 16 at a time.
    template <int Inputs, int Width>
    struct Column {
        float values[Inputs];

        ADASGN_DEVICE void load(const float* from) {
#pragma unroll
            for (int k = 0; k < Inputs; ++k) {
                values[k] = load_global(from + k * Width);
            }
        }
    };

    ADASGN_DEVICE static float* shared() {
        return reinterpret_cast<float*>(shared_memory());
    }
    ADASGN_DEVICE static int part() {
        return thread_index() / (2 * kEmbedding);
    }
    ADASGN_DEVICE static int half() {
        return thread_index() / kEmbedding % 2;
    }
    ADASGN_DEVICE static int column() {
        return thread_index() % kEmbedding;
    }

    ADASGN_DEVICE void transform(int first, int end) const {
        static_assert(kStagedFloats <= kFeature);
        float* const staged = shared() + kStagedAt;
        float* const moved = shared() + kMoved;
        constexpr int kSums = Rows * 2 * kCoordinates;
        constexpr int kSumsOfWarp = 32 / kLanes;
        const int inputs = input_.input_joints;
        for (int begin = 0; begin < inputs; begin += kStaged) {
            const int joints = minimum(kStaged, inputs - begin);
            stage(input_, staged, Rows, begin, joints, [&](int row) {
                const int frame = first + row;
                return frame < end ? frame : -1;  // below zero before the first, too
            });
            block_barrier();  // coordinates
#pragma unroll 1
            for (int of_warp = warp() * kSumsOfWarp; of_warp < kSums; of_warp += kWarps * kSumsOfWarp) {
                const int i = minimum(of_warp + lane() / kLanes, kSums - 1);
                const int row = i / (2 * kCoordinates);
                const int part = i % (2 * kCoordinates);
                const float* const weight = constants_ + at_.transform + part * inputs + begin;
                const float* const x = staged_coordinate(staged, row, part);
                float sum = 0;
#pragma unroll
                for (int k = 0; k < kStaged / kLanes; ++k) {
                    const int v = k * kLanes + lane() % kLanes;
                    if (v < joints) {
                        sum += load_global(weight + v) * x[v * kCoordinates];
                    }
                }
#pragma unroll
                for (int mask = kLanes / 2; mask > 0; mask /= 2) {
                    sum += shuffle_xor(sum, mask);
                }
                if (of_warp + lane() / kLanes < kSums && lane() % kLanes == 0) {
                    sum += begin == 0 ? load_global(constants_ + at_.shift + part) : moved[i];
                    const bool complete = begin + kStaged >= inputs;
                    moved[i] = complete ? finite_or_fault(input_, first + row, sum) : sum;
                }
            }
            if (begin + kStaged < inputs) {
                block_barrier();  // the coordinates are done with
            }
        }
    }

    ADASGN_DEVICE void hidden() const {
        for (int row = half(); row < Rows; row += 2) {
            const float* const moved = shared() + kMoved + (2 * row + part()) * kCoordinates;
            float sum = hidden_[kCoordinates];
#pragma unroll
            for (int c = 0; c < kCoordinates; ++c) {
                sum += moved[c] * hidden_[c];
            }
            shared()[kHidden + (part() * Rows + row) * kEmbedding + column()] = relu(sum);
        }
    }

    ADASGN_DEVICE void embed() {
        float sums[Rows];
        multiply<kHalf, kEmbedding>(sums, shared() + kHidden + part() * Rows * kEmbedding + half() * kHalf, output_,
                                    output_weights_);
#pragma unroll
        for (int row = 0; row < Rows; ++row) {
            shared()[kPartial + ((part() * 2 + half()) * Rows + row) * kEmbedding + column()] = sums[row];
        }
    }

    ADASGN_DEVICE void layer() {
        float sums[Rows];
        multiply<kEmbedding, kFeature>(sums, shared() + kD, layer_, layer_weights_);
#pragma unroll
        for (int row = 0; row < Rows; ++row) {
            features()[row * kFeature + thread_index()] = relu(sums[row] + layer_bias_);
        }
    }

    // sums = rows of 64, from `left` on in shared memory, times this thread's column.
    template <int Inputs, int Width>
    ADASGN_DEVICE static void multiply(float (&sums)[Rows], const float* left, const float* weights,
                                       const Column<Inputs, Width>& ahead) {
        constexpr int kAtOnce = 16;
#pragma unroll
        for (int row = 0; row < Rows; ++row) {
            sums[row] = 0;
        }
#pragma unroll
        for (int first = 0; first < Inputs; first += kAtOnce) {
            Column<kAtOnce, Width> now;
            if constexpr (!kAhead) {
                now.load(weights + first * Width);
            }
            const float* const w = kAhead ? ahead.values + first : now.values;
#pragma unroll
            for (int k = 0; k < kAtOnce; k += 4) {
#pragma unroll
                for (int row = 0; row < Rows; ++row) {
                    const float4 x = *reinterpret_cast<const float4*>(left + row * kEmbedding + first + k);
                    sums[row] += x.x * w[k];
                    sums[row] += x.y * w[k + 1];
                    sums[row] += x.z * w[k + 2];
                    sums[row] += x.w * w[k + 3];
                }
            }
        }
    }

    const Frames& input_;
    const float* constants_;
    ConstantsLayout at_;
    float hidden_[kCoordinates + 1];
    float output_bias_[2];
    float layer_bias_;
    const float* output_;
    const float* layer_;
    Column<kHalf, kEmbedding> output_weights_;
    Column<kEmbedding, kFeature> layer_weights_;
};

}  // namespace adasgn::cuda
