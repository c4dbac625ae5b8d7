// What the emulator tells the sanitizer (sanitizer.cpp), where one is linked. Addresses are those the kernel used.
#pragma once

#include <cstddef>
#include <cstdint>

namespace adasgn::cuda::emulator {

// Where an access was made: in the source, or in the code.
struct Origin {
    const char* file = nullptr;
    int line = 0;
    const void* code = nullptr;
};

class Observer {
  public:
    virtual ~Observer() = default;

    virtual void launch_begins() = 0;
    virtual void block_begins(std::size_t shared_bytes) = 0;
    virtual void block_barrier() = 0;         // all threads have arrived
    virtual void warp_barrier(int warp) = 0;  // all lanes have arrived

    // By `thread` of the block that runs, before it happens.
    virtual void reads(const void* address, std::size_t bytes, int thread, const Origin& origin) = 0;
    virtual void reads_constant(const void* address, std::size_t bytes, int thread, const Origin& origin) = 0;
    virtual void updates_atomically(const void* address, std::size_t bytes, int thread, const Origin& origin) = 0;
    virtual void fence(int thread) = 0;
    virtual void copy_issued(void* shared, const void* global, std::size_t bytes, int thread, const Origin& origin) = 0;
    virtual void copy_arrives(void* shared, const void* global, std::size_t bytes, int thread,
                              const Origin& origin) = 0;

    // Between kernels: copies and fills of the runtime, the end of an allocation.
    virtual void host_writes(const void* device, std::size_t bytes) = 0;
    virtual void device_copies(const void* to, const void* from, std::size_t bytes) = 0;
    virtual void forget(const void* device, std::size_t bytes) = 0;
};

// Null in programs without.
extern Observer* observer;

}  // namespace adasgn::cuda::emulator
