// Models and clips with random values, and the file that holds such a model.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "adasgn/model.h"

namespace adasgn::testing {

struct Shape {
    int joints;
    std::vector<int> joint_sets;
    std::vector<bool> big;  // the sizes: {false, true} is small and big
    int frames;
    int classes;
    bool adaptive;
    bool pose = false;       // a pose branch before the others
    bool escalates = false;  // with an effort table from threshold 0 to 2
    int stride = 1;          // of the temporal module
};

// AdaSGN on 22 joints with the paper's branches and with a pose branch, and dense SGN on 25.
extern const Shape kAdaptive22;
extern const Shape kPose22;
extern const Shape kDense25;

Model random_model(const Shape& shape, unsigned seed);
std::vector<float> random_floats(std::size_t count, std::mt19937& random, float scale = 1.0F);

// The bytes of a `.adasgn` file.
std::vector<char> file_bytes(const Model& model);
// Sets the checksum to what the bytes call for, after a test has changed them.
void update_checksum(std::vector<char>& bytes);
// A file of a header and data, with the right checksum; metadata is the JSON text after the checksum's comma.
std::vector<char> file_of(const std::string& rest_of_header, const std::vector<char>& data);
std::string description_json(const Description& description);

}  // namespace adasgn::testing
