#include "adasgn/router.h"

#include <algorithm>
#include <utility>

namespace adasgn {

Router::Router(int max_frames, std::vector<int> group_frames, int spread)
    : group_frames_(std::move(group_frames)), spread_(spread), starts_(group_frames_.size() + 1), sorted_(max_frames) {
    groups_.reserve(static_cast<std::size_t>(max_frames) + group_frames_.size());
}

void Router::route(const cpu::Frame* frames, const std::int32_t* actions, int count, int only, int skip) {
    const auto branches = static_cast<int>(group_frames_.size());
    sort_by_branch(
        count, branches, [&](int i) { return actions == nullptr ? only : actions[i]; },
        [&](int i) { return frames[i]; }, starts_.data(), sorted_.data());
    groups_.clear();
    for (int branch = branches - 1; branch >= 0; --branch) {  // the dearest first
        int first = starts_[branch];
        const int n = starts_[branch + 1] - first;
        if (n == 0 || branch == skip) {
            continue;
        }
        const int least = (n + group_frames_[branch] - 1) / group_frames_[branch];
        const int groups = std::max(least, std::min(n, spread_));
        for (int group = 0; group < groups; ++group) {
            const int size = n / groups + (group < n % groups ? 1 : 0);
            groups_.push_back({branch, first, size});
            first += size;
        }
    }
}

}  // namespace adasgn
