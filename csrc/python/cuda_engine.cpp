#ifdef ADASGN_CUDA

#include "cuda_engine.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "adasgn/cuda/engine.h"
#include "dlpack.h"
#include "native_engine.h"

namespace adasgn {

namespace {

using CudaEngine = NativeEngineOf<cuda::Engine>;
using Mode = cuda::Engine::Mode;

std::unique_ptr<CudaEngine> load(std::string_view content, const std::string& name, int max_batch, bool half,
                                 int device) {
    const cuda::Precision precision = half ? cuda::Precision::f16 : cuda::Precision::f32;
    return std::make_unique<CudaEngine>(
        cuda::Engine(parse_model(content.data(), content.size(), name), {max_batch, precision, device}));
}

// What there is to run on: name, compute capability (87: 8.7), multiprocessors.
py::list devices() {
    py::list found;
    for (int device = 0; device < cuda::device_count(); ++device) {
        cuda::DeviceTraits traits;
        cuda::expect_ok(cuda::device_traits(device, traits), "the device's properties");
        found.append(py::make_tuple(traits.name, traits.architecture, traits.multiprocessors));
    }
    return found;
}

py::tuple extents(const std::int64_t* values, int count) {
    py::tuple all(count);
    for (int axis = 0; axis < count; ++axis) {
        all[axis] = values[axis];
    }
    return all;
}

// An array's tensor; the library that it is of makes the engine's stream wait for what writes it.
std::unique_ptr<DlpackTensor> take_dlpack(CudaEngine& native, const py::object& array) {
    using py::literals::operator""_a;
    const cuda::OnDevice current = native.own().on_device().make_current();  // torch exports from no other device
    const auto stream = reinterpret_cast<std::uintptr_t>(native.own().stream());
    const py::object exporter = array.attr("__dlpack__");
    py::object capsule;
    try {
        capsule = exporter("stream"_a = stream, "max_version"_a = py::make_tuple(1, 0));
    } catch (const py::error_already_set& error) {
        if (!error.matches(PyExc_TypeError)) {
            throw;
        }
        capsule = exporter("stream"_a = stream);  // DLPack before version 1
    }
    return std::make_unique<DlpackTensor>(capsule);
}

// What follows on the engine's stream waits for the work of another, whose handle is given; without one this waits for
// all work of the device.
void wait_for(CudaEngine& native, std::optional<std::uintptr_t> stream) {
    native.alone([&] {
        if (stream) {
            native.own().wait_for(reinterpret_cast<cuda::Stream>(*stream));
        } else {
            native.own().wait_for_device();
        }
    });
}

// Clips (samples, persons, T, V, 3) that lie on the device at an address, packed, read on the engine's stream.
py::tuple run_device(CudaEngine& native, std::uintptr_t address, int samples, int persons,
                     const std::optional<Actions>& forced, bool with_features, bool fuse, float threshold) {
    const std::int32_t* const given = native.expect_actions_if(forced, samples, persons);
    const RunArrays arrays(native.description(), samples, persons, !fuse, with_features);
    const Mode mode = fuse ? Mode::fuse : forced ? Mode::forced : Mode::adaptive;
    const auto* const clips = reinterpret_cast<const float*>(address);
    native.alone([&] { native.own().run_device(mode, clips, given, samples, persons, arrays.result(), threshold); });
    return arrays.all(forced.has_value());
}

// Captures the graph of a batch beforehand.
void prepare(CudaEngine& native, int samples, int persons, bool features) {
    native.alone([&] { native.own().prepare(Mode::adaptive, samples, persons, features); });
}

// Microseconds of every repeat, and the logits (B, K) of the last; clips (batches, B, persons, T, V, 3).
py::tuple time_graph(CudaEngine& native, const Floats& clips, int repeats, bool wait, float threshold) {
    const Description& d = native.description();
    expect_shape("clips (batches, B, persons, T, V, C)", clips, {-1, -1, -1, d.frames, d.joints, kCoordinates});
    const int samples = extent(clips, 1);
    Floats logits({samples, d.classes});
    std::vector<double> microseconds;
    const float* const from = clips.data();
    float* const to = logits.mutable_data();
    const int batches = extent(clips, 0);
    const int persons = extent(clips, 2);
    native.alone(
        [&] { microseconds = native.own().time_graph(from, batches, samples, persons, repeats, wait, to, threshold); });
    return py::make_tuple(py::array(py::cast(microseconds)), logits);
}

// Which kernels a batch runs on.
void force_schedule(CudaEngine& native, bool block_per_frame, int branch_rows, int temporal_rows, bool whole_clips) {
    const cuda::Schedule schedule{block_per_frame, static_cast<cuda::TileRows>(branch_rows),
                                  static_cast<cuda::TileRows>(temporal_rows), whole_clips};
    native.alone([&] { native.own().force_schedule(schedule); });
}

}  // namespace

void define_cuda_engine(py::module_& module) {
    module.def("cuda_devices", devices);
    module.def("load_cuda", load, py::arg("content"), py::arg("name"), py::arg("max_batch"), py::arg("half"),
               py::arg("device"), py::call_guard<py::gil_scoped_release>());
    made_class<DlpackTensor>(module, "DlpackTensor")
        .def_property_readonly("device",
                               [](const DlpackTensor& self) {
                                   const dlpack::Device device = self.tensor().device;
                                   return py::make_tuple(device.type, device.number);
                               })
        .def_property_readonly("type",
                               [](const DlpackTensor& self) {
                                   const dlpack::ElementType type = self.tensor().type;
                                   return py::make_tuple(type.code, type.bits, type.lanes);
                               })
        .def_property_readonly("address",
                               [](const DlpackTensor& self) {
                                   const dlpack::Tensor& tensor = self.tensor();
                                   return reinterpret_cast<std::uintptr_t>(tensor.data) + tensor.byte_offset;
                               })
        .def_property_readonly(
            "shape", [](const DlpackTensor& self) { return extents(self.tensor().shape, self.tensor().axes); })
        .def_property_readonly("strides", [](const DlpackTensor& self) -> py::object {
            const dlpack::Tensor& tensor = self.tensor();
            return tensor.strides == nullptr ? py::none() : py::object(extents(tensor.strides, tensor.axes));
        });
    made_class<CudaEngine, NativeEngine>(module, "CudaEngine")
        .def_property_readonly(
            "stream", [](CudaEngine& native) { return reinterpret_cast<std::uintptr_t>(native.own().stream()); })
        .def("take_dlpack", take_dlpack, py::arg("array"))
        .def("wait_for", wait_for, py::arg("stream"))
        .def("run_device", run_device, py::arg("address"), py::arg("samples"), py::arg("persons"), py::arg("actions"),
             py::arg("features"), py::arg("fuse"), py::arg("threshold") = kDefaultThreshold)
        .def("prepare", prepare, py::arg("samples"), py::arg("persons"), py::arg("features"))
        .def("time_graph", time_graph, py::arg("clips"), py::arg("repeats"), py::arg("wait"),
             py::arg("threshold") = kDefaultThreshold)
        .def("force_schedule", force_schedule, py::arg("block_per_frame"), py::arg("branch_rows"),
             py::arg("temporal_rows"), py::arg("whole_clips") = false);
}

}  // namespace adasgn

#endif  // ADASGN_CUDA
