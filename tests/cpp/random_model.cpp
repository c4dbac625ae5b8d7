#include "random_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "adasgn/sha256.h"

namespace adasgn::testing {

using Json = nlohmann::ordered_json;

const Shape kAdaptive22{22, {1, 11, 22}, {false, true}, 20, 14, true};
const Shape kPose22{22, {11, 22}, {false, true}, 20, 14, true, true};
const Shape kDense25{25, {25}, {true}, 20, 60, false};

namespace {

constexpr std::size_t kDigitsAt = 44;
constexpr std::size_t kDigits = 64;

std::string after_last_dot(const std::string& name) {
    return name.substr(name.rfind('.') + 1);
}

}  // namespace

std::vector<float> random_floats(std::size_t count, std::mt19937& random, float scale) {
    std::normal_distribution<float> normal(0.0F, scale);
    std::vector<float> values(count);
    for (float& value : values) {
        value = normal(random);
    }
    return values;
}

Model random_model(const Shape& shape, unsigned seed) {
    Model model;
    Description& d = model.description;
    const bool transform = shape.adaptive || shape.escalates || shape.pose ||
                           shape.joint_sets != std::vector<int>{shape.joints} || shape.big.size() > 1;
    d.kind = shape.adaptive || shape.escalates ? "adasgn" : transform ? "single" : "sgn";
    d.joints = shape.joints;
    d.classes = shape.classes;
    d.frames = shape.frames;
    d.stride = shape.stride;
    d.escalates = shape.escalates;
    if (shape.escalates) {
        d.effort_table = {{0, 0, 1000, std::nullopt}, {1, 2, 2000, std::nullopt}};
    }
    d.adaptive = shape.adaptive;
    if (shape.pose) {
        d.branches.push_back({"P-" + std::to_string(shape.joints), shape.joints, Size::pose});
    }
    for (const int joints : shape.joint_sets) {
        for (const bool big : shape.big) {
            d.branches.push_back({(big ? "B-" : "S-") + std::to_string(joints), joints, big ? Size::big : Size::small});
        }
    }
    d.layout = "random";
    for (int i = 0; i < d.joints; ++i) {
        d.joint_names.push_back("joint " + std::to_string(i));
        d.preprocessing.parents.push_back(i == 0 ? 0 : i - 1);
    }
    for (int i = 0; i < d.classes; ++i) {
        d.class_names.push_back("class " + std::to_string(i));
    }
    d.stream = "joint";
    d.window = 2.5;
    d.preprocessing.origin = 0;
    d.precision = "f32";
    for (const char* convention : {"paper", "full", "folded"}) {
        d.cost[convention].assign(d.branches.size(), 1000);
    }
    std::mt19937 random(seed);
    for (const auto& [name, extents] : expected_tensors(d)) {
        std::size_t count = 1;
        for (const std::int64_t extent : extents) {
            count *= static_cast<std::size_t>(extent);
        }
        const std::string kind = after_last_dot(name);
        const auto inputs = static_cast<float>(extents.size() > 1 ? extents[extents.size() - 2] : 1);
        float scale = 0.1F;
        if (kind == "weight" || kind == "itself" || kind == "neighbours") {
            scale = std::sqrt(2.0F / inputs);
        } else if (kind == "transform") {
            scale = 1.0F / std::sqrt(static_cast<float>(d.joints));
        } else if (kind == "q") {
            scale = 0.02F;  // logits that differ by a few units, as trained ones do
        }
        model.tensors[name] = {extents, random_floats(count, random, scale)};
    }
    return model;
}

std::string description_json(const Description& d) {
    Json branches = Json::array();
    for (const BranchShape& branch : d.branches) {
        branches.push_back(branch.name);
    }
    const Preprocessing& rules = d.preprocessing;
    Json bones = Json::array();
    for (std::size_t i = 0; i < rules.parents.size(); ++i) {
        if (rules.parents[i] != static_cast<int>(i)) {
            bones.push_back(Json::array({d.joint_names[i], d.joint_names[rules.parents[i]]}));
        }
    }
    const Json layout = {{"name", d.layout},
                         {"joints", d.joint_names},
                         {"bones", bones},
                         {"origin", d.joint_names[rules.origin]},
                         {"scale_bone", nullptr},
                         {"up", {0.0, 1.0, 0.0}},
                         {"joint_sets", Json::object({{"1", Json::array({Json(d.joint_names)})}})}};
    const Json json = {
        {"kind", d.kind},
        {"config",
         {{"joints", d.joints},
          {"classes", d.classes},
          {"frames", d.frames},
          {"transform", d.kind != "sgn"},
          {"adaptive", d.adaptive},
          {"escalates", d.escalates},
          {"stride", d.stride}}},
        {"layout", layout},
        {"class_names", d.class_names},
        {"stream", d.stream},
        {"window", d.window},
        {"preprocessing", {{"origin", rules.origin}, {"scale_bone", nullptr}, {"parents", rules.parents}}},
        {"precision", d.precision},
        {"cost", d.cost},
        {"provenance", Json::object()}};
    if (d.action_shares.empty()) {
        return json.dump();
    }
    Json with_shares = json;
    with_shares["action_shares"] = d.action_shares;
    return with_shares.dump();
}

std::vector<char> file_of(const std::string& rest_of_header, const std::vector<char>& data) {
    std::string header = R"({"__metadata__":{"checksum":"sha256:)" + std::string(kDigits, '0') + "\"," + rest_of_header;
    while ((header.size() + 8) % 64 != 0) {
        header += ' ';
    }
    std::vector<char> bytes(8 + header.size() + data.size());
    for (int i = 0; i < 8; ++i) {
        bytes[i] = static_cast<char>(header.size() >> (8 * i));
    }
    std::copy(header.begin(), header.end(), bytes.begin() + 8);
    std::copy(data.begin(), data.end(), bytes.end() - static_cast<std::ptrdiff_t>(data.size()));
    update_checksum(bytes);
    return bytes;
}

void update_checksum(std::vector<char>& bytes) {
    Sha256 sum;
    sum.update(bytes.data(), kDigitsAt);
    sum.update(bytes.data() + kDigitsAt + kDigits, bytes.size() - kDigitsAt - kDigits);
    const std::string digits = sum.hex();
    std::memcpy(bytes.data() + kDigitsAt, digits.data(), kDigits);
}

std::vector<char> file_bytes(const Model& model) {
    std::string header = R"("format":"adasgn_edge.model","version":"2","model":)" +
                         Json(description_json(model.description)).dump() + "}";
    std::vector<char> data;
    for (const auto& [name, tensor] : model.tensors) {
        const std::size_t begin = data.size();
        data.resize(begin + tensor.values.size() * sizeof(float));
        std::memcpy(data.data() + begin, tensor.values.data(), tensor.values.size() * sizeof(float));
        header += ",\"" + name + "\":" +
                  Json({{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}}).dump();
    }
    return file_of(header + "}", data);
}

}  // namespace adasgn::testing
