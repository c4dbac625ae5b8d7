// adasgn_edge._native: the engines for Python, NumPy in and out.
#include <memory>
#include <string>
#include <vector>

#include "native_engine.h"
#ifdef ADASGN_CUDA
#include "cuda_engine.h"
#endif

namespace adasgn {

namespace {

std::unique_ptr<NativeEngine<Engine>> load(const std::string& path, int max_batch, int threads,
                                           const std::optional<std::string>& instruction_set) {
    const char* const set = instruction_set ? instruction_set->c_str() : nullptr;
    return std::make_unique<NativeEngine<Engine>>(Engine(read_model(path), {max_batch, threads, set}));
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
    using adasgn::Engine;
    namespace py = pybind11;
    using Native = adasgn::NativeEngine<Engine>;
    module.doc() = "The native engine; use adasgn_edge.load.";
    py::register_local_exception_translator(adasgn::translate);
    module.def("instruction_sets", adasgn::instruction_set_names);
    adasgn::define_engine<Engine>(module, "Engine")
        .def(py::init(&adasgn::load), py::arg("path"), py::arg("max_batch"), py::arg("threads"),
             py::arg("instruction_set"), py::call_guard<py::gil_scoped_release>())
        .def_property_readonly("instruction_set", [](Native& native) { return native.engine().instruction_set(); });
#ifdef ADASGN_CUDA
    adasgn::define_cuda_engine(module);
#endif
}
