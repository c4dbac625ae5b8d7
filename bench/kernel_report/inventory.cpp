// Lists every launch that the kernels' own launchers make: a runtime that records launches instead of making them,
// linked with the objects that nvcc made. So thread counts and bytes of dynamic shared memory are those of the launches
// themselves, and a kernel that no launcher reaches is one that the compiler's report has and this list lacks.
//
//     inventory BYTES…    for devices whose blocks may have BYTES of shared memory, one line a launch:
//                         BYTES <tab> mangled name <tab> threads <tab> dynamic bytes
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "launch.h"

namespace {

struct Configuration {
    dim3 grid;
    dim3 block;
    std::size_t shared = 0;
};

Configuration configuration;
int shared_limit = 0;

// Filled before main, by the objects' own start-up code.
std::map<const void*, std::string>& names() {
    static std::map<const void*, std::string> by_stub;
    return by_stub;
}

struct Attributes {
    int shared = 0;     // bytes, by opt-in
    int carve_out = 0;  // per cent of a multiprocessor's memory that is to be shared memory
};

std::map<const void*, Attributes>& attributes() {
    static std::map<const void*, Attributes> by_stub;
    return by_stub;
}

cudaError_t record(const void* stub, dim3 block, std::size_t shared) {
    constexpr std::size_t without_opt_in = 48 * 1024;
    const auto name = names().find(stub);
    if (name == names().end()) {
        return cudaErrorInvalidDeviceFunction;
    }
    const Attributes& known = attributes()[stub];
    if (shared > without_opt_in && static_cast<std::size_t>(known.shared) < shared) {
        return cudaErrorInvalidValue;  // as the runtime would
    }
    if (known.carve_out != cudaSharedmemCarveoutMaxShared) {
        return cudaErrorInvalidConfiguration;  // a kernel that would wait for those before it to leave
    }
    std::printf("%d\t%s\t%u\t%zu\n", shared_limit, name->second.c_str(), block.x * block.y * block.z, shared);
    return cudaSuccess;
}

void expect_ok(adasgn::cuda::Status status, const char* what) {
    if (status) {
        std::fprintf(stderr, "inventory: %s: error %d at %d bytes of shared memory\n", what, status.code, shared_limit);
        std::exit(1);
    }
}

// Every case that a launcher tells apart.
void launch_all() {
    using namespace adasgn::cuda;
    constexpr TileRows heights[] = {TileRows::r32, TileRows::r64, TileRows::r128};
    BranchParameters branch{};
    branch.frames.count = 1;
    branch.branches[0].joints = 1;
    branch.branch_count = 1;
    FrameParameters frame{};
    frame.frames.count = 1;
    const float weight = 0;
    frame.policy.weight = &weight;  // adaptive
    frame.branches[0].joints = 1;
    frame.branches[0].plain = &weight;
    PolicyParameters features{};
    features.frames.count = 1;
    features.branch.plain = &weight;
    RouteParameters router{};
    router.frames = 1;
    PoseParameters pose{};
    pose.frames.count = 1;
    CausalParameters stream{};
    float probability = 0;
    TemporalParameters head{};
    head.clips = head.persons = head.classes = 1;
    for (const Precision precision : {Precision::f16, Precision::f32}) {
        for (const TileRows rows : heights) {
            if (rows <= highest_branch_tile(precision, shared_limit)) {
                expect_ok(run_branches(branch, precision, rows, nullptr), "run_branches");
            }
            if (rows <= highest_branch_tile(precision, shared_limit)) {
                expect_ok(adasgn::cuda::pose(pose, precision, rows, nullptr), "pose");
            }
            for (const int stride : {1, 2}) {
                for (const int frames : {1, kSplitFrames}) {  // up to 16 rows, and more
                    head.stride = stride;
                    head.clip_rows = frames;
                    head.clip_frames = frames * stride;
                    if (rows <= highest_temporal_tile(precision) && head.clip_frames <= kSplitFrames) {
                        expect_ok(temporal(head, precision, rows, nullptr), "temporal");
                        TemporalParameters level = head;
                        level.escalation.probabilities = &probability;
                        expect_ok(temporal(level, precision, rows, nullptr), "temporal of a model that escalates");
                    }
                }
            }
        }
        expect_ok(run_frames(frame, precision, nullptr), "run_frames");
        for (const int tracks : {kCausalRows, kCausalRows + 1}) {
            stream.count = tracks;
            expect_ok(causal(stream, precision, nullptr), "causal");
        }
    }
    ClipParameters clip{};
    clip.spatial = frame;
    clip.spatial.frames.clip_frames = 1;
    clip.temporal = head;
    clip.temporal.stride = clip.temporal.clip_rows = clip.temporal.clip_frames = 1;
    expect_ok(run_clips(clip, nullptr), "run_clips");
    for (const int rows : {kFewPolicyRows, kMorePolicyRows, kManyPolicyRows}) {
        expect_ok(adasgn::cuda::policy(features, rows, nullptr), "policy");
    }
    expect_ok(route(router, nullptr), "route");
}

}  // namespace

