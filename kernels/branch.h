// A tile's way from coordinates to pooled features, activations staying in shared memory and registers throughout.
//
// Columns are divided among the warps: each has its own columns of every product, for all rows of the tile, so that
// weights pass through one warp alone, and the sums over neighbours and the maximum over a frame's joints are found
// within it. A barrier stands before what needs all columns of a row: the next product.
//
//   moved ─▶ hidden (position, velocity) ─▶ d ─▶ queries ─▶ adjacency G          near: first layer's messages, then x1
//   wide: hidden, then x2                    far: d, then G·x1                    near + far: G·x2
#pragma once

#include "frame_coordinates.h"
#include "relu.h"
#include "tile.h"

namespace adasgn::cuda {

// One branch on one tile. Several: more than one joint, and so an adjacency. Big: three graph layers.
template <class Tile, bool Several, bool Big>
class BranchTile {
    using Precision = typename Tile::Precision;
    using Element = typename Tile::Element;

  public:
    ADASGN_DEVICE BranchTile(const BranchWeights& branch, const Frames& input, const TileFrames& frames)
        : constants_(branch.constants),
          at_(constants_layout(input.input_joints, branch.joints, Big)),
          key_bias_(branch.key_bias),
          joints_(Several ? branch.joints : 1),
          input_(input),
          frames_(frames),
          weights_(static_cast<const unsigned char*>(branch.stream) +
                       static_cast<size_t>(warp()) * branch.stream_blocks * Precision::kBlockBytes,
                   branch.stream_blocks, 1, Tile::ring()) {}

    // All threads of the block. Each frame's feature goes to its place in `features`, (N, 256), if the tile is wanted;
    // whether it was.
    template <class Doubt>
    ADASGN_DEVICE bool run(float* features, Doubt doubt) {
        const HiddenWeights weights(constants_ + at_.hidden);
        transform();
        block_barrier();  // moved
        hidden(weights);
        block_barrier();  // hidden layers
        if constexpr (Big && !Several) {
            doubt.template ask<1>();
        }
        embed();
        block_barrier();                                           // d
        Element* const first = Big ? Tile::near() : Tile::wide();  // of the first layer
        constexpr int kFirstStride = Big ? Tile::kStride128 : Tile::kStride256;
        if constexpr (Several) {
            Element* const queries = Big ? Tile::wide() + 2 * kHidden : Tile::near();  // where `first` is not
            doubt.template ask<0>();
            query(queries);
            block_barrier();  // queries
            adjacency(queries);
            messages(first);
            doubt.template tell<0>();
            block_barrier();  // G, messages
            if (doubt.template known_unwanted<0>()) {
                return false;
            }
            if constexpr (Big) {
                doubt.template ask<1>();
            }
            mix<layer_width(Big, 0)>(first, kFirstStride, first);
            warp_barrier();  // sums over neighbours, which the warp alone reads
        }
        if constexpr (!Big) {
            Results<2> results = first_layer(first);
            if (!doubt.wanted()) {
                return false;
            }
            if constexpr (Several) {
                pool(results, first, features);
            } else {
                put(results, features);
            }
            return true;
        }
        {
            Results<kFirstBlocks> results = first_layer(first);
            store(results, first, kFirstStride);
        }
        doubt.template tell<1>();
        block_barrier();  // x1; d and the hidden layers are done with
        if (doubt.template known_unwanted<1>()) {
            return false;
        }
        doubt.template ask<2>();
        {
            Results<2> results = layer<kNode, kAtSecond>(1, Tile::near(), Tile::kStride128, Tile::far());
            store(results, Tile::wide(), Tile::kStride256);
        }
        doubt.template tell<2>();
        block_barrier();  // x2; x1 and the sums over it are done with
        if (doubt.template known_unwanted<2>()) {
            return false;
        }
        Results<2> results = layer<kFeature, kAtThird>(2, Tile::wide(), Tile::kStride256, Tile::near());
        if constexpr (Several) {
            block_barrier();  // x2 is done with
        }
        if (!doubt.wanted()) {
            return false;
        }
        if constexpr (Several) {
            pool(results, Tile::wide(), features);
        } else {
            put(results, features);
        }
        return true;
    }

  private:
    template <int Blocks>
    using Results = Accumulators<Tile::kTiles, Blocks>;
    // Products of 64 columns: four warps side by side, the rows in two halves.
    static constexpr int kHalfTiles = (Tile::kTiles + 1) / 2;
    using HalfResults = Accumulators<kHalfTiles, 1>;

