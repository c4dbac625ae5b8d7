#include "adasgn/cuda/memory.h"

#include <string>

#include "adasgn/error.h"

namespace adasgn::cuda {

void expect_ok(Status status, const char* what) {
    if (status) {
        throw Error(ErrorKind::engine, std::string("GPU: ") + what + ": " + status.text());
    }
}

OnDevice::OnDevice(int device) {
    expect_ok(current_device(before_), "the current device");
    expect_ok(set_device(device), "choosing a device");
}

OnDevice::~OnDevice() {
    static_cast<void>(set_device(before_));
}

}  // namespace adasgn::cuda
