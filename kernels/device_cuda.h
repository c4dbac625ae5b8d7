// device.h for nvcc: thin names for CUDA's functions and for the PTX instructions that have none. sm_80 and later.
#pragma once

#include <cuda_runtime.h>

#include <map>
#include <mutex>
#include <tuple>

#define ADASGN_KERNEL(threads, blocks) __global__ __launch_bounds__(threads, blocks)
#define ADASGN_DEVICE __device__ __forceinline__

namespace adasgn::cuda {

ADASGN_DEVICE Half to_half(float value) {
    Half half;
    asm("cvt.rn.satfinite.f16.f32 %0, %1;" : "=h"(half.bits) : "f"(value));
    return half;
}

ADASGN_DEVICE float to_float(Half half) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half.bits));
    return value;
}

ADASGN_DEVICE std::uint32_t pack(float low, float high) {
    std::uint32_t both;
    asm("cvt.rn.satfinite.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}

ADASGN_DEVICE float2 unpack(std::uint32_t both) {
    return {to_float(Half{static_cast<std::uint16_t>(both & 0xffffu)}),
            to_float(Half{static_cast<std::uint16_t>(both >> 16)})};
}

ADASGN_DEVICE int thread_index() {
    return static_cast<int>(threadIdx.x);
}
ADASGN_DEVICE int block_threads() {
    return static_cast<int>(blockDim.x);
}
ADASGN_DEVICE int lane() {
    return static_cast<int>(threadIdx.x % 32);
}
ADASGN_DEVICE int warp() {
    return static_cast<int>(threadIdx.x / 32);
}
ADASGN_DEVICE int block_index() {
    return static_cast<int>(blockIdx.x);
}
ADASGN_DEVICE int block_index_y() {
    return static_cast<int>(blockIdx.y);
}
ADASGN_DEVICE int grid_blocks() {
    return static_cast<int>(gridDim.x);
}

ADASGN_DEVICE unsigned char* shared_memory() {
    extern __shared__ __align__(128) unsigned char adasgn_shared[];
    return adasgn_shared;
}

ADASGN_DEVICE void block_barrier() {
    __syncthreads();
}
ADASGN_DEVICE void warp_barrier() {
    __syncwarp();
}
ADASGN_DEVICE float shuffle_xor(float value, int mask) {
    return __shfl_xor_sync(0xffffffffu, value, mask);
}
ADASGN_DEVICE int shuffle_xor(int value, int mask) {
    return __shfl_xor_sync(0xffffffffu, value, mask);
}
ADASGN_DEVICE unsigned ballot(bool vote) {
    return __ballot_sync(0xffffffffu, vote);
}
ADASGN_DEVICE int count_bits(unsigned bits) {
    return __popc(bits);
}
ADASGN_DEVICE int atomic_add(int* address, int value) {
    return atomicAdd(address, value);
}
ADASGN_DEVICE int atomic_max(int* address, int value) {
    return atomicMax(address, value);
}
ADASGN_DEVICE void fence() {
    __threadfence();
}

ADASGN_DEVICE int atomic_add_ordered(int* address, int value) {
    int before;
    asm volatile("atom.acq_rel.gpu.global.add.s32 %0, [%1], %2;"
                 : "=r"(before)
                 : "l"(__cvta_generic_to_global(address)), "r"(value)
                 : "memory");
    return before;
}

ADASGN_DEVICE int load_acquire(const int* address) {
    int value;
    asm volatile("ld.acquire.gpu.global.s32 %0, [%1];"
                 : "=r"(value)
                 : "l"(__cvta_generic_to_global(address))
                 : "memory");
    return value;
}
ADASGN_DEVICE void store_release(int* address, int value) {
    asm volatile("st.release.gpu.global.s32 [%0], %1;" ::"l"(__cvta_generic_to_global(address)), "r"(value) : "memory");
}
ADASGN_DEVICE int load_relaxed(const int* address) {
    int value;
    asm volatile("ld.relaxed.gpu.global.s32 %0, [%1];" : "=r"(value) : "l"(__cvta_generic_to_global(address)));
    return value;
}
ADASGN_DEVICE int wait_until_at_least(const int* flag, int value) {
    int found;
    do {
        found = load_acquire(flag);
    } while (found < value);
    return found;
}

template <class T>
ADASGN_DEVICE T load_global(const T* address) {
    return __ldg(address);
}

ADASGN_DEVICE uint4 load_once(const uint4* address) {
    uint4 value;
    asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
        : "l"(__cvta_generic_to_global(address)));
    return value;
}

template <class T>
ADASGN_DEVICE T load_fresh(const T* address) {
    return __ldcg(address);
}

ADASGN_DEVICE std::uint32_t shared_address(const void* shared) {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
}

ADASGN_DEVICE void copy_async(void* shared, const void* global) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)),
                 "l"(__cvta_generic_to_global(global))
                 : "memory");
}

