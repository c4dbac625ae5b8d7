#include "adasgn/online/track.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "adasgn/causal.h"
#include "adasgn/constants.h"

namespace adasgn::online {

namespace {

// From the world's origin, in units of scale: half of what a branch takes, since it sees differences of two places.
constexpr double kMostDistance = kMaxCoordinate / 2;

template <class T>
double distance(const T* a, const T* b) {
    double squares = 0;
    for (int c = 0; c < kCoordinates; ++c) {
        const double apart = static_cast<double>(a[c]) - static_cast<double>(b[c]);
        squares += apart * apart;
    }
    return std::sqrt(squares);
}

}  // namespace

Track::Track(const TrackRules& rules, const Decisions& own_decisions, const IdleGate& own_gate)
    : decisions(own_decisions),
      gate(own_gate),
      rules_(rules),
      floats_(static_cast<std::size_t>(rules.joints.joints) * kCoordinates),
      memory_(rules.joints),
      grid_(rules.step),
      older_(floats_),
      newer_(floats_),
      arriving_(floats_),
      between_(floats_),
      grid_frames_((rules.lead + 1) * floats_),
      recent_(rules.lead + 1),
      interpolated_(rules.window) {}

Track::Reception Track::receive(std::int64_t stamp, const float* joints) {
    if (!live()) {
        return begin(stamp, joints) ? Reception::began : Reception::unusable;
    }
    const std::optional<int> filled = memory_.complete(joints, arriving_.data());
    if (!filled || !within_reach(arriving_.data(), scale_.value())) {
        return Reception::unusable;
    }
    if (moved_too_fast(stamp)) {
        return begin(stamp, joints) ? Reception::other_body_began : Reception::other_body_unusable;
    }
    memory_.remember(joints);
    std::swap(older_, newer_);
    std::swap(newer_, arriving_);
    grid_.advance(stamp);
    received_ = stamp;
    filled_ = *filled;
    return Reception::followed;
}

bool Track::begin(std::int64_t stamp, const float* joints) {
    memory_.forget();
    const std::optional<int> filled = memory_.complete(joints, arriving_.data());
    if (!filled || !scale_bone_seen(joints)) {
        return false;
    }
    std::copy(arriving_.begin(), arriving_.end(), between_.begin());
    const double length = scale_length(between_.data());
    if (!(length > 0) || !within_reach(arriving_.data(), length)) {
        return false;
    }
    memory_.remember(joints);
    std::swap(newer_, arriving_);
    std::copy(newer_.begin(), newer_.end(), older_.begin());
    grid_.begin(stamp);
    scale_.clear();
    gate.forget();
    received_any_ = true;
    received_ = stamp;
    filled_ = *filled;
    grid_frame_count_ = 0;
    std::fill(interpolated_.begin(), interpolated_.end(), std::uint8_t{0});
    interpolated_count_ = 0;
    place_ = Place::live;
    return true;
}

bool Track::take_step(GridStep& step) {
    step = grid_.take();
    for (std::size_t i = 0; i < floats_; ++i) {
        between_[i] = (1 - step.weight) * static_cast<double>(older_[i]) + step.weight * static_cast<double>(newer_[i]);
    }
    scale_.add(scale_length(between_.data()));
    float* const row = grid_frames_.data() + grid_row(grid_frame_count_);
    for (std::size_t i = 0; i < floats_; ++i) {
        row[i] = static_cast<float>(between_[i] / scale_.value());
    }
    std::uint8_t& flag = interpolated_[grid_frame_count_ % rules_.window];
    interpolated_count_ += static_cast<int>(step.interpolated) - static_cast<int>(flag);
    flag = static_cast<std::uint8_t>(step.interpolated);
    ++grid_frame_count_;
    return within_reach(row, 1);
}

void Track::input(const Description& description, float* current, float* previous) {
    const std::int64_t oldest = grid_frame_count_ - 1 - rules_.lead;
    for (int i = 0; i <= rules_.lead; ++i) {
        recent_[i] = grid_frames_.data() + grid_row(oldest + i);
    }
    causal_frame(description, recent_.data(), current, previous);
}

void Track::take_place(std::int64_t id) {
    id_ = id;
    place_ = Place::lost;
    received_any_ = false;
    grid_frame_count_ = 0;
}

float Track::interpolated() const {
    const auto frames = std::min<std::int64_t>(grid_frame_count_, rules_.window);
    return frames == 0 ? 0 : static_cast<float>(interpolated_count_) / static_cast<float>(frames);
}

std::int64_t Track::open_before(std::int64_t stamp) const {
    return grid_frame_count_ == 0 ? 0 : grid_.open_before(stamp);
}

bool Track::within_reach(const float* joints, double scale) const {
    return std::all_of(joints, joints + floats_,
                       [=](float x) { return std::fabs(static_cast<double>(x)) <= kMostDistance * scale; });
}

bool Track::moved_too_fast(std::int64_t stamp) const {
    if (rules_.max_speed == 0) {
        return false;
    }
    // Over a step at least: between frames that are nearer, jitter of the stamps would look like speed.
    const double seconds = 1e-9 * static_cast<double>(std::max(stamp - received_, rules_.step));
    const int origin = rules_.joints.origin * kCoordinates;
    return distance(arriving_.data() + origin, newer_.data() + origin) / scale_.value() >
           static_cast<double>(rules_.max_speed) * seconds;
}

// Nothing tells how long it is while a filled joint is one of its ends; later it is filled as long as it was.
bool Track::scale_bone_seen(const float* joints) const {
    return !rules_.scale_bone || std::none_of(rules_.scale_bone->begin(), rules_.scale_bone->end(),
                                              [=](int end) { return is_missing(joints + end * kCoordinates); });
}

double Track::scale_length(const double* joints) const {
    if (!rules_.scale_bone) {
        return 1;
    }
    const auto [first, second] = *rules_.scale_bone;
    return distance(joints + first * kCoordinates, joints + second * kCoordinates);
}

std::size_t Track::grid_row(std::int64_t frame) const {
    return static_cast<std::size_t>(frame % (rules_.lead + 1)) * floats_;
}

}  // namespace adasgn::online
