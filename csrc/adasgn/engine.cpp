#include "adasgn/engine.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <numeric>
#include <vector>

#include "adasgn/bounds.h"
#include "adasgn/causal.h"
#include "adasgn/checks.h"
#include "adasgn/plan.h"
#include "adasgn/process.h"
#include "adasgn/router.h"
#include "adasgn/scratch.h"
#include "adasgn/thread_pool.h"

namespace adasgn {

namespace {

// Rows that are stacked in one group: enough to read a panel of weights often, few enough that the group's
// activations stay in the second-level cache.
constexpr int kGroupRows = 128;
// Clips that a run works on before it asks whether to go on: a quarter of a second of one slow core.
constexpr int kPartClips = 64;

[[noreturn]] void fail(ErrorKind kind, const std::string& message) {
    throw Error(kind, message);
}

EngineOptions checked(const EngineOptions& options) {
    expect_option("max_batch", options.max_batch, 1, kMaxBatch);
    expect_option("threads", options.threads, 1, kMaxThreads);
    return options;
}

// Stacked rows that a frame takes, a pose branch's one.
int rows_of_frame(const BranchShape& branch) {
    return branch.pose() ? 1 : branch.joints;
}

int frames_of_group(int rows) {
    return std::max(1, kGroupRows / rows);
}

// Adds the probabilities of logits (K,), which are finite, to sums (K,).
void add_probabilities(const float* logits, int classes, float* sums) {
    const float top = *std::max_element(logits, logits + classes);
    float sum = 0;
    for (int k = 0; k < classes; ++k) {
        sum += std::exp(logits[k] - top);
    }
    for (int k = 0; k < classes; ++k) {
        sums[k] += std::exp(logits[k] - top) / sum;
    }
}

std::vector<int> frames_of_groups(const Description& description) {
    std::vector<int> frames;
    for (const BranchShape& branch : description.branches) {
        frames.push_back(frames_of_group(rows_of_frame(branch)));
    }
    return frames;
}

}  // namespace

struct Engine::State {
    OwnProcess process;
    Description description;
    EngineOptions options;
    float max_feature;
    const cpu::Kernels& kernels;
    Plan plan;
    Router router;
    ThreadPool pool;
    int clips_of_group;
    std::vector<WorkerBuffers> workers;
    std::vector<cpu::Frame> frames;     // (max_batch · T)
    std::vector<std::int32_t> actions;  // (max_batch, T)
    Buffer features;                    // (max_batch, T, 256)
    // Of a causal model what its branches see of the frames of windows, and pointers to the joints behind one of them.
    Buffer window_frames;                   // (max_batch · T, V, 3)
    Buffer window_previous;                 // (max_batch · T, V, 3)
    std::vector<const float*> window_rows;  // (lead + 1)
    Buffer action_logits;                   // (max_batch, T, A)
    Buffer clip_logits;                     // (max_batch, K)
    Buffer logit_sums;                      // (max_batch, K)
    // Of a model that escalates: the samples that go on, their logits, and all samples' sums of probabilities.
    std::vector<int> unsure;  // (max_batch,)
    Buffer sample_logits;     // (max_batch, K)
    Buffer probability_sums;  // (max_batch, K)

    State(const Model& model, const EngineOptions& given)
        : description(model.description),
          options(checked(given)),
          max_feature(expect_computable(model)),
          kernels(checked_kernels(options.instruction_set)),
          plan(model, kernels),
          router(max_frames(), frames_of_groups(description), options.threads),
          pool(options.threads),
          clips_of_group(std::min(options.max_batch, frames_of_group(description.frames + 2))),
          frames(max_frames()),
          actions(max_frames()),
          features(static_cast<std::size_t>(max_frames()) * kFeature),
          window_frames(windowed_frames() * frame_floats()),
          window_previous(windowed_frames() * frame_floats()),
          window_rows(description.causal ? description.causal->lead() + 1 : 0),
          action_logits(static_cast<std::size_t>(max_frames()) * description.branches.size()),
          clip_logits(static_cast<std::size_t>(options.max_batch) * description.classes),
          logit_sums(static_cast<std::size_t>(options.max_batch) * description.classes),
          unsure(escalating_samples()),
          sample_logits(static_cast<std::size_t>(escalating_samples()) * description.classes),
          probability_sums(static_cast<std::size_t>(escalating_samples()) * description.classes) {
        int rows = clips_of_group * (description.frames + 2);
        for (const BranchShape& branch : description.branches) {
            const int frame = rows_of_frame(branch);
            rows = std::max(rows, std::min(frames_of_group(frame), max_frames()) * frame);
        }
        for (int worker = 0; worker < options.threads; ++worker) {
            workers.emplace_back(rows);
        }
    }

