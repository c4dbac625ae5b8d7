#include "kernels_for_tests.h"

namespace adasgn::cuda::tests {

namespace {

constexpr int fault_threads = 64;

ADASGN_KERNEL(1024, 1) void identity(const __grid_constant__ IdentityParameters p) {
    const int block = block_index_y() * grid_blocks() + block_index();
    p.out[block * block_threads() + thread_index()] =
        Identity{thread_index(), lane(), warp(), block_index(), block_index_y(), block_threads(), grid_blocks()};
}

ADASGN_KERNEL(32, 1) void exchange(const __grid_constant__ ExchangeParameters p) {
    const float value = load_global(p.values + lane());
    p.exchanged[lane()] = shuffle_xor(value, p.mask);
    p.exchanged_lanes[lane()] = shuffle_xor(lane(), p.mask);
    const unsigned negative = ballot(value < 0.0f);
    p.negative[lane()] = negative;
    p.negative_count[lane()] = count_bits(negative);
}

ADASGN_KERNEL(256, 1) void convert(const __grid_constant__ ConvertParameters p) {
    const int i = block_index() * block_threads() + thread_index();
    if (i >= p.count) return;
    const float value = p.values[i];
    const Half half = to_half(value);
    p.halves[i] = half.bits;
    p.back[i] = to_float(half);
    p.packed[i] = pack(value, -value);
    p.exponentials[i] = exponential(value);
}

ADASGN_KERNEL(32, 1) void matrices(const __grid_constant__ MatrixParameters p) {
    auto* tiles = reinterpret_cast<Half*>(shared_memory());
    for (int i = lane(); i < 4 * 8 * 8; i += 32) tiles[i] = p.tiles[i];
    warp_barrier();
    std::uint32_t registers[4];
    load_matrix(registers, tiles + 8 * lane());
    for (int i = 0; i < 4; ++i) p.plain[4 * lane() + i] = registers[i];
    load_matrix_transposed(registers, tiles + 8 * lane());
    for (int i = 0; i < 4; ++i) p.transposed[4 * lane() + i] = registers[i];
}

ADASGN_KERNEL(32, 1) void product(const __grid_constant__ ProductParameters p) {
    auto* a = reinterpret_cast<Half*>(shared_memory());
    Half* b = a + 16 * 16;
    for (int i = lane(); i < 16 * 16; i += 32) a[i] = p.a[i];
    for (int i = lane(); i < 16 * 8; i += 32) b[i] = p.b[i];
    warp_barrier();
    std::uint32_t left[4];
    std::uint32_t right[4];  // of which the upper two repeat the lower
    load_matrix(left, a + 16 * (lane() % 16) + 8 * (lane() / 16));
    load_matrix_transposed(right, b + 8 * (lane() % 16));
    const int row = lane() / 4;
    const int column = 2 * (lane() % 4);
    float sums[4];
    for (int i = 0; i < 4; ++i) sums[i] = p.c[8 * (row + 8 * (i / 2)) + column + i % 2];
    for (int i = 0; i < p.repeats; ++i) multiply_add(sums, left, right[0], right[1]);
    if (block_index() != 0) return;
    for (int i = 0; i < 4; ++i) p.out[8 * (row + 8 * (i / 2)) + column + i % 2] = sums[i];
}

ADASGN_KERNEL(256, 1) void stages(const __grid_constant__ StagesParameters p) {
    const int width = 4 * block_threads();
    auto* buffers = reinterpret_cast<float*>(shared_memory());  // (2, width)
    const int mine = 4 * thread_index();
    const int neighbours = width - 4 - mine;
    float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    copy_async(buffers + mine, p.rows + mine);
    copy_async_commit();
    for (int stage = 0; stage < p.stages; ++stage) {
        if (stage + 1 < p.stages)
            copy_async(buffers + (stage + 1) % 2 * width + mine, p.rows + (stage + 1) * width + mine);
        copy_async_commit();
        if (stage + 1 < p.stages || !p.forget_last_wait) copy_async_wait<1>();
        block_barrier();
        const float* from = buffers + stage % 2 * width + neighbours;
        for (int i = 0; i < 4; ++i) sums[i] += from[i];
        block_barrier();  // before the next stage's copy takes its place
    }
    for (int i = 0; i < 4; ++i) p.sums[neighbours + i] = sums[i];
}

ADASGN_KERNEL(256, 1) void reduce(const __grid_constant__ ReduceParameters p) {
    auto* shared = reinterpret_cast<int*>(shared_memory());  // sum of the block; whether it is the last
    if (thread_index() == 0) shared[0] = 0;
    block_barrier();
    const int value = p.values[block_index() * block_threads() + thread_index()];
    atomic_add(&shared[0], value);
    atomic_max(p.largest, value);
    block_barrier();
    if (thread_index() == 0) {
        p.partial_sums[block_index()] = shared[0];
        if (!p.forget_fence) fence();
        shared[1] = atomic_add(p.ticket, 1) == grid_blocks() - 1;
        fence();
    }
    block_barrier();
    if (shared[1] == 0) return;
    int total = 0;
    for (int i = 0; i < grid_blocks(); ++i) total += p.partial_sums[i];
    if (thread_index() == 0) {
        *p.total = total;
        *p.ticket = 0;
    }
}

// Every thread puts its number into shared memory and takes that of the thread 32 away; each fault spoils one step.
ADASGN_KERNEL(fault_threads, 1) void faulty(const __grid_constant__ FaultParameters p) {
    auto* row = reinterpret_cast<float*>(shared_memory());  // (64), and 64 more that nobody writes
    const int t = thread_index();
    const int other = (t + 32) % 64;
    row[t] = 0.0f;
    block_barrier();
    switch (p.fault) {
        case Fault::missing_copy_wait:
        case Fault::missing_barrier_after_copy:
        case Fault::overwritten_while_copied:
        case Fault::copy_left_behind:
            if (t % 4 == 0) copy_async(row + t, p.in + t);
            copy_async_commit();
            if (p.fault == Fault::overwritten_while_copied && t % 4 == 0) row[t + 1] = 1.0f;
            if (p.fault == Fault::copy_left_behind) return;
            if (p.fault != Fault::missing_copy_wait) copy_async_wait<0>();
            if (p.fault != Fault::missing_barrier_after_copy) block_barrier();
            p.out[t] = row[other];
            return;
        case Fault::missing_warp_barrier:
            row[t] = p.in[t];
            p.out[t] = row[t ^ 1];
            return;
        case Fault::divergent_block_barrier:
            if (t < 32) block_barrier();
            return;
        case Fault::two_block_barriers:
            if (t < 32) {
                block_barrier();
            } else {
                block_barrier();
            }
            return;
        case Fault::divergent_shuffle:
            if (t < 32 && t != 7) p.out[t] = shuffle_xor(p.in[t], 1);
            return;
        case Fault::different_collectives:
            if (t % 2 == 0) {
                warp_barrier();
            } else {
                p.out[t] = shuffle_xor(p.in[t], 1);
            }
            return;
        case Fault::barrier_after_exit:
            if (t == 63) return;
            block_barrier();
            return;
        case Fault::blocks_collide:
            p.out[t] = p.in[t];
            return;
        case Fault::read_only_written:
            p.out[t] = p.in[t];
            p.scratch[t] = load_global(p.out + t);
            return;
        case Fault::neighbour_byte:
            shared_memory()[t] = static_cast<unsigned char>(t);
            p.out[t] = shared_memory()[t];
            return;
        case Fault::neighbour_half:
            reinterpret_cast<Half*>(row)[t] = to_half(p.in[t]);
            p.out[t] = to_float(reinterpret_cast<Half*>(row)[t]);
            return;
        default:
            break;
    }
    row[t] = p.in[t];
    if (p.fault == Fault::shared_overrun && t == 63) row[128] = 1.0f;
    if (p.fault == Fault::global_overrun && t == 63) p.out[64] = 1.0f;
    if (p.fault == Fault::global_underrun && t == 0) p.out[-1] = 1.0f;
    if (p.fault == Fault::host_memory && t == 0) *p.host = 1.0f;
    if (p.fault == Fault::misaligned && t == 0) *reinterpret_cast<float*>(reinterpret_cast<char*>(p.out) + 2) = 1.0f;
    if (p.fault != Fault::missing_block_barrier) block_barrier();
    float result = row[other];
    if (p.fault == Fault::shared_read_overrun && t == 63) result += row[128];
    if (p.fault == Fault::uninitialised_shared && t == 63) result += row[64];
    if (p.fault == Fault::uninitialised_global && t == 63) result += p.scratch[0];
    if (p.fault == Fault::global_read_overrun && t == 63) result += p.in[64];
    p.out[t] = result;
}

ADASGN_KERNEL(64, 1) void steps(const __grid_constant__ StepsParameters p) {
    unsigned char* memory = p.memory != nullptr ? p.memory : shared_memory();
    int sum = 0;
    for (int i = 0; i < p.count; ++i) {
        const Step step = p.steps[i];
        const bool mine = thread_index() >= step.first && thread_index() <= step.last;
        unsigned char* byte = memory + step.byte;
        if (step.action == Step::block_barrier) {
            block_barrier();
        } else if (step.action == Step::warp_barrier) {
            warp_barrier();
        } else if (mine && step.action == Step::add) {
            sum += atomic_add(reinterpret_cast<int*>(byte), 1);
        } else if (mine && step.action == Step::read) {
            sum += *reinterpret_cast<int*>(byte);
        } else if (mine && step.size == 1) {
            *byte = 1;
        } else if (mine) {
            *reinterpret_cast<int*>(byte) = i;
        }
    }
    p.sink[thread_index()] = sum;
}

struct Nothing {
    int unused;
};

ADASGN_KERNEL(1024, 1) void empty(const __grid_constant__ Nothing) {}

}  // namespace

Status launch_identity(Grid grid, int threads, const IdentityParameters& parameters, Stream stream) {
    return launch(identity, grid, threads, 0, stream, parameters);
}

Status launch_exchange(const ExchangeParameters& parameters, Stream stream) {
    return launch(exchange, Grid{1}, 32, 0, stream, parameters);
}

Status launch_convert(const ConvertParameters& parameters, Stream stream) {
    return launch(convert, Grid{(parameters.count + 255) / 256}, 256, 0, stream, parameters);
}

Status launch_matrices(const MatrixParameters& parameters, Stream stream) {
    return launch(matrices, Grid{1}, 32, 4 * 8 * 8 * sizeof(Half), stream, parameters);
}

Status launch_product(int blocks, const ProductParameters& parameters, Stream stream) {
    return launch(product, Grid{blocks}, 32, (16 * 16 + 16 * 8) * sizeof(Half), stream, parameters);
}

Status launch_stages(int threads, const StagesParameters& parameters, Stream stream) {
    const std::size_t shared = 2 * 4 * static_cast<std::size_t>(threads) * sizeof(float);
    return launch(stages, Grid{1}, threads, shared, stream, parameters);
}

Status launch_reduce(int blocks, int threads, const ReduceParameters& parameters, Stream stream) {
    return launch(reduce, Grid{blocks}, threads, 2 * sizeof(int), stream, parameters);
}

Status launch_fault(const FaultParameters& parameters, Stream stream) {
    const int blocks = parameters.fault == Fault::blocks_collide ? 2 : 1;
    return launch(faulty, Grid{blocks}, fault_threads, 2 * fault_threads * sizeof(float), stream, parameters);
}

Status launch_steps(const StepsParameters& parameters, Stream stream) {
    return launch(steps, Grid{1}, 64, 64, stream, parameters);
}

Status launch_empty(Grid grid, int threads, std::size_t shared_bytes, Stream stream) {
    return launch(empty, grid, threads, shared_bytes, stream, Nothing{0});
}

}  // namespace adasgn::cuda::tests
