// The functions that a compiler calls from code built with -fsanitize=thread, in place of libtsan's.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "sanitizer.h"

using adasgn::cuda::emulator::kernel_reads;
using adasgn::cuda::emulator::kernel_writes;

// Just before the address to which a call returns: within the line that made the call.
#define CODE (static_cast<const char*>(__builtin_return_address(0)) - 1)

#define ACCESSES(size)                                 \
    void __tsan_read##size(void* address) {            \
        kernel_reads(address, size, true, CODE);       \
    }                                                  \
    void __tsan_write##size(void* address) {           \
        kernel_writes(address, size, true, CODE);      \
    }                                                  \
    void __tsan_volatile_read##size(void* address) {   \
        kernel_reads(address, size, true, CODE);       \
    }                                                  \
    void __tsan_volatile_write##size(void* address) {  \
        kernel_writes(address, size, true, CODE);      \
    }                                                  \
    void __tsan_unaligned_read##size(void* address) {  \
        kernel_reads(address, size, false, CODE);      \
    }                                                  \
    void __tsan_unaligned_write##size(void* address) { \
        kernel_writes(address, size, false, CODE);     \
    }

// Host code beside kernels may hold atomics (those of kernels go through device.h): nothing to check there.
#define ATOMICS(bits)                                                                                             \
    std::uint##bits##_t __tsan_atomic##bits##_load(const volatile void* address, int) {                           \
        return __atomic_load_n(static_cast<const volatile std::uint##bits##_t*>(address), __ATOMIC_SEQ_CST);      \
    }                                                                                                             \
    void __tsan_atomic##bits##_store(volatile void* address, std::uint##bits##_t value, int) {                    \
        __atomic_store_n(static_cast<volatile std::uint##bits##_t*>(address), value, __ATOMIC_SEQ_CST);           \
    }                                                                                                             \
    std::uint##bits##_t __tsan_atomic##bits##_exchange(volatile void* address, std::uint##bits##_t value, int) {  \
        return __atomic_exchange_n(static_cast<volatile std::uint##bits##_t*>(address), value, __ATOMIC_SEQ_CST); \
    }                                                                                                             \
    std::uint##bits##_t __tsan_atomic##bits##_fetch_add(volatile void* address, std::uint##bits##_t value, int) { \
        return __atomic_fetch_add(static_cast<volatile std::uint##bits##_t*>(address), value, __ATOMIC_SEQ_CST);  \
    }                                                                                                             \
    std::uint##bits##_t __tsan_atomic##bits##_fetch_sub(volatile void* address, std::uint##bits##_t value, int) { \
        return __atomic_fetch_sub(static_cast<volatile std::uint##bits##_t*>(address), value, __ATOMIC_SEQ_CST);  \
    }

#pragma GCC diagnostic ignored "-Wmissing-declarations"

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void**) {}
void __tsan_vptr_update(void**, void*) {}

ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

void __tsan_read_range(void* address, std::size_t bytes) {
    kernel_reads(address, bytes, false, CODE);
}
void __tsan_write_range(void* address, std::size_t bytes) {
    kernel_writes(address, bytes, false, CODE);
}

ATOMICS(8)
ATOMICS(32)
ATOMICS(64)
void __tsan_atomic_thread_fence(int) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
void __tsan_atomic_signal_fence(int) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

}  // extern "C"
