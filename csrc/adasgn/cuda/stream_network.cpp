#include "adasgn/cuda/stream_network.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "adasgn/checks.h"
#include "adasgn/online/costs.h"

namespace adasgn::cuda {

namespace {

const Model& causal_model(const Model& model) {
    expect_causal(model.description, "stream network");
    return model;
}

// As many windows as have room for a frame of every slot.
EngineOptions branch_options(const Model& model, const StreamOptions& options) {
    expect_option("slots", options.slots, 1, kMaxBatch);
    const int frames = model.description.frames;
    return {(options.slots + frames - 1) / frames, options.precision, options.device};
}

// What a call needs on the device: arrays of 4-byte values, one behind the other, so that all go up in one copy.
class Input {
  public:
    explicit Input(std::size_t bytes) : here_(bytes), there_(bytes) {}

    // Returns where the array will lie; the first of a call is aligned to 256 bytes.
    template <class T>
    T* add(const T* from, std::size_t count) {
        T* const to = reinterpret_cast<T*>(there_.data() + used_);
        std::memcpy(here_.data() + used_, from, count * sizeof(T));
        used_ += count * sizeof(T);
        return to;
    }
    // What was added sets out; the next call begins anew.
    void send(Stream stream) {
        expect_ok(copy_to_device(there_.data(), here_.data(), std::exchange(used_, 0), stream), "copy to the device");
    }

  private:
    PinnedMemory<unsigned char> here_;
    DeviceMemory<unsigned char> there_;
    std::size_t used_ = 0;
};

// Buffers have a row for each slot. Each call ends when its results are on the host, so pinned memory is free by then.
struct DeviceStream {
    DeviceEngine branches;
    std::size_t slots;
    std::size_t frame_floats;
    std::size_t element;      // bytes
    std::size_t past_bytes;   // of a slot
    std::size_t wide_floats;  // of a slot
    OwnStream stream;
    Input input;
    DeviceMemory<float> features;
    DeviceMemory<unsigned char> past;  // (2 slots, …); slot i is saved as slots + i, as below
    DeviceMemory<float> widened;
    DeviceMemory<unsigned char> hidden;
    DeviceMemory<unsigned char> last;
    DeviceMemory<float> pooled;
    DeviceMemory<int> flags;
    MappedMemory<float> logits;
    PinnedMemory<float> host_features;
    std::vector<unsigned> frames;     // (2 slots,): number of the frame that is tried next
    std::vector<CausalTrack> newest;  // (slots,): what a call is about to send
    std::vector<std::int64_t> branch_macs;
    std::int64_t temporal_macs;

    // The device is the current one already.
    DeviceStream(const Model& model, const StreamOptions& options)
        : branches(causal_model(model), branch_options(model, options), DeviceEngine::Part::branches),
          slots(static_cast<std::size_t>(options.slots)),
          frame_floats(static_cast<std::size_t>(model.description.joints) * kCoordinates),
          element(options.precision == Precision::f32 ? 4 : 2),
          past_bytes(branches.causal_weights().past_rows * kFeature * element),
          wide_floats(branches.causal_weights().pool > 1
                          ? (branches.causal_weights().pool_mask + 1) * std::size_t{kTemporal}
                          : 0),
          input(slots * (sizeof(float) * std::max<std::size_t>(2 * frame_floats, kFeature) + sizeof(CausalTrack) +
                         sizeof(std::int32_t))),
          features(slots * kFeature),
          past(2 * slots * past_bytes),
          widened(2 * slots * wide_floats),
          hidden(branches.pose_weights().inputs > 0 ? slots * kFeature * element : 0),
          last(slots * kFeature * element),
          pooled(slots * kTemporal),
          flags(flag_count()),
          logits(slots * model.description.classes),
          host_features(slots * kFeature),
          frames(2 * slots),
          newest(slots),
          temporal_macs(online::temporal_step_macs(model.description)) {
        for (int branch = 0; branch < static_cast<int>(model.description.branches.size()); ++branch) {
            branch_macs.push_back(online::branch_macs(model.description, branch));
        }
        clear(past.data(), 2 * slots * past_bytes);
        clear(widened.data(), 2 * slots * wide_floats * sizeof(float));
        clear(flags.data(), flag_count() * sizeof(int));
        expect_ok(synchronise(stream.get()), "clearing memory");
        expect_room();
    }

    const Description& description() const { return branches.description(); }
    std::size_t flag_count() const { return (slots + kCausalRows - 1) / kCausalRows * kCausalBlocks; }

