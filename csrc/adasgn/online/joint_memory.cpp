#include "adasgn/online/joint_memory.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace adasgn::online {

bool is_missing(const float* joint) {
    return std::any_of(joint, joint + kCoordinates, [](float x) { return std::isnan(x); });
}

// A layout without bones ties every joint to the origin joint.
JointMemory::JointMemory(const JointRules& rules) : rules_(rules) {
    std::vector<bool> reached(rules.joints);
    reached[rules.origin] = true;
    std::vector<int> ends{rules.origin};
    for (std::size_t next = 0; next < ends.size(); ++next) {
        const int joint = ends[next];
        for (int other = 0; other < rules.joints; ++other) {
            if (!reached[other] && (rules.parents[other] == joint || rules.parents[joint] == other)) {
                reached[other] = true;
                ends.push_back(other);
                bones_.push_back({other, joint, {}});
            }
        }
    }
    for (int other = 0; other < rules.joints; ++other) {
        if (!reached[other]) {
            bones_.push_back({other, rules.origin, {}});
        }
    }
}

void JointMemory::forget() {
    for (Bone& bone : bones_) {
        bone.reach = {};
    }
}

std::optional<int> JointMemory::complete(const float* joints, float* complete) const {
    const float* const origin = joints + rules_.origin * kCoordinates;
    const bool infinite =
        std::any_of(joints, joints + rules_.joints * kCoordinates, [](float x) { return std::isinf(x); });
    if (infinite || is_missing(origin)) {
        return std::nullopt;
    }
    std::copy_n(joints, rules_.joints * kCoordinates, complete);
    int filled = 0;
    for (const Bone& bone : bones_) {
        float* const joint = complete + bone.joint * kCoordinates;
        if (is_missing(joint)) {
            const float* const neighbour = complete + bone.neighbour * kCoordinates;
            std::transform(neighbour, neighbour + kCoordinates, bone.reach.begin(), joint, std::plus<>());
            ++filled;
        }
    }
    return filled <= rules_.most_missing ? std::optional<int>(filled) : std::nullopt;
}

void JointMemory::remember(const float* joints) {
    for (Bone& bone : bones_) {
        const float* const joint = joints + bone.joint * kCoordinates;
        const float* const neighbour = joints + bone.neighbour * kCoordinates;
        if (!is_missing(joint) && !is_missing(neighbour)) {
            std::transform(joint, joint + kCoordinates, neighbour, bone.reach.begin(), std::minus<>());
        }
    }
}

}  // namespace adasgn::online
