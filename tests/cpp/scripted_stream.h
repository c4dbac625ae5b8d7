// A recogniser whose network follows a script, for tests of what a push does.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "adasgn/online/stream_core.h"
#include "copied_output.h"
#include "scripted_network.h"

namespace adasgn::testing {

// A recogniser on the script, and frames pushed into it.
struct Stream {
    ScriptLog log;
    online::StreamCore core;

    explicit Stream(const RecogniserOptions& options = {}, const Description& description = script_description())
        : core(description, std::make_unique<ScriptedNetwork>(options.max_tracks, log), options) {}

    CopiedOutput push(std::int64_t stamp, const std::map<std::int64_t, std::vector<float>>& tracks,
                      bool update_state = true) {
        std::vector<TrackInput> inputs;
        for (const auto& [id, joints] : tracks) {
            inputs.push_back({id, joints.data()});
        }
        return copy_output(core.push(stamp, inputs.data(), static_cast<int>(inputs.size()), update_state),
                           kScriptClasses);
    }
    CopiedOutput push(std::int64_t stamp, int label = kScriptNone, float logit = 20) {
        return push(stamp, {{1, script_joints(label, logit)}});
    }
    CopiedOutput push_nobody(std::int64_t stamp) {
        return copy_output(core.push(stamp, nullptr, 0, true), kScriptClasses);
    }
    // Frames of track 1 every step from `from` on.
    CopiedOutput push_steps(std::int64_t from, int count, int label = kScriptNone, float logit = 20) {
        CopiedOutput all;
        for (int i = 0; i < count; ++i) {
            const CopiedOutput one = push(from + i * kGridStep, label, logit);
            all.results.insert(all.results.end(), one.results.begin(), one.results.end());
            all.events.insert(all.events.end(), one.events.begin(), one.events.end());
        }
        return all;
    }
};

}  // namespace adasgn::testing
