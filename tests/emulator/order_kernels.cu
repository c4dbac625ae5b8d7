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

}  // namespace

Status launch_double(const DoubleParameters& parameters, Stream stream) {
    return launch(twice, Grid{1}, order_threads, 0, stream, parameters);
}

Status launch_link(const LinkParameters& parameters, Overlap overlap, Stream stream) {
    return launch(link, Grid{1}, order_threads, 0, stream, parameters, overlap);
}

}  // namespace adasgn::cuda::tests
