// device.h for a host compiler: a block's threads are fibers of one host thread. What touches memory or waits for other
// threads is a call into the emulator (block.cpp, copies.cpp), because this header is compiled with the kernels and may
// be instrumented; what only computes is here.
#pragma once

#include <cmath>
#include <cstring>
#include <type_traits>

#define ADASGN_KERNEL(threads, blocks)
#define ADASGN_DEVICE inline
#define __grid_constant__

// Where a kernel calls the emulator, for its findings.
#define ADASGN_CALL_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace adasgn::cuda {

struct alignas(8) float2 {
    float x, y;
};

struct alignas(16) float4 {
    float x, y, z, w;
};

struct alignas(16) uint4 {
    unsigned x, y, z, w;
};

inline float4 make_float4(float x, float y, float z, float w) {
    return {x, y, z, w};
}
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
    return {x, y, z, w};
}

namespace emulator {

inline std::uint32_t bits_of(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline float float_of(std::uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

using Invoke = void (*)(const void* kernel, const void* parameters);

// Run at once, or recorded if the stream is being captured.
Status launch(const void* kernel, Invoke invoke, const void* parameters, std::size_t parameter_bytes, Grid grid,
              int threads, std::size_t shared_bytes, Stream stream, Overlap overlap);
Status launch_resident(const void* kernel, Invoke invoke, const void* parameters, std::size_t parameter_bytes,
                       Grid grid, int threads, std::size_t shared_bytes, Stream stream);
Status resident_blocks(int threads, std::size_t shared_bytes, int& blocks);
void check_read_only(const void* address, std::size_t bytes, const char* file, int line);
void wait_for_copies(int groups_left, const char* file, int line);

template <class Parameters>
__attribute__((no_sanitize("thread"))) void invoke(const void* kernel, const void* parameters) {
    reinterpret_cast<void (*)(Parameters)>(reinterpret_cast<std::size_t>(kernel))(
        *static_cast<const Parameters*>(parameters));
}

}  // namespace emulator

inline Half to_half(float value) {
    const std::uint32_t bits = emulator::bits_of(value);
    const std::uint32_t sign = (bits >> 16) & 0x8000u;
    const std::uint32_t size = bits & 0x7fffffffu;
    std::uint32_t half;
    if (size > 0x7f800000u) {  // NaN
        half = 0x7fffu;
    } else if (size >= 0x477fe000u) {  // 65504 and more
        half = 0x7bffu;
    } else if (size < 0x38800000u) {  // below 2^-14: adding 0.5 rounds to a multiple of 2^-24
        half = emulator::bits_of(emulator::float_of(size) + 0.5f) - 0x3f000000u;
    } else {
        half = (size - 0x38000000u + 0xfffu + ((size >> 13) & 1u)) >> 13;
    }
    return Half{static_cast<std::uint16_t>(sign | half)};
}

inline float to_float(Half half) {
    const std::uint32_t sign = (half.bits & 0x8000u) << 16;
    const std::uint32_t size = (half.bits & 0x7fffu) << 13;
    const std::uint32_t scaled = emulator::bits_of(emulator::float_of(size) * 0x1p112f);
    const std::uint32_t not_finite = size >= 0x0f800000u ? 0x7f800000u : 0u;
    return emulator::float_of(sign | scaled | not_finite);
}

inline std::uint32_t pack(float low, float high) {
    return to_half(low).bits | static_cast<std::uint32_t>(to_half(high).bits) << 16;
}

inline float2 unpack(std::uint32_t both) {
    return {to_float(Half{static_cast<std::uint16_t>(both & 0xffffu)}),
            to_float(Half{static_cast<std::uint16_t>(both >> 16)})};
}

// The same for all of a fiber's life.
[[gnu::const]] int thread_index();
[[gnu::const]] int block_threads();
inline int lane() {
    return thread_index() % 32;
}
inline int warp() {
    return thread_index() / 32;
}
[[gnu::const]] int block_index();
[[gnu::const]] int block_index_y();
[[gnu::const]] int grid_blocks();
[[gnu::const]] unsigned char* shared_memory();

void block_barrier(ADASGN_CALL_SITE);
void warp_barrier(ADASGN_CALL_SITE);
float shuffle_xor(float value, int mask, ADASGN_CALL_SITE);
int shuffle_xor(int value, int mask, ADASGN_CALL_SITE);
unsigned ballot(bool vote, ADASGN_CALL_SITE);
inline int count_bits(unsigned bits) {
    return __builtin_popcount(bits);
}
int atomic_add(int* address, int value, ADASGN_CALL_SITE);
int atomic_max(int* address, int value, ADASGN_CALL_SITE);
void fence(ADASGN_CALL_SITE);
int atomic_add_ordered(int* address, int value, ADASGN_CALL_SITE);
int load_acquire(const int* address, ADASGN_CALL_SITE);
void store_release(int* address, int value, ADASGN_CALL_SITE);
int load_relaxed(const int* address, ADASGN_CALL_SITE);
int wait_until_at_least(const int* flag, int value, ADASGN_CALL_SITE);

template <class T>
T load_global(const T* address, ADASGN_CALL_SITE) {
    static_assert(std::is_same_v<T, int> || std::is_same_v<T, float> || std::is_same_v<T, float2> ||
                  std::is_same_v<T, float4> || std::is_same_v<T, uint4>);
    emulator::check_read_only(address, sizeof(T), file, line);
    return *address;
}

inline uint4 load_once(const uint4* address, ADASGN_CALL_SITE) {
    emulator::check_read_only(address, sizeof(uint4), file, line);
    return *address;
}

template <class T>
T load_fresh(const T* address) {
    static_assert(std::is_same_v<T, float4> || std::is_same_v<T, uint4>);
    return *address;
}

void copy_async(void* shared, const void* global, ADASGN_CALL_SITE);
void copy_async_commit();
template <int N>
void copy_async_wait(ADASGN_CALL_SITE) {
    static_assert(N >= 0);
    emulator::wait_for_copies(N, file, line);
}

void load_matrix(std::uint32_t (&r)[4], const Half* row, ADASGN_CALL_SITE);
void load_matrix_transposed(std::uint32_t (&r)[4], const Half* row, ADASGN_CALL_SITE);
void multiply_add(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1, ADASGN_CALL_SITE);

void wait_for_previous_kernel(ADASGN_CALL_SITE);
void let_next_kernel_start();

inline float exponential(float x) {
    return std::exp(x);
}
inline float logarithm(float x) {
    return std::log(x);
}
inline float maximum(float a, float b) {
    return a > b || a != a ? a : b;
}
inline float magnitude(float x) {
    return std::fabs(x);
}
inline int maximum(int a, int b) {
    return a > b ? a : b;
}
inline int minimum(int a, int b) {
    return a < b ? a : b;
}

// What a kernel's type says of its parameters, kept from taking part in deduction.
template <class T>
struct Same {
    using type = T;
};

template <class Parameters>
Status launch(void (*kernel)(Parameters), Grid grid, int threads, std::size_t shared_bytes, Stream stream,
              const typename Same<Parameters>::type& parameters, Overlap overlap = Overlap::none) {
    static_assert(std::is_trivially_copyable_v<Parameters> && sizeof(Parameters) <= 4096);
    return emulator::launch(reinterpret_cast<const void*>(kernel), &emulator::invoke<Parameters>, &parameters,
                            sizeof(Parameters), grid, threads, shared_bytes, stream, overlap);
}

template <class Parameters>
Status launch_resident(void (*kernel)(Parameters), Grid grid, int threads, std::size_t shared_bytes, Stream stream,
                       const typename Same<Parameters>::type& parameters) {
    static_assert(std::is_trivially_copyable_v<Parameters> && sizeof(Parameters) <= 4096);
    return emulator::launch_resident(reinterpret_cast<const void*>(kernel), &emulator::invoke<Parameters>, &parameters,
                                     sizeof(Parameters), grid, threads, shared_bytes, stream);
}

template <class Parameters>
Status resident_blocks(void (*)(Parameters), int threads, std::size_t shared_bytes, int& blocks) {
    return emulator::resident_blocks(threads, shared_bytes, blocks);
}

}  // namespace adasgn::cuda
