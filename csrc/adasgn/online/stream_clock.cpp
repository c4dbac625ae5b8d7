#include "adasgn/online/stream_clock.h"

namespace adasgn::online {

StreamClock::Arrival StreamClock::receive(std::int64_t stamp) {
    if (stamp < -kMostStamp || stamp > kMostStamp) {
        return Arrival::in_doubt;  // and nothing will follow it
    }
    if (started_ && is_behind(stamp)) {
        return Arrival::continues;  // and says nothing about a stamp in doubt
    }
    if (!started_ || follows(stamp, newest_)) {
        started_ = true;
        doubting_ = false;
        newest_ = stamp;
        return Arrival::continues;
    }
    if (!doubting_ || !follows(stamp, doubt_)) {
        doubting_ = true;
        doubt_ = stamp;
        return Arrival::in_doubt;
    }
    const bool ahead = stamp > newest_;
    doubting_ = false;
    newest_ = stamp;
    return ahead ? Arrival::jumped_ahead : Arrival::set_back;
}

void StreamClock::reset() {
    started_ = false;
    doubting_ = false;
}

}  // namespace adasgn::online
