// A clip in one launch, where every block finds a multiprocessor of its own: what each kernel of the other ways waits
// for, blocks here wait for by flags, and branches begin on a frame before it is known which of them it takes.
//
//   a block a frame: policy ─▶ action ─▶ flag ─────────────┐
//   a block a frame and further branch: coordinates ─▶ … ─▶ wanted? ─▶ feature ─▶ flag
//   16 blocks, some of the policy's when that is done: all features ─▶ convolution ─▶ flag ─▶ widen, pool
//
// All count as they leave, and the last of a sample's blocks classifies it and sets its flags back. So none is reading
// a flag by then, and the next launch finds them as this one did.
#include "frame_block.h"
#include "temporal_split.h"

namespace adasgn::cuda {

namespace {

using Block = HalfBlock;
using Part = Split<Binary16>;

constexpr int kHeads = kClipHeads;
static_assert(kTemporal == 2 * kHeads * kBlock);

// Shared memory. What is told to all threads lies beyond all that blocks compute with.
constexpr int kSecondSumsAt = Part::kBytes;
constexpr int kAskedAt = greatest(Block::kBytes, kSecondSumsAt + Part::kSumBytes);
constexpr int kToldAt = kAskedAt + Wanted::kLooks * static_cast<int>(sizeof(int));
constexpr int kBytes = kToldAt + static_cast<int>(sizeof(int));
static_assert(kBytes <= 99 * 1024);

ADASGN_DEVICE int clip_of(const ClipParameters& p) {
    return p.first + block_index();
}

// Of the clip of this block, all zero between runs.
struct ClipFlags {
    int* action;   // [T] one more than a frame's action, once it is picked
    int* across;   // [kHeads] 1 once a block's columns of the convolution are there
    int* feature;  // [kWarps][T] 1 once a frame's 32 channels of a warp are there

    ADASGN_DEVICE explicit ClipFlags(int* of_clip)
        : action(of_clip), across(action + kSplitFrames), feature(across + kHeads) {}

    // Of frame t: this warp's channels, written by it, may be read. The same warp of the temporal module's blocks reads
    // them, so that no warp waits for another.
    ADASGN_DEVICE void publish_feature(int t) const {
        warp_barrier();  // the channels
        if (lane() == 0) {
            store_release(feature + warp() * kSplitFrames + t, 1);
        }
    }
    // Until this warp's channels of so many frames are there.
    ADASGN_DEVICE void await_features(int frames) const {
        if (lane() < frames) {
            wait_until_at_least(feature + warp() * kSplitFrames + lane(), 1);
        }
        warp_barrier();  // the channels
    }
};
static_assert(kClipFlags == kSplitFrames + kHeads + kWarps * kSplitFrames);
static_assert(kFeature == kWarps * Part::kChannels, "a warp has the same channels in every block");

// A branch on a frame that may take another one. The block looks at the frame's action while it goes on, and leaves
// once it knows that this is not its own.
class Speculation {
  public:
    // flag: of the frame's action; null: the frame takes this branch.
    ADASGN_DEVICE Speculation(const int* flag, int branch) : flag_(flag), own_(branch + 1), known_(flag == nullptr) {}

    template <int Look>
    ADASGN_DEVICE void ask() {
        static_assert(Look < Wanted::kLooks);
        if (thread_index() == 0 && flag_ != nullptr) {
            asked_ = load_relaxed(flag_);
        }
    }
    template <int Look>
    ADASGN_DEVICE void tell() {
        if (thread_index() == 0) {
            told()[Look] = asked_;
        }
    }
    template <int Look>
    ADASGN_DEVICE bool known_unwanted() {
        const int found = told()[Look];
        known_ = known_ || found == own_;
        return found != 0 && found != own_;
    }
    ADASGN_DEVICE bool wanted() const { return known_ || wait_until_at_least(flag_, 1) == own_; }

  private:
    ADASGN_DEVICE static int* told() {
        return reinterpret_cast<int*>(shared_memory() + kAskedAt);  // a place for each look: none is written twice
    }

