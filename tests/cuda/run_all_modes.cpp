// Every mode of the CUDA engine once, in both precisions and under every schedule, for tools that watch a GPU
// (compute-sanitizer; tools/prove_on_gpu.py) and for a first look at a new one. A random model, so that no file is
// needed; logits are compared with the reference in double precision. The same program runs on the emulated device.
//
// Exit status: 0 all is well, 1 wrong results or an error, 2 no GPU.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "adasgn/cuda/engine.h"
#include "adasgn/cuda/stream_network.h"
#include "adasgn/engine.h"
#include "adasgn/error.h"
#include "random_model.h"
#include "reference.h"

namespace {

using namespace adasgn;
using namespace adasgn::testing;
using cuda::Engine;
using cuda::Precision;
using cuda::TileRows;

const Shape kPoseAlone{22, {}, {}, 20, 14, false, true};
const Shape kLevels{22, {11, 22}, {true}, 20, 14, false, true, true, 2};  // escalates, with a stride

constexpr int kMostFrames = 30;  // what tiles of 32 rows have room for in the temporal module
constexpr int kClips = 3;
constexpr int kPersons = 3;  // of one sample: the same clips with their scores averaged

struct Runs {
    const char* name;
    Precision precision;
    cuda::Schedule schedule;
};

const std::vector<Runs> kRuns = {
    {"f32, a block per frame", Precision::f32, {true, TileRows::r32, TileRows::r32}},
    {"f32, tiles of 32 rows", Precision::f32, {false, TileRows::r32, TileRows::r32}},
    {"f32, tiles of 32 rows, temporal tiles of 64", Precision::f32, {false, TileRows::r32, TileRows::r64}},
    {"f16, a block per frame", Precision::f16, {true, TileRows::r32, TileRows::r32}},
    {"f16, whole clips", Precision::f16, {true, TileRows::r32, TileRows::r32, true}},
    {"f16, tiles of 32 rows", Precision::f16, {false, TileRows::r32, TileRows::r32}},
    {"f16, tiles of 64 rows", Precision::f16, {false, TileRows::r64, TileRows::r64}},
    {"f16, tiles of 128 rows", Precision::f16, {false, TileRows::r128, TileRows::r128}},
};

// A model, clips for it, and the logits (kClips, K) of one action on all frames, and of every branch averaged.
struct Case {
    Model model;
    std::vector<float> clips;
    std::vector<std::int32_t> actions;
    Doubles forced;
    Doubles fused;

    explicit Case(const Shape& shape) : model(random_model(shape, 41)) {
        model.description.default_effort = 0;  // a run that names no threshold ends at the first level
        const Description& d = model.description;
        std::mt19937 random(42);
        clips = random_floats(static_cast<std::size_t>(kClips) * clip_floats(), random);
        const int branches = static_cast<int>(d.branches.size());
        for (int frame = 0; frame < kClips * d.frames; ++frame) {
            actions.push_back(frame % branches);
        }
        fused.assign(static_cast<std::size_t>(kClips) * d.classes, 0.0);
        for (int clip = 0; clip < kClips; ++clip) {
            const float* const at = clips.data() + clip * clip_floats();
            const std::vector<int> taken(actions.begin() + clip * d.frames, actions.begin() + (clip + 1) * d.frames);
            const Doubles scores = class_logits(model, clip_features(model, at, taken));
            forced.insert(forced.end(), scores.begin(), scores.end());
            for (int branch = 0; branch < branches; ++branch) {
                const Doubles part = class_logits(model, clip_features(model, at, std::vector<int>(d.frames, branch)));
                for (int k = 0; k < d.classes; ++k) {
                    fused[clip * d.classes + k] += part[k] / branches;
                }
            }
        }
    }

    std::size_t clip_floats() const {
        return static_cast<std::size_t>(model.description.frames) * model.description.joints * kCoordinates;
    }
};

// Makes the engine's runs, and counts what is not as it should be.
class Checks {
  public:
    Checks(const Case& given, const Runs& runs)
        : case_(given),
          d_(given.model.description),
          name_(std::string(runs.name) + ", " +
                (d_.adaptive    ? "adaptive"
                 : d_.escalates ? "escalating"
                                : "dense") +
                (d_.branches.front().pose() ? ", pose branch" : "")),
          tolerance_(runs.precision == Precision::f32 ? 1e-5 : 6e-3),  // as in test_cuda_engine.cpp
          engine_(given.model, {kClips, runs.precision, 0}) {
        engine_.force_schedule(runs.schedule);
    }

