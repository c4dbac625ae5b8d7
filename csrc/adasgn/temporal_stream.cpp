#include "adasgn/temporal_stream.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <new>
#include <string>
#include <vector>

#include "adasgn/bounds.h"
#include "adasgn/checks.h"
#include "adasgn/plan.h"
#include "adasgn/scratch.h"

namespace adasgn {

namespace {

const Model& causal(const Model& model) {
    expect_causal(model.description, "temporal stream");
    return model;
}

int checked_tracks(int max_tracks) {
    expect_option("max_tracks", max_tracks, 1, kMaxBatch);
    return max_tracks;
}

}  // namespace

struct TemporalStream::State {
    struct Track {
        std::int64_t frame = 0;  // number of the next one
        bool tried = false;      // `newest` is of that frame
        std::int64_t named = 0;  // in which call
    };

    const cpu::Kernels& kernels;
    float max_feature;
    int classes;
    Plan plan;
    WorkerBuffers buffers;
    std::vector<Track> tracks;
    std::vector<int> numbers;  // of a call, a copy: the caller's own may change meanwhile
    std::vector<cpu::CausalTrack> batch;
    Buffer past;    // (max_tracks, past_floats)
    Buffer newest;  // (max_tracks, newest_floats)
    Buffer logits;  // (max_tracks, K)
    std::int64_t calls = 0;

    State(const Model& model, int max_tracks, const char* instruction_set, WeightType kept)
        : kernels(checked_kernels(instruction_set)),
          max_feature(expect_computable(causal(model))),
          classes(model.description.classes),
          plan(model, kernels, Plan::Part::temporal, kept == WeightType::bf16),
          buffers(max_tracks),
          tracks(max_tracks),
          numbers(max_tracks),
          batch(max_tracks),
          past(static_cast<std::size_t>(max_tracks) * weights().past_floats()),
          newest(static_cast<std::size_t>(max_tracks) * weights().newest_floats()),
          logits(static_cast<std::size_t>(max_tracks) * classes) {}

    const cpu::CausalWeights& weights() const { return plan.causal(); }
    float* past_of(int track) const { return past.data() + track * weights().past_floats(); }
    float* newest_of(int track) const { return newest.data() + track * weights().newest_floats(); }

    Track& track(int number) {
        expect_range("track", number, 0, static_cast<int>(tracks.size()) - 1);
        return tracks[number];
    }

    const int* own_tracks(const int* given, int count) {
        expect_range("tracks", count, 0, static_cast<int>(tracks.size()));
        std::copy_n(given, count, numbers.begin());
        ++calls;
        for (int i = 0; i < count; ++i) {
            Track& one = track(numbers[i]);
            if (one.named == calls) {
                throw Error(ErrorKind::clip,
                            "tracks: expected each once, found track " + std::to_string(numbers[i]) + " again");
            }
            one.named = calls;
        }
        return numbers.data();
    }
};

TemporalStream::TemporalStream(const Model& model, int max_tracks, const char* instruction_set, WeightType weights) {
    try {
        state_ = std::make_unique<State>(model, checked_tracks(max_tracks), instruction_set, weights);
    } catch (const std::bad_alloc&) {
        throw Error(ErrorKind::engine,
                    "memory: expected enough for max_tracks " + std::to_string(max_tracks) + ", found too little");
    }
}

TemporalStream::~TemporalStream() = default;
TemporalStream::TemporalStream(TemporalStream&&) noexcept = default;
TemporalStream& TemporalStream::operator=(TemporalStream&&) noexcept = default;

int TemporalStream::receptive_field() const {
    return state_->weights().frames;
}

void TemporalStream::reset(int track) {
    state_->track(track) = {};
    std::fill_n(state_->past_of(track), state_->weights().past_floats(), 0.0F);
}

int TemporalStream::frames(int track) const {
    return static_cast<int>(std::min<std::int64_t>(state_->track(track).frame, receptive_field()));
}

void TemporalStream::try_frame(const int* tracks, int count, const float* features, float* logits) {
    State& state = *state_;
    tracks = state.own_tracks(tracks, count);
    if (count == 0) {
        return;
    }
    const std::size_t floats = static_cast<std::size_t>(count) * kFeature;
    if (!state.kernels.within(state.max_feature, features, floats)) {
        fail_beyond("features", state.max_feature, features, floats);
    }
    for (int i = 0; i < count; ++i) {
        State::Track& track = state.tracks[tracks[i]];
        track.tried = false;  // until the logits are there
        state.batch[i] = {state.past_of(tracks[i]), state.newest_of(tracks[i]), track.frame,
                          features + static_cast<std::size_t>(i) * kFeature};
    }
    const std::size_t values = static_cast<std::size_t>(count) * state.classes;
    state.kernels.causal_frames(state.weights(), state.batch.data(), count, state.logits.data(),
                                state.buffers.scratch());
    if (!state.kernels.within(std::numeric_limits<float>::max(), state.logits.data(), values)) {
        fail_logits();
    }
    std::copy_n(state.logits.data(), values, logits);
    for (int i = 0; i < count; ++i) {
        state.tracks[tracks[i]].tried = true;
    }
}

void TemporalStream::keep(const int* tracks, int count) {
    State& state = *state_;
    tracks = state.own_tracks(tracks, count);
    for (int i = 0; i < count; ++i) {
        if (!state.tracks[tracks[i]].tried) {
            throw Error(ErrorKind::clip,
                        "keep: expected a frame that was tried, found none of track " + std::to_string(tracks[i]));
        }
    }
    const cpu::CausalWeights& weights = state.weights();
    for (int i = 0; i < count; ++i) {
        State::Track& track = state.tracks[tracks[i]];
        float* const past = state.past_of(tracks[i]);
        const float* newest = state.newest_of(tracks[i]);
        for (int k = 0; k < weights.layer_count; ++k, newest += kFeature) {
            const cpu::CausalLayer& layer = weights.layers[k];
            const std::int64_t place = track.frame % ((kTaps - 1) * layer.dilation);
            std::copy_n(newest, kFeature, past + layer.past + place * kFeature);
        }
        if (weights.pool > 1) {
            std::copy_n(newest, kTemporal, past + weights.widened_past + track.frame % (weights.pool - 1) * kTemporal);
        }
        ++track.frame;
        track.tried = false;
    }
}

void TemporalStream::copy(int from, int to) {
    State& state = *state_;
    state.track(to).frame = state.track(from).frame;
    state.track(to).tried = false;
    if (from != to) {
        std::copy_n(state.past_of(from), state.weights().past_floats(), state.past_of(to));
    }
}

bool TemporalStream::buffers_intact() const {
    const State& state = *state_;
    return state.plan.buffers_intact() && state.buffers.intact() && state.past.intact() && state.newest.intact() &&
           state.logits.intact();
}

}  // namespace adasgn
