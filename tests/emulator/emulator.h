// What a test asks of the emulator: the device it plays, the order in which threads run, and what it found.
// docs/emulator.md explains both. All of it may be called from any host thread; kernels run one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "adasgn/cuda/runtime.h"

namespace adasgn::cuda::emulator {

// In which order threads that could run do so, and blocks.
enum class Order {
    ascending,
    descending,
    random,  // by the seed; whether a copy_async happens at once or at its wait as well
};

struct Schedule {
    Order order = Order::ascending;
    std::uint64_t seed = 1;
};

// Ascending, descending and some random ones, for tests to run under each.
std::vector<Schedule> schedules(int random_ones = 3);

// Named as compute-sanitizer's tools are.
enum class Instrument {
    synccheck,  // a collective that not all threads reach, copies that nobody waits for
    memcheck,   // an access outside shared memory or a live allocation, or misaligned; a guard zone overwritten
    initcheck,  // a read of what was never written
    racecheck,  // two accesses, at least one of them a write, that nothing orders; one while a copy is under way
};

struct Finding {
    Instrument instrument;
    std::string text;  // "racecheck: kernel …, block (0, 0), thread 5 …"
};

// Of a device whose multiprocessors take two blocks of a launch each: as many blocks as the emulator has at once.
constexpr int kManyMultiprocessors = 66;

void set_schedule(Schedule schedule);
void set_traits(const DeviceTraits& traits);
DeviceTraits default_traits();             // of an Orin: architecture 87, 16 multiprocessors
void set_memory_limit(std::size_t bytes);  // allocate() fails beyond; 8 GB unless set

// Everything found since the last clear. A launch ends with its first finding and returns a Status that is not 0 and
// whose text is the finding's.
std::vector<Finding> findings();
void clear_findings();

// True in programs linked with emulator_checked: then every access of a kernel is checked, not only what wrecks a
// guard.
bool checks_accesses();

// Looks at the guard zones of all allocations: empty if they are as they were, else what was overwritten. Each launch
// and each release ends with this as well.
std::string check_guards();

// A place in a kernel that orders memory accesses: a call of block_barrier, warp_barrier, copy_async_wait, fence,
// wait_until_at_least or wait_for_previous_kernel.
struct OrderingCall {
    const char* what;
    const char* file;
    int line;
};

// Those that kernels reach between the two, each once.
void record_ordering_calls();
std::vector<OrderingCall> ordering_calls();

// Plants a bug: until the next omit, the call at this place does nothing. Null: none.
void omit(const OrderingCall* call);

// Whether what the stream is given is recorded for a graph.
bool capturing(Stream stream);

struct AllocationRecord {
    const void* data;
    std::size_t bytes;
    bool pinned;
};
std::vector<AllocationRecord> allocations();  // those that are live

}  // namespace adasgn::cuda::emulator
