// The CUDA engine for Python.
#pragma once

#include <pybind11/pybind11.h>

namespace adasgn {

// After define_engine (native_engine.h).
void define_cuda_engine(pybind11::module_& module);

}  // namespace adasgn
