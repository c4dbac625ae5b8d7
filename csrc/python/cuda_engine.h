// The CUDA engine for Python.
#pragma once

#include <pybind11/pybind11.h>

namespace adasgn {

void define_cuda_engine(pybind11::module_& module);

}  // namespace adasgn
