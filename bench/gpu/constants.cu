// What the parts of a GPU cost of which bench/predict builds its times: `python -m bench.gpu.constants` compiles this
// for the GPU at hand, runs it and keeps what it prints, one line a measurement:
//
//     name <tab> value <tab> unit
//
// Names are paths: what is measured, its variants, and for graphs the way of timing: `idle` (an event before the launch
// on an idle device to one after it), `steady` (launches that follow each other, of each), `wall` (the host's launch
// and wait). Clocks are those of one multiprocessor, of the last of three runs, so that caches are warm.
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

constexpr int kLanes = 32;
constexpr int kWarps = 8;  // of a block, as the branch kernels have
constexpr int kThreads = kLanes * kWarps;
constexpr int kRounds = 256;  // of a chain of dependent instructions
constexpr int kRows = 128;    // blocks of weights that a warp streams
constexpr int kBlockBytes = 512;
constexpr int kGraphRuns = 300;

void expect_ok(cudaError_t error, const char* what) {
    if (error != cudaSuccess) {
        std::fprintf(stderr, "constants: %s: %s\n", what, cudaGetErrorString(error));
        std::exit(1);
    }
}

void print(const std::string& name, double value, const char* unit) {
    std::printf("%s\t%.3f\t%s\n", name.c_str(), value, unit);
}

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

