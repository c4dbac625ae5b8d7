#include <doctest/doctest.h>

#include <random>
#include <vector>

#include "adasgn/router.h"

using namespace adasgn;

namespace {

// Checks that each frame is in exactly one group of its branch and that groups keep to their size.
void check_routing(const std::vector<std::int32_t>& actions, const std::vector<int>& sizes, int spread, int skip) {
    const int count = static_cast<int>(actions.size());
    std::vector<float> features(count);
    std::vector<cpu::Frame> frames;
    for (int i = 0; i < count; ++i) {
        frames.push_back({nullptr, nullptr, features.data() + i});
    }
    Router router(count, sizes, spread);
    for (int repeat = 0; repeat < 2; ++repeat) {
        router.route(frames.data(), actions.data(), count, 0, skip);
        std::vector<int> seen(count, 0);
        for (const Router::Group& group : router.groups()) {
            CHECK(group.branch != skip);
            CHECK(group.count >= 1);
            CHECK(group.count <= sizes[group.branch]);
            for (int i = group.first; i < group.first + group.count; ++i) {
                const auto frame = static_cast<int>(router.frames()[i].feature - features.data());
                CHECK(actions[frame] == group.branch);
                ++seen[frame];
            }
        }
        for (int i = 0; i < count; ++i) {
            CHECK(seen[i] == (actions[i] == skip ? 0 : 1));
        }
    }
}

}  // namespace

TEST_CASE("every frame lands in one group of its branch") {
    const std::vector<int> sizes{64, 64, 5, 5, 2, 1};
    std::mt19937 random(1);
    for (const int count : {1, 2, 19, 20, 61, 500}) {
        std::uniform_int_distribution<std::int32_t> any(0, 5);
        std::vector<std::int32_t> actions(count);
        for (auto& action : actions) {
            action = any(random);
        }
        for (const int spread : {1, 2, 7}) {
            check_routing(actions, sizes, spread, -1);
            check_routing(actions, sizes, spread, 0);
            check_routing(std::vector<std::int32_t>(count, 3), sizes, spread, -1);
            check_routing(std::vector<std::int32_t>(count, 0), sizes, spread, 0);
        }
    }
    check_routing({}, sizes, 1, -1);
}

TEST_CASE("without actions all frames take one branch") {
    Router router(9, {4, 4}, 1);
    const std::vector<cpu::Frame> frames(9, cpu::Frame{nullptr, nullptr, nullptr});
    router.route(frames.data(), nullptr, 9, 1);
    REQUIRE(router.groups().size() == 3);
    for (const Router::Group& group : router.groups()) {
        CHECK(group.branch == 1);
        CHECK(group.count == 3);
    }
}
