// Everything that a kernel asks of the hardware, in one place. Kernels are written against the functions below and
// include nothing else, so that their own source compiles twice: by nvcc (device_cuda.h) and, for the tests, by a host
// compiler (tests/emulator/device_host.h), where the threads of a block are fibers and every access is checked.
//
// Both implementations offer, in namespace adasgn::cuda:
//
//   ADASGN_KERNEL(threads, blocks)   before `void name(const __grid_constant__ Parameters p)`: a kernel of at most
//                                    `threads` threads, of which `blocks` blocks should fit on a multiprocessor
//   ADASGN_DEVICE                    before a function that kernels call
//
//   Half                             16 bits: an IEEE binary16, storage only (below, the same for both)
//   Half to_half(float)              rounds to nearest even; |x| above 65504, the largest Half, becomes 65504 (a wild
//                                    frame must not turn its neighbours in a tile into NaN through infinity times
//                                    zero); a NaN stays a NaN, so that a fault is not hidden
//   float to_float(Half)
//   uint32_t pack(float low, float high)   two halves, as to_half, `low` in the low 16 bits
//   float2 unpack(uint32_t)
//
//   int thread_index(), block_threads(), lane(), warp()      0 … ; warp() = thread_index() / 32
//   int block_index(), block_index_y(), grid_blocks()
//   unsigned char* shared_memory()   the block's dynamic shared memory, aligned to 128 bytes; its size is the launch's
//
//   void block_barrier()             all threads of the block; orders shared and global accesses among them
//   void warp_barrier()              all 32 lanes; orders shared accesses among them
//   float shuffle_xor(float, int mask); int shuffle_xor(int, int mask)      all 32 lanes; no memory ordering
//   unsigned ballot(bool)            all 32 lanes
//   int count_bits(unsigned)
//   int atomic_add(int* address, int value)    global or shared; returns what was there
//   int atomic_max(int* address, int value)
//   void fence()                     global writes before it are seen by other blocks before those after it. A fence
//                                    before an atomic publishes what the thread knows; one after it sees what others so
//                                    published
//   int atomic_add_ordered(int* address, int value)    global: as fence(), atomic_add, fence(), for less
//   int load_acquire(const int*), void store_release(int*, int)    global flags: whoever reads what was stored sees all
//                                    that the storing thread saw and did before, its block's up to a barrier included
//   int load_relaxed(const int*)     what a flag is, or was a little while ago; sees nothing else, and does not wait
//                                    before its value is used
//   int wait_until_at_least(const int* flag, int value)     until load_acquire(flag) >= value, which is returned; the
//                                    one way to wait for another block, in a launch_resident
//   T load_global(const T*)          for int, float, float2, float4 and uint4: read-only data, through the read-only
//                                    cache. Never for what the same kernel writes, nor in a launch that starts early
//                                    for what the kernel before writes, not even after wait_for_previous_kernel(): the
//                                    load may be moved before it
//   uint4 load_once(const uint4*)    likewise, for what a block reads once: leaves the first-level cache to others
//   T load_fresh(const T*)           for float4 and uint4: what other blocks of the same kernel have written, or the
//                                    kernel before one that starts early; past the first-level cache
//
//   void copy_async(void* shared, const void* global)        16 bytes, both aligned to 16; not visible before a wait
//   void copy_async_commit()         ends a group of copies of this thread
//   void copy_async_wait<N>()        until at most the N latest groups of this thread are under way; what arrived is
//                                    visible to this thread, to others after a barrier
//
//   void load_matrix(uint32_t (&r)[4], const Half* row)             ldmatrix.x4: lane l passes row l % 8 of 8x8 matrix
//   void load_matrix_transposed(uint32_t (&r)[4], const Half* row)  l / 8; register i holds matrix i; 16-byte aligned
//   void multiply_add(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
//                                    mma.m16n8k16, binary16 in, float accumulated, row by column
//
//   float exponential(float)         expf, no fast-math; float logarithm(float) likewise
//   float maximum(float, float)      a NaN on either side stays a NaN
//   float magnitude(float)
//   int maximum(int, int), minimum(int, int)
//
//   void wait_for_previous_kernel()  in a launch with Overlap::with_previous: until the kernels before it in its stream
//                                    have ended and what they wrote is visible to this thread, to others after a block
//                                    barrier. Some thread of every block calls it, or the next kernel would not know
//                                    that those before have ended. No effect in other launches
//   void let_next_kernel_start()     the blocks of a next kernel that is launched with Overlap::with_previous may start
//                                    once each block of this one has called it or ended. Makes nothing visible
//
//   Status launch(kernel, Grid grid, int threads, size_t shared_bytes, Stream stream, const Parameters& parameters,
//                 Overlap overlap = Overlap::none)
//                                    Grid{x, y}; asks for more than 48 KB of shared memory where needed
//
//   Status launch_resident(kernel, Grid grid, int threads, size_t shared_bytes, Stream stream, const Parameters&)
//                                    of blocks that wait for each other: all run at once, or kTooManyBlocks
//   Status resident_blocks(kernel, int threads, size_t shared_bytes, int& blocks)    how many fit the current device at
//                                    once
//
// Threads that run to their end while others still meet at a barrier, and copies that are never waited for, are errors
// to the host implementation, though a GPU may bear them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "adasgn/cuda/runtime.h"

namespace adasgn::cuda {

struct Grid {
    int x;
    int y = 1;
};

struct Half {
    std::uint16_t bits;
};

// Whether a kernel's blocks may start before the kernel before it in the stream has ended (programmatic dependent
// launch): what comes before wait_for_previous_kernel() then runs beside it. Where they may not, it starts as any
// other.
enum class Overlap { none, with_previous };

// Whether they may: from compute capability 9.0, and, as all runs may be captured, where a graph can say so of an edge,
// which is since CUDA 12.3. Versions as cudaDriverGetVersion and cudaRuntimeGetVersion number them.
constexpr bool can_overlap(int capability_major, int driver, int runtime) {
    constexpr int edges_have_data = 12030;
    return capability_major >= 9 && driver >= edges_have_data && runtime >= edges_have_data;
}

}  // namespace adasgn::cuda

#ifdef __CUDACC__
#include "device_cuda.h"
#else
#include "device_host.h"
#endif
