// libFuzzer on the model-file reader: whatever the bytes, either a model or an Error. The checksum is made right first,
// so that the fuzzer gets past it; inputs whose last byte is odd keep theirs.
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "adasgn/error.h"
#include "adasgn/model.h"
#include "adasgn/sha256.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t kDigitsAt = 44;
    constexpr std::size_t kDigits = 64;
    std::vector<std::uint8_t> bytes(data, data + size);
    if (size > kDigitsAt + kDigits && (data[size - 1] & 1) == 0) {
        adasgn::Sha256 sum;
        sum.update(bytes.data(), kDigitsAt);
        sum.update(bytes.data() + kDigitsAt + kDigits, size - kDigitsAt - kDigits);
        const std::string digits = sum.hex();
        std::memcpy(bytes.data() + kDigitsAt, digits.data(), kDigits);
    }
    try {
        const adasgn::Model model = adasgn::parse_model(bytes.data(), bytes.size());
        if (model.tensors.size() != adasgn::expected_tensors(model.description).size()) {
            __builtin_trap();
        }
    } catch (const adasgn::Error& error) {
        if (error.kind() != adasgn::ErrorKind::model_file) {
            __builtin_trap();
        }
    }
    return 0;
}
