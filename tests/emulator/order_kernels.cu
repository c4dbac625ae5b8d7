#include "order_kernels.h"

namespace adasgn::cuda::tests {

namespace {

ADASGN_KERNEL(order_threads, 1) void twice(const __grid_constant__ DoubleParameters p) {
    p.out[thread_index()] = 2.0f * p.in[thread_index()];
}

ADASGN_KERNEL(order_threads, 1) void link(const __grid_constant__ LinkParameters p) {
    const int t = thread_index();
    if (p.hurries) let_next_kernel_start();
    const float weight = p.weights[t];
    float value = p.link == Link::reads_early ? p.in[t] : 0.0f;
    if (p.link == Link::writes_early) p.out[t] = weight;
    const bool alone = p.link == Link::one_thread_waits || p.link == Link::no_barrier;
    if (p.link != Link::never_waits && (!alone || t == 0)) wait_for_previous_kernel();
    if (p.link == Link::one_thread_waits) block_barrier();
    if (p.link == Link::never_waits) return;
    if (p.link != Link::reads_early) value = p.link == Link::reads_constant ? load_global(p.in + t) : p.in[t];
    if (!p.hurries) let_next_kernel_start();
    p.out[t] = weight * value;
}

ADASGN_KERNEL(256, 1) void ring(const __grid_constant__ RingParameters p) {
    const int t = thread_index();
    const int threads = block_threads();
    const int next = (block_index() + 1) % grid_blocks();
    const bool raises = p.ring != Ring::one_missing || block_index() != 0;
    int* const flag = p.flags + block_index();
    auto* const shared = reinterpret_cast<float*>(shared_memory());
    p.rows[block_index() * threads + t] = p.in[block_index() * threads + t];
    if (p.ring != Ring::no_barrier_before_flag) block_barrier();
    if (t == 0 && raises && p.ring == Ring::plain_flag) *flag = 1;
    if (t == 0 && raises && p.ring != Ring::plain_flag && p.ring != Ring::late_flag) store_release(flag, 1);
    if (t == 0 && p.ring != Ring::no_wait) wait_until_at_least(p.flags + next, 1);
    if (t == 0 && p.ring == Ring::late_flag) store_release(flag, 1);
    if (p.ring != Ring::no_barrier_after_wait) block_barrier();
    shared[t] = p.rows[next * threads + t];
    block_barrier();
    p.out[block_index() * threads + t] = shared[threads - 1 - t];
}

ADASGN_DEVICE void meet_all(int* counter, int times) {
    block_barrier();
    if (thread_index() == 0) {
        fence();
        atomic_add(counter, 1);
        wait_until_at_least(counter, times * grid_blocks());
    }
    block_barrier();
}

ADASGN_KERNEL(order_threads, 1) void meet(const __grid_constant__ MeetParameters p) {
    int times = 0;
    for (int round = 0; round < p.rounds; ++round) {
        int sum = block_index();
        for (int i = 0; i < grid_blocks(); ++i) sum += p.values[i];
        if (p.forget_second_meeting) {
            block_barrier();
        } else {
            meet_all(p.counter, ++times);
        }
        if (thread_index() == 0) p.values[block_index()] = sum;
        meet_all(p.counter, ++times);
    }
}

ADASGN_KERNEL(32, 1) void relay(const __grid_constant__ RelayParameters p) {
    const int mine = 32 * block_index() + lane();
    p.values[mine] = mine;
    if (lane() == 0 && block_index() > 0) wait_until_at_least(p.flags + block_index() - 1, 1);
    warp_barrier();
    if (lane() == 31) store_release(p.flags + block_index(), 1);
    int sum = 0;
    for (int i = 0; i <= block_index(); ++i) sum += p.values[32 * i + 31 - lane()];
    p.sums[mine] = sum;
}

}  // namespace

Status launch_double(const DoubleParameters& parameters, Stream stream) {
    return launch(twice, Grid{1}, order_threads, 0, stream, parameters);
}

Status launch_link(const LinkParameters& parameters, Overlap overlap, Stream stream) {
    return launch(link, Grid{1}, order_threads, 0, stream, parameters, overlap);
}

Status launch_ring(int blocks, int threads, const RingParameters& parameters, bool resident, Stream stream) {
    const std::size_t shared = static_cast<std::size_t>(threads) * sizeof(float);
    return resident ? launch_resident(ring, Grid{blocks}, threads, shared, stream, parameters)
                    : launch(ring, Grid{blocks}, threads, shared, stream, parameters);
}

Status launch_meet(int blocks, const MeetParameters& parameters, Stream stream) {
    return launch_resident(meet, Grid{blocks}, order_threads, 0, stream, parameters);
}

Status launch_relay(int blocks, const RelayParameters& parameters, Stream stream) {
    return launch_resident(relay, Grid{blocks}, 32, 0, stream, parameters);
}

Status resident_ring_blocks(int threads, std::size_t shared_bytes, int& blocks) {
    return resident_blocks(ring, threads, shared_bytes, blocks);
}

}  // namespace adasgn::cuda::tests
