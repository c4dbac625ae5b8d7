#include "adasgn/cuda/engine.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <tuple>

#include "adasgn/checks.h"

namespace adasgn::cuda {

namespace {

constexpr int kUntimed = 10;           // runs before those that are timed
constexpr int kMostTimed = 1'000'000;  // batches, repeats

void expect_features(const char* what, const float* features, std::size_t count) {
    if (!all_within(kMaxFeature, features, count)) {
        fail_beyond(what, kMaxFeature, features, count);
    }
}

bool finite(const float* logits, std::size_t count) {
    return all_within(std::numeric_limits<float>::max(), logits, count);
}

}  // namespace

struct Engine::State {
    // mode, samples, persons, whether features are wanted, whether clips come from the host
    using Key = std::tuple<Mode, int, int, bool, bool>;

    DeviceEngine device;
    OwnStream stream;
    OwnStream capturing;  // graphs: libraries that clips come from may give work to `stream` meanwhile
    OwnEvent others_work{create_ordering_event};
    std::size_t frames;                  // max_batch · T
    std::size_t coordinates;             // of a frame, V · 3
    DeviceMemory<float> clips;           // (max_batch, T, V, 3)
    DeviceMemory<float> previous;        // likewise, of the stages
    DeviceMemory<float> inputs;          // (max_batch, T, 256), of the stages
    DeviceMemory<float> features;        // (max_batch, T, 256)
    DeviceMemory<float> action_logits;   // (max_batch, T, A)
    MappedMemory<float> logits;          // (max_batch, K); mapped: kernels write it, no copy follows them
    MappedMemory<std::int32_t> actions;  // (max_batch, T)
    MappedMemory<std::int32_t> given;    // (max_batch, T); mapped: kernels read it, no copy precedes them
    MappedMemory<float> threshold;       // of the next run of a model that escalates: graphs read it here
    PinnedMemory<float> host_clips;      // pinned: what graphs copy from and to
    PinnedMemory<float> host_features;
    std::map<Key, Graph> graphs;

    // The device is the current one already.
    State(const Model& model, const EngineOptions& options)
        : device(model, options),
          frames(static_cast<std::size_t>(device.max_frames())),
          coordinates(static_cast<std::size_t>(model.description.joints) * kCoordinates),
          clips(frames * coordinates),
          previous(frames * coordinates),
          inputs(frames * kFeature),
          features(frames * kFeature),
          action_logits(frames * model.description.branches.size()),
          logits(static_cast<std::size_t>(options.max_batch) * model.description.classes),
          actions(frames),
          given(frames),
          threshold(1),
          host_clips(frames * coordinates),
          host_features(frames * kFeature) {}

    const Description& description() const { return device.description(); }

    template <class T>
    static void upload(T* to, const T* from, std::size_t count, Stream on) {
        expect_ok(copy_to_device(to, from, count * sizeof(T), on), "copy to the device");
    }
    template <class T>
    static void download(T* to, const T* from, std::size_t count, Stream on) {
        expect_ok(copy_to_host(to, from, count * sizeof(T), on), "copy from the device");
    }
    template <class T>
    void upload(T* to, const T* from, std::size_t count) {
        upload(to, from, count, stream.get());
    }
    template <class T>
    void download(T* to, const T* from, std::size_t count) {
        download(to, from, count, stream.get());
    }

    // Whether branches are the model's choice.
    bool chooses() const { return description().adaptive || description().escalates; }

    // Where the kernels of a run write what the host reads. Actions that are not the policy's the host knows.
    DeviceResult results(Mode mode, bool with_features) const {
        const bool chosen = mode == Mode::adaptive && chooses();
        return {logits.device(), chosen ? actions.device() : nullptr, with_features ? features.data() : nullptr};
    }

    void enqueue(Mode mode, int samples, int persons, bool with_features, bool from_host, Stream on) {
        const std::size_t count = static_cast<std::size_t>(samples) * persons * description().frames;
        if (from_host) {
            upload(clips.data(), host_clips.data(), count * coordinates, on);
        }
        if (mode == Mode::fuse) {
            device.run_fuse(clips.data(), samples, persons, logits.device(), on);
        } else {
            device.run(clips.data(), mode == Mode::forced ? given.device() : nullptr, samples, persons,
                       results(mode, with_features), on, {kDefaultThreshold, threshold.device()});
        }
        if (with_features) {
            download(host_features.data(), features.data(), count * kFeature, on);
        }
    }

