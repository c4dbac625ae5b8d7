// Engines share nothing: several run at once in several threads, each with threads of its own.
#include <doctest/doctest.h>

#include <thread>
#include <vector>

#include "adasgn/engine.h"
#include "adasgn/thread_pool.h"
#include "checked_engine.h"
#include "random_model.h"

using namespace adasgn;
using namespace adasgn::testing;

TEST_CASE("several engines in several threads") {
    const Model model = random_model({22, {1, 11, 22}, {false, true}, 8, 14, true}, 1);
    std::mt19937 random(2);
    const std::vector<float> clips = random_floats(3 * 8 * 66, random);
    std::vector<float> expected(3 * 14);
    CheckedEngine(model, {3, 1, nullptr}).run(clips.data(), 3, 1, {expected.data()});
    std::vector<std::vector<float>> found(4, std::vector<float>(3 * 14));
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&, i] {
            CheckedEngine engine(model, {3, 1 + i % 3, nullptr});
            for (int repeat = 0; repeat < 3; ++repeat) {
                engine.run(clips.data(), 3, 1, {found[i].data()});
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    for (const auto& logits : found) {
        CHECK(logits == expected);
    }
}

TEST_CASE("a pool runs every item once, round after round") {
    for (const int threads : {1, 2, 5}) {
        ThreadPool pool(threads);
        CHECK(pool.threads() == threads);
        for (const int count : {0, 1, 2, 3, 100}) {
            std::vector<int> hits(count, 0);
            for (int round = 0; round < 20; ++round) {
                pool.run(count,
                         [&](int worker, int item) { hits[item] += worker >= 0 && worker < threads ? 1 : 1000; });
            }
            for (const int hit : hits) {
                CHECK(hit == 20);
            }
        }
    }
}
