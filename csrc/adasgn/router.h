// From actions to work: frames sorted by branch, each branch's frames cut into groups that run as stacked rows.
#pragma once

#include <cstdint>
#include <vector>

#include "adasgn/cpu/kernels.h"

namespace adasgn {

class Router {
  public:
    struct Group {
        int branch;
        int first;  // into frames()
        int count;
    };

    // group_frames: the most frames of each branch in a group; at least `spread` groups are made of a branch's frames
    // where there are enough, so that as many threads have work.
    Router(int max_frames, std::vector<int> group_frames, int spread);

    // actions (count,), each a branch number, or null: all frames to `only`. Frames of the branch `skip` are left out.
    void route(const cpu::Frame* frames, const std::int32_t* actions, int count, int only, int skip = -1);

    const std::vector<Group>& groups() const { return groups_; }
    const cpu::Frame* frames() const { return sorted_.data(); }
    int max_group_frames(int branch) const { return group_frames_[branch]; }

  private:
    std::vector<int> group_frames_;
    int spread_;
    std::vector<int> counts_;
    std::vector<int> starts_;
    std::vector<cpu::Frame> sorted_;
    std::vector<Group> groups_;
};

}  // namespace adasgn
