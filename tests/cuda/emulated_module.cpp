// The Python class of the CUDA engine on the emulated device, and what a test needs besides: memory of that device.
#include <cstring>
#include <string>

#include "adasgn/cuda/runtime.h"
#include "arrays.h"
#include "cuda_engine.h"
#include "emulator.h"

namespace {

namespace py = pybind11;
using namespace adasgn::cuda;

std::size_t upload(const py::array& array) {
    void* memory = nullptr;
    if (allocate(&memory, static_cast<std::size_t>(array.nbytes())) ||
        copy_to_device(memory, array.data(), static_cast<std::size_t>(array.nbytes()), nullptr)) {
        throw std::runtime_error("emulated device: no memory");
    }
    return reinterpret_cast<std::size_t>(memory);
}

std::vector<std::string> findings() {
    std::vector<std::string> texts;
    for (const emulator::Finding& finding : emulator::findings()) {
        texts.push_back(finding.text);
    }
    emulator::clear_findings();
    return texts;
}

}  // namespace

PYBIND11_MODULE(_native_emulated, module) {
    py::register_local_exception_translator(adasgn::translate);
    adasgn::define_cuda_engine(module);
    module.def("upload", upload);
    module.def("release", [](std::size_t address) { release(reinterpret_cast<void*>(address)); });
    module.def("findings", findings);
}
