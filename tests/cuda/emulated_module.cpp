// The Python classes of the CUDA engine, of staging and of the recogniser on the emulated device, and what a test needs
// besides: memory of that device, and the schedule of any device.
#include <pybind11/stl.h>

#include <cstdint>
#include <string>
#include <vector>

#include "adasgn/cuda/memory.h"
#include "adasgn/cuda/runtime.h"
#include "adasgn/cuda/schedule.h"
#include "arrays.h"
#include "cuda_engine.h"
#include "device_staging.h"
#include "emulator.h"
#include "native_engine.h"
#include "recogniser.h"

namespace {

namespace py = pybind11;
using namespace adasgn::cuda;

Stream handle(std::uintptr_t stream) {
    return reinterpret_cast<Stream>(stream);
}

// Memory of the device that a stream fills, which nothing else waits for.
std::uintptr_t upload(const py::array& array, std::uintptr_t stream) {
    const auto bytes = static_cast<std::size_t>(array.nbytes());
    void* memory = nullptr;
    expect_ok(allocate(&memory, bytes), "memory");
    expect_ok(copy_to_device(memory, array.data(), bytes, handle(stream)), "upload");
    return reinterpret_cast<std::uintptr_t>(memory);
}

std::uintptr_t new_stream() {
    Stream stream = nullptr;
    expect_ok(create_stream(stream), "a stream");
    return reinterpret_cast<std::uintptr_t>(stream);
}

// What `later` is given from here on comes after what `earlier` has been given.
void order(std::uintptr_t earlier, std::uintptr_t later) {
    const OwnEvent event;
    event.record(handle(earlier));
    expect_ok(wait_event(handle(later), event.get()), "an event");
}

std::vector<std::string> findings() {
    std::vector<std::string> texts;
    for (const emulator::Finding& finding : emulator::findings()) {
        texts.push_back(finding.text);
    }
    emulator::clear_findings();
    return texts;
}

// A device as a schedule sees it.
DeviceTraits traits(int multiprocessors, int shared_per_block) {
    DeviceTraits device{};
    device.multiprocessors = multiprocessors;
    device.shared_per_block = shared_per_block;
    return device;
}

// A schedule as (a block per frame, rows of a branch's tile, rows of the temporal module's, whole clips).
py::tuple plain(const Schedule& schedule) {
    return py::make_tuple(schedule.block_per_frame, static_cast<int>(schedule.branch_rows),
                          static_cast<int>(schedule.temporal_rows), schedule.whole_clips);
}

py::tuple chosen(const Workload& model, bool half, const DeviceTraits& device, int frames) {
    return plain(choose_schedule(model, half ? Precision::f16 : Precision::f32, device, frames));
}

py::tuple chosen_level(const Workload& model, int level, bool half, const DeviceTraits& device, int frames) {
    return plain(choose_level(model, level, half ? Precision::f16 : Precision::f32, device, frames));
}

// Of the device from now on.
void set_multiprocessors(int count) {
    DeviceTraits device = emulator::default_traits();
    device.multiprocessors = count;
    emulator::set_traits(device);
}

void define_schedule(py::module_& module) {
    using py::arg;
    py::class_<DeviceTraits>(module, "DeviceTraits")
        .def(py::init(&traits), arg("multiprocessors"), arg("shared_per_block"));
    py::class_<Workload>(module, "Workload")
        .def(py::init<int, bool, bool, bool, std::vector<int>, std::vector<bool>, std::vector<double>>(),
             arg("clip_frames"), arg("adaptive"), arg("may_take_frame_blocks"), arg("pose"), arg("joints"), arg("big"),
             arg("shares"));
    module.def("choose_schedule", chosen, arg("model"), arg("half"), arg("device"), arg("frames"));
    module.def("choose_level", chosen_level, arg("model"), arg("level"), arg("half"), arg("device"), arg("frames"));
    module.def("policy_rows", policy_rows, arg("device"), arg("frames"));
}

}  // namespace

PYBIND11_MODULE(_native_emulated, module) {
    py::register_local_exception_translator(adasgn::translate);
    adasgn::define_engine(module);
    adasgn::define_cuda_engine(module);
    adasgn::define_device_staging(module);
    adasgn::define_recogniser(module);
    module.def("upload", upload, py::arg("array"), py::arg("stream") = 1);
    module.def("new_stream", new_stream);
    module.def("order", order, py::arg("earlier"), py::arg("later"));
    module.def("release", [](std::size_t address) { release(reinterpret_cast<void*>(address)); });
    module.def("findings", findings);
    module.def("set_multiprocessors", set_multiprocessors, py::arg("count"));
    define_schedule(module);
}
