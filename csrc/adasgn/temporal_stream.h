// The temporal module of a causal model frame by frame, for several tracks at once, on the CPU. What it gives for a
// frame is what Inference::temporal_head gives for the T features up to it, for a T-th of the work or less.
//
// Constructing allocates everything. One caller at a time. All functions throw Error: kind `clip` for what does not
// fit.
#pragma once

#include <memory>

#include "adasgn/error.h"
#include "adasgn/model.h"

namespace adasgn {

// What weights are kept in; everything is computed in float. A step of few tracks takes as long as its weights take to
// arrive from memory, and bf16, of each the upper 16 bits, rounded, is half as much.
enum class WeightType { f32, bf16 };

class TemporalStream {
  public:
    // Tracks are numbered 0 … max_tracks - 1. instruction_set: one of instruction_sets(); null: the best. Throws Error
    // (engine) for a model that is not causal and for options that cannot be had.
    TemporalStream(const Model& model, int max_tracks, const char* instruction_set = nullptr,
                   WeightType weights = WeightType::f32);
    ~TemporalStream();
    TemporalStream(TemporalStream&&) noexcept;
    TemporalStream& operator=(TemporalStream&&) noexcept;

    int receptive_field() const;  // T
    void reset(int track);        // a track without a past
    int frames(int track) const;  // that were kept since then, at most T

    // features (count, 256) as the newest frame of these tracks, none named twice -> logits (count, K). Nothing is
    // kept. A track with fewer than T - 1 kept frames has zeros in place of the rows that it lacks, of every layer:
    // such logits mean nothing yet.
    void try_frame(const int* tracks, int count, const float* features, float* logits);
    // What the last try_frame computed for each of these tracks is now their past.
    void keep(const int* tracks, int count);
    // The past of one track as another's; what was tried of that one is not.
    void copy(int from, int to);

    // Whether nothing has been written outside its buffers; for tests.
    bool buffers_intact() const;

  private:
    struct State;

    std::unique_ptr<State> state_;
};

}  // namespace adasgn