// Each lane 16 bytes, those of a warp side by side.
__global__ void shared_loads(Found* found) {
    clear_shared(kSharedBytes);
    const std::uint32_t start = shared_address(shared_memory()) + threadIdx.x % kThreads * 16;
    unsigned sum = 0;
    const long long begin = clock64();
    for (int i = 0; i < kRounds; ++i) {
#pragma unroll
        for (int load = 0; load < kLoads; ++load) {
            uint4 v;
            asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
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

// -- timing ----------------------------------------------------------------------------------------------------------

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

class Bench {
  public:
    Bench() {
        expect_ok(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "a stream");
        expect_ok(cudaEventCreate(&before_), "an event");
        expect_ok(cudaEventCreate(&after_), "an event");
        expect_ok(cudaMalloc(&device_, kBytes), "memory of the device");
        expect_ok(cudaMemset(device_, 0, kBytes), "clearing memory");
        expect_ok(cudaMalloc(&found_, 2 * sizeof(Found)), "memory of the device");
        expect_ok(cudaMallocHost(&host_, kHostBytes), "memory of the host");
        void* mapped = nullptr;
        expect_ok(cudaHostGetDevicePointer(&mapped, host_, 0), "the host's memory as the device sees it");
        mapped_ = static_cast<int*>(mapped);
    }

    void graphs(bool dependent_launches) {
        for (const int count : {1, 2, 3, 4, 6, 8}) {
            const std::string nodes = std::to_string(count);
            time_graph("graph/" + nodes, [&] { launch_nothing(count); });
            if (dependent_launches) {
                time_graph("graph/dependent/" + nodes, [&] { launch_dependent(count); });
            }
        }
        time_graph("copies/kernel+down", [&] {
            launch_nothing(1);
            copy(host_, device_, cudaMemcpyDeviceToHost);
        });
        time_graph("copies/up+kernel", [&] {
            copy(device_, host_, cudaMemcpyHostToDevice);
            launch_nothing(1);
        });
        time_graph("copies/up+kernel+3 down", [&] {
            copy(device_, host_, cudaMemcpyHostToDevice);
            launch_nothing(1);
            for (int i = 0; i < 3; ++i) {
                copy(host_ + 16 * i, device_ + 16 * i, cudaMemcpyDeviceToHost);
            }
        });
        time_graph("copies/kernel writes the host's memory",
                   [&] { copy_words<<<1, kLanes, 0, stream_>>>(mapped_, device_); });
        time_graph("copies/kernel reads the host's memory",
                   [&] { copy_words<<<1, kLanes, 0, stream_>>>(device_, mapped_); });
        time_graph("copies/fill+kernel", [&] {
            expect_ok(cudaMemsetAsync(device_, 0, 64, stream_), "a fill");
            launch_nothing(1);
        });
    }

    void barriers(int multiprocessors) {
        for (const int threads : {128, 256, 512}) {
            print("barrier/" + std::to_string(threads),
                  clocks([&] { block_barriers<<<1, threads, 0, stream_>>>(found_); }) / kRounds, "clocks");
        }
        constexpr int kGridRounds = 64;
        for (const int blocks : block_counts(multiprocessors)) {
            const double all = clocks([&] {
                expect_ok(cudaMemsetAsync(device_, 0, sizeof(unsigned), stream_), "a fill");
                auto* arrived = reinterpret_cast<unsigned*>(device_);
                int rounds = kGridRounds;
                void* arguments[] = {&found_, &arrived, &rounds};
                expect_ok(cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(grid_barriers),
                                                      dim3(static_cast<unsigned>(blocks)), dim3(kThreads), arguments, 0,
                                                      stream_),
                          "a grid whose blocks wait for each other");
            });
            print("grid barrier/" + std::to_string(blocks), all / kGridRounds, "clocks");
        }
    }

    void latencies() {
        const auto chain = [&](int places, int step) {
            std::vector<unsigned> next(static_cast<std::size_t>(places));
            for (int i = 0; i < places; ++i) {
                next[static_cast<std::size_t>(i)] = static_cast<unsigned>((i + step) % places);
            }
            expect_ok(cudaMemcpy(device_, next.data(), next.size() * sizeof(unsigned), cudaMemcpyHostToDevice),
                      "a chain of places");
            return reinterpret_cast<const unsigned*>(device_);
        };
        const auto of_one = [&](const char* name, const auto& launch) {
            print(std::string("latency/") + name, clocks(launch) / kRounds, "clocks");
        };
        const unsigned* places = chain(1 << 16, 1056);
        of_one("second-level cache", [&] { second_level_chain<<<1, 1, 0, stream_>>>(found_, places); });
        places = chain(2048, 32);
        of_one("first-level cache", [&] { first_level_chain<<<1, 1, 0, stream_>>>(found_, places); });
        of_one("shared memory", [&] { shared_chain<<<1, kLanes, 1024, stream_>>>(found_); });
        of_one("ldmatrix", [&] { matrix_chain<<<1, kLanes, 1024, stream_>>>(found_); });
        of_one("mma", [&] { tensor_chains<1><<<1, kLanes, 0, stream_>>>(found_); });
        of_one("ffma", [&] { ordinary_chains<1><<<1, kLanes, 0, stream_>>>(found_, 0.5F); });
    }

    void rates() {
        for (const int warps : {8, 16}) {
            const double products = 1.0 * warps * kRounds * 8 * 16 * 8 * 16;
            print("rate/mma/" + std::to_string(warps),
                  products / clocks([&] { tensor_chains<8><<<1, kLanes * warps, 0, stream_>>>(found_); }),
                  "multiply-adds a clock");
            const double multiply_adds = 1.0 * warps * kLanes * kRounds * 8;
            print("rate/ffma/" + std::to_string(warps),
                  multiply_adds / clocks([&] { ordinary_chains<8><<<1, kLanes * warps, 0, stream_>>>(found_, 0.5F); }),
                  "multiply-adds a clock");
            const double bytes = 1.0 * warps * kLanes * kRounds * kLoads * 16;
            print("rate/shared loads/" + std::to_string(warps),
                  bytes / clocks([&] { shared_loads<<<1, kLanes * warps, kSharedBytes, stream_>>>(found_); }),
                  "bytes a clock");
            print("rate/shared stores/" + std::to_string(warps),
                  bytes / clocks([&] { shared_stores<<<1, kLanes * warps, kSharedBytes, stream_>>>(found_); }),
                  "bytes a clock");
        }
    }

    void streams(int multiprocessors) {
        for (const int blocks : block_counts(multiprocessors)) {
            stream_by_ring<4>(blocks);
            stream_by_ring<8>(blocks);
            stream_by_ring<24>(blocks);
            stream_by_registers<8>(blocks);
            stream_by_registers<16>(blocks);
        }
    }

    // Four kernels in turn, 256 KB: more than a multiprocessor keeps of its instructions. A warp a scheduler.
    void code() {
        double first = 0;
        double second = 0;
        for (int turn = 0; turn < 3; ++turn) {
            straight_code<0><<<1, 4 * kLanes, 0, stream_>>>(found_, found_ + 1, 0.5F);
            first = read(0);
            second = read(1);
            straight_code<1><<<1, 4 * kLanes, 0, stream_>>>(found_, found_ + 1, 0.5F);
            straight_code<2><<<1, 4 * kLanes, 0, stream_>>>(found_, found_ + 1, 0.5F);
            straight_code<3><<<1, 4 * kLanes, 0, stream_>>>(found_, found_ + 1, 0.5F);
        }
        print("code/first pass", 16.0 * kCode / first, "bytes a clock");
        print("code/second pass", 16.0 * kCode / second, "bytes a clock");
    }

  private:
    static constexpr std::size_t kBytes = 1 << 24;
    static constexpr std::size_t kHostBytes = 1 << 16;
    static constexpr std::size_t kClipBytes = 20 * 22 * 3 * sizeof(float);

    static std::vector<int> block_counts(int multiprocessors) {
        std::vector<int> counts{1};
        for (const int blocks : {8, 20, 64}) {
            if (blocks < multiprocessors) {
                counts.push_back(blocks);
            }
        }
        counts.push_back(multiprocessors);
        return counts;
    }

    void copy(void* to, const void* from, cudaMemcpyKind kind) {
        const std::size_t bytes = kind == cudaMemcpyHostToDevice ? kClipBytes : 64;
        expect_ok(cudaMemcpyAsync(to, from, bytes, kind, stream_), "a copy");
    }

    void launch_nothing(int count) {
        for (int i = 0; i < count; ++i) {
            nothing<<<20, kThreads, 0, stream_>>>();
        }
    }

    void launch_dependent(int count) {
        for (int i = 0; i < count; ++i) {
            cudaLaunchAttribute attribute{};
            attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
            attribute.val.programmaticStreamSerializationAllowed = 1;
            cudaLaunchConfig_t configuration{};
            configuration.gridDim = 20;
            configuration.blockDim = kThreads;
            configuration.stream = stream_;
            configuration.attrs = &attribute;
            configuration.numAttrs = 1;
            expect_ok(cudaLaunchKernelEx(&configuration, nothing_dependent), "a dependent launch");
        }
    }

    template <class Launch>
    void time_graph(const std::string& name, const Launch& launch) {
        cudaGraph_t graph{};
        cudaGraphExec_t ready{};
        expect_ok(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "capture");
        launch();
        expect_ok(cudaStreamEndCapture(stream_, &graph), "capture");
        expect_ok(cudaGraphInstantiate(&ready, graph, 0), "a graph");
        expect_ok(cudaGraphUpload(ready, stream_), "a graph");
        expect_ok(cudaStreamSynchronize(stream_), name.c_str());
        const auto run = [&] { expect_ok(cudaGraphLaunch(ready, stream_), name.c_str()); };
        const auto wait = [&] { expect_ok(cudaStreamSynchronize(stream_), name.c_str()); };
        const auto record = [&](cudaEvent_t event) { expect_ok(cudaEventRecord(event, stream_), "an event"); };
        const auto between = [&] {
            float milliseconds = 0;
            expect_ok(cudaEventElapsedTime(&milliseconds, before_, after_), "events");
            return 1e3 * static_cast<double>(milliseconds);
        };
        std::vector<double> idle;
        std::vector<double> wall;
        for (int i = 0; i < kGraphRuns; ++i) {
            record(before_);
            run();
            record(after_);
            wait();
            idle.push_back(between());
        }
        for (int i = 0; i < kGraphRuns; ++i) {
            const auto begin = std::chrono::steady_clock::now();
            run();
            wait();
            wall.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
        }
        record(before_);
        for (int i = 0; i < kGraphRuns; ++i) {
            run();
        }
        record(after_);
        wait();
        print(name + "/idle", median(idle), "us");
        print(name + "/steady", between() / kGraphRuns, "us");
        print(name + "/wall", median(wall), "us");
        expect_ok(cudaGraphExecDestroy(ready), "a graph");
        expect_ok(cudaGraphDestroy(graph), "a graph");
    }

    double read(int which) {
        expect_ok(cudaGetLastError(), "a launch");
        Found found;
        expect_ok(cudaMemcpyAsync(&found, found_ + which, sizeof found, cudaMemcpyDeviceToHost, stream_), "a copy");
        expect_ok(cudaStreamSynchronize(stream_), "a kernel");
        return static_cast<double>(found.clocks);
    }

    template <class Launch>
    double clocks(const Launch& launch) {
        double last = 0;
        for (int i = 0; i < 3; ++i) {
            launch();
            last = read(0);
        }
        return last;
    }

    void print_stream(const std::string& name, int blocks, double clocks) {
        print("stream/" + name + "/" + std::to_string(blocks), 1.0 * kRows * kBlockBytes * kWarps / clocks,
              "bytes a clock");
    }

    template <int Stages>
    void stream_by_ring(int blocks) {
        constexpr int kShared = kWarps * Stages * kBlockBytes;
        expect_ok(cudaFuncSetAttribute(stream_async<Stages>, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared),
                  "shared memory of a ring");
        print_stream("ring of " + std::to_string(Stages), blocks, clocks([&] {
                         stream_async<Stages>
                             <<<static_cast<unsigned>(blocks), kThreads, kShared, stream_>>>(found_, weights());
                     }));
    }

    template <int Ahead>
    void stream_by_registers(int blocks) {
        print_stream("registers, " + std::to_string(Ahead), blocks, clocks([&] {
                         stream_registers<Ahead>
                             <<<static_cast<unsigned>(blocks), kThreads, 0, stream_>>>(found_, weights());
                     }));
    }

    const uint4* weights() const { return reinterpret_cast<const uint4*>(device_); }

    cudaStream_t stream_{};
    cudaEvent_t before_{};
    cudaEvent_t after_{};
    int* device_ = nullptr;
    int* host_ = nullptr;
    int* mapped_ = nullptr;
    Found* found_ = nullptr;
};

}  // namespace

int main() {
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) {
        std::fprintf(stderr, "constants: expected a GPU, found none that the driver shows, or no driver\n");
        return 2;
    }
    cudaDeviceProp device{};
    expect_ok(cudaGetDeviceProperties(&device, 0), "the device's properties");
    const auto attribute = [](cudaDeviceAttr which) {
        int value = 0;
        expect_ok(cudaDeviceGetAttribute(&value, which, 0), "the device's properties");
        return value;
    };
    int driver = 0;
    int runtime = 0;
    expect_ok(cudaDriverGetVersion(&driver), "the driver's version");
    expect_ok(cudaRuntimeGetVersion(&runtime), "the runtime's version");
    std::printf("device\t%s\n", device.name);
    print("compute capability", device.major + 0.1 * device.minor, "");
    print("multiprocessors", device.multiProcessorCount, "");
    print("clock", 1e-6 * attribute(cudaDevAttrClockRate), "GHz");
    print("second-level cache", 1e-6 * device.l2CacheSize, "MB");
    print("driver", driver / 1000 + 0.1 * (driver % 100 / 10), "");
    print("runtime", runtime / 1000 + 0.1 * (runtime % 100 / 10), "");
    Bench bench;
    bench.graphs(device.major >= 9);
    bench.barriers(device.multiProcessorCount);
    bench.latencies();
    bench.rates();
    bench.streams(device.multiProcessorCount);
    bench.code();
    return 0;
}