    void clear(void* memory, std::size_t bytes) const {
        if (bytes > 0) {
            expect_ok(zero(memory, bytes, stream.get()), "clearing memory");
        }
    }

    // Frames on the device, when the input has been sent; those before them; and the branches that they take.
    struct GivenFrames {
        const float* current;
        const float* previous;
        const std::int32_t* taken;
    };
    GivenFrames add_frames(const float* current, const float* previous, const std::int32_t* actions, int count) {
        const std::size_t floats = count * frame_floats;
        const float* const now = input.add(current, floats);
        const float* const before = input.add(previous, floats);
        return {now, before, input.add(actions, branch_macs.size() > 1 ? count : 0)};
    }
    // The newest frames of these slots.
    const CausalTrack* add_tracks(const int* of, int count) {
        std::transform(of, of + count, newest.begin(), [&](int slot) { return CausalTrack{slot, frames[slot]}; });
        return input.add(newest.data(), count);
    }

    // Of features that are there.
    CausalParameters parameters(const CausalTrack* tracks, int count, float* given) const {
        CausalParameters p{};
        p.weights = branches.causal_weights();
        p.count = count;
        p.classes = description().classes;
        p.tracks = tracks;
        p.features = given;
        p.past = past.data();
        p.widened = widened.data();
        p.last = last.data();
        p.pooled = pooled.data();
        p.flags = flags.data();
        p.logits = logits.device();
        return p;
    }

    void run(const CausalParameters& p) const {
        const Status status = causal(p, branches.options().precision, stream.get());
        if (status.code == kTooManyBlocks) {
            throw Error(ErrorKind::engine, "device: expected a GPU on which " + std::to_string(kCausalBlocks) +
                                               " blocks of the streaming kernel run at once, found " +
                                               branches.traits().name + " with " +
                                               std::to_string(branches.traits().multiprocessors) +
                                               " multiprocessors; the device cpu runs streams");
        }
        expect_ok(status, "a step");
    }

    // Rather now than at the first frame: every slot's, once, of zeros.
    void expect_room() {
        std::vector<int> all(slots);
        std::iota(all.begin(), all.end(), 0);
        const int count = static_cast<int>(slots);
        const CausalTrack* const tracks = add_tracks(all.data(), count);
        input.send(stream.get());
        clear(features.data(), slots * kFeature * sizeof(float));
        run(parameters(tracks, count, features.data()));
        expect_ok(synchronise(stream.get()), "a step");
    }

    // Frames that have been sent, through their branches, to `features`.
    void enqueue_branches(const GivenFrames& given, int count) {
        if (branch_macs.size() > 1) {
            branches.branch_features(given.current, given.previous, given.taken, count, nullptr, features.data(),
                                     stream.get());
        } else {
            branches.policy_features(given.current, given.previous, count, features.data(), stream.get());
        }
    }

    void enqueue_download(int count) const {
        expect_ok(copy_to_host(host_features.data(), features.data(),
                               static_cast<std::size_t>(count) * kFeature * sizeof(float), stream.get()),
                  "copy from the device");
    }

    void expect_frames(const float* current, const float* previous, int count) {
        const std::size_t floats = count * frame_floats;
        static_cast<void>(branches.fault(stream.get()));  // clears it
        for (const auto& [what, at] : {std::pair("frames", current), std::pair("previous frames", previous)}) {
            if (!all_within(kMaxCoordinate, at, floats)) {
                fail_beyond(what, kMaxCoordinate, at, floats);
            }
        }
    }

    bool finite_logits(int count) const {
        return all_within(std::numeric_limits<float>::max(), logits.host(),
                          static_cast<std::size_t>(count) * description().classes);
    }

    void take_logits(int count, float* to) const {
        std::copy_n(logits.host(), static_cast<std::size_t>(count) * description().classes, to);
    }

    void compute(const float* current, const float* previous, const std::int32_t* actions, int count, float* to) {
        const OnDevice device = branches.make_current();
        const GivenFrames given = add_frames(current, previous, actions, count);
        input.send(stream.get());
        enqueue_branches(given, count);
        enqueue_download(count);
        expect_ok(synchronise(stream.get()), "a step");
        const std::size_t values = static_cast<std::size_t>(count) * kFeature;
        if (!all_within(branches.max_feature(), host_features.data(), values)) {
            expect_frames(current, previous, count);
            fail_beyond("features", branches.max_feature(), host_features.data(), values);
        }
        std::copy_n(host_features.data(), values, to);
    }

