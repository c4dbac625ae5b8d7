// Which stamps continue a stream, and how it gets over those that do not (recogniser.h tells the rule).
#pragma once

#include <cstdint>

namespace adasgn::online {

// Beyond these (146 years about zero) nothing is a stamp: what lies between two stamps is still an int64.
constexpr std::int64_t kMostStamp = (std::int64_t{1} << 62) - 1;

class StreamClock {
  public:
    // late, gap: ns that a stamp may lie behind and ahead of the newest one.
    StreamClock(std::int64_t late, std::int64_t gap) : late_(late), gap_(gap) {}

    enum class Arrival {
        continues,     // the first one too
        in_doubt,      // not received
        jumped_ahead,  // with the one in doubt before it: the stream goes on from here
        set_back,      // the same, in the past
    };
    Arrival receive(std::int64_t stamp);

    void reset();  // the next stamp is the first one
    std::int64_t newest() const { return newest_; }

  private:
    bool follows(std::int64_t stamp, std::int64_t other) const { return stamp > other && stamp - other <= gap_; }
    bool is_behind(std::int64_t stamp) const { return stamp <= newest_ && newest_ - stamp <= late_; }

    std::int64_t late_;
    std::int64_t gap_;
    bool started_ = false;
    bool doubting_ = false;
    std::int64_t newest_ = 0;
    std::int64_t doubt_ = 0;
};

}  // namespace adasgn::online
