// Model files with a part of their header changed, and what the reader says of them.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "adasgn/error.h"
#include "adasgn/model.h"
#include "random_model.h"

namespace adasgn::testing {

const Shape kSmall{3, {1, 2}, {false}, 2, 2, true};

inline std::string error_of(const std::vector<char>& bytes) {
    try {
        parse_model(bytes.data(), bytes.size());
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::model_file);
        return error.what();
    }
    return "no error";
}

inline bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// A text as it stands within the string of the description.
inline std::string escaped(const std::string& text) {
    std::string result;
    for (const char c : text) {
        result += c == '"' ? std::string("\\\"") : std::string(1, c);
    }
    return result;
}

// The bytes with `from` in the header replaced by `to` of the same length or, with padding taken up, another; the
// checksum made right again.
inline std::vector<char> edited(const std::vector<char>& bytes, const std::string& from, const std::string& to) {
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    std::string header(bytes.data() + 8, length);
    const std::size_t at = header.find(from);
    REQUIRE(at != std::string::npos);
    header.replace(at, from.size(), to);
    header.erase(header.find_last_not_of(' ') + 1);
    const std::string opening = R"({"__metadata__":{"checksum":"sha256:)" + std::string(64, '0') + "\",";
    return file_of(header.substr(opening.size()), {bytes.begin() + 8 + static_cast<long>(length), bytes.end()});
}

}  // namespace adasgn::testing
