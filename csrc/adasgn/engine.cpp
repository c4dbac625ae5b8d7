#include "adasgn/engine.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "adasgn/checks.h"
#include "adasgn/plan.h"
#include "adasgn/router.h"
#include "adasgn/thread_pool.h"

namespace adasgn {

namespace {

// Rows that are stacked in one group: enough to read a panel of weights often, few enough that the group's
// activations stay in the second-level cache.
constexpr int kGroupRows = 128;
constexpr int kMaxThreads = 1024;

[[noreturn]] void fail(ErrorKind kind, const std::string& message) {
    throw Error(kind, message);
}

const cpu::Kernels& choose_kernels(const char* name) {
    const cpu::Kernels* const found = cpu::kernels_for(name);
    if (found == nullptr) {
        std::string known;
        for (const char* const* set = cpu::instruction_sets(); *set != nullptr; ++set) {
            known += std::string(known.empty() ? "" : ", ") + *set;
        }
        fail(ErrorKind::engine, "instruction set: expected one of " + known + ", found " + name);
    }
    return *found;
}

EngineOptions checked(const EngineOptions& options) {
    expect_option("max_batch", options.max_batch, 1, kMaxBatch);
    expect_option("threads", options.threads, 1, kMaxThreads);
    return options;
}

int frames_of_group(int joints) {
    return std::max(1, kGroupRows / joints);
}

std::vector<int> frames_of_groups(const Description& description) {
    std::vector<int> frames;
    for (const BranchShape& branch : description.branches) {
        frames.push_back(frames_of_group(branch.joints));
    }
    return frames;
}

}  // namespace

// Scratch of one worker: the rows of the largest group, spatial or temporal.
struct WorkerBuffers {
    std::vector<Buffer> rows;
    Buffer transposed;
    Buffer pooled;

    explicit WorkerBuffers(int row_count)
        : transposed(static_cast<std::size_t>(kEmbedding) * kMaxJoints),
          pooled(static_cast<std::size_t>(row_count) * kTemporal) {
        for (int i = 0; i < 7; ++i) {
            rows.emplace_back(static_cast<std::size_t>(row_count) * cpu::kRowStride);
        }
    }

    cpu::Scratch scratch() const {
        return {rows[0].data(), rows[1].data(), rows[2].data(),    rows[3].data(), rows[4].data(),
                rows[5].data(), rows[6].data(), transposed.data(), pooled.data()};
    }
};

struct Engine::State {
    Description description;
    EngineOptions options;
    const cpu::Kernels& kernels;
    Plan plan;
    Router router;
    ThreadPool pool;
    int clips_of_group;
    std::vector<WorkerBuffers> workers;
    std::vector<cpu::Frame> frames;     // (max_batch · T)
    std::vector<std::int32_t> actions;  // (max_batch, T)
    Buffer features;                    // (max_batch, T, 256)
    Buffer action_logits;               // (max_batch, T, A)
    Buffer clip_logits;                 // (max_batch, K)
    Buffer logit_sums;                  // (max_batch, K)

    State(const Model& model, const EngineOptions& given)
        : description(model.description),
          options(checked(given)),
          kernels(choose_kernels(options.instruction_set)),
          plan(model, kernels),
          router(max_frames(), frames_of_groups(description), options.threads),
          pool(options.threads),
          clips_of_group(std::min(options.max_batch, frames_of_group(description.frames + 2))),
          frames(max_frames()),
          actions(max_frames()),
          features(static_cast<std::size_t>(max_frames()) * kFeature),
          action_logits(static_cast<std::size_t>(max_frames()) * description.branches.size()),
          clip_logits(static_cast<std::size_t>(options.max_batch) * description.classes),
          logit_sums(static_cast<std::size_t>(options.max_batch) * description.classes) {
        int rows = clips_of_group * (description.frames + 2);
        for (const BranchShape& branch : description.branches) {
            rows = std::max(rows, std::min(frames_of_group(branch.joints), max_frames()) * branch.joints);
        }
        for (int worker = 0; worker < options.threads; ++worker) {
            workers.emplace_back(rows);
        }
    }

    int max_frames() const { return options.max_batch * description.frames; }
    int frame_floats() const { return description.joints * kCoordinates; }

    // -- checks ---------------------------------------------------------------------------------------------------

    void expect_finite(const char* what, const float* values, std::size_t count) const {
        if (!kernels.finite(values, count)) {
            fail_not_finite(what, values, count);
        }
    }

    void expect_finite_clips(const float* clips, int count) const {
        if (!kernels.finite(clips, static_cast<std::size_t>(count) * description.frames * frame_floats())) {
            fail_not_finite_clips(description, clips, count);
        }
    }

    // -- work -----------------------------------------------------------------------------------------------------

