// Models loaded for the ops, found by name.
//
// An op names its engine by a whole number, the one thing that passes unchanged through FakeTensors, torch.compile's
// graphs and any device's dispatch key. The number is made from what the engine computes (tensors, device, options),
// not counted up: compiled code is cached on disk under its constants, and a counted number could mean another model,
// with other shapes, in the next process. Engines of equal content get numbers of their own.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/DeviceGuard.h>
#include <c10/util/Exception.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "adasgn/inference.h"
#include "adasgn/process.h"

namespace adasgn::ops {

// Calls work(); what the engine throws, and memory that cannot be had, becomes ValueError in Python.
template <class Work>
void with_value_errors(const Work& work) {
    try {
        work();
    } catch (const Error& error) {
        TORCH_CHECK_VALUE(false, error.what());
    } catch (const std::bad_alloc&) {
        TORCH_CHECK_VALUE(false, "memory: expected enough for the engine, found too little");
    }
}

// An engine and where it is. Its arrays lie on that device; one for CUDA puts its work on the device's current stream
// and does not wait for it.
class LoadedModel {
  public:
    // check: for an engine that does not refuse values (checks_values), throws Error for what was found since it was
    // last called, after waiting.
    LoadedModel(std::unique_ptr<Inference> engine, c10::Device device, const char* precision,
                const char* instruction_set, std::function<void()> check = nullptr)
        : engine_(std::move(engine)),
          device_(device),
          precision_(precision),
          instruction_set_(instruction_set),
          check_(std::move(check)) {}

    c10::Device device() const { return device_; }
    const Description& description() const { return engine_->description(); }
    const char* precision() const { return precision_; }              // "f32" or "f16"
    const char* instruction_set() const { return instruction_set_; }  // of the CPU, else null

    // Whether the engine's calls refuse coordinates that are not finite and actions that are no branch. Where that
    // would make the host wait they do not: such coordinates give NaN, and the ops make NaN of such actions.
    bool checks_values() const { return check_ == nullptr; }
    void check() const {
        if (check_ != nullptr) {
            check_();
        }
    }

    // Calls work(the engine) with its device as the current one. An engine has one set of buffers: callers of other
    // threads wait for each other. Errors of the engine become ValueError in Python, as does a call after fork, before
    // it touches a lock that a thread of the parent may hold, or the device.
    template <class Work>
    void alone(const Work& work) {
        with_value_errors([&] {
            process_.expect_here();
            const c10::DeviceGuard guard(device());
            const std::lock_guard<std::mutex> lock(mutex_);
            work(*engine_);
        });
    }

  private:
    std::unique_ptr<Inference> engine_;
    c10::Device device_;
    const char* precision_;
    const char* instruction_set_;
    std::function<void()> check_;
    OwnProcess process_;
    std::mutex mutex_;
};

// The model of a name; ValueError, naming the argument `engine`, where none of it is loaded.
std::shared_ptr<LoadedModel> find_engine(std::int64_t name);

// How to load a model. Left out: what the device has by default; threads and instruction_set are of the CPU alone.
struct LoadOptions {
    std::int64_t max_batch;
    std::optional<std::int64_t> threads;
    std::optional<std::string> instruction_set;
    std::optional<std::string> precision;
};

// An option as the engines take it; Error if it has more than 32 bits.
int option(const char* what, std::int64_t value);

// Loads the content of a model file (bytes,) uint8 and keeps it under its name as long as this object lives.
class EngineOwner {
  public:
    // file: what error messages call it.
    EngineOwner(const at::Tensor& content, const std::string& file, c10::Device device, const LoadOptions& options);
    ~EngineOwner();
    EngineOwner(const EngineOwner&) = delete;
    EngineOwner& operator=(const EngineOwner&) = delete;

    std::int64_t name() const { return name_; }
    c10::Device device() const { return model_->device(); }
    std::string precision() const { return model_->precision(); }
    std::optional<std::string> instruction_set() const {
        const char* const name = model_->instruction_set();
        return name == nullptr ? std::nullopt : std::make_optional<std::string>(name);
    }
    // Waits for the device; ValueError if calls since the last check met values that do not fit.
    void check() {
        model_->alone([&](Inference& /*engine*/) { model_->check(); });
    }

  private:
    std::shared_ptr<LoadedModel> model_;
    std::int64_t name_;
};

}  // namespace adasgn::ops
