// The kernels by which constants.cu measures; each ends by writing its clocks.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace adasgn_constants {

constexpr int kLanes = 32;
constexpr int kWarps = 8;  // of a block, as the branch kernels have
constexpr int kThreads = kLanes * kWarps;
constexpr int kRounds = 256;  // of a chain of dependent instructions
constexpr int kRows = 128;    // blocks of weights that a warp streams
constexpr int kBlockBytes = 512;

// What a kernel found. `kept` takes results that nobody reads, for the compiler must think that somebody does.
struct Found {
    long long clocks;
    unsigned kept[1024];
};

__device__ std::uint32_t shared_address(const void* shared) {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
}

__device__ unsigned char* shared_memory() {
    extern __shared__ __align__(128) unsigned char shared[];
    return shared;
}

// Clears the block's shared memory; all threads.
__device__ void clear_shared(int bytes) {
    for (int i = static_cast<int>(threadIdx.x); i < bytes / 4; i += static_cast<int>(blockDim.x)) {
        reinterpret_cast<unsigned*>(shared_memory())[i] = 0;
    }
    __syncthreads();
}

// The block's last thread to arrive ends the time.
__device__ void finish(Found* found, long long begin, unsigned kept) {
    __syncthreads();
    if (threadIdx.x == 0 && blockIdx.x == 0) {
        found->clocks = clock64() - begin;
    }
    found->kept[threadIdx.x % 1024] = kept;
}

// -- nodes of a graph ------------------------------------------------------------------------------------------------

__global__ void nothing() {}

// A kernel that lets the next begin at once, and waits for the one before: programmatic dependent launch.
__global__ void nothing_dependent() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    cudaTriggerProgrammaticLaunchCompletion();
    cudaGridDependencySynchronize();
#endif
}

__global__ void copy_words(volatile int* to, const volatile int* from) {
    to[threadIdx.x] = from[threadIdx.x] + 1;
}

// -- latencies -------------------------------------------------------------------------------------------------------

__global__ void block_barriers(Found* found) {
    __syncthreads();
    const long long begin = clock64();
    for (int i = 0; i < kRounds; ++i) {
        __syncthreads();
    }
    finish(found, begin, 0);
}

__global__ void grid_barriers(Found* found, unsigned* arrived, int rounds) {
    const long long begin = clock64();
    for (unsigned round = 1; round <= static_cast<unsigned>(rounds); ++round) {
        __syncthreads();
        if (threadIdx.x == 0) {
            __threadfence();
            atomicAdd(arrived, 1U);
            unsigned seen = 0;
            while (seen < round * gridDim.x) {
                asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(arrived) : "memory");
            }
        }
        __syncthreads();
    }
    finish(found, begin, 0);
}

// Two blocks by turns, as kernels/causal.cu hands a layer over: all threads store a row, thread 0 the block's flag
// behind a barrier; a lane of every warp of the other block waits for it, and all threads load the row. 0 before:
// flags[2]; rows[2][threads of a block].
__global__ void flags_by_turns(Found* found, int* flags, float* rows, int rounds) {
    const int turn = static_cast<int>(blockIdx.x);
    float* const own = rows + blockIdx.x * blockDim.x + threadIdx.x;
    const float* const theirs = rows + (1 - blockIdx.x) * blockDim.x + threadIdx.x;
    float x = 0;
    const long long begin = clock64();
    for (int round = 1; round <= 2 * rounds; ++round) {
        if (round % 2 == 1 - turn) {  // block 0 stores in odd rounds
            *own = x + 1;
            __syncthreads();
            if (threadIdx.x == 0) {
                asm volatile("st.release.gpu.global.s32 [%0], %1;" ::"l"(flags + turn), "r"(round) : "memory");
            }
        } else {
            int seen = 0;
            while (threadIdx.x % kLanes == 0 && seen < round) {
                asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(seen) : "l"(flags + 1 - turn) : "memory");
            }
            __syncwarp();
            asm volatile("ld.global.cg.f32 %0, [%1];" : "=f"(x) : "l"(theirs) : "memory");
        }
    }
    finish(found, begin, static_cast<unsigned>(x));
}

