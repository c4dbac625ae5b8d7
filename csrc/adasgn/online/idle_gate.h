// Saves a branch's work on a body at rest: a frame whose input is nearly that of the last computed one takes its
// feature. The whole input is compared (joints, those of the frame before, trail), so a feature made in motion is not
// kept for a body that has stopped.
#pragma once

#include <cstddef>
#include <vector>

#include "adasgn/constants.h"

namespace adasgn::online {

class IdleGate {
  public:
    // motion: most that a joint of the input may differ, in units of scale; 0: off. joints: V.
    IdleGate(float motion, int joints);

    bool on() const { return motion_ > 0; }
    void forget() { known_ = false; }

    // The last computed frame: input (V, 3) each, the branch that made its feature, and that (256).
    void remember(const float* current, const float* previous, int action, const float* feature);

    // Whether this input is like that one's.
    bool holds(const float* current, const float* previous) const;
    int action() const { return action_; }
    const float* feature() const { return feature_.data(); }

  private:
    bool near(const std::vector<float>& known, const float* joints) const;

    float motion_;
    bool known_ = false;
    int action_ = 0;
    std::vector<float> current_;  // (V, 3)
    std::vector<float> previous_;
    std::vector<float> feature_ = std::vector<float>(kFeature);
};

}  // namespace adasgn::online