    // Where each product's weights begin, in blocks of a warp's stream (kernels/launch.h: BranchWeights).
    static constexpr int kBlocksOf64 = kEmbedding / kBlock;  // a product of 64 inputs, 16 columns
    static constexpr int kFirstBlocks = Big ? 1 : 2;         // of a warp's columns of the first layer
    static constexpr int kAtPosition = 0;
    static constexpr int kAtVelocity = kAtPosition + kBlocksOf64;
    static constexpr int kAtQuery = kAtVelocity + kBlocksOf64;
    static constexpr int kAtMessages = kAtQuery + (Several ? kBlocksOf64 : 0);
    static constexpr int kAtFirst = kAtMessages + (Several ? kFirstBlocks * kBlocksOf64 : 0);
    static constexpr int kAtSecond = kAtFirst + kFirstBlocks * kBlocksOf64;
    static constexpr int kAtThird = kAtSecond + (Several ? 2 : 1) * 2 * (kNode / kBlock);

    static constexpr int kHidden = Tile::kRows * Tile::kStride64;  // elements of a hidden layer
    static constexpr int kFeatureColumns = kFeature / kWarps;      // of a warp
    static_assert(kFeatureColumns == 2 * kBlock && kNode / kWarps == kBlock && 2 * kEmbedding / kWarps == kBlock);

    // moved [position, velocity][coordinate][row]: the joints of the branch; rows beyond the frames are zero.
    ADASGN_DEVICE void transform() const {
        float* const moved = Tile::moved();
        const int inputs = input_.input_joints;
        for (int first = 0; first < inputs; first += kStaged) {
            const int joints = minimum(kStaged, inputs - first);
            TransformWeights ahead;
            if constexpr (Tile::kOneFrame) {
                ahead.load(transform_weights(thread_index()) + first * joints_, joints_, joints);
            }
            stage(input_, Tile::staged(), frames_.count, first, joints, [&](int f) { return frames_.frame(f); });
            block_barrier();  // coordinates
            for (int i = thread_index(); i < 2 * kCoordinates * Tile::kRows; i += kThreads) {
                const int part = i / Tile::kRows;  // position's coordinates, then velocity's
                const int row = i % Tile::kRows;
                const int f = Tile::kOneFrame ? 0 : row / joints_;
                if (row >= frames_.count * joints_) {
                    moved[i] = 0;
                    continue;
                }
                float sum =
                    first == 0 ? load_global(constants_ + at_.shift + part * joints_ + joint_of(row)) : moved[i];
                const float* const from = staged_coordinate(Tile::staged(), f, part);
                if constexpr (Tile::kOneFrame) {
                    sum = ahead.add_to(sum, from, joints);
                } else {
                    const float* const weights = transform_weights(i) + first * joints_;
                    for (int v = 0; v < joints; v += TransformWeights::kCount) {
                        TransformWeights now;
                        now.load(weights + v * joints_, joints_, joints - v);
                        sum = now.add_to(sum, from + v * kCoordinates, joints - v);
                    }
                }
                const bool complete = first + kStaged >= inputs;
                moved[i] = complete ? finite_or_fault(input_, frames_.frame(f), sum) : sum;
            }
            if (first + kStaged < inputs) {
                block_barrier();  // the coordinates are done with
            }
        }
    }

    // Of the first of the joints that the i-th value of `moved` is made of; the others are joints_ apart.
    ADASGN_DEVICE const float* transform_weights(int i) const {
        const int part = minimum(i / Tile::kRows, 2 * kCoordinates - 1);
        return constants_ + at_.transform + part * input_.input_joints * joints_ + joint_of(i % Tile::kRows);
    }

    // Weights of joints of the clip, zero beyond the last; all are on their way before the first is used.
    struct TransformWeights {
        static constexpr int kCount = Tile::kOneFrame ? kStaged : 8;
        float values[kCount];

        ADASGN_DEVICE void load(const float* from, int step, int count) {
#pragma unroll
            for (int v = 0; v < kCount; ++v) {
                values[v] = v < count ? load_global(from + v * step) : 0;
            }
        }
        ADASGN_DEVICE float add_to(float sum, const float* x, int count) const {
#pragma unroll
            for (int v = 0; v < kCount; ++v) {
                if (v < count) {
                    sum += values[v] * x[v * kCoordinates];
                }
            }
            return sum;
        }
    };

