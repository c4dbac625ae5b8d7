// Engines as Python classes, whatever device they run on: arrays are checked for their shape, and the GIL is given up
// while the engine works. adasgn_edge/engine.py is the only user and says what the functions mean; the `description` is
// the model file's, as JSON.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "adasgn/constants.h"
#include "adasgn/effort.h"
#include "adasgn/inference.h"
#include "arrays.h"
#include "one_caller.h"

namespace adasgn {

// New arrays for what a run gives; Python's None for what it does not.
class RunArrays {
  public:
    RunArrays(const Description& d, int samples, int persons, bool with_actions, bool with_features)
        : description_(d), samples_(samples), persons_(persons), logits_({samples, d.classes}) {
        result_.logits = logits_.mutable_data();
        if (with_actions) {
            Actions array({samples, persons, d.frames});
            result_.actions = array.mutable_data();
            actions_ = std::move(array);
        }
        if (with_features) {
            Floats array({samples, persons, d.frames, kFeature});
            result_.features = array.mutable_data();
            features_ = std::move(array);
        }
    }

    const Result& result() const { return result_; }
    const Floats& logits() const { return logits_; }
    // Logits, actions, features and, where there are actions, the multiply-adds of each sample; forced: the actions
    // were the caller's.
    py::tuple all(bool forced) const {
        py::object macs = py::none();
        if (result_.actions != nullptr) {
            Macs array(samples_);
            count_macs(description_, result_.actions, samples_, persons_, forced, array.mutable_data());
            macs = std::move(array);
        }
        return py::make_tuple(logits_, actions_, features_, macs);
    }

  private:
    const Description& description_;
    int samples_;
    int persons_;
    Floats logits_;
    py::object actions_ = py::none();
    py::object features_ = py::none();
    Result result_{};
};

class NativeEngine {
  public:
    explicit NativeEngine(std::unique_ptr<Inference> engine) : engine_(std::move(engine)) {}

    Inference& engine() { return *engine_; }
    const Description& description() const { return engine_->description(); }

    py::tuple run(const Floats& clips, const std::optional<Actions>& forced, bool with_features, float threshold) {
        const auto [samples, persons] = expect_clips(clips);
        const RunArrays arrays(description(), samples, persons, true, with_features);
        const Result result = arrays.result();
        const float* const from = clips.data();
        const std::int32_t* const given = expect_actions_if(forced, samples, persons);
        alone([&, samples = samples, persons = persons] {
            if (given != nullptr) {
                engine_->run_forced(from, given, samples, persons, result);
            } else {
                engine_->run(from, samples, persons, result, threshold);
            }
        });
        return arrays.all(given != nullptr);
    }

    Floats run_fuse(const Floats& clips) {
        const auto [samples, persons] = expect_clips(clips);
        const RunArrays arrays(description(), samples, persons, false, false);
        const float* const from = clips.data();
        alone(
            [&, samples = samples, persons = persons] { engine_->run_fuse(from, samples, persons, arrays.result()); });
        return arrays.logits();
    }

    Floats policy_features(const Floats& frames, const std::optional<Floats>& previous) {
        const int count = expect_frames(frames, previous);
        Floats features({count, kFeature});
        const float* const current = frames.data();
        const float* const before = previous ? previous->data() : nullptr;
        float* const to = features.mutable_data();
        alone([&] { engine_->policy_features(current, before, count, to); });
        return features;
    }

    py::tuple actions(const Floats& features) {
        const Description& d = description();
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
        alone([&] { engine_->actions(from, clips, to, logits_at); });
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
        alone([&] { engine_->branch_features(current, before, given, count, known, to); });
        return features;
    }

    Floats temporal_head(const Floats& features) {
        const Description& d = description();
        expect_shape("features (B, T, 256)", features, {-1, d.frames, kFeature});
        const int clips = extent(features, 0);
        Floats logits({clips, d.classes});
        const float* const from = features.data();
        float* const to = logits.mutable_data();
        alone([&] { engine_->temporal_head(from, clips, to); });
        return logits;
    }

    // Where the caller's actions (samples, persons, T) lie; null for none.
    const std::int32_t* expect_actions_if(const std::optional<Actions>& given, int samples, int persons) const {
        if (!given) {
            return nullptr;
        }
        expect_shape("actions (B, persons, T)", *given, {samples, persons, description().frames});
        return given->data();
    }

    // Without the GIL, one caller after another.
    template <class Call>
    void alone(const Call& call) {
        alone_(call);
    }

  private:
    // Samples and persons of clips.
    std::pair<int, int> expect_clips(const Floats& clips) const {
        const Description& d = description();
        expect_shape("clips (B, persons, T, V, C)", clips,
                     {-1, -1, d.clip_frames(), d.recorded_joints(), kCoordinates});
        return {extent(clips, 0), extent(clips, 1)};
    }

    int expect_frames(const Floats& frames, const std::optional<Floats>& previous) const {
        const int joints = description().joints;
        expect_shape("frames (N, V, C)", frames, {-1, joints, kCoordinates});
        if (previous) {
            expect_shape("previous frames (N, V, C)", *previous, {frames.shape(0), joints, kCoordinates});
        }
        return extent(frames, 0);
    }

    std::unique_ptr<Inference> engine_;
    OneCaller alone_{"engine"};
};

// The same for what an engine of one device has besides.
template <class EngineOfDevice>
class NativeEngineOf : public NativeEngine {
  public:
    explicit NativeEngineOf(EngineOfDevice engine)
        : NativeEngine(std::make_unique<EngineOfDevice>(std::move(engine))) {}

    EngineOfDevice& own() { return static_cast<EngineOfDevice&>(engine()); }
};

// The class of what all engines have in common: once in a module, before those of devices.
inline void define_engine(py::module_& module) {
    using Native = NativeEngine;
    made_class<Native>(module, "Engine")
        .def_property_readonly("description", [](const Native& native) { return native.description().json; })
        .def("run", &Native::run, py::arg("clips"), py::arg("actions"), py::arg("features"),
             py::arg("threshold") = kDefaultThreshold)
        .def("run_fuse", &Native::run_fuse, py::arg("clips"))
        .def("policy_features", &Native::policy_features, py::arg("frames"), py::arg("previous"))
        .def("actions", &Native::actions, py::arg("features"))
        .def("branch_features", &Native::branch_features, py::arg("frames"), py::arg("previous"), py::arg("actions"),
             py::arg("policy_features"))
        .def("temporal_head", &Native::temporal_head, py::arg("features"));
}

}  // namespace adasgn
