// The engine or the recogniser of a device by its name. Whoever links adasgn_edge::cuda, which defines ADASGN_CUDA, has
// GPUs to name as well as the CPU.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>

#include "adasgn/engine.h"
#include "adasgn/inference.h"
#include "adasgn/recogniser.h"
#ifdef ADASGN_CUDA
#include "adasgn/cuda/engine.h"
#include "adasgn/cuda/stream_network.h"
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

namespace detail {

// The index of a GPU, -1 for the CPU; throws Error (engine) for another name, and for a GPU in a program without them.
inline int device_index(const std::string& device) {
    if (device == "cpu") {
        return -1;
    }
    const bool indexed = device.rfind("cuda:", 0) == 0 && device.size() > 5 && device.size() < 10 &&
                         device.find_first_not_of("0123456789", 5) == std::string::npos;
    if (device != "cuda" && !indexed) {
        throw Error(ErrorKind::engine, "device: expected cpu, cuda or cuda:<index>, found " + device);
    }
#ifndef ADASGN_CUDA
    throw Error(ErrorKind::engine,
                "device: expected cpu, as this program was built without the CUDA engine (install "
                "adasgn_edge configured with -DADASGN_CUDA=ON, then build this again), found " +
                    device);
#endif
    return indexed ? std::atoi(device.c_str() + 5) : 0;
}

inline void expect_precision(const std::string& precision, int device) {
    if (!precision.empty() && precision != "f32" && precision != "f16") {
        throw Error(ErrorKind::engine, "precision: expected f32 or f16, found " + precision);
    }
    if (device < 0 && precision == "f16") {
        throw Error(ErrorKind::engine, "precision: expected f32 on the CPU, found f16");
    }
}

}  // namespace detail

// Throws Error (engine) for a device or options that cannot be had.
inline std::unique_ptr<Inference> load_engine(const Model& model, const LoadOptions& options = {}) {
    const int device = detail::device_index(options.device);
    detail::expect_precision(options.precision, device);
#ifdef ADASGN_CUDA
    if (device >= 0) {
        if (options.threads != 1) {
            throw Error(ErrorKind::engine, "threads: expected 1 on a GPU, found " + std::to_string(options.threads));
        }
        cuda::EngineOptions chosen;
        chosen.max_batch = options.max_batch;
        chosen.precision = options.precision == "f32" ? cuda::Precision::f32 : cuda::Precision::f16;
        chosen.device = device;
        return std::make_unique<cuda::Engine>(model, chosen);
    }
#endif
    EngineOptions chosen;
    chosen.max_batch = options.max_batch;
    chosen.threads = options.threads;
    return std::make_unique<Engine>(model, chosen);
}

// A recogniser whose model runs on this device; precision as of LoadOptions. Throws Error (engine) as load_engine does,
// and for options that are the CPU's alone.
inline Recogniser load_recogniser(const Model& model, const RecogniserOptions& options = {},
                                  const std::string& device_name = "cpu", const std::string& precision = "") {
    const int device = detail::device_index(device_name);
    detail::expect_precision(precision, device);
#ifdef ADASGN_CUDA
    if (device >= 0) {
        cuda::StreamOptions chosen;
        chosen.slots = options.max_tracks;
        chosen.precision = precision == "f32" ? cuda::Precision::f32 : cuda::Precision::f16;
        chosen.device = device;
        return Recogniser(model, cuda::stream_network(model, chosen), options);
    }
#endif
    return Recogniser(model, options);
}

}  // namespace with_cuda or without_cuda

}  // namespace adasgn
