// A body whose joints swing and that wanders about, as a function of time; and a causal model that is neither sure nor
// unsure of all that it does.
#pragma once

#include <cmath>
#include <random>
#include <vector>

#include "adasgn/constants.h"
#include "adasgn/engine.h"
#include "random_model.h"

namespace adasgn::testing {

class MovingBody {
  public:
    MovingBody(int joints, unsigned seed) {
        std::mt19937 random(seed);
        std::uniform_real_distribution<double> unit(0, 1);
        for (int i = 0; i < joints * kCoordinates; ++i) {
            waves_.push_back({0.1 * unit(random), 0.05 * unit(random), 0.5 + 4 * unit(random), 6.3 * unit(random)});
        }
        for (Wave& wave : walk_) {
            wave = {unit(random), 0.2 * unit(random), 0.2 + unit(random), 6.3 * unit(random)};
        }
    }

    // Joints (V_r, 3), metres.
    std::vector<float> at(std::int64_t stamp) const {
        const double seconds = 1e-9 * static_cast<double>(stamp);
        std::vector<float> joints;
        for (std::size_t i = 0; i < waves_.size(); ++i) {
            joints.push_back(static_cast<float>(waves_[i].at(seconds) + walk_[i % kCoordinates].at(seconds)));
        }
        return joints;
    }

  private:
    struct Wave {
        double place, swing, speed, phase;
        double at(double seconds) const { return place + swing * std::sin(speed * seconds + phase); }
    };

    std::vector<Wave> waves_;
    Wave walk_[kCoordinates]{};
};

// With the scale bone from joint 0 to joint 2. Logits are moved and scaled so that over a minute of a moving body, on
// the first branch or on so many branches in turn, each class has its time, more or less surely.
inline Model lively_model(const Shape& shape, unsigned seed, int branches = 1) {
    constexpr int kWindows = 60;
    Model model = random_model(shape, seed);
    model.description.preprocessing.scale_bone = {0, 2};
    const Description& d = model.description;
    Engine engine(model);
    const MovingBody body(d.recorded_joints(), seed + 1);
    std::vector<float> logits(static_cast<std::size_t>(kWindows) * d.classes);
    for (int i = 0; i < kWindows; ++i) {
        std::vector<float> window;
        for (int t = 0; t < d.clip_frames(); ++t) {
            for (const float x : body.at(std::int64_t{i} * 1'000'000'000 + t * d.recognition->step)) {
                window.push_back(x / 0.1F);
            }
        }
        const std::vector<std::int32_t> actions(d.frames, i % branches);
        engine.run_forced(window.data(), actions.data(), 1, 1, {logits.data() + i * d.classes});
    }
    std::vector<double> means(d.classes);
    double variance = 0;
    for (int k = 0; k < d.classes; ++k) {
        for (int i = 0; i < kWindows; ++i) {
            means[k] += logits[i * d.classes + k] / static_cast<double>(kWindows);
        }
        for (int i = 0; i < kWindows; ++i) {
            variance += std::pow(logits[i * d.classes + k] - means[k], 2) / kWindows / d.classes;
        }
    }
    const double factor = 1.5 / std::sqrt(variance);
    for (float& weight : model.tensors["temporal.classify.weight"].values) {
        weight *= static_cast<float>(factor);
    }
    std::vector<float>& bias = model.tensors["temporal.classify.bias"].values;
    for (int k = 0; k < d.classes; ++k) {
        bias[k] = static_cast<float>(factor * (bias[k] - means[k]));
    }
    return model;
}

}  // namespace adasgn::testing
