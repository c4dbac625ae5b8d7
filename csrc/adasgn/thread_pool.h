// A fixed number of threads that share out numbered items. The caller is one of them; one thread means no pool.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace adasgn {

class ThreadPool {
  public:
    explicit ThreadPool(int threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int threads() const { return static_cast<int>(helpers_.size()) + 1; }

    // Calls task(worker, item) for items 0 … count - 1, workers 0 … threads() - 1; returns when all are done.
    // The task must not throw. Allocates nothing.
    template <class Task>
    void run(int count, const Task& task) {
        if (helpers_.empty() || count <= 1) {
            for (int item = 0; item < count; ++item) {
                task(0, item);
            }
            return;
        }
        start(
            count, [](const void* object, int worker, int item) { (*static_cast<const Task*>(object))(worker, item); },
            &task);
        work(0);
        finish();
    }

  private:
    using Call = void (*)(const void*, int worker, int item);

    void start(int count, Call call, const void* task);
    void work(int worker);
    void finish();
    void help(int worker);

    std::vector<std::thread> helpers_;
    std::mutex mutex_;
    std::condition_variable started_;
    std::condition_variable finished_;
    std::atomic<int> next_{0};
    int count_ = 0;
    Call call_ = nullptr;
    const void* task_ = nullptr;
    unsigned round_ = 0;
    int busy_ = 0;
    bool stopping_ = false;
};

}  // namespace adasgn