// chain[i] is the place after place i. Second-level cache: the first level is passed by.
__global__ void second_level_chain(Found* found, const unsigned* chain) {
    unsigned at = 0;
    const long long begin = clock64();
    for (int i = 0; i < kRounds; ++i) {
        asm volatile("ld.global.cg.u32 %0, [%1];" : "=r"(at) : "l"(chain + at));
    }
    finish(found, begin, at);
}

__global__ void first_level_chain(Found* found, const unsigned* chain) {
    unsigned at = 0;
    for (int i = 0; i < kRounds; ++i) {
        asm volatile("ld.global.nc.u32 %0, [%1];" : "=r"(at) : "l"(chain + at));
    }
    const long long begin = clock64();
    for (int i = 0; i < kRounds; ++i) {
        asm volatile("ld.global.nc.u32 %0, [%1];" : "=r"(at) : "l"(chain + at));
    }
    finish(found, begin, at);
}

__global__ void shared_chain(Found* found) {
    clear_shared(1024);
    const std::uint32_t start = shared_address(shared_memory());
    std::uint32_t at = 0;
    const long long begin = clock64();
    for (int i = 0; i < kRounds; ++i) {
        asm volatile("ld.shared.u32 %0, [%1];" : "=r"(at) : "r"(start + at));
    }
    finish(found, begin, at);
}

__global__ void matrix_chain(Found* found) {
    clear_shared(1024);
    const std::uint32_t start = shared_address(shared_memory()) + threadIdx.x % kLanes * 16;
    std::uint32_t r[4] = {0, 0, 0, 0};
    const long long begin = clock64();
    for (int i = 0; i < kRounds; ++i) {
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(start + r[0]));
    }
    finish(found, begin, r[0] + r[1] + r[2] + r[3]);
}

