// What to do with a frame that lacks joints, by the layout's skeleton: seen from the origin joint, a missing joint
// stands where the bone from its neighbour last led, and one that was never seen lies on its neighbour. A frame without
// its origin joint, with too many joints missing or with an infinite coordinate is not usable.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "adasgn/constants.h"

namespace adasgn::online {

struct JointRules {
    int joints;                // V_r
    int origin;                // the joint that everything is relative to
    int most_missing;          // of a usable frame
    std::vector<int> parents;  // (V_r,) the layout's tree, its root its own parent; without bones all are roots
};

// Whether the source did not see a joint (3,).
bool is_missing(const float* joint);

class JointMemory {
  public:
    explicit JointMemory(const JointRules& rules);

    void forget();

    // joints (V_r, 3) with NaN for what is missing -> complete (V_r, 3); how many were filled, nothing unless usable.
    std::optional<int> complete(const float* joints, float* complete) const;

    // The bones both of whose ends `joints` has.
    void remember(const float* joints);

  private:
    struct Bone {
        int joint;
        int neighbour;  // on the way to the origin joint
        std::array<float, kCoordinates> reach;
    };

    JointRules rules_;
    std::vector<Bone> bones_;  // (V_r - 1,): from the origin joint outwards
};

}  // namespace adasgn::online
