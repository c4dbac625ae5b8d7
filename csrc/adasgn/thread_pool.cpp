#include "adasgn/thread_pool.h"

namespace adasgn {

ThreadPool::ThreadPool(int threads) {
    for (int worker = 1; worker < threads; ++worker) {
        helpers_.emplace_back([this, worker] { help(worker); });
    }
}

ThreadPool::~ThreadPool() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        stopping_ = true;
    }
    started_.notify_all();
    for (std::thread& helper : helpers_) {
        helper.join();
    }
}

void ThreadPool::start(int count, Call call, const void* task) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        count_ = count;
        call_ = call;
        task_ = task;
        next_.store(0, std::memory_order_relaxed);
        busy_ = static_cast<int>(helpers_.size());
        ++round_;
    }
    started_.notify_all();
}

void ThreadPool::work(int worker) {
    for (int item = next_.fetch_add(1, std::memory_order_relaxed); item < count_;
         item = next_.fetch_add(1, std::memory_order_relaxed)) {
        call_(task_, worker, item);
    }
}

void ThreadPool::finish() {
    std::unique_lock<std::mutex> lock(mutex_);
    finished_.wait(lock, [this] { return busy_ == 0; });
}

void ThreadPool::help(int worker) {
    unsigned done = 0;
    while (true) {
        {
            std::unique_lock<std::mutex> lock(mutex_);
            started_.wait(lock, [this, done] { return stopping_ || round_ != done; });
            if (stopping_) {
                return;
            }
            done = round_;
        }
        work(worker);
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            --busy_;
        }
        finished_.notify_one();
    }
}

}  // namespace adasgn