__device__ void multiply_add(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Chains of products or of multiply-adds, `Chains` at a time: one shows the latency, several the rate.
template <int Chains>
__global__ void tensor_chains(Found* found) {
    float d[Chains][4] = {};
    const std::uint32_t a[4] = {0, 0, 0, 0};
    const long long begin = clock64();
    for (int i = 0; i < kRounds; ++i) {
#pragma unroll
        for (int chain = 0; chain < Chains; ++chain) {
            multiply_add(d[chain], a, threadIdx.x, 0);
        }
    }
    float sum = 0;
#pragma unroll
    for (int chain = 0; chain < Chains; ++chain) {
        sum += d[chain][0] + d[chain][1] + d[chain][2] + d[chain][3];
    }
    finish(found, begin, __float_as_uint(sum));
}

template <int Chains>
__global__ void ordinary_chains(Found* found, float factor) {
    float d[Chains] = {};
    const long long begin = clock64();
#pragma unroll 16
    for (int i = 0; i < kRounds; ++i) {
#pragma unroll
        for (int chain = 0; chain < Chains; ++chain) {
            asm volatile("fma.rn.f32 %0, %0, %1, %1;" : "+f"(d[chain]) : "f"(factor));
        }
    }
    float sum = 0;
#pragma unroll
    for (int chain = 0; chain < Chains; ++chain) {
        sum += d[chain];
    }
    finish(found, begin, __float_as_uint(sum));
}

// -- bytes -----------------------------------------------------------------------------------------------------------

constexpr int kSharedBytes = 32 * 1024;
constexpr int kLoads = 8;  // of each round

// Each lane 16 bytes, those of a warp side by side. Volatile for ptxas too, which otherwise loads once for several
// rounds.
__global__ void shared_loads(Found* found) {
    clear_shared(kSharedBytes);
    const std::uint32_t start = shared_address(shared_memory()) + threadIdx.x % kThreads * 16;
    unsigned sum = 0;
    const long long begin = clock64();
    for (int i = 0; i < kRounds; ++i) {
#pragma unroll
        for (int load = 0; load < kLoads; ++load) {
            uint4 v;
            asm volatile("ld.volatile.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                         : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                         : "r"(start + load * kThreads * 16));
            sum ^= v.x ^ v.y ^ v.z ^ v.w;
        }
    }
    finish(found, begin, sum);
}

__global__ void shared_stores(Found* found) {
    clear_shared(kSharedBytes);
    const std::uint32_t start = shared_address(shared_memory()) + threadIdx.x % kThreads * 16;
    const long long begin = clock64();
    for (int i = 0; i < kRounds; ++i) {
#pragma unroll
        for (int store = 0; store < kLoads; ++store) {
            asm volatile("st.shared.v4.u32 [%0], {%1, %1, %1, %1};" ::"r"(start + store * kThreads * 16), "r"(i)
                         : "memory");
        }
    }
    finish(found, begin, 0);
}

// As kernels/weight_stream.h: a warp's blocks of 512 bytes by way of its ring. All grid blocks read the same weights.
template <int Stages>
__global__ void stream_async(Found* found, const uint4* source) {
    const int warp = static_cast<int>(threadIdx.x) / kLanes;
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    const uint4* const from = source + warp * kRows * kLanes + lane;
    const std::uint32_t ring = shared_address(shared_memory()) + warp * Stages * kBlockBytes + lane * 16;
    int filled = 0;  // rows fetched, and where in the ring the next comes
    int to = 0;
    const auto fetch = [&] {
        if (filled < kRows) {
            asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(ring + to * kBlockBytes),
                         "l"(from + filled * kLanes)
                         : "memory");
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
        ++filled;
        to = to + 1 == Stages ? 0 : to + 1;
    };
    unsigned sum = 0;
    const long long begin = clock64();
#pragma unroll
    for (int slot = 0; slot < Stages - 1; ++slot) {
        fetch();
    }
    int slot = 0;
#pragma unroll 4
    for (int row = 0; row < kRows; ++row) {
        asm volatile("cp.async.wait_group %0;" ::"n"(Stages - 2) : "memory");
        uint4 v;
        asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                     : "r"(ring + slot * kBlockBytes)
                     : "memory");
        sum ^= v.x ^ v.y ^ v.z ^ v.w;
        slot = slot + 1 == Stages ? 0 : slot + 1;
        fetch();
    }
    finish(found, begin, sum);
}

// The same by way of registers, `Ahead` loads under way.
template <int Ahead>
__global__ void stream_registers(Found* found, const uint4* source) {
    static_assert(kRows % Ahead == 0);
    const uint4* const from = source + threadIdx.x / kLanes * kRows * kLanes + threadIdx.x % kLanes;
    uint4 held[Ahead];
    unsigned sum = 0;
    const long long begin = clock64();
#pragma unroll
    for (int i = 0; i < Ahead; ++i) {
        held[i] = __ldcg(from + i * kLanes);
    }
#pragma unroll 1
    for (int row = 0; row < kRows; row += Ahead) {
#pragma unroll
        for (int i = 0; i < Ahead; ++i) {
            sum ^= held[i].x ^ held[i].y ^ held[i].z ^ held[i].w;
            if (row + i + Ahead < kRows) {
                held[i] = __ldcg(from + (row + i + Ahead) * kLanes);
            }
        }
    }
    finish(found, begin, sum);
}

// -- instructions ----------------------------------------------------------------------------------------------------

constexpr int kCode = 4096;  // instructions of a pass, 64 KB

// A long straight line, passed twice: the first pass fetches it. Each `Copy` is code of its own.
template <int Copy>
__global__ void straight_code(Found* first, Found* second, float factor) {
    float d[8] = {};
#pragma unroll 1
    for (int pass = 0; pass < 2; ++pass) {
        __syncthreads();
        const long long begin = clock64();
#pragma unroll
        for (int i = 0; i < kCode / 8; ++i) {
            asm volatile(
                "fma.rn.f32 %0, %0, %8, %8; fma.rn.f32 %1, %1, %8, %8; fma.rn.f32 %2, %2, %8, %8; "
                "fma.rn.f32 %3, %3, %8, %8; fma.rn.f32 %4, %4, %8, %8; fma.rn.f32 %5, %5, %8, %8; "
                "fma.rn.f32 %6, %6, %8, %8; fma.rn.f32 %7, %7, %8, %8;"
                : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7])
                : "f"(factor));
        }
        float sum = static_cast<float>(Copy);
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            sum += d[i];
        }
        finish(pass == 0 ? first : second, begin, __float_as_uint(sum));
    }
}

}  // namespace adasgn_constants
