// Memory for weights and activations: aligned to cache lines, zeroed, between two guard zones.
#pragma once

#include <cstddef>

namespace adasgn {

class Buffer {
  public:
    explicit Buffer(std::size_t floats);
    ~Buffer();
    Buffer(Buffer&& other) noexcept;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    Buffer& operator=(Buffer&&) = delete;

    float* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }

    // Whether nothing has written to the 64 bytes before and after.
    bool intact() const noexcept;

  private:
    float* data_;
    std::size_t size_;
};

}  // namespace adasgn
