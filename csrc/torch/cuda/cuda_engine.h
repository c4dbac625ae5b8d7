// The engine on a GPU for the ops.
#pragma once

#include <c10/core/Device.h>

#include <memory>

#include "../engines.h"
#include "adasgn/model.h"

namespace adasgn::ops {

// Throws Error where there is no such device, or options that it does not have.
std::shared_ptr<LoadedModel> load_on_cuda(const Model& model, c10::Device device, const LoadOptions& options);

}  // namespace adasgn::ops
