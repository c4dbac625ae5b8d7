// The pieces of work that the device has run, by the time at which each began, and which of them may run at the same
// time as a present one: no event, stream or wait of the host puts them before it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "order.h"

namespace adasgn::cuda::emulator {

struct WorkRecord {
    std::uint64_t begin;
    WorkName work;
};

// What is over for a piece of work: all before `since`, and of later work what the clock covers.
struct Past {
    Clock clock;
    std::uint64_t since = 1;
};

class History {
  public:
    void begins(const WorkName& work, std::uint64_t now) {
        begins_.resize(std::max(begins_.size(), work.stream + 1));
        begins_[work.stream].push_back(now);
        works_.push_back({now, work});
    }

    // The work that runs, or ran last.
    const WorkRecord& present() const { return works_.back(); }

    // What is over for the present work where the clock says what is.
    Past past(const Clock& clock) const {
        std::uint64_t since = present().begin;
        for (std::size_t stream = 0; stream < begins_.size(); ++stream)
            if (clock.of(stream) < begins_[stream].size()) since = std::min(since, begins_[stream][clock.of(stream)]);
        return {clock, since};
    }

    // That a time falls into.
    const WorkRecord& at(std::uint64_t time) const {
        const auto later = std::upper_bound(works_.begin(), works_.end(), time,
                                            [](std::uint64_t at, const WorkRecord& work) { return at < work.begin; });
        return *(later - 1);
    }

    static bool unordered(const WorkRecord& work, const Past& past) {
        return past.clock.of(work.work.stream) < work.work.number;
    }

    // The other work in which an access was made, if it may run at the same time as the present one; else null.
    const WorkRecord* unordered(std::uint64_t time, const Past& past) const {
        if (time < past.since || time >= present().begin) return nullptr;
        const WorkRecord& work = at(time);
        return unordered(work, past) ? &work : nullptr;
    }

  private:
    std::vector<WorkRecord> works_ = {{1, {}}};       // in the order of their begin; before the first there is none
    std::vector<std::vector<std::uint64_t>> begins_;  // of each stream's works
};

}  // namespace adasgn::cuda::emulator
