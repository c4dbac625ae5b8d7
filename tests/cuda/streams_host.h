// Torch's current stream, as streams_host.cpp has it on the emulated device.
#pragma once

#include "adasgn/cuda/runtime.h"

namespace adasgn::ops {

cuda::Stream& emulated_stream();

}  // namespace adasgn::ops
