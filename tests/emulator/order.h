// Which work of the device comes after which. Work is numbered within its stream; a clock says of each stream how much
// of its work is over. Streams, events and the host have clocks, and take over each other's by waiting.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "device.h"

namespace adasgn::cuda::emulator {

class Clock {
  public:
    // How many of the stream's works are over.
    std::size_t of(std::size_t stream) const { return stream < over_.size() ? over_[stream] : 0; }
    bool covers(const Clock& other) const;
    void join(const Clock& other);
    void set(std::size_t stream, std::size_t works);

  private:
    std::vector<std::size_t> over_;  // by the stream's number
};

// A launch, copy or fill, as given to a stream.
struct WorkName {
    const char* what;    // "copy_to_host"; of a launch "kernel"
    const void* kernel;  // of a launch
    std::size_t stream;  // its number
    std::size_t number;  // in its stream, from 1
};

struct Work : WorkName {
    Clock after;  // what is over when it begins; of a kernel that starts early, when its thread has waited
    Clock early;  // what is over when a kernel that starts early does so; else as `after`
};

std::string describe(const WorkName& work);   // "kernel fill of stream 1"
std::string stream_name(std::size_t number);  // "stream 1"; number 0: "the default stream"

class StreamOrder {
  public:
    explicit StreamOrder(std::size_t number, const Clock& over) : number_(number), over_(over), early_(over) {}

    std::size_t number() const { return number_; }
    const Clock& over() const { return over_; }

    // Work begins that the host gave to the stream: all that the host has waited for is over.
    Work begin(const char* what, const void* kernel, Overlap overlap, const Clock& host);
    // It has ended. `next_starts_early`: some block of the launch let the next kernel start before it had itself waited
    // for the kernels before it.
    void end(const Work& work, bool next_starts_early);
    // What comes next waits for all that the clock says is over.
    void wait(const Clock& clock);
    // The next kernel does not start early: what is before it is no kernel.
    void settle() { early_ = over_; }

  private:
    std::size_t number_;
    Clock over_;   // all work given to it, and all that this comes after
    Clock early_;  // what the next kernel comes after if it starts early
};

}  // namespace adasgn::cuda::emulator
