#include "adasgn/online/idle_gate.h"

#include <algorithm>

namespace adasgn::online {

IdleGate::IdleGate(float motion, int joints)
    : motion_(motion),
      current_(static_cast<std::size_t>(joints) * kCoordinates),
      previous_(static_cast<std::size_t>(joints) * kCoordinates) {}

void IdleGate::remember(const float* current, const float* previous, int action, const float* feature) {
    known_ = true;
    action_ = action;
    std::copy_n(current, current_.size(), current_.begin());
    std::copy_n(previous, previous_.size(), previous_.begin());
    std::copy_n(feature, feature_.size(), feature_.begin());
}

bool IdleGate::holds(const float* current, const float* previous) const {
    return on() && known_ && near(current_, current) && near(previous_, previous);
}

bool IdleGate::near(const std::vector<float>& known, const float* joints) const {
    for (std::size_t i = 0; i < known.size(); i += kCoordinates) {
        float squares = 0;
        for (std::size_t c = i; c < i + kCoordinates; ++c) {
            squares += (joints[c] - known[c]) * (joints[c] - known[c]);
        }
        if (squares > motion_ * motion_) {
            return false;
        }
    }
    return true;
}

}  // namespace adasgn::online
