#include "adasgn/process.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "adasgn/error.h"

namespace adasgn {

namespace {

// Forks between the first process and this one: a number of a process can come again, after some time or in another
// namespace. A child that is made without fork's handlers (by a plain clone) has a number of its own all the same.
std::atomic<unsigned> forks{0};

void count_forks() {
    static const int registered = pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1); });
    static_cast<void>(registered);  // without memory for it, the number remains
}

}  // namespace

OwnProcess::OwnProcess() : id_(getpid()) {
    count_forks();
    forks_ = forks.load(std::memory_order_relaxed);
}

bool OwnProcess::here() const noexcept {
    return forks.load(std::memory_order_relaxed) == forks_ && getpid() == id_;
}

void OwnProcess::expect_here() const {
    if (!here()) {
        throw Error(ErrorKind::engine,
                    "engine: expected a call from the process that loaded it, " + std::to_string(id_) +
                        ", found one from process " + std::to_string(getpid()) +
                        ", which was forked from it; load the model file in this process, after the fork (with "
                        "multiprocessing: in each worker)");
    }
}

}  // namespace adasgn
