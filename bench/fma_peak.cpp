// Multiply-adds and nothing else: what a core can do at most. bench/ceilings.py compiles it once per instruction set,
// with VECTOR_BYTES and that set's flags.
typedef float Vec __attribute__((vector_size(VECTOR_BYTES)));

namespace {

constexpr int kChains = 14;  // independent, so that the units never wait; with two constants they fill 16 registers
constexpr int kLanes = VECTOR_BYTES / sizeof(float);

}  // namespace

// Runs `rounds` rounds; returns the floating-point operations of one. `sink` keeps the results alive.
extern "C" long adasgn_fma_peak(long rounds, float* sink) {
    Vec chains[kChains];
    for (int i = 0; i < kChains; ++i) {
        chains[i] = Vec{} + static_cast<float>(i) * sink[0];
    }
    const Vec factor = Vec{} + 0.999F;  // chains tend to 1: no overflow, no subnormal numbers
    const Vec term = Vec{} + 0.001F;
    for (long round = 0; round < rounds; ++round) {
#pragma GCC unroll 14
        for (int i = 0; i < kChains; ++i) {
            chains[i] = chains[i] * factor + term;
        }
    }
    Vec sum{};
    for (int i = 0; i < kChains; ++i) {
        sum += chains[i];
    }
    for (int lane = 0; lane < kLanes; ++lane) {
        sink[0] += 1e-9F * sum[lane];
    }
    return 2L * kChains * kLanes;
}
