#include "adasgn/online/frame_router.h"

#include <algorithm>
#include <cmath>

#include "adasgn/constants.h"

namespace adasgn::online {

namespace {

using Clock = std::chrono::steady_clock;

std::int64_t nanoseconds_since(Clock::time_point begin) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count();
}

// Of logits (K,), which are finite.
void softmax(const float* logits, std::size_t classes, float* probabilities) {
    const float top = *std::max_element(logits, logits + classes);
    float sum = 0;
    for (std::size_t k = 0; k < classes; ++k) {
        probabilities[k] = std::exp(logits[k] - top);
        sum += probabilities[k];
    }
    std::for_each(probabilities, probabilities + classes, [=](float& p) { p /= sum; });
}

}  // namespace

Budget::Budget(std::int64_t track_ns, std::int64_t total_ns, int slots)
    : track_ns_(track_ns), total_ns_(total_ns), spent_(slots) {}

void Budget::set(std::int64_t track_ns, std::int64_t total_ns) {
    track_ns_ = track_ns;
    total_ns_ = total_ns;
}

void Budget::begin_push() {
    begin_ = Clock::now();
    std::fill(spent_.begin(), spent_.end(), 0);
}

bool Budget::used_up(int slot) const {
    return (track_ns_ > 0 && spent_[slot] >= track_ns_) || overrun();
}

bool Budget::overrun() const {
    return total_ns_ > 0 && nanoseconds_since(begin_) >= total_ns_;
}

FrameRouter::FrameRouter(const Description& description, FrameNetwork& network, int slots, bool wants_features)
    : network_(network),
      frame_floats_(static_cast<std::size_t>(description.joints) * kCoordinates),
      classes_(description.classes),
      branches_(static_cast<int>(description.branches.size())),
      wants_features_(wants_features),
      tasks_(slots, FrameTask{0, false}),
      currents_(slots * frame_floats_),
      previouses_(slots * frame_floats_),
      features_(static_cast<std::size_t>(slots) * kFeature),
      probabilities_(slots * classes_),
      listed_(slots),
      slots_(slots),
      actions_(slots),
      listed_currents_(slots * frame_floats_),
      listed_previouses_(slots * frame_floats_),
      listed_features_(static_cast<std::size_t>(slots) * kFeature),
      listed_logits_(slots * classes_) {}

int FrameRouter::add(const FrameTask& task) {
    tasks_[count_] = task;
    return count_++;
}

void FrameRouter::run(float threshold, Budget& budget) {
    listed_count_ = 0;
    for (int i = 0; i < count_; ++i) {
        if (!tasks_[i].idle) {
            listed_[listed_count_++] = i;
        }
    }
    if (listed_count_ == count_) {
        compute_and_try(budget);
    } else {
        if (listed_count_ > 0) {
            list_inputs();
            compute_features(budget);
        }
        listed_count_ = count_;
        std::generate_n(listed_.begin(), count_, [i = 0]() mutable { return i++; });
        try_listed(budget);
    }
    for (list_unsure(threshold, budget); listed_count_ > 0; list_unsure(threshold, budget)) {
        compute_and_try(budget);
    }
    keep_all();
}

void FrameRouter::list_inputs() {
    for (int n = 0; n < listed_count_; ++n) {
        const int i = listed_[n];
        std::copy_n(current(i), frame_floats_, listed_currents_.data() + n * frame_floats_);
        std::copy_n(previous(i), frame_floats_, listed_previouses_.data() + n * frame_floats_);
        actions_[n] = tasks_[i].action;
        slots_[n] = tasks_[i].slot;
    }
}

void FrameRouter::compute_and_try(Budget& budget) {
    list_inputs();
    const Clock::time_point begin = Clock::now();
    if (!network_.step(listed_currents_.data(), listed_previouses_.data(), actions_.data(), slots_.data(),
                       listed_count_, wants_features_ ? listed_features_.data() : nullptr, listed_logits_.data())) {
        compute_features(budget);
        try_listed(budget);
        return;
    }
    const std::int64_t share = nanoseconds_since(begin) / listed_count_;
    for (int n = 0; n < listed_count_; ++n) {
        FrameTask& task = tasks_[listed_[n]];
        if (wants_features_) {
            std::copy_n(listed_features_.data() + static_cast<std::size_t>(n) * kFeature, kFeature,
                        feature(listed_[n]));
        }
        task.computed = true;
        task.macs += network_.spatial_macs(task.action);
    }
    take_logits(budget, share);
}

void FrameRouter::compute_features(Budget& budget) {
    const Clock::time_point begin = Clock::now();
    network_.features(listed_currents_.data(), listed_previouses_.data(), actions_.data(), listed_count_,
                      listed_features_.data());
    const std::int64_t share = nanoseconds_since(begin) / listed_count_;
    for (int n = 0; n < listed_count_; ++n) {
        FrameTask& task = tasks_[listed_[n]];
        std::copy_n(listed_features_.data() + static_cast<std::size_t>(n) * kFeature, kFeature, feature(listed_[n]));
        task.computed = true;
        task.macs += network_.spatial_macs(task.action);
        task.spatial_ns += share;
        budget.spend(task.slot, share);
    }
}

void FrameRouter::try_listed(Budget& budget) {
    for (int n = 0; n < listed_count_; ++n) {
        slots_[n] = tasks_[listed_[n]].slot;
        std::copy_n(feature(listed_[n]), kFeature, listed_features_.data() + static_cast<std::size_t>(n) * kFeature);
    }
    const Clock::time_point begin = Clock::now();
    network_.try_frames(slots_.data(), listed_count_, listed_features_.data(), listed_logits_.data());
    take_logits(budget, nanoseconds_since(begin) / listed_count_);
}

void FrameRouter::take_logits(Budget& budget, std::int64_t share) {
    for (int n = 0; n < listed_count_; ++n) {
        const int i = listed_[n];
        FrameTask& task = tasks_[i];
        if (task.ready) {
            softmax(listed_logits_.data() + n * classes_, classes_, probabilities_.data() + i * classes_);
        }
        task.macs += network_.temporal_macs(task.slot);
        task.temporal_ns += share;
        budget.spend(task.slot, share);
    }
}

void FrameRouter::list_unsure(float threshold, const Budget& budget) {
    int going_on = 0;
    for (int n = 0; n < listed_count_; ++n) {
        const int i = listed_[n];
        FrameTask& task = tasks_[i];
        if (!task.ready || task.action + 1 == branches_ ||
            *std::max_element(probabilities(i), probabilities(i) + classes_) >= threshold) {
            continue;
        }
        if (budget.used_up(task.slot)) {
            task.kept_from_dearer = true;
            continue;
        }
        ++task.action;
        listed_[going_on++] = i;
    }
    listed_count_ = going_on;
}

void FrameRouter::keep_all() {
    for (int i = 0; i < count_; ++i) {
        slots_[i] = tasks_[i].slot;
    }
    network_.keep(slots_.data(), count_);
}

}  // namespace adasgn::online
