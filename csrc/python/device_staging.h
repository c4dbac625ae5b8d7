// Memory, a stream and graphs of a GPU for Python code that has another library launch work on them, as TensorRT.
#pragma once

#include <pybind11/pybind11.h>

namespace adasgn {

void define_device_staging(pybind11::module_& module);

}  // namespace adasgn
