#include "log.h"

#include <atomic>
#include <cstdio>

namespace adasgn::tensorrt {

namespace {

std::atomic<nvinfer1::ILoggerFinder*> known_finder{nullptr};

nvinfer1::ILogger* logger() noexcept {
    nvinfer1::ILoggerFinder* const finder = known_finder;
    try {
        return finder == nullptr ? nullptr
                                 : finder->findLogger();  // null before TensorRT has made a builder or runtime
    } catch (...) {                                       // it is not declared noexcept
        return nullptr;
    }
}

}  // namespace

void set_logger_finder(nvinfer1::ILoggerFinder* finder) noexcept {
    known_finder = finder;
}

void log(Severity severity, const char* where, const char* what) noexcept {
    char line[1024];
    std::snprintf(line, sizeof line, "AdaSGN plugin: %s: %s", where, what);
    if (nvinfer1::ILogger* const found = logger()) {
        found->log(severity, line);
    } else {
        std::fprintf(stderr, "%s\n", line);
    }
}

}  // namespace adasgn::tensorrt
