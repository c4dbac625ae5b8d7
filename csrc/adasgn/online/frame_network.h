// What a recogniser asks of a network, frame by frame for several tracks at once: a feature for each frame, then class
// logits for the window that it ends. The production ones are made here; unit tests have one that follows a script.
#pragma once

#include <cstdint>
#include <memory>

#include "adasgn/inference.h"
#include "adasgn/model.h"
#include "adasgn/temporal_stream.h"

namespace adasgn::online {

// Tracks are numbered slots, 0 … slots - 1. Nothing allocates after construction.
class FrameNetwork {
  public:
    virtual ~FrameNetwork() = default;

    // Frames (count, V, 3) and those before them, each through its branch -> features (count, 256).
    virtual void features(const float* current, const float* previous, const std::int32_t* branches, int count,
                          float* features) = 0;
    // Features (count, 256) as the newest frame of these slots, none named twice -> logits (count, K), which mean
    // nothing before a slot has kept T - 1 others. May be tried again with another feature.
    virtual void try_frames(const int* slots, int count, const float* features, float* logits) = 0;
    // Both at once, where that is faster; features may be null, where they are not wanted. False: there is no such way,
    // and nothing has been done.
    virtual bool step(const float* /*current*/, const float* /*previous*/, const std::int32_t* /*branches*/,
                      const int* /*slots*/, int /*count*/, float* /*features*/, float* /*logits*/) {
        return false;
    }
    // What was last tried of each of these slots is now their past.
    virtual void keep(const int* slots, int count) = 0;

    virtual void reset(int slot) = 0;    // no past
    virtual void save(int slot) = 0;     // its past, for
    virtual void restore(int slot) = 0;  // which makes it what it was when saved

    // Multiply-adds of one frame (full count, as in the table of costs).
    virtual std::int64_t spatial_macs(int branch) const = 0;
    virtual std::int64_t temporal_macs(int slot) const = 0;  // of trying one now
};

// Both run branches on `engine`, in batches that fit it. Continual: the temporal module goes on from what it computed
// for the frames before, on the CPU. Exact: it sees all T features anew, on the engine.
std::unique_ptr<FrameNetwork> continual_network(const Model& model, std::shared_ptr<Inference> engine, int slots,
                                                const char* instruction_set, WeightType weights);
std::unique_ptr<FrameNetwork> exact_network(const Model& model, std::shared_ptr<Inference> engine, int slots);

}  // namespace adasgn::online
