#include "adasgn/buffer.h"

#include <algorithm>
#include <new>

namespace adasgn {

namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kGuard = kAlignment / sizeof(float);
constexpr float kCanary = -1.2345e33F;

}  // namespace

Buffer::Buffer(std::size_t floats) : size_(floats) {
    const std::size_t bytes = (size_ + 2 * kGuard) * sizeof(float);
    auto* const start = static_cast<float*>(::operator new(bytes, std::align_val_t(kAlignment)));
    data_ = start + kGuard;
    std::fill(start, data_, kCanary);
    std::fill(data_, data_ + size_, 0.0F);
    std::fill(data_ + size_, data_ + size_ + kGuard, kCanary);
}

Buffer::Buffer(Buffer&& other) noexcept : data_(other.data_), size_(other.size_) {
    other.data_ = nullptr;
}

Buffer::~Buffer() {
    if (data_ != nullptr) {
        ::operator delete(data_ - kGuard, std::align_val_t(kAlignment));
    }
}

bool Buffer::intact() const noexcept {
    const auto untouched = [](float value) { return value == kCanary; };
    return std::all_of(data_ - kGuard, data_, untouched) &&
           std::all_of(data_ + size_, data_ + size_ + kGuard, untouched);
}

}  // namespace adasgn
