#include "fuzz_input.h"

#include <algorithm>
#include <cstring>

#include "adasgn/sha256.h"

namespace adasgn::testing {

namespace {

constexpr std::size_t kDigitsAt = 44;
constexpr std::size_t kDigits = 64;
constexpr std::size_t kSizeBytes = 4;
constexpr std::uint32_t kMaxData = (1U << 22) - 1;

// As a JSON string; bytes that are not UTF-8 stay, for the reader to find.
std::string quoted(const std::string& text) {
    static const char* const hexadecimal = "0123456789abcdef";
    std::string result = "\"";
    for (const char c : text) {
        const auto code = static_cast<unsigned char>(c);
        if (code < 0x20) {
            result += std::string("\\u00") + hexadecimal[code >> 4] + hexadecimal[code & 15];
        } else {
            result += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
        }
    }
    return result + '"';
}

}  // namespace

Bytes input_of_file(const std::vector<char>& file) {
    Bytes input(1 + file.size(), 'F');
    std::copy(file.begin(), file.end(), input.begin() + 1);
    return input;
}

Bytes input_of_parts(int version, std::uint32_t data_size, const std::string& description, const std::string& tensors,
                     const Bytes& data) {
    Bytes input{static_cast<unsigned char>('0' + version)};
    for (std::size_t i = 0; i < kSizeBytes; ++i) {
        input.push_back(static_cast<unsigned char>(data_size >> (8 * i)));
    }
    input.insert(input.end(), description.begin(), description.end());
    input.push_back(0);
    input.insert(input.end(), tensors.begin(), tensors.end());
    input.push_back(0);
    input.insert(input.end(), data.begin(), data.end());
    return input;
}

Bytes file_of_input(const unsigned char* input, std::size_t size) {
    if (size < 1 + kSizeBytes || input[0] < '1' || input[0] > '3') {
        return {input + std::min<std::size_t>(size, 1), input + size};
    }
    std::uint32_t data_size = 0;
    std::memcpy(&data_size, input + 1, kSizeBytes);
    const unsigned char* const end = input + size;
    const unsigned char* const description = input + 1 + kSizeBytes;
    const unsigned char* const description_end = std::find(description, end, 0);
    const unsigned char* const tensors = std::min(description_end + 1, end);
    const unsigned char* const tensors_end = std::find(tensors, end, 0);
    const unsigned char* const data = std::min(tensors_end + 1, end);

    std::string header = R"({"__metadata__":{"checksum":"sha256:)" + std::string(kDigits, '0') +
                         R"(","format":"adasgn_edge.model","version":")" + static_cast<char>(input[0]) +
                         R"(","model":)" + quoted({description, description_end}) + "}" +
                         std::string(tensors, tensors_end) + "}";
    while ((header.size() + 8) % 64 != 0) {
        header += ' ';
    }
    Bytes file(8 + header.size() + (data_size & kMaxData), 0);
    for (std::size_t i = 0; i < 8; ++i) {
        file[i] = static_cast<unsigned char>(header.size() >> (8 * i));
    }
    std::copy(header.begin(), header.end(), file.begin() + 8);
    const std::size_t given = std::min<std::size_t>(static_cast<std::size_t>(end - data), data_size & kMaxData);
    std::copy(data, data + given, file.begin() + 8 + static_cast<std::ptrdiff_t>(header.size()));
    return file;
}

void refit_checksum(Bytes& file) {
    if (file.size() < kDigitsAt + kDigits) {
        return;
    }
    Sha256 sum;
    sum.update(file.data(), kDigitsAt);
    sum.update(file.data() + kDigitsAt + kDigits, file.size() - kDigitsAt - kDigits);
    const std::string digits = sum.hex();
    std::memcpy(file.data() + kDigitsAt, digits.data(), kDigits);
}

}  // namespace adasgn::testing
