// Multiply-adds and nothing else: what a core can do at most, beside which benchmarks put the kernels.
#pragma once

#include "adasgn/cpu/simd.h"

namespace adasgn::cpu::ADASGN_ISA {

// Runs `rounds` rounds; returns the multiply-adds of one. `sink` keeps the results alive.
static long multiply_adds(long rounds, float* sink) {
    constexpr int kChains = 14;  // independent, so that the units never wait; with two constants they fill 16 registers
    Vec chains[kChains];
    unroll<kChains>([&](auto i) { chains[i] = Vec(static_cast<float>(i) * *sink); });
    const Vec factor = 0.999F;  // chains tend to 1: no overflow, no subnormal numbers
    const Vec term = 0.001F;
    for (long round = 0; round < rounds; ++round) {
        unroll<kChains>([&](auto i) { chains[i] = chains[i] * factor + term; });
    }
    Vec sum = 0.0F;
    unroll<kChains>([&](auto i) { sum += chains[i]; });
    *sink += 1e-9F * stdx::reduce(sum);
    return static_cast<long>(kChains) * kLanes;
}

}  // namespace adasgn::cpu::ADASGN_ISA
