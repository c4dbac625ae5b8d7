#include "adasgn/router.h"

#include <algorithm>
#include <utility>

namespace adasgn {

Router::Router(int max_frames, std::vector<int> group_frames, int spread)
    : group_frames_(std::move(group_frames)),
      spread_(spread),
      counts_(group_frames_.size()),
      starts_(group_frames_.size()),
      sorted_(max_frames) {
    groups_.reserve(static_cast<std::size_t>(max_frames) + group_frames_.size());
}

void Router::route(const cpu::Frame* frames, const std::int32_t* actions, int count, int only, int skip) {
    std::fill(counts_.begin(), counts_.end(), 0);
    for (int i = 0; i < count; ++i) {
        ++counts_[actions == nullptr ? only : actions[i]];
    }
    int sum = 0;
    for (std::size_t branch = 0; branch < counts_.size(); ++branch) {
        starts_[branch] = std::exchange(sum, sum + counts_[branch]);
    }
    for (int i = 0; i < count; ++i) {
        sorted_[starts_[actions == nullptr ? only : actions[i]]++] = frames[i];
    }
    groups_.clear();
    for (int branch = static_cast<int>(counts_.size()) - 1; branch >= 0; --branch) {  // the dearest first
        const int n = counts_[branch];
        if (n == 0 || branch == skip) {
            continue;
        }
        const int least = (n + group_frames_[branch] - 1) / group_frames_[branch];
        const int groups = std::max(least, std::min(n, spread_));
        int first = starts_[branch] - n;  // after the scatter a start points behind its list
        for (int group = 0; group < groups; ++group) {
            const int size = n / groups + (group < n % groups ? 1 : 0);
            groups_.push_back({branch, first, size});
            first += size;
        }
    }
}

}  // namespace adasgn
