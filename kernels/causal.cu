// A causal model on the newest frame of each of some tracks: what a live stream asks for at every step.
//
//   joints ─▶ hidden ─▶ feature ─▶ layer ─▶ layer ─▶ … ─▶ widen ─▶ maximum over the newest rows ─▶ classify
//                                  t-2d, t-d: the past
//
// The pose branch, hidden and feature, is left out where features are given, as of other branches.
//
// The layers follow each other and each is small, so one kernel computes all. A group of tracks, up to 16, in binary16
// up to 32, has 16 blocks, each with 16 columns of every product; its warps divide the sum's channels
// (kernels/split.h). Two of a layer's three taps are the past's, multiplied while other blocks are still at the layer
// before; for the third a warp waits for the two blocks that make its 32 channels, and for no others. All blocks of a
// launch run at once.
#include "classifier.h"
#include "pose_inputs.h"
#include "relu.h"
#include "split.h"

namespace adasgn::cuda {

namespace {

template <class Precision, int Tiles>
struct Group {
    using Part = Split<Precision, Tiles>;
    using Element = typename Part::Element;
    static constexpr int kRows = Part::kRows;
    static constexpr int kBytes = Part::kBytes + kRows * static_cast<int>(sizeof(CausalTrack));

    const CausalParameters& p;
    int first;   // track
    int count;   // of tracks
    int* flags;  // of the group's blocks: how many of their rows the others may read

    ADASGN_DEVICE explicit Group(const CausalParameters& parameters)
        : p(parameters),
          first(p.first + block_index() * kRows),
          count(minimum(kRows, p.count - first)),
          flags(p.flags + block_index() * kCausalBlocks) {}

    ADASGN_DEVICE static CausalTrack* tracks() {
        return reinterpret_cast<CausalTrack*>(shared_memory() + Part::kBytes);
    }

    // Where a layer's input of so many frames ago lies.
    ADASGN_DEVICE Element* past(const CausalLayer& layer, int row, int ago) const {
        const CausalTrack& track = tracks()[row];
        const int place = static_cast<int>((track.frame - static_cast<unsigned>(ago)) & layer.mask);
        const size_t at = static_cast<size_t>(track.slot) * p.weights.past_rows + layer.past + place;
        return static_cast<Element*>(p.past) + at * kFeature;
    }
    // Likewise of widened rows.
    ADASGN_DEVICE float* widened(int row, int ago) const {
        const CausalTrack& track = tracks()[row];
        const unsigned mask = p.weights.pool_mask;
        const size_t at = static_cast<size_t>(track.slot) * (mask + 1) + ((track.frame - ago) & mask);
        return p.widened + at * kTemporal;
    }
    ADASGN_DEVICE Element* hidden(int row) const {
        return static_cast<Element*>(p.hidden) + static_cast<size_t>(first + row) * kFeature;
    }
    ADASGN_DEVICE Element* last(int row) const {
        return static_cast<Element*>(p.last) + static_cast<size_t>(first + row) * kFeature;
    }

