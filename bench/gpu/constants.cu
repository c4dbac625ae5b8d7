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
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "constants_kernels.h"

using namespace adasgn_constants;

namespace {

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

    void graphs(bool dependent_launches, int multiprocessors) {
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
        const auto launch_cooperative = [&](int blocks) {
            void* no_arguments[1] = {};
            return cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(nothing),
                                               dim3(static_cast<unsigned>(blocks)), dim3(kThreads), no_arguments, 0,
                                               stream_);
        };
        time_runs("cooperative", [&] { expect_ok(launch_cooperative(16), "a cooperative launch"); });
        // As a node with a block for each multiprocessor, beside a plain one; where a capture takes no cooperative
        // launch, the other measurements go on.
        time_graph("graph/all multiprocessors/1",
                   [&] { nothing<<<static_cast<unsigned>(multiprocessors), kThreads, 0, stream_>>>(); });
        if (captures([&] { return launch_cooperative(multiprocessors); })) {
            time_graph("graph/cooperative/1",
                       [&] { expect_ok(launch_cooperative(multiprocessors), "a cooperative launch"); });
        } else {
            std::fprintf(stderr, "constants: graph/cooperative/1: left out, a capture takes no cooperative launch\n");
        }
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
        const double turns = clocks([&] {
            constexpr std::size_t kFlags = 256;  // bytes before the rows
            expect_ok(cudaMemsetAsync(device_, 0, kFlags + 2 * kThreads * sizeof(float), stream_), "a fill");
            int* flags = reinterpret_cast<int*>(device_);
            float* rows = reinterpret_cast<float*>(reinterpret_cast<char*>(device_) + kFlags);
            int rounds = kGridRounds;
            void* arguments[] = {&found_, &flags, &rows, &rounds};
            expect_ok(cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(flags_by_turns), dim3(2),
                                                  dim3(kThreads), arguments, 0, stream_),
                      "blocks that take turns");
        });
        print("flag/handed over", turns / (2 * kGridRounds), "clocks");
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
        time_runs(name, [&] { expect_ok(cudaGraphLaunch(ready, stream_), name.c_str()); });
        expect_ok(cudaGraphExecDestroy(ready), "a graph");
        expect_ok(cudaGraphDestroy(graph), "a graph");
    }

    // Whether a graph can have such a launch, which returns its error.
    template <class Launch>
    bool captures(const Launch& launch) {
        cudaGraph_t graph{};
        expect_ok(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "capture");
        const bool launched = launch() == cudaSuccess;
        const bool captured = cudaStreamEndCapture(stream_, &graph) == cudaSuccess && launched;
        static_cast<void>(cudaGetLastError());
        if (graph != nullptr) {
            expect_ok(cudaGraphDestroy(graph), "a graph");
        }
        return captured;
    }

    template <class Run>
    void time_runs(const std::string& name, const Run& run) {
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
    bench.graphs(device.major >= 9, device.multiProcessorCount);
    bench.barriers(device.multiProcessorCount);
    bench.latencies();
    bench.rates();
    bench.streams(device.multiProcessorCount);
    bench.code();
    return 0;
}
