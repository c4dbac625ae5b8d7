// The description of a model, from its JSON.
#pragma once

#include "adasgn/json.h"
#include "adasgn/model.h"

namespace adasgn {

// version: of the file, 1, 2 or 3. Throws Error (model_file) for keys or values that do not fit docs/model_file.md, its
// limits or each other.
Description parse_description(const Json& json, int version, const JsonContext& at);

}  // namespace adasgn
