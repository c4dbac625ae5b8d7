// An engine, and a recogniser, belongs to the process that made it: a forked child gets an error from every call, may
// let the engine go, and may make one of its own.
#include <doctest/doctest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "adasgn/engine.h"
#include "adasgn/process.h"
#include "adasgn/recogniser.h"
#include "adasgn/thread_pool.h"
#include "emulated.h"
#include "in_child.h"
#include "moving_body.h"
#include "random_model.h"

using namespace adasgn;
using namespace adasgn::testing;

namespace {

#ifdef __SANITIZE_THREAD__
constexpr bool kChildStartsThreads = false;  // neither the sanitizer nor qemu-user can, in a child of several threads
#else
constexpr bool kChildStartsThreads = !kEmulated;
#endif

}  // namespace

TEST_CASE("a forked child knows that it is another process, and so does its own child") {
    const OwnProcess parent;
    CHECK(parent.here());
    CHECK(in_child([&] {
              const OwnProcess child;
              return !parent.here() && child.here() &&
                     in_child([&] { return !parent.here() && !child.here(); }) == "as expected";
          }) == "as expected");
    CHECK(parent.here());
    parent.expect_here();
}

TEST_CASE("in a forked child every call is refused, and the engine can be let go") {
    const Model model = random_model({5, {1, 5}, {false}, 2, 3, true}, 1);
    std::mt19937 random(2);
    const std::vector<float> clips = random_floats(4 * 2 * 15, random);
    std::vector<float> logits(4 * 3);
    std::vector<float> features(4 * 2 * 256);
    std::vector<std::int32_t> actions(4 * 2);
    for (const int threads : {1, 4}) {
        CAPTURE(threads);
        auto engine = std::make_unique<Engine>(model, EngineOptions{4, threads, nullptr});
        engine->run(clips.data(), 4, 1, {logits.data()});
        const std::vector<float> expected = logits;
        CHECK(in_child([&] {
                  return refused([&] { engine->run(clips.data(), 4, 1, {logits.data()}); }) &&
                         refused([&] { engine->run(clips.data(), 0, 1, {logits.data()}); }) &&
                         refused([&] { engine->run_forced(clips.data(), actions.data(), 4, 1, {logits.data()}); }) &&
                         refused([&] { engine->run_fuse(clips.data(), 4, 1, {logits.data()}); }) &&
                         refused([&] { engine->policy_features(clips.data(), nullptr, 8, features.data()); }) &&
                         refused([&] { engine->actions(features.data(), 4, actions.data(), nullptr); }) && refused([&] {
                             engine->branch_features(clips.data(), nullptr, actions.data(), 8, nullptr,
                                                     features.data());
                         }) &&
                         refused([&] { engine->temporal_head(features.data(), 4, logits.data()); });
              }) == "as expected");
        CHECK(in_child([&] {
                  engine.reset();
                  return true;
              }) == "as expected");
        CHECK(in_child([&] {
                  Engine own(model, {4, kChildStartsThreads ? threads : 1, nullptr});
                  own.run(clips.data(), 4, 1, {logits.data()});
                  return logits == expected && own.description().json == engine->description().json;
              }) == "as expected");
        engine->run(clips.data(), 4, 1, {logits.data()});  // what children do is nothing to the parent
        CHECK(logits == expected);
    }
}

TEST_CASE("in a forked child a recogniser refuses what would change it, and can be let go") {
    const Model model = random_model({4, {2}, {false}, 4, 3, false, true, true, 1, CausalShape{{1}, {1}, 2, 0}}, 1);
    const std::vector<float> joints = MovingBody(3, 2).at(0);
    const TrackInput body{7, joints.data()};
    for (const int threads : {1, 3}) {
        CAPTURE(threads);
        RecogniserOptions options;
        options.threads = threads;
        auto recogniser = std::make_unique<Recogniser>(model, options);
        recogniser->push(0, &body, 1);
        CHECK(in_child([&] {
                  return refused([&] { recogniser->push(1, &body, 1); }) &&
                         refused([&] { recogniser->push(1, nullptr, 0); }) && refused([&] { recogniser->reset(); }) &&
                         refused([&] { recogniser->reset(7); }) && refused([&] { recogniser->set_effort(1); }) &&
                         refused([&] { recogniser->set_max_macs(5000); }) &&
                         refused([&] { recogniser->set_budgets(0, 0); }) && recogniser->state(7) == TrackState::fresh &&
                         recogniser->stats().pushes == 1;
              }) == "as expected");
        CHECK(in_child([&] {
                  recogniser.reset();
                  return true;
              }) == "as expected");
        CHECK(in_child([&] {
                  options.threads = kChildStartsThreads ? threads : 1;
                  Recogniser own(model, options);
                  own.push(0, &body, 1);
                  return own.state(7) == TrackState::fresh;
              }) == "as expected");
        recogniser->push(1, &body, 1);
        CHECK(recogniser->stats().pushes == 2);
    }
}
