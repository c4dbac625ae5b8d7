// One track without a network: running scale, missing joints, grid frames.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "adasgn/online/joint_memory.h"
#include "adasgn/online/running_median.h"
#include "adasgn/online/track.h"
#include "random_model.h"

using namespace adasgn;
using namespace adasgn::online;
using namespace adasgn::testing;

namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
using Reception = Track::Reception;

// Joints (4, 3) in a row along x, `apart` from each other, the origin joint (1) at `place`.
std::vector<float> body(float place, float apart = 0.1F) {
    std::vector<float> joints(12, 0.0F);
    for (int j = 0; j < 4; ++j) {
        joints[3 * j] = place + apart * static_cast<float>(j - 1);
    }
    return joints;
}

std::vector<float> without(std::vector<float> joints, const std::vector<int>& missing) {
    for (const int joint : missing) {
        joints[3 * joint + 2] = kNaN;
    }
    return joints;
}

const JointRules kJoints{4, 1, 2, {0, 0, 1, 2}};

// Four joints, trail (1, 2), T = 3; a step of 50.
Description description() {
    return random_model({6, {}, {}, 3, 4, false, true, false, 1, CausalShape{{1, 2}, {1}, 1, 1}}, 1).description;
}

// Takes all that is due, as must be done before the next frame.
void take_steps(Track& one) {
    GridStep step{};
    while (one.due()) {
        REQUIRE(one.take_step(step));
    }
}

Track track(float max_speed = 0, bool scaled = true) {
    TrackRules rules{kJoints, std::nullopt, 50, max_speed, 3, 6};
    if (scaled) {
        rules.scale_bone = {1, 2};
    }
    Track made(rules, Decisions({1, 0.7F, 0.4F, 0.5F, 0, 1000, 0, 0, 0}, 4, 3), IdleGate(0, 6));
    made.take_place(7);
    return made;
}

}  // namespace

TEST_CASE("the running median is that of a sorted window") {
    std::mt19937 random(1);
    std::uniform_int_distribution<int> any(0, 9);  // with equals and zeros
    RunningMedian median;
    CHECK(median.value() == 0);
    std::vector<double> all;
    for (int i = 0; i < 1000; ++i) {
        all.push_back(any(random));
        median.add(all.back());
        std::vector<double> window(all.end() - std::min(i + 1, RunningMedian::kWindow), all.end());
        window.erase(std::remove(window.begin(), window.end(), 0.0), window.end());
        std::sort(window.begin(), window.end());
        if (!window.empty()) {
            CHECK(median.value() == window[(window.size() - 1) / 2]);
        }
    }
    for (int i = 0; i < 2 * RunningMedian::kWindow; ++i) {
        median.add(3);
    }
    for (int i = 0; i < 2 * RunningMedian::kWindow; ++i) {
        median.add(0);
    }
    CHECK(median.value() == 3);  // what it was
    median.clear();
    median.add(5);
    CHECK(median.value() == 5);
}

TEST_CASE("a missing joint stands where the bone from its neighbour led, one never seen on its neighbour") {
    JointMemory memory(kJoints);
    const auto completed = [&](const std::vector<float>& joints, int filled) {
        std::vector<float> complete(12);
        REQUIRE(memory.complete(joints.data(), complete.data()) == filled);
        return complete;
    };
    const auto refused = [&](const std::vector<float>& joints) {
        std::vector<float> complete(12);
        return !memory.complete(joints.data(), complete.data());
    };
    const auto place = [](const std::vector<float>& joints, int joint) {
        return std::vector<float>(joints.begin() + 3 * joint, joints.begin() + 3 * joint + 3);
    };
    CHECK(completed(body(1), 0) == body(1));
    CHECK(place(completed(without(body(1), {0}), 1), 0) == place(body(1), 1));
    const std::vector<float> bent = completed(without(body(1), {2, 3}), 2);
    CHECK(place(bent, 2) == place(body(1), 1));
    CHECK(place(bent, 3) == place(body(1), 1));

    memory.remember(body(1).data());
    const std::vector<float> moved = completed(without(body(2), {0, 3}), 2);
    for (int i = 0; i < 12; ++i) {
        CHECK(moved[i] == doctest::Approx(body(2)[i]));
    }
    std::vector<float> lifted = body(2);
    lifted[3 * 2 + 1] = 0.5F;
    CHECK(place(completed(without(lifted, {3}), 1), 3)[1] == 0.5F);
    memory.remember(without(lifted, {3}).data());  // the bone from 2 to 3 stays what it was, the others are new
    CHECK(place(completed(without(body(3), {2, 3}), 2), 3)[0] == doctest::Approx(body(3)[9]));
    CHECK(place(completed(without(body(3), {2, 3}), 2), 3)[1] == 0.5F);

    CHECK(refused(without(body(2), {0, 2, 3})));  // too many
    CHECK(refused(without(body(2), {1})));        // the origin joint
    std::vector<float> infinite = body(2);
    infinite[10] = -kInfinity;
    CHECK(refused(infinite));
    memory.forget();
    CHECK(place(completed(without(body(2), {0}), 1), 0) == place(body(2), 1));
}

TEST_CASE("without bones every joint is the origin joint's neighbour") {
    JointMemory memory({4, 1, 3, {0, 1, 2, 3}});
    std::vector<float> complete(12);
    memory.remember(body(0).data());
    std::vector<float> lifted = without(body(0), {3});
    lifted[3 * 2 + 1] = 0.5F;
    REQUIRE(memory.complete(lifted.data(), complete.data()) == 1);
    CHECK(complete[10] == 0);
}

