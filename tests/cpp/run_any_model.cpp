#include "run_any_model.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "adasgn/constants.h"
#include "adasgn/engine.h"
#include "adasgn/error.h"
#include "adasgn/recogniser.h"

namespace adasgn::testing {

namespace {

constexpr int kMostRows = 48;  // joints of all frames, of one branch
constexpr int kClips = 2;
constexpr int kPushes = 16;
constexpr std::int64_t kLastStamp = std::numeric_limits<std::int64_t>::max();

void expect(bool ok, const char* what) {
    if (!ok) {
        throw std::logic_error(what);
    }
}

bool is_small(const Description& d) {
    return d.classes <= 16 && d.branches.size() <= 4 && (d.frames + 1) * d.joints <= kMostRows &&
           d.clip_frames() * d.recorded_joints() <= kMostRows;
}

// Whether it did; if not, the caller's values were refused.
template <class Call>
bool runs(const Call& call) {
    try {
        call();
    } catch (const Error& error) {
        const std::string message = error.what();
        expect(error.kind() == ErrorKind::clip, "a run that ends with another's fault");
        expect(message.find("expected") != std::string::npos && message.size() < 1200, "an error that says little");
        return false;
    }
    return true;
}

class Runs {
  public:
    Runs(Model model, unsigned seed) : model_(std::move(model)), random_(seed) { spread_weights(); }

    // Else an engine refuses it.
    bool is_computable() const {
        try {
            const Engine engine(model_);
        } catch (const Error& error) {
            expect(error.kind() == ErrorKind::model_file, "an error that blames something else");
            return false;
        }
        return true;
    }

    void run_clips() {
        const Description& d = model_.description;
        Engine engine(model_, {kClips, 1, any_instruction_set()});
        const auto frames = static_cast<std::size_t>(kClips) * d.frames;
        const std::vector<float> clips =
            floats(static_cast<std::size_t>(kClips) * d.clip_frames() * d.recorded_joints() * kCoordinates,
                   coordinate_scale());
        std::vector<float> logits(static_cast<std::size_t>(kClips) * d.classes);
        std::vector<float> features(frames * kFeature);
        std::vector<std::int32_t> actions(frames);
        const auto finite = [&](bool ran) {
            expect(!ran || all_finite(logits), "logits that are not finite");
            std::fill(logits.begin(), logits.end(), std::nanf(""));
        };
        finite(runs([&] {
            engine.run(clips.data(), kClips, 1, {logits.data(), actions.data(), features.data()},
                       d.escalates ? 2.0F : kDefaultThreshold);
        }));
        finite(runs([&] {
            engine.run(clips.data(), 1, kClips, {logits.data()});
            std::copy_n(logits.begin(), d.classes, logits.begin() + d.classes);
        }));
        finite(runs([&] { engine.run_fuse(clips.data(), kClips, 1, {logits.data()}); }));
        const auto branches = static_cast<int>(d.branches.size());
        std::generate(actions.begin(), actions.end(), [&] { return between(0, branches - 1); });
        finite(runs([&] { engine.run_forced(clips.data(), actions.data(), kClips, 1, {logits.data()}); }));
        actions[between(0, static_cast<int>(frames) - 1)] = between(0, 1) == 0 ? -1 : branches;
        expect(!runs([&] { engine.run_forced(clips.data(), actions.data(), kClips, 1, {logits.data()}); }),
               "an action that is no branch");
        features = floats(features.size(), between(0, 1) == 0 ? 1.0F : kMaxFeature);
        finite(runs([&] { engine.temporal_head(features.data(), kClips, logits.data()); }));
        expect(engine.buffers_intact(), "a write outside a buffer");
    }

