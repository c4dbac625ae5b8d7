// Small kernels that use every primitive of device.h once, and kernels with one fault each.
#pragma once

#include <cstdint>

#include "device.h"

namespace adasgn::cuda::tests {

struct Identity {  // of each thread, in the order of block_index_y, block_index, thread_index
    int thread, lane, warp, block, block_y, threads, blocks;
};
struct IdentityParameters {
    Identity* out;
};
Status launch_identity(Grid grid, int threads, const IdentityParameters& parameters, Stream stream);

struct ExchangeParameters {  // one warp
    const float* values;     // (32)
    int mask;
    float* exchanged;      // (32)
    int* exchanged_lanes;  // (32)
    unsigned* negative;    // (32) ballot of values below 0
    int* negative_count;   // (32)
};
Status launch_exchange(const ExchangeParameters& parameters, Stream stream);

struct ConvertParameters {
    const float* values;    // (count)
    std::uint16_t* halves;  // (count)
    float* back;            // (count)
    std::uint32_t* packed;  // (count) of each value and its negative
    float* exponentials;    // (count)
    int count;
};
Status launch_convert(const ConvertParameters& parameters, Stream stream);

struct MatrixParameters {  // one warp
    const Half* tiles;     // (4, 8, 8)
    std::uint32_t* plain;  // (32, 4) registers of each lane
    std::uint32_t* transposed;
};
Status launch_matrices(const MatrixParameters& parameters, Stream stream);

struct ProductParameters {  // out = a b + c, `repeats` times, a warp for each of the grid's blocks
    const Half* a;          // (16, 16)
    const Half* b;          // (16, 8)
    const float* c;         // (16, 8)
    float* out;             // (16, 8)
    int repeats;
};
Status launch_product(int blocks, const ProductParameters& parameters, Stream stream);

struct StagesParameters {  // sums of `stages` rows of 4 * threads floats, two of them under way at a time
    const float* rows;     // (stages, 4 * threads)
    float* sums;           // (4 * threads)
    int stages;
    bool forget_last_wait;
};
Status launch_stages(int threads, const StagesParameters& parameters, Stream stream);

struct ReduceParameters {  // the block that ends last adds up what the blocks found
    const int* values;     // (blocks * threads)
    int* partial_sums;     // (blocks)
    int* ticket;           // zero before and after
    int* total;
    int* largest;  // a lower bound before
    bool forget_fence;
};
Status launch_reduce(int blocks, int threads, const ReduceParameters& parameters, Stream stream);

enum class Fault {
    none,
    missing_block_barrier,
    missing_warp_barrier,
    missing_copy_wait,
    missing_barrier_after_copy,
    overwritten_while_copied,
    shared_overrun,
    shared_read_overrun,
    global_overrun,
    global_read_overrun,
    global_underrun,
    uninitialised_shared,
    uninitialised_global,
    divergent_block_barrier,
    two_block_barriers,
    divergent_shuffle,
    different_collectives,
    barrier_after_exit,
    copy_left_behind,
    blocks_collide,
    read_only_written,
    misaligned,
    host_memory,
    neighbour_byte,  // not a fault: threads that write neighbouring bytes
    neighbour_half,  // not a fault
};
struct FaultParameters {
    const float* in;  // (64)
    float* out;       // (64): in, rotated by half a block
    float* scratch;   // (64), never written by the host
    float* host;      // (1), not device memory
    Fault fault;
};
// A block of 64 threads, or two for blocks_collide.
Status launch_fault(const FaultParameters& parameters, Stream stream);

// A block that follows a list: at each step threads first to last make an access, or all meet at a barrier. For the
// sanitizer's rules, one after another.
struct Step {
    enum Action { read, write, add, block_barrier, warp_barrier } action;
    int first = 0, last = 0;  // threads
    int byte = 0;
    int size = 4;  // 4, or of a write 1
};
struct StepsParameters {
    const Step* steps;
    int count;
    unsigned char* memory;  // null: shared memory (64 bytes)
    int* sink;              // (64)
};
Status launch_steps(const StepsParameters& parameters, Stream stream);

// For errors of launching itself.
Status launch_empty(Grid grid, int threads, std::size_t shared_bytes, Stream stream);

}  // namespace adasgn::cuda::tests
