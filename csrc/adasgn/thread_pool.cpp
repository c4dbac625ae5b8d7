#include "adasgn/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "adasgn/error.h"

namespace adasgn {

struct ThreadPool::Shared {
    std::vector<std::thread> helpers;
    std::mutex mutex;
    std::condition_variable started;
    std::condition_variable finished;
    std::atomic<int> next{0};
    int count = 0;
    Call call = nullptr;
    const void* task = nullptr;
    unsigned round = 0;
    int busy = 0;
    bool stopping = false;

    // Ends with all helpers running, or throws with none.
    explicit Shared(int threads) {
        try {
            helpers.reserve(threads - 1);
            for (int worker = 1; worker < threads; ++worker) {
                helpers.emplace_back([this, worker] { help(worker); });
            }
        } catch (const std::system_error& error) {
            stop();
            throw Error(ErrorKind::engine, "threads: expected to start " + std::to_string(threads - 1) +
                                               " beside the caller's, found " + std::to_string(helpers.size()) +
                                               " to be all that could be had (" + error.code().message() +
                                               "); ask for fewer, or raise the limits on processes and memory");
        } catch (...) {
            stop();
            throw;
        }
    }

    ~Shared() { stop(); }

    void stop() {
        {
            const std::lock_guard<std::mutex> lock(mutex);
            stopping = true;
        }
        started.notify_all();
        for (std::thread& helper : helpers) {
            if (helper.joinable()) {
                helper.join();
            }
        }
    }

    void start(int items, Call function, const void* object) {
        {
            const std::lock_guard<std::mutex> lock(mutex);
            count = items;
            call = function;
            task = object;
            next.store(0, std::memory_order_relaxed);
            busy = static_cast<int>(helpers.size());
            ++round;
        }
        started.notify_all();
    }

    void work(int worker) {
        for (int item = next.fetch_add(1, std::memory_order_relaxed); item < count;
             item = next.fetch_add(1, std::memory_order_relaxed)) {
            call(task, worker, item);
        }
    }

    void finish() {
        std::unique_lock<std::mutex> lock(mutex);
        finished.wait(lock, [this] { return busy == 0; });
    }

    void help(int worker) {
        unsigned done = 0;
        while (true) {
            {
                std::unique_lock<std::mutex> lock(mutex);
                started.wait(lock, [this, done] { return stopping || round != done; });
                if (stopping) {
                    return;
                }
                done = round;
            }
            work(worker);
            {
                const std::lock_guard<std::mutex> lock(mutex);
                --busy;
            }
            finished.notify_one();
        }
    }
};

ThreadPool::ThreadPool(int threads)
    : threads_(threads), shared_(threads > 1 ? std::make_unique<Shared>(threads) : nullptr) {}

ThreadPool::~ThreadPool() {
    if (!process_.here()) {
        // Joining would wait for ever, or read a stack that is another's by now; even destroying a condition on which
        // a thread of the parent waits does. So these few bytes stay until the process ends.
        static_cast<void>(shared_.release());
    }
}

void ThreadPool::share_out(int count, Call call, const void* task) {
    shared_->start(count, call, task);
    shared_->work(0);
    shared_->finish();
}

}  // namespace adasgn
