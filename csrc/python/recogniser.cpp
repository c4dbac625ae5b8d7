#include "recogniser.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "adasgn/constants.h"
#include "adasgn/load.h"
#include "adasgn/online/decisions.h"
#include "adasgn/recogniser.h"
#include "arrays.h"
#include "one_caller.h"

namespace adasgn {

namespace {

using Times = py::array_t<std::int64_t, py::array::c_style>;

template <class Value>
Value taken(const py::dict& options, const char* name) {
    return options[name].cast<Value>();
}

Decision decision_of(const py::dict& values) {
    Decision decision{};
    decision.smoothing = taken<float>(values, "smoothing");
    decision.start = taken<float>(values, "start");
    decision.end = taken<float>(values, "end");
    decision.low = taken<float>(values, "low");
    decision.minimum = taken<std::int64_t>(values, "minimum");
    decision.maximum = taken<std::int64_t>(values, "maximum");
    decision.cool_down = taken<std::int64_t>(values, "cool_down");
    decision.start_shift = taken<std::int64_t>(values, "start_shift");
    decision.end_shift = taken<std::int64_t>(values, "end_shift");
    return decision;
}

py::tuple event_row(const GestureEvent& event) {
    return py::make_tuple(static_cast<int>(event.kind), event.id, event.track, event.label, event.confidence,
                          event.start, event.end, event.decided, event.lost);
}

py::list event_rows(const std::vector<GestureEvent>& events) {
    py::list rows(events.size());
    for (std::size_t i = 0; i < events.size(); ++i) {
        rows[i] = event_row(events[i]);
    }
    return rows;
}

py::tuple result_row(const StepResult& result, int classes) {
    py::object probabilities = py::none();
    if (result.probabilities != nullptr) {
        probabilities = Floats(classes, result.probabilities);  // a copy
    }
    return py::make_tuple(result.track, static_cast<int>(result.state), result.ready, result.stamp, result.newest,
                          result.age, result.label, result.confidence, probabilities, result.action, result.macs,
                          result.interpolated, result.missing_joints, result.gesture, result.spatial_ns,
                          result.temporal_ns);
}

// What a push gave, kept beyond the next one.
class KeptOutput {
  public:
    KeptOutput(const Recogniser::Output& output, int classes)
        : results_(output.results, output.results + output.count),
          events_(output.events, output.events + output.event_count),
          classes_(classes) {
        probabilities_.reserve(results_.size() * static_cast<std::size_t>(classes));  // so that none moves
        for (StepResult& result : results_) {
            if (result.probabilities != nullptr) {
                const float* const from = result.probabilities;
                result.probabilities = probabilities_.data() + probabilities_.size();
                probabilities_.insert(probabilities_.end(), from, from + classes);
            }
        }
    }
    KeptOutput(const KeptOutput&) = delete;
    KeptOutput& operator=(const KeptOutput&) = delete;

    py::tuple rows() const {
        py::list results(results_.size());
        for (std::size_t i = 0; i < results_.size(); ++i) {
            results[i] = result_row(results_[i], classes_);
        }
        return py::make_tuple(results, event_rows(events_));
    }

  private:
    std::vector<StepResult> results_;
    std::vector<GestureEvent> events_;
    std::vector<float> probabilities_;
    int classes_;
};

class NativeRecogniser {
  public:
    explicit NativeRecogniser(Recogniser recogniser) : recogniser_(std::move(recogniser)) {}

    const Description& description() const { return recogniser_.description(); }
    const Recogniser& recogniser() const { return recogniser_; }

    py::tuple push(std::int64_t stamp, const Times& tracks, const Floats& joints, bool update_state) {
        const Description& d = description();
        expect_shape("joints (tracks, V, C)", joints, {-1, d.recorded_joints(), kCoordinates});
        expect_shape("tracks (tracks,)", tracks, {joints.shape(0)});
        const int count = extent(joints, 0);
        std::vector<TrackInput> inputs(static_cast<std::size_t>(count));
        const float* const from = joints.data();
        for (int i = 0; i < count; ++i) {
            inputs[i] = {tracks.data()[i], from + static_cast<std::size_t>(i) * d.recorded_joints() * kCoordinates};
        }
        std::unique_ptr<KeptOutput> kept;
        alone_([&] {
            kept = std::make_unique<KeptOutput>(recogniser_.push(stamp, inputs.data(), count, update_state), d.classes);
        });
        return kept->rows();
    }

    void reset(const std::optional<std::int64_t>& track) {
        alone_([&] {
            if (track) {
                recogniser_.reset(*track);
            } else {
                recogniser_.reset();
            }
        });
    }

    bool ready(std::int64_t track) {
        bool is = false;
        alone_([&] { is = recogniser_.ready(track); });
        return is;
    }

    int state(std::int64_t track) {
        TrackState is{};
        alone_([&] { is = recogniser_.state(track); });
        return static_cast<int>(is);
    }

    void set_budgets(std::int64_t track, std::int64_t total) {
        alone_([&] { recogniser_.set_budgets(track, total); });
    }

    void set_effort(double effort) {
        alone_([&] { recogniser_.set_effort(effort); });
    }

    void set_max_macs(std::int64_t macs) {
        alone_([&] { recogniser_.set_max_macs(macs); });
    }

