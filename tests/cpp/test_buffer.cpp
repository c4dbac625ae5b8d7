#include <doctest/doctest.h>

#include <cstdint>
#include <utility>

#include "adasgn/buffer.h"

using adasgn::Buffer;

TEST_CASE("a buffer is aligned and zero") {
    for (const std::size_t floats : {0, 1, 15, 16, 17, 1000}) {
        const Buffer buffer(floats);
        CHECK(buffer.size() == floats);
        CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64 == 0);
        for (std::size_t i = 0; i < buffer.size(); ++i) {
            CHECK(buffer.data()[i] == 0.0F);
        }
        CHECK(buffer.intact());
    }
}

TEST_CASE("every float of the guard zones is looked at, also after a move") {
    for (const std::ptrdiff_t floats : {1, 16, 33}) {
        Buffer first(static_cast<std::size_t>(floats));
        const Buffer buffer(std::move(first));
        for (std::ptrdiff_t i = 0; i < static_cast<std::ptrdiff_t>(buffer.size()); ++i) {
            buffer.data()[i] = 7.0F;
        }
        CHECK(buffer.intact());
        const auto end = static_cast<std::ptrdiff_t>(buffer.size());
        for (std::ptrdiff_t i = 0; i < 16; ++i) {
            for (const std::ptrdiff_t place : {-1 - i, end + i}) {
                const float kept = buffer.data()[place];
                buffer.data()[place] = 0.0F;
                CHECK_FALSE(buffer.intact());
                buffer.data()[place] = kept;
            }
        }
        CHECK(buffer.intact());
    }
}
