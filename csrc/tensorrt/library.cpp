// What TensorRT looks for in a library of plugins (IPluginRegistry::loadLibrary, trtexec --dynamicPlugins): two
// functions, the only names that this one has. It calls nothing of TensorRT's own, so it links without it.
//
// Interfaces that plugins call, the logger's first of all, are not the same in TensorRT 10 and 11. So the library
// serves only the major version whose headers it was compiled with, and offers nothing to another.
#include <NvInferRuntime.h>
#include <dlfcn.h>
#include <link.h>

#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>

#include "creator.h"
#include "log.h"

namespace adasgn::tensorrt {

namespace {

constexpr const char* kMajorFunction = "getInferLibMajorVersion";

// Keeps the file of a TensorRT that is in this process; to be opened later, as the list of libraries is locked here.
int find_tensorrt(dl_phdr_info* info, std::size_t, void* path) {
    for (const char* const name : {"libnvinfer.so", "libnvinfer_lean.so", "libnvinfer_dispatch.so"}) {
        if (info->dlpi_name != nullptr && std::strstr(info->dlpi_name, name) != nullptr) {
            return std::snprintf(static_cast<char*>(path), PATH_MAX, "%s", info->dlpi_name);
        }
    }
    return 0;
}

// The major version of the TensorRT in this process; 0: none that says.
std::int32_t loaded_major() noexcept {
    void* function = dlsym(RTLD_DEFAULT, kMajorFunction);
    char path[PATH_MAX];
    // Python loads it so that its names are its own.
    if (function == nullptr && dl_iterate_phdr(find_tensorrt, path) != 0) {
        if (void* const library = dlopen(path, RTLD_LAZY | RTLD_NOLOAD)) {
            function = dlsym(library, kMajorFunction);
            dlclose(library);
        }
    }
    return function == nullptr ? 0 : reinterpret_cast<std::int32_t (*)()>(function)();
}

bool fits() noexcept {
    const std::int32_t major = loaded_major();
    return major == 0 || major == NV_TENSORRT_MAJOR;
}

}  // namespace

}  // namespace adasgn::tensorrt

#define ADASGN_EXPORT extern "C" __attribute__((visibility("default")))

ADASGN_EXPORT void setLoggerFinder(nvinfer1::ILoggerFinder* finder) noexcept {
    adasgn::tensorrt::set_logger_finder(adasgn::tensorrt::fits() ? finder : nullptr);
}

ADASGN_EXPORT nvinfer1::IPluginCreatorInterface* const* getCreators(std::int32_t& count) noexcept {
    static adasgn::tensorrt::Creator creator;
    static nvinfer1::IPluginCreatorInterface* const all[] = {&creator};
    count = 1;
    if (!adasgn::tensorrt::fits()) {
        char text[200];
        std::snprintf(text, sizeof text,
                      "TensorRT: expected major version %d, for which this library was built, found %d; build it again "
                      "beside the other's headers",
                      NV_TENSORRT_MAJOR, static_cast<int>(adasgn::tensorrt::loaded_major()));
        adasgn::tensorrt::set_logger_finder(nullptr);  // the other's logger is not to be called
        adasgn::tensorrt::log(adasgn::tensorrt::Severity::kERROR, "loading", text);
        count = 0;
    }
    return all;
}