    py::dict stats() {
        Stats s{};
        alone_([&] { s = recogniser_.stats(); });
        using py::literals::operator""_a;
        return py::dict("pushes"_a = s.pushes, "frames"_a = s.frames, "steps"_a = s.steps, "results"_a = s.results,
                        "duplicate"_a = s.duplicate, "late"_a = s.late, "clock_jumps"_a = s.clock_jumps,
                        "gaps"_a = s.gaps, "overflow"_a = s.overflow, "unusable_frames"_a = s.unusable_frames,
                        "missing_joints"_a = s.missing_joints, "jumps"_a = s.jumps, "skipped_steps"_a = s.skipped_steps,
                        "idle_steps"_a = s.idle_steps, "escalated"_a = s.escalated, "budget_misses"_a = s.budget_misses,
                        "budget_overruns"_a = s.budget_overruns, "tracks_started"_a = s.tracks_started,
                        "tracks_forgotten"_a = s.tracks_forgotten);
    }

  private:
    Recogniser recogniser_;
    OneCaller alone_{"recogniser"};
};

std::unique_ptr<NativeRecogniser> recogniser_of(std::string_view content, const std::string& name,
                                                const py::dict& given) {
    RecogniserOptions options;
    options.exact = taken<bool>(given, "exact");
    options.weights = taken<bool>(given, "halved") ? WeightType::bf16 : WeightType::f32;
    options.max_tracks = taken<int>(given, "max_tracks");
    options.overflow = taken<bool>(given, "replace") ? Overflow::replace : Overflow::refuse;
    options.gap = taken<std::int64_t>(given, "gap");
    options.forget = taken<std::int64_t>(given, "forget");
    options.late = taken<std::int64_t>(given, "late");
    options.missing = taken<float>(given, "missing");
    options.max_speed = taken<float>(given, "max_speed");
    options.track_budget = taken<std::int64_t>(given, "track_budget");
    options.total_budget = taken<std::int64_t>(given, "total_budget");
    options.idle_motion = taken<float>(given, "idle_motion");
    options.held_every = taken<std::int64_t>(given, "held_every");
    options.threads = taken<int>(given, "threads");
    if (!given["decision"].is_none()) {
        options.decision = decision_of(given["decision"].cast<py::dict>());
    }
    const auto set = given["instruction_set"].cast<std::optional<std::string>>();
    options.instruction_set = set ? set->c_str() : nullptr;
    const auto device = taken<std::string>(given, "device");
    const auto precision = taken<std::string>(given, "precision");
    const py::gil_scoped_release released;
    const Model model = parse_model(content.data(), content.size(), name);
    return std::make_unique<NativeRecogniser>(adasgn::load_recogniser(model, options, device, precision));
}

// All events of one track, from its first step to its last, which ends what goes on.
class DecisionRuns {
  public:
    DecisionRuns(const py::dict& decision, int classes, int none)
        : decision_(decision_of(decision)), classes_(classes), none_(none) {
        Decisions(decision_, classes_, none_);  // throws now rather than at the first run
    }

    py::list run(const Times& stamps, const Floats& probabilities) const {
        expect_shape("stamps (N,)", stamps, {-1});
        expect_shape("probabilities (N, K)", probabilities, {stamps.shape(0), classes_});
        const int steps = extent(stamps, 0);
        const std::int64_t* const at = stamps.data();
        const float* const from = probabilities.data();
        std::vector<GestureEvent> events;
        const auto keep = [&](const StepEvents& told) {
            events.insert(events.end(), told.events, told.events + told.count);
        };
        {
            const py::gil_scoped_release released;
            Decisions decisions(decision_, classes_, none_);
            for (int i = 0; i < steps; ++i) {
                keep(decisions.step(at[i], from + static_cast<std::size_t>(i) * classes_));
            }
            if (steps > 0) {
                keep(decisions.lose(at[steps - 1]));
            }
        }
        return event_rows(events);
    }

  private:
    Decision decision_;
    int classes_;
    int none_;
};

}  // namespace

void define_recogniser(py::module_& module) {
    module.def("load_recogniser", recogniser_of, py::arg("content"), py::arg("name"), py::arg("options"));
    made_class<NativeRecogniser>(module, "Recogniser")
        .def_property_readonly("description", [](const NativeRecogniser& self) { return self.description().json; })
        .def_property_readonly("receptive_field",
                               [](const NativeRecogniser& self) { return self.recogniser().receptive_field(); })
        .def_property_readonly("delay", [](const NativeRecogniser& self) { return self.recogniser().delay(); })
        .def("push", &NativeRecogniser::push, py::arg("stamp"), py::arg("tracks"), py::arg("joints"),
             py::arg("update_state"))
        .def("reset", &NativeRecogniser::reset, py::arg("track"))
        .def("ready", &NativeRecogniser::ready, py::arg("track"))
        .def("state", &NativeRecogniser::state, py::arg("track"))
        .def("set_budgets", &NativeRecogniser::set_budgets, py::arg("track"), py::arg("total"))
        .def("set_effort", &NativeRecogniser::set_effort, py::arg("effort"))
        .def("set_max_macs", &NativeRecogniser::set_max_macs, py::arg("macs"))
        .def("stats", &NativeRecogniser::stats);
    module.def(
        "decisions",
        [](const py::dict& decision, int classes, int none) { return DecisionRuns(decision, classes, none); },
        py::arg("decision"), py::arg("classes"), py::arg("none"));
    made_class<DecisionRuns>(module, "Decisions")
        .def("run", &DecisionRuns::run, py::arg("stamps"), py::arg("probabilities"));
}

}  // namespace adasgn
