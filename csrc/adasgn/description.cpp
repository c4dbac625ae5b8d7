#include "adasgn/description.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <tuple>
#include <vector>

#include "adasgn/constants.h"
#include "adasgn/layout.h"

namespace adasgn {

namespace {

int integer(const Json& value, int low, int high, const JsonContext& at) {
    if (!value.is_whole(low, high)) {
        at.fail("expected a whole number from " + std::to_string(low) + " to " + std::to_string(high), value);
    }
    return static_cast<int>(value.whole());
}

bool boolean(const Json& value, const JsonContext& at) {
    if (!value.is_boolean()) {
        at.fail("expected true or false", value);
    }
    return value.boolean();
}

std::string choice(const Json& value, std::initializer_list<const char*> choices, const JsonContext& at) {
    std::string known;
    for (const char* one : choices) {
        if (value == one) {
            return one;
        }
        known += (known.empty() ? "" : ", ") + std::string(one);
    }
    at.fail("expected one of " + known, value);
}

// Version 1: every size for every joint set.
void parse_branch_grid(const Json& joint_sets, const Json& sizes, Description& description, const JsonContext& at) {
    if (!sizes.is_list_of({"small"}) && !sizes.is_list_of({"big"}) && !sizes.is_list_of({"small", "big"})) {
        at.inside("sizes").fail("expected [\"small\"], [\"big\"] or [\"small\", \"big\"]", sizes);
    }
    expect_list(joint_sets, 1, kMaxBranches / sizes.size(), at.inside("joint_sets"));
    for (const Json& joint_set : joint_sets) {
        const int joints = integer(joint_set, 1, kMaxJoints, at.inside("joint_sets"));
        for (const Json& size : sizes) {
            const bool big = size == "big";
            description.branches.push_back(
                {(big ? "B-" : "S-") + std::to_string(joints), joints, big ? Size::big : Size::small});
        }
    }
}

// A name such as P-22, S-1 or B-25.
BranchShape parse_branch(const Json& name, const JsonContext& at) {
    constexpr std::size_t kMostDigits = 6;
    const std::string text = name.is_string() ? name.text() : "";
    const std::size_t kind = text.empty() ? std::string::npos : std::string("PSB").find(text[0]);
    const bool sound = kind != std::string::npos && text.size() >= 3 && text.size() <= 2 + kMostDigits &&
                       text[1] == '-' && text[2] != '0' && text.find_first_not_of("0123456789", 2) == std::string::npos;
    if (!sound) {
        at.fail("expected names such as P-22, S-1 or B-25", name);
    }
    const int joints = std::stoi(text.substr(2));
    if (joints > kMaxJoints) {
        at.fail("expected branches of at most " + std::to_string(kMaxJoints) + " joints", name);
    }
    return {text, joints, static_cast<Size>(kind)};
}

void expect_branches(const Description& description, const Json& json, const JsonContext& at) {
    const std::vector<BranchShape>& branches = description.branches;
    const auto order = [](const BranchShape& b) { return std::make_tuple(!b.pose(), b.joints, b.size); };
    for (std::size_t i = 1; i < branches.size(); ++i) {
        if (!(order(branches[i - 1]) < order(branches[i]))) {
            at.fail("expected them in ascending order of cost, none twice", json);
        }
    }
    if (branches.front().pose() && branches.front().joints != description.joints) {
        at.fail("expected a pose branch of all joints", json);
    }
    if (description.escalates && branches.size() < 2) {
        at.fail("expected two branches or more, as the model escalates", json);
    }
    if (!description.adaptive && !description.escalates && branches.size() != 1) {
        at.fail("expected one branch, as there is no policy or escalation", json);
    }
    if (description.kind == "sgn" && !(branches.front().big() && branches.front().joints == description.joints)) {
        at.fail("expected the big branch of all joints, as there is no transform", json);
    }
}

std::vector<int> integers(const Json& value, std::size_t least, std::size_t most, int high, const JsonContext& at) {
    expect_list(value, least, most, at);
    std::vector<int> result;
    for (const Json& item : value) {
        result.push_back(integer(item, 1, high, at));
    }
    return result;
}

// The rest of the configuration is known.
CausalShape parse_causal(const Json& json, const Description& description, const JsonContext& at) {
    expect_keys(json, {"trail", "dilations", "pool", "origin"}, at);
    CausalShape causal;
    causal.trail = integers(json["trail"], 0, kMaxTrail, kMaxFrames - 1, at.inside("trail"));
    if (std::adjacent_find(causal.trail.begin(), causal.trail.end(), std::greater_equal<>()) != causal.trail.end()) {
        at.inside("trail").fail("expected it ascending", json["trail"]);
    }
    causal.dilations = integers(json["dilations"], 1, kMaxTemporalLayers, kMaxFrames, at.inside("dilations"));
    causal.pool = integer(json["pool"], 1, kMaxFrames, at.inside("pool"));
    const int past = std::accumulate(causal.dilations.begin(), causal.dilations.end(), 0);
    const int frames = causal.pool + (kTaps - 1) * past;
    if (description.frames != frames) {
        at.fail("expected " + std::to_string(frames) + " frames, as dilations and pool call for, found " +
                std::to_string(description.frames));
    }
    const int recorded = description.joints - static_cast<int>(causal.trail.size());
    if (recorded < 1) {
        at.inside("trail").fail("expected joints beside it", json["trail"]);
    }
    causal.origin = integer(json["origin"], 0, recorded - 1, at.inside("origin"));
    if (description.adaptive) {
        at.fail("expected no policy in a causal model, found one");
    }
    if (description.stride != 1) {
        at.fail("expected a causal model with stride 1, found " + std::to_string(description.stride));
    }
    return causal;
}

void parse_config(const Json& json, int version, Description& description, const JsonContext& at) {
    if (version == 1) {
        expect_keys(json, {"joints", "classes", "joint_sets", "sizes", "frames", "transform", "adaptive"}, at);
    } else {
        std::vector<const char*> keys{"joints",    "classes",  "branches",  "frames",
                                      "transform", "adaptive", "escalates", "stride"};
        if (version == 3) {
            keys.push_back("causal");
        }
        expect_keys(json, keys, at);
    }
    description.joints = integer(json["joints"], 1, kMaxJoints, at.inside("joints"));
    description.classes = integer(json["classes"], 2, kMaxClasses, at.inside("classes"));
    description.frames = integer(json["frames"], 1, kMaxFrames, at.inside("frames"));
    description.adaptive = boolean(json["adaptive"], at.inside("adaptive"));
    description.stride = version > 1 ? integer(json["stride"], 1, kMaxStride, at.inside("stride")) : 1;
    description.escalates = version > 1 && boolean(json["escalates"], at.inside("escalates"));
    const bool transform = boolean(json["transform"], at.inside("transform"));
    if (transform != (description.kind != "sgn")) {
        at.inside("transform").fail("expected it to fit the kind " + description.kind, json["transform"]);
    }
    if ((description.adaptive || description.escalates) != (description.kind == "adasgn")) {
        at.inside("adaptive").fail("expected it to fit the kind " + description.kind, json["adaptive"]);
    }
    if (description.adaptive && description.escalates) {
        at.inside("escalates").fail("expected a policy or escalation, found both");
    }
    if (version == 1) {
        parse_branch_grid(json["joint_sets"], json["sizes"], description, at);
        expect_branches(description, json["joint_sets"], at.inside("joint_sets"));
        return;
    }
    const Json& branches = json["branches"];
    expect_list(branches, 1, kMaxBranches, at.inside("branches"));
    for (const Json& name : branches) {
        description.branches.push_back(parse_branch(name, at.inside("branches")));
    }
    expect_branches(description, branches, at.inside("branches"));
    if (version == 3) {
        description.causal = parse_causal(json["causal"], description, at.inside("causal"));
    }
}

Preprocessing parse_preprocessing(const Json& json, int joints, const JsonContext& at) {
    expect_keys(json, {"origin", "scale_bone", "parents"}, at);
    Preprocessing result;
    const Json& origin = json["origin"];
    if (origin.is_array()) {
        expect_list(origin, 2, static_cast<std::size_t>(joints), at.inside("origin"));
        for (const Json& joint : origin) {
            result.origin.push_back(integer(joint, 0, joints - 1, at.inside("origin")));
        }
    } else {
        result.origin = {integer(origin, 0, joints - 1, at.inside("origin"))};
    }
    const Json& bone = json["scale_bone"];
    if (!bone.is_null()) {
        expect_list(bone, 2, 2, at.inside("scale_bone"));
        result.scale_bone = {integer(bone[0], 0, joints - 1, at.inside("scale_bone")),
                             integer(bone[1], 0, joints - 1, at.inside("scale_bone"))};
    }
    expect_list(json["parents"], joints, joints, at.inside("parents"));
    for (const Json& parent : json["parents"]) {
        result.parents.push_back(integer(parent, 0, joints - 1, at.inside("parents")));
    }
    return result;
}

void expect_layout_rules(const Preprocessing& found, const Preprocessing& rules, const Json& json,
                         const JsonContext& at) {
    if (found.origin != rules.origin || found.scale_bone != rules.scale_bone || found.parents != rules.parents) {
        at.fail("expected the layout's origin, scale bone and bones as joint indices, found others", json);
    }
}

void parse_cost(const Json& json, Description& description, const JsonContext& at) {
    expect_keys(json, {"paper", "full", "folded"}, at);
    for (std::size_t i = 0; i < json.size(); ++i) {
        const std::string& convention = json.key(i);
        const JsonContext here = at.inside(convention);
        expect_list(json[i], description.branches.size(), description.branches.size(), here);
        for (const Json& value : json[i]) {
            if (!value.is_whole(0, kMaxCost)) {
                here.fail("expected whole numbers from 0 to 2^62", value);
            }
            description.cost[convention].push_back(value.whole());
        }
    }
}

void parse_action_shares(const Json& json, Description& description, const JsonContext& at) {
    if (!description.adaptive) {
        at.fail("expected none, as there is no policy", json);
    }
    expect_list(json, description.branches.size(), description.branches.size(), at);
    double sum = 0;
    for (const Json& share : json) {
        if (!share.is_number() || !(share.number() >= 0)) {
            at.fail("expected numbers, at least 0", share);
        }
        description.action_shares.push_back(share.number());
        sum += description.action_shares.back();
    }
    if (!(std::abs(sum - 1) <= kShareTolerance)) {
        at.fail("expected numbers that add up to 1", json);
    }
}

double with_fraction(const Json& value, double low, double high, const JsonContext& at) {
    if (!value.is_number_float() || !(value.number() >= low && value.number() <= high)) {
        at.fail("expected a number with a fraction, from " + std::to_string(low) + " to " + std::to_string(high),
                value);
    }
    return value.number();
}

void parse_effort(const Json& json, Description& description, const JsonContext& at) {
    constexpr std::size_t kColumns = 4;
    expect_keys(json, {"default", "table"}, at);
    description.default_effort = with_fraction(json["default"], 0, 1, at.inside("default"));
    const JsonContext here = at.inside("table");
    expect_list(json["table"], 2, kMostEffortPoints, here);
    for (const Json& row : json["table"]) {
        expect_list(row, kColumns, kColumns, here);
        EffortPoint point{};
        point.effort = with_fraction(row[0], 0, 1, here);
        point.threshold = with_fraction(row[1], 0, kAlwaysEscalate, here);
        if (!row[2].is_whole(0, kMaxCost)) {
            here.fail("expected whole numbers from 0 to 2^62", row[2]);
        }
        point.macs = row[2].whole();
        if (!row[3].is_null()) {
            point.accuracy = with_fraction(row[3], 0, 1, here);
        }
        if (!description.effort_table.empty()) {
            const EffortPoint& last = description.effort_table.back();
            if (!(last.effort < point.effort && last.threshold <= point.threshold && last.macs <= point.macs)) {
                here.fail("expected efforts that rise, thresholds and MACs that do not fall", row);
            }
        }
        description.effort_table.push_back(point);
    }
    const EffortPoint& first = description.effort_table.front();
    if (first.effort != 0 || first.threshold != 0 || description.effort_table.back().effort != 1) {
        here.fail("expected efforts from 0, with threshold 0, to 1", json["table"]);
    }
}

double share(const Json& value, const JsonContext& at) {
    if (!value.is_number() || !(value.number() >= 0 && value.number() <= 1)) {
        at.fail("expected a number from 0 to 1", value);
    }
    return value.number();
}

std::int64_t nanoseconds(const Json& value, std::int64_t low, std::int64_t high, const JsonContext& at) {
    if (!value.is_whole(low, high)) {
        at.fail("expected whole nanoseconds from " + std::to_string(low) + " to " + std::to_string(high), value);
    }
    return value.whole();
}

Decision parse_decision(const Json& json, const JsonContext& at) {
    expect_keys(
        json, {"smoothing", "start", "end", "low", "minimum", "maximum", "cool_down", "start_shift", "end_shift"}, at);
    const auto time = [&](const char* key, std::int64_t low) {
        return nanoseconds(json[key], low, kMaxDecisionTime, at.inside(key));
    };
    const auto probability = [&](const char* key) { return share(json[key], at.inside(key)); };
    if (!(probability("smoothing") > 0)) {
        at.inside("smoothing").fail("expected a number above 0", json["smoothing"]);
    }
    if (probability("end") > probability("start")) {
        at.inside("end").fail("expected at most start, " + json["start"].dump(), json["end"]);
    }
    Decision decision{};
    decision.smoothing = static_cast<float>(probability("smoothing"));
    decision.start = static_cast<float>(probability("start"));
    decision.end = static_cast<float>(probability("end"));
    decision.low = static_cast<float>(probability("low"));
    decision.minimum = time("minimum", 0);
    decision.maximum = time("maximum", 0);
    decision.cool_down = time("cool_down", 0);
    decision.start_shift = time("start_shift", -kMaxDecisionTime);
    decision.end_shift = time("end_shift", -kMaxDecisionTime);
    if (decision.minimum > decision.maximum) {
        at.inside("minimum").fail("expected at most maximum, " + std::to_string(decision.maximum), json["minimum"]);
    }
    return decision;
}

// Whole steps within the window; files of before there was a delay have none.
std::int64_t parse_delay(const Json& json, std::int64_t step, int window, const JsonContext& at) {
    const std::int64_t delay = nanoseconds(json, 0, (window - 1) * step, at);
    if (delay % step != 0) {
        at.fail("expected whole steps of " + std::to_string(step) + " ns", json);
    }
    return delay;
}

Recognition parse_recognition(const Json& json, int classes, int window, const JsonContext& at) {
    std::vector<const char*> keys{"step", "none", "decision"};
    const bool delayed = json.is_object() && json.contains("delay");
    if (delayed) {
        keys.push_back("delay");
    }
    expect_keys(json, keys, at);
    const std::int64_t step = nanoseconds(json["step"], kMinStep, kMaxStep, at.inside("step"));
    return {step, integer(json["none"], 0, classes - 1, at.inside("none")),
            parse_decision(json["decision"], at.inside("decision")),
            delayed ? parse_delay(json["delay"], step, window, at.inside("delay")) : 0};
}

// All but action_shares, which is absent where it is not known, effort, which a model has that escalates, and
// recognition, which version 3 has; version 1 names the branches here too.
void expect_description_keys(const Json& json, int version, const JsonContext& at) {
    std::vector<const char*> keys{"kind",   "config",        "layout",    "class_names", "stream",
                                  "window", "preprocessing", "precision", "cost",        "provenance"};
    if (json.is_object() && json.contains("action_shares")) {
        keys.push_back("action_shares");
    }
    if (version == 1) {
        keys.push_back("branches");
    } else if (json.is_object() && json.contains("effort")) {
        keys.push_back("effort");
    }
    if (version == 3) {
        keys.push_back("recognition");
    }
    expect_keys(json, keys, at);
}

}  // namespace

Description parse_description(const Json& json, int version, const JsonContext& at) {
    expect_description_keys(json, version, at);
    Description description{};
    description.kind = choice(json["kind"], {"adasgn", "sgn", "single"}, at.inside("kind"));
    parse_config(json["config"], version, description, at.inside("config"));
    if (version == 1) {
        const std::vector<std::string> names =
            strings(json["branches"], description.branches.size(), at.inside("branches"));
        for (std::size_t i = 0; i < names.size(); ++i) {
            if (names[i] != description.branches[i].name) {
                at.inside("branches").fail("expected " + description.branches[i].name, json["branches"][i]);
            }
        }
    }
    const Layout layout = parse_layout(json["layout"], description.recorded_joints(), at.inside("layout"));
    description.layout = layout.name;
    description.joint_names = layout.joints;
    description.class_names =
        strings(json["class_names"], static_cast<std::size_t>(description.classes), at.inside("class_names"));
    description.stream = choice(json["stream"], {"joint", "bone", "velocity"}, at.inside("stream"));
    const Json& window = json["window"];
    if (!window.is_number() || !(window.number() > 0 && window.number() <= kMaxWindow)) {
        at.inside("window").fail("expected seconds, more than 0 and up to " + std::to_string(kMaxWindow), window);
    }
    description.window = window.number();
    description.preprocessing =
        parse_preprocessing(json["preprocessing"], description.recorded_joints(), at.inside("preprocessing"));
    expect_layout_rules(description.preprocessing, layout.rules, json["preprocessing"], at.inside("preprocessing"));
    description.precision = choice(json["precision"], {"f32", "f16"}, at.inside("precision"));
    parse_cost(json["cost"], description, at.inside("cost"));
    if (json.contains("action_shares")) {
        parse_action_shares(json["action_shares"], description, at.inside("action_shares"));
    }
    if (description.escalates != json.contains("effort")) {
        at.inside("effort").fail(description.escalates ? "expected a table, found none"
                                                       : "expected none, as the model does not escalate, found one");
    }
    if (description.escalates) {
        parse_effort(json["effort"], description, at.inside("effort"));
    }
    if (description.causal) {
        description.recognition = parse_recognition(json["recognition"], description.classes, description.clip_frames(),
                                                    at.inside("recognition"));
        if (description.stream != "joint") {
            at.inside("stream").fail("expected joint in a causal model", json["stream"]);
        }
    }
    if (!json["provenance"].is_object()) {
        at.inside("provenance").fail("expected an object", json["provenance"]);
    }
    return description;
}

}  // namespace adasgn
