// The parts of the kernels that can be looked at alone: the exponential, the finite test, the table. (Products are
// tested through the engine, with shapes that make every tile height.)
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#define ADASGN_ISA this_test
#include "adasgn/cpu/kernels.h"
#include "adasgn/cpu/simd.h"

using namespace adasgn;

TEST_CASE("the exponential is within 2 units in the last place") {
    using namespace cpu::this_test;
    double worst = 0;
    for (float x = 0.0F; x > -87.3F; x -= 0.00037F) {
        float results[kLanes];
        store(exp_nonpositive(Vec(x)), results);
        const double expected = std::exp(static_cast<double>(x));
        const double unit = std::ldexp(1.0, std::ilogb(static_cast<float>(expected)) - 23);
        worst = std::max(worst, std::fabs(results[kLanes - 1] - expected) / unit);
    }
    CHECK(worst < 2);
    float results[kLanes];
    for (const float x : {-87.7F, -88.0F, -1000.0F, -1e30F}) {
        store(exp_nonpositive(Vec(x)), results);
        CHECK(results[0] == 0.0F);
    }
    for (float x = -87.3F; x > -87.7F; x -= 0.01F) {
        store(exp_nonpositive(Vec(x)), results);
        CHECK(results[0] >= 0.0F);
        CHECK(results[0] < 1.3e-38F);
    }
    store(exp_nonpositive(Vec(0.0F)), results);
    CHECK(results[0] == 1.0F);
}

TEST_CASE("the test of a bound sees every position") {
    const float bound = 1e4F;
    for (const char* const* set = cpu::instruction_sets(); *set != nullptr; ++set) {
        const cpu::Kernels* const kernels = cpu::kernels_for(*set);
        REQUIRE(kernels != nullptr);
        CHECK(std::strcmp(kernels->name, *set) == 0);
        for (const std::size_t count : {0, 1, 2, 15, 16, 17, 33, 66}) {
            std::vector<float> values(count, bound);
            CHECK(kernels->within(bound, values.data(), count));
            for (std::size_t i = 0; i < count; ++i) {
                for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                                        -std::numeric_limits<float>::infinity(), std::nextafter(bound, 2 * bound),
                                        std::nextafter(-bound, -2 * bound)}) {
                    values[i] = bad;
                    CHECK_FALSE(kernels->within(bound, values.data(), count));
                }
                values[i] = -bound;
            }
        }
    }
}

TEST_CASE("vectors are as wide as the instruction set's, not scalars in its place") {
    struct {
        const char* name;
        int panel;  // floats of a row of a tile: two vectors, of NEON four
    } const widths[] = {{"avx512", 32}, {"avx2", 16}, {"sse2", 8}, {"neon", 16}};
    for (const auto& [name, panel] : widths) {
        const cpu::Kernels* const kernels = cpu::kernels_for(name);
        CHECK((kernels == nullptr || kernels->panel == panel));
    }
#if defined(__aarch64__)
    REQUIRE(cpu::kernels_for("neon") != nullptr);
#endif
}

TEST_CASE("unknown instruction sets have no table; the first is the default") {
    CHECK(cpu::kernels_for("none of these") == nullptr);
    CHECK(cpu::kernels_for(nullptr) == cpu::kernels_for(cpu::instruction_sets()[0]));
}
