// Names for findings: of a kernel, and of the line in the source that a piece of code came from.
#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>

#include "block.h"

namespace adasgn::cuda::emulator {

namespace {

std::string base_name(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

struct Place {
    std::string function;  // "??": not known
    std::string line;      // "file:line"
};

// Findings are rare, so a process for each is no burden.
Place look_up(const void* code) {
    Place place{"??", ""};
    Dl_info object{};
    if (dladdr(code, &object) == 0 || object.dli_fname == nullptr) return place;
    std::array<char, 1024> text{};
    auto address = reinterpret_cast<std::uintptr_t>(code);
    const bool movable = static_cast<const ElfW(Ehdr)*>(object.dli_fbase)->e_type == ET_DYN;
    if (movable) address -= reinterpret_cast<std::uintptr_t>(object.dli_fbase);
    std::string file = object.dli_fname;
    if (file.find('/') == std::string::npos) file = "/proc/" + std::to_string(getpid()) + "/exe";  // found by PATH
    std::snprintf(text.data(), text.size(), "addr2line -f -C -s -e '%s' %#zx 2>/dev/null", file.c_str(), address);
    const std::unique_ptr<FILE, int (*)(FILE*)> output(popen(text.data(), "r"), pclose);
    if (!output) return place;
    auto read_line = [&] {
        std::string line = std::fgets(text.data(), text.size(), output.get()) != nullptr ? text.data() : "";
        while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
        return line;
    };
    place.function = read_line();
    place.line = read_line();
    place.line = place.line.substr(0, place.line.find(' '));  // "(discriminator 2)"
    return place;
}

}  // namespace

// Without namespaces and arguments, with template arguments.
std::string function_name(const void* code) {
    std::string name = look_up(code).function;
    const std::string unnamed = "(anonymous namespace)::";
    for (std::size_t at = name.find(unnamed); at != std::string::npos; at = name.find(unnamed))
        name.erase(at, unnamed.size());
    int depth = 0;  // of template arguments
    std::size_t begin = 0;
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (name[i] == '<') ++depth;
        if (name[i] == '>') --depth;
        if (depth != 0) continue;
        if (name[i] == '(') return name.substr(begin, i - begin);
        if (name[i] == ':' || name[i] == ' ') begin = i + 1;
    }
    return name.substr(begin);
}

std::string place(const Origin& origin) {
    if (origin.file != nullptr) return " (" + base_name(origin.file) + ":" + std::to_string(origin.line) + ")";
    if (origin.code == nullptr) return "";
    const std::string line = look_up(origin.code).line;
    return line.empty() || line.front() == '?' ? "" : " (" + line + ")";
}

}  // namespace adasgn::cuda::emulator
