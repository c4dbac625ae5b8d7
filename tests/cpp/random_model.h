// Models and clips with random values, and the file that holds such a model.
#pragma once

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "adasgn/model.h"

namespace adasgn::testing {

struct Shape {
    int joints;  // V
    std::vector<int> joint_sets;
    std::vector<bool> big;  // the sizes: {false, true} is small and big
    int frames;
    int classes;
    bool adaptive;
    bool pose = false;       // a pose branch before the others
    bool escalates = false;  // with a table from effort 0, threshold 0, to effort 1, threshold 2
    int stride = 1;
    std::optional<CausalShape> causal = std::nullopt;  // the trail is among the joints, its T is `frames`
};

// AdaSGN on 22 joints with the paper's branches and with a pose branch, one that escalates, and dense SGN on 25; a
// causal model that escalates on 22 recorded joints, with branches of all sizes.
extern const Shape kAdaptive22;
extern const Shape kPose22;
extern const Shape kEscalating22;
extern const Shape kDense25;
extern const Shape kCausal22;

Model random_model(const Shape& shape, unsigned seed);
std::vector<float> random_floats(std::size_t count, std::mt19937& random, float scale = 1.0F);

// Coordinates of a clip.
std::size_t clip_floats(const Description& description);

// The bytes of a `.adasgn` file; given a description, with that one and of that version.
std::vector<char> file_bytes(const Model& model);
std::vector<char> file_bytes(const Model& model, const std::string& description, int version);
// Sets the checksum to what the bytes call for, after a test has changed them.
void update_checksum(std::vector<char>& bytes);
// A file of a header and data, with the right checksum; metadata is the JSON text after the checksum's comma.
std::vector<char> file_of(const std::string& rest_of_header, const std::vector<char>& data);
std::string description_json(const Description& description);

}  // namespace adasgn::testing
