#include "engines.h"

#include <pthread.h>

#include <map>
#include <utility>

#include "adasgn/checks.h"
#include "adasgn/engine.h"
#include "adasgn/sha256.h"
#include "checks.h"
#ifdef ADASGN_CUDA
#include "cuda/cuda_engine.h"
#endif

namespace adasgn::ops {

namespace {

struct Table {
    std::mutex mutex;
    std::map<std::int64_t, std::shared_ptr<LoadedModel>> models;
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

std::shared_ptr<LoadedModel> load_on_cpu(const Model& model, const LoadOptions& options) {
    if (options.precision && *options.precision != "f32") {
        throw Error(ErrorKind::engine, "precision: expected f32 on the CPU, found " + *options.precision);
    }
    const char* const instruction_set = options.instruction_set ? options.instruction_set->c_str() : nullptr;
    auto engine =
        std::make_unique<Engine>(model, EngineOptions{option("max_batch", options.max_batch),
                                                      option("threads", options.threads.value_or(1)), instruction_set});
    const char* const used = engine->instruction_set();
    return std::make_shared<LoadedModel>(std::move(engine), c10::kCPU, "f32", used);
}

std::shared_ptr<LoadedModel> load_on(c10::Device device, const Model& model, const LoadOptions& options) {
    expect_not_causal(model.description, "for the torch ops");
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

std::shared_ptr<LoadedModel> find_engine(std::int64_t name) {
    Table& kept = table();
    const std::lock_guard<std::mutex> lock(kept.mutex);
    const auto found = kept.models.find(name);
    TORCH_CHECK_VALUE(
        found != kept.models.end(),
        "engine: expected the name of an engine that this process has loaded and not yet released, found ", name);
    return found->second;
}

EngineOwner::EngineOwner(const at::Tensor& content, const std::string& file, c10::Device device,
                         const LoadOptions& options) {
    const at::Tensor bytes = expect("content", content, c10::kCPU, at::kByte, {{"bytes"}});
    with_value_errors([&] {
        const Model model = parse_model(bytes.const_data_ptr(), static_cast<std::size_t>(bytes.numel()), file);
        model_ = load_on(device, model, options);
        std::string how = model_->device().str() + ' ' + model_->precision() + ' ' + std::to_string(options.max_batch);
        if (const auto isa = instruction_set()) {
            how += ' ' + std::to_string(options.threads.value_or(1)) + ' ' + *isa;
        }
        name_ = content_name(model, how);
    });
    Table& kept = table();
    const std::lock_guard<std::mutex> lock(kept.mutex);
    while (!kept.models.emplace(name_, model_).second) {
        ++name_;  // the same model is loaded already
    }
}

EngineOwner::~EngineOwner() {
    Table& kept = table();
    const std::lock_guard<std::mutex> lock(kept.mutex);
    kept.models.erase(name_);
}

}  // namespace adasgn::ops
