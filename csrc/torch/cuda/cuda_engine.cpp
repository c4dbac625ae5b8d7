#include "cuda_engine.h"

#include <memory>
#include <string>
#include <utility>

#include "adasgn/cuda/device_engine.h"
#include "streams.h"

namespace adasgn::ops {

namespace {

// Arrays lie on the device, and every call only launches kernels on torch's current stream: nothing waits.
class OnCurrentStream final : public Inference {
  public:
    OnCurrentStream(const Model& model, const cuda::EngineOptions& options)
        : engine_(model, options), order_(options.device) {}

    const Description& description() const override { return engine_.description(); }
    int max_batch() const override { return engine_.options().max_batch; }

    void run(const float* clips, int samples, int persons, const Result& result, float threshold) override {
        const CallOrder::Call call(order_);
        engine_.run(clips, nullptr, samples, persons, of_device(result), call.stream(), {threshold});
    }
    void run_forced(const float* clips, const std::int32_t* actions, int samples, int persons,
                    const Result& result) override {
        const CallOrder::Call call(order_);
        engine_.run(clips, actions, samples, persons, of_device(result), call.stream());
    }
    void run_fuse(const float* clips, int samples, int persons, const Result& result) override {
        const CallOrder::Call call(order_);
        engine_.run_fuse(clips, samples, persons, result.logits, call.stream());
    }
    void policy_features(const float* frames, const float* previous, int count, float* features) override {
        const CallOrder::Call call(order_);
        engine_.policy_features(frames, previous, count, features, call.stream());
    }
    void actions(const float* features, int clips, std::int32_t* actions, float* action_logits) override {
        const CallOrder::Call call(order_);
        engine_.actions(features, clips, actions, action_logits, call.stream());
    }
    void branch_features(const float* frames, const float* previous, const std::int32_t* actions, int count,
                         const float* policy_features, float* features) override {
        const CallOrder::Call call(order_);
        engine_.branch_features(frames, previous, actions, count, policy_features, features, call.stream());
    }
    void temporal_head(const float* features, int clips, float* logits) override {
        const CallOrder::Call call(order_);
        engine_.temporal_head(features, clips, logits, call.stream());
    }

    // Waits; throws for values that did not fit since the last check.
    void check() {
        const CallOrder::Call call(order_);
        const cuda::Fault fault = engine_.fault(call.stream());
        // A frame is spoilt by the frame before it, too, through its velocity.
        if (fault.not_finite >= 0) {
            fail("finite coordinates of at most 10000, found another", fault.not_finite, " or in the frame before it");
        }
        if (fault.bad_action >= 0) {
            fail("branch numbers 0 to " + std::to_string(description().branches.size() - 1) + ", found another",
                 fault.bad_action, "");
        }
    }

  private:
    static cuda::DeviceResult of_device(const Result& result) {
        return {result.logits, result.actions, result.features};
    }

    [[noreturn]] static void fail(const std::string& expected_found, int frame, const char* or_where) {
        throw Error(ErrorKind::clip, "a call since the last check: expected " + expected_found + " in frame " +
                                         std::to_string(frame) + or_where + " (counted through all clips of the call)");
    }

    cuda::DeviceEngine engine_;
    CallOrder order_;
};

cuda::Precision precision_of(const std::optional<std::string>& name) {
    if (!name || *name == "f16") {
        return cuda::Precision::f16;
    }
    if (*name != "f32") {
        throw Error(ErrorKind::engine, "precision: expected one of f32, f16, found '" + *name + "'");
    }
    return cuda::Precision::f32;
}

}  // namespace

std::shared_ptr<LoadedModel> load_on_cuda(const Model& model, c10::Device device, const LoadOptions& options) {
    if (options.threads) {
        throw Error(ErrorKind::engine, "threads: expected none on a GPU, found " + std::to_string(*options.threads));
    }
    if (options.instruction_set) {
        throw Error(ErrorKind::engine, "instruction_set: expected none on a GPU, found " + *options.instruction_set);
    }
    const cuda::EngineOptions chosen{option("max_batch", options.max_batch), precision_of(options.precision),
                                     indexed(device).index()};
    auto engine = std::make_unique<OnCurrentStream>(model, chosen);
    OnCurrentStream* const checked = engine.get();
    const char* const precision = chosen.precision == cuda::Precision::f16 ? "f16" : "f32";
    auto loaded = std::make_unique<LoadedModel>(std::move(engine), tensors_of(chosen.device), precision, nullptr,
                                                [checked] { checked->check(); });
    // After fork the child leaves it alone: the driver is not to be called there.
    return {loaded.release(), [process = OwnProcess()](const LoadedModel* unused) {
                if (process.here()) {
                    delete unused;
                }
            }};
}

}  // namespace adasgn::ops
