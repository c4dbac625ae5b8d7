// NumPy arrays as the engines take and give them, the checks of their shapes, and errors.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "adasgn/error.h"

namespace adasgn {

namespace py = pybind11;

using Floats = py::array_t<float, py::array::c_style>;
using Actions = py::array_t<std::int32_t, py::array::c_style>;
using Macs = py::array_t<std::int64_t, py::array::c_style>;

inline std::string shape_text(const std::vector<py::ssize_t>& shape) {
    std::string text = "(";
    for (const py::ssize_t extent : shape) {
        text += (text.size() > 1 ? ", " : "") + (extent < 0 ? std::string("any") : std::to_string(extent));
    }
    return text + ")";
}

// Throws unless the array has this shape; -1 stands for any extent.
inline void expect_shape(const char* what, const py::array& array, const std::vector<py::ssize_t>& expected) {
    const std::vector<py::ssize_t> found(array.shape(), array.shape() + array.ndim());
    bool same = found.size() == expected.size();
    for (std::size_t i = 0; same && i < found.size(); ++i) {
        same = expected[i] < 0 || found[i] == expected[i];
    }
    if (!same) {
        throw Error(ErrorKind::clip,
                    std::string(what) + ": expected shape " + shape_text(expected) + ", found " + shape_text(found));
    }
}

inline int extent(const py::array& array, int axis) {
    const py::ssize_t value = array.shape(axis);
    if (value > 1 << 30) {
        throw Error(ErrorKind::clip, "array: expected at most 2^30 rows, found " + std::to_string(value));
    }
    return static_cast<int>(value);
}

inline void raise(const char* name, const char* message) {
    const py::object type = py::module_::import("adasgn_edge.errors").attr(name);
    // Names of files may be no UTF-8; as elsewhere in Python, such bytes become surrogates.
    const auto text = py::reinterpret_steal<py::object>(
        PyUnicode_DecodeUTF8(message, static_cast<py::ssize_t>(std::strlen(message)), "surrogateescape"));
    PyErr_SetObject(type.ptr(), text.ptr());
}

// A class whose objects come from functions of the module, and from nothing else: pybind11 gives one that was made by
// __new__ alone memory that nothing was constructed in.
template <class... Native>
py::class_<Native...> made_class(py::module_& module, const char* name) {
    py::class_<Native...> defined(module, name, py::module_local());
    reinterpret_cast<PyTypeObject*>(defined.ptr())->tp_new = nullptr;
    return defined;
}

// Errors of the core as those of adasgn_edge.errors.
inline void translate(std::exception_ptr thrown) {
    try {
        std::rethrow_exception(thrown);
    } catch (const Error& error) {
        const char* name = "EngineError";
        if (error.kind() == ErrorKind::model_file) {
            name = "ModelFileError";
        } else if (error.kind() == ErrorKind::clip) {
            name = "ClipError";
        }
        raise(name, error.what());
    } catch (const std::bad_alloc&) {
        raise("EngineError", "memory: expected enough for what was asked for, found too little");
    }
}

}  // namespace adasgn
