// Places for tracks: which id has which, and who gets one when all are taken.
#pragma once

#include <cstdint>
#include <vector>

#include "adasgn/online/track.h"

namespace adasgn::online {

class TrackTable {
  public:
    TrackTable(int places, const Track& blank) : tracks_(places, blank) {}

    int places() const { return static_cast<int>(tracks_.size()); }
    Track& operator[](int place) { return tracks_[place]; }
    const Track& operator[](int place) const { return tracks_[place]; }

    // A place, or -1.
    int find(std::int64_t id) const;
    int free_place() const;
    // Of the tracks, or the lost ones alone, without a frame at this stamp or later; spared (places,): those that are
    // not to be found.
    int unseen_longest(std::int64_t stamp, bool lost_alone, const std::uint8_t* spared) const;

  private:
    std::vector<Track> tracks_;
};

}  // namespace adasgn::online
