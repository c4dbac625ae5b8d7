// adasgn_edge._native: the engine for Python, NumPy in and out. adasgn_edge/engine.py is its only user and says what
// the functions mean; here arrays are checked for their shape, and the GIL is given up while the engine works.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "adasgn/constants.h"
#include "adasgn/engine.h"

namespace py = pybind11;

namespace adasgn {

namespace {

using Floats = py::array_t<float, py::array::c_style>;
using Actions = py::array_t<std::int32_t, py::array::c_style>;

std::string shape_text(const std::vector<py::ssize_t>& shape) {
    std::string text = "(";
    for (const py::ssize_t extent : shape) {
        text += (text.size() > 1 ? ", " : "") + (extent < 0 ? std::string("any") : std::to_string(extent));
    }
    return text + ")";
}

// Throws unless the array has this shape; -1 stands for any extent.
void expect_shape(const char* what, const py::array& array, const std::vector<py::ssize_t>& expected) {
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

int extent(const py::array& array, int axis) {
    const py::ssize_t value = array.shape(axis);
    if (value > 1 << 30) {
        throw Error(ErrorKind::clip, "array: expected at most 2^30 rows, found " + std::to_string(value));
    }
    return static_cast<int>(value);
}

class NativeEngine {
  public:
    NativeEngine(const std::string& path, int max_batch, int threads, const std::optional<std::string>& set)
        : engine_(read_model(path), {max_batch, threads, set ? set->c_str() : nullptr}) {}

    const Engine& engine() const { return engine_; }

    py::tuple run(const Floats& clips, const std::optional<Actions>& forced, bool with_features) {
        const Description& d = engine_.description();
        expect_shape("clips (B, persons, T, V, C)", clips, {-1, -1, d.frames, d.joints, kCoordinates});
        const int samples = extent(clips, 0);
        const int persons = extent(clips, 1);
        Floats logits({samples, d.classes});
        Actions actions({samples, persons, d.frames});
        if (forced) {
            expect_shape("actions (B, persons, T)", *forced, {samples, persons, d.frames});
        }
        py::object features = py::none();
        float* features_at = nullptr;
        if (with_features) {
            Floats array({samples, persons, d.frames, kFeature});
            features_at = array.mutable_data();
            features = std::move(array);
        }
        const Result result{logits.mutable_data(), actions.mutable_data(), features_at};
        const float* const from = clips.data();
        const std::int32_t* const given = forced ? forced->data() : nullptr;
        alone([&] {
            if (given != nullptr) {
                engine_.run_forced(from, given, samples, persons, result);
            } else {
                engine_.run(from, samples, persons, result);
            }
        });
        return py::make_tuple(logits, actions, features);
    }

    Floats run_fuse(const Floats& clips) {
        const Description& d = engine_.description();
        expect_shape("clips (B, persons, T, V, C)", clips, {-1, -1, d.frames, d.joints, kCoordinates});
        const int samples = extent(clips, 0);
        const int persons = extent(clips, 1);
        Floats logits({samples, d.classes});
        const Result result{logits.mutable_data()};
        const float* const from = clips.data();
        alone([&] { engine_.run_fuse(from, samples, persons, result); });
        return logits;
    }

    Floats policy_features(const Floats& frames, const std::optional<Floats>& previous) {
        const int count = expect_frames(frames, previous);
        Floats features({count, kFeature});
        const float* const current = frames.data();
        const float* const before = previous ? previous->data() : nullptr;
        float* const to = features.mutable_data();
        alone([&] { engine_.policy_features(current, before, count, to); });
        return features;
    }

    py::tuple actions(const Floats& features) {
        const Description& d = engine_.description();
        expect_shape("features (B, T, 256)", features, {-1, d.frames, kFeature});
        const int clips = extent(features, 0);
        Actions chosen({clips, d.frames});
        py::object logits = py::none();
        float* logits_at = nullptr;
        if (d.adaptive) {
            Floats array({clips, d.frames, static_cast<int>(d.branches.size())});
            logits_at = array.mutable_data();
            logits = std::move(array);
        }
        const float* const from = features.data();
        std::int32_t* const to = chosen.mutable_data();
        alone([&] { engine_.actions(from, clips, to, logits_at); });
        return py::make_tuple(chosen, logits);
    }

    Floats branch_features(const Floats& frames, const std::optional<Floats>& previous, const Actions& actions,
                           const std::optional<Floats>& policy_features) {
        const int count = expect_frames(frames, previous);
        expect_shape("actions (N,)", actions, {count});
        if (policy_features) {
            expect_shape("policy features (N, 256)", *policy_features, {count, kFeature});
        }
        Floats features({count, kFeature});
        const float* const current = frames.data();
        const float* const before = previous ? previous->data() : nullptr;
        const std::int32_t* const given = actions.data();
        const float* const known = policy_features ? policy_features->data() : nullptr;
        float* const to = features.mutable_data();
        alone([&] { engine_.branch_features(current, before, given, count, known, to); });
        return features;
    }

    Floats temporal_head(const Floats& features) {
        const Description& d = engine_.description();
        expect_shape("features (B, T, 256)", features, {-1, d.frames, kFeature});
        const int clips = extent(features, 0);
        Floats logits({clips, d.classes});
        const float* const from = features.data();
        float* const to = logits.mutable_data();
        alone([&] { engine_.temporal_head(from, clips, to); });
        return logits;
    }

  private:
    int expect_frames(const Floats& frames, const std::optional<Floats>& previous) const {
        const int joints = engine_.description().joints;
        expect_shape("frames (N, V, C)", frames, {-1, joints, kCoordinates});
        if (previous) {
            expect_shape("previous frames (N, V, C)", *previous, {frames.shape(0), joints, kCoordinates});
        }
        return extent(frames, 0);
    }

    // Without the GIL, one caller after another.
    template <class Call>
    void alone(const Call& call) {
        const py::gil_scoped_release released;
        const std::lock_guard<std::mutex> lock(mutex_);
        call();
    }

    Engine engine_;
    std::mutex mutex_;
};

py::dict description(const NativeEngine& native) {
    const Description& d = native.engine().description();
    py::dict result;
    std::vector<std::string> branches;
    for (const BranchShape& branch : d.branches) {
        branches.push_back(branch.name);
    }
    result["kind"] = d.kind;
    result["joints"] = d.joints;
    result["classes"] = d.classes;
    result["frames"] = d.frames;
    result["branches"] = branches;
    result["layout"] = d.layout_json;
    result["class_names"] = d.class_names;
    result["stream"] = d.stream;
    result["window"] = d.window;
    result["precision"] = d.precision;
    result["cost"] = d.cost;
    return result;
}

std::vector<std::string> instruction_set_names() {
    std::vector<std::string> names;
    for (const char* const* set = instruction_sets(); *set != nullptr; ++set) {
        names.emplace_back(*set);
    }
    return names;
}

void translate(std::exception_ptr thrown) {
    try {
        std::rethrow_exception(thrown);
    } catch (const Error& error) {
        const char* name = "EngineError";
        if (error.kind() == ErrorKind::model_file) {
            name = "ModelFileError";
        } else if (error.kind() == ErrorKind::clip) {
            name = "ClipError";
        }
        const py::object type = py::module_::import("adasgn_edge.errors").attr(name);
        PyErr_SetString(type.ptr(), error.what());
    }
}

}  // namespace

}  // namespace adasgn

PYBIND11_MODULE(_native, module) {
    using adasgn::NativeEngine;
    module.doc() = "The native engine; use adasgn_edge.load.";
    py::register_exception_translator(adasgn::translate);
    module.def("instruction_sets", adasgn::instruction_set_names);
    py::class_<NativeEngine>(module, "Engine")
        .def(py::init<const std::string&, int, int, const std::optional<std::string>&>(), py::arg("path"),
             py::arg("max_batch"), py::arg("threads"), py::arg("instruction_set"),
             py::call_guard<py::gil_scoped_release>())
        .def_property_readonly("description", adasgn::description)
        .def_property_readonly("instruction_set", [](const NativeEngine& e) { return e.engine().instruction_set(); })
        .def("run", &NativeEngine::run, py::arg("clips"), py::arg("actions"), py::arg("features"))
        .def("run_fuse", &NativeEngine::run_fuse, py::arg("clips"))
        .def("policy_features", &NativeEngine::policy_features, py::arg("frames"), py::arg("previous"))
        .def("actions", &NativeEngine::actions, py::arg("features"))
        .def("branch_features", &NativeEngine::branch_features, py::arg("frames"), py::arg("previous"),
             py::arg("actions"), py::arg("policy_features"))
        .def("temporal_head", &NativeEngine::temporal_head, py::arg("features"));
}
