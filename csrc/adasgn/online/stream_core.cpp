#include "adasgn/online/stream_core.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "adasgn/checks.h"
#include "adasgn/effort.h"

namespace adasgn::online {

namespace {

constexpr int kMostTracks = 4096;
constexpr int kMostInputs = 65536;              // of a push
constexpr std::int64_t kMostStepsOfGap = 1024;  // results of a push and a track have their places from the start
constexpr std::int64_t kMostTime = 86'400'000'000'000;  // ns, a day

void expect_number(const char* what, float value, float high) {
    if (!(value >= 0 && value <= high)) {
        throw Error(ErrorKind::engine, std::string(what) + ": expected a number from 0 to " + std::to_string(high) +
                                           ", found " + std::to_string(value));
    }
}

void expect_budgets(std::int64_t track, std::int64_t total) {
    expect_option("track_budget (ns)", track, 0, kMostTime);
    expect_option("total_budget (ns)", total, 0, kMostTime);
}

float threshold_for(const Description& description, double effort) {
    if (effort < 0) {
        return checked_threshold(description, kDefaultThreshold);
    }
    return threshold_of(description, effort);
}

TrackRules rules_of(const Description& description, const RecogniserOptions& options) {
    const int joints = description.recorded_joints();
    const CausalShape& causal = *description.causal;
    const int most_missing = static_cast<int>(options.missing * static_cast<float>(joints) + 1e-4F);
    return {{joints, causal.origin, most_missing, description.preprocessing.parents},
            description.preprocessing.scale_bone,
            description.recognition->step,
            options.max_speed,
            causal.lead(),
            description.clip_frames()};
}

Track blank_track(const Description& description, const RecogniserOptions& options) {
    const Recognition& recognition = *description.recognition;
    return {rules_of(description, options),
            Decisions(options.decision.value_or(recognition.decision), description.classes, recognition.none,
                      options.held_every),
            IdleGate(options.idle_motion, description.joints)};
}

std::size_t most_results(const Description& description, const RecogniserOptions& options) {
    return options.max_tracks * static_cast<std::size_t>(options.gap / description.recognition->step + 2);
}

const Description& checked(const Description& description, const RecogniserOptions& options) {
    expect_recognisable(description, options);
    return description;
}

}  // namespace

void expect_recognisable(const Description& description, const RecogniserOptions& options) {
    if (!description.causal || !description.recognition) {
        throw Error(ErrorKind::engine, "recogniser: expected a causal model, which is one for streams, found kind " +
                                           description.kind + " for clips");
    }
    if (description.adaptive) {
        throw Error(ErrorKind::engine,
                    "recogniser: expected a model of one branch or one that escalates, found one with a policy");
    }
    const std::int64_t step = description.recognition->step;
    expect_option("max_tracks", options.max_tracks, 1, kMostTracks);
    expect_option("gap (ns; at most 1024 steps)", options.gap, 1, std::min(kMostTime, kMostStepsOfGap * step));
    expect_option("forget (ns; at least the gap)", options.forget, options.gap, kMostTime);
    expect_option("late (ns)", options.late, 0, kMostTime);
    expect_budgets(options.track_budget, options.total_budget);
    expect_number("missing", options.missing, 1);
    expect_number("max_speed", options.max_speed, 1e9F);
    expect_number("idle_motion", options.idle_motion, kMaxCoordinate);
    if (options.exact && options.weights != WeightType::f32) {
        throw Error(ErrorKind::engine,
                    "weights: expected f32 in the exact mode, found bf16, which the continual one has");
    }
}

StreamCore::StreamCore(const Description& description, std::unique_ptr<FrameNetwork> network,
                       const RecogniserOptions& options)
    : description_(checked(description, options)),
      options_(options),
      network_(std::move(network)),
      threshold_(threshold_for(description, options.effort)),
      now_{StreamClock(options.late, options.gap),
           TrackTable(options.max_tracks, blank_track(description, options)),
           Stats{},
           0,
           {}},
      saved_(now_),
      trial_(blank_track(description, options)),
      router_(description, *network_, options.max_tracks, options.idle_motion > 0),
      budget_(options.track_budget, options.total_budget, options.max_tracks),
      named_(options.max_tracks),
      task_of_(options.max_tracks),
      steps_(options.max_tracks),
      probabilities_(most_results(description, options) * description.classes) {
    now_.untold.reserve(options.max_tracks);
    saved_.untold.reserve(options.max_tracks);
    due_.reserve(options.max_tracks);
    results_.reserve(most_results(description, options));
    events_.reserve(2 * most_results(description, options) + 4 * static_cast<std::size_t>(options.max_tracks));
}

Recogniser::Output StreamCore::push(std::int64_t stamp, const TrackInput* inputs, int count, bool update_state) {
    expect_inputs(inputs, count);
    if (!update_state) {
        remember_all();
    }
    try {
        take_in(stamp, inputs, count);
    } catch (...) {  // of the network: half of a push is done
        update_state ? reset() : forget_push();
        throw;
    }
    if (!update_state) {
        forget_push();
    }
    return {results_.data(), static_cast<int>(results_.size()), events_.data(), static_cast<int>(events_.size())};
}

void StreamCore::expect_inputs(const TrackInput* inputs, int count) const {
    expect_range("tracks of a push", count, 0, kMostInputs);
    if (count > 0 && inputs == nullptr) {
        throw Error(ErrorKind::clip, "tracks: expected " + std::to_string(count) + ", found null");
    }
    for (int i = 0; i < count; ++i) {
        if (inputs[i].joints == nullptr) {
            throw Error(ErrorKind::clip, "track " + std::to_string(inputs[i].id) + ": expected joints (" +
                                             std::to_string(description_.recorded_joints()) + ", 3), found null");
        }
    }
}

// -- a push -----------------------------------------------------------------------------------------------------------

void StreamCore::take_in(std::int64_t stamp, const TrackInput* inputs, int count) {
    budget_.begin_push();
    results_.clear();
    events_ = now_.untold;
    now_.untold.clear();
    ++now_.stats.pushes;
    if (!keep_time(stamp)) {
        return;
    }
    end_unseen_tracks();
    receive_frames(stamp, inputs, count);
    while (run_due_steps()) {
    }
    now_.stats.budget_overruns += static_cast<int>(budget_.overrun());
}

bool StreamCore::keep_time(std::int64_t stamp) {
    const std::int64_t newest = now_.clock.newest();
    switch (now_.clock.receive(stamp)) {
        case StreamClock::Arrival::in_doubt:
            ++now_.stats.clock_jumps;
            return false;
        case StreamClock::Arrival::set_back:  // what tracks have lies in a future that will not come
            free_all(newest, events_);
            return true;
        case StreamClock::Arrival::jumped_ahead:  // a gap to every track
        case StreamClock::Arrival::continues:
            return true;
    }
    return true;
}

void StreamCore::end_unseen_tracks() {
    for (int place = 0; place < now_.tracks.places(); ++place) {
        Track& track = now_.tracks[place];
        const std::int64_t unseen = now_.clock.newest() - track.received();
        if (track.live() && unseen > options_.gap) {
            ++now_.stats.gaps;
            lose(place, now_.clock.newest(), events_);
        }
        if (!track.free() && unseen > options_.forget) {
            free_place(place, now_.clock.newest(), events_);
        }
    }
}

void StreamCore::receive_frames(std::int64_t stamp, const TrackInput* inputs, int count) {
    std::fill(named_.begin(), named_.end(), std::uint8_t{0});
    for (int i = 0; i < count; ++i) {
        if (const int place = now_.tracks.find(inputs[i].id); place >= 0) {
            named_[place] = 1;
        }
    }
    for (int i = 0; i < count; ++i) {
        int place = now_.tracks.find(inputs[i].id);
        if (place < 0) {
            place = place_for_new(stamp, inputs[i]);
        }
        if (place >= 0) {
            receive(place, stamp, inputs[i].joints);
        }
    }
}

// -1: the frame can begin no track, or all places are taken.
int StreamCore::place_for_new(std::int64_t stamp, const TrackInput& input) {
    trial_.lose();
    if (trial_.receive(stamp, input.joints) == Track::Reception::unusable) {
        ++now_.stats.unusable_frames;
        return -1;
    }
    int place = now_.tracks.free_place();
    if (place < 0) {
        place = now_.tracks.unseen_longest(stamp, true, named_.data());
        now_.stats.tracks_forgotten += static_cast<int>(place >= 0);
    }
    if (place < 0) {
        ++now_.stats.overflow;
        place = options_.overflow == Overflow::replace ? now_.tracks.unseen_longest(stamp, false, named_.data()) : -1;
        if (place < 0) {
            return -1;
        }
        lose(place, now_.clock.newest(), events_);
    }
    now_.tracks[place].take_place(input.id);
    named_[place] = 1;
    ++now_.stats.tracks_started;
    return place;
}

void StreamCore::receive(int place, std::int64_t stamp, const float* joints) {
    Track& track = now_.tracks[place];
    Stats& stats = now_.stats;
    if (!track.is_news(stamp)) {
        ++(stamp == track.received() ? stats.duplicate : stats.late);
        return;
    }
    const std::int64_t open = track.open_before(stamp);
    const Track::Reception reception = track.receive(stamp, joints);
    switch (reception) {
        case Track::Reception::unusable:
            ++stats.unusable_frames;
            return;
        case Track::Reception::followed:
            break;
        case Track::Reception::other_body_unusable:
            ++stats.jumps;
            ++stats.unusable_frames;
            lose(place, now_.clock.newest(), events_);
            return;
        case Track::Reception::other_body_began:
            ++stats.jumps;
            tell(track, track.decisions.lose(stamp), events_);
            [[fallthrough]];
        case Track::Reception::began:
            stats.skipped_steps += open;
            network_->reset(place);
            break;
    }
    ++stats.frames;
    stats.missing_joints += track.filled_joints();
}

bool StreamCore::run_due_steps() {
    due_.clear();
    router_.clear();
    for (int place = 0; place < now_.tracks.places(); ++place) {
        Track& track = now_.tracks[place];
        if (!track.due()) {
            continue;
        }
        if (!track.take_step(steps_[place])) {
            ++now_.stats.unusable_frames;
            lose(place, now_.clock.newest(), events_);
            continue;
        }
        ++now_.stats.steps;
        due_.push_back(place);
        task_of_[place] = track.has_input() ? add_task(place) : -1;
    }
    if (router_.count() > 0) {
        router_.run(threshold_, budget_);
    }
    for (const int place : due_) {
        give_result(place, task_of_[place]);
    }
    return !due_.empty();
}

int StreamCore::add_task(int place) {
    Track& track = now_.tracks[place];
    const int task = router_.add({place, track.ready()});
    track.input(description_, router_.current(task), router_.previous(task));
    if (track.gate.holds(router_.current(task), router_.previous(task))) {
        router_.task(task).idle = true;
        router_.task(task).action = track.gate.action();
        std::copy_n(track.gate.feature(), kFeature, router_.feature(task));
    }
    return task;
}

void StreamCore::give_result(int place, int number) {
    Track& track = now_.tracks[place];
    StepResult result{};
    result.track = track.id();
    result.state = track.ready() ? TrackState::tracked : TrackState::fresh;
    result.ready = track.ready();
    result.stamp = steps_[place].stamp - description_.recognition->delay;
    result.newest = track.received();
    result.age = result.newest - result.stamp;
    result.label = -1;
    result.action = -1;
    result.interpolated = track.interpolated();
    result.missing_joints = track.filled_joints();
    if (number >= 0) {
        const FrameTask& task = router_.task(number);
        result.action = task.action;
        result.macs = task.macs;
        result.spatial_ns = task.spatial_ns;
        result.temporal_ns = task.temporal_ns;
        now_.stats.idle_steps += static_cast<int>(task.idle);
        now_.stats.escalated += static_cast<int>(task.action > 0);
        now_.stats.budget_misses += static_cast<int>(task.kept_from_dearer);
        if (track.gate.on() && task.computed) {
            track.gate.remember(router_.current(number), router_.previous(number), task.action,
                                router_.feature(number));
        }
    }
    if (result.ready) {
        judge(track, router_.probabilities(number), result);
    }
    results_.push_back(result);
}

// The label and gestures of a track's window.
void StreamCore::judge(Track& track, const float* probabilities, StepResult& result) {
    ++now_.stats.results;
    const auto classes = static_cast<std::size_t>(description_.classes);
    float* const own = probabilities_.data() + results_.size() * classes;
    std::copy_n(probabilities, classes, own);
    const auto best = std::max_element(own, own + classes);
    const int label = static_cast<int>(best - own);
    result.label = label == description_.recognition->none ? -1 : label;
    result.confidence = *best;
    result.probabilities = own;
    tell(track, track.decisions.step(result.stamp, own, result.newest), events_);
    result.gesture = track.gesture;
}

// -- tracks and gestures ----------------------------------------------------------------------------------------------

void StreamCore::lose(int place, std::int64_t decided, std::vector<GestureEvent>& told) {
    Track& track = now_.tracks[place];
    tell(track, track.decisions.lose(decided), told);
    track.lose();
}

void StreamCore::free_place(int place, std::int64_t decided, std::vector<GestureEvent>& told) {
    Track& track = now_.tracks[place];
    if (!track.free()) {
        lose(place, decided, told);
        track.leave_place();
        ++now_.stats.tracks_forgotten;
    }
}

void StreamCore::free_all(std::int64_t decided, std::vector<GestureEvent>& told) {
    for (int place = 0; place < now_.tracks.places(); ++place) {
        free_place(place, decided, told);
    }
}

// Gestures have numbers that all tracks share.
void StreamCore::tell(Track& track, const StepEvents& step, std::vector<GestureEvent>& told) {
    for (int i = 0; i < step.count; ++i) {
        GestureEvent event = step.events[i];
        if (event.kind == GestureEvent::Kind::started) {
            track.gesture = ++now_.last_gesture;
        }
        event.id = track.gesture;
        event.track = track.id();
        if (event.kind == GestureEvent::Kind::ended) {
            track.gesture = 0;
        }
        told.push_back(event);
    }
}

// -- what callers ask -------------------------------------------------------------------------------------------------

void StreamCore::reset(std::int64_t track) {
    if (const int place = now_.tracks.find(track); place >= 0) {
        free_place(place, now_.clock.newest(), now_.untold);
    }
}

void StreamCore::reset() {
    free_all(now_.clock.newest(), now_.untold);
    now_.clock.reset();
}

bool StreamCore::ready(std::int64_t track) const {
    const int place = now_.tracks.find(track);
    return place >= 0 && now_.tracks[place].ready();
}

TrackState StreamCore::state(std::int64_t id) const {
    const int place = now_.tracks.find(id);
    if (place < 0 || !now_.tracks[place].live()) {
        return TrackState::lost;
    }
    const Track& track = now_.tracks[place];
    if (track.received() < now_.clock.newest()) {
        return TrackState::predicted;
    }
    return track.ready() ? TrackState::tracked : TrackState::fresh;
}

void StreamCore::set_effort(double effort) {
    threshold_ = threshold_of(description_, effort);
}

void StreamCore::set_budgets(std::int64_t track, std::int64_t total) {
    expect_budgets(track, total);
    budget_.set(track, total);
}

void StreamCore::remember_all() {
    saved_ = now_;
    for (int place = 0; place < now_.tracks.places(); ++place) {
        if (!now_.tracks[place].free()) {
            network_->save(place);
        }
    }
}

void StreamCore::forget_push() {
    now_ = saved_;
    for (int place = 0; place < now_.tracks.places(); ++place) {
        if (!now_.tracks[place].free()) {
            network_->restore(place);
        }
    }
}

}  // namespace adasgn::online
