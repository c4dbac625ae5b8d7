#include "adasgn/regular_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "adasgn/error.h"

namespace adasgn {

namespace {

[[noreturn]] void fail(const std::string& path, const std::string& found) {
    throw Error(ErrorKind::model_file, path + ": expected a model file, found " + found);
}

// A NUL would end the path early and open another file.
int open_file(const std::string& path) {
    if (path.find('\0') != std::string::npos) {
        fail(path.substr(0, path.find('\0')), "a path with a NUL character");
    }
    const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0) {
        fail(path, std::strerror(errno));
    }
    return descriptor;
}

}  // namespace

RegularFile::RegularFile(const std::string& path) : path_(path), descriptor_(open_file(path)), size_(0) {
    struct stat facts {};
    const bool known = fstat(descriptor_, &facts) == 0;
    if (!known || !S_ISREG(facts.st_mode)) {
        close(descriptor_);
        fail(path, known && S_ISDIR(facts.st_mode) ? "a folder" : "no regular file");
    }
    size_ = static_cast<std::uint64_t>(facts.st_size);
}

RegularFile::~RegularFile() {
    close(descriptor_);
}

void RegularFile::read(void* to, std::size_t bytes) {
    auto* at = static_cast<char*>(to);
    while (bytes > 0) {
        const ssize_t got = ::read(descriptor_, at, bytes);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            fail(path_, got == 0 ? "one that became shorter while it was read" : std::strerror(errno));
        }
        at += got;
        bytes -= static_cast<std::size_t>(got);
    }
}

}  // namespace adasgn
