// SHA-256 (FIPS 180-4), for the checksum of a model file.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace adasgn {

class Sha256 {
  public:
    void update(const void* bytes, std::size_t size);
    // The digest in lower-case hexadecimal; ends the object's use.
    std::string hex();

  private:
    void block(const std::uint8_t* bytes);

    std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<std::uint8_t, 64> pending_{};
    std::uint64_t length_ = 0;
};

}  // namespace adasgn
