#include "adasgn/online/joint_memory.h"

#include <algorithm>
#include <cmath>

#include "adasgn/constants.h"

namespace adasgn::online {

namespace {

bool is_missing(const float* joint) {
    return std::any_of(joint, joint + kCoordinates, [](float x) { return std::isnan(x); });
}

}  // namespace

JointMemory::JointMemory(const JointRules& rules) : rules_(rules), seen_(rules.joints) {
    forget();
}

void JointMemory::forget() {
    std::fill(seen_.begin(), seen_.end(), Seen{});
}

std::optional<int> JointMemory::complete(std::int64_t stamp, const float* joints, float* complete) const {
    const float* const origin = joints + rules_.origin * kCoordinates;
    int filled = 0;
    for (int j = 0; j < rules_.joints; ++j) {
        const float* const joint = joints + j * kCoordinates;
        float* const to = complete + j * kCoordinates;
        if (std::any_of(joint, joint + kCoordinates, [](float x) { return std::isinf(x); })) {
            return std::nullopt;
        }
        if (!is_missing(joint)) {
            std::copy(joint, joint + kCoordinates, to);
            continue;
        }
        const Seen& seen = seen_[j];
        if (j == rules_.origin || ++filled > rules_.most_missing || !seen.ever || stamp - seen.stamp > rules_.fill) {
            return std::nullopt;
        }
        for (int c = 0; c < kCoordinates; ++c) {
            to[c] = origin[c] + seen.place[c];
        }
    }
    return filled;
}

void JointMemory::remember(std::int64_t stamp, const float* joints) {
    const float* const origin = joints + rules_.origin * kCoordinates;
    for (int j = 0; j < rules_.joints; ++j) {
        const float* const joint = joints + j * kCoordinates;
        if (!is_missing(joint)) {
            seen_[j] = {true, stamp, {joint[0] - origin[0], joint[1] - origin[1], joint[2] - origin[2]}};
        }
    }
}

}  // namespace adasgn::online