    int run() {
        if (!run_persons(1)) {
            std::printf("%-60s left out: more blocks than this device runs at once\n", name_.c_str());
            return 0;
        }
        whole_runs();
        on_device();
        timed();
        stages();
        if (d_.escalates) {
            levels();
        }
        std::printf("%-60s %s, largest error %.1e\n", name_.c_str(), wrong_ == 0 ? "ok" : "WRONG", worst_);
        std::fflush(stdout);
        return wrong_;
    }

  private:
    void whole_runs() {
        std::vector<float> logits(kClips * d_.classes);
        std::vector<float> features(static_cast<std::size_t>(kClips) * d_.frames * kFeature);
        chosen_.resize(static_cast<std::size_t>(kClips) * d_.frames);
        for (int repeat = 0; repeat < 2; ++repeat) {  // the second time from the graph of the first
            engine_.run_forced(case_.clips.data(), case_.actions.data(), kClips, 1,
                               {logits.data(), nullptr, features.data()});
            compare("forced", case_.forced, logits);
            engine_.run_fuse(case_.clips.data(), kClips, 1, {logits.data()});
            compare("fuse", case_.fused, logits);
            engine_.run(case_.clips.data(), kClips, 1, {logits.data(), chosen_.data()});
            plain_.clear();
            for (int clip = 0; clip < kClips; ++clip) {
                const std::vector<int> taken(chosen_.begin() + clip * d_.frames,
                                             chosen_.begin() + (clip + 1) * d_.frames);
                const Doubles scores = class_logits(
                    case_.model, clip_features(case_.model, case_.clips.data() + clip * case_.clip_floats(), taken));
                plain_.insert(plain_.end(), scores.begin(), scores.end());
            }
            adaptive_ = result_of(plain_);
            compare("run", adaptive_, logits);
        }
        if (!run_persons(kPersons)) {
            std::printf("%-60s %d persons left out: more blocks than this device runs at once\n", name_.c_str(),
                        kPersons);
        } else {
            Doubles expected(d_.classes, 0.0);
            for (int i = 0; i < kClips * d_.classes; ++i) {
                expected[i % d_.classes] += plain_[i] / kPersons;
            }
            compare("persons", result_of(expected), averaged_);
        }
        engine_.run(case_.clips.data(), 1, 1, {logits.data()});
        compare("one clip", Doubles(adaptive_.begin(), adaptive_.begin() + d_.classes),
                std::vector<float>(logits.begin(), logits.begin() + d_.classes));
    }

    // One sample of so many persons, to averaged_; false: it takes more blocks than run at once (whole clips).
    bool run_persons(int persons) {
        averaged_.resize(d_.classes);
        try {
            engine_.run(case_.clips.data(), 1, persons, {averaged_.data()});
        } catch (const Error& error) {
            if (std::string(error.what()).find("too many blocks") == std::string::npos) {
                throw;
            }
            return false;
        }
        return true;
    }

    // What a run makes of scores (samples, K): of a model that escalates, whose samples end at the first level at its
    // default effort, the logarithms of their probabilities.
    Doubles result_of(Doubles scores) const {
        if (!d_.escalates) {
            return scores;
        }
        for (std::size_t at = 0; at < scores.size(); at += d_.classes) {
            double sum = 0;
            for (int k = 0; k < d_.classes; ++k) {
                sum += std::exp(scores[at + k]);
            }
            for (int k = 0; k < d_.classes; ++k) {
                scores[at + k] -= std::log(sum);
            }
        }
        return scores;
    }

    // All samples through all levels.
    void levels() {
        Doubles expected(static_cast<std::size_t>(kClips) * d_.classes, 0.0);
        const int branches = static_cast<int>(d_.branches.size());
        for (int branch = 0; branch < branches; ++branch) {
            Doubles scores;
            for (int clip = 0; clip < kClips; ++clip) {
                const float* const at = case_.clips.data() + clip * case_.clip_floats();
                const Doubles own =
                    class_logits(case_.model, clip_features(case_.model, at, std::vector<int>(d_.frames, branch)));
                scores.insert(scores.end(), own.begin(), own.end());
            }
            const Doubles logarithms = result_of(scores);
            for (std::size_t i = 0; i < expected.size(); ++i) {
                expected[i] += std::exp(logarithms[i]) / branches;
            }
        }
        std::vector<float> logits(expected.size());
        std::vector<std::int32_t> ended(chosen_.size());
        engine_.run(case_.clips.data(), kClips, 1, {logits.data(), ended.data()}, 2.0F);
        std::transform(logits.begin(), logits.end(), logits.begin(), [](float x) { return std::exp(x); });
        compare("all levels", expected, logits,
                4);  // an error of a logit of 10 is ten times as much of its exponential
        if (ended != std::vector<std::int32_t>(ended.size(), branches - 1)) {
            fail("all levels: expected that samples end at the last");
        }
    }

