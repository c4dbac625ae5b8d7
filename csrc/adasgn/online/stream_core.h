// The recogniser without its network: what a push does, step by step. recogniser.h tells what it means.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "adasgn/buffer.h"
#include "adasgn/online/frame_network.h"
#include "adasgn/online/frame_router.h"
#include "adasgn/online/stream_clock.h"
#include "adasgn/online/track_table.h"
#include "adasgn/recogniser.h"

namespace adasgn::online {

// Throws Error (engine) for a model that is not causal, one whose branches a policy picks, and options out of range.
void expect_recognisable(const Description& description, const RecogniserOptions& options);

class StreamCore {
  public:
    StreamCore(const Description& description, std::unique_ptr<FrameNetwork> network, const RecogniserOptions& options);

    Recogniser::Output push(std::int64_t stamp, const TrackInput* inputs, int count, bool update_state);
    void reset(std::int64_t track);
    void reset();
    bool ready(std::int64_t track) const;
    TrackState state(std::int64_t track) const;
    void set_effort(double effort);
    void set_budgets(std::int64_t track, std::int64_t total);

    const Stats& stats() const { return now_.stats; }
    const Description& description() const { return description_; }

  private:
    // All that a push changes, but for the network's past.
    struct Memory {
        StreamClock clock;
        TrackTable tracks;
        Stats stats;
        std::int64_t last_gesture;
        std::vector<GestureEvent> untold;  // of resets, for the next push
    };

    // The steps of a push, in their order.
    void take_in(std::int64_t stamp, const TrackInput* inputs, int count);
    bool keep_time(std::int64_t stamp);
    void end_unseen_tracks();
    void receive_frames(std::int64_t stamp, const TrackInput* inputs, int count);
    bool run_due_steps();  // one of each track, oldest first; false when there were none

    void expect_inputs(const TrackInput* inputs, int count) const;
    int place_for_new(std::int64_t stamp, const TrackInput& input);
    void receive(int place, std::int64_t stamp, const float* joints);
    void lose(int place, std::int64_t decided, std::vector<GestureEvent>& told);
    void free_place(int place, std::int64_t decided, std::vector<GestureEvent>& told);
    void free_all(std::int64_t decided, std::vector<GestureEvent>& told);
    void tell(Track& track, const StepEvents& step, std::vector<GestureEvent>& told);
    int add_task(int place);
    void give_result(int place, int task);
    void judge(Track& track, const float* probabilities, StepResult& result);
    void remember_all();
    void forget_push();

    Description description_;
    RecogniserOptions options_;
    std::unique_ptr<FrameNetwork> network_;
    float threshold_;
    Memory now_;
    Memory saved_;  // of a push that is to change nothing
    Track trial_;   // tells whether a new id's frame can begin a track, before it has a place
    FrameRouter router_;
    Budget budget_;
    std::vector<std::uint8_t> named_;  // (places,): whether this push has a frame of the track
    // Of the steps that run together, and of the whole push.
    std::vector<int> due_;
    std::vector<int> task_of_;     // (places,); -1: none, as the trail is not full
    std::vector<GridStep> steps_;  // (places,)
    std::vector<StepResult> results_;
    std::vector<GestureEvent> events_;
    Buffer probabilities_;  // (results, K)
};

}  // namespace adasgn::online
