// Whether the tests run on an emulated processor (make test-arm). It computes each fused multiply-add in software, so
// there they keep to what depends on the processor and to small sizes.
#pragma once

namespace adasgn::testing {

#ifdef ADASGN_RUN_BY_QEMU
constexpr bool kEmulated = true;
#else
constexpr bool kEmulated = false;
#endif

}  // namespace adasgn::testing
