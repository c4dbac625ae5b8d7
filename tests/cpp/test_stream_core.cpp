// What a push does, with a network that follows a script: steps, tracks, time, peeking.
#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "adasgn/online/stream_core.h"
#include "copied_output.h"
#include "scripted_stream.h"

using namespace adasgn;
using namespace adasgn::testing;
using online::StreamCore;

namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
using Kind = GestureEvent::Kind;

std::string error_of(const RecogniserOptions& options, const Description& description = script_description()) {
    try {
        Stream stream(options, description);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::engine);
        return error.what();
    }
    return "no error";
}

}  // namespace

TEST_CASE("a track is ready with a whole window, and before it there is no guess") {
    Stream stream;
    const CopiedOutput all = stream.push_steps(0, 8, 1);
    REQUIRE(all.results.size() == 8);
    for (int i = 0; i < 8; ++i) {
        CAPTURE(i);
        const StepResult& result = all.results[i];
        const bool ready = i + 1 >= kScriptWindow;
        CHECK(result.track == 1);
        CHECK(result.ready == ready);
        CHECK(result.state == (ready ? TrackState::tracked : TrackState::fresh));
        CHECK(result.stamp == i * kGridStep);
        CHECK(result.age == 0);
        CHECK(result.label == (ready ? 1 : -1));
        CHECK((result.confidence > 0.9F) == ready);
        CHECK(result.action == (i < kScriptLead ? -1 : 0));
        CHECK(result.macs == (i < kScriptLead ? 0 : 107));
        CHECK(result.gesture == (ready ? 1 : 0));
    }
    REQUIRE(all.events.size() == 1);
    CHECK(all.events[0].kind == Kind::started);
    CHECK(all.events[0].start == 5 * kGridStep);
    CHECK(all.events[0].track == 1);
    CHECK(stream.core.ready(1));
    CHECK_FALSE(stream.core.ready(2));
    const Stats& stats = stream.core.stats();
    CHECK(stats.pushes == 8);
    CHECK(stats.frames == 8);
    CHECK(stats.steps == 8);
    CHECK(stats.results == 3);
    CHECK(stats.tracks_started == 1);
}

TEST_CASE("of a model with a delay a step judges what lies so long before it, and gestures are dated so") {
    Description description = script_description();
    description.recognition->delay = 2 * kGridStep;
    Stream late({}, description);
    Stream plain;
    const CopiedOutput delayed = late.push_steps(0, 8, 1);
    const CopiedOutput told = plain.push_steps(0, 8, 1);
    REQUIRE(delayed.results.size() == told.results.size());
    for (std::size_t i = 0; i < told.results.size(); ++i) {
        CHECK(delayed.results[i].stamp == told.results[i].stamp - 2 * kGridStep);
        CHECK(delayed.results[i].age == told.results[i].age + 2 * kGridStep);
        CHECK(delayed.results[i].newest == told.results[i].newest);
        CHECK(delayed.results[i].label == told.results[i].label);
    }
    REQUIRE(delayed.events.size() == 1);
    CHECK(delayed.events[0].start == told.events[0].start - 2 * kGridStep);
    CHECK(delayed.events[0].decided == told.events[0].decided);
}

TEST_CASE("none is a result too") {
    Stream stream;
    const StepResult last = stream.push_steps(0, 6, kScriptNone).results.back();
    CHECK(last.ready);
    CHECK(last.label == -1);
    CHECK(last.confidence > 0.9F);
}

TEST_CASE("a push completes all steps up to its stamp, oldest first") {
    Stream stream;
    stream.push(0);
    const CopiedOutput all = stream.push(230 * kMs);
    REQUIRE(all.results.size() == 4);
    for (int i = 0; i < 4; ++i) {
        CHECK(all.results[i].stamp == (i + 1) * kGridStep);
        CHECK(all.results[i].newest == 230 * kMs);
        CHECK(all.results[i].age == 230 * kMs - (i + 1) * kGridStep);
    }
    CHECK(all.results[0].interpolated == 0.5F);  // of two steps; no frame is within half a step
    CHECK(stream.push(240 * kMs).results.empty());
    CHECK(stream.push(250 * kMs).results.size() == 1);
}

