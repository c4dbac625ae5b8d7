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
//   void fence()                     global writes before it are seen by other blocks before those after it
//   T load_global(const T*)          for int, float, float4 and uint4: read-only data, through the read-only cache.
//                                    Never for what the same kernel writes
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
//   float exponential(float)         expf, no fast-math
//   float maximum(float, float)      a NaN on either side stays a NaN
//   int maximum(int, int), minimum(int, int)
//
//   Status launch(kernel, Grid grid, int threads, size_t shared_bytes, Stream stream, const Parameters& parameters)
//                                    Grid{x, y}; asks for more than 48 KB of shared memory where needed
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

}  // namespace adasgn::cuda

#ifdef __CUDACC__
#include "device_cuda.h"
#else
#include "device_host.h"
#endif
