// The torch ops on the emulated device, whose memory is the host's: what torch takes for tensors of the CPU lies there,
// an engine asked for on "cuda" says that it works on the CPU's tensors, and everything else is the code for CUDA.
// Beside it what a test needs: streams, capture, the emulator's findings.
#include <c10/core/CPUAllocator.h>
#include <torch/library.h>

#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "adasgn/cuda/memory.h"
#include "adasgn/cuda/runtime.h"
#include "emulator.h"
#include "ops.h"
#include "streams_host.h"

namespace adasgn::ops {

namespace {

// Memory for tensors out of one allocation of the device made beforehand, as torch's allocator for CUDA has it: during
// a capture the device itself allocates nothing. Blocks are powers of two and are used again.
class Arena final : public c10::Allocator {
  public:
    c10::DataPtr allocate(std::size_t bytes) override {
        if (bytes == 0) {
            return {nullptr, c10::kCPU};
        }
        const std::lock_guard<std::mutex> lock(mutex_);
        if (start_ == nullptr) {
            cuda::expect_ok(cuda::allocate(&start_, kBytes), "memory for tensors");
        }
        std::size_t size = 256;
        while (size < bytes) {
            size *= 2;
        }
        std::vector<void*>& free = free_[size];
        void* block = nullptr;
        if (!free.empty()) {
            block = free.back();
            free.pop_back();
        } else {
            TORCH_CHECK(size <= kBytes - used_, "emulated memory for tensors: ", kBytes, " bytes are used up");
            block = static_cast<char*>(start_) + used_;
            used_ += size;
            sizes_[block] = size;
        }
        return {block, block, &give_back, c10::kCPU};
    }

    void copy_data(void* to, const void* from, std::size_t bytes) const override { std::memcpy(to, from, bytes); }

    static Arena& only() {
        static auto* const arena = new Arena;  // tensors may outlive all else
        return *arena;
    }

  private:
    static constexpr std::size_t kBytes = std::size_t{1} << 29;

    static void give_back(void* block) {
        Arena& arena = only();
        const std::lock_guard<std::mutex> lock(arena.mutex_);
        arena.free_[arena.sizes_[block]].push_back(block);
    }

    std::mutex mutex_;
    void* start_ = nullptr;
    std::size_t used_ = 0;
    std::map<std::size_t, std::vector<void*>> free_;
    std::map<void*, std::size_t> sizes_;
};

const bool tensors_lie_on_the_device = [] {
    c10::SetCPUAllocator(&Arena::only(), /*priority=*/100);
    return true;
}();

// Streams 0 (the default one) and 1, 2, made when first used.
void use_stream(std::int64_t number) {
    static std::array<cuda::Stream, 3> streams{};
    cuda::Stream& stream = streams.at(static_cast<std::size_t>(number));
    if (number > 0 && stream == nullptr) {
        cuda::expect_ok(cuda::create_stream(stream), "a stream");
    }
    emulated_stream() = stream;
}

std::vector<cuda::GraphHandle*>& graphs() {
    static std::vector<cuda::GraphHandle*> all;
    return all;
}

void begin_capture() {
    cuda::expect_ok(cuda::begin_capture(emulated_stream()), "capture");
}

std::int64_t end_capture() {
    cuda::GraphHandle* graph = nullptr;
    cuda::expect_ok(cuda::end_capture(emulated_stream(), graph), "capture");
    graphs().push_back(graph);
    return static_cast<std::int64_t>(graphs().size()) - 1;
}

void launch(std::int64_t graph) {
    cuda::expect_ok(cuda::launch_graph(graphs().at(static_cast<std::size_t>(graph)), emulated_stream()), "a graph");
}

std::vector<std::string> findings() {
    std::vector<std::string> texts;
    for (const cuda::emulator::Finding& finding : cuda::emulator::findings()) {
        texts.push_back(finding.text);
    }
    cuda::emulator::clear_findings();
    return texts;
}

}  // namespace

}  // namespace adasgn::ops

TORCH_LIBRARY(adasgn_emulated, library) {
    using namespace adasgn::ops;
    library.def("route_on_device", &route_on_device);
    library.def("use_stream", &use_stream);
    library.def("begin_capture", &begin_capture);
    library.def("end_capture", &end_capture);
    library.def("launch", &launch);
    library.def("findings", &findings);
}