    void run_stream() {
        const Description& d = model_.description;
        RecogniserOptions options;
        options.exact = between(0, 1) == 0;
        options.max_tracks = 2;
        options.overflow = between(0, 1) == 0 ? Overflow::refuse : Overflow::replace;
        options.gap = std::min<std::int64_t>(options.gap, 64 * d.recognition->step);
        options.idle_motion = between(0, 1) == 0 ? 0 : 0.1F;
        options.max_speed = between(0, 1) == 0 ? 0 : 10;
        options.instruction_set = any_instruction_set();
        Recogniser recogniser(model_, options);
        std::int64_t stamp = any_stamp();
        for (int i = 0; i < kPushes; ++i) {
            stamp = between(0, 9) == 0 ? any_stamp() : later(stamp, d.recognition->step);
            const std::size_t values = static_cast<std::size_t>(d.recorded_joints()) * kCoordinates;
            std::vector<std::vector<float>> joints;
            std::vector<TrackInput> inputs;
            for (int n = between(0, 3); n > 0; --n) {
                joints.push_back(floats(values, between(0, 9) == 0 ? coordinate_scale() : 1.0F));
                if (between(0, 4) == 0) {
                    joints.back()[between(0, static_cast<int>(values) - 1)] = any_number();
                }
            }
            for (const std::vector<float>& one : joints) {
                inputs.push_back({between(0, 9) == 0 ? any_stamp() : between(0, 3), one.data()});
            }
            runs([&] {
                const auto output =
                    recogniser.push(stamp, inputs.data(), static_cast<int>(inputs.size()), between(0, 3) > 0);
                for (int k = 0; k < output.count; ++k) {
                    expect_probabilities(output.results[k]);
                }
            });
            if (between(0, 19) == 0) {
                recogniser.reset();
            }
        }
    }

  private:
    int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

    std::vector<float> floats(std::size_t count, float largest) {
        std::uniform_real_distribution<float> any(-1, 1);
        std::vector<float> values(count);
        std::generate(values.begin(), values.end(), [&] { return any(random_) * largest; });
        return values;
    }

    static bool all_finite(const std::vector<float>& values) {
        return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
    }

    float coordinate_scale() {
        const float scales[] = {0, 1e-38F, 1, 100, kMaxCoordinate, 1.5F * kMaxCoordinate, 3e38F};
        return scales[between(0, 6)];
    }

    float any_number() {
        using Limits = std::numeric_limits<float>;
        const float numbers[] = {Limits::quiet_NaN(),
                                 Limits::infinity(),
                                 -Limits::infinity(),
                                 Limits::max(),
                                 Limits::lowest(),
                                 Limits::denorm_min(),
                                 1e30F,
                                 0};
        return numbers[between(0, 7)];
    }

    std::int64_t any_stamp() {
        const std::int64_t stamps[] = {0, -1, kLastStamp, -kLastStamp - 1, kLastStamp / 2, -(kLastStamp / 2), 1 << 30};
        return stamps[between(0, 6)];
    }

    std::int64_t later(std::int64_t stamp, std::int64_t step) {
        const std::int64_t by = step / 4 * between(0, 12) + between(0, 3);
        return stamp > kLastStamp - by ? stamp : stamp + by;
    }

    const char* any_instruction_set() {
        int count = 0;
        while (instruction_sets()[count] != nullptr) {
            ++count;
        }
        return instruction_sets()[between(0, count - 1)];
    }

    // As they are, or of one size each.
    void spread_weights() {
        const float sizes[] = {0, 1e-30F, 0.05F, 1, 100, 1e10F, 1e30F, 3e38F};
        const int largest = between(0, 7);
        if (between(0, 3) == 0) {
            return;
        }
        for (auto& [name, tensor] : model_.tensors) {
            tensor.values = floats(tensor.values.size(), sizes[between(0, largest)]);
        }
    }

    void expect_probabilities(const StepResult& result) const {
        expect(result.ready == (result.probabilities != nullptr), "probabilities without a window");
        if (result.ready) {
            float sum = 0;
            for (int k = 0; k < model_.description.classes; ++k) {
                expect(result.probabilities[k] >= 0 && result.probabilities[k] <= 1, "no probability");
                sum += result.probabilities[k];
            }
            expect(std::fabs(sum - 1) < 1e-4F, "probabilities that do not add up");
        }
        expect(result.confidence >= 0 && result.confidence <= 1, "no confidence");
    }

    Model model_;
    std::mt19937 random_;
};

}  // namespace

bool run_any_model(Model model, unsigned seed) {
    if (!is_small(model.description)) {
        return false;
    }
    const bool causal = model.description.causal.has_value();
    Runs any(std::move(model), seed);
    if (any.is_computable()) {
        any.run_clips();
        if (causal) {
            any.run_stream();
        }
    }
    return true;
}

}  // namespace adasgn::testing
