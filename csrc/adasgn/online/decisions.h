// From the class probabilities of one track's grid steps to gestures with a start and an end. Needs no model: choosing
// the thresholds on recorded probabilities runs this very code.
//
// Symbols: K classes, one of them none; times are int64 nanoseconds of the source's clock.
#pragma once

#include <cstdint>
#include <vector>

#include "adasgn/error.h"
#include "adasgn/model.h"

namespace adasgn {

struct GestureEvent {
    enum class Kind { started, held, ended } kind;
    std::int64_t id;     // of the gesture, from 1; all its events have it
    std::int64_t track;  // 0 from Decisions, which know of one track
    int label;
    float confidence;      // smoothed probability of the label; of `ended` the highest that it had
    std::int64_t start;    // dated back
    std::int64_t end;      // dated back too; of a gesture that goes on: the step's stamp
    std::int64_t decided;  // newest input stamp when this was decided
    bool lost;             // ended because its track was lost or started anew
};

// The events of one step, at most two: a gesture ended and another started.
struct StepEvents {
    GestureEvent events[2];
    int count = 0;
};

class Decisions {
  public:
    // held_every: a gesture that goes on is told again after this time; 0: never. Throws Error (engine) for values that
    // make no sense: shares beyond 0 … 1, a smoothing of 0, an end above the start, negative durations.
    Decisions(const Decision& decision, int classes, int none, std::int64_t held_every = 0);

    // A step's probabilities (K,), in the order of their stamps; decided: what the events say of themselves.
    StepEvents step(std::int64_t stamp, const float* probabilities, std::int64_t decided);
    StepEvents step(std::int64_t stamp, const float* probabilities) { return step(stamp, probabilities, stamp); }

    // The track is gone: a gesture ends at the last step, and the next step is the first one again.
    StepEvents lose(std::int64_t decided);

    std::int64_t gesture() const { return gesture_; }  // id of the one that goes on; 0: none
    const std::vector<float>& smoothed() const { return smoothed_; }

  private:
    void smooth(const float* probabilities);
    int candidate() const;  // the likeliest gesture
    std::int64_t dated_back(std::int64_t stamp) const;
    void go_on(std::int64_t stamp, std::int64_t decided, StepEvents& told);
    void start_one(std::int64_t stamp, std::int64_t decided, StepEvents& told);
    void end_one(std::int64_t end, std::int64_t decided, bool lost, StepEvents& told);
    void tell(GestureEvent::Kind kind, float confidence, std::int64_t end, std::int64_t decided, bool lost,
              StepEvents& told) const;

    Decision decision_;
    int none_;
    std::int64_t held_every_;
    std::vector<float> smoothed_;  // (K,)
    bool begun_ = false;           // a step has been
    std::int64_t last_step_ = 0;
    std::int64_t run_start_ = 0;  // of the steps up to now that look like some gesture
    bool in_run_ = false;
    bool has_ended_ = false;     // a gesture before: none starts before its end nor within the cool-down
    std::int64_t last_end_ = 0;  // not dated back
    std::int64_t rest_until_ = 0;
    int blocked_ = -1;  // a label that was cut at the maximum, until it falls below the end
    std::int64_t last_id_ = 0;
    std::int64_t gesture_ = 0;
    int label_ = -1;
    float highest_ = 0;
    std::int64_t start_ = 0;
    std::int64_t last_sure_ = 0;  // the last step at which it was as likely as a start asks for
    std::int64_t last_told_ = 0;
};

}  // namespace adasgn
