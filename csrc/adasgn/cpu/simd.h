// Vectors of floats of the instruction set this file is compiled for. ADASGN_ISA names the namespace, so that the
// several compilations of one source never share a symbol. Includes nothing whose inline functions could be merged by
// the linker across instruction sets (libstdc++ keeps <experimental/simd> apart by machine flags).
#pragma once

#include <cstddef>
#include <cstring>
#include <experimental/simd>
#include <utility>

#ifndef ADASGN_ISA
#error "ADASGN_ISA must name the instruction set this file is compiled for"
#endif

#define ADASGN_INLINE inline __attribute__((always_inline))

namespace adasgn::cpu::ADASGN_ISA {

namespace stdx = std::experimental;
using Vec = stdx::native_simd<float>;
using IntVec = stdx::simd<int, Vec::abi_type>;
constexpr int kLanes = static_cast<int>(Vec::size());

// A tile is kTileRows x kPanel accumulators in registers; two more hold a row of the right-hand matrix and one a
// broadcast element of the left-hand one.
#if defined(__AVX512F__)
constexpr int kTileRows = 14, kPanelVectors = 2;  // 32 registers of 16
#elif defined(__AVX2__)
constexpr int kTileRows = 6, kPanelVectors = 2;  // 16 registers of 8
#elif defined(__ARM_NEON)
constexpr int kTileRows = 6, kPanelVectors = 4;  // 32 registers of 4
#else
constexpr int kTileRows = 5, kPanelVectors = 2;  // 16 registers of 4, no fused multiply-add
#endif
constexpr int kPanel = kPanelVectors * kLanes;
static_assert(kPanelVectors % 2 == 0, "halved weights lie in pairs of vectors");

template <class Function, std::size_t... I>
ADASGN_INLINE void unroll(Function&& function, std::index_sequence<I...>) {
    (function(std::integral_constant<int, static_cast<int>(I)>{}), ...);
}

// function(0) … function(Count - 1), the index a constant, nothing left of the loop.
template <int Count, class Function>
ADASGN_INLINE void unroll(Function&& function) {
    unroll(static_cast<Function&&>(function), std::make_index_sequence<Count>{});
}

ADASGN_INLINE Vec load(const float* from) {
    return Vec(from, stdx::element_aligned);
}

ADASGN_INLINE void store(Vec value, float* to) {
    value.copy_to(to, stdx::element_aligned);
}

// Of a vector of halved weights (Packed::halved) those in the lower 16 bits of its words, or those in the upper ones.
ADASGN_INLINE Vec widened(Vec words, bool upper) {
    IntVec bits;
    std::memcpy(static_cast<void*>(&bits), &words, sizeof bits);
    bits = upper ? bits & static_cast<int>(0xFFFF0000U) : bits << 16;
    Vec values;
    std::memcpy(static_cast<void*>(&values), &bits, sizeof values);
    return values;
}

// e^x for x <= 0, within 2 ulp down to -87.3 (results that are normal floats); below -87.7 it is 0. Without a mask:
// clang 14 assigns wrong lanes through libstdc++'s where() with AVX-512.
ADASGN_INLINE Vec exp_nonpositive(Vec x) {
    const Vec shifter = 12582912.0F;                // 1.5 * 2^23: adding it rounds to an integer, kept in the low bits
    const Vec clamped = stdx::max(x, Vec(-88.0F));  // there n is -127, for which scale becomes 0
    const Vec shifted = clamped * 1.44269504F + shifter;
    const Vec n = shifted - shifter;
    const Vec r = (clamped - n * 0.693359375F) + n * 2.12194440e-4F;  // ln 2 in two parts
    Vec p = 1.9875691500e-4F;  // minimax polynomial of (e^r - 1 - r) / r^2 on |r| <= ln 2 / 2
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * (r * r) + r + 1.0F;
    IntVec bits;
    std::memcpy(static_cast<void*>(&bits), &shifted, sizeof bits);
    bits = (bits - 0x4B400000 + 127) << 23;  // 2^n
    Vec scale;
    std::memcpy(static_cast<void*>(&scale), &bits, sizeof scale);
    return p * scale;
}

}  // namespace adasgn::cpu::ADASGN_ISA
