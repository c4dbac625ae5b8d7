// Writes starting points for fuzz_model_file into a folder: small inputs that reach every step of the reader. Those
// that stand for whole models are read first: a seed that stops early would be of no use.
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "adasgn/error.h"
#include "fuzz_input.h"
#include "random_model.h"

using namespace adasgn::testing;
using Json = nlohmann::ordered_json;

namespace {

// One fault at a time, from which mutations may find their way to others.
const std::vector<std::pair<const char*, Json>> kFaults = {
    {"/cost/paper/0", -1},
    {"/window", 0},
    {"/preprocessing/origin", 1},
    {"/preprocessing/origin", {0, 1}},
    {"/preprocessing/parents/1", -1},
    {"/layout/origin", {"joint 0", "joint 0"}},
    {"/layout/bones/0/1", "joint 1"},
    {"/layout/bones/0/0", "nowhere"},
    {"/layout/joint_sets", {{"2", {{"joint 0"}, {"joint 0"}}}}},
    {"/layout/up/0", 0},
};

const std::vector<std::pair<const char*, Json>> kCausalFaults = {
    {"/config/causal/trail", {3, 2}},
    {"/config/causal/pool", 3},
    {"/config/causal/origin", 4},
    {"/recognition/step", 0},
    {"/recognition/decision/end", 0.9},
    {"/recognition/decision/end_shift", 18446744073709551615U},
    {"/stream", "bone"},
};

bool stored_as_half(const std::string& name, const adasgn::Description& d) {
    const std::string kind = name.substr(name.rfind('.') + 1);
    const bool routes = d.adaptive && (name.rfind("policy.", 0) == 0 || name.rfind("branches.0.", 0) == 0);
    return d.precision == "f16" && !routes && (kind == "weight" || kind == "neighbours" || kind == "itself");
}

// A description in the words of version 1, of a model whose branches are all sizes of all joint sets.
Json of_version_1(const adasgn::Description& d, Json description, const Shape& shape) {
    Json& config = description["config"];
    for (const char* key : {"branches", "escalates", "stride"}) {
        config.erase(key);
    }
    config["joint_sets"] = shape.joint_sets;
    for (const bool big : shape.big) {
        config["sizes"].push_back(big ? "big" : "small");
    }
    for (const adasgn::BranchShape& branch : d.branches) {
        description["branches"].push_back(branch.name);
    }
    return description;
}

// A model of this description whose first weights are `start` and whose others are 0.
Bytes whole_model(const adasgn::Description& d, const Json& description, const Bytes& start) {
    const int version = description.contains("branches") ? 1 : d.causal ? 3 : 2;
    std::string tensors;
    std::uint32_t position = 0;
    for (const bool half : {false, true}) {  // F32 first keeps F32 aligned
        for (const auto& [name, shape] : adasgn::expected_tensors(d)) {
            if (stored_as_half(name, d) != half) {
                continue;
            }
            std::uint32_t bytes = half ? 2 : 4;
            for (const std::int64_t extent : shape) {
                bytes *= static_cast<std::uint32_t>(extent);
            }
            const Json entry = {{"dtype", half ? "F16" : "F32"},
                                {"shape", shape},
                                {"data_offsets", Json::array({position, position + bytes})}};
            tensors += ",\"" + name + "\":" + entry.dump();
            position += bytes;
        }
    }
    return input_of_parts(version, position, description.dump(), tensors, start);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    int number = 0;
    const auto write = [&](const Bytes& input) {
        const std::string path = std::string(argv[1]) + "/seed-" + std::to_string(number++);
        std::ofstream file(path, std::ios::binary);
        if (!file.write(reinterpret_cast<const char*>(input.data()), static_cast<std::streamsize>(input.size()))) {
            std::fprintf(stderr, "%s: cannot be written\n", path.c_str());
            std::exit(1);
        }
    };
    const auto sound = [&](const Bytes& input) {
        write(input);
        Bytes file = file_of_input(input.data(), input.size());
        refit_checksum(file);
        try {
            adasgn::parse_model(file.data(), file.size(), "seed " + std::to_string(number - 1));
        } catch (const adasgn::Error& error) {
            std::fprintf(stderr, "%s\n", error.what());
            std::exit(1);
        }
    };
    for (const Shape& shape : {Shape{3, {1, 2}, {false}, 2, 2, true}, Shape{2, {2}, {true}, 1, 2, false},
                               Shape{4, {1, 3}, {false, true}, 1, 3, true}, Shape{5, {3}, {false}, 2, 2, false},
                               Shape{3, {2}, {true}, 2, 2, true, true}, Shape{4, {}, {}, 1, 2, false, true},
                               Shape{3, {1}, {false}, 3, 2, false, true, true, 2},
                               Shape{4, {1}, {false}, 4, 2, false, true, true, 1, adasgn::CausalShape{{2}, {1}, 2, 1}},
                               Shape{2, {}, {}, 7, 2, false, true, false, 1, adasgn::CausalShape{{}, {1, 2}, 1, 0}}}) {
        adasgn::Description d = random_model(shape, 1).description;
        const std::string metadata = R"("format":"adasgn_edge.model","version":")" + std::string(d.causal ? "3" : "2") +
                                     R"(","model":)" + Json(description_json(d)).dump() + "}";
        write(input_of_file(
            file_of(metadata + R"(,"temporal.classify.bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
                    std::vector<char>(8))));
        write(input_of_file(file_of(metadata + R"(,"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)" +
                                        R"("b":{"dtype":"F16","shape":[2],"data_offsets":[4,8]}})",
                                    std::vector<char>(8))));
        for (const char* precision : {"f32", "f16"}) {
            d.precision = precision;
            Json description = Json::parse(description_json(d));
            description["layout"]["scale_bone"] = {"joint 0", "joint 1"};
            description["preprocessing"]["scale_bone"] = {0, 1};
            if (d.adaptive) {
                description["action_shares"] = std::vector<double>(d.branches.size(), 1.0 / d.branches.size());
            }
            const Bytes one{0, 0, 0x80, 0x3f};
            write(whole_model(d, description, {0, 0, 0xc0, 0x7f}));  // refused: a weight that is not a number
            for (const auto& [pointer, value] : kFaults) {
                Json faulty = description;
                faulty[Json::json_pointer(pointer)] = value;
                write(whole_model(d, faulty, one));
            }
            if (d.adaptive) {  // known, or not
                Json other = description;
                other.erase("action_shares");
                write(whole_model(d, other, one));
                other["action_shares"] = std::vector<double>(d.branches.size(), -1.0);
                write(whole_model(d, other, one));
            }
            sound(whole_model(d, description, one));
            Json several = description;
            several["layout"]["origin"] = {"joint 1", "joint 0"};
            several["preprocessing"]["origin"] = {1, 0};
            sound(whole_model(d, several, one));
            if (d.causal) {
                for (const auto& [pointer, value] : kCausalFaults) {
                    Json faulty = description;
                    faulty[Json::json_pointer(pointer)] = value;
                    write(whole_model(d, faulty, one));
                }
            }
            if (!shape.pose && !shape.escalates && shape.stride == 1) {
                sound(whole_model(d, of_version_1(d, description, shape), one));
            }
        }
    }
    return 0;
}
