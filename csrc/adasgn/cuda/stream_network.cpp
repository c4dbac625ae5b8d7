#include "adasgn/cuda/stream_network.h"

#include <algorithm>
#include <limits>
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

// Buffers have a row for each slot. Each call ends when its results are on the host, so pinned memory is free by then.
struct DeviceStream {
    DeviceEngine branches;
    std::size_t slots;
    std::size_t frame_floats;
    std::size_t element;      // bytes
    std::size_t past_bytes;   // of a slot
    std::size_t wide_floats;  // of a slot
    OwnStream stream;
    DeviceMemory<float> coordinates;  // (2, slots, V, 3): of frames, then of those before them
    DeviceMemory<std::int32_t> taken;
    DeviceMemory<float> features;
    DeviceMemory<CausalTrack> tracks;
    DeviceMemory<unsigned char> past;  // (2 slots, …); slot i is saved as slots + i, as below
    DeviceMemory<float> widened;
    DeviceMemory<unsigned char> hidden;
    DeviceMemory<unsigned char> last;
    DeviceMemory<float> pooled;
    DeviceMemory<int> flags;
    MappedMemory<float> logits;
    PinnedMemory<float> host_coordinates;
    PinnedMemory<std::int32_t> host_taken;
    PinnedMemory<float> host_features;
    PinnedMemory<CausalTrack> host_tracks;
    std::vector<unsigned> frames;  // (2 slots,): number of the frame that is tried next
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
          coordinates(2 * slots * frame_floats),
          taken(slots),
          features(slots * kFeature),
          tracks(slots),
          past(2 * slots * past_bytes),
          widened(2 * slots * wide_floats),
          hidden(branches.pose_weights().inputs > 0 ? slots * kFeature * element : 0),
          last(slots * kFeature * element),
          pooled(slots * kTemporal),
          flags(flag_count()),
          logits(slots * model.description.classes),
          host_coordinates(2 * slots * frame_floats),
          host_taken(slots),
          host_features(slots * kFeature),
          host_tracks(slots),
          frames(2 * slots),
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
    template <class T>
    void upload(T* to, const T* from, std::size_t count) const {
        expect_ok(copy_to_device(to, from, count * sizeof(T), stream.get()), "copy to the device");
    }

    // Of features that are there.
    CausalParameters parameters(int count) const {
        CausalParameters p{};
        p.weights = branches.causal_weights();
        p.count = count;
        p.classes = description().classes;
        p.tracks = tracks.data();
        p.features = features.data();
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
        for (std::size_t i = 0; i < slots; ++i) {
            host_tracks.data()[i] = {static_cast<int>(i), 0};
        }
        upload(tracks.data(), host_tracks.data(), slots);
        clear(features.data(), slots * kFeature * sizeof(float));
        run(parameters(static_cast<int>(slots)));
        expect_ok(synchronise(stream.get()), "a step");
    }

    // Returns where the frames before them lie.
    const float* upload_frames(const float* current, const float* previous, int count) {
        const std::size_t floats = count * frame_floats;
        std::copy_n(current, floats, host_coordinates.data());
        std::copy_n(previous, floats, host_coordinates.data() + floats);
        upload(coordinates.data(), host_coordinates.data(), 2 * floats);
        return coordinates.data() + floats;
    }

    // Uploaded frames through their branches, to `features`.
    void enqueue_branches(const float* before, const std::int32_t* actions, int count) {
        if (branch_macs.size() > 1) {
            std::copy_n(actions, count, host_taken.data());
            upload(taken.data(), host_taken.data(), count);
            branches.branch_features(coordinates.data(), before, taken.data(), count, nullptr, features.data(),
                                     stream.get());
        } else {
            branches.policy_features(coordinates.data(), before, count, features.data(), stream.get());
        }
    }

    void upload_tracks(const int* of, int count) {
        for (int i = 0; i < count; ++i) {
            host_tracks.data()[i] = {of[i], frames[of[i]]};
        }
        upload(tracks.data(), host_tracks.data(), count);
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
        enqueue_branches(upload_frames(current, previous, count), actions, count);
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
        std::copy_n(given, floats, host_features.data());
        upload(features.data(), host_features.data(), floats);
        upload_tracks(of, count);
        run(parameters(count));
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
        const float* const before = upload_frames(current, previous, count);
        upload_tracks(of, count);
        CausalParameters p = parameters(count);
        if (branches.pose_weights().inputs > 0 &&
            std::all_of(actions, actions + count, [](int action) { return action == 0; })) {
            p.frames = branches.single_frames(coordinates.data(), before, count);
            p.pose = branches.pose_weights();
            p.hidden = hidden.data();
            p.features = features_to != nullptr ? features.data() : nullptr;
        } else {
            enqueue_branches(before, actions, count);
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
