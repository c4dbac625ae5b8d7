// What instrumented kernels tell the sanitizer: each access just before it happens, and the code that makes it.
#pragma once

#include <cstddef>

namespace adasgn::cuda::emulator {

void kernel_reads(const void* address, std::size_t bytes, bool aligned, const void* code);
void kernel_writes(void* address, std::size_t bytes, bool aligned, const void* code);

}  // namespace adasgn::cuda::emulator