    // Clips with coordinates that do not fit get logits that are NaN, so the flags, which stay on the device, are
    // looked at only where there are some.
    void expect_sound(const float* on_host, int count, std::size_t values) {
        if (finite(logits.host(), values)) {
            return;
        }
        if (device.fault(stream.get()).not_finite < 0) {
            fail_logits();
        }
        if (on_host == nullptr) {
            download(host_clips.data(), clips.data(), count * description().frames * coordinates);
            expect_ok(synchronise(stream.get()), "a run");
        }
        fail_clips(description(), host_clips.data(), count);
    }

    // The branches that the frames of a run that has ended took.
    const std::int32_t* taken(Mode mode, std::size_t all) const {
        if (mode == Mode::forced) {
            return given.host();
        }
        if (!chooses()) {
            std::fill(actions.host(), actions.host() + all, 0);
        }
        return actions.host();
    }

    const Graph& graph(Mode mode, int samples, int persons, bool with_features, bool from_host) {
        const Key key{mode, samples, persons, with_features, from_host};
        const auto found = graphs.find(key);
        if (found != graphs.end()) {
            return found->second;
        }
        const Stream on = capturing.get();
        Graph made(on, [&] { enqueue(mode, samples, persons, with_features, from_host, on); });
        return graphs.emplace(key, std::move(made)).first->second;
    }

    // Null `on_host`: the clips lie in `on_device`.
    void run(Mode mode, const float* on_host, const float* on_device, const std::int32_t* actions_given, int samples,
             int persons, const Result& result, float chosen_threshold = kDefaultThreshold) {
        const OnDevice current = device.make_current();
        *threshold.host() = checked_threshold(description(), chosen_threshold);
        const int count = checked_clips(samples, persons, device.options().max_batch);
        const std::size_t all = static_cast<std::size_t>(count) * description().frames;
        if (mode == Mode::fuse && (result.actions != nullptr || result.features != nullptr)) {
            throw Error(ErrorKind::clip,
                        "fuse: expected no actions and no features to be asked for, since every branch runs");
        }
        if (mode == Mode::forced) {
            // The copy is what is checked: the caller's may change meanwhile.
            std::copy(actions_given, actions_given + all, given.host());
            expect_actions(description(), given.host(), static_cast<int>(all));
        }
        if (count == 0) {
            return;
        }
        const Graph& launched = graph(mode, samples, persons, result.features != nullptr, on_host != nullptr);
        if (on_host != nullptr) {
            std::copy(on_host, on_host + all * coordinates, host_clips.data());
        } else {
            expect_ok(copy_on_device(clips.data(), on_device, all * coordinates * sizeof(float), stream.get()),
                      "copy on the device");
        }
        launched.launch(stream.get());
        expect_ok(synchronise(stream.get()), "a run");
        const std::size_t values = static_cast<std::size_t>(samples) * description().classes;
        expect_sound(on_host, count, values);
        std::copy(logits.host(), logits.host() + values, result.logits);
        if (result.actions != nullptr) {
            const std::int32_t* const from = taken(mode, all);
            std::copy(from, from + all, result.actions);
        }
        if (result.features != nullptr) {
            std::memcpy(result.features, host_features.data(), all * kFeature * sizeof(float));
        }
    }