    void attempt(const int* of, int count, const float* given, float* to) {
        const OnDevice device = branches.make_current();
        const std::size_t floats = static_cast<std::size_t>(count) * kFeature;
        if (!all_within(branches.max_feature(), given, floats)) {
            fail_beyond("features", branches.max_feature(), given, floats);
        }
        float* const there = input.add(given, floats);
        const CausalTrack* const tracks = add_tracks(of, count);
        input.send(stream.get());
        run(parameters(tracks, count, there));
        expect_ok(synchronise(stream.get()), "a step");
        if (!finite_logits(count)) {
            fail_logits();
        }
        take_logits(count, to);
    }

    // Both, and the host waits once; one kernel, where all frames take the pose branch.
    void step(const float* current, const float* previous, const std::int32_t* actions, const int* of, int count,
              float* features_to, float* to) {
        const OnDevice device = branches.make_current();
        const GivenFrames given = add_frames(current, previous, actions, count);
        const CausalTrack* const tracks = add_tracks(of, count);
        input.send(stream.get());
        CausalParameters p = parameters(tracks, count, features.data());
        if (branches.pose_weights().inputs > 0 &&
            std::all_of(actions, actions + count, [](int action) { return action == 0; })) {
            p.frames = branches.single_frames(given.current, given.previous, count);
            p.pose = branches.pose_weights();
            p.hidden = hidden.data();
            p.features = features_to != nullptr ? features.data() : nullptr;
        } else {
            enqueue_branches(given, count);
        }
        run(p);
        if (features_to != nullptr) {
            enqueue_download(count);
        }
        expect_ok(synchronise(stream.get()), "a step");
        if (!finite_logits(count)) {
            expect_frames(current, previous, count);
            fail_logits();
        }
        take_logits(count, to);
        if (features_to != nullptr) {
            std::copy_n(host_features.data(), static_cast<std::size_t>(count) * kFeature, features_to);
        }
    }

    void forget(int slot) {
        const OnDevice device = branches.make_current();
        frames[slot] = 0;
        clear(past.data() + slot * past_bytes, past_bytes);
        clear(widened.data() + slot * wide_floats, wide_floats * sizeof(float));
    }

    void copy(std::size_t from, std::size_t to) {
        const OnDevice device = branches.make_current();
        frames[to] = frames[from];
        const auto copy_row = [&](auto* memory, std::size_t row) {
            if (row > 0) {
                expect_ok(copy_on_device(memory + to * row, memory + from * row, row * sizeof *memory, stream.get()),
                          "copy on the device");
            }
        };
        copy_row(past.data(), past_bytes);
        copy_row(widened.data(), wide_floats);
    }
};

class StreamNetwork : public online::FrameNetwork {
  public:
    StreamNetwork(const Model& model, const StreamOptions& options) {
        if (options.device < 0 || options.device >= device_count()) {
            static_cast<void>(DeviceEngine(model, {1, options.precision, options.device}));  // says so
        }
        const OnDevice device(options.device);
        state_.reset(new DeviceStream(model, options));
    }

    void features(const float* current, const float* previous, const std::int32_t* branches, int count,
                  float* features) override {
        state_->compute(current, previous, branches, count, features);
    }
    void try_frames(const int* slots, int count, const float* features, float* logits) override {
        state_->attempt(slots, count, features, logits);
    }
    bool step(const float* current, const float* previous, const std::int32_t* branches, const int* slots, int count,
              float* features, float* logits) override {
        state_->step(current, previous, branches, slots, count, features, logits);
        return true;
    }
    // What was tried lies in places of its own already: with the next number of a frame it is past.
    void keep(const int* slots, int count) override {
        std::for_each(slots, slots + count, [&](int slot) { ++state_->frames[slot]; });
    }
    void reset(int slot) override { state_->forget(slot); }
    void save(int slot) override { state_->copy(slot, state_->slots + slot); }
    void restore(int slot) override { state_->copy(state_->slots + slot, slot); }
    std::int64_t spatial_macs(int branch) const override { return state_->branch_macs[branch]; }
    std::int64_t temporal_macs(int) const override { return state_->temporal_macs; }

  private:
    struct Release {  // in another process nothing is: it all belongs to the driver
        void operator()(DeviceStream* state) const {
            if (state->branches.here()) {
                delete state;
            }
        }
    };
    std::unique_ptr<DeviceStream, Release> state_;
};

}  // namespace

std::unique_ptr<online::FrameNetwork> stream_network(const Model& model, const StreamOptions& options) {
    return std::make_unique<StreamNetwork>(model, options);
}

}  // namespace adasgn::cuda