    // The frames of whole clips, each with its predecessor; features go to `to` (count · T, 256).
    void list_clip_frames(const float* clips, int count, float* to) {
        for (int i = 0; i < count * description.frames; ++i) {
            const float* const current = clips + static_cast<std::size_t>(i) * frame_floats();
            frames[i] = {current, i % description.frames == 0 ? nullptr : current - frame_floats(),
                         to + static_cast<std::size_t>(i) * kFeature};
        }
    }

    void list_frames(const float* current, const float* previous, int count, float* to) {
        for (int i = 0; i < count; ++i) {
            const std::size_t offset = static_cast<std::size_t>(i) * frame_floats();
            frames[i] = {current + offset, previous == nullptr ? nullptr : previous + offset,
                         to + static_cast<std::size_t>(i) * kFeature};
        }
    }

    // Runs the listed frames: each through its action's branch, or all through `only`.
    void run_branches(int count, const std::int32_t* given, int only, int skip = -1) {
        router.route(frames.data(), given, count, only, skip);
        const std::vector<Router::Group>& groups = router.groups();
        pool.run(static_cast<int>(groups.size()), [&](int worker, int item) {
            const Router::Group& group = groups[item];
            kernels.branch(plan.branches()[group.branch], router.frames() + group.first, group.count,
                           workers[worker].scratch());
        });
    }

    template <class Task>
    void over_clips(int clips, const Task& task) {
        const int least = (clips + clips_of_group - 1) / clips_of_group;
        const int groups = std::max(least, std::min(clips, options.threads));
        pool.run(groups, [&](int worker, int group) {
            const int size = clips / groups;
            const int larger = clips % groups;
            const int first = group * size + std::min(group, larger);
            task(first, size + (group < larger ? 1 : 0), workers[worker].scratch());
        });
    }

    void head(const float* from, int clips, float* logits) {
        over_clips(clips, [&](int first, int count, const cpu::Scratch& scratch) {
            kernels.temporal(plan.temporal(), from + static_cast<std::size_t>(first) * description.frames * kFeature,
                             count, logits + static_cast<std::size_t>(first) * description.classes, scratch);
        });
    }

    void choose_actions(const float* from, int clips, std::int32_t* chosen, float* logits) {
        if (!description.adaptive) {
            std::fill(chosen, chosen + static_cast<std::size_t>(clips) * description.frames, 0);
            return;
        }
        const auto branches = static_cast<int>(description.branches.size());
        over_clips(clips, [&](int first, int count, const cpu::Scratch& scratch) {
            const std::size_t frame = static_cast<std::size_t>(first) * description.frames;
            kernels.policy(plan.policy(), from + frame * kFeature, count, logits + frame * branches, scratch);
        });
        for (int i = 0; i < clips * description.frames; ++i) {
            const float* const row = logits + static_cast<std::size_t>(i) * branches;
            chosen[i] = static_cast<std::int32_t>(std::max_element(row, row + branches) - row);  // the first of equals
        }
    }

    void average_persons(const float* from, int samples, int persons, float* to) const {
        const auto classes = static_cast<std::size_t>(description.classes);
        for (int sample = 0; sample < samples; ++sample, to += classes) {
            std::copy(from, from + classes, to);
            from += classes;
            for (int person = 1; person < persons; ++person, from += classes) {
                std::transform(to, to + classes, from, to, [](float a, float b) { return a + b; });
            }
            if (persons > 1) {
                std::transform(to, to + classes, to, [&](float sum) { return sum / static_cast<float>(persons); });
            }
        }
    }

