// Small kernels for what orders work: streams, kernels that start early, blocks that wait for blocks.
#pragma once

#include "device.h"

namespace adasgn::cuda::tests {

constexpr int order_threads = 64;

struct DoubleParameters {
    const float* in;  // (64)
    float* out;       // (64): in, doubled
};
Status launch_double(const DoubleParameters& parameters, Stream stream);

// A link of a chain of kernels: out = weights * in, of which only the weights are read before the kernel before has
// ended.
enum class Link {
    correct,           // every thread waits
    one_thread_waits,  // and the others meet it at a barrier: as correct
    no_barrier,        // only thread 0 waits
    reads_early,
    reads_constant,  // by load_global, which may happen early
    writes_early,
    never_waits,
};
struct LinkParameters {
    const float* weights;  // (64)
    const float* in;       // (64)
    float* out;            // (64)
    Link link;
    bool hurries;  // lets the next kernel start before it has waited itself; else after, or when it ends
};
// A block of 64 threads.
Status launch_link(const LinkParameters& parameters, Overlap overlap, Stream stream);

}  // namespace adasgn::cuda::tests
