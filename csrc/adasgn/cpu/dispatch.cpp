// Which instruction sets this build has (all, if not ADASGN_WITHOUT_AVX512) and this processor can run.
#include <cstring>

#include "adasgn/cpu/kernels.h"

namespace adasgn::cpu {

#if defined(__x86_64__)
#ifndef ADASGN_WITHOUT_AVX512
namespace avx512 {
extern const Kernels kernels;
}
#endif
namespace avx2 {
extern const Kernels kernels;
}
namespace sse2 {
extern const Kernels kernels;
}
#elif defined(__aarch64__)
namespace neon {
extern const Kernels kernels;
}
#else
#error "expected x86-64 or aarch64"
#endif

namespace {

struct Available {
    const Kernels* kernels[3] = {};
    const char* names[4] = {};
    int count = 0;

    void add(const Kernels& table) {
        kernels[count] = &table;
        names[count++] = table.name;
    }

    Available() {
#if defined(__x86_64__)
        __builtin_cpu_init();
#ifndef ADASGN_WITHOUT_AVX512
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
            add(avx512::kernels);
        }
#endif
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
            add(avx2::kernels);
        }
        add(sse2::kernels);
#else
        add(neon::kernels);
#endif
    }
};

const Available& available() {
    static const Available found;
    return found;
}

}  // namespace

const char* const* instruction_sets() {
    return available().names;
}

const Kernels* kernels_for(const char* name) {
    for (int i = 0; i < available().count; ++i) {
        if (name == nullptr || std::strcmp(name, available().names[i]) == 0) {
            return available().kernels[i];
        }
    }
    return nullptr;
}

}  // namespace adasgn::cpu
