// What the fuzzer mutates, and the model file it stands for. A whole file has more than half a megabyte of weights and
// a description inside a JSON string, both of which mutations would only get lost in. So an input is one of
//
//     'F', a file                       as it is
//     '1', '2' or '3', data size, description, 0, tensors, 0, start of the data
//
// where the first byte is the file's version; the data size has four bytes, little-endian, of which the lowest 22 bits
// count; the description becomes the metadata's string; tensors is the JSON text of the header after the metadata; data
// that is not given is zero. Opening, header length and padding of the second kind are as they should be; the checksum
// is left to refit_checksum.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace adasgn::testing {

using Bytes = std::vector<unsigned char>;

Bytes input_of_file(const std::vector<char>& file);
Bytes input_of_parts(int version, std::uint32_t data_size, const std::string& description, const std::string& tensors,
                     const Bytes& data);

Bytes file_of_input(const unsigned char* input, std::size_t size);

// Sets the checksum, in a file that is long enough to have one, to what the other bytes call for.
void refit_checksum(Bytes& file);

}  // namespace adasgn::testing
