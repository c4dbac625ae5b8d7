// The lower median of the last values of a row, those of them that are above zero.
#pragma once

#include <array>

namespace adasgn::online {

class RunningMedian {
  public:
    static constexpr int kWindow = 64;

    void clear();
    void add(double value);
    // 0 before the first value above zero; when a whole window has none, what it was before.
    double value() const { return value_; }

  private:
    std::array<double, kWindow> recent_{};  // a ring
    std::array<double, kWindow> sorted_{};  // those above zero, ascending
    int newest_ = 0;
    int count_ = 0;
    int positive_ = 0;
    double value_ = 0;
};

}  // namespace adasgn::online