    void on_device() {
        const cuda::DeviceMemory<float> there(case_.clips.size());
        cuda::expect_ok(
            cuda::copy_to_device(there.data(), case_.clips.data(), case_.clips.size() * sizeof(float), nullptr),
            "copy to the device");
        cuda::expect_ok(cuda::synchronise(nullptr), "copy to the device");
        std::vector<float> logits(kClips * d_.classes);
        engine_.run_device(Engine::Mode::adaptive, there.data(), nullptr, kClips, 1, {logits.data()});
        compare("run on the device", adaptive_, logits);
        engine_.run_device(Engine::Mode::forced, there.data(), case_.actions.data(), kClips, 1, {logits.data()});
        compare("forced on the device", case_.forced, logits);
        engine_.run_device(Engine::Mode::fuse, there.data(), nullptr, kClips, 1, {logits.data()});
        compare("fuse on the device", case_.fused, logits);
    }

    void timed() {
        std::vector<float> logits(kClips * d_.classes);
        for (const bool wait : {false, true}) {
            const std::vector<double> microseconds =
                engine_.time_graph(case_.clips.data(), 1, kClips, 1, 2, wait, logits.data());
            compare("timed run", adaptive_, logits);
            if (microseconds.size() != 2 || !(std::min(microseconds[0], microseconds[1]) > 0.0)) {
                fail("timed run: expected two positive times");
            }
        }
    }

    void stages() {
        const int frames = kClips * d_.frames;
        std::vector<float> previous(case_.clips);
        const std::size_t frame_floats = case_.clip_floats() / d_.frames;
        for (int clip = 0; clip < kClips; ++clip) {
            const auto first = case_.clips.begin() + clip * static_cast<std::ptrdiff_t>(case_.clip_floats());
            std::copy(first, first + case_.clip_floats() - frame_floats,
                      previous.begin() + clip * static_cast<std::ptrdiff_t>(case_.clip_floats()) + frame_floats);
        }
        std::vector<float> policy(static_cast<std::size_t>(frames) * kFeature);
        std::vector<float> features(policy.size());
        std::vector<std::int32_t> actions(frames);
        std::vector<float> action_logits(static_cast<std::size_t>(frames) * d_.branches.size());
        std::vector<float> logits(kClips * d_.classes);
        engine_.policy_features(case_.clips.data(), previous.data(), frames, policy.data());
        engine_.actions(policy.data(), kClips, actions.data(), d_.adaptive ? action_logits.data() : nullptr);
        if (actions != chosen_) {
            fail("stages: other actions than those of run");
        }
        for (const float* const known :
             {static_cast<const float*>(policy.data()), static_cast<const float*>(nullptr)}) {
            engine_.branch_features(case_.clips.data(), previous.data(), actions.data(), frames, known,
                                    features.data());
            engine_.temporal_head(features.data(), kClips, logits.data());
            compare("stages", plain_, logits);
        }
    }

    // Clip by clip.
    void compare(const char* what, const Doubles& expected, const std::vector<float>& found, double tolerances = 1) {
        for (std::size_t at = 0; at < expected.size(); at += d_.classes) {
            const Doubles row(expected.begin() + static_cast<std::ptrdiff_t>(at),
                              expected.begin() + static_cast<std::ptrdiff_t>(at) + d_.classes);
            const double error = relative_error(row, found.data() + at);
            worst_ = std::isnan(error) ? error : std::max(worst_, error);
            if (!(error < tolerances * tolerance_)) {
                fail(std::string(what) + ": error " + std::to_string(error) + " of the logits' norm");
            }
        }
    }

    void fail(const std::string& text) {
        std::fprintf(stderr, "%s: %s\n", name_.c_str(), text.c_str());
        ++wrong_;
    }