    int escalating_samples() const { return description.escalates ? options.max_batch : 0; }
    int max_frames() const { return options.max_batch * description.frames; }
    std::size_t windowed_frames() const { return description.causal ? max_frames() : 0; }
    // Frames that have features and actions, T of a clip.
    std::size_t clip_frames(int clips) const { return static_cast<std::size_t>(clips) * description.frames; }
    // A clip as it is given.
    std::size_t clip_floats(int clips) const {
        return static_cast<std::size_t>(clips) * description.clip_frames() * recorded_floats();
    }
    int recorded_floats() const { return description.recorded_joints() * kCoordinates; }
    int frame_floats() const { return description.joints * kCoordinates; }

    // -- checks ---------------------------------------------------------------------------------------------------

    void expect_within(const char* what, float bound, const float* values, std::size_t count) const {
        if (!kernels.within(bound, values, count)) {
            fail_beyond(what, bound, values, count);
        }
    }

    void expect_clips(const float* clips, int count) const {
        if (!kernels.within(kMaxCoordinate, clips, clip_floats(count))) {
            fail_clips(description, clips, count);
        }
    }

    // The caller's actions as a copy, checked: the caller's own may change meanwhile.
    const std::int32_t* own_actions(const std::int32_t* given, int count) {
        std::copy(given, given + count, actions.begin());
        expect_actions(description, actions.data(), count);
        return actions.data();
    }

    // -- work -----------------------------------------------------------------------------------------------------

    // The frames of whole clips, each with its predecessor, as those from number `first` on; the feature of frame i
    // goes to row i of `to`.
    void list_clip_frames(const float* clips, int count, float* to, std::size_t first = 0) {
        if (description.causal) {
            list_window_frames(clips, count, to, first);
            return;
        }
        for (int i = 0; i < count * description.frames; ++i) {
            const float* const current = clips + static_cast<std::size_t>(i) * frame_floats();
            frames[first + i] = {current, i % description.frames == 0 ? nullptr : current - frame_floats(),
                                 to + (first + i) * kFeature};
        }
    }