    // This lane's two channels of the hidden layers.
    struct HiddenWeights {
        float2 values[2][kCoordinates + 1];  // [position, velocity][three weights, bias]

        ADASGN_DEVICE explicit HiddenWeights(const float* from) {
#pragma unroll
            for (int i = 0; i < 2 * (kCoordinates + 1); ++i) {
                values[i / (kCoordinates + 1)][i % (kCoordinates + 1)] =
                    load_global(reinterpret_cast<const float2*>(from + i * kEmbedding) + lane());
            }
        }
    };

    // 3 -> 64 with ReLU: a warp per row, a lane per two channels.
    ADASGN_DEVICE void hidden(const HiddenWeights& weights) const {
        const float* const moved = Tile::moved();
        const int channel = 2 * lane();
#pragma unroll 2
        for (int row = warp(); row < Tile::kRows; row += kWarps) {
#pragma unroll
            for (int part = 0; part < 2; ++part) {
                const float2(&weight)[kCoordinates + 1] = weights.values[part];
                float2 sum = weight[kCoordinates];
#pragma unroll
                for (int c = 0; c < kCoordinates; ++c) {
                    const float coordinate = moved[(part * kCoordinates + c) * Tile::kRows + row];
                    sum.x += coordinate * weight[c].x;
                    sum.y += coordinate * weight[c].y;
                }
                Precision::store_pair(Tile::wide() + part * kHidden + row * Tile::kStride64 + channel, relu(sum.x),
                                      relu(sum.y));
            }
        }
    }

    // -- products of 64 columns ----------------------------------------------------------------------------------

    ADASGN_DEVICE static int half_column() {
        return warp() % 4 * kBlock;
    }
    ADASGN_DEVICE static int half_row() {
        return warp() / 4 * kHalfTiles * kBlock;
    }
    // With one tile of 16 rows the second half is empty.
    ADASGN_DEVICE static bool half_exists() {
        return half_row() < Tile::kRows;
    }

    template <int Start>
    ADASGN_DEVICE HalfResults multiply_half(const Element* left) {
        HalfResults results;
        results.clear();
        multiply<kEmbedding, Start>(results, left + (half_exists() ? half_row() : 0) * Tile::kStride64, Tile::kStride64,
                                    weights_);
        return results;
    }

    // d = relu(position's output) + relu(velocity's).
    ADASGN_DEVICE void embed() {
        const float* const bias = constants_ + at_.output_bias + half_column();
        Addends<1, 1> biases[2];
        biases[0].load([&](int, int column) { return bias + column; });
        biases[1].load([&](int, int column) { return bias + kEmbedding + column; });
        HalfResults position = multiply_half<kAtPosition>(Tile::wide());
        HalfResults velocity = multiply_half<kAtVelocity>(Tile::wide() + kHidden);
        if (!half_exists()) {
            return;
        }
        Element* const d = Tile::far() + half_row() * Tile::kStride64 + half_column();
#pragma unroll
        for (int i = 0; i < kHalfTiles * 8; ++i) {
            const int half = i / 4 % 2;
            const float2(&first)[2] = biases[0].values[0][0][half];
            const float2(&second)[2] = biases[1].values[0][0][half];
            float& x = position.values[i / 8][0][half][i % 4];
            x = relu(x + (i % 2 == 0 ? first[0].x : first[0].y)) +
                relu(velocity.values[i / 8][0][half][i % 4] + (i % 2 == 0 ? second[0].x : second[0].y));
        }
        position.pairs([&](int row, int column, float& x, float& y) {
            Precision::store_pair(d + row * Tile::kStride64 + column, x, y);
        });
    }

    // D·q + r
    ADASGN_DEVICE void query(Element* queries) {
        const float* const start = constants_ + at_.query + half_column();
        const auto place = [&](int row, int column) {
            return start + joint_of(half_row() + row) * kEmbedding + column;
        };
        Addends<kHalfTiles, 1> r;
        if constexpr (Tile::kAhead) {
            r.load(place);
        }
        HalfResults results = multiply_half<kAtQuery>(Tile::far());
        if (!half_exists()) {
            return;
        }
        if constexpr (!Tile::kAhead) {
            r.load(place);
        }
        r.add_to(results);
        Element* const to = queries + half_row() * Tile::kStride64 + half_column();
        results.pairs([&](int row, int column, float& x, float& y) {
            Precision::store_pair(to + row * Tile::kStride64 + column, x, y);
        });
    }

