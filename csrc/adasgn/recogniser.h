// The recogniser: a live stream of joints in, class probabilities and gestures out, for several tracks at once.
//
// Words: a *frame* is what the source saw of one track at one stamp; the *grid* is a track's own row of instants, the
// model's fixed step apart, from its first frame on; a *step* is one instant of it. Joints are interpolated linearly
// between the two frames around an instant, so a step completes with the first usable frame at or after its instant.
// Symbols: V_r recorded joints, K classes, T features of the model's window.
//
// Time is int64 nanoseconds of the source's clock: a stamp is the moment of capture. No wall clock is read, but for
// budgets and timings (steady clock), and no number of frames is taken for time.
// - A stamp that continues the stream lies at most `late` behind the newest one and at most `gap` ahead of it. One that
//   does not is dropped, in doubt; if the next one follows it (at most `gap` later), the clock was set or the source
//   paused, and every track starts anew. So one bad stamp costs one frame; one that is wrong by less than that makes
//   the stamps up to it late.
// - A frame that is no newer than what its track has is dropped. Tracks may come in pushes of their own, of one stamp
//   or in any order: the order counts within a track.
//
// Bad data inside a stream is counted (Stats) and never an exception; Error (clip) is for misuse alone: null joints, a
// count out of range. One recogniser serves one caller at a time; recognisers share nothing. After the constructor
// nothing is allocated, whatever tracks come and go. Nothing is logged. It belongs to the process that made it: in a
// forked child Error (engine) comes of every call that is not const.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "adasgn/error.h"
#include "adasgn/inference.h"
#include "adasgn/model.h"
#include "adasgn/online/decisions.h"
#include "adasgn/temporal_stream.h"

