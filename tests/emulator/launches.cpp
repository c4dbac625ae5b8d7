// Launches of device_host.h: their limits, and what is looked at when one ends.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "runtime_state.h"

namespace adasgn::cuda::emulator {

namespace {

Status run(StreamState& stream, const Launch& launch) {
    const Work work = begin_work(stream, "kernel", launch.kernel, launch.overlap);
    show_undelivered();
    const bool well = machine().run(launch);
    hide_undelivered();
    stream.order.end(work, machine().next_starts_early());
    if (well) {
        const std::string wrecked = check_guards();
        if (wrecked.empty()) return Status{};
        report("kernel " + function_name(launch.kernel) + ": " + wrecked);
    }
    return failure();
}

Status launch_either(const Launch& launch, std::size_t parameter_bytes, Stream stream) {
    if (launch.threads < 1 || launch.threads > most_threads || launch.grid.x < 1 || launch.grid.y < 1 ||
        launch.grid.y > 65535)
        return invalid_configuration;
    if (launch.shared_bytes > static_cast<std::size_t>(device().traits.shared_per_block) ||
        launch.shared_bytes > shared_capacity)
        return invalid_value;
    auto copy = std::make_shared<std::vector<std::max_align_t>>(parameter_bytes / sizeof(std::max_align_t) + 1);
    std::memcpy(copy->data(), launch.parameters, parameter_bytes);
    return submit(stream, [launch, copy](StreamState& on) {
        Launch with_copy = launch;
        with_copy.parameters = copy->data();
        return run(on, with_copy);
    });
}

}  // namespace

Status launch(const void* kernel, Invoke invoke, const void* parameters, std::size_t parameter_bytes, Grid grid,
              int threads, std::size_t shared_bytes, Stream stream, Overlap overlap) {
    const Lock lock;
    return launch_either({kernel, invoke, parameters, grid, threads, shared_bytes, overlap, false}, parameter_bytes,
                         stream);
}

// By shared memory, and by the least threads and blocks that multiprocessors of 8.0 and later have room for. Registers
// are not known here.
Status resident_blocks(int threads, std::size_t shared_bytes, int& blocks) {
    const Lock lock;
    constexpr int threads_each = 1536;
    constexpr int blocks_each = 16;
    constexpr std::size_t reserved = 1024;  // shared memory of a block that is CUDA's
    blocks = 0;
    if (threads < 1 || threads > most_threads) return invalid_configuration;
    const DeviceTraits& traits = device().traits;
    if (shared_bytes > static_cast<std::size_t>(traits.shared_per_block)) return invalid_value;
    const auto shared_each = static_cast<std::size_t>(traits.shared_per_multiprocessor);
    const int by_threads = threads_each / ((threads + lanes - 1) / lanes * lanes);
    const int by_memory = static_cast<int>(shared_each / (shared_bytes + reserved));
    blocks = traits.multiprocessors * std::min({by_threads, by_memory, blocks_each});
    return Status{};
}

Status launch_resident(const void* kernel, Invoke invoke, const void* parameters, std::size_t parameter_bytes,
                       Grid grid, int threads, std::size_t shared_bytes, Stream stream) {
    const Lock lock;
    int fit = 0;
    if (Status failed = resident_blocks(threads, shared_bytes, fit)) return failed;
    const std::int64_t blocks = std::int64_t{grid.x} * grid.y;
    if (blocks > fit) return too_many_blocks;
    if (blocks > most_blocks || static_cast<std::size_t>(blocks * threads) > stack_count) return not_supported;
    return launch_either({kernel, invoke, parameters, grid, threads, shared_bytes, Overlap::none, true},
                         parameter_bytes, stream);
}

}  // namespace adasgn::cuda::emulator
