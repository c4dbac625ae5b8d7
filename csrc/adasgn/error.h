// The one exception type of the core. Every message says what was expected and what came.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

namespace adasgn {

// Text in which nothing acts on a terminal: control and direction characters appear as \x1b and so on, byte by byte.
// Messages quote paths and files of strangers; adasgn_edge/wording.py does the same to those of Python.
inline std::string printable(const std::string& text) {
    const auto byte = [&text](std::size_t at) {
        return at < text.size() ? static_cast<unsigned char>(text[at]) : static_cast<unsigned char>(0);
    };
    // How many bytes, from this one on, are a character that acts; 0 for one that does not.
    const auto acting = [&byte](std::size_t at) -> std::size_t {
        if (byte(at) < 0x20 || byte(at) == 0x7f) {
            return 1;
        }
        if (byte(at) == 0xc2 && byte(at + 1) >= 0x80 && byte(at + 1) < 0xa0) {  // U+0080 to U+009F
            return 2;
        }
        const bool general = byte(at) == 0xe2 && byte(at + 1) == 0x80;
        const unsigned char last = byte(at + 2);
        if (general && (last == 0x8e || last == 0x8f || (last >= 0xa8 && last <= 0xae))) {  // marks, lines, embeddings
            return 3;
        }
        const bool isolates = byte(at) == 0xe2 && byte(at + 1) == 0x81 && last >= 0xa6 && last <= 0xa9;
        return isolates ? 3 : 0;
    };
    constexpr const char* kDigits = "0123456789abcdef";
    std::string shown;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t count = acting(at);
        if (count == 0) {
            shown += text[at++];
            continue;
        }
        for (const std::size_t end = at + count; at < end; ++at) {
            shown += {'\\', 'x', kDigits[byte(at) >> 4], kDigits[byte(at) & 15]};
        }
    }
    return shown;
}

enum class ErrorKind {
    model_file,  // missing, damaged, hostile, of another version, or tensors that do not fit their description
    clip,        // wrong shape, count or values of what is to be recognised
    engine,      // options that this machine or this build cannot meet
};

class Error : public std::runtime_error {
  public:
    Error(ErrorKind kind, const std::string& message) : std::runtime_error(printable(message)), kind_(kind) {}
    ErrorKind kind() const noexcept { return kind_; }

  private:
    ErrorKind kind_;
};

}  // namespace adasgn