TEST_CASE("frames that are no news are dropped, track by track") {
    Stream stream;
    stream.push(0);
    stream.push(50 * kMs);
    CHECK(stream.push(50 * kMs).results.empty());
    CHECK(stream.push(20 * kMs).results.empty());
    CHECK(stream.core.stats().duplicate == 1);
    CHECK(stream.core.stats().late == 1);
    // Another track's message of the same stamp, and one that came late.
    CHECK(stream.push(50 * kMs, {{2, script_joints(0)}}).results.size() == 1);
    CHECK(stream.push(30 * kMs, {{3, script_joints(0)}}).results.size() == 1);
    CHECK(stream.push(45 * kMs, {{3, script_joints(0)}, {2, script_joints(0)}}).results.empty());
    CHECK(stream.core.stats().late == 2);
    CHECK(stream.core.stats().frames == 5);
    // An id twice in a push, known or new: the first one counts.
    const std::vector<float> joints = script_joints(0);
    for (const std::int64_t id : {1, 4}) {
        const TrackInput twice[] = {{id, joints.data()}, {id, joints.data()}};
        stream.core.push(100 * kMs, twice, 2, true);
    }
    CHECK(stream.core.stats().duplicate == 3);
    CHECK(stream.core.stats().tracks_started == 4);
}

