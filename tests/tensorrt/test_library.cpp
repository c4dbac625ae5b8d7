// The plugin as a library: what it shows of itself, and that it looks for TensorRT's major version where Python's
// TensorRT has it, in a library whose names are not global.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>

namespace {

class Library {
  public:
    explicit Library(const char* path) : handle_(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
        REQUIRE_MESSAGE(handle_ != nullptr, dlerror());
    }
    ~Library() { dlclose(handle_); }
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;

    template <class Function>
    Function* find(const char* name) const {
        return reinterpret_cast<Function*>(dlsym(handle_, name));
    }

  private:
    void* handle_;
};

std::string output_of(const std::string& command) {
    std::FILE* const pipe = popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    std::string text;
    std::array<char, 4096> part;
    while (const std::size_t count = std::fread(part.data(), 1, part.size(), pipe)) {
        text.append(part.data(), count);
    }
    REQUIRE(pclose(pipe) == 0);
    return text;
}

int creators_of(const Library& plugin) {
    std::int32_t count = -1;
    auto* const get = plugin.find<void* const*(std::int32_t&)>("getCreators");
    REQUIRE(static_cast<bool>(get));
    CHECK(get(count) != nullptr);
    return count;
}

}  // namespace

TEST_CASE("the library shows two names, and needs none of TensorRT's") {
    const std::string shown = output_of("nm -D --defined-only " PLUGIN_LIBRARY " | cut -d ' ' -f 3 | sort");
    CHECK(shown == "getCreators\nsetLoggerFinder\n");
    CHECK(output_of("nm -D --undefined-only " PLUGIN_LIBRARY " | grep -c -i -E 'nvinfer|getLogger|getInfer' || true") ==
          "0\n");
}

TEST_CASE("it offers its creator to its own major version, to one that cannot be told, and to no other") {
    const Library plugin(PLUGIN_LIBRARY);
    CHECK(creators_of(plugin) == 1);
    {
        const Library tensorrt(NVINFER_OF_THIS);
        REQUIRE(dlsym(RTLD_DEFAULT, "getInferLibMajorVersion") == nullptr);
        CHECK(creators_of(plugin) == 1);
    }
    {
        const Library tensorrt(NVINFER_OF_ANOTHER);
        CHECK(creators_of(plugin) == 0);
    }
    CHECK(creators_of(plugin) == 1);
}
