#include "engines.h"

#include <pthread.h>

#include <map>
#include <utility>

#include "adasgn/sha256.h"
#include "checks.h"
#ifdef ADASGN_CUDA
#include "cuda/cuda_engine.h"
#endif

namespace adasgn::ops {

namespace {

class CpuEngine final : public DeviceEngine {
  public:
    CpuEngine(const Model& model, const EngineOptions& options) : engine_(model, options) {}

    c10::Device device() const override { return c10::kCPU; }
    const Description& description() const override { return engine_.description(); }
    const char* instruction_set() const override { return engine_.instruction_set(); }
    const char* precision() const override { return "f32"; }
    bool checks_values() const override { return true; }
    void check() override {}

    void run(const float* clips, int samples, int persons, const Result& result) override {
        engine_.run(clips, samples, persons, result);
    }
    void run_forced(const float* clips, const std::int32_t* actions, int samples, int persons,
                    const Result& result) override {
        engine_.run_forced(clips, actions, samples, persons, result);
    }
    void run_fuse(const float* clips, int samples, int persons, const Result& result) override {
        engine_.run_fuse(clips, samples, persons, result);
    }
    void policy_features(const float* frames, const float* previous, int count, float* features) override {
        engine_.policy_features(frames, previous, count, features);
    }
    void actions(const float* features, int clips, std::int32_t* actions, float* action_logits) override {
        engine_.actions(features, clips, actions, action_logits);
    }
    void branch_features(const float* frames, const float* previous, const std::int32_t* actions, int count,
                         const float* policy_features, float* features) override {
        engine_.branch_features(frames, previous, actions, count, policy_features, features);
    }
    void temporal_head(const float* features, int clips, float* logits) override {
        engine_.temporal_head(features, clips, logits);
    }

  private:
    Engine engine_;
};

struct Table {
    std::mutex mutex;
    std::map<std::int64_t, std::shared_ptr<DeviceEngine>> engines;
};

Table& table() {
    // Never destroyed: ops may run while the interpreter shuts down. A fork waits until no other thread is in the
    // table, as in the child that thread would never leave it.
    static auto* const kept = [] {
        pthread_atfork([] { table().mutex.lock(); }, [] { table().mutex.unlock(); }, [] { table().mutex.unlock(); });
        return new Table;
    }();
    return *kept;
}

// 62 bits of the SHA-256 of what an engine computes.
std::int64_t content_name(const Model& model, const std::string& options) {
    Sha256 digest;
    digest.update(options.data(), options.size() + 1);
    for (const auto& [name, tensor] : model.tensors) {
        digest.update(name.data(), name.size() + 1);
        digest.update(tensor.shape.data(), tensor.shape.size() * sizeof(tensor.shape[0]));
        digest.update(tensor.values.data(), tensor.values.size() * sizeof(float));
    }
    return static_cast<std::int64_t>(std::stoull(digest.hex().substr(0, 16), nullptr, 16) >> 2U);
}

std::shared_ptr<DeviceEngine> load_on_cpu(const Model& model, const LoadOptions& options) {
    if (options.precision && *options.precision != "f32") {
        throw Error(ErrorKind::engine, "precision: expected f32 on the CPU, found " + *options.precision);
    }
    const char* const instruction_set = options.instruction_set ? options.instruction_set->c_str() : nullptr;
    return std::make_shared<CpuEngine>(
        model, EngineOptions{option("max_batch", options.max_batch), option("threads", options.threads.value_or(1)),
                             instruction_set});
}

std::shared_ptr<DeviceEngine> load_on(c10::Device device, const Model& model, const LoadOptions& options) {
    if (device.is_cpu()) {
        return load_on_cpu(model, options);
    }
#ifdef ADASGN_CUDA
    if (device.is_cuda()) {
        return load_on_cuda(model, device, options);
    }
    throw Error(ErrorKind::engine, "device: expected cpu or cuda, found " + device.str());
#else
    throw Error(ErrorKind::engine, "device: expected cpu, the one that this build's torch ops have, found " +
                                       device.str() + "; `adasgn-edge doctor` says what is missing");
#endif
}

}  // namespace

int option(const char* what, std::int64_t value) {
    if (value != static_cast<int>(value)) {
        throw Error(ErrorKind::engine,
                    std::string(what) + ": expected a number of 32 bits, found " + std::to_string(value));
    }
    return static_cast<int>(value);
}

std::shared_ptr<DeviceEngine> find_engine(std::int64_t name) {
    Table& kept = table();
    const std::lock_guard<std::mutex> lock(kept.mutex);
    const auto found = kept.engines.find(name);
    TORCH_CHECK_VALUE(
        found != kept.engines.end(),
        "engine: expected the name of an engine that this process has loaded and not yet released, found ", name);
    return found->second;
}

EngineOwner::EngineOwner(const at::Tensor& content, const std::string& file, c10::Device device,
                         const LoadOptions& options) {
    const at::Tensor bytes = expect("content", content, c10::kCPU, at::kByte, {{"bytes"}});
    with_value_errors([&] {
        const Model model = parse_model(bytes.const_data_ptr(), static_cast<std::size_t>(bytes.numel()), file);
        engine_ = load_on(device, model, options);
        std::string how =
            engine_->device().str() + ' ' + engine_->precision() + ' ' + std::to_string(options.max_batch);
        if (const auto isa = instruction_set()) {
            how += ' ' + std::to_string(options.threads.value_or(1)) + ' ' + *isa;
        }
        name_ = content_name(model, how);
    });
    Table& kept = table();
    const std::lock_guard<std::mutex> lock(kept.mutex);
    while (!kept.engines.emplace(name_, engine_).second) {
        ++name_;  // the same model is loaded already
    }
}

EngineOwner::~EngineOwner() {
    Table& kept = table();
    const std::lock_guard<std::mutex> lock(kept.mutex);
    kept.engines.erase(name_);
}

}  // namespace adasgn::ops
