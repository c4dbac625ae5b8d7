// What to do with a frame that lacks joints: a missing joint stands where it last was relative to the origin joint, for
// a limited time. A frame without its origin joint, with too many joints missing, with one that there is nothing to
// fill from, or with an infinite coordinate is not usable.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace adasgn::online {

struct JointRules {
    int joints;         // V_r
    int origin;         // the joint that everything is relative to
    int most_missing;   // of a usable frame
    std::int64_t fill;  // ns that a joint may be filled after it was seen
};

class JointMemory {
  public:
    explicit JointMemory(const JointRules& rules);

    void forget();

    // joints (V_r, 3) with NaN for what is missing -> complete (V_r, 3); how many were filled, nothing unless usable.
    std::optional<int> complete(std::int64_t stamp, const float* joints, float* complete) const;

    // Where the seen ones of `joints` were.
    void remember(std::int64_t stamp, const float* joints);

  private:
    struct Seen {
        bool ever;
        std::int64_t stamp;
        float place[3];  // relative to the origin joint
    };

    JointRules rules_;
    std::vector<Seen> seen_;  // (V_r,)
};

}  // namespace adasgn::online