    std::vector<double> time_graph(const float* from, int batches, int samples, int persons, int repeats, bool wait,
                                   float* logits_to, float chosen_threshold) {
        *threshold.host() = checked_threshold(description(), chosen_threshold);
        const int count = checked_clips(samples, persons, device.options().max_batch);
        expect_range("clips of a timed run", count, 1, device.options().max_batch);
        expect_range("batches", batches, 1, kMostTimed);
        expect_range("repeats", repeats, 1, kMostTimed);
        const OnDevice current = device.make_current();
        const std::size_t floats = static_cast<std::size_t>(count) * description().frames * coordinates;
        const DeviceMemory<float> timed(batches * floats);
        upload(timed.data(), from, batches * floats);
        const Graph kernels(capturing.get(), [&] {
            device.run(clips.data(), nullptr, samples, persons, results(Mode::adaptive, false), capturing.get(),
                       {kDefaultThreshold, threshold.device()});
        });
        std::vector<OwnEvent> before(repeats);
        std::vector<OwnEvent> after(repeats);
        for (int i = -std::min(kUntimed, repeats); i < repeats; ++i) {
            const float* const input = timed.data() + std::max(i, 0) % batches * floats;
            expect_ok(copy_on_device(clips.data(), input, floats * sizeof(float), stream.get()), "copy on the device");
            if (wait) {
                expect_ok(synchronise(stream.get()), "a run");
            }
            if (i >= 0) {
                before[i].record(stream.get());
            }
            kernels.launch(stream.get());
            if (i >= 0) {
                after[i].record(stream.get());
            }
        }
        expect_ok(synchronise(stream.get()), "a run");
        std::copy(logits.host(), logits.host() + static_cast<std::size_t>(samples) * description().classes, logits_to);
        if (device.fault(stream.get()).not_finite >= 0) {
            fail_clips(description(), from, batches * count);
        }
        std::vector<double> microseconds(repeats);
        for (int i = 0; i < repeats; ++i) {
            microseconds[i] = before[i].microseconds_until(after[i]);
        }
        return microseconds;
    }

    // Frames of a stage to the device; returns where the frames before them lie, null for none.
    const float* upload_frames(const float* from, const float* before, int count) {
        expect_range("frames (at most max_batch · T)", count, 0, device.max_frames());
        const std::size_t floats = count * coordinates;
        upload(clips.data(), from, floats);
        if (before == nullptr) {
            return nullptr;
        }
        upload(previous.data(), before, floats);
        return previous.data();
    }

