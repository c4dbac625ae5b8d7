#include "adasgn/recogniser.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "adasgn/effort.h"
#include "adasgn/engine.h"
#include "adasgn/online/frame_network.h"
#include "adasgn/online/stream_core.h"
#include "adasgn/process.h"

namespace adasgn {

namespace {

// Exact, every track brings a window at once; continual, a frame.
std::unique_ptr<Inference> own_engine(const Model& model, const RecogniserOptions& options) {
    online::expect_recognisable(model.description, options);
    const int frames = model.description.frames;
    EngineOptions chosen;
    chosen.max_batch = options.exact ? options.max_tracks : (options.max_tracks + frames - 1) / frames;
    chosen.threads = options.threads;
    chosen.instruction_set = options.instruction_set;
    return std::make_unique<Engine>(model, chosen);
}

std::unique_ptr<online::FrameNetwork> network_for(const Model& model, std::unique_ptr<Inference> engine,
                                                  const RecogniserOptions& options) {
    online::expect_recognisable(model.description, options);
    if (engine == nullptr) {
        throw Error(ErrorKind::engine, "engine: expected one, found null");
    }
    const Description& own = model.description;
    const Description& other = engine->description();
    if (other.joints != own.joints || other.classes != own.classes || other.frames != own.frames ||
        other.branches.size() != own.branches.size() || !other.causal || other.json != own.json) {
        throw Error(ErrorKind::engine, "engine: expected one of the recogniser's model, found one of another");
    }
    return options.exact ? online::exact_network(model, std::move(engine), options.max_tracks)
                         : online::continual_network(model, std::move(engine), options.max_tracks,
                                                     options.instruction_set, options.weights);
}

std::unique_ptr<online::FrameNetwork> given(const Model& model, std::unique_ptr<online::FrameNetwork> network,
                                            const RecogniserOptions& options) {
    online::expect_recognisable(model.description, options);
    if (network == nullptr) {
        throw Error(ErrorKind::engine, "network: expected one, found null");
    }
    const auto expect_default = [](bool is, const char* option, const char* found) {
        if (!is) {
            throw Error(ErrorKind::engine, std::string(option) + " on a device other than the CPU, found " + found);
        }
    };
    expect_default(!options.exact, "mode: expected continual", "exact");
    expect_default(options.weights == WeightType::f32, "weights: expected f32", "bf16");
    expect_default(options.instruction_set == nullptr, "instruction_set: expected none", "one");
    expect_default(options.threads == 1, "threads: expected 1", "others");
    return network;
}

// What make() makes; Error (engine) where there is too little memory for it.
template <class Make>
auto with_memory(const RecogniserOptions& options, const Make& make) {
    try {
        return make();
    } catch (const std::bad_alloc&) {
        throw Error(ErrorKind::engine, "memory: expected enough for max_tracks " + std::to_string(options.max_tracks) +
                                           ", found too little");
    }
}

}  // namespace

struct Recogniser::State {
    online::StreamCore core;
    OwnProcess process;

    // For calls that change something; Error in another process.
    online::StreamCore& here() {
        process.expect_here();
        return core;
    }
};

Recogniser::Recogniser(const Model& model, const RecogniserOptions& options)
    : Recogniser(model, with_memory(options, [&] { return own_engine(model, options); }), options) {}

Recogniser::Recogniser(const Model& model, std::unique_ptr<Inference> engine, const RecogniserOptions& options)
    : state_(with_memory(options, [&] {
          return std::unique_ptr<State>(
              new State{{model.description, network_for(model, std::move(engine), options), options}, {}});
      })) {}

Recogniser::Recogniser(const Model& model, std::unique_ptr<online::FrameNetwork> network,
                       const RecogniserOptions& options)
    : state_(with_memory(options, [&] {
          return std::unique_ptr<State>(
              new State{{model.description, given(model, std::move(network), options), options}, {}});
      })) {}

Recogniser::~Recogniser() = default;
Recogniser::Recogniser(Recogniser&&) noexcept = default;
Recogniser& Recogniser::operator=(Recogniser&&) noexcept = default;

Recogniser::Output Recogniser::push(std::int64_t stamp, const TrackInput* tracks, int count, bool update_state) {
    return state_->here().push(stamp, tracks, count, update_state);
}

void Recogniser::reset(std::int64_t track) {
    state_->here().reset(track);
}

void Recogniser::reset() {
    state_->here().reset();
}

bool Recogniser::ready(std::int64_t track) const {
    return state_->core.ready(track);
}

TrackState Recogniser::state(std::int64_t track) const {
    return state_->core.state(track);
}

int Recogniser::receptive_field() const {
    return description().clip_frames();
}

std::int64_t Recogniser::delay() const {
    return description().recognition->step + description().recognition->delay;
}

void Recogniser::set_effort(double effort) {
    state_->here().set_effort(effort);
}

void Recogniser::set_budgets(std::int64_t track, std::int64_t total) {
    state_->here().set_budgets(track, total);
}

void Recogniser::set_max_macs(std::int64_t macs) {
    state_->here().set_effort(effort_within(description(), macs));
}

Stats Recogniser::stats() const {
    return state_->core.stats();
}

const Description& Recogniser::description() const {
    return state_->core.description();
}

const char* name_of(TrackState state) {
    constexpr const char* kNames[] = {"new", "tracked", "predicted", "lost"};
    return kNames[static_cast<int>(state)];
}

const char* name_of(GestureEvent::Kind kind) {
    constexpr const char* kNames[] = {"started", "held", "ended"};
    return kNames[static_cast<int>(kind)];
}

int top(const StepResult& result, int classes, int count, int* labels) {
    if (!result.ready) {
        return 0;
    }
    const int told = std::clamp(count, 0, classes);
    for (int place = 0; place < told; ++place) {
        int best = -1;
        for (int label = 0; label < classes; ++label) {
            const bool taken = std::find(labels, labels + place, label) != labels + place;
            if (!taken && (best < 0 || result.probabilities[label] > result.probabilities[best])) {
                best = label;
            }
        }
        labels[place] = best;
    }
    return told;
}

}  // namespace adasgn
