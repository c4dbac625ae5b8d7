// Routing by frame: every frame of a batch takes the first branch; those whose window is still unsure take the next one
// in place of it, and so on, as far as budgets allow.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "adasgn/buffer.h"
#include "adasgn/constants.h"
#include "adasgn/online/frame_network.h"

namespace adasgn::online {

// What a push may still spend. Works on the steady clock.
class Budget {
  public:
    Budget(std::int64_t track_ns, std::int64_t total_ns, int slots);

    void set(std::int64_t track_ns, std::int64_t total_ns);
    void begin_push();
    void spend(int slot, std::int64_t ns) { spent_[slot] += ns; }
    bool used_up(int slot) const;
    bool overrun() const;  // of the whole push

  private:
    std::int64_t track_ns_;  // 0: none, as the next
    std::int64_t total_ns_;
    std::chrono::steady_clock::time_point begin_{};
    std::vector<std::int64_t> spent_;  // (slots,) in this push
};

struct FrameTask {
    int slot;
    bool ready;         // its window is full: its probabilities mean something
    int action = 0;     // the branch to begin with; afterwards the one whose feature stays
    bool idle = false;  // its feature is given, of that branch
    // What became of it.
    bool computed = false;          // a branch ran
    bool kept_from_dearer = false;  // unsure, but a budget was used up
    std::int64_t macs = 0;
    std::int64_t spatial_ns = 0;
    std::int64_t temporal_ns = 0;
};

class FrameRouter {
  public:
    // wants_features: whether feature(i) is looked at after a run.
    FrameRouter(const Description& description, FrameNetwork& network, int slots, bool wants_features);

    // A batch: its tasks are listed one by one, with inputs (V, 3) written and, if idle, the feature (256).
    void clear() { count_ = 0; }
    int add(const FrameTask& task);  // its number
    int count() const { return count_; }
    FrameTask& task(int i) { return tasks_[i]; }
    float* current(int i) { return currents_.data() + i * frame_floats_; }
    float* previous(int i) { return previouses_.data() + i * frame_floats_; }
    float* feature(int i) { return features_.data() + static_cast<std::size_t>(i) * kFeature; }
    const float* probabilities(int i) const { return probabilities_.data() + i * classes_; }  // (K,), if ready

    // Below `threshold` of its highest probability a frame is unsure.
    void run(float threshold, Budget& budget);

  private:
    // Of the listed tasks.
    void compute_and_try(Budget& budget);
    void list_inputs();
    void compute_features(Budget& budget);  // of listed inputs
    void try_listed(Budget& budget);
    void take_logits(Budget& budget, std::int64_t share);
    void keep_all();
    void list_unsure(float threshold, const Budget& budget);

    FrameNetwork& network_;
    std::size_t frame_floats_;
    std::size_t classes_;
    int branches_;
    bool wants_features_;
    int count_ = 0;
    std::vector<FrameTask> tasks_;  // (slots,), as all that follows
    Buffer currents_;
    Buffer previouses_;
    Buffer features_;
    Buffer probabilities_;
    // Tasks that something is to be done for, and their rows one behind the other.
    std::vector<int> listed_;
    int listed_count_ = 0;
    std::vector<int> slots_;
    std::vector<std::int32_t> actions_;
    Buffer listed_currents_;
    Buffer listed_previouses_;
    Buffer listed_features_;
    Buffer listed_logits_;
};

}  // namespace adasgn::online