// -- the runtime, as far as nvcc's host code calls it (crt/host_runtime.h)
// ---------------------------------------------

extern "C" {

void** __cudaRegisterFatBinary(void* /*binary*/) {
    static void* handle = nullptr;
    return &handle;
}
void __cudaRegisterFatBinaryEnd(void** /*handle*/) {}
void __cudaUnregisterFatBinary(void** /*handle*/) {}

void __cudaRegisterFunction(void** /*handle*/, const char* stub, char* /*device*/, const char* name, int /*threads*/,
                            uint3* /*thread*/, uint3* /*block*/, dim3* /*threads of*/, dim3* /*blocks of*/,
                            int* /*warp*/) {
    names()[stub] = name;
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t shared, struct CUstream_st* /*stream*/) {
    configuration = {grid, block, shared};
    return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* shared, void* /*stream*/) {
    *grid = configuration.grid;
    *block = configuration.block;
    *shared = configuration.shared;
    return cudaSuccess;
}

// Toolkits before 12.8 or so launch by the stub, later ones by a handle.
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* stub) {
    *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(stub));
    return cudaSuccess;
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 /*grid*/, dim3 block, void** /*arguments*/, std::size_t shared,
                               cudaStream_t /*stream*/) {
    return record(kernel, block, shared);
}

cudaError_t cudaLaunchKernel(const void* stub, dim3 /*grid*/, dim3 block, void** /*arguments*/, std::size_t shared,
                             cudaStream_t /*stream*/) {
    return record(stub, block, shared);
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* stub, void** /*arguments*/) {
    return record(stub, config->blockDim, config->dynamicSmemBytes);
}

// A device of compute capability 9.0, so that launches that may start early are made with their attribute, with room
// for every block of a launch at once.
cudaError_t cudaGetDevice(int* device) {
    *device = 0;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int /*device*/) {
    *value = attribute == cudaDevAttrComputeCapabilityMajor                                             ? 9
             : attribute == cudaDevAttrMultiProcessorCount || attribute == cudaDevAttrCooperativeLaunch ? 1
                                                                                                        : 0;
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void* /*stub*/, int /*threads*/,
                                                                   std::size_t /*shared*/, unsigned /*flags*/) {
    *blocks = 1024;
    return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* stub, cudaFuncAttribute attribute, int value) {
    if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
        attributes()[stub].shared = value;
    } else if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) {
        attributes()[stub].carve_out = value;
    }
    return cudaSuccess;
}

cudaError_t cudaGetLastError() {
    return cudaSuccess;
}

}  // extern "C"

int main(int count, char** arguments) {
    for (int i = 1; i < count; ++i) {
        shared_limit = std::atoi(arguments[i]);
        launch_all();
    }
    return 0;
}
