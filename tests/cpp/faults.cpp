#include "faults.h"

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

std::atomic<long> allocations{0};
std::atomic<long> allocations_left{-1};  // negative: none fails
std::atomic<long> threads_left{-1};

void* allocate(std::size_t size, std::size_t alignment) {
    ++allocations;
    if (allocations_left.load() >= 0 && allocations_left.fetch_sub(1) == 0) {
        throw std::bad_alloc();
    }
    void* const memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}

}  // namespace

using Create = int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
// A sanitizer's own, which must know of every thread; clang's is in the program, where dlsym does not find it next.
extern "C" __attribute__((weak)) Create __interceptor_pthread_create;

namespace {

Create* const create = __interceptor_pthread_create != nullptr
                           ? &__interceptor_pthread_create
                           : reinterpret_cast<Create*>(dlsym(RTLD_NEXT, "pthread_create"));

}  // namespace

void* operator new(std::size_t size) {
    return allocate(size, alignof(std::max_align_t));
}
void* operator new[](std::size_t size) {
    return allocate(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete[](void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                              void* argument) noexcept {
    if (threads_left.load() >= 0 && threads_left.fetch_sub(1) == 0) {
        return EAGAIN;
    }
    return create(thread, attributes, start, argument);
}

namespace adasgn::testing {

long allocation_count() {
    return allocations.load();
}

void fail_allocation_after(long others) {
    allocations_left = others;
}

void fail_thread_after(long others) {
    threads_left = others;
}

void fail_nothing() {
    allocations_left = -1;
    threads_left = -1;
}

}  // namespace adasgn::testing