ADASGN_DEVICE void copy_async_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

template <int N>
ADASGN_DEVICE void copy_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

// Volatile keeps it on its side of the barriers, which are what orders it with stores to shared memory.
ADASGN_DEVICE void load_matrix(std::uint32_t (&r)[4], const Half* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row)));
}

ADASGN_DEVICE void load_matrix_transposed(std::uint32_t (&r)[4], const Half* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row)));
}

ADASGN_DEVICE void multiply_add(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

ADASGN_DEVICE float exponential(float x) {
    return expf(x);
}
ADASGN_DEVICE float logarithm(float x) {
    return logf(x);
}
ADASGN_DEVICE float maximum(float a, float b) {
    float greater;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(greater) : "f"(a), "f"(b));
    return greater;
}
ADASGN_DEVICE float magnitude(float x) {
    return fabsf(x);
}
ADASGN_DEVICE int maximum(int a, int b) {
    return max(a, b);
}
ADASGN_DEVICE int minimum(int a, int b) {
    return min(a, b);
}

ADASGN_DEVICE void wait_for_previous_kernel() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
ADASGN_DEVICE void let_next_kernel_start() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// What a kernel's type says of its parameters, kept from taking part in deduction.
template <class T>
struct Same {
    using type = T;
};

// An error is reported where it is met, not by the next call as well.
inline Status launch_outcome(cudaError_t error) {
    if (error != cudaSuccess) static_cast<void>(cudaGetLastError());
    return Status{error};
}

// What the runtime says of a kernel, in blocks of so many threads and bytes, on a device: it is asked once, as its
// answers cost a launch or more of the host's time.
class Answers {
  public:
    struct Question {
        const void* kernel = nullptr;  // null: of the device alone
        int threads = 0;
        std::size_t shared_bytes = 0;
    };
    // Of the current device; ask(answer, device) where it is not known yet.
    template <class Ask>
    Status find(const Question& question, int& answer, const Ask& ask) {
        int device = 0;
        if (Status failed = launch_outcome(cudaGetDevice(&device))) return failed;
        const auto key = std::make_tuple(device, question.kernel, question.threads, question.shared_bytes);
        const std::lock_guard<std::mutex> lock(mutex_);
        auto known = known_.find(key);
        if (known == known_.end()) {
            int found = 0;
            if (Status failed = launch_outcome(ask(found, device))) return failed;
            known = known_.emplace(key, found).first;
        }
        answer = known->second;
        return Status{};
    }

  private:
    std::mutex mutex_;
    std::map<std::tuple<int, const void*, int, std::size_t>, int> known_;
};

// Whether the current device can start a kernel before the one before it has ended.
inline Status launches_overlap(bool& overlap) {
    static Answers known;
    int can = 0;
    const Status status = known.find({}, can, [](int& found, int device) {
        int major = 0;
        int driver = 0;
        int runtime = 0;
        cudaError_t error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
        if (error == cudaSuccess) error = cudaDriverGetVersion(&driver);
        if (error == cudaSuccess) error = cudaRuntimeGetVersion(&runtime);
        found = can_overlap(major, driver, runtime) ? 1 : 0;
        return error;
    });
    overlap = can != 0;
    return status;
}

