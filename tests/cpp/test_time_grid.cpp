// Time of a stream: the grid of a track, and which stamps continue a stream.
#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <vector>

#include "adasgn/online/stream_clock.h"
#include "adasgn/online/time_grid.h"

using namespace adasgn::online;
using Arrival = StreamClock::Arrival;

namespace {

constexpr std::int64_t kMs = 1'000'000;

// Frames at these stamps -> the instants and where in time their interpolation lies.
struct Resampled {
    std::vector<GridStep> steps;
    std::vector<double> times;
};

Resampled resample(TimeGrid& grid, const std::vector<std::int64_t>& stamps) {
    Resampled all;
    for (std::size_t i = 0; i < stamps.size(); ++i) {
        const std::int64_t before = stamps[i == 0 ? 0 : i - 1];
        i == 0 ? grid.begin(stamps[0]) : grid.advance(stamps[i]);
        while (grid.due()) {
            const GridStep step = grid.take();
            const auto at = [&](std::int64_t stamp) { return static_cast<double>(stamp - stamps[0]); };
            all.steps.push_back(step);
            all.times.push_back((1 - step.weight) * at(before) + step.weight * at(stamps[i]));
        }
    }
    return all;
}

}  // namespace

TEST_CASE("an instant completes with the first frame at or after it") {
    TimeGrid grid(50);
    const Resampled found = resample(grid, {1000, 1020, 1050, 1090, 1260});
    REQUIRE(found.steps.size() == 6);
    for (int i = 0; i < 6; ++i) {
        CHECK(found.steps[i].stamp == 1000 + 50 * i);
        CHECK(found.times[i] == doctest::Approx(50 * i));
    }
    CHECK(found.steps[0].weight == 1);
    CHECK(found.steps[1].weight == 1);  // a frame that lies on it, alone
    CHECK(found.steps[2].weight == doctest::Approx(10.0 / 170));
    CHECK_FALSE(found.steps[2].interpolated);  // 1090 is near
    CHECK(found.steps[3].interpolated);
    CHECK(found.steps[4].interpolated);
    CHECK_FALSE(found.steps[5].interpolated);
}

TEST_CASE("instants that a new beginning leaves open") {
    TimeGrid grid(50);
    resample(grid, {0, 60});
    CHECK(grid.open_before(90) == 0);
    CHECK(grid.open_before(100) == 0);
    CHECK(grid.open_before(101) == 1);
    CHECK(grid.open_before(150) == 1);
    CHECK(grid.open_before(151) == 2);
}

TEST_CASE("whatever the jitter and the drop-outs, a linear motion is resampled exactly, at every instant once") {
    std::mt19937 random(3);
    for (const std::int64_t period : {5 * kMs, 20 * kMs, 50 * kMs, 120 * kMs}) {
        for (const std::int64_t step : {50 * kMs, 40 * kMs + 1, std::int64_t{33'333'333}}) {
            std::uniform_int_distribution<std::int64_t> jitter(-period / 3, period / 3);
            std::bernoulli_distribution dropped(0.05);
            const std::int64_t origin = 1'790'000'000'000'000'000;  // a clock of today
            std::vector<std::int64_t> stamps;
            for (int i = 0; i < 2000; ++i) {
                if (i == 0 || !dropped(random)) {
                    stamps.push_back(origin + i * period + jitter(random));
                }
            }
            TimeGrid grid(step);
            const Resampled found = resample(grid, stamps);
            CHECK(static_cast<std::int64_t>(found.steps.size()) == (stamps.back() - stamps[0]) / step + 1);
            double worst = 0;
            bool on_grid = true;
            for (std::size_t i = 0; i < found.steps.size(); ++i) {
                on_grid = on_grid && found.steps[i].stamp == stamps[0] + static_cast<std::int64_t>(i) * step;
                worst = std::max(worst, std::fabs(found.times[i] - static_cast<double>(i) * static_cast<double>(step)));
            }
            CHECK(on_grid);
            CHECK(worst < 1);  // ns
        }
    }
}

TEST_CASE("a stamp continues a stream within its limits") {
    StreamClock clock(1000, 300);
    CHECK(clock.receive(5000) == Arrival::continues);
    CHECK(clock.receive(5300) == Arrival::continues);
    CHECK(clock.receive(5300) == Arrival::continues);  // of another track
    CHECK(clock.receive(4300) == Arrival::continues);  // late
    CHECK(clock.newest() == 5300);
    CHECK(clock.receive(4299) == Arrival::in_doubt);
    CHECK(clock.receive(5601) == Arrival::in_doubt);
    CHECK(clock.newest() == 5300);
    CHECK(clock.receive(5600) == Arrival::continues);
}

TEST_CASE("one bad stamp, and any number of them, leave the stream as it is") {
    for (const std::int64_t bad : {std::int64_t{1} << 60, -(std::int64_t{1} << 60), std::int64_t{0}, INT64_MAX,
                                   INT64_MIN, kMostStamp, -kMostStamp}) {
        StreamClock clock(1000, 300);
        std::int64_t stamp = 1'000'000;
        for (int i = 0; i < 20; ++i) {
            CHECK(clock.receive(stamp += 20) == Arrival::continues);
            CHECK(clock.receive(bad) == Arrival::in_doubt);
            CHECK(clock.receive(bad) == Arrival::in_doubt);  // it does not go on
        }
    }
}

TEST_CASE("a clock that was set is followed from the second stamp on") {
    StreamClock clock(1000, 300);
    clock.receive(5000);
    CHECK(clock.receive(90'000) == Arrival::in_doubt);
    CHECK(clock.receive(90'020) == Arrival::jumped_ahead);
    CHECK(clock.receive(90'040) == Arrival::continues);
    CHECK(clock.receive(-70) == Arrival::in_doubt);
    CHECK(clock.receive(89'000) == Arrival::in_doubt);  // follows neither
    CHECK(clock.receive(89'020) == Arrival::set_back);
    CHECK(clock.newest() == 89'020);

    CHECK(clock.receive(500) == Arrival::in_doubt);
    CHECK(clock.receive(89'010) == Arrival::continues);  // late, and says nothing
    CHECK(clock.receive(520) == Arrival::set_back);
    clock.reset();
    CHECK(clock.receive(77'000'000) == Arrival::continues);
}

TEST_CASE("a stream whose first stamp is the bad one is followed too") {
    StreamClock clock(1000, 300);
    CHECK(clock.receive(std::int64_t{1} << 61) == Arrival::continues);
    CHECK(clock.receive(1000) == Arrival::in_doubt);
    CHECK(clock.receive(1020) == Arrival::set_back);
    CHECK(clock.receive(1040) == Arrival::continues);
}
