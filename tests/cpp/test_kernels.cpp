// The exponential of every instruction set is only reachable through softmax; its accuracy is checked there. What is
// left to check alone: the finite test on every position of odd lengths, and the table itself.
#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <vector>

#include "adasgn/cpu/kernels.h"
#include "random_model.h"

using namespace adasgn;

TEST_CASE("the finite test sees every position") {
    for (const char* const* set = cpu::instruction_sets(); *set != nullptr; ++set) {
        const cpu::Kernels* const kernels = cpu::kernels_for(*set);
        REQUIRE(kernels != nullptr);
        CHECK(std::strcmp(kernels->name, *set) == 0);
        for (const std::size_t count : {0, 1, 2, 15, 16, 17, 33, 66}) {
            std::vector<float> values(count, std::numeric_limits<float>::max());
            CHECK(kernels->finite(values.data(), count));
            for (std::size_t i = 0; i < count; ++i) {
                for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                                        -std::numeric_limits<float>::infinity()}) {
                    values[i] = bad;
                    CHECK_FALSE(kernels->finite(values.data(), count));
                }
                values[i] = -1.0F;
            }
        }
    }
}

TEST_CASE("unknown instruction sets have no table; the first is the default") {
    CHECK(cpu::kernels_for("none of these") == nullptr);
    CHECK(cpu::kernels_for(nullptr) == cpu::kernels_for(cpu::instruction_sets()[0]));
}
