// What the emulator tells the sanitizer (sanitizer.cpp), where one is linked. Addresses are those the kernel used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace adasgn::cuda::emulator {

struct Work;

// Where an access was made: in the source, or in the code.
struct Origin {
    const char* file = nullptr;
    int line = 0;
    const void* code = nullptr;
};

class Observer {
  public:
    virtual ~Observer() = default;

    // Before each launch, copy and fill.
    virtual void work_begins(const Work& work) = 0;
    // A block, by its number among those that are there; then which of them runs, told at each change.
    virtual void block_begins(int block, std::size_t shared_bytes) = 0;
    virtual void block_runs(int block) = 0;
    virtual void block_barrier() = 0;         // all threads have arrived
    virtual void warp_barrier(int warp) = 0;  // all lanes have arrived

    // By `thread` of the block that runs, before it happens.
    virtual void reads(const void* address, std::size_t bytes, int thread, const Origin& origin) = 0;
    virtual void reads_constant(const void* address, std::size_t bytes, int thread, const Origin& origin) = 0;
    virtual void updates_atomically(const void* address, std::size_t bytes, int thread, const Origin& origin) = 0;
    virtual void fence(int thread) = 0;
    virtual void looks(const int* flag, int thread, const Origin& origin) = 0;
    virtual void acquires(const int* flag, int thread, const Origin& origin) = 0;
    virtual void releases(const int* flag, int thread, const Origin& origin) = 0;
    virtual void copy_issued(void* shared, const void* global, std::size_t bytes, int thread, const Origin& origin) = 0;
    virtual void copy_arrives(void* shared, const void* global, std::size_t bytes, int thread,
                              const Origin& origin) = 0;

    // A copy or fill of the runtime; null: memory of the host. What is wrong with it, or nothing.
    virtual std::string transfers(const void* to, const void* from, std::size_t bytes) = 0;
    // The end of an allocation.
    virtual void forget(const void* device, std::size_t bytes) = 0;
};

// Null in programs without.
extern Observer* observer;

}  // namespace adasgn::cuda::emulator