TEST_CASE("grid frames are interpolated and divided by the scale that they enter with") {
    Track one = track();
    const Description d = description();
    CHECK(one.receive(1000, body(0, 0.1F).data()) == Reception::began);
    GridStep step{};
    take_steps(one);
    CHECK_FALSE(one.due());
    one.receive(1100, body(1, 0.3F).data());  // instants 1050 and 1100: bones 0.2 and 0.3
    REQUIRE(one.take_step(step));
    CHECK(step.stamp == 1050);
    REQUIRE(one.take_step(step));
    CHECK_FALSE(one.has_input());
    one.receive(1150, body(2, 0.3F).data());
    REQUIRE(one.take_step(step));
    REQUIRE(one.has_input());
    std::vector<float> current(18);
    std::vector<float> previous(18);
    one.input(d, current.data(), previous.data());
    // Scales (lower medians): 0.1, 0.1, 0.2, 0.2; places 0, 0.5, 1, 2.
    const float o[] = {0 / 0.1F, 0.5F / 0.1F, 1 / 0.2F, 2 / 0.2F};
    CHECK(current[0] == doctest::Approx(-0.3F / 0.2F));  // joint 0
    CHECK(current[6] == doctest::Approx(0.3F / 0.2F));
    CHECK(previous[6] == doctest::Approx((1 + 0.3F) / 0.2F - o[3]));
    CHECK(current[12] == doctest::Approx(o[2] - o[3]));  // the trail
    CHECK(current[15] == doctest::Approx(o[1] - o[3]));
    CHECK(previous[12] == doctest::Approx(o[1] - o[3]));
    CHECK(previous[15] == doctest::Approx(o[0] - o[3]));
}

TEST_CASE("a layout without a scale bone is taken in metres") {
    Track one = track(0, false);
    GridStep step{};
    std::vector<float> current(18);
    std::vector<float> previous(18);
    for (int i = 0; i < 4; ++i) {
        one.receive(50 * i, body(static_cast<float>(i)).data());
        REQUIRE(one.take_step(step));
    }
    one.input(description(), current.data(), previous.data());
    CHECK(current[6] == doctest::Approx(0.1));
    CHECK(current[15] == doctest::Approx(-2));
}

TEST_CASE("what cannot be computed with is not usable") {
    Track one = track();
    CHECK(one.receive(0, body(0, 0).data()) == Reception::unusable);       // no scale
    CHECK(one.receive(0, body(501, 0.1F).data()) == Reception::unusable);  // 5010 bones away
    CHECK(one.receive(0, body(3e38F, 1e38F).data()) == Reception::unusable);
    CHECK(one.receive(0, without(body(0), {2}).data()) == Reception::unusable);  // an end of the scale bone
    CHECK_FALSE(one.live());
    CHECK(one.receive(0, body(499, 0.1F).data()) == Reception::began);
    take_steps(one);
    CHECK(one.receive(10, body(501, 0.1F).data()) == Reception::unusable);
    CHECK(one.receive(10, body(3e38F, 1e38F).data()) == Reception::unusable);
    CHECK(one.received() == 0);
    CHECK(one.receive(10, body(499, 0.1F).data()) == Reception::followed);
}

TEST_CASE("a track begins with a frame that lacks joints") {
    Track one = track();
    CHECK(one.receive(0, without(body(0), {0, 3}).data()) == Reception::began);
    CHECK(one.filled_joints() == 2);
    take_steps(one);
    CHECK(one.receive(50, without(body(0), {2, 3}).data()) == Reception::followed);  // the scale bone as long as it was
    take_steps(one);
    CHECK(one.receive(100, body(0).data()) == Reception::followed);
    CHECK(one.filled_joints() == 0);
}

TEST_CASE("a scale that shrinks to nothing is noticed at the step") {
    Track one = track();
    one.receive(0, body(1, 0.1F).data());
    GridStep step{};
    CHECK(one.take_step(step));
    CHECK(one.receive(50, body(1, 1e-6F).data()) == Reception::followed);
    CHECK_FALSE(one.take_step(step));
}

TEST_CASE("a body faster than the limit is another one") {
    Track one = track(2);  // bones a second; a bone is 0.1, a step 50 ns
    const auto apart = [](double bones) { return static_cast<float>(bones * 0.1); };
    one.receive(0, body(0).data());
    take_steps(one);
    CHECK(one.receive(100, body(apart(1.9e-7)).data()) == Reception::followed);
    take_steps(one);
    CHECK(one.receive(101, body(apart(2.8e-7)).data()) == Reception::followed);  // jitter: over a step at least
    CHECK(one.receive(201, body(apart(5.0e-7)).data()) == Reception::other_body_began);
    CHECK(one.received() == 201);
    take_steps(one);
    CHECK(one.open_before(302) == 2);  // its grid starts there
    CHECK(one.receive(301, without(body(1), {2}).data()) == Reception::other_body_unusable);
}

TEST_CASE("the share of a window's steps without a frame near them") {
    Track one = track();
    GridStep step{};
    one.receive(0, body(0).data());
    take_steps(one);
    one.receive(200, body(0).data());  // instants 50, 100, 150, 200
    std::vector<float> shares;
    while (one.due()) {
        one.take_step(step);
        shares.push_back(one.interpolated());
    }
    CHECK(shares.size() == 4);  // the first one is taken
    CHECK(shares.back() == doctest::Approx(3.0 / 5));
    for (int i = 5; i < 9; ++i) {
        one.receive(50 * i, body(0).data());
        one.take_step(step);
    }
    CHECK(one.interpolated() == doctest::Approx(1.0 / 6));  // instants 150 … 400
}
