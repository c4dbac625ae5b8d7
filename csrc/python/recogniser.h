// The recogniser for Python: streams in, results and events out.
#pragma once

#include <pybind11/pybind11.h>

namespace adasgn {

// load_recogniser, its class and Decisions; adasgn_edge/recogniser.py is their only user and says what they mean.
void define_recogniser(pybind11::module_& module);

}  // namespace adasgn