    void finish(int samples, int persons, const std::int32_t* taken, const Result& result) {
        const int clips = samples * persons;
        const std::size_t count = static_cast<std::size_t>(clips) * description.frames;
        head(features.data(), clips, clip_logits.data());
        average_persons(clip_logits.data(), samples, persons, result.logits);
        if (result.actions != nullptr) {
            std::copy(taken, taken + count, result.actions);
        }
        if (result.features != nullptr) {
            std::memcpy(result.features, features.data(), count * kFeature * sizeof(float));
        }
    }
};

Engine::Engine(const Model& model, const EngineOptions& options) : state_(std::make_unique<State>(model, options)) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

const Description& Engine::description() const {
    return state_->description;
}

const char* Engine::instruction_set() const {
    return state_->kernels.name;
}

int Engine::max_batch() const {
    return state_->options.max_batch;
}

int Engine::threads() const {
    return state_->options.threads;
}

void Engine::run(const float* clips, int samples, int persons, const Result& result) {
    State& state = *state_;
    const int count = checked_clips(samples, persons, state.options.max_batch);
    const int frames = count * state.description.frames;
    state.expect_finite_clips(clips, count);
    state.list_clip_frames(clips, count, state.features.data());
    state.run_branches(frames, nullptr, 0);
    state.choose_actions(state.features.data(), count, state.actions.data(), state.action_logits.data());
    if (state.description.adaptive) {
        state.run_branches(frames, state.actions.data(), 0, 0);
    }
    state.finish(samples, persons, state.actions.data(), result);
}

void Engine::run_forced(const float* clips, const std::int32_t* actions, int samples, int persons,
                        const Result& result) {
    State& state = *state_;
    const int count = checked_clips(samples, persons, state.options.max_batch);
    const int frames = count * state.description.frames;
    expect_actions(state.description, actions, frames);
    state.expect_finite_clips(clips, count);
    state.list_clip_frames(clips, count, state.features.data());
    state.run_branches(frames, actions, 0);
    state.finish(samples, persons, actions, result);
}

void Engine::run_fuse(const float* clips, int samples, int persons, const Result& result) {
    State& state = *state_;
    if (result.actions != nullptr || result.features != nullptr) {
        fail(ErrorKind::clip, "fuse: expected no actions and no features to be asked for, since every branch runs");
    }
    const int count = checked_clips(samples, persons, state.options.max_batch);
    state.expect_finite_clips(clips, count);
    state.list_clip_frames(clips, count, state.features.data());
    const auto branches = static_cast<int>(state.description.branches.size());
    const std::size_t values = static_cast<std::size_t>(count) * state.description.classes;
    float* const sums = state.logit_sums.data();
    std::fill(sums, sums + values, 0.0F);
    for (int branch = 0; branch < branches; ++branch) {
        state.run_branches(count * state.description.frames, nullptr, branch);
        state.head(state.features.data(), count, state.clip_logits.data());
        std::transform(sums, sums + values, state.clip_logits.data(), sums,
                       [&](float sum, float logit) { return sum + logit / static_cast<float>(branches); });
    }
    state.average_persons(sums, samples, persons, result.logits);
}

void Engine::policy_features(const float* frames, const float* previous, int count, float* features) {
    branch_features(frames, previous, nullptr, count, nullptr, features);
}

void Engine::actions(const float* features, int clips, std::int32_t* actions, float* action_logits) {
    State& state = *state_;
    expect_range("clips", clips, 0, state.options.max_batch);
    if (action_logits != nullptr && !state.description.adaptive) {
        fail(ErrorKind::clip, "action logits: expected an adaptive model, found kind " + state.description.kind);
    }
    state.expect_finite("features", features, static_cast<std::size_t>(clips) * state.description.frames * kFeature);
    state.choose_actions(features, clips, actions,
                         action_logits != nullptr ? action_logits : state.action_logits.data());
}

void Engine::branch_features(const float* frames, const float* previous, const std::int32_t* actions, int count,
                             const float* policy_features, float* features) {
    State& state = *state_;
    expect_range("frames", count, 0, state.max_frames());
    const std::size_t floats = static_cast<std::size_t>(count) * state.frame_floats();
    state.expect_finite("frames", frames, floats);
    if (previous != nullptr) {
        state.expect_finite("previous frames", previous, floats);
    }
    if (actions != nullptr) {
        expect_actions(state.description, actions, count);
    } else if (policy_features != nullptr) {
        fail(ErrorKind::clip, "actions: expected those of the frames that policy features are given for, found none");
    }
    state.list_frames(frames, previous, count, features);
    state.run_branches(count, actions, 0, policy_features == nullptr ? -1 : 0);
    if (policy_features != nullptr) {
        for (int i = 0; i < count; ++i) {
            if (actions[i] == 0) {
                const std::size_t offset = static_cast<std::size_t>(i) * kFeature;
                std::memcpy(features + offset, policy_features + offset, kFeature * sizeof(float));
            }
        }
    }
}

void Engine::temporal_head(const float* features, int clips, float* logits) {
    State& state = *state_;
    expect_range("clips", clips, 0, state.options.max_batch);
    state.expect_finite("features", features, static_cast<std::size_t>(clips) * state.description.frames * kFeature);
    state.head(features, clips, logits);
}

bool Engine::buffers_intact() const {
    const auto intact = [](const Buffer& buffer) { return buffer.intact(); };
    const State& state = *state_;
    return state.plan.buffers_intact() && intact(state.features) && intact(state.action_logits) &&
           intact(state.clip_logits) && intact(state.logit_sums) &&
           std::all_of(state.workers.begin(), state.workers.end(), [&](const WorkerBuffers& worker) {
               return std::all_of(worker.rows.begin(), worker.rows.end(), intact) && intact(worker.transposed) &&
                      intact(worker.pooled);
           });
}

const char* const* instruction_sets() {
    return cpu::instruction_sets();
}

}  // namespace adasgn
