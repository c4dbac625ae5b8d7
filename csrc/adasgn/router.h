// From actions to work: frames sorted by branch, each branch's frames cut into groups that run as stacked rows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "adasgn/cpu/kernels.h"

namespace adasgn {

// Counts the frames of each branch, prefix-sums the counts into starts (branches + 1,) and writes item(i) of each frame
// i = 0 … count - 1 to its branch's part of sorted (count,), frames of a branch in their order. action(i): a branch.
template <class ActionOf, class Item, class ItemOf>
void sort_by_branch(int count, int branches, const ActionOf& action, const ItemOf& item, std::int32_t* starts,
                    Item* sorted) {
    std::fill(starts, starts + branches + 1, 0);
    for (int i = 0; i < count; ++i) {
        ++starts[action(i) + 1];
    }
    std::partial_sum(starts, starts + branches + 1, starts);
    for (int i = 0; i < count; ++i) {
        sorted[starts[action(i)]++] = item(i);  // a start moves to the end of its part
    }
    std::copy_backward(starts, starts + branches, starts + branches + 1);
    starts[0] = 0;
}

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

  private:
    std::vector<int> group_frames_;
    int spread_;
    std::vector<std::int32_t> starts_;  // a branch's part of sorted_, and where the last one ends
    std::vector<cpu::Frame> sorted_;
    std::vector<Group> groups_;
};

}  // namespace adasgn
