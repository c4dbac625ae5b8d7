#include "adasgn/layout.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace adasgn {

namespace {

constexpr double kLargestNumber = 1e30;
constexpr std::size_t kMostVectors = 1024;

// Joint names and their indices.
class JointIndex {
  public:
    JointIndex(const std::vector<std::string>& joints, const Json& json, const JsonContext& at) {
        for (const std::string& joint : joints) {
            if (!indices_.emplace(joint, static_cast<int>(indices_.size())).second) {
                at.fail("expected each joint once", json);
            }
        }
    }

    int operator()(const Json& name, const JsonContext& at) const {
        const auto found = name.is_string() ? indices_.find(name.text()) : indices_.end();
        if (found == indices_.end()) {
            at.fail("expected a joint of the layout", name);
        }
        return found->second;
    }

  private:
    std::map<std::string, int> indices_;
};

void expect_text(const Json& json, const JsonContext& at) {
    if (!json.is_string() || json.text().empty()) {
        at.fail("expected a text", json);
    }
}

// One joint, or a list of several: a list of one would be a second form of the same.
std::vector<int> parse_origin(const Json& json, int joints, const JointIndex& index, const JsonContext& at) {
    if (!json.is_array()) {
        return {index(json, at)};
    }
    expect_list(json, 2, static_cast<std::size_t>(joints), at);
    std::vector<int> origin;
    for (const Json& name : json) {
        const int joint = index(name, at);
        if (std::find(origin.begin(), origin.end(), joint) != origin.end()) {
            at.fail("expected each joint once, found twice", name);
        }
        origin.push_back(joint);
    }
    return origin;
}

// Each joint's parent, the root's being itself; without bones all joints are roots.
std::vector<int> parse_bones(const Json& json, int joints, const JointIndex& index, const JsonContext& at) {
    const auto most = static_cast<std::size_t>(joints - 1);
    if (!json.is_array() || (!json.empty() && json.size() != most)) {
        at.fail("expected a list of " + std::to_string(most) + " bones, or none", json);
    }
    std::vector<int> parents(static_cast<std::size_t>(joints));
    std::iota(parents.begin(), parents.end(), 0);
    for (const Json& bone : json) {
        expect_list(bone, 2, 2, at);
        const int child = index(bone[0], at);
        const int parent = index(bone[1], at);
        if (child == parent) {
            at.fail("expected two joints", bone);
        }
        if (parents[child] != child) {
            at.fail("expected a joint to be the child of one bone at most, found a second", bone);
        }
        parents[child] = parent;
    }
    for (int joint = 0; joint < joints; ++joint) {
        int place = joint;
        for (int steps = 0; parents[place] != place; ++steps) {
            place = parents[place];
            if (steps > joints) {
                at.fail("expected bones that lead to a root, found a circle at joint " + std::to_string(joint));
            }
        }
    }
    return parents;
}

void expect_joint_sets(const Json& json, int joints, const JointIndex& index, const JsonContext& at) {
    if (!json.is_object()) {
        at.fail("expected an object", json);
    }
    for (std::size_t i = 0; i < json.size(); ++i) {
        const Json& groups = json[i];
        const JsonContext here = at.inside("a set");
        if (!groups.is_array() || groups.empty() || json.key(i) != std::to_string(groups.size())) {
            here.fail("expected as many groups as its key says, at least one, found another number", groups);
        }
        std::vector<bool> named(static_cast<std::size_t>(joints), false);
        for (const Json& group : groups) {
            expect_list(group, 1, static_cast<std::size_t>(joints), here);
            for (const Json& name : group) {
                const int joint = index(name, here);
                if (named[joint]) {
                    here.fail("expected groups that share no joint, found twice", name);
                }
                named[joint] = true;
            }
        }
    }
}

// How recordings are made, for people and for checks of recordings; the engine has no use for it.
void expect_conventions(const Json& json, const JointIndex& index, const JsonContext& at) {
    expect_keys(json, {"axes", "units", "side", "upright", "extent", "chirality"}, at);
    for (const char* key : {"axes", "units", "side"}) {
        expect_text(json[key], at.inside(key));
    }
    if (!json["upright"].is_null()) {
        const JsonContext here = at.inside("upright");
        expect_list(json["upright"], 2, 2, here);
        index(json["upright"][0], here);
        index(json["upright"][1], here);
    }
    if (!json["extent"].is_null()) {
        const JsonContext here = at.inside("extent");
        expect_list(json["extent"], 2, 2, here);
        for (const Json& value : json["extent"]) {
            if (!value.is_number_float() || !(value.number() < kLargestNumber)) {
                here.fail("expected numbers with a fraction, such as 1.0", value);
            }
        }
        const double least = json["extent"][0].number();
        if (!(least > 0) || !(least < json["extent"][1].number())) {
            here.fail("expected least and most, above zero", json["extent"]);
        }
    }
    if (!json["chirality"].is_null()) {
        const JsonContext here = at.inside("chirality");
        const Json& chirality = json["chirality"];
        expect_keys(chirality, {"plane", "towards"}, here);
        expect_list(chirality["plane"], 3, 3, here.inside("plane"));
        for (const Json& joint : chirality["plane"]) {
            index(joint, here.inside("plane"));
        }
        expect_list(chirality["towards"], 1, kMostVectors, here.inside("towards"));
        for (const Json& vector : chirality["towards"]) {
            expect_list(vector, 2, 2, here.inside("towards"));
            index(vector[0], here.inside("towards"));
            index(vector[1], here.inside("towards"));
        }
    }
}

}  // namespace

Layout parse_layout(const Json& json, int joints, const JsonContext& at) {
    if (json.is_object() && json.contains("conventions")) {
        expect_keys(json, {"name", "joints", "bones", "origin", "scale_bone", "up", "joint_sets", "conventions"}, at);
    } else {
        expect_keys(json, {"name", "joints", "bones", "origin", "scale_bone", "up", "joint_sets"}, at);
    }
    Layout layout;
    expect_text(json["name"], at.inside("name"));
    layout.name = json["name"].text();
    layout.joints = strings(json["joints"], static_cast<std::size_t>(joints), at.inside("joints"));
    for (const Json& joint : json["joints"]) {
        expect_text(joint, at.inside("joints"));
    }
    const JointIndex index(layout.joints, json["joints"], at.inside("joints"));
    layout.rules.parents = parse_bones(json["bones"], joints, index, at.inside("bones"));
    layout.rules.origin = parse_origin(json["origin"], joints, index, at.inside("origin"));
    const Json& bone = json["scale_bone"];
    if (!bone.is_null()) {
        expect_list(bone, 2, 2, at.inside("scale_bone"));
        layout.rules.scale_bone = {index(bone[0], at.inside("scale_bone")), index(bone[1], at.inside("scale_bone"))};
    }
    expect_list(json["up"], 3, 3, at.inside("up"));
    bool any = false;
    for (const Json& value : json["up"]) {
        // With a fraction as it is written, so that a file has one form.
        if (!value.is_number_float() || !(std::abs(value.number()) < kLargestNumber)) {
            at.inside("up").fail("expected numbers with a fraction below 1e30, such as 1.0", value);
        }
        any = any || value.number() != 0;
    }
    if (!any) {
        at.inside("up").fail("expected a direction, found only zeros");
    }
    expect_joint_sets(json["joint_sets"], joints, index, at.inside("joint_sets"));
    if (json.contains("conventions")) {
        expect_conventions(json["conventions"], index, at.inside("conventions"));
    }
    return layout;
}

}  // namespace adasgn