    // What this block has written, before a block_barrier(), others may read.
    ADASGN_DEVICE void publish(int rows) const {
        block_barrier();
        if (thread_index() == 0) {
            store_release(flags + block_index_y(), rows);
        }
    }
    // Until the blocks that make this warp's channels have published so many. For the warp.
    ADASGN_DEVICE void await_channels(int rows) const {
        static_assert(Part::kChannels == 2 * kBlock);
        if (lane() < 2) {
            wait_until_at_least(flags + 2 * warp() + lane(), rows);
        }
        warp_barrier();  // what was published
    }
    ADASGN_DEVICE void await_all(int rows) const {
        if (lane() < kCausalBlocks) {
            wait_until_at_least(flags + lane(), rows);
        }
        warp_barrier();  // what was published
    }
    // Once no block waits any more, the first one leaves the flags as they were found. `rows`: more than all before.
    ADASGN_DEVICE void leave(int rows) const {
        publish(rows);
        if (block_index_y() == 0 && warp() == 0) {
            await_all(rows);
            if (lane() < kCausalBlocks) {
                flags[lane()] = 0;
            }
        }
    }
};

// A row of all warps' sums, plus bias, through ReLU. After a block_barrier() behind put().
template <class Part>
ADASGN_DEVICE float2 finished(const PairPlace& own, const float2& bias) {
    const float2 sum = Part::sum(own.row, own.column);
    return {relu(sum.x + bias.x), relu(sum.y + bias.y)};
}

ADASGN_DEVICE float2 pair_at(const float* from) {
    return load_global(reinterpret_cast<const float2*>(from));
}

// This thread's columns of the pose branch's features (as kernels/pose.cu, few frames). Publishes the hidden layer as
// the first rows.
template <class Precision, int Tiles>
ADASGN_DEVICE float2 pose_feature(const Group<Precision, Tiles>& group, const PairPlace& own) {
    using Part = typename Group<Precision, Tiles>::Part;
    using Weights = SliceWeights<Precision, 1>;
    static_assert(kPoseHidden == kFeature);
    const CausalParameters& p = group.p;
    const auto* const rows = static_cast<const typename Part::Element*>(Part::rows());
    const int column = Part::column() + own.column;
    const int depth = (p.pose.inputs + kPoseHidden) / kBlock;
    Weights weights(p.pose.stream, depth);
    Accumulators<Tiles, 1> results;
    results.clear();
    for (int begin = 0; begin < p.pose.inputs; begin += kFeature) {
        const int input = begin + warp() * Part::kChannels;
        if (input < p.pose.inputs) {
            if (begin > 0) {
                warp_barrier();  // the rows are done with
                weights = Weights(p.pose.stream, depth, begin / kBlock);
            }
#pragma unroll 1
            for (int at = 0; at < Part::kRows; at += kBlock) {  // of more at once registers would spill
                stage_inputs<Precision, kBlock>(p.frames, group.first + at, input, Part::rows() + at * Part::kStride,
                                                Part::kStride);
            }
            warp_barrier();  // rows
            multiply<Part::kChannels, 0>(results, rows, Part::kStride, weights);
        }
    }
    Part::put(results);
    weights = Weights(p.pose.stream, depth, p.pose.inputs / kBlock);
    block_barrier();  // sums
    if (own.row < group.count) {
        const float2 hidden = finished<Part>(own, pair_at(p.pose.hidden_bias + column));
        Precision::store_pair(group.hidden(own.row) + column, hidden.x, hidden.y);
    }
    group.publish(1);
    group.await_channels(1);
    typename Part::template Fetched<Part::kRows>([&](int of) { return group.hidden(of); }, group.count).put();
    warp_barrier();  // rows
    results.clear();
    multiply<Part::kChannels, 0>(results, rows, Part::kStride, weights);
    Part::put(results);
    block_barrier();  // sums
    return own.row < group.count ? finished<Part>(own, pair_at(p.pose.output_bias + column)) : float2{0, 0};
}

template <class Precision, int Tiles>
ADASGN_KERNEL(kThreads, 2)
void causal_step(const __grid_constant__ CausalParameters p) {
    using Tracks = Group<Precision, Tiles>;
    using Part = typename Tracks::Part;
    using Element = typename Tracks::Element;
    using Fetched = typename Part::template Fetched<Part::kRows>;
    constexpr int kDepth = kTaps * kFeature / kBlock;
    const CausalWeights& model = p.weights;
    SliceWeights<Precision, kTaps> weights(model.layers[0].weights, kDepth);
    const Tracks group(p);
    if (thread_index() < group.count) {
        Tracks::tracks()[thread_index()] = p.tracks[group.first + thread_index()];
    }
    block_barrier();  // tracks

    const PairPlace own;
    const int column = Part::column() + own.column;
    const bool owns = own.row < group.count;
    float* const features = p.features + static_cast<size_t>(group.first) * kFeature;
    const bool posed = p.pose.inputs > 0;
    int published = 0;
    float2 x{0, 0};  // the layers' input, of this thread's columns: it stays here in float
    if (posed) {
        x = pose_feature(group, own);
        published = 2;
    } else if (owns) {
        x = pair_at(features + own.row * kFeature + column);
    }
    if (owns) {
        Precision::store_pair(group.past(model.layers[0], own.row, 0) + column, x.x, x.y);
        if (posed && p.features != nullptr) {
            *reinterpret_cast<float2*>(features + own.row * kFeature + column) = x;
        }
    }
    if (posed) {
        group.publish(published);
    }

    const auto* const rows = static_cast<const Element*>(Part::rows());
    Accumulators<Tiles, 1> results;
    for (int k = 0; k < model.layer_count; ++k) {
        const CausalLayer& layer = model.layers[k];
        const auto ago = [&](int frames) {
            return Fetched([&](int of) { return group.past(layer, of, frames); }, group.count);
        };
        const Fetched oldest = ago(2 * layer.dilation);
        const Fetched older = ago(layer.dilation);
        const float2 bias = pair_at(layer.bias + column);
        results.clear();
        oldest.put();
        warp_barrier();  // rows
        multiply<Part::kChannels, 0>(results, rows, Part::kStride, weights);
        warp_barrier();  // rows are done with
        older.put();
        warp_barrier();  // rows
        multiply<Part::kChannels, 2>(results, rows, Part::kStride, weights);
        warp_barrier();  // rows are done with
        if (published == 0) {
            Part::template fetch_floats<Part::kRows>(features, group.count, 0);
        } else {
            group.await_channels(published);
            ago(0).put();
        }
        warp_barrier();  // rows
        multiply<Part::kChannels, 4>(results, rows, Part::kStride, weights);
        weights = SliceWeights<Precision, kTaps>(model.layers[minimum(k + 1, model.layer_count - 1)].weights, kDepth);
        Part::put(results);
        block_barrier();  // sums
        if (owns) {
            const float2 added = finished<Part>(own, bias);
            x = {x.x + added.x, x.y + added.y};
            const bool more = k + 1 < model.layer_count;
            Element* const to = more ? group.past(model.layers[k + 1], own.row, 0) : group.last(own.row);
            Precision::store_pair(to + column, x.x, x.y);
        }
        group.publish(++published);
    }

    // 32 of the 512 columns, 16 at a time.
    constexpr int kHalves = kTemporal / kFeature;
    SliceWeights<Precision, 1> widen[kHalves] = {
        {model.widen, kFeature / kBlock, 0, block_index_y()},
        {model.widen, kFeature / kBlock, 0, kCausalBlocks + block_index_y()},
    };
    group.await_channels(published);
    Fetched([&](int of) { return group.last(of); }, group.count).put();
    warp_barrier();  // rows
#pragma unroll
    for (int half = 0; half < kHalves; ++half) {
        results.clear();
        multiply<Part::kChannels, 0>(results, rows, Part::kStride, widen[half]);
        if (half > 0) {
            block_barrier();  // sums are done with
        }
        Part::put(results);
        block_barrier();  // sums
        if (owns) {
            const int wide = half * kFeature + column;
            float2 most = finished<Part>(own, pair_at(model.widen_bias + wide));
            if (model.pool > 1) {
                *reinterpret_cast<float2*>(group.widened(own.row, 0) + wide) = most;
            }
            for (int frames = 1; frames < model.pool; ++frames) {
                const float2 before = *reinterpret_cast<const float2*>(group.widened(own.row, frames) + wide);
                most = {maximum(most.x, before.x), maximum(most.y, before.y)};
            }
            float* const pooled = p.pooled + static_cast<size_t>(group.first + own.row) * kTemporal;
            *reinterpret_cast<float2*>(pooled + wide) = most;
        }
    }
    group.publish(++published);

    group.await_all(published);
    for (int i = block_index_y() * kWarps + warp(); i < group.count * p.classes; i += kCausalBlocks * kWarps) {
        const int label = i % p.classes;
        const size_t track = static_cast<size_t>(group.first + i / p.classes);
        const Lanes512 pooled(p.pooled + track * kTemporal, [](const float4* from) { return load_fresh(from); });
        const float sum = pooled.dot(class_weights(model.classify, label));
        if (lane() == 0) {
            p.logits[track * p.classes + label] = sum + load_global(model.classify_bias + label);
        }
    }
    group.leave(published + 1);
}

// As many groups at a time as run at once.
template <class Precision, int Tiles>
Status launch_groups(CausalParameters p, Stream stream) {
    using Tracks = Group<Precision, Tiles>;
    int blocks = 0;
    if (const Status failed = resident_blocks(causal_step<Precision, Tiles>, kThreads, Tracks::kBytes, blocks)) {
        return failed;
    }
    const int most = blocks / kCausalBlocks;
    if (most == 0) {
        return {kTooManyBlocks};
    }
    const int end = p.count;
    for (; p.first < end; p.first = p.count) {
        const int groups = (end - p.first + Tracks::kRows - 1) / Tracks::kRows;
        p.count = groups <= most ? end : p.first + most * Tracks::kRows;
        const Grid grid{groups <= most ? groups : most, kCausalBlocks};
        if (const Status failed =
                launch_resident(causal_step<Precision, Tiles>, grid, kThreads, Tracks::kBytes, stream, p)) {
            return failed;
        }
    }
    return {};
}

}  // namespace

Status causal(const CausalParameters& p, Precision precision, Stream stream) {
    if (p.count == 0) {
        return {};
    }
    if (precision == Precision::f32) {
        return launch_groups<Binary32, 1>(p, stream);  // the rows of more on their way need too many registers
    }
    return p.count <= kCausalRows ? launch_groups<Binary16, 1>(p, stream) : launch_groups<Binary16, 2>(p, stream);
}

}  // namespace adasgn::cuda
