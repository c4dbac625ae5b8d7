#include "adasgn/online/time_grid.h"

#include <algorithm>

namespace adasgn::online {

void TimeGrid::begin(std::int64_t stamp) {
    older_ = newer_ = next_ = stamp;
}

void TimeGrid::advance(std::int64_t stamp) {
    older_ = newer_;
    newer_ = stamp;
}

GridStep TimeGrid::take() {
    const std::int64_t since = next_ - older_;
    const std::int64_t until = newer_ - next_;
    const double weight = until == 0 ? 1 : static_cast<double>(since) / static_cast<double>(since + until);
    const GridStep taken{next_, weight, std::min(since, until) > step_ / 2};
    next_ += step_;
    return taken;
}

std::int64_t TimeGrid::open_before(std::int64_t stamp) const {
    return stamp <= next_ ? 0 : (stamp - next_ - 1) / step_ + 1;
}

}  // namespace adasgn::online
