// Calls that work without the GIL, one after another, in the process that made the object alone.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <mutex>
#include <string>
#include <thread>

#include "adasgn/error.h"
#include "adasgn/process.h"

namespace adasgn {

class OneCaller {
  public:
    explicit OneCaller(const char* what) : what_(what) {}

    // After fork this throws before it touches a lock that a thread of the parent may hold.
    template <class Call>
    void operator()(const Call& call) {
        process_.expect_here();
        const pybind11::gil_scoped_release released;
        const auto self = std::this_thread::get_id();
        if (caller_.load() == self) {  // within a run a signal's handler is called, which may call again
            throw Error(ErrorKind::engine, what_ + ": expected one call at a time, found one from a signal's handler");
        }
        const std::lock_guard<std::mutex> lock(mutex_);
        caller_ = self;
        struct Ending {
            std::atomic<std::thread::id>& caller;
            ~Ending() { caller = std::thread::id(); }
        } const ending{caller_};
        call();
    }

  private:
    std::string what_;
    OwnProcess process_;
    std::mutex mutex_;
    std::atomic<std::thread::id> caller_{};
};

}  // namespace adasgn
