// Tensors of other libraries by DLPack: what its header defines (version 1, https://dmlc.github.io/dlpack), and
// capsules, which hold such a tensor until one consumer takes it.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

#include "adasgn/error.h"

namespace adasgn {

namespace dlpack {

struct Device {
    std::int32_t type;  // 1: host, 2: CUDA, 13: managed by CUDA
    std::int32_t number;
};

struct ElementType {
    std::uint8_t code;  // 2: a floating-point number
    std::uint8_t bits;
    std::uint16_t lanes;
};

struct Tensor {
    void* data;
    Device device;
    std::int32_t axes;
    ElementType type;
    std::int64_t* shape;
    std::int64_t* strides;  // in elements; null: C-contiguous
    std::uint64_t byte_offset;
};

struct Managed {
    Tensor tensor;
    void* context;
    void (*deleter)(Managed*);  // null: nothing to do
};

struct ManagedVersioned {
    std::uint32_t major;
    std::uint32_t minor;
    void* context;
    void (*deleter)(ManagedVersioned*);
    std::uint64_t flags;  // read-only, a copy: nothing that a reader need know
    Tensor tensor;
};

}  // namespace dlpack

// A tensor taken out of its capsule: from here on the one who gives it back.
class DlpackTensor {
  public:
    // Throws Error (clip) unless the capsule has a tensor of a known version that nobody has taken.
    explicit DlpackTensor(const pybind11::handle& capsule) {
        if (PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned") != 0) {
            versioned_ = take<dlpack::ManagedVersioned>(capsule, "dltensor_versioned", "used_dltensor_versioned");
            if (versioned_->major != 1) {
                const std::string found = std::to_string(versioned_->major);
                release();
                throw Error(ErrorKind::clip, "clips: expected DLPack of version 1 or before, found version " + found);
            }
        } else if (PyCapsule_IsValid(capsule.ptr(), "dltensor") != 0) {
            managed_ = take<dlpack::Managed>(capsule, "dltensor", "used_dltensor");
        } else {
            const bool used = PyCapsule_IsValid(capsule.ptr(), "used_dltensor") != 0 ||
                              PyCapsule_IsValid(capsule.ptr(), "used_dltensor_versioned") != 0;
            throw Error(ErrorKind::clip, std::string("clips: expected a DLPack capsule with a tensor, found ") +
                                             (used ? "one that has been used already" : "something else"));
        }
    }
    ~DlpackTensor() { release(); }
    DlpackTensor(const DlpackTensor&) = delete;
    DlpackTensor& operator=(const DlpackTensor&) = delete;

    const dlpack::Tensor& tensor() const { return versioned_ != nullptr ? versioned_->tensor : managed_->tensor; }

  private:
    template <class T>
    static T* take(const pybind11::handle& capsule, const char* name, const char* used_name) {
        void* const found = PyCapsule_GetPointer(capsule.ptr(), name);
        if (found == nullptr || PyCapsule_SetName(capsule.ptr(), used_name) != 0) {
            throw pybind11::error_already_set();
        }
        return static_cast<T*>(found);
    }

    void release() noexcept {
        if (versioned_ != nullptr && versioned_->deleter != nullptr) {
            versioned_->deleter(versioned_);
        }
        if (managed_ != nullptr && managed_->deleter != nullptr) {
            managed_->deleter(managed_);
        }
        versioned_ = nullptr;
        managed_ = nullptr;
    }

    dlpack::ManagedVersioned* versioned_ = nullptr;
    dlpack::Managed* managed_ = nullptr;
};

}  // namespace adasgn
