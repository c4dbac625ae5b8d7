// A track's grid: instants a fixed step apart from its first frame on, each between two frames of the source.
#pragma once

#include <cstdint>

namespace adasgn::online {

struct GridStep {
    std::int64_t stamp;
    double weight;      // of the newer one of the two frames around it, 0 … 1; the older one has the rest
    bool interpolated;  // neither of them is within half a step
};

class TimeGrid {
  public:
    explicit TimeGrid(std::int64_t step) : step_(step) {}

    void begin(std::int64_t stamp);    // the first frame, which is the first instant too
    void advance(std::int64_t stamp);  // the next frame, a later one

    bool due() const { return next_ <= newer_; }  // an instant up to the newest frame that was not taken
    GridStep take();

    // Instants before `stamp` that were not taken, and that a track which starts anew there never will be.
    std::int64_t open_before(std::int64_t stamp) const;

  private:
    std::int64_t step_;
    std::int64_t older_ = 0;  // the last two frames
    std::int64_t newer_ = 0;
    std::int64_t next_ = 0;
};

}  // namespace adasgn::online
