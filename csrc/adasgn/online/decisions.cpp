#include "adasgn/online/decisions.h"

#include <algorithm>
#include <string>

#include "adasgn/checks.h"

namespace adasgn {

namespace {

constexpr std::int64_t kMostTime = 3'600'000'000'000;  // ns, an hour

void expect_share(const char* what, bool ok, float value) {
    if (!ok) {
        throw Error(ErrorKind::engine, std::string("decision: expected ") + what + ", found " + std::to_string(value));
    }
}

bool is_share(float value) {
    return value >= 0 && value <= 1;
}

const Decision& checked(const Decision& decision) {
    const auto& [smoothing, start, end, low, minimum, maximum, cool_down, start_shift, end_shift] = decision;
    expect_share("smoothing above 0, at most 1", is_share(smoothing) && smoothing > 0, smoothing);
    expect_share("start from 0 to 1", is_share(start), start);
    expect_share("end from 0 to start", is_share(end) && end <= start, end);
    expect_share("low from 0 to 1", is_share(low), low);
    expect_option("decision: minimum", minimum, 0, kMostTime);
    expect_option("decision: maximum, which is no shorter than minimum", maximum, minimum, kMostTime);
    expect_option("decision: cool_down", cool_down, 0, kMostTime);
    expect_option("decision: start_shift", start_shift, -kMostTime, kMostTime);
    expect_option("decision: end_shift", end_shift, -kMostTime, kMostTime);
    return decision;
}

}  // namespace

Decisions::Decisions(const Decision& decision, int classes, int none, std::int64_t held_every)
    : decision_(checked(decision)), none_(none), held_every_(held_every) {
    expect_option("classes", classes, 2, kMaxClasses);
    expect_option("none", none, 0, classes - 1);
    expect_option("held_every", held_every, 0, kMostTime);
    smoothed_.resize(classes);
}

StepEvents Decisions::step(std::int64_t stamp, const float* probabilities, std::int64_t decided) {
    StepEvents told;
    smooth(probabilities);
    const bool looks_like_some = 1 - smoothed_[none_] >= decision_.low;
    if (looks_like_some && !in_run_) {
        run_start_ = stamp;
    }
    in_run_ = looks_like_some;
    last_step_ = stamp;
    if (blocked_ >= 0 && smoothed_[blocked_] < decision_.end) {
        blocked_ = -1;
    }
    if (gesture_ != 0) {
        go_on(stamp, decided, told);
    }
    if (gesture_ == 0) {
        start_one(stamp, decided, told);
    }
    return told;
}

StepEvents Decisions::lose(std::int64_t decided) {
    StepEvents told;
    if (gesture_ != 0) {
        end_one(std::max(start_, last_step_), decided, true, told);
    }
    begun_ = false;
    in_run_ = false;
    has_ended_ = false;
    blocked_ = -1;
    return told;
}

void Decisions::smooth(const float* probabilities) {
    const float weight = begun_ ? decision_.smoothing : 1;
    begun_ = true;
    std::transform(smoothed_.begin(), smoothed_.end(), probabilities, smoothed_.begin(),
                   [=](float mean, float newest) { return weight * newest + (1 - weight) * mean; });
}

int Decisions::candidate() const {
    int best = none_ == 0 ? 1 : 0;
    for (int k = best + 1; k < static_cast<int>(smoothed_.size()); ++k) {
        if (k != none_ && smoothed_[k] > smoothed_[best]) {
            best = k;
        }
    }
    return best;
}

void Decisions::go_on(std::int64_t stamp, std::int64_t decided, StepEvents& told) {
    const float own = smoothed_[label_];
    highest_ = std::max(highest_, own);
    if (own >= decision_.start) {
        last_sure_ = stamp;
    }
    const float other = smoothed_[candidate()];  // its own, if no other is above it
    const bool over = own < decision_.end || (other >= decision_.start && other > own);
    const bool too_long = stamp - start_ >= decision_.maximum;
    if (over || too_long) {
        blocked_ = over ? -1 : label_;
        rest_until_ = stamp + decision_.cool_down;
        end_one(std::max(start_, last_sure_ + decision_.end_shift), decided, false, told);
        last_end_ =
            std::max(start_, stamp + decision_.end_shift);  // what it was taken for until now is not the next one's
    } else if (held_every_ > 0 && stamp - last_told_ >= held_every_) {
        last_told_ = stamp;
        tell(GestureEvent::Kind::held, own, stamp, decided, false, told);
    }
}

void Decisions::start_one(std::int64_t stamp, std::int64_t decided, StepEvents& told) {
    const int label = candidate();
    const bool rested = !has_ended_ || stamp >= rest_until_;
    if (label == blocked_ || smoothed_[label] < decision_.start || !rested) {
        return;
    }
    const std::int64_t start = dated_back(stamp);
    if (stamp - start < decision_.minimum) {
        return;
    }
    gesture_ = ++last_id_;
    label_ = label;
    start_ = start;
    highest_ = smoothed_[label];
    last_sure_ = stamp;
    last_told_ = stamp;
    tell(GestureEvent::Kind::started, highest_, stamp, decided, false, told);
}

std::int64_t Decisions::dated_back(std::int64_t stamp) const {
    const std::int64_t start = (in_run_ ? run_start_ : stamp) + decision_.start_shift;
    return has_ended_ ? std::max(start, last_end_) : start;
}

void Decisions::end_one(std::int64_t end, std::int64_t decided, bool lost, StepEvents& told) {
    tell(GestureEvent::Kind::ended, highest_, end, decided, lost, told);
    has_ended_ = true;
    last_end_ = end;
    gesture_ = 0;
    label_ = -1;
}

void Decisions::tell(GestureEvent::Kind kind, float confidence, std::int64_t end, std::int64_t decided, bool lost,
                     StepEvents& told) const {
    told.events[told.count++] = {kind, gesture_, 0, label_, confidence, start_, end, decided, lost};
}

}  // namespace adasgn
