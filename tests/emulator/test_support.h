// What the emulator's tests share: device memory tied to scope, numbers, running under every schedule.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "adasgn/cuda/runtime.h"
#include "emulator.h"
#include "kernels_for_tests.h"

namespace adasgn::cuda::tests {

inline void require(Status status) {
    const std::string text = status.text();
    INFO(text);
    REQUIRE(status.code == 0);
}

template <class T>
class DeviceArray {
  public:
    explicit DeviceArray(std::size_t count) : count_(count) {
        void* memory = nullptr;
        require(allocate(&memory, count * sizeof(T)));
        data_ = static_cast<T*>(memory);
    }
    explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
        require(copy_to_device(data_, values.data(), count_ * sizeof(T), nullptr));
        require(synchronise(nullptr));  // for use in any stream
    }
    DeviceArray(const DeviceArray&) = delete;
    ~DeviceArray() { release(data_); }

    T* data() const { return data_; }
    std::vector<T> values() const {
        std::vector<T> values(count_);
        require(copy_to_host(values.data(), data_, count_ * sizeof(T), nullptr));
        return values;
    }

  private:
    std::size_t count_;
    T* data_ = nullptr;
};

inline std::vector<float> numbers(std::size_t count, float scale = 1.0f) {
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i)
        values[i] = scale * (static_cast<float>((i * 7919 + 13) % 101) / 50.5f - 1.0f);
    return values;
}

// Runs the test under each schedule; nothing may be found unless it says so.
template <class Test>
void under_each_schedule(Test test) {
    for (const emulator::Schedule& schedule : emulator::schedules()) {
        CAPTURE(static_cast<int>(schedule.order));
        CAPTURE(schedule.seed);
        emulator::set_schedule(schedule);
        emulator::clear_findings();
        test();
        CHECK(emulator::findings().empty());
        CHECK(emulator::check_guards().empty());
    }
    emulator::set_schedule({});
}

}  // namespace adasgn::cuda::tests
