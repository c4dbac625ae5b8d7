#include "order.h"

#include <algorithm>

#include "block.h"

namespace adasgn::cuda::emulator {

bool Clock::covers(const Clock& other) const {
    for (std::size_t i = 0; i < other.over_.size(); ++i)
        if (of(i) < other.over_[i]) return false;
    return true;
}

void Clock::join(const Clock& other) {
    if (over_.size() < other.over_.size()) over_.resize(other.over_.size());
    for (std::size_t i = 0; i < other.over_.size(); ++i) over_[i] = std::max(over_[i], other.over_[i]);
}

void Clock::set(std::size_t stream, std::size_t works) {
    if (over_.size() <= stream) over_.resize(stream + 1);
    over_[stream] = works;
}

std::string stream_name(std::size_t number) {
    return number == 0 ? "the default stream" : "stream " + std::to_string(number);
}

std::string describe(const WorkName& work) {
    std::string text = work.what;
    if (work.kernel != nullptr) text += " " + function_name(work.kernel);
    return text + " of " + stream_name(work.stream);
}

Work StreamOrder::begin(const char* what, const void* kernel, Overlap overlap, const Clock& host) {
    wait(host);
    Work work{{what, kernel, number_, over_.of(number_) + 1}, over_, overlap == Overlap::none ? over_ : early_};
    over_.set(number_, work.number);
    return work;
}

void StreamOrder::end(const Work& work, bool next_starts_early) {
    if (work.kernel == nullptr) {
        settle();
    } else {
        early_ = next_starts_early ? work.early : work.after;
    }
}

void StreamOrder::wait(const Clock& clock) {
    over_.join(clock);
    early_.join(clock);
}

}  // namespace adasgn::cuda::emulator