    const int* flag_;
    int own_;  // what the flag says if the frame is this block's
    bool known_;
    int asked_ = 0;  // of thread 0
};

ADASGN_DEVICE int frame_number(const ClipParameters& p, int t) {
    return clip_of(p) * p.spatial.frames.clip_frames + t;
}

// The policy on frame t of the clip; and where it picks its own branch, that one's features, which are there.
ADASGN_DEVICE void policy_block(const ClipParameters& p, const ClipFlags& flags, int t) {
    const FrameParameters& s = p.spatial;
    const int n = frame_number(p, t);
    const float* const at = Block::Policy::features() + kTaps / 2 * kFeature;
    int action = 0;
    if (s.given == nullptr) {
        action = picked_action<Block>(s, n, at);
    } else {
        action = checked_action(load_global(s.given + n), s.branch_count, n, s.frames.fault);
        if (action == 0) {
            policy_features<Block>(s, n);
        }
    }
    if (thread_index() == 0) {
        store_release(flags.action + t, action + 1);
    }
    if (action == 0) {
        s.features[static_cast<size_t>(n) * kFeature + thread_index()] = at[thread_index()];
        flags.publish_feature(t);
    }
    if (thread_index() == 0 && s.actions != nullptr) {
        s.actions[n] = action;  // may be memory of the host, which no flag should wait for
    }
    block_barrier();  // features and logits are done with, where the temporal module's rows come
}

// A branch on frame t of the clip.
ADASGN_DEVICE void branch_block(const ClipParameters& p, const ClipFlags& flags, int t, int branch) {
    const FrameParameters& s = p.spatial;
    const int n = frame_number(p, t);
    const bool adaptive = s.policy.weight != nullptr;
    if (!adaptive && thread_index() == 0) {
        if (s.given != nullptr) {
            checked_action(load_global(s.given + n), s.branch_count, n, s.frames.fault);
        }
        if (s.actions != nullptr) {
            s.actions[n] = 0;
        }
    }
    const Speculation doubt(adaptive ? flags.action + t : nullptr, branch);
    if (run_frame<Block>(s, n, s.branches[branch], doubt)) {
        flags.publish_feature(t);
    }
}

// -- the temporal module -------------------------------------------------------------------------------------------

ADASGN_DEVICE float* second_sums() {
    return reinterpret_cast<float*>(shared_memory() + kSecondSumsAt);
}

// All blocks of a sample have counted.
ADASGN_DEVICE void set_flags_back(const ClipParameters& p, int place) {
    const int flags = p.temporal.persons * kClipFlags;
    for (int i = thread_index(); i < flags; i += kThreads) {
        p.flags[place * flags + i] = 0;
    }
}

// Counts this block; all that it has to do is done.
ADASGN_DEVICE bool leaves_last(const ClipParameters& p, int place) {
    return finishes_last(p.temporal.done + place, p.temporal.persons * p.blocks,
                         reinterpret_cast<int*>(shared_memory() + kToldAt));
}

// 16 columns of the convolution and twice 16 of what it is widened to. While other blocks are at the frames, this one
// goes its way once with no rows to read, add up or write, so that its weights are in registers and its instructions in
// the cache when it is waited for.
template <int Stride, int Tiles>
ADASGN_DEVICE void head_block(const ClipParameters& p, const ClipFlags& flags) {
    const TemporalParameters& t = p.temporal;
    const int own = block_index_y();
    const int clip = clip_of(p);
    const int place = clip / t.persons;
    AcrossColumns<Binary16, Stride> across(t);
    WidenColumns<Binary16, Tiles> low(t, own);
    WidenColumns<Binary16, Tiles> high(t, kHeads + own);
    const FirstClasses ahead(t);
    const float* const features = t.features + static_cast<size_t>(clip) * t.clip_frames * kFeature;
    auto* const rows = static_cast<Part::Element*>(t.across) + static_cast<size_t>(clip) * t.clip_rows * kFeature;
    float* const pooled = t.pooled + static_cast<size_t>(clip) * kTemporal;
#pragma unroll 1
    for (int pass = 0; pass < 2; ++pass) {
        const bool there = pass > 0;
        const int frames = there ? t.clip_frames : 0;
        const int count = there ? t.clip_rows : 0;
        flags.await_features(frames);
        across.run(features, frames, rows, count);
        block_barrier();  // this block's columns; sums are done with
        if (there && thread_index() == 0) {
            store_release(flags.across + own, 1);
        }
        if (there && lane() < 2) {  // the two blocks that make this warp's channels
            static_assert(Part::kChannels == 2 * kBlock);
            wait_until_at_least(flags.across + 2 * warp() + lane(), 1);
        }
        warp_barrier();  // rows
        WidenColumns<Binary16, Tiles>::fetch(rows, count);
        low.multiply_rows(Part::sums(0));
        high.multiply_rows(second_sums());
        block_barrier();  // sums
        low.pool(Part::sums(0), count, pooled);
        high.pool(second_sums(), count, pooled);
        const bool last = !there || leaves_last(p, place);
        if (last && there) {
            set_flags_back(p, place);
        }
        if (last) {
            classify_place(t, place, place, ahead, there);
        }
    }
}

ADASGN_DEVICE void head_block(const ClipParameters& p, const ClipFlags& flags) {
    if (p.temporal.stride == 2) {
        head_block<2, 1>(p, flags);
    } else if (p.temporal.clip_rows <= kBlock) {
        head_block<1, 1>(p, flags);
    } else {
        head_block<1, 2>(p, flags);
    }
}

ADASGN_KERNEL(kThreads, 1)
void whole_clip(const __grid_constant__ ClipParameters p) {
    const ClipFlags flags(p.flags + clip_of(p) * kClipFlags);
    const int y = block_index_y();
    const int length = p.spatial.frames.clip_frames;
    const bool adaptive = p.spatial.policy.weight != nullptr;
    const int before = adaptive ? maximum(kHeads, length) : kHeads;  // the blocks of further branches
    if (y >= before) {
        const int i = y - before;
        branch_block(p, flags, i % length, i / length + (adaptive ? 1 : 0));
    } else if (adaptive && y < length) {
        policy_block(p, flags, y);
    }
    if (y < kHeads) {
        head_block(p, flags);
        return;
    }
    const int place = clip_of(p) / p.temporal.persons;
    if (leaves_last(p, place)) {
        set_flags_back(p, place);
        classify_place(p.temporal, place, place, FirstClasses(p.temporal));
    }
}

}  // namespace

Status clip_blocks_at_once(int& blocks) {
    return resident_blocks(whole_clip, kThreads, kBytes, blocks);
}

Status run_clips(ClipParameters p, Stream stream) {
    const FrameParameters& s = p.spatial;
    const TemporalParameters& t = p.temporal;
    const bool adaptive = s.policy.weight != nullptr;
    if (t.clips == 0) {
        return {};
    }
    const bool sound = t.features == s.features && s.frames.count == t.clips * t.clip_frames &&
                       s.frames.clip_frames == t.clip_frames && t.clip_frames <= kSplitFrames &&
                       (t.stride == 1 || t.stride == 2) && t.clip_rows == (t.clip_frames + t.stride - 1) / t.stride;
    const bool has_policy_features = !adaptive || s.branches[0].plain != nullptr;
    const bool other = s.policy_features != nullptr || s.listed.frames != nullptr ||
                       t.escalation.probabilities != nullptr || t.clear != nullptr;
    if (!sound || !has_policy_features || other) {
        return {kInvalidValue};
    }
    int most = 0;
    if (const Status failed = clip_blocks_at_once(most)) {
        return failed;
    }
    p.blocks = clip_blocks(t.clip_frames, s.branch_count, adaptive);
    const int at_once = most / (t.persons * p.blocks) * t.persons;
    if (at_once == 0) {
        return {kTooManyBlocks};
    }
    for (p.first = 0; p.first < t.clips; p.first += at_once) {  // whole samples
        const int clips = t.clips - p.first < at_once ? t.clips - p.first : at_once;
        if (const Status failed = launch_resident(whole_clip, {clips, p.blocks}, kThreads, kBytes, stream, p)) {
            return failed;
        }
    }
    return {};
}

}  // namespace adasgn::cuda
