// An engine as a Python class, whatever device it runs on: arrays are checked for their shape, and the GIL is given up
// while the engine works. adasgn_edge/engine.py is the only user and says what the functions mean; its `description` is
// the model file's, as JSON.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "adasgn/constants.h"
#include "adasgn/engine.h"
#include "adasgn/process.h"
#include "arrays.h"

namespace adasgn {

template <class EngineOfDevice>
class NativeEngine {
  public:
    explicit NativeEngine(EngineOfDevice engine) : engine_(std::move(engine)) {}

    EngineOfDevice& engine() { return engine_; }

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

    // Without the GIL, one caller after another. After fork this throws before it touches a lock that a thread of the
    // parent may hold.
    template <class Call>
    void alone(const Call& call) {
        process_.expect_here();
        const py::gil_scoped_release released;
        const auto self = std::this_thread::get_id();
        if (caller_.load() == self) {  // within a run a signal's handler is called, which may call again
            throw Error(ErrorKind::engine, "engine: expected one call at a time, found one from a signal's handler");
        }
        const std::lock_guard<std::mutex> lock(mutex_);
        caller_ = self;
        struct Ending {
            std::atomic<std::thread::id>& caller;
            ~Ending() { caller = std::thread::id(); }
        } const ending{caller_};
        call();
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

    EngineOfDevice engine_;
    OwnProcess process_;
    std::mutex mutex_;
    std::atomic<std::thread::id> caller_{};
};

// The class with all that engines have in common; what a device adds is the caller's to define. Objects come from
// functions that load a model, and from nothing else: pybind11 gives one that was made by __new__ alone memory that
// nothing was constructed in.
template <class EngineOfDevice>
py::class_<NativeEngine<EngineOfDevice>> define_engine(py::module_& module, const char* name) {
    using Native = NativeEngine<EngineOfDevice>;
    py::class_<Native> defined(module, name, py::module_local());
    reinterpret_cast<PyTypeObject*>(defined.ptr())->tp_new = nullptr;
    defined.def_property_readonly("description", [](Native& native) { return native.engine().description().json; })
        .def("run", &Native::run, py::arg("clips"), py::arg("actions"), py::arg("features"))
        .def("run_fuse", &Native::run_fuse, py::arg("clips"))
        .def("policy_features", &Native::policy_features, py::arg("frames"), py::arg("previous"))
        .def("actions", &Native::actions, py::arg("features"))
        .def("branch_features", &Native::branch_features, py::arg("frames"), py::arg("previous"), py::arg("actions"),
             py::arg("policy_features"))
        .def("temporal_head", &Native::temporal_head, py::arg("features"));
    return defined;
}

}  // namespace adasgn
