// NVIDIA's occupancy calculator (cuda_occupancy.h) for multiprocessors that need not be at hand.
//
// Reads lines of numbers: compute capability major, minor, threads a multiprocessor, shared memory a multiprocessor,
// most shared memory a block, then registers a thread, static shared bytes, threads a block, dynamic shared bytes.
// Writes for each: blocks a multiprocessor <tab> what limits them, separated by "+".
#include <cuda_occupancy.h>

#include <climits>
#include <cstdio>
#include <string>
#include <utility>

int main() {
    cudaOccDeviceProp device;
    cudaOccFuncAttributes kernel;
    int threads;
    std::size_t dynamic;
    device.maxThreadsPerBlock = 1024;
    device.regsPerBlock = device.regsPerMultiprocessor = 64 * 1024;
    device.warpSize = 32;
    device.numSms = 1;
    device.sharedMemPerBlock = 48 * 1024;
    device.reservedSharedMemPerBlock = 1024;
    while (std::scanf("%d %d %d %zu %zu %d %zu %d %zu", &device.computeMajor, &device.computeMinor,
                      &device.maxThreadsPerMultiprocessor, &device.sharedMemPerMultiprocessor,
                      &device.sharedMemPerBlockOptin, &kernel.numRegs, &kernel.sharedSizeBytes, &threads,
                      &dynamic) == 9) {
        kernel.maxThreadsPerBlock = INT_MAX;
        kernel.partitionedGCConfig = PARTITIONED_GC_OFF;
        kernel.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
        kernel.maxDynamicSharedSizeBytes = dynamic;
        kernel.numBlockBarriers = 1;
        const cudaOccDeviceState state;
        cudaOccResult result;
        const cudaOccError error =
            cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, threads, dynamic);
        if (error != CUDA_OCC_SUCCESS) {
            std::fprintf(stderr, "occupancy: the calculator refuses this multiprocessor or kernel: error %d\n", error);
            return 1;
        }
        const std::pair<unsigned, const char*> limits[] = {{OCC_LIMIT_WARPS, "threads"},
                                                           {OCC_LIMIT_REGISTERS, "registers"},
                                                           {OCC_LIMIT_SHARED_MEMORY, "shared memory"},
                                                           {OCC_LIMIT_BLOCKS, "blocks"}};
        std::string limited_by;
        for (const auto& [factor, name] : limits) {
            if (result.limitingFactors & factor) {
                limited_by += (limited_by.empty() ? "" : "+") + std::string(name);
            }
        }
        std::printf("%d\t%s\n", result.activeBlocksPerMultiprocessor, limited_by.c_str());
    }
    return 0;
}