TEST_CASE("one bad stamp costs its frame, whatever it says") {
    for (const std::int64_t bad :
         {std::int64_t{1} << 60, -(std::int64_t{1} << 60), INT64_MAX, INT64_MIN, std::int64_t{1'000'000'400} * kMs}) {
        CAPTURE(bad);
        Stream stream;
        Stream clean;
        std::mt19937 random(4);
        std::int64_t stamp = 1'000'000'000 * kMs;
        int jumps = 0;
        for (int i = 0; i < 200; ++i) {
            stamp += 20 * kMs;
            const int label = i / 40 % kScriptClasses;
            const bool far = std::abs(bad / 2 - stamp / 2) > 1000 * kMs;
            if (i % 7 == 3 && far) {
                CHECK(stream.push(bad, 2).results.empty());
                ++jumps;
            }
            CHECK(same_output(stream.push(stamp, label), clean.push(stamp, label)));
        }
        CHECK(stream.core.stats().clock_jumps == jumps);
        CHECK(stream.core.stats().gaps == 0);
    }
}

TEST_CASE("a clock that was set, back or ahead: everything starts anew with the second stamp") {
    for (const std::int64_t to : {-500'000 * kMs, 500'000 * kMs}) {
        CAPTURE(to);
        Stream stream;
        stream.push_steps(0, 8, 1);
        CHECK(stream.push(to, 1).results.empty());
        CHECK(stream.core.state(1) == TrackState::tracked);
        const CopiedOutput second = stream.push(to + 50 * kMs, 1);
        REQUIRE(second.results.size() == 1);
        CHECK_FALSE(second.results[0].ready);
        CHECK(second.results[0].stamp == to + 50 * kMs);
        REQUIRE(second.events.size() == 1);
        CHECK(second.events[0].kind == Kind::ended);
        CHECK(second.events[0].lost);
        CHECK(second.events[0].end == 7 * kGridStep);
        const CopiedOutput later = stream.push_steps(to + 100 * kMs, 5, 1);
        CHECK(later.results.back().ready);
        REQUIRE(later.events.size() == 1);
        CHECK(later.events[0].id == 2);
        CHECK(stream.core.stats().clock_jumps == 1);
    }
}

TEST_CASE("a gap ends a track, and it starts anew") {
    RecogniserOptions options;
    options.gap = 200 * kMs;
    options.forget = 1000 * kMs;
    Stream stream(options);
    stream.push_steps(0, 7, 1);  // until 300
    CHECK(stream.push_nobody(400 * kMs).results.empty());
    CHECK(stream.core.state(1) == TrackState::predicted);
    CHECK(stream.push(450 * kMs, 1).results.size() == 3);  // bridged
    CHECK(stream.core.state(1) == TrackState::tracked);
    CHECK(stream.push_nobody(650 * kMs).events.empty());
    const CopiedOutput lost = stream.push_nobody(651 * kMs);
    REQUIRE(lost.events.size() == 1);
    CHECK(lost.events[0].lost);
    CHECK(lost.events[0].decided == 651 * kMs);
    CHECK(lost.events[0].end == 450 * kMs);
    CHECK(stream.core.state(1) == TrackState::lost);
    CHECK_FALSE(stream.core.ready(1));
    const CopiedOutput again = stream.push(700 * kMs, 1);
    REQUIRE(again.results.size() == 1);
    CHECK(again.results[0].state == TrackState::fresh);
    CHECK(stream.core.stats().gaps == 1);
    CHECK(stream.core.stats().skipped_steps == 4);  // 500, 550, 600, 650
    CHECK(stream.core.stats().tracks_started == 1);
    CHECK(stream.log.resets == std::vector<int>{0, 0});
    CHECK(stream.push_steps(750 * kMs, 5, 1).results.back().ready);
    // Seen again in the push that notices the gap.
    stream.push_nobody(1100 * kMs);
    CHECK(stream.push(1250 * kMs, 1).results.size() == 1);
    CHECK(stream.core.stats().gaps == 2);
}

TEST_CASE("places: forgotten tracks leave theirs, and who gets one when all are taken") {
    RecogniserOptions options;
    options.max_tracks = 2;
    const auto at = [](std::int64_t id) { return std::map<std::int64_t, std::vector<float>>{{id, script_joints(0)}}; };
    {
        Stream stream(options);
        stream.push(0, at(1));
        stream.push(50 * kMs, at(2));
        CHECK(stream.push(100 * kMs, at(3)).results.empty());
        CHECK(stream.core.state(3) == TrackState::lost);
        CHECK(stream.core.stats().overflow == 1);
        for (int i = 3; i <= 40; ++i) {
            stream.push(i * 50 * kMs, at(2));
        }
        CHECK(stream.core.state(1) == TrackState::lost);
        CHECK(stream.core.stats().tracks_forgotten == 0);
        CHECK(stream.push(41 * 50 * kMs, at(3)).results.size() == 1);
        CHECK(stream.core.stats().tracks_forgotten == 1);
        CHECK(stream.core.stats().tracks_started == 3);
    }
    {  // A lost track does not keep anybody out.
        Stream stream(options);
        stream.push(0, at(1));
        for (int i = 1; i <= 7; ++i) {
            stream.push(i * 50 * kMs, at(2));
        }
        CHECK(stream.core.state(1) == TrackState::lost);
        CHECK(stream.push(400 * kMs, {{1, script_joints(0)}, {3, script_joints(0)}}).results.size() == 1);  // itself
        for (int i = 9; i <= 15; ++i) {
            stream.push(i * 50 * kMs, at(1));
        }
        CHECK(stream.push(800 * kMs, at(3)).results.size() == 1);
        CHECK(stream.core.stats().tracks_forgotten == 1);
        CHECK(stream.core.stats().overflow == 1);
    }
    options.overflow = Overflow::replace;
    Stream stream(options);
    stream.push(0, at(1));
    stream.push(50 * kMs, at(2));
    CHECK(stream.push(100 * kMs, at(3)).results.size() == 1);
    CHECK(stream.core.state(1) == TrackState::lost);
    CHECK(stream.core.state(2) == TrackState::predicted);
    CHECK(stream.core.stats().overflow == 1);
    // A track that this push sees is spared, wherever it stands in the list.
    const CopiedOutput both = stream.push(150 * kMs, {{1, script_joints(0)}, {2, script_joints(0)}});
    CHECK(both.results.size() == 3);
    CHECK(stream.core.state(2) == TrackState::fresh);
    CHECK(stream.core.state(3) == TrackState::lost);
    // All are seen: even then there is no place.
    stream.push(200 * kMs, {{0, script_joints(0)}, {1, script_joints(0)}, {2, script_joints(0)}});
    CHECK(stream.core.state(0) == TrackState::lost);
    // Nor for a frame that can begin nothing.
    stream.push(250 * kMs, {{9, std::vector<float>(9, kNaN)}});
    CHECK(stream.core.state(1) == TrackState::predicted);
    CHECK(stream.core.stats().unusable_frames == 1);
}

TEST_CASE("a replaced track's gesture ends as lost") {
    RecogniserOptions options;
    options.max_tracks = 1;
    options.overflow = Overflow::replace;
    Stream stream(options);
    stream.push_steps(0, 7, 2);
    const CopiedOutput told = stream.push(350 * kMs, {{5, script_joints(0)}});
    REQUIRE(told.events.size() == 1);
    CHECK(told.events[0].track == 1);
    CHECK(told.events[0].lost);
    CHECK(told.results[0].track == 5);
}

TEST_CASE("missing joints are filled and counted; a frame that lacks too much is none") {
    Stream stream;  // at most one of three
    const auto lacking = [](std::vector<int> missing) {
        std::vector<float> joints = script_joints(1);
        for (const int joint : missing) {
            joints[3 * joint] = kNaN;
        }
        return std::map<std::int64_t, std::vector<float>>{{1, joints}};
    };
    CHECK(stream.push(0, lacking({0})).results.empty());  // the origin joint
    CHECK(stream.core.state(1) == TrackState::lost);
    stream.push(0, 1);
    stream.push_steps(50 * kMs, 5, 1);
    const CopiedOutput filled = stream.push(300 * kMs, lacking({1}));
    REQUIRE(filled.results.size() == 1);
    CHECK(filled.results[0].label == 1);  // as before
    CHECK(filled.results[0].missing_joints == 1);
    CHECK(stream.core.stats().missing_joints == 1);
    CHECK(stream.push(350 * kMs, lacking({1, 2})).results.empty());
    CHECK(stream.core.state(1) == TrackState::predicted);
    CHECK(stream.push(400 * kMs, lacking({0})).results.empty());
    CHECK(stream.core.stats().unusable_frames == 3);
    CHECK(stream.push(450 * kMs, 1).results.size() == 3);  // bridged
    const CopiedOutput later = stream.push(500 * kMs, {{1, script_joints(1)}, {2, lacking({2}).at(1)}});
    CHECK(later.results.size() == 2);  // a body that lacks a joint from its first frame on is one
    CHECK(stream.core.state(2) == TrackState::fresh);
}

TEST_CASE("a body that jumps is another one") {
    RecogniserOptions options;
    options.max_speed = 10;
    Stream stream(options);
    stream.push_steps(0, 7, 1);
    const CopiedOutput other = stream.push(350 * kMs, {{1, script_joints(1, 20, 0.6F)}});
    REQUIRE(other.results.size() == 1);
    CHECK_FALSE(other.results[0].ready);
    REQUIRE(other.events.size() == 1);
    CHECK(other.events[0].lost);
    CHECK(other.events[0].decided == 350 * kMs);
    CHECK(stream.core.stats().jumps == 1);
    CHECK(stream.push(400 * kMs, {{1, script_joints(1, 20, 0.2F)}}).results.size() == 1);
    CHECK(stream.core.stats().jumps == 1);
}

TEST_CASE("a reset ends gestures, which the next push tells, and frees the places") {
    Stream stream;
    stream.push_steps(0, 7, 1);
    stream.core.reset(1);
    stream.core.reset(99);  // nobody
    CHECK(stream.core.state(1) == TrackState::lost);
    const CopiedOutput next = stream.push(350 * kMs, 1);
    REQUIRE(next.events.size() == 1);
    CHECK(next.events[0].lost);
    CHECK_FALSE(next.results[0].ready);
    CHECK(stream.push(400 * kMs, 1).events.empty());
    stream.core.reset();
    CHECK(stream.push(-77'000'000 * kMs, 1).results.size() == 1);  // any clock
}

TEST_CASE("what a push would give, and nothing changes") {
    RecogniserOptions options;
    options.max_tracks = 3;
    options.overflow = Overflow::replace;
    options.max_speed = 40;
    options.idle_motion = 0.02F;
    Stream stream(options);
    Stream clean(options);
    std::mt19937 random(6);
    const auto in = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
    std::int64_t stamp = 0;
    int events = 0;
    int long_pushes = 0;
    for (int i = 0; i < 3000; ++i) {
        stamp += in(0, 99) == 0 ? in(-2000, 2000) * kMs : in(1, 90) * kMs;
        std::map<std::int64_t, std::vector<float>> tracks;
        for (std::int64_t id = 0; id < 4; ++id) {
            if (in(0, 9) > 0) {
                tracks[id] = script_joints(i / 30 % 4, in(0, 3) == 0 ? 1.0F : 20, in(0, 50) == 0 ? 3.0F : 0.0F);
                if (in(0, 9) == 0) {
                    tracks[id][in(0, 8)] = kNaN;
                }
            }
        }
        if (in(0, 200) == 0) {
            stream.core.reset(1);
            clean.core.reset(1);
        }
        const Stats before = stream.core.stats();
        const CopiedOutput peeked = stream.push(stamp, tracks, false);
        CHECK(std::memcmp(&before, &stream.core.stats(), sizeof before) == 0);
        const CopiedOutput other = stream.push(stamp + 7 * kMs, tracks, false);
        CHECK(same_output(peeked, stream.push(stamp, tracks, false)));
        const CopiedOutput pushed = stream.push(stamp, tracks);
        CHECK(same_output(peeked, pushed));
        CHECK(same_output(pushed, clean.push(stamp, tracks)));
        events += static_cast<int>(pushed.events.size());
        long_pushes += static_cast<int>(pushed.results.size() > 4);
    }
    const Stats& stats = stream.core.stats();
    CHECK(std::memcmp(&stats, &clean.core.stats(), sizeof stats) == 0);
    CHECK(events > 50);  // all of it has happened
    CHECK(long_pushes > 50);
    for (const std::int64_t count : {stats.gaps, stats.overflow, stats.jumps, stats.clock_jumps, stats.unusable_frames,
                                     stats.missing_joints, stats.escalated, stats.idle_steps, stats.late}) {
        CHECK(count > 0);
    }
}

TEST_CASE("a network that fails leaves a recogniser that starts anew, or after a peek as it was") {
    Stream stream;
    stream.push_steps(0, 7, 1);
    stream.log.fail = true;
    CHECK_THROWS_AS(stream.push(350 * kMs, {{1, script_joints(1)}}, false), Error);
    CHECK(stream.core.state(1) == TrackState::tracked);
    CHECK_THROWS_AS(stream.push(350 * kMs, 1), Error);
    CHECK(stream.core.state(1) == TrackState::lost);
    stream.log.fail = false;
    const CopiedOutput next = stream.push(400 * kMs, 1);
    CHECK(next.results.size() == 1);
    CHECK(next.events.size() == 1);
    CHECK(next.events[0].lost);
}

TEST_CASE("misuse is an error that says so, and nothing has happened") {
    Stream stream;
    const auto message = [&](const TrackInput* tracks, int count) -> std::string {
        try {
            stream.core.push(0, tracks, count, true);
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::clip);
            return error.what();
        }
        return "no error";
    };
    const TrackInput null{7, nullptr};
    CHECK(message(&null, 1) == "track 7: expected joints (3, 3), found null");
    CHECK(message(nullptr, 2) == "tracks: expected 2, found null");
    CHECK(message(&null, -1) == "tracks of a push: expected 0 to 65536, found -1");
    CHECK(message(&null, 65537).find("found 65537") > 0);
    CHECK(message(nullptr, 0) == "no error");
    CHECK(stream.core.stats().pushes == 1);
}

TEST_CASE("options out of their range, and models that are not for streams") {
    const auto changed = [](auto&& change) {
        RecogniserOptions options;
        change(options);
        return error_of(options);
    };
    CHECK(changed([](RecogniserOptions&) {}) == "no error");
    CHECK(changed([](RecogniserOptions& o) { o.gap = 0; }) ==
          "gap (ns; at most 1024 steps): expected 1 to 51200000000, found 0");
    CHECK(changed([](RecogniserOptions& o) { o.forget = o.gap - 1; }).find("forget (ns; at least the gap)") == 0);
    CHECK(changed([](RecogniserOptions& o) { o.max_tracks = 0; }) == "max_tracks: expected 1 to 4096, found 0");
    CHECK(changed([](RecogniserOptions& o) { o.late = -1; }).find("late") == 0);
    CHECK(changed([](RecogniserOptions& o) { o.track_budget = -1; }).find("track_budget") == 0);
    CHECK(changed([](RecogniserOptions& o) { o.total_budget = -1; }).find("total_budget") == 0);
    CHECK(changed([](RecogniserOptions& o) { o.missing = 1.5F; }).find("missing: expected a number from 0 to 1") == 0);
    CHECK(changed([](RecogniserOptions& o) { o.max_speed = kNaN; }).find("max_speed: expected") == 0);
    CHECK(changed([](RecogniserOptions& o) { o.idle_motion = -1; }).find("idle_motion: expected") == 0);
    CHECK(changed([](RecogniserOptions& o) { o.held_every = -1; }).find("held_every") == 0);
    CHECK(changed([](RecogniserOptions& o) { o.effort = 2; }).find("effort: expected") == 0);
    CHECK(changed([](RecogniserOptions& o) { o.decision = Decision{2, 0, 0, 0, 0, 0, 0, 0, 0}; }).find("decision") ==
          0);

    CHECK(error_of({}, random_model(kDense25, 1).description) ==
          "recogniser: expected a causal model, which is one for streams, found kind sgn for clips");
    Description policy = script_description();
    policy.adaptive = true;
    CHECK(error_of({}, policy).find("found one with a policy") > 0);
}
