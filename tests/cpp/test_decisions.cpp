// Probabilities in, gestures out: cases made by hand. Three classes: two gestures and none, in this order.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "adasgn/online/decisions.h"

using namespace adasgn;

namespace {

using Kind = GestureEvent::Kind;

constexpr std::int64_t kStep = 100;
constexpr int kNone = 2;

// No smoothing, no minimum, no cool-down, no shift: each test adds what it is about.
Decision plain() {
    return {1, 0.7F, 0.4F, 0.5F, 0, 100'000, 0, 0, 0};
}

// The second gesture has what the first one and none leave.
std::vector<float> row(float first, float none) {
    return {first, 1 - first - none, none};
}

// Steps of the first gesture against none, from stamp 0 on.
std::vector<GestureEvent> run(Decisions& decisions, const std::vector<std::vector<float>>& rows,
                              std::int64_t from = 0) {
    std::vector<GestureEvent> all;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const StepEvents told = decisions.step(from + static_cast<std::int64_t>(i) * kStep, rows[i].data());
        all.insert(all.end(), told.events, told.events + told.count);
    }
    return all;
}

std::vector<std::vector<float>> against_none(const std::vector<float>& first) {
    std::vector<std::vector<float>> rows;
    for (const float p : first) {
        rows.push_back(row(p, 1 - p));
    }
    return rows;
}

void check_event(const GestureEvent& event, Kind kind, std::int64_t id, int label, std::int64_t start,
                 std::int64_t end) {
    CHECK(event.kind == kind);
    CHECK(event.id == id);
    CHECK(event.label == label);
    CHECK(event.start == start);
    CHECK(event.end == end);
    CHECK(event.track == 0);
}

std::string error_of(const Decision& decision) {
    try {
        Decisions(decision, 3, kNone);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::engine);
        return error.what();
    }
    return "no error";
}

}  // namespace

TEST_CASE("a gesture starts at one probability and ends below a lower one") {
    Decisions decisions(plain(), 3, kNone);
    const auto events = run(decisions, against_none({0, 0.69F, 0.7F, 0.5F, 0.41F, 0.9F, 0.39F, 0.6F, 0}));
    REQUIRE(events.size() == 2);
    check_event(events[0], Kind::started, 1, 0, 100, 200);  // since 0.69, which is above low
    check_event(events[1], Kind::ended, 1, 0, 100, 500);    // when it was last as likely as a start asks for
    CHECK(events[0].confidence == doctest::Approx(0.7));
    CHECK(events[1].confidence == doctest::Approx(0.9));
    CHECK(events[0].decided == 200);
    CHECK_FALSE(events[1].lost);
    CHECK(decisions.gesture() == 0);
}

TEST_CASE("probabilities are smoothed from the first step on") {
    Decision decision = plain();
    decision.smoothing = 0.5F;
    Decisions decisions(decision, 3, kNone);
    const auto events = run(decisions, against_none({0, 1, 1, 0, 0}));  // 0, 0.5, 0.75, 0.375, …
    REQUIRE(events.size() == 2);
    check_event(events[0], Kind::started, 1, 0, 100, 200);
    check_event(events[1], Kind::ended, 1, 0, 100, 200);
    CHECK(decisions.smoothed()[0] == doctest::Approx(0.1875));

    Decisions at_once(decision, 3, kNone);
    CHECK(run(at_once, against_none({0.8F})).size() == 1);
}

TEST_CASE("a start is dated back to where some gesture, whichever, became likely") {
    Decisions decisions(plain(), 3, kNone);
    // The second gesture leads at first; none falls below a half at 200, and did so at 0 for one step alone.
    const auto events = run(decisions, {row(0, 0.4F), row(0, 0.9F), row(0.1F, 0.5F), row(0.4F, 0.2F), row(0.8F, 0.1F)});
    REQUIRE(events.size() == 1);
    check_event(events[0], Kind::started, 1, 0, 200, 400);
}

TEST_CASE("a minimum delays the start, dated back all the same; what is shorter is none") {
    Decision decision = plain();
    decision.minimum = 250;
    Decisions decisions(decision, 3, kNone);
    const auto events = run(decisions, against_none({0.9F, 0.9F, 0.1F, 0.9F, 0.9F, 0.9F, 0.9F, 0.1F}));
    REQUIRE(events.size() == 2);
    check_event(events[0], Kind::started, 1, 0, 300, 600);
    check_event(events[1], Kind::ended, 1, 0, 300, 600);
}

TEST_CASE("a gesture ends at the maximum, and its label starts again only after it has fallen") {
    Decision decision = plain();
    decision.maximum = 300;
    Decisions decisions(decision, 3, kNone);
    const auto events = run(decisions, {row(0.9F, 0.1F), row(0.9F, 0.1F), row(0.9F, 0.1F), row(0.9F, 0.1F),
                                        row(0.9F, 0.1F), row(0.5F, 0.5F), row(0.9F, 0.1F),  // not below the end
                                        row(0.1F, 0.1F),                                    // the other one may
                                        row(0.3F, 0.7F), row(0.9F, 0.1F)});
    REQUIRE(events.size() == 5);
    check_event(events[0], Kind::started, 1, 0, 0, 0);
    check_event(events[1], Kind::ended, 1, 0, 0, 300);
    check_event(events[2], Kind::started, 2, 1, 300, 700);  // not before the last end
    check_event(events[3], Kind::ended, 2, 1, 300, 700);
    check_event(events[4], Kind::started, 3, 0, 900, 900);
}

