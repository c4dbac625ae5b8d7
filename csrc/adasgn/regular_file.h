// A file to read once: opened without waiting, only if it is a regular one (no folder, pipe or device), its size known
// before anything is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace adasgn {

class RegularFile {
  public:
    // Throws Error (model_file) that says what the path is instead.
    explicit RegularFile(const std::string& path);
    ~RegularFile();
    RegularFile(const RegularFile&) = delete;
    RegularFile& operator=(const RegularFile&) = delete;

    std::uint64_t size() const { return size_; }
    // The next bytes; throws where there are fewer.
    void read(void* to, std::size_t bytes);

  private:
    std::string path_;
    int descriptor_;
    std::uint64_t size_;
};

}  // namespace adasgn
