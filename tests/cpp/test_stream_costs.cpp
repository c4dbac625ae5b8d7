// What a push spends, with a network that follows a script: dearer branches, batches, budgets, the idle gate.
#include <doctest/doctest.h>

#include <map>
#include <vector>

#include "scripted_stream.h"

using namespace adasgn;
using namespace adasgn::testing;

TEST_CASE("an unsure frame takes the next branch in place of the first; nothing before a track is ready") {
    Stream stream;                                              // effort 0.25: below 0.5
    const CopiedOutput all = stream.push_steps(0, 7, 1, 1.0F);  // e / (e + 3) = 0.475
    CHECK(all.results[4].action == 0);
    CHECK(all.results[5].action == 1);
    CHECK(all.results[5].macs == 100 + 1000 + 2 * 7);
    CHECK(all.results[5].confidence > 0.9F);
    CHECK(stream.push_steps(350 * kMs, 1, 1, 2.0F).results[0].action == 0);  // 0.71
    CHECK(stream.core.stats().escalated == 2);
    stream.core.set_effort(0);
    CHECK(stream.push_steps(400 * kMs, 1, 1, 1.0F).results[0].action == 0);
    stream.core.set_effort(1);
    CHECK(stream.push_steps(450 * kMs, 1, 1, 20).results[0].action == 1);
    CHECK_THROWS_WITH_AS(stream.core.set_effort(1.5), "effort: expected a number from 0 to 1, found 1.500000", Error);
}

TEST_CASE("tracks that step together run as one batch, each as it would alone") {
    std::mt19937 random(5);
    std::uniform_real_distribution<float> logit(0.5F, 3);
    std::uniform_int_distribution<int> label(0, 3);
    RecogniserOptions options;
    options.max_tracks = 5;
    Stream together(options);
    std::vector<CopiedOutput> found(5);
    std::vector<Stream> alone(5);
    std::vector<CopiedOutput> expected(5);
    for (int i = 0; i < 40; ++i) {
        std::map<std::int64_t, std::vector<float>> tracks;
        for (std::int64_t id = 0; id < 5; ++id) {
            tracks[id] = script_joints(label(random), logit(random));
            const CopiedOutput one = alone[id].push(i * kGridStep, {{id, tracks[id]}});
            expected[id].results.insert(expected[id].results.end(), one.results.begin(), one.results.end());
        }
        const std::size_t calls = together.log.branches.size();
        const CopiedOutput all = together.push(i * kGridStep, tracks);
        CHECK(all.results.size() == 5);
        for (const StepResult& result : all.results) {
            found[result.track].results.push_back(result);
        }
        if (i >= kScriptLead) {
            CHECK(together.log.branches[calls].size() == 5);
            CHECK(together.log.branches.size() - calls <= 2);
        }
    }
    for (int id = 0; id < 5; ++id) {
        for (StepResult& result : expected[id].results) {
            result.gesture = 0;
        }
        for (StepResult& result : found[id].results) {
            result.gesture = 0;  // numbered over all tracks
        }
        CHECK(same_output(found[id], expected[id]));
    }
    CHECK(together.core.stats().escalated > 20);
}

TEST_CASE("once a budget is used up no frame takes a dearer branch") {
    for (const bool of_track : {false, true}) {
        RecogniserOptions options;
        (of_track ? options.track_budget : options.total_budget) = 100 * kMs;  // of a busy machine too
        Stream stream(options);
        stream.push_steps(0, 6, 1, 1.0F);
        CHECK(stream.core.stats().budget_misses == 0);
        CHECK(stream.core.stats().escalated == 1);
        stream.log.sleep_ns = 150 * kMs;
        const StepResult late = stream.push_steps(300 * kMs, 1, 1, 1.0F).results[0];
        CHECK(late.action == 0);
        CHECK(late.label == 1);  // still a result
        CHECK(late.spatial_ns >= 150 * kMs);
        CHECK(stream.core.stats().budget_misses == 1);
        CHECK(stream.core.stats().budget_overruns == (of_track ? 0 : 1));
        stream.core.set_budgets(0, 0);
        CHECK(stream.push_steps(350 * kMs, 1, 1, 1.0F).results[0].action == 1);
        stream.core.set_budgets(of_track ? 100 * kMs : 0, of_track ? 0 : 100 * kMs);
        CHECK(stream.push_steps(400 * kMs, 1, 1, 1.0F).results[0].action == 0);
        CHECK_THROWS_AS(stream.core.set_budgets(-1, 0), Error);
    }
    // A track's share of a batch.
    RecogniserOptions options;
    options.track_budget = 200 * kMs;
    Stream stream(options);
    std::map<std::int64_t, std::vector<float>> tracks{{1, script_joints(1, 1)}, {2, script_joints(1, 1)}};
    for (int i = 0; i < 5; ++i) {
        stream.push(i * kGridStep, tracks);
    }
    stream.log.sleep_ns = 250 * kMs;
    CHECK(stream.push(5 * kGridStep, tracks).results[0].action == 1);
}

TEST_CASE("a body at rest takes the feature it had, one that moves does not") {
    RecogniserOptions options;
    options.idle_motion = 0.05F;
    Stream stream(options);
    stream.push_steps(0, 10, 1);
    CHECK(stream.core.stats().idle_steps == 6);
    CHECK(stream.log.branches.size() == 1);
    CHECK(stream.core.stats().results == 5);
    const StepResult idle = stream.push(500 * kMs, 1, 20.03F).results[0];
    CHECK(idle.macs == 7);  // the temporal module's
    CHECK(idle.label == 1);
    CHECK(stream.push(550 * kMs, 1, 20.06F).results[0].macs == 107);
    CHECK(stream.push(600 * kMs, 2, 20.06F).results[0].label == 2);
    // Moving as a whole shows in the trail and in the joints before.
    Stream moving(options);
    for (int i = 0; i < 10; ++i) {
        moving.push(i * kGridStep, {{1, script_joints(1, 20, i < 5 ? 0.0F : 0.1F * static_cast<float>(i))}});
    }
    CHECK(moving.core.stats().idle_steps == 2);  // 4 rests as 3 does; 5 … 7 differ, 8 and 9 move as the one before
    Stream off;
    off.push_steps(0, 10, 1);
    CHECK(off.core.stats().idle_steps == 0);
}

TEST_CASE("an idle frame that is unsure goes on from the branch it has") {
    RecogniserOptions options;
    options.idle_motion = 0.05F;
    Stream stream(options);
    stream.push_steps(0, 5, 1, 1.0F);
    const StepResult first = stream.push(250 * kMs, 1, 1.0F).results[0];
    CHECK(first.action == 1);
    CHECK(first.macs == 1000 + 2 * 7);
    const StepResult next = stream.push(300 * kMs, 1, 1.0F).results[0];
    CHECK(next.action == 1);
    CHECK(next.macs == 7);
}
