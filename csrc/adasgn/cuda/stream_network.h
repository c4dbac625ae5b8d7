// A causal model on a GPU, step by step, for a Recogniser: branches and the continual temporal module, whose past stays
// on the device. load_recogniser (adasgn/load.h) makes the recogniser of a device by its name.
#pragma once

#include <memory>

#include "adasgn/cuda/device_engine.h"
#include "adasgn/model.h"
#include "adasgn/online/frame_network.h"

namespace adasgn::cuda {

struct StreamOptions {
    int slots = 1;                         // tracks at once
    Precision precision = Precision::f16;  // of all products; sums, and what layers add up, are float always
    int device = 0;
};

// Throws Error (engine) where there is no such device, for a model that is not causal, and where the 16 blocks of the
// temporal module's kernel do not run at once (a multiprocessor takes two).
std::unique_ptr<online::FrameNetwork> stream_network(const Model& model, const StreamOptions& options);

}  // namespace adasgn::cuda
