// Blocks: their threads as fibers, who waits for what, and who runs next. One block at a time, or all of a launch whose
// blocks wait for each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "device.h"
#include "emulator.h"
#include "observer.h"

namespace adasgn::cuda::emulator {

constexpr int lanes = 32;
constexpr int most_threads = 1024;
constexpr std::uint32_t all_lanes = 0xffffffffu;

enum class Wait : std::uint8_t {
    none,
    block_barrier,
    warp_barrier,
    shuffle,
    ballot,
    load_matrix,
    multiply_add,
    flag,
    finished,
};

struct PendingCopy {
    void* shared;
    const void* global;
    int group;
    Origin origin;
};

struct Block;

struct Fiber {
    Block* block = nullptr;
    void* context = nullptr;  // of Boost.Context, while it does not run
    int thread = 0;
    std::uintptr_t stack = 0;  // where it begins
    Wait wait = Wait::none;
    const char* file = nullptr;  // where it waits
    int line = 0;
    const int* flag = nullptr;  // what it waits for
    int value = 0;
    int group = 0;  // of copies: the one not yet committed
    std::vector<PendingCopy> copies;
    bool waited = false;  // for the previous kernel, as far as it must
};

struct Launch {
    const void* kernel;
    Invoke invoke;
    const void* parameters;
    Grid grid;
    int threads;
    std::size_t shared_bytes;
    Overlap overlap = Overlap::none;
    bool resident = false;  // all blocks at once
};

// A warp's collective that some lanes have reached: `payload[lane]` is what each brings and takes away.
struct Warp {
    std::uint32_t ready = 0;    // lanes that could run
    std::uint32_t arrived = 0;  // lanes that wait for the others
    Fiber* first = nullptr;     // the one that arrived first
    void* payload[lanes];
};

struct Block {
    int number = 0;  // of those that are there at once: whose stacks and shared memory
    int x = 0, y = 0;
    unsigned char* shared = nullptr;
    bool copies_at_once = false;
    int arrived = 0, finished = 0;  // threads
    Fiber* first_at_barrier = nullptr;
    bool waited = false;        // a thread, for the previous kernel
    bool next_started = false;  // as far as it is up to the block
    std::uint32_t ready_warps = 0;
    Warp warps[most_threads / lanes];
    std::vector<Fiber> fibers;
    std::vector<Fiber*> parked;  // until flags have their values
};

class Machine {
  public:
    Schedule schedule;
    std::vector<Finding> findings;

    // The outcome of a whole launch: false with a finding added.
    bool run(const Launch& launch);

    // Called by the fiber that runs.
    template <class Payload>
    void collective(Wait kind, const char* file, int line, Payload& payload, void (*complete)(Warp&)) {
        join_warp(kind, file, line, &payload, complete);
    }
    void join_warp(Wait kind, const char* file, int line, void* payload, void (*complete)(Warp&));
    void join_block(const char* file, int line);
    void wait_for_flag(const int* flag, int value, const char* file, int line);
    void wait_for_previous_kernel();
    void let_next_kernel_start();
    // Ends the launch with a finding. The text is put together here, where `failing` keeps it unobserved.
    [[noreturn]] void fail(Instrument instrument, int thread, const char* what, const Origin& origin,
                           bool tell_who_waits = false);

    const Launch& launch() const { return *launch_; }
    std::string kernel_and_block() const;
    // Of the latest launch: whether a block of the next could start while a kernel before this one runs.
    bool next_starts_early() const { return next_starts_early_; }

  private:
    // Those of the order from `first` on, to their end; all there at once.
    bool run_blocks(const int* first, int count);
    void set_up(Block& block, int number, int index);
    std::string overwritten_shared(const Block& block) const;
    void run_fiber(Fiber& fiber);
    void wait(Fiber& fiber, Wait kind, const char* file, int line);
    Fiber* next();
    Fiber* next_of(Block& block);
    void run_next();
    [[noreturn]] void nobody_can_run();
    void make_ready(Block& block, int warp, std::uint32_t which);
    void switch_to(Fiber& fiber);
    std::string who_waits(const Block& block) const;
    std::uint64_t random();
    friend struct Entry;

    const Launch* launch_ = nullptr;
    Block* present_ = nullptr;  // whose fibers run
    int count_ = 0;             // of blocks that are there
    int finished_ = 0;          // of those
    bool failed_ = false;
    std::uint64_t random_state_ = 1;
    bool next_starts_early_ = false;
    std::vector<std::unique_ptr<Block>> blocks_;
    Fiber host_;
};

Machine& machine();
// The fiber that runs on this host thread; null outside kernels.
extern thread_local Fiber* current;
// Set while a finding is written down: what the fiber does then is not the kernel's doing.
extern thread_local bool failing;

constexpr std::size_t stack_bytes = 128 * 1024;
constexpr std::size_t stack_count = 132 * 256;  // threads that are there at once, at most
unsigned char* stacks();

// "name (file:line)" of a place in the code, as far as addr2line knows it.
std::string place(const Origin& origin);
std::string function_name(const void* code);

}  // namespace adasgn::cuda::emulator
