#include "random_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "adasgn/constants.h"
#include "adasgn/sha256.h"

namespace adasgn::testing {

using Json = nlohmann::ordered_json;

const Shape kAdaptive22{22, {1, 11, 22}, {false, true}, 20, 14, true};
const Shape kPose22{22, {11, 22}, {false, true}, 20, 14, true, true};
const Shape kEscalating22{22, {11, 22}, {false}, 20, 14, false, true, true, 2};
const Shape kDense25{25, {25}, {true}, 20, 60, false};
const Shape kCausal22{25,    {11, 25}, {false, true}, 20, 14,
                      false, true,     true,          1,  CausalShape{{2, 4, 8}, {1, 2, 4}, 6, 1}};

namespace {

constexpr std::size_t kDigitsAt = 44;
constexpr std::size_t kDigits = 64;

std::string after_last_dot(const std::string& name) {
    return name.substr(name.rfind('.') + 1);
}

// A model file has one value itself, several as a list.
Json one_or_list(const std::vector<Json>& values) {
    return values.size() == 1 ? values.front() : Json(values);
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
    d.adaptive = shape.adaptive;
    d.causal = shape.causal;
    if (d.causal) {
        const Decision decision{0.5F, 0.75F, 0.25F, 0.5F, 150'000'000, 10'000'000'000, 0, 0, -50'000'000};
        d.recognition = {50'000'000, shape.classes - 1, decision};
    }
    if (shape.pose) {
        d.branches.push_back({"P-" + std::to_string(shape.joints), shape.joints, Size::pose});
    }
    for (const int joints : shape.joint_sets) {
        for (const bool big : shape.big) {
            d.branches.push_back({(big ? "B-" : "S-") + std::to_string(joints), joints, big ? Size::big : Size::small});
        }
    }
    d.layout = "random";
    for (int i = 0; i < d.recorded_joints(); ++i) {
        d.joint_names.push_back("joint " + std::to_string(i));
        d.preprocessing.parents.push_back(i == 0 ? 0 : i - 1);
    }
    for (int i = 0; i < d.classes; ++i) {
        d.class_names.push_back("class " + std::to_string(i));
    }
    d.stream = "joint";
    d.window = 2.5;
    d.preprocessing.origin = {0};
    d.precision = "f32";
    for (const char* convention : {"paper", "full", "folded"}) {
        d.cost[convention].assign(d.branches.size(), 1000);
    }
    if (d.escalates) {
        d.effort_table = {{0.0, 0.0, 1000, std::nullopt}, {1.0, 2.0, 5000, 0.75}};
        d.default_effort = 0.25;
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

std::size_t clip_floats(const Description& description) {
    return static_cast<std::size_t>(description.clip_frames()) * description.recorded_joints() * kCoordinates;
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
    std::vector<Json> origin;
    std::vector<Json> origin_names;
    for (const int joint : rules.origin) {
        origin.emplace_back(joint);
        origin_names.emplace_back(d.joint_names[joint]);
    }
    const Json layout = {{"name", d.layout},
                         {"joints", d.joint_names},
                         {"bones", bones},
                         {"origin", one_or_list(origin_names)},
                         {"scale_bone", nullptr},
                         {"up", {0.0, 1.0, 0.0}},
                         {"joint_sets", Json::object({{"1", Json::array({Json(d.joint_names)})}})}};
    const Json json = {
        {"kind", d.kind},
        {"config",
         {{"joints", d.joints},
          {"classes", d.classes},
          {"branches", branches},
          {"frames", d.frames},
          {"transform", d.kind != "sgn"},
          {"adaptive", d.adaptive},
          {"escalates", d.escalates},
          {"stride", d.stride}}},
        {"layout", layout},
        {"class_names", d.class_names},
        {"stream", d.stream},
        {"window", d.window},
        {"preprocessing", {{"origin", one_or_list(origin)}, {"scale_bone", nullptr}, {"parents", rules.parents}}},
        {"precision", d.precision},
        {"cost", d.cost},
        {"provenance", Json::object()}};
    Json all = json;
    if (!d.action_shares.empty()) {
        all["action_shares"] = d.action_shares;
    }
    if (d.escalates) {
        all["effort"] = {{"default", d.default_effort}, {"table", Json::array()}};
        for (const EffortPoint& point : d.effort_table) {
            const Json accuracy = point.accuracy ? Json(*point.accuracy) : Json(nullptr);
            all["effort"]["table"].push_back({point.effort, point.threshold, point.macs, accuracy});
        }
    }
    if (d.causal) {
        const CausalShape& causal = *d.causal;
        all["config"]["causal"] = {
            {"trail", causal.trail}, {"dilations", causal.dilations}, {"pool", causal.pool}, {"origin", causal.origin}};
        const Decision& decision = d.recognition->decision;
        all["recognition"] = {{"step", d.recognition->step},
                              {"none", d.recognition->none},
                              {"delay", d.recognition->delay},
                              {"decision",
                               {{"smoothing", decision.smoothing},
                                {"start", decision.start},
                                {"end", decision.end},
                                {"low", decision.low},
                                {"minimum", decision.minimum},
                                {"maximum", decision.maximum},
                                {"cool_down", decision.cool_down},
                                {"start_shift", decision.start_shift},
                                {"end_shift", decision.end_shift}}}};
    }
    return all.dump();
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
    return file_bytes(model, description_json(model.description), model.description.causal ? 3 : 2);
}

std::vector<char> file_bytes(const Model& model, const std::string& description, int version) {
    std::string header = R"("format":"adasgn_edge.model","version":")" + std::to_string(version) + R"(","model":)" +
                         Json(description).dump() + "}";
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
