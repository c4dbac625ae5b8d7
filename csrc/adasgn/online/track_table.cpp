#include "adasgn/online/track_table.h"

namespace adasgn::online {

int TrackTable::find(std::int64_t id) const {
    for (int place = 0; place < places(); ++place) {
        if (!tracks_[place].free() && tracks_[place].id() == id) {
            return place;
        }
    }
    return -1;
}

int TrackTable::free_place() const {
    for (int place = 0; place < places(); ++place) {
        if (tracks_[place].free()) {
            return place;
        }
    }
    return -1;
}

int TrackTable::unseen_longest(std::int64_t stamp, bool lost_alone, const std::uint8_t* spared) const {
    int longest = -1;
    for (int place = 0; place < places(); ++place) {
        const Track& track = tracks_[place];
        if (spared[place] != 0 || track.received() >= stamp || (lost_alone && track.live())) {
            continue;
        }
        if (longest < 0 || track.received() < tracks_[longest].received()) {
            longest = place;
        }
    }
    return longest;
}

}  // namespace adasgn::online
