// run allocates nothing, nor does a causal model's temporal stream: every operator new is counted.
#include <doctest/doctest.h>

#include "adasgn/constants.h"
#include "adasgn/engine.h"
#include "adasgn/temporal_stream.h"
#include "checked_engine.h"
#include "faults.h"
#include "random_model.h"

using namespace adasgn;
using namespace adasgn::testing;

TEST_CASE("no stage and no mode allocates") {
    // Short clips, as an emulator takes minutes for long ones; still several groups of frames per branch and thread.
    constexpr int kFrames = 6;
    std::mt19937 random(2);
    const std::vector<float> clips = random_floats(6 * kFrames * 66, random);
    std::vector<float> logits(6 * 14);
    std::vector<float> features(6 * kFrames * kFeature);
    std::vector<std::int32_t> actions(6 * kFrames);
    for (const bool escalates : {false, true}) {
        const Model model = random_model({22, {1, 11, 22}, {false, true}, kFrames, 14, !escalates, true, escalates}, 1);
        for (const int threads : {1, 2}) {
            CheckedEngine engine(model, {6, threads, nullptr});
            const long before = allocation_count();
            for (const int clip_count : {6, 1, 3}) {  // from the first call on
                const int frames = clip_count * kFrames;
                const float threshold = escalates ? 2.0F : kDefaultThreshold;
                engine.run(clips.data(), clip_count, 1, {logits.data(), actions.data(), features.data()}, threshold);
                engine.run_forced(clips.data(), actions.data(), clip_count, 1, {logits.data()});
                engine.run_fuse(clips.data(), clip_count, 1, {logits.data()});
                engine.policy_features(clips.data(), nullptr, frames, features.data());
                engine.actions(features.data(), clip_count, actions.data(), nullptr);
                engine.branch_features(clips.data(), nullptr, actions.data(), frames, nullptr, features.data());
                engine.temporal_head(features.data(), clip_count, logits.data());
            }
            const long after = allocation_count();
            CHECK(after == before);
            CHECK(before > 0);
        }
    }
}

TEST_CASE("a causal model allocates nothing, whole windows or frame by frame") {
    const CausalShape causal{{1, 2}, {1}, 4, 0};  // T = 6
    const Model model = random_model({8, {3, 8}, {false, true}, 6, 5, false, true, true, 1, causal}, 3);
    std::mt19937 random(4);
    const std::vector<float> windows = random_floats(6 * clip_floats(model.description), random);
    std::vector<float> logits(6 * 5);
    std::vector<float> features(6 * 6 * kFeature);
    std::vector<std::int32_t> actions(6 * 6);
    const int tracks[] = {4, 0, 2};
    for (const int threads : {1, 2}) {
        CheckedEngine engine(model, {6, threads, nullptr});
        TemporalStream stream(model, 5);
        const long before = allocation_count();
        for (const int count : {6, 1, 3}) {
            engine.run(windows.data(), count, 1, {logits.data(), actions.data(), features.data()}, 2.0F);
            engine.run_forced(windows.data(), actions.data(), count, 1, {logits.data()});
            engine.run_fuse(windows.data(), count, 1, {logits.data()});
            engine.temporal_head(features.data(), count, logits.data());
        }
        for (int step = 0; step < 20; ++step) {
            stream.try_frame(tracks, 3, features.data(), logits.data());
            stream.try_frame(tracks + 1, 1, features.data(), logits.data());
            stream.keep(tracks, 3);
        }
        stream.reset(2);
        const long after = allocation_count();
        CHECK(after == before);
        CHECK(before > 0);
    }
}
