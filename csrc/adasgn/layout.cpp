#include "adasgn/layout.h"

#include <map>
#include <numeric>

namespace adasgn {

namespace {

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
        const auto found = name.is_string() ? indices_.find(name.get<std::string>()) : indices_.end();
        if (found == indices_.end()) {
            at.fail("expected a joint of the layout", name);
        }
        return found->second;
    }

  private:
    std::map<std::string, int> indices_;
};

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
    for (const auto& [count, groups] : json.items()) {
        const JsonContext here = at.inside("a set");
        if (!groups.is_array() || groups.empty() || count != std::to_string(groups.size())) {
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

}  // namespace

Layout parse_layout(const Json& json, int joints, const JsonContext& at) {
    expect_keys(json, {"name", "joints", "bones", "origin", "scale_bone", "up", "joint_sets"}, at);
    Layout layout;
    if (!json["name"].is_string()) {
        at.inside("name").fail("expected a string", json["name"]);
    }
    layout.name = json["name"].get<std::string>();
    layout.joints = strings(json["joints"], static_cast<std::size_t>(joints), at.inside("joints"));
    const JointIndex index(layout.joints, json["joints"], at.inside("joints"));
    layout.rules.parents = parse_bones(json["bones"], joints, index, at.inside("bones"));
    layout.rules.origin = index(json["origin"], at.inside("origin"));
    const Json& bone = json["scale_bone"];
    if (!bone.is_null()) {
        expect_list(bone, 2, 2, at.inside("scale_bone"));
        layout.rules.scale_bone = {index(bone[0], at.inside("scale_bone")), index(bone[1], at.inside("scale_bone"))};
    }
    expect_list(json["up"], 3, 3, at.inside("up"));
    for (const Json& value : json["up"]) {
        if (!value.is_number_float()) {  // as it is written, so that a file has one form
            at.inside("up").fail("expected numbers with a fraction, such as 1.0", value);
        }
    }
    expect_joint_sets(json["joint_sets"], joints, index, at.inside("joint_sets"));
    return layout;
}

}  // namespace adasgn
