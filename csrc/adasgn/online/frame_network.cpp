#include "adasgn/online/frame_network.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "adasgn/buffer.h"
#include "adasgn/constants.h"
#include "adasgn/online/costs.h"

namespace adasgn::online {

namespace {

// Branches on an engine, in batches that fit it.
class OnEngine : public FrameNetwork {
  public:
    OnEngine(const Model& model, std::shared_ptr<Inference> engine)
        : description_(model.description), engine_(std::move(engine)) {
        for (int branch = 0; branch < static_cast<int>(description_.branches.size()); ++branch) {
            branch_macs_.push_back(branch_macs(description_, branch));
        }
    }

    void features(const float* current, const float* previous, const std::int32_t* branches, int count,
                  float* features) override {
        const int most = engine_->max_batch() * description_.frames;
        const std::size_t floats = static_cast<std::size_t>(description_.joints) * kCoordinates;
        for (int first = 0; first < count; first += most) {
            engine_->branch_features(current + first * floats, previous + first * floats, branches + first,
                                     std::min(most, count - first), nullptr,
                                     features + static_cast<std::size_t>(first) * kFeature);
        }
    }

    std::int64_t spatial_macs(int branch) const override { return branch_macs_[branch]; }

  protected:
    const Description& description() const { return description_; }
    Inference& engine() { return *engine_; }

  private:
    Description description_;
    std::shared_ptr<Inference> engine_;
    std::vector<std::int64_t> branch_macs_;
};

class Continual : public OnEngine {
  public:
    // Slot i is saved as track slots + i.
    Continual(const Model& model, std::shared_ptr<Inference> engine, int slots, const char* instruction_set,
              WeightType weights)
        : OnEngine(model, std::move(engine)),
          slots_(slots),
          stream_(model, 2 * slots, instruction_set, weights),
          macs_(temporal_step_macs(model.description)) {}

    void try_frames(const int* slots, int count, const float* features, float* logits) override {
        stream_.try_frame(slots, count, features, logits);
    }

    void keep(const int* slots, int count) override { stream_.keep(slots, count); }
    void reset(int slot) override { stream_.reset(slot); }
    void save(int slot) override { stream_.copy(slot, slots_ + slot); }
    void restore(int slot) override { stream_.copy(slots_ + slot, slot); }
    std::int64_t temporal_macs(int) const override { return macs_; }

  private:
    int slots_;
    TemporalStream stream_;
    std::int64_t macs_;
};

class Exact : public OnEngine {
  public:
    Exact(const Model& model, std::shared_ptr<Inference> engine, int slots)
        : OnEngine(model, std::move(engine)),
          frames_(model.description.frames),
          slots_(slots),
          pasts_(2 * static_cast<std::size_t>(slots)),
          rows_(pasts_.size() * frames_ * kFeature),
          batch_(std::min(slots, this->engine().max_batch())),
          windows_(static_cast<std::size_t>(batch_) * frames_ * kFeature),
          logits_(static_cast<std::size_t>(batch_) * model.description.classes),
          places_(batch_),
          macs_(temporal_window_macs(model.description)) {}

    void try_frames(const int* slots, int count, const float* features, float* logits) override {
        int waiting = 0;
        for (int i = 0; i < count; ++i) {
            Past& past = pasts_[slots[i]];
            std::copy_n(features + static_cast<std::size_t>(i) * kFeature, kFeature, row(slots[i], past.next));
            if (past.kept < frames_ - 1) {
                continue;  // no window yet: nothing that logits could mean
            }
            float* to = windows_.data() + static_cast<std::size_t>(waiting) * frames_ * kFeature;
            for (int t = 1; t <= frames_; ++t, to += kFeature) {
                std::copy_n(row(slots[i], (past.next + t) % frames_), kFeature, to);
            }
            places_[waiting++] = i;
            if (waiting == batch_) {
                run(waiting, logits);
                waiting = 0;
            }
        }
        run(waiting, logits);
    }

    void keep(const int* slots, int count) override {
        for (int i = 0; i < count; ++i) {
            Past& past = pasts_[slots[i]];
            past.next = (past.next + 1) % frames_;
            past.kept = std::min(past.kept + 1, frames_);
        }
    }

    void reset(int slot) override { pasts_[slot] = {}; }
    void save(int slot) override { copy(slot, slots_ + slot); }
    void restore(int slot) override { copy(slots_ + slot, slot); }
    std::int64_t temporal_macs(int slot) const override { return pasts_[slot].kept < frames_ - 1 ? 0 : macs_; }

  private:
    struct Past {
        int next = 0;  // row of the ring that the newest frame is tried in, the oldest one's
        int kept = 0;
    };

    float* row(int slot, int t) { return rows_.data() + (static_cast<std::size_t>(slot) * frames_ + t) * kFeature; }

    void copy(int from, int to) {
        pasts_[to] = pasts_[from];
        std::copy_n(row(from, 0), static_cast<std::size_t>(frames_) * kFeature, row(to, 0));
    }

    void run(int count, float* logits) {
        const auto classes = static_cast<std::size_t>(description().classes);
        engine().temporal_head(windows_.data(), count, logits_.data());
        for (int i = 0; i < count; ++i) {
            std::copy_n(logits_.data() + i * classes, classes, logits + places_[i] * classes);
        }
    }

    int frames_;  // T
    int slots_;
    std::vector<Past> pasts_;  // of the slots, then of the saved ones
    Buffer rows_;              // (2 slots, T, 256)
    int batch_;
    Buffer windows_;           // (batch, T, 256)
    Buffer logits_;            // (batch, K)
    std::vector<int> places_;  // (batch,): where a window's logits go
    std::int64_t macs_;
};

}  // namespace

std::unique_ptr<FrameNetwork> continual_network(const Model& model, std::shared_ptr<Inference> engine, int slots,
                                                const char* instruction_set, WeightType weights) {
    return std::make_unique<Continual>(model, std::move(engine), slots, instruction_set, weights);
}

std::unique_ptr<FrameNetwork> exact_network(const Model& model, std::shared_ptr<Inference> engine, int slots) {
    return std::make_unique<Exact>(model, std::move(engine), slots);
}

}  // namespace adasgn::online