    // -- adjacency -----------------------------------------------------------------------------------------------

    ADASGN_DEVICE int joint_of(int row) const {
        if constexpr (Tile::kOneFrame) {
            return minimum(row, joints_ - 1);
        }
        return row % joints_;
    }
    ADASGN_DEVICE int joint_blocks() const {
        return (joints_ + kBlock - 1) / kBlock;
    }

    template <class T>
    ADASGN_DEVICE Rows<T> rows_of_frame(const T* first, int stride, int f) const {
        return {first + f * joints_ * stride, stride, joints_ - 1};
    }

    // G: softmax of the rows of queries·Dᵀ + D·uᵀ + c, a warp per 16 rows of a frame.
    ADASGN_DEVICE void adjacency(const Element* queries) const {
        const float* const c = constants_ + at_.logits;
        const int blocks = joint_blocks();
        for (int unit = warp(); unit < frames_.count * blocks; unit += kWarps) {
            const int f = unit / blocks;
            const int first_row = unit % blocks * kBlock;
            const Rows<Element> d = rows_of_frame(static_cast<const Element*>(Tile::far()), Tile::kStride64, f);
            Accumulators<1, 2> logits;  // begin as c, -∞ beyond the joints
            logits.pairs([&](int row, int column, float& x, float& y) {
                const float* const constant = c + minimum(first_row + row, joints_ - 1) * joints_ + column;
                x = column < joints_ ? load_global(constant) : -kInfinity;
                y = column + 1 < joints_ ? load_global(constant + 1) : -kInfinity;
            });
            const typename Precision::template Packed<kEmbedding, 2> key_bias(key_bias_);
            Precision::template multiply_transposed<kEmbedding>(logits, rows_of_frame(queries, Tile::kStride64, f),
                                                                first_row, d);
            Precision::multiply_packed(logits, d, first_row, key_bias);
            float most[2] = {-kInfinity, -kInfinity};  // of the lane's two rows
            logits.pairs(
                [&](int row, int, float& x, float& y) { most[row / 8] = maximum(most[row / 8], maximum(x, y)); });
            float sum[2] = {0, 0};
            most[0] = over_columns(most[0], [](float a, float b) { return maximum(a, b); });
            most[1] = over_columns(most[1], [](float a, float b) { return maximum(a, b); });
            logits.pairs([&](int row, int, float& x, float& y) {
                x = exponential(x - most[row / 8]);
                y = exponential(y - most[row / 8]);
                sum[row / 8] += x + y;
            });
            const float scale[2] = {1 / over_columns(sum[0], [](float a, float b) { return a + b; }),
                                    1 / over_columns(sum[1], [](float a, float b) { return a + b; })};
            Element* const to = Tile::adjacency() + (f * joints_ + first_row) * Tile::kStrideJoints;
            logits.pairs([&](int row, int column, float& x, float& y) {
                if (first_row + row < joints_) {
                    Precision::store_pair(to + row * Tile::kStrideJoints + column, x * scale[row / 8],
                                          y * scale[row / 8]);
                }
            });
        }
    }

    // The lanes 4g … 4g + 3 hold a row's columns.
    template <class Combine>
    ADASGN_DEVICE static float over_columns(float value, const Combine& combine) {
        value = combine(value, shuffle_xor(value, 1));
        return combine(value, shuffle_xor(value, 2));
    }

    // to = G·from for each frame, this warp's columns of Width; reads all it needs of a frame before it writes, so that
    // `to` may be `from`.
    template <int Width>
    ADASGN_DEVICE void mix(const Element* from, int stride, Element* to) const {
        constexpr int kColumns = Width / kWarps;
        const int column = warp() * kColumns;
        for (int f = 0; f < frames_.count; ++f) {
            const Rows<Element> g =
                rows_of_frame(static_cast<const Element*>(Tile::adjacency()), Tile::kStrideJoints, f);
            const Rows<Element> x = rows_of_frame(from, stride, f);
            Element* const sums = to + f * joints_ * stride + column;
            if (joints_ > kBlock) {
                mix_frame<2, kColumns / kBlock>(g, x, column, sums, stride);
            } else {
                mix_frame<1, kColumns / kBlock>(g, x, column, sums, stride);
            }
        }
        // Rows beyond the frames are multiplied like all others; nothing is read from their results.
        constexpr int kPairs = kColumns / 2;
        for (int i = frames_.count * joints_ * kPairs + lane(); i < Tile::kRows * kPairs; i += 32) {
            Precision::store_pair(to + i / kPairs * stride + column + i % kPairs * 2, 0, 0);
        }
    }