    void finish_features(const float* from, const float* before, int count, float* to) {
        const Fault fault = device.fault(stream.get());
        const std::size_t floats = count * coordinates;
        if (fault.not_finite >= 0) {
            const std::size_t at = fault.not_finite * coordinates;
            const bool current = before == nullptr || !all_within(kMaxCoordinate, from + at, coordinates);
            fail_beyond(current ? "frames" : "previous frames", kMaxCoordinate, current ? from : before, floats);
        }
        download(to, features.data(), static_cast<std::size_t>(count) * kFeature);
        expect_ok(synchronise(stream.get()), "a stage");
    }
};

Engine::Engine(const Model& model, const EngineOptions& options) {
    if (options.device < 0 || options.device >= device_count()) {
        static_cast<void>(DeviceEngine(model, options));  // says so
    }
    const OnDevice current(options.device);
    state_.reset(new State(model, options));
}

void Engine::Release::operator()(State* state) const {
    if (state->device.here()) {
        delete state;
    }
}

Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

DeviceEngine& Engine::on_device() {
    return state_->device;
}

const DeviceEngine& Engine::on_device() const {
    return state_->device;
}

void Engine::run(const float* clips, int samples, int persons, const Result& result, float threshold) {
    state_->run(Mode::adaptive, clips, nullptr, nullptr, samples, persons, result, threshold);
}

void Engine::run_forced(const float* clips, const std::int32_t* actions, int samples, int persons,
                        const Result& result) {
    state_->run(Mode::forced, clips, nullptr, actions, samples, persons, result);
}

void Engine::run_fuse(const float* clips, int samples, int persons, const Result& result) {
    state_->run(Mode::fuse, clips, nullptr, nullptr, samples, persons, result);
}

void Engine::run_device(Mode mode, const float* device_clips, const std::int32_t* actions, int samples, int persons,
                        const Result& result, float threshold) {
    state_->run(mode, nullptr, device_clips, actions, samples, persons, result, threshold);
}

Stream Engine::stream() const {
    return state_->stream.get();
}

void Engine::wait_for(Stream other) {
    const OnDevice current = state_->device.make_current();
    state_->others_work.record(other);
    expect_ok(wait_event(stream(), state_->others_work.get()), "waiting for the clips' stream");
}

void Engine::wait_for_device() {
    const OnDevice current = state_->device.make_current();
    expect_ok(synchronise_device(), "waiting for the device");
}

void Engine::prepare(Mode mode, int samples, int persons, bool features) {
    const OnDevice current = state_->device.make_current();
    if (checked_clips(samples, persons, max_batch()) > 0) {
        state_->graph(mode, samples, persons, features, true).upload(stream());
    }
}

std::vector<double> Engine::time_graph(const float* clips, int batches, int samples, int persons, int repeats,
                                       bool wait, float* logits, float threshold) {
    return state_->time_graph(clips, batches, samples, persons, repeats, wait, logits, threshold);
}

void Engine::force_schedule(const Schedule& schedule) {
    const OnDevice current = state_->device.make_current();
    state_->device.force_schedule(schedule);
    state_->graphs.clear();  // they hold the launches of another
}

void Engine::policy_features(const float* frames, const float* previous, int count, float* features) {
    State& state = *state_;
    const OnDevice current = state.device.make_current();
    const float* const before = state.upload_frames(frames, previous, count);
    state.device.policy_features(state.clips.data(), before, count, state.features.data(), state.stream.get());
    state.finish_features(frames, previous, count, features);
}

void Engine::actions(const float* features, int clips, std::int32_t* actions, float* action_logits) {
    State& state = *state_;
    const Description& description = state.description();
    if (action_logits != nullptr && !description.adaptive) {
        throw Error(ErrorKind::clip, "action logits: expected an adaptive model, found kind " + description.kind);
    }
    expect_range("clips (the engine's max_batch is the most)", clips, 0, state.device.options().max_batch);
    const OnDevice current = state.device.make_current();
    const std::size_t frames = static_cast<std::size_t>(clips) * description.frames;
    expect_features("features", features, frames * kFeature);
    state.upload(state.inputs.data(), features, frames * kFeature);
    state.device.actions(state.inputs.data(), clips, state.actions.device(),
                         action_logits == nullptr ? nullptr : state.action_logits.data(), state.stream.get());
    if (action_logits != nullptr) {
        state.download(action_logits, state.action_logits.data(), frames * description.branches.size());
    }
    expect_ok(synchronise(state.stream.get()), "a stage");
    std::copy(state.actions.host(), state.actions.host() + frames, actions);
}

void Engine::branch_features(const float* frames, const float* previous, const std::int32_t* actions, int count,
                             const float* policy_features, float* features) {
    State& state = *state_;
    const OnDevice current = state.device.make_current();
    const float* const before = state.upload_frames(frames, previous, count);
    std::copy(actions, actions + count, state.given.host());
    expect_actions(state.description(), state.given.host(), count);
    float* ready = nullptr;
    if (policy_features != nullptr) {
        const std::size_t floats = static_cast<std::size_t>(count) * kFeature;
        expect_features("policy features", policy_features, floats);
        ready = state.inputs.data();
        state.upload(ready, policy_features, floats);
    }
    state.device.branch_features(state.clips.data(), before, state.given.device(), count, ready, state.features.data(),
                                 state.stream.get());
    state.finish_features(frames, previous, count, features);
}

void Engine::temporal_head(const float* features, int clips, float* logits) {
    State& state = *state_;
    const Description& description = state.description();
    expect_range("clips (the engine's max_batch is the most)", clips, 0, state.device.options().max_batch);
    const OnDevice current = state.device.make_current();
    const std::size_t floats = static_cast<std::size_t>(clips) * description.frames * kFeature;
    expect_features("features", features, floats);
    state.upload(state.inputs.data(), features, floats);
    state.device.temporal_head(state.inputs.data(), clips, state.logits.device(), state.stream.get());
    const std::size_t values = static_cast<std::size_t>(clips) * description.classes;
    expect_ok(synchronise(state.stream.get()), "a stage");
    if (!finite(state.logits.host(), values)) {
        fail_logits();
    }
    std::copy(state.logits.host(), state.logits.host() + values, logits);
}

}  // namespace adasgn::cuda
