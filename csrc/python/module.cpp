// adasgn_edge._native: the engines for Python, NumPy in and out.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "adasgn/checks.h"
#include "adasgn/engine.h"
#include "native_engine.h"
#include "recogniser.h"
#ifdef ADASGN_CUDA
#include "cuda_engine.h"
#include "device_staging.h"
#endif

namespace adasgn {

namespace {

// Ends a long run where a signal's handler, such as that of Ctrl-C, raised something.
void raise_signals() {
    const py::gil_scoped_acquire held;
    if (PyErr_CheckSignals() != 0) {
        throw py::error_already_set();
    }
}

using CpuEngine = NativeEngineOf<Engine>;

std::unique_ptr<CpuEngine> load(std::string_view content, const std::string& name, int max_batch, int threads,
                                const std::optional<std::string>& instruction_set) {
    const char* const set = instruction_set ? instruction_set->c_str() : nullptr;
    return std::make_unique<CpuEngine>(
        Engine(parse_model(content.data(), content.size(), name), {max_batch, threads, set, raise_signals}));
}

std::vector<std::string> instruction_set_names() {
    std::vector<std::string> names;
    for (const char* const* set = instruction_sets(); *set != nullptr; ++set) {
        names.emplace_back(*set);
    }
    return names;
}

}  // namespace

}  // namespace adasgn

PYBIND11_MODULE(_native, module) {
    namespace py = pybind11;
    using adasgn::CpuEngine;
    module.doc() = "The native engine; use adasgn_edge.load.";
    py::register_local_exception_translator(adasgn::translate);
    module.attr("MAX_BATCH") = adasgn::kMaxBatch;
    module.attr("MAX_THREADS") = adasgn::kMaxThreads;
    module.attr("MAX_COORDINATE") = adasgn::kMaxCoordinate;
    module.def("instruction_sets", adasgn::instruction_set_names);
    module.def(
        "multiply_adds",
        [](const std::optional<std::string>& instruction_set, long rounds) {
            return adasgn::multiply_adds(instruction_set ? instruction_set->c_str() : nullptr, rounds);
        },
        py::arg("instruction_set"), py::arg("rounds"), py::call_guard<py::gil_scoped_release>());
    module.def("load", adasgn::load, py::arg("content"), py::arg("name"), py::arg("max_batch"), py::arg("threads"),
               py::arg("instruction_set"), py::call_guard<py::gil_scoped_release>());
    adasgn::define_engine(module);
    adasgn::define_recogniser(module);
    adasgn::made_class<CpuEngine, adasgn::NativeEngine>(module, "CpuEngine")
        .def_property_readonly("instruction_set", [](CpuEngine& native) { return native.own().instruction_set(); });
#ifdef ADASGN_CUDA
    adasgn::define_cuda_engine(module);
    adasgn::define_device_staging(module);
#endif
}