    template <int Tiles, int Blocks>
    ADASGN_DEVICE void mix_frame(const Rows<Element>& g, const Rows<Element>& x, int column, Element* sums,
                                 int stride) const {
        Accumulators<Tiles, Blocks> results;
        results.clear();
        Precision::template multiply_rows<Tiles * kBlock>(results, g, x, column);
        warp_barrier();  // all lanes have read
        results.pairs([&](int row, int at, float& a, float& b) {
            if (row < joints_) {
                Precision::store_pair(sums + row * stride + at, a, b);
            }
        });
    }

    // -- graph layers --------------------------------------------------------------------------------------------

    // D·neighbours + neighbours_constant
    ADASGN_DEVICE void messages(Element* to) {
        constexpr int kStride = Big ? Tile::kStride128 : Tile::kStride256;
        const int first_column = warp() * kFirstBlocks * kBlock;
        Results<kFirstBlocks> results = add_by_joint<kAtMessages>(constants_ + at_.neighbours_constant + first_column);
        results.pairs([&](int row, int column, float& x, float& y) {
            Precision::store_pair(to + row * kStride + first_column + column, x, y);
        });
    }

    // relu(sums over neighbours, with several joints, + D·itself + bias)
    ADASGN_DEVICE Results<kFirstBlocks> first_layer(const Element* sums) {
        constexpr int kStride = Big ? Tile::kStride128 : Tile::kStride256;
        const int first_column = warp() * kFirstBlocks * kBlock;
        Results<kFirstBlocks> results = add_by_joint<kAtFirst>(constants_ + at_.bias[0] + first_column);
        results.pairs([&](int row, int column, float& x, float& y) {
            if constexpr (Several) {
                const float2 sum = Precision::load_pair(sums + row * kStride + first_column + column);
                x += sum.x;
                y += sum.y;
            }
            x = relu(x);
            y = relu(y);
        });
        return results;
    }

    // D·weights + what each joint has, a row of the first layer's width, from `start` on: this warp's columns.
    template <int Start>
    ADASGN_DEVICE Results<kFirstBlocks> add_by_joint(const float* start) {
        const auto place = [&](int row, int column) { return start + joint_of(row) * layer_width(Big, 0) + column; };
        Addends<Tile::kTiles, kFirstBlocks> addends;
        if constexpr (Tile::kAhead) {
            addends.load(place);
        }
        Results<kFirstBlocks> results;
        results.clear();
        multiply<kEmbedding, Start>(results, static_cast<const Element*>(Tile::far()), Tile::kStride64, weights_);
        if constexpr (!Tile::kAhead) {  // one by one: registers hold no Addends beside the results of a high tile
            results.pairs([&](int row, int column, float& x, float& y) {
                const float2 addend = load_global(reinterpret_cast<const float2*>(place(row, column)));
                x += addend.x;
                y += addend.y;
            });
        } else {
            addends.add_to(results);
        }
        return results;
    }

    // relu((G·x)·neighbours + x·itself + bias), 256 columns; G·x passes through `sums`.
    template <int Width, int Start>
    ADASGN_DEVICE Results<2> layer(int index, const Element* x, int stride, Element* sums) {
        const float* const bias = constants_ + at_.bias[index] + warp() * kFeatureColumns;
        const auto place = [&](int, int column) { return bias + column; };
        Addends<1, 2> biases;
        if constexpr (Tile::kAhead) {
            biases.load(place);
        }
        Results<2> results;
        results.clear();
        if constexpr (Several) {
            mix<Width>(x, stride, sums);
            block_barrier();  // sums over neighbours
            multiply<Width, Start>(results, static_cast<const Element*>(sums), stride, weights_);
        }
        multiply<Width, Start + (Several ? 2 * Width / kBlock : 0)>(results, x, stride, weights_);
        if constexpr (!Tile::kAhead) {
            biases.load(place);
        }
#pragma unroll
        for (int tile = 0; tile < Tile::kTiles; ++tile) {
#pragma unroll
            for (int i = 0; i < 16; ++i) {
                const float2& both = biases.values[0][i / 8][i / 4 % 2][0];
                float& value = results.values[tile][i / 8][i / 4 % 2][i % 4];
                value = relu(value + (i % 2 == 0 ? both.x : both.y));
            }
        }
        return results;
    }

