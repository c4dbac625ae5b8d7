// The engine of a device by its name. Whoever links adasgn_edge::cuda, which defines ADASGN_CUDA, has GPUs to name as
// well as the CPU.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>

#include "adasgn/engine.h"
#include "adasgn/inference.h"
#ifdef ADASGN_CUDA
#include "adasgn/cuda/engine.h"
#endif

namespace adasgn {

struct LoadOptions {
    std::string device = "cpu";  // or "cuda", "cuda:<index>"
    std::string precision = "";  // "f32" or "f16"; empty: f32 on the CPU, which has no other, f16 on a GPU
    int max_batch = 1;           // most clips (samples x persons) of one run
    int threads = 1;             // on the CPU; a GPU's engine has none
};

// A program may have sources with GPUs and sources without: they do not share the function.
#ifdef ADASGN_CUDA
inline namespace with_cuda {
#else
inline namespace without_cuda {
#endif

// Throws Error (engine) for a device or options that cannot be had.
inline std::unique_ptr<Inference> load_engine(const Model& model, const LoadOptions& options = {}) {
    const std::string& device = options.device;
    const std::string& precision = options.precision;
    if (!precision.empty() && precision != "f32" && precision != "f16") {
        throw Error(ErrorKind::engine, "precision: expected f32 or f16, found " + precision);
    }
    if (device == "cpu") {
        if (precision == "f16") {
            throw Error(ErrorKind::engine, "precision: expected f32 on the CPU, found f16");
        }
        EngineOptions chosen;
        chosen.max_batch = options.max_batch;
        chosen.threads = options.threads;
        return std::make_unique<Engine>(model, chosen);
    }
    const bool indexed = device.rfind("cuda:", 0) == 0 && device.size() > 5 && device.size() < 10 &&
                         device.find_first_not_of("0123456789", 5) == std::string::npos;
    if (device != "cuda" && !indexed) {
        throw Error(ErrorKind::engine, "device: expected cpu, cuda or cuda:<index>, found " + device);
    }
#ifdef ADASGN_CUDA
    if (options.threads != 1) {
        throw Error(ErrorKind::engine, "threads: expected 1 on a GPU, found " + std::to_string(options.threads));
    }
    cuda::EngineOptions chosen;
    chosen.max_batch = options.max_batch;
    chosen.precision = precision == "f32" ? cuda::Precision::f32 : cuda::Precision::f16;
    chosen.device = indexed ? std::atoi(device.c_str() + 5) : 0;
    return std::make_unique<cuda::Engine>(model, chosen);
#else
    throw Error(ErrorKind::engine,
                "device: expected cpu, as this program was built without the CUDA engine (install "
                "adasgn_edge configured with -DADASGN_CUDA=ON, then build this again), found " +
                    device);
#endif
}

}  // namespace with_cuda or without_cuda

}  // namespace adasgn
