// run allocates nothing: every operator new is counted.
#include <doctest/doctest.h>

#include "adasgn/constants.h"
#include "adasgn/engine.h"
#include "checked_engine.h"
#include "faults.h"
#include "random_model.h"

using namespace adasgn;
using namespace adasgn::testing;

TEST_CASE("no stage and no mode allocates") {
    // Short clips, as an emulator takes minutes for long ones; still several groups of frames per branch and thread.
    constexpr int kFrames = 6;
    const Model model = random_model({22, {1, 11, 22}, {false, true}, kFrames, 14, true, true}, 1);
    std::mt19937 random(2);
    const std::vector<float> clips = random_floats(6 * kFrames * 66, random);
    std::vector<float> logits(6 * 14);
    std::vector<float> features(6 * kFrames * kFeature);
    std::vector<std::int32_t> actions(6 * kFrames);
    for (const int threads : {1, 2}) {
        CheckedEngine engine(model, {6, threads, nullptr});
        const long before = allocation_count();
        for (const int clip_count : {6, 1, 3}) {  // from the first call on
            const int frames = clip_count * kFrames;
            engine.run(clips.data(), clip_count, 1, {logits.data(), actions.data(), features.data()});
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
