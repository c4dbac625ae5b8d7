// A fixed number of threads that share out numbered items. The caller is one of them; one thread means no pool.
#pragma once

#include <memory>

#include "adasgn/process.h"

namespace adasgn {

class ThreadPool {
  public:
    // Throws Error (engine) if not all threads can be started; those that were have ended then.
    explicit ThreadPool(int threads);
    // In another process (after fork) it leaves alone what belongs to threads that are not there.
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int threads() const { return threads_; }

    // Calls task(worker, item) for items 0 … count - 1, workers 0 … threads() - 1; returns when all are done.
    // The task must not throw. Allocates nothing. Only in the process that made the pool.
    template <class Task>
    void run(int count, const Task& task) {
        if (threads_ == 1 || count <= 1) {
            for (int item = 0; item < count; ++item) {
                task(0, item);
            }
            return;
        }
        share_out(
            count, [](const void* object, int worker, int item) { (*static_cast<const Task*>(object))(worker, item); },
            &task);
    }

  private:
    using Call = void (*)(const void*, int worker, int item);
    struct Shared;

    void share_out(int count, Call call, const void* task);

    int threads_;
    OwnProcess process_;
    std::unique_ptr<Shared> shared_;  // none with one thread
};

}  // namespace adasgn
