#include "adasgn/version.h"  // which CMake writes

namespace adasgn {

const char* version() {
    return ADASGN_VERSION;
}

}  // namespace adasgn
