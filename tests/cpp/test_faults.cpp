// A thread that cannot start and memory that cannot be had while an engine or a recogniser is made of a model, or a
// model of a file: the n-th of each, for every n. Each is a named error; nothing is left behind (AddressSanitizer
// looks), and nothing waits for ever (ctest's time limit).
#include <dirent.h>
#include <doctest/doctest.h>

#include <chrono>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "adasgn/engine.h"
#include "adasgn/recogniser.h"
#include "adasgn/thread_pool.h"
#include "checked_engine.h"
#include "faults.h"
#include "random_model.h"

using namespace adasgn;
using namespace adasgn::testing;

namespace {

const Shape kSmall{5, {1, 5}, {false}, 2, 3, true, true};
const Shape kCausal{4, {2}, {false}, 4, 3, false, true, true, 1, CausalShape{{1}, {1}, 2, 0}};

// The message of the engine error that a call ends with; none if it ends well.
template <class Call>
std::optional<std::string> engine_error(const Call& call) {
    try {
        call();
    } catch (const Error& error) {
        fail_nothing();
        CHECK(error.kind() == ErrorKind::engine);
        return error.what();
    }
    fail_nothing();
    return std::nullopt;
}

int running_threads() {
    int count = 0;
    DIR* const tasks = opendir("/proc/self/task");
    REQUIRE(tasks != nullptr);
    while (const dirent* const entry = readdir(tasks)) {
        count += entry->d_name[0] != '.' ? 1 : 0;
    }
    closedir(tasks);
    return count;
}

// A thread that was joined may stay in the list for a moment.
bool only_so_many_threads(int expected) {
    for (int wait = 0; wait < 200 && running_threads() != expected; ++wait) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return running_threads() == expected;
}

}  // namespace

TEST_CASE("a thread that cannot start: those that did have ended, and the error says how many") {
    std::thread([] {}).join();  // what a sanitizer starts beside the first thread is there from now on
    const Model model = random_model(kSmall, 1);
    const int before = running_threads();
    constexpr int kThreads = 5;
    for (int others = 0; others < kThreads - 1; ++others) {
        CAPTURE(others);
        const std::string counts =
            "expected to start 4 beside the caller's, found " + std::to_string(others) + " to be all";
        const auto pool = engine_error([&] {
            fail_thread_after(others);
            ThreadPool(static_cast<int>(kThreads));
        });
        CHECK(pool.value_or("none").find(counts) != std::string::npos);
        const auto engine = engine_error([&] {
            fail_thread_after(others);
            Engine(model, {2, kThreads, nullptr});
        });
        CHECK(engine.value_or("none").find(counts) != std::string::npos);
        CHECK(only_so_many_threads(before));
    }
    fail_thread_after(kThreads - 1);  // one more than are wanted
    CHECK(!engine_error([&] { Engine(model, {2, kThreads, nullptr}); }));
}

TEST_CASE("memory that cannot be had while an engine is made") {
    std::thread([] {}).join();
    const Model model = random_model(kSmall, 1);
    const int before = running_threads();
    long failed = 0;
    while (true) {
        const auto found = engine_error([&] {
            fail_allocation_after(failed);
            CheckedEngine(model, {2, 3, nullptr});
        });
        if (!found) {
            break;
        }
        CAPTURE(failed);
        CHECK(found->find("memory: expected enough for max_batch 2 and threads 3") != std::string::npos);
        ++failed;
    }
    CHECK(failed > 50);  // as many as a load takes
    CHECK(only_so_many_threads(before));
}

TEST_CASE("a recogniser whose threads cannot start, or whose memory cannot be had") {
    std::thread([] {}).join();
    const Model model = random_model(kCausal, 1);
    const int before = running_threads();
    RecogniserOptions options;
    options.max_tracks = 2;
    for (int others = 0; others < 2; ++others) {
        options.threads = 3;
        const auto found = engine_error([&] {
            fail_thread_after(others);
            Recogniser(model, options);
        });
        CHECK(found.value_or("none").find("threads: expected to start 2 beside the caller's") != std::string::npos);
        CHECK(only_so_many_threads(before));
    }
    for (const bool exact : {false, true}) {
        CAPTURE(exact);
        options.exact = exact;
        options.threads = exact ? 1 : 2;
        long failed = 0;
        while (true) {
            const auto found = engine_error([&] {
                fail_allocation_after(failed);
                Recogniser(model, options);
            });
            if (!found) {
                break;
            }
            CAPTURE(failed);
            CHECK(found->find("memory: expected enough for max_") != std::string::npos);
            ++failed;
        }
        CHECK(failed > 100);
        CHECK(only_so_many_threads(before));
    }
}

TEST_CASE("memory that cannot be had while a model file is read") {
    const std::vector<char> file = file_bytes(random_model(kCausal, 2));
    long failed = 0;
    for (bool read = false; !read; ++failed) {
        try {
            fail_allocation_after(failed);
            parse_model(file.data(), file.size());
            read = true;
        } catch (const std::bad_alloc&) {  // as the caller's own would
        }
        fail_nothing();
    }
    CHECK(failed > 100);
}