    // The same of a causal model's windows, whose frames are made first.
    void list_window_frames(const float* windows, int count, float* to, std::size_t first) {
        for (int i = 0; i < count * description.frames; ++i) {
            const float* const oldest = windows + clip_floats(i / description.frames) +
                                        static_cast<std::size_t>(i % description.frames) * recorded_floats();
            for (std::size_t row = 0; row < window_rows.size(); ++row) {
                window_rows[row] = oldest + row * recorded_floats();
            }
            const std::size_t offset = (first + i) * frame_floats();
            float* const current = window_frames.data() + offset;
            float* const previous = window_previous.data() + offset;
            causal_frame(description, window_rows.data(), current, previous);
            frames[first + i] = {current, previous, to + (first + i) * kFeature};
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
            const float* const own = from + clip_frames(first) * kFeature;
            float* const own_logits = logits + static_cast<std::size_t>(first) * description.classes;
            if (description.causal) {
                kernels.causal_windows(plan.causal(), own, count, own_logits, scratch);
            } else {
                kernels.temporal(plan.temporal(), own, count, own_logits, scratch);
            }
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

    // Averaged over the persons, if they are finite even when added up.
    void give_logits(const float* from, int samples, int persons, float* to) const {
        const float bound = std::numeric_limits<float>::max() / static_cast<float>(persons);
        if (!kernels.within(bound, from, static_cast<std::size_t>(samples) * persons * description.classes)) {
            fail_logits();
        }
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

    // Runs samples through one branch after another, as long as they are unsure.
    void escalate(const float* clips, int samples, int persons, float threshold, const Result& result) {
        const auto levels = static_cast<int>(description.branches.size());
        const auto classes = static_cast<std::size_t>(description.classes);
        const std::size_t sample_frames = clip_frames(persons);
        std::fill_n(probability_sums.data(), samples * classes, 0.0F);
        std::iota(unsure.begin(), unsure.begin() + samples, 0);
        for (int level = 0, count = samples; count > 0; ++level) {
            // Those that go on move together, so that the temporal module has whole groups of clips.
            for (int i = 0; i < count; ++i) {
                list_clip_frames(clips + clip_floats(unsure[i] * persons), persons, features.data(), i * sample_frames);
            }
            run_branches(static_cast<int>(count * sample_frames), nullptr, level);
            head(features.data(), count * persons, clip_logits.data());
            give_logits(clip_logits.data(), count, persons, sample_logits.data());
            int going_on = 0;
            for (int i = 0; i < count; ++i) {
                float* const sums = probability_sums.data() + unsure[i] * classes;
                add_probabilities(sample_logits.data() + i * classes, description.classes, sums);
                const float confidence = *std::max_element(sums, sums + classes) / static_cast<float>(level + 1);
                if (level + 1 < levels && confidence < threshold) {
                    unsure[going_on++] = unsure[i];
                } else {
                    give_escalated(unsure[i], persons, level, features.data() + i * sample_frames * kFeature, result);
                }
            }
            count = going_on;
        }
    }

    // Of a sample that ends at this level, where it has the features (persons, T, 256).
    void give_escalated(int sample, int persons, int level, const float* from, const Result& result) const {
        const auto classes = static_cast<std::size_t>(description.classes);
        const std::size_t sample_frames = clip_frames(persons);
        const float* const sums = probability_sums.data() + sample * classes;
        std::transform(sums, sums + classes, result.logits + sample * classes, [&](float sum) {
            return std::log(std::max(sum / static_cast<float>(level + 1), std::numeric_limits<float>::min()));
        });
        if (result.actions != nullptr) {
            std::fill_n(result.actions + sample * sample_frames, sample_frames, level);
        }
        if (result.features != nullptr) {
            std::memcpy(result.features + sample * sample_frames * kFeature, from,
                        sample_frames * kFeature * sizeof(float));
        }
    }

    // Calls part(first, samples) until all samples have been in a part, asking in between whether to go on. A clip
    // passes `branches` of them.
    template <class Part>
    void in_parts(int samples, int persons, int branches, const Part& part) const {
        const int most = std::max(1, kPartClips / branches / persons);
        for (int first = 0; first < samples; first += most) {
            if (first > 0 && options.between_parts != nullptr) {
                options.between_parts();
            }
            part(first, std::min(most, samples - first));
        }
    }

    // Where the part of a result begins.
    Result part_of(const Result& result, int first_sample, int persons) const {
        const std::size_t frame = clip_frames(first_sample * persons);
        return {result.logits + static_cast<std::size_t>(first_sample) * description.classes,
                result.actions == nullptr ? nullptr : result.actions + frame,
                result.features == nullptr ? nullptr : result.features + frame * kFeature};
    }

    void finish(int samples, int persons, const std::int32_t* taken, const Result& result) {
        const int clips = samples * persons;
        const std::size_t count = clip_frames(clips);
        head(features.data(), clips, clip_logits.data());
        give_logits(clip_logits.data(), samples, persons, result.logits);
        if (result.actions != nullptr) {
            std::copy(taken, taken + count, result.actions);
        }
        if (result.features != nullptr) {
            std::memcpy(result.features, features.data(), count * kFeature * sizeof(float));
        }
    }
};

Engine::Engine(const Model& model, const EngineOptions& options) {
    try {
        state_ = std::make_unique<State>(model, options);
    } catch (const std::bad_alloc&) {
        fail(ErrorKind::engine, "memory: expected enough for max_batch " + std::to_string(options.max_batch) +
                                    " and threads " + std::to_string(options.threads) + ", found too little");
    }
}

Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

Engine::State& Engine::here() {
    state_->process.expect_here();
    return *state_;
}

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

void Engine::run(const float* clips, int samples, int persons, const Result& result, float threshold) {
    State& state = here();
    const float sure = checked_threshold(state.description, threshold);
    state.expect_clips(clips, checked_clips(samples, persons, state.options.max_batch));
    if (state.description.escalates) {
        const auto levels = static_cast<int>(state.description.branches.size());
        state.in_parts(samples, persons, levels, [&](int first, int part) {
            state.escalate(clips + state.clip_floats(first * persons), part, persons, sure,
                           state.part_of(result, first, persons));
        });
        return;
    }
    state.in_parts(samples, persons, 1, [&](int first, int part) {
        const int count = part * persons;
        const auto frames = static_cast<int>(state.clip_frames(count));
        state.list_clip_frames(clips + state.clip_floats(first * persons), count, state.features.data());
        state.run_branches(frames, nullptr, 0);
        state.choose_actions(state.features.data(), count, state.actions.data(), state.action_logits.data());
        if (state.description.adaptive) {
            state.run_branches(frames, state.actions.data(), 0, 0);
        }
        state.finish(part, persons, state.actions.data(), state.part_of(result, first, persons));
    });
}

void Engine::run_forced(const float* clips, const std::int32_t* actions, int samples, int persons,
                        const Result& result) {
    State& state = here();
    const int all = checked_clips(samples, persons, state.options.max_batch);
    const std::int32_t* const own = state.own_actions(actions, static_cast<int>(state.clip_frames(all)));
    state.expect_clips(clips, all);
    state.in_parts(samples, persons, 1, [&](int first, int part) {
        const int count = part * persons;
        const std::int32_t* const taken = own + state.clip_frames(first * persons);
        state.list_clip_frames(clips + state.clip_floats(first * persons), count, state.features.data());
        state.run_branches(static_cast<int>(state.clip_frames(count)), taken, 0);
        state.finish(part, persons, taken, state.part_of(result, first, persons));
    });
}

void Engine::run_fuse(const float* clips, int samples, int persons, const Result& result) {
    State& state = here();
    if (result.actions != nullptr || result.features != nullptr) {
        fail(ErrorKind::clip, "fuse: expected no actions and no features to be asked for, since every branch runs");
    }
    state.expect_clips(clips, checked_clips(samples, persons, state.options.max_batch));
    const auto branches = static_cast<int>(state.description.branches.size());
    float* const sums = state.logit_sums.data();
    state.in_parts(samples, persons, branches, [&](int first, int part) {
        const int count = part * persons;
        const std::size_t values = static_cast<std::size_t>(count) * state.description.classes;
        state.list_clip_frames(clips + state.clip_floats(first * persons), count, state.features.data());
        std::fill(sums, sums + values, 0.0F);
        for (int branch = 0; branch < branches; ++branch) {
            state.run_branches(static_cast<int>(state.clip_frames(count)), nullptr, branch);
            state.head(state.features.data(), count, state.clip_logits.data());
            std::transform(sums, sums + values, state.clip_logits.data(), sums,
                           [&](float sum, float logit) { return sum + logit / static_cast<float>(branches); });
        }
        state.give_logits(sums, part, persons, state.part_of(result, first, persons).logits);
    });
}

void Engine::policy_features(const float* frames, const float* previous, int count, float* features) {
    branch_features(frames, previous, nullptr, count, nullptr, features);
}

void Engine::actions(const float* features, int clips, std::int32_t* actions, float* action_logits) {
    State& state = here();
    expect_range("clips", clips, 0, state.options.max_batch);
    if (action_logits != nullptr && !state.description.adaptive) {
        fail(ErrorKind::clip, "action logits: expected an adaptive model, found kind " + state.description.kind);
    }
    state.expect_within("features", state.max_feature, features, state.clip_frames(clips) * kFeature);
    state.choose_actions(features, clips, actions,
                         action_logits != nullptr ? action_logits : state.action_logits.data());
}

void Engine::branch_features(const float* frames, const float* previous, const std::int32_t* actions, int count,
                             const float* policy_features, float* features) {
    State& state = here();
    expect_range("frames", count, 0, state.max_frames());
    const std::size_t floats = static_cast<std::size_t>(count) * state.frame_floats();
    state.expect_within("frames", kMaxCoordinate, frames, floats);
    if (previous != nullptr) {
        state.expect_within("previous frames", kMaxCoordinate, previous, floats);
    }
    if (actions != nullptr) {
        actions = state.own_actions(actions, count);
    } else if (policy_features != nullptr) {
        fail(ErrorKind::clip, "actions: expected those of the frames that policy features are given for, found none");
    }
    if (policy_features != nullptr) {
        state.expect_within("policy features", state.max_feature, policy_features,
                            static_cast<std::size_t>(count) * kFeature);
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
    State& state = here();
    expect_range("clips", clips, 0, state.options.max_batch);
    state.expect_within("features", state.max_feature, features, state.clip_frames(clips) * kFeature);
    state.head(features, clips, state.clip_logits.data());
    state.give_logits(state.clip_logits.data(), clips, 1, logits);
}

bool Engine::buffers_intact() const {
    const auto intact = [](const Buffer& buffer) { return buffer.intact(); };
    const State& state = *state_;
    return state.plan.buffers_intact() && intact(state.features) && intact(state.action_logits) &&
           intact(state.clip_logits) && intact(state.logit_sums) && intact(state.sample_logits) &&
           intact(state.probability_sums) && intact(state.window_frames) && intact(state.window_previous) &&
           std::all_of(state.workers.begin(), state.workers.end(),
                       [](const WorkerBuffers& worker) { return worker.intact(); });
}

const char* const* instruction_sets() {
    return cpu::instruction_sets();
}

long multiply_adds(const char* instruction_set, long rounds) {
    float sink = 1.0F;
    return rounds * checked_kernels(instruction_set).multiply_adds(rounds, &sink);
}

}  // namespace adasgn
