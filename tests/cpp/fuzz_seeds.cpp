// Writes starting points for fuzz_model_file into a folder: small files that reach every step of the reader.
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "random_model.h"

using namespace adasgn::testing;

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    int number = 0;
    const auto write = [&](const std::vector<char>& bytes) {
        const std::string path = std::string(argv[1]) + "/seed-" + std::to_string(number++);
        std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    };
    for (const Shape& shape : {Shape{3, {1, 2}, {false}, 2, 2, true}, Shape{2, {2}, {true}, 1, 2, false}}) {
        const adasgn::Model model = random_model(shape, 1);
        const std::string metadata = R"("format":"adasgn_edge.model","version":"1","model":)" +
                                     nlohmann::json(description_json(model.description)).dump() + "}";
        write(file_of(metadata + R"(,"temporal.classify.bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
                      std::vector<char>(8)));
        write(file_of(metadata + R"(,"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)" +
                          R"("b":{"dtype":"F16","shape":[2],"data_offsets":[4,8]}})",
                      std::vector<char>(8)));
        write(file_bytes(model));
    }
    return 0;
}
