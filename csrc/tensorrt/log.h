// Where the plugin says what went wrong: TensorRT's logger, or stderr before there is one. And the guard around every
// function that TensorRT calls, which must let no exception through.
#pragma once

#include <NvInferRuntime.h>

#include <exception>

namespace adasgn::tensorrt {

using Severity = nvinfer1::ILogger::Severity;

// Null: stderr. Kept, not owned.
void set_logger_finder(nvinfer1::ILoggerFinder* finder) noexcept;

// One line, "AdaSGN plugin: <where>: <what>", cut at 1 KB; allocates nothing.
void log(Severity severity, const char* where, const char* what) noexcept;

// Calls it; false where it threw, with the error logged.
template <class Call>
bool guarded(const char* where, const Call& call) noexcept {
    try {
        call();
        return true;
    } catch (const std::exception& error) {
        log(Severity::kERROR, where, error.what());
    } catch (...) {
        log(Severity::kERROR, where, "an exception of unknown type");
    }
    return false;
}

}  // namespace adasgn::tensorrt
