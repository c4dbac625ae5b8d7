#include "adasgn/online/running_median.h"

#include <algorithm>

namespace adasgn::online {

void RunningMedian::clear() {
    *this = RunningMedian();
}

void RunningMedian::add(double value) {
    newest_ = (newest_ + 1) % kWindow;
    const auto end = [&] { return sorted_.begin() + positive_; };
    if (count_ < kWindow) {
        ++count_;
    } else if (const double oldest = recent_[newest_]; oldest > 0) {
        const auto place = std::lower_bound(sorted_.begin(), end(), oldest);
        std::copy(place + 1, end(), place);
        --positive_;
    }
    recent_[newest_] = value;
    if (value > 0) {
        const auto place = std::upper_bound(sorted_.begin(), end(), value);
        std::copy_backward(place, end(), end() + 1);
        *place = value;
        ++positive_;
    }
    if (positive_ > 0) {
        value_ = sorted_[(positive_ - 1) / 2];
    }
}

}  // namespace adasgn::online