    template <int Blocks>
    ADASGN_DEVICE void store(Results<Blocks>& results, Element* to, int stride) const {
        const int first_column = warp() * Blocks * kBlock;
        results.pairs([&](int row, int column, float& x, float& y) {
            Precision::store_pair(to + row * stride + first_column + column, x, y);
        });
    }

    // Of frame f of the tile.
    ADASGN_DEVICE float* feature(float* features, int f) const {
        return features + static_cast<size_t>(frames_.frame(f)) * kFeature;
    }

    // One joint: features as they are.
    ADASGN_DEVICE void put(Results<2>& results, float* features) const {
        const int first_column = warp() * kFeatureColumns;
        results.pairs([&](int row, int column, float& x, float& y) {
            if (row < frames_.count) {
                *reinterpret_cast<float2*>(feature(features, row) + first_column + column) = {x, y};
            }
        });
    }

    // Maxima over each frame's rows of this warp's columns; the rows pass through `rows`, of which the warp's columns
    // are free: half a warp takes a frame's 16 pairs of columns, row by row.
    ADASGN_DEVICE void pool(Results<2>& results, Element* rows, float* features) const {
        if constexpr (Tile::kOneFrame) {
            pool_frame(results, features);
            return;
        }
        store(results, rows, Tile::kStride256);
        warp_barrier();  // rows
        const int column = warp() * kFeatureColumns + lane() % 16 * 2;
        for (int f = lane() / 16; f < frames_.count; f += 2) {
            const Element* const from = rows + f * joints_ * Tile::kStride256 + column;
            float2 most{0, 0};
            for (int joint = 0; joint < joints_; ++joint) {
                const float2 pair = Precision::load_pair(from + joint * Tile::kStride256);
                most.x = maximum(most.x, pair.x);
                most.y = maximum(most.y, pair.y);
            }
            *reinterpret_cast<float2*>(feature(features, f) + column) = most;
        }
    }

    // Likewise of the one frame, in registers: the lanes that hold a pair of columns are 4, 8 and 16 apart.
    ADASGN_DEVICE void pool_frame(Results<2>& results, float* features) const {
        float* const columns = feature(features, 0) + warp() * kFeatureColumns;
#pragma unroll
        for (int i = 0; i < 4; ++i) {  // 8 columns each
            float2 most{0, 0};
#pragma unroll
            for (int tile = 0; tile < Tile::kTiles; ++tile) {
                const float(&v)[4] = results.values[tile][i / 2][i % 2];
                const int row = tile * kBlock + lane() / 4;
                if (row < joints_) {
                    most = {maximum(most.x, v[0]), maximum(most.y, v[1])};
                }
                if (row + 8 < joints_) {
                    most = {maximum(most.x, v[2]), maximum(most.y, v[3])};
                }
            }
#pragma unroll
            for (int mask = 4; mask < 32; mask *= 2) {
                most.x = maximum(most.x, shuffle_xor(most.x, mask));
                most.y = maximum(most.y, shuffle_xor(most.y, mask));
            }
            if (lane() < 4) {
                // Rounded as where a frame's rows pass through shared memory: its feature is the same by every way.
                *reinterpret_cast<float2*>(columns + 8 * i + 2 * lane()) = Precision::rounded(most.x, most.y);
            }
        }
    }

    static constexpr float kInfinity = __builtin_huge_valf();
    const float* constants_;
    ConstantsLayout at_;
    const void* key_bias_;
    int joints_;
    const Frames& input_;
    TileFrames frames_;
    typename Tile::Stream weights_;
};

// The one place that tells branch shapes apart; whether the tile was wanted.
template <class Tile, class Doubt = Wanted>
ADASGN_DEVICE bool run_one_joint(const BranchWeights& branch, const Frames& input, const TileFrames& frames,
                                 float* features, const Doubt& doubt = {}) {
    return branch.big ? BranchTile<Tile, false, true>(branch, input, frames).run(features, doubt)
                      : BranchTile<Tile, false, false>(branch, input, frames).run(features, doubt);
}

template <class Tile, class Doubt = Wanted>
ADASGN_DEVICE bool run_several_joints(const BranchWeights& branch, const Frames& input, const TileFrames& frames,
                                      float* features, const Doubt& doubt = {}) {
    return branch.big ? BranchTile<Tile, true, true>(branch, input, frames).run(features, doubt)
                      : BranchTile<Tile, true, false>(branch, input, frames).run(features, doubt);
}

}  // namespace adasgn::cuda