    const Case& case_;
    const Description& d_;
    std::string name_;
    double tolerance_;
    Engine engine_;
    std::vector<std::int32_t> chosen_;
    Doubles plain_;     // logits on the actions that `run` chose
    Doubles adaptive_;  // what it makes of them
    std::vector<float> averaged_;
    int wrong_ = 0;
    double worst_ = 0.0;
};

// Steps of a stream beside the CPU's: a model like the shipped one; tracks of two groups, then of one.
int run_streams(Precision precision, int steps) {
    const Shape shape{25, {11}, {false}, 31, 18, false, true, true, 1, CausalShape{{2, 4, 8}, {1, 2, 4, 8}, 1, 1}};
    constexpr int kTracks = 40;
    const Model model = random_model(shape, 43);
    const Description& d = model.description;
    adasgn::EngineOptions options;
    options.max_batch = (kTracks + d.frames - 1) / d.frames;
    const auto cpu = online::continual_network(model, std::make_shared<adasgn::Engine>(model, options), kTracks,
                                               nullptr, WeightType::f32);
    const auto gpu = cuda::stream_network(model, {kTracks, precision, 0});
    std::mt19937 random(44);
    std::vector<int> slots(kTracks);
    std::vector<std::int32_t> branches(kTracks);
    for (int i = 0; i < kTracks; ++i) {
        slots[i] = kTracks - 1 - i;
        branches[i] = i % 2;
    }
    std::vector<float> features(kTracks * kFeature);
    std::vector<float> logits(kTracks * d.classes);
    std::vector<float> found(logits.size());
    double worst = 0;
    for (int step = 0; step < steps; ++step) {
        const int count = step % 2 == 0 ? kTracks : 1;
        const std::vector<float> now = random_floats(kTracks * d.joints * kCoordinates, random);
        const std::vector<float> before = random_floats(kTracks * d.joints * kCoordinates, random);
        for (online::FrameNetwork* const network : {cpu.get(), gpu.get()}) {
            if (step % 3 == 2 && network == gpu.get()) {
                network->step(now.data(), before.data(), branches.data(), slots.data(), count, nullptr, found.data());
                network->keep(slots.data(), count);
                continue;
            }
            network->features(now.data(), before.data(), branches.data(), count, features.data());
            network->try_frames(slots.data(), count, features.data(),
                                network == cpu.get() ? logits.data() : found.data());
            network->keep(slots.data(), count);
        }
        const Doubles expected(logits.begin(), logits.begin() + static_cast<std::ptrdiff_t>(count) * d.classes);
        const double error = relative_error(expected, found.data());
        worst = std::isnan(error) ? error : std::max(worst, error);
    }
    const bool exact = precision == Precision::f32;
    const bool ok = worst < (exact ? 1e-5 : 6e-3);
    std::printf("%-60s %s, largest error %.1e\n", exact ? "f32, steps of a stream" : "f16, steps of a stream",
                ok ? "ok" : "WRONG", worst);
    return ok ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
    const int frames = count > 1 ? std::atoi(arguments[1]) : kAdaptive22.frames;
    const std::string only = count > 2 ? arguments[2] : "";
    if (count > 3 || frames < 1 || frames > kMostFrames) {
        std::fprintf(stderr, "usage: run_all_modes [FRAMES of a clip, 1 to %d [how the names of modes begin]]\n",
                     kMostFrames);
        return EXIT_FAILURE;
    }
    if (cuda::device_count() == 0) {
        std::fprintf(stderr, "no CUDA device: the driver shows no GPU, or there is no driver\n");
        return 2;
    }
    try {
        cuda::DeviceTraits traits;
        cuda::expect_ok(cuda::device_traits(0, traits), "the device's properties");
        std::printf("%s, compute capability %d.%d\n", traits.name.c_str(), traits.architecture / 10,
                    traits.architecture % 10);
        int wrong = 0;
        for (Shape shape : {kAdaptive22, kDense25, kPose22, kPoseAlone, kLevels}) {
            shape.frames = frames;
            const Case given(shape);
            for (const Runs& runs : kRuns) {
                if (std::string(runs.name).rfind(only, 0) != 0) {
                    continue;
                }
                if (runs.schedule.branch_rows > cuda::highest_branch_tile(runs.precision, traits.shared_per_block)) {
                    std::printf("%-60s left out: more shared memory than this device has\n", runs.name);
                    continue;
                }
                const Description& d = given.model.description;
                if (runs.schedule.block_per_frame && d.branches.front().pose() && d.branches.size() == 1) {
                    continue;  // a pose branch alone has no block per frame
                }
                if (runs.schedule.whole_clips && (d.branches.front().pose() || d.escalates)) {
                    continue;
                }
                wrong += Checks(given, runs).run();
            }
        }
        for (const Precision precision : {Precision::f32, Precision::f16}) {
            if (std::string(precision == Precision::f32 ? "f32" : "f16").rfind(only.substr(0, 3), 0) == 0) {
                wrong += run_streams(precision, 2 * frames);
            }
        }
        return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return EXIT_FAILURE;
    }
}
