// Small kernels for what orders work: streams, kernels that start early, blocks that wait for blocks.
#pragma once

#include "device.h"

namespace adasgn::cuda::tests {

constexpr int order_threads = 64;

struct DoubleParameters {
    const float* in;  // (64)
    float* out;       // (64): in, doubled
};
Status launch_double(const DoubleParameters& parameters, Stream stream);

// A link of a chain of kernels: out = weights * in, of which only the weights are read before the kernel before has
// ended.
enum class Link {
    correct,           // every thread waits
    one_thread_waits,  // and the others meet it at a barrier: as correct
    no_barrier,        // only thread 0 waits
    reads_early,
    reads_constant,  // by load_global, which may happen early
    writes_early,
    never_waits,
};
struct LinkParameters {
    const float* weights;  // (64)
    const float* in;       // (64)
    float* out;            // (64)
    Link link;
    bool hurries;  // lets the next kernel start before it has waited itself; else after, or when it ends
};
// A block of 64 threads.
Status launch_link(const LinkParameters& parameters, Overlap overlap, Stream stream);

// Blocks in a ring: each writes a row, raises its flag, waits for the flag of the next block and takes over its row,
// the other way round.
enum class Ring {
    correct,
    no_wait,
    no_barrier_after_wait,
    no_barrier_before_flag,
    plain_flag,  // raised by an ordinary store
    late_flag,   // raised after the wait
    one_missing  // block 0 raises none
};
struct RingParameters {
    const float* in;  // (blocks, threads)
    float* rows;      // (blocks, threads)
    int* flags;       // (blocks,), zero before
    float* out;       // (blocks, threads): the next block's row of in, the other way round
    Ring ring;
};
Status launch_ring(int blocks, int threads, const RingParameters& parameters, bool resident, Stream stream);

// Blocks that all meet several times: values (blocks,) become, round by round, the sum of all plus the block's number.
struct MeetParameters {
    int* values;   // (blocks,)
    int* counter;  // (1,), zero before
    int rounds;
    bool forget_second_meeting;  // of a round: between reading all values and writing one's own
};
Status launch_meet(int blocks, const MeetParameters& parameters, Stream stream);

// Warps that wait for the block before and know by that what all blocks before have done: sums[b] of values 0 to b.
struct RelayParameters {
    int* values;  // (blocks, 32)
    int* flags;   // (blocks,), zero before
    int* sums;    // (blocks, 32)
};
Status launch_relay(int blocks, const RelayParameters& parameters, Stream stream);

// How many blocks of the ring fit the device.
Status resident_ring_blocks(int threads, std::size_t shared_bytes, int& blocks);

}  // namespace adasgn::cuda::tests