namespace adasgn {

namespace online {
class FrameNetwork;
}

enum class TrackState {
    fresh,      // "new": seen in the newest push, but its window is not full yet
    tracked,    // seen in the newest push, and ready
    predicted,  // not seen (or not usable) in the newest push; the gap's limit has not been reached
    lost,       // unseen for longer than the gap, or an id that has no place
};

enum class Overflow {
    refuse,   // a new id without a free place is not received
    replace,  // it takes the place of the track that has been unseen longest; of those seen at this stamp none
};

struct RecogniserOptions {
    bool exact = false;                    // the whole temporal module over the window at every step; else continual
    int max_tracks = 8;                    // at once
    Overflow overflow = Overflow::refuse;  // of a new id beyond them
    std::int64_t gap = 300'000'000;        // ns without a usable frame after which a track starts anew
    std::int64_t forget = 2'000'000'000;   // ns unseen after which an id is forgotten, a lost one also where a new id
                                           // needs its place; at least gap
    std::int64_t late = 1'000'000'000;     // a stamp further behind the newest is a clock that was set back
    float missing = 0.34F;                 // a frame with more than this share of its joints missing is not received;
                                           // fewer are filled along the layout's bones (online/joint_memory.h)
    float max_speed = 0;            // of the origin joint, scale bones a second; faster: another body, anew; 0: off
    double effort = -1;             // 0 … 1; negative: the model's default
    std::int64_t track_budget = 0;  // ns that a push may work on one track; once used up it takes no dearer branch
    std::int64_t total_budget = 0;  // the same of a whole push; 0: no budget
    float idle_motion = 0;          // a frame whose input differs nowhere by more (scale bones) from that of the last
                                    // computed one takes its feature; 0: off
    std::int64_t held_every = 500'000'000;  // ns between the held events of a gesture; 0: none
    std::optional<Decision> decision;       // in place of the model's
    WeightType weights = WeightType::f32;   // of the continual mode's temporal module
    const char* instruction_set = nullptr;  // one of instruction_sets(); null: the best
    int threads = 1;                        // of the CPU engine that is made inside
};

struct TrackInput {
    std::int64_t id;
    const float* joints;  // (V_r, 3) metres, C-contiguous; NaN in any coordinate: the joint was not seen
};

struct StepResult {
    std::int64_t track;          // id
    TrackState state;            // fresh or tracked
    bool ready;                  // not yet: no label, no probabilities, never a guess
    std::int64_t stamp;          // the instant on the grid that is judged, the model's delay before the newest
    std::int64_t newest;         // stamp of the frame that completed it
    std::int64_t age;            // newest - stamp
    int label;                   // the likeliest class of this step; -1: none, or not ready
    float confidence;            // its probability (of none, with label -1); 0 unless ready
    const float* probabilities;  // (K,), not smoothed; null unless ready
    int action;                  // the branch whose feature stays; -1 while the trail is not full
    std::int64_t macs;           // multiply-adds spent on this step, full count, every branch that ran included
    float interpolated;          // share of the window's steps with no frame within half a step of them
    int missing_joints;          // of the frame that completed the step: how many were filled
    std::int64_t gesture;        // id of the gesture that goes on; 0: none
    std::int64_t spatial_ns;     // time in branches; of a batch of tracks the share of one
    std::int64_t temporal_ns;    // the same in the temporal module; on a GPU in both, which run as one
};

// The words that Python and JSON have for them: "new", "tracked", "predicted", "lost"; "started", "held", "ended".
const char* name_of(TrackState state);
const char* name_of(GestureEvent::Kind kind);

// The likeliest classes of a step, none among them, the best first, of equals the first: labels (count,). How many
// there are: `count`, but no more than there are classes, and 0 unless it is ready.
int top(const StepResult& result, int classes, int count, int* labels);

// Counts since construction.
struct Stats {
    std::int64_t pushes;            // all, those with update_state only
    std::int64_t frames;            // usable ones that were received
    std::int64_t steps;             // grid instants that completed
    std::int64_t results;           // of them ready
    std::int64_t duplicate;         // frames with a stamp that their track has already
    std::int64_t late;              // frames older than what their track has
    std::int64_t clock_jumps;       // pushes with a stamp that did not continue the stream
    std::int64_t gaps;              // tracks that were lost: no usable frame for longer than the gap
    std::int64_t overflow;          // frames of new ids refused, tracks replaced
    std::int64_t unusable_frames;   // too much missing, the origin joint among it, infinite, too far away
    std::int64_t missing_joints;    // joints filled in usable frames
    std::int64_t jumps;             // bodies faster than max_speed
    std::int64_t skipped_steps;     // grid instants that fell into a gap of a track that came back
    std::int64_t idle_steps;        // frames that took the feature of the last computed one
    std::int64_t escalated;         // frames that took a dearer branch than the first
    std::int64_t budget_misses;     // unsure frames that were kept from a dearer branch by a budget
    std::int64_t budget_overruns;   // pushes that took longer than total_budget
    std::int64_t tracks_started;    // new ids
    std::int64_t tracks_forgotten;  // ids that lost their place, but for replaced ones
};

class Recogniser {
  public:
    // Makes a CPU engine of its own. Throws Error (engine) for a model that is not causal, one whose branches a policy
    // picks, and options out of their range.
    explicit Recogniser(const Model& model, const RecogniserOptions& options = {});
    // Branches run on this engine, of the same model; the temporal module of the continual mode on the CPU.
    Recogniser(const Model& model, std::unique_ptr<Inference> engine, const RecogniserOptions& options = {});
    // All of the model runs on this network, which has max_tracks slots: load_recogniser (load.h) makes one on a GPU.
    // The options that say how a network is made on the CPU keep their defaults: else Error (engine).
    Recogniser(const Model& model, std::unique_ptr<online::FrameNetwork> network,
               const RecogniserOptions& options = {});
    ~Recogniser();
    Recogniser(Recogniser&&) noexcept;
    Recogniser& operator=(Recogniser&&) noexcept;

    // Of each track the steps that completed, oldest first, and what became of gestures. Valid until the next call of
    // anything that is not const.
    struct Output {
        const StepResult* results;
        int count;
        const GestureEvent* events;
        int event_count;
    };

    // What the source saw at `stamp`: tracks (count,), with none of them too (time goes on). update_state=false:
    // results and events as they would be, and nothing changes.
    Output push(std::int64_t stamp, const TrackInput* tracks, int count, bool update_state = true);

    // A track, or all, start anew and their places are free; gestures that go on end in the next push, as lost. After
    // reset() any stamp continues the stream.
    void reset(std::int64_t track);
    void reset();

    bool ready(std::int64_t track) const;
    TrackState state(std::int64_t track) const;
    int receptive_field() const;  // steps that a decision rests on: lead + T; before so many a track is not ready
    std::int64_t delay()
        const;  // ns, at most: the model's own, and a step that an instant waits for the frame after it

    // Error (engine) for a model that does not escalate, an effort that is not from 0 to 1, MACs below those of effort
    // 0.
    void set_effort(double effort);
    void set_budgets(std::int64_t track, std::int64_t total);  // ns, as the options of these names; 0: none
    void set_max_macs(
        std::int64_t macs);  // the largest effort whose mean cost (of a window, effort table) is within it

    Stats stats() const;
    const Description& description() const;

  private:
    struct State;

    std::unique_ptr<State> state_;
};

}  // namespace adasgn