TEST_CASE("another gesture that is likelier ends one and starts there, though the end is dated back") {
    Decisions decisions(plain(), 3, kNone);
    const auto events = run(decisions, {row(0.9F, 0), row(0.45F, 0), row(0.2F, 0.1F)});
    REQUIRE(events.size() == 3);
    check_event(events[1], Kind::ended, 1, 0, 0, 0);  // 0.55 was below the start
    check_event(events[2], Kind::started, 2, 1, 200, 200);

    Decision low_end = plain();
    low_end.end = 0.1F;
    Decisions still_likely(low_end, 3, kNone);
    const auto switched = run(still_likely, {row(0.9F, 0), row(0.31F, 0), row(0.3F, 0)});
    REQUIRE(switched.size() == 3);
    check_event(switched[1], Kind::ended, 1, 0, 0, 0);
    check_event(switched[2], Kind::started, 2, 1, 200, 200);
}

TEST_CASE("none starts in the cool-down after an end") {
    Decision decision = plain();
    decision.cool_down = 250;
    Decisions decisions(decision, 3, kNone);
    const auto events = run(decisions, against_none({0.9F, 0.1F, 0.9F, 0.9F, 0.9F}));
    REQUIRE(events.size() == 3);
    check_event(events[1], Kind::ended, 1, 0, 0, 0);
    check_event(events[2], Kind::started, 2, 0, 200, 400);
}

TEST_CASE("starts and ends are shifted, within the start and the last end") {
    Decision decision = plain();
    decision.start_shift = -150;
    decision.end_shift = -120;
    Decisions decisions(decision, 3, kNone);
    const auto events = run(decisions, against_none({0.1F, 0.1F, 0.9F, 0.9F, 0.1F, 0.9F, 0.1F}));
    REQUIRE(events.size() == 4);
    check_event(events[0], Kind::started, 1, 0, 50, 200);
    check_event(events[1], Kind::ended, 1, 0, 50, 180);
    check_event(events[2], Kind::started, 2, 0, 350, 500);
    check_event(events[3], Kind::ended, 2, 0, 350, 380);

    decision = plain();
    decision.end_shift = -500;
    decision.start_shift = 100;  // what has not begun yet is not told
    Decisions late(decision, 3, kNone);
    const auto delayed = run(late, against_none({0.9F, 0.9F, 0.1F}));
    REQUIRE(delayed.size() == 2);
    check_event(delayed[0], Kind::started, 1, 0, 100, 100);
    check_event(delayed[1], Kind::ended, 1, 0, 100, 100);  // never before the start
}

TEST_CASE("a gesture that goes on is told again") {
    Decisions decisions(plain(), 3, kNone, 250);
    const auto events = run(decisions, against_none({0.9F, 0.8F, 0.8F, 0.85F, 0.8F, 0.8F, 0.8F, 0.1F}));
    REQUIRE(events.size() == 4);
    check_event(events[1], Kind::held, 1, 0, 0, 300);
    check_event(events[2], Kind::held, 1, 0, 0, 600);
    CHECK(events[1].confidence == doctest::Approx(0.85));
    Decisions silent(plain(), 3, kNone, 0);
    CHECK(run(silent, against_none({0.9F, 0.9F, 0.9F, 0.9F, 0.9F, 0.9F})).size() == 1);
}

TEST_CASE("a track that is lost ends its gesture at the last step and begins anew") {
    Decision decision = plain();
    decision.smoothing = 0.5F;
    decision.cool_down = 1000;
    Decisions decisions(decision, 3, kNone);
    CHECK(decisions.lose(5).count == 0);
    run(decisions, against_none({0.9F, 0.9F}));
    const StepEvents told = decisions.lose(700);
    REQUIRE(told.count == 1);
    check_event(told.events[0], Kind::ended, 1, 0, 0, 100);
    CHECK(told.events[0].lost);
    CHECK(told.events[0].decided == 700);
    const auto events = run(decisions, against_none({0.9F}), -5000);  // whatever the clock says now
    REQUIRE(events.size() == 1);
    check_event(events[0], Kind::started, 2, 0, -5000, -5000);
}

TEST_CASE("none may be any class") {
    Decisions decisions(plain(), 3, 0);
    const std::vector<float> first{0.1F, 0.1F, 0.8F};
    const StepEvents told = decisions.step(0, first.data(), 30);
    REQUIRE(told.count == 1);
    CHECK(told.events[0].label == 2);
    CHECK(told.events[0].decided == 30);
}

TEST_CASE("rules that make no sense are named") {
    const auto changed = [](auto&& change) {
        Decision decision = plain();
        change(decision);
        return error_of(decision);
    };
    CHECK(error_of(plain()) == "no error");
    CHECK(changed([](Decision& d) { d.smoothing = 0; }) ==
          "decision: expected smoothing above 0, at most 1, found 0.000000");
    CHECK(changed([](Decision& d) { d.start = 1.5F; }) == "decision: expected start from 0 to 1, found 1.500000");
    CHECK(changed([](Decision& d) { d.end = 0.8F; }) == "decision: expected end from 0 to start, found 0.800000");
    CHECK(changed([](Decision& d) { d.low = -1; }) == "decision: expected low from 0 to 1, found -1.000000");
    CHECK(changed([](Decision& d) { d.minimum = -1; }).find("decision: minimum: expected 0 to") == 0);
    CHECK(changed([](Decision& d) { d.minimum = 200'000; }).find("no shorter than minimum: expected 200000 to") > 0);
    CHECK(changed([](Decision& d) { d.cool_down = -5; }).find("found -5") > 0);
    CHECK_THROWS_AS(Decisions(plain(), 3, 3), Error);
    CHECK_THROWS_AS(Decisions(plain(), 3, 0, -1), Error);
}