// What a multiprocessor has for shared memory and first-level cache is divided as the kernels on it ask, and it must be
// empty before it can be divided anew. Left to the driver, each kernel asks for what its own blocks need, so that one
// that starts early would find no room beside the kernel before it, and any kernel of another size would wait for all
// blocks. So all ask for as much shared memory as there is; weights do not need the cache (load_once).
inline Status prefer_shared_memory(const void* kernel) {
    static Answers asked;
    int unused = 0;
    return asked.find({kernel}, unused, [&](int&, int) {
        return cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                                    cudaSharedmemCarveoutMaxShared);
    });
}

inline Status allow_shared_memory(const void* kernel, std::size_t bytes) {
    if (Status failed = prefer_shared_memory(kernel)) return failed;
    constexpr std::size_t without_opt_in = 48 * 1024;
    if (bytes <= without_opt_in) return Status{};
    return launch_outcome(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)));
}

// With one attribute, or none.
inline Status launch_with(const cudaLaunchAttribute* attribute, const void* kernel, Grid grid, int threads,
                          std::size_t shared_bytes, Stream stream, const void* parameters) {
    cudaLaunchAttribute attributes[1] = {};
    if (attribute != nullptr) attributes[0] = *attribute;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y));
    config.blockDim = dim3(static_cast<unsigned>(threads));
    config.dynamicSmemBytes = shared_bytes;
    config.stream = static_cast<cudaStream_t>(stream);
    config.attrs = attributes;
    config.numAttrs = attribute != nullptr ? 1 : 0;
    void* arguments[] = {const_cast<void*>(parameters)};
    return launch_outcome(cudaLaunchKernelExC(&config, kernel, arguments));
}

template <class Parameters>
Status launch(void (*kernel)(Parameters), Grid grid, int threads, std::size_t shared_bytes, Stream stream,
              const typename Same<Parameters>::type& parameters, Overlap overlap = Overlap::none) {
    const void* const function = reinterpret_cast<const void*>(kernel);
    if (Status failed = allow_shared_memory(function, shared_bytes)) return failed;
    bool overlaps = false;
    if (overlap == Overlap::with_previous)
        if (Status failed = launches_overlap(overlaps)) return failed;
    cudaLaunchAttribute serialization{};
    serialization.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    serialization.val.programmaticStreamSerializationAllowed = 1;
    return launch_with(overlaps ? &serialization : nullptr, function, grid, threads, shared_bytes, stream, &parameters);
}

template <class Parameters>
Status resident_blocks(void (*kernel)(Parameters), int threads, std::size_t shared_bytes, int& blocks) {
    static Answers known;
    blocks = 0;
    const void* const function = reinterpret_cast<const void*>(kernel);
    if (Status failed = allow_shared_memory(function, shared_bytes)) return failed;
    return known.find({function, threads, shared_bytes}, blocks, [&](int& found, int device) {
        int multiprocessors = 0;
        int each = 0;
        int cooperates = 0;
        cudaError_t error = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
        if (error == cudaSuccess) error = cudaDeviceGetAttribute(&cooperates, cudaDevAttrCooperativeLaunch, device);
        if (error != cudaSuccess || cooperates == 0) return error;
        const cudaError_t occupancy =
            cudaOccupancyMaxActiveBlocksPerMultiprocessor(&each, kernel, threads, shared_bytes);
        found = multiprocessors * each;
        return occupancy;
    });
}

// As a cooperative launch, which starts all blocks at once: where other work holds a part of the device, once there is
// room for all.
template <class Parameters>
Status launch_resident(void (*kernel)(Parameters), Grid grid, int threads, std::size_t shared_bytes, Stream stream,
                       const typename Same<Parameters>::type& parameters) {
    int blocks = 0;
    if (Status failed = resident_blocks(kernel, threads, shared_bytes, blocks)) return failed;
    if (grid.x * grid.y > blocks) return Status{kTooManyBlocks};  // asked here, as a capture might not tell
    cudaLaunchAttribute cooperative{};
    cooperative.id = cudaLaunchAttributeCooperative;
    cooperative.val.cooperative = 1;
    return launch_with(&cooperative, reinterpret_cast<const void*>(kernel), grid, threads, shared_bytes, stream,
                       &parameters);
}

}  // namespace adasgn::cuda
