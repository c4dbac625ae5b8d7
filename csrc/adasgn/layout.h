// The skeleton layout inside a description: what adasgn_edge/skeletons.py accepts, and the form in which it writes it.
#pragma once

#include <string>
#include <vector>

#include "adasgn/json.h"
#include "adasgn/model.h"

namespace adasgn {

struct Layout {
    std::string name;
    std::vector<std::string> joints;
    Preprocessing rules;  // the layout's origin, scale bone and bones as joint indices
};

// Throws Error (model_file) unless `json` is a sound layout of this many joints.
Layout parse_layout(const Json& json, int joints, const JsonContext& at);

}  // namespace adasgn
