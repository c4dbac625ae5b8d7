// Engines as the ops see them: one interface for every device, found by name.
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
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>

#include "adasgn/engine.h"
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

// The stages of adasgn/engine.h on any device: pointers lie on device(), an implementation for CUDA puts its work on
// the device's current stream and does not wait for it. Throws adasgn::Error.
class DeviceEngine {
  public:
    virtual ~DeviceEngine() = default;

    virtual c10::Device device() const = 0;
    virtual const Description& description() const = 0;
    virtual const char* instruction_set() const { return nullptr; }  // of the CPU
    virtual const char* precision() const = 0;                       // "f32" or "f16"

    // Whether the calls below refuse coordinates that are not finite and actions that are no branch. Where that would
    // make the host wait they do not: such coordinates give NaN, the ops make NaN of such actions, and check() waits
    // and throws for what was found since it was last called.
    virtual bool checks_values() const = 0;
    virtual void check() = 0;

    virtual void run(const float* clips, int samples, int persons, const Result& result) = 0;
    virtual void run_forced(const float* clips, const std::int32_t* actions, int samples, int persons,
                            const Result& result) = 0;
    virtual void run_fuse(const float* clips, int samples, int persons, const Result& result) = 0;
    virtual void policy_features(const float* frames, const float* previous, int count, float* features) = 0;
    virtual void actions(const float* features, int clips, std::int32_t* actions, float* action_logits) = 0;
    virtual void branch_features(const float* frames, const float* previous, const std::int32_t* actions, int count,
                                 const float* policy_features, float* features) = 0;
    virtual void temporal_head(const float* features, int clips, float* logits) = 0;

    // Calls work(*this) with the engine's device as the current one. An engine has one set of buffers: callers of other
    // threads wait for each other. Errors of the engine become ValueError in Python, as does a call after fork, before
    // it touches a lock that a thread of the parent may hold, or the device.
    template <class Work>
    void alone(const Work& work) {
        with_value_errors([&] {
            process_.expect_here();
            const c10::DeviceGuard guard(device());
            const std::lock_guard<std::mutex> lock(mutex_);
            work(*this);
        });
    }

  private:
    OwnProcess process_;
    std::mutex mutex_;
};

// The engine of a name; ValueError, naming the argument `engine`, where none of it is loaded.
std::shared_ptr<DeviceEngine> find_engine(std::int64_t name);

// How to load a model. Left out: what the device has by default; threads and instruction_set are of the CPU alone.
struct LoadOptions {
    std::int64_t max_batch;
    std::optional<std::int64_t> threads;
    std::optional<std::string> instruction_set;
    std::optional<std::string> precision;
};

// An option as the engines take it; Error if it has more than 32 bits.
int option(const char* what, std::int64_t value);

// Loads the content of a model file (bytes,) uint8 and keeps the engine under its name as long as this object lives.
class EngineOwner {
  public:
    // file: what error messages call it.
    EngineOwner(const at::Tensor& content, const std::string& file, c10::Device device, const LoadOptions& options);
    ~EngineOwner();
    EngineOwner(const EngineOwner&) = delete;
    EngineOwner& operator=(const EngineOwner&) = delete;

    std::int64_t name() const { return name_; }
    c10::Device device() const { return engine_->device(); }
    std::string precision() const { return engine_->precision(); }
    std::optional<std::string> instruction_set() const {
        const char* const name = engine_->instruction_set();
        return name == nullptr ? std::nullopt : std::make_optional<std::string>(name);
    }
    // Waits for the device; ValueError if calls since the last check met values that do not fit.
    void check() {
        engine_->alone([](DeviceEngine& engine) { engine.check(); });
    }

  private:
    std::shared_ptr<DeviceEngine> engine_;
    std::int64_t name_;
};

}  // namespace adasgn::ops
