// The classifier, a warp a class: of the 512 values before it, and of their weights, each lane has 16.
#pragma once

#include "lanes.h"
#include "launch.h"

namespace adasgn::cuda {

struct Lanes512 {
    static constexpr int kFours = kTemporal / (4 * 32);
    float4 values[kFours];

    // load: how a float4 is read from memory.
    template <class Load>
    ADASGN_DEVICE Lanes512(const float* from, const Load& load) {
        const float4* const first = reinterpret_cast<const float4*>(from) + lane();
#pragma unroll
        for (int i = 0; i < kFours; ++i) {
            values[i] = load(first + 32 * i);
        }
    }

    ADASGN_DEVICE void add(const Lanes512& other) {
#pragma unroll
        for (int i = 0; i < kFours; ++i) {
            const float4& x = other.values[i];
            values[i] = {values[i].x + x.x, values[i].y + x.y, values[i].z + x.z, values[i].w + x.w};
        }
    }

    // Their products' sum, on all lanes.
    ADASGN_DEVICE float dot(const Lanes512& weights) const {
        float sum = 0;
#pragma unroll
        for (int i = 0; i < kFours; ++i) {
            const float4& w = weights.values[i];
            sum += values[i].x * w.x + values[i].y * w.y + values[i].z * w.z + values[i].w * w.w;
        }
        return sum_over_lanes(sum);
    }
};

// What lanes have of a class's weights, of [K][512].
ADASGN_DEVICE Lanes512 class_weights(const float* weights, int label) {
    return Lanes512(weights + static_cast<size_t>(label) * kTemporal,
                    [](const float4* from) { return load_global(from); });
}

}  // namespace adasgn::cuda
