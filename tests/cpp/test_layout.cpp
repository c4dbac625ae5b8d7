// Layouts in model files: what is not sound, or not in the one form, is a named error.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "adasgn/model.h"
#include "edited_file.h"
#include "random_model.h"

using namespace adasgn;
using namespace adasgn::testing;

TEST_CASE("layouts that are not sound, or whose form is not the written one, are named errors") {
    const std::string good = R"({"name":"random","joints":["joint 0","joint 1","joint 2"],)"
                             R"("bones":[["joint 1","joint 0"],["joint 2","joint 1"]],"origin":"joint 0",)"
                             R"("scale_bone":null,"up":[0.0,1.0,0.0],)"
                             R"("joint_sets":{"1":[["joint 0","joint 1","joint 2"]]}})";
    const std::vector<char> bytes = file_bytes(random_model(kSmall, 5));
    const auto found = [&](const std::string& from, const std::string& to) {
        std::string layout = good;
        REQUIRE(layout.find(from) != std::string::npos);
        layout.replace(layout.find(from), from.size(), to);
        return error_of(edited(bytes, escaped(good), escaped(layout)));
    };
    const auto check = [&](const std::string& from, const std::string& to, const std::string& message) {
        CAPTURE(to);
        const std::string text = found(from, to);
        CAPTURE(text);
        CHECK(contains(text, "description: layout: "));
        CHECK(contains(text, message));
    };
    CHECK(found("\"random\"", "\"another\"") == "no error");
    CHECK(found("{\"1\":[[\"joint 0\",\"joint 1\",\"joint 2\"]]}", "{}") == "no error");
    CHECK(found("0.0,1.0,0.0", "-0.0,1e0,0.5E-3") == "no error");

    const std::string bones = R"([["joint 1","joint 0"],["joint 2","joint 1"]])";
    check(R"("name":"random",)", "", "found no name");
    check(R"("random",)", R"("random","colour":1,)", "found also colour");
    check(R"("random")", "7", "expected a text");
    check(R"("random")", R"("")", "expected a text");
    check(R"(["joint 0","joint 1","joint 2"],)", R"(["joint 0","joint 1"],)", "expected a list of 3 values");
    check(R"(["joint 0","joint 1","joint 2"],)", R"(["joint 0","joint 1","joint 1"],)", "each joint once");
    check(R"(["joint 0","joint 1","joint 2"],)", R"(["joint 0","joint 1",2],)", "expected strings");
    check(R"(["joint 0","joint 1","joint 2"],)", R"({"joint 0":0},)", "expected a list of 3 values");
    check(bones, R"([["joint 1","joint 0"],["joint 3","joint 1"]])", "expected a joint of the layout");
    check(bones, R"([["joint 1","joint 0"],[2,1]])", "expected a joint of the layout");
    check(bones, R"([["joint 1","joint 0"],["joint 2",99999999999]])", "expected a joint of the layout");
    check(bones, R"([["joint 1","joint 0"],["joint 2"]])", "expected a list of 2 values");
    check(bones, R"([["joint 1","joint 0"],"ab"])", "expected a list of 2 values");
    check(bones, R"([["joint 1","joint 0"]])", "expected a list of 2 bones, or none");
    check(bones, R"([["joint 1","joint 0"],["joint 1","joint 2"]])", "the child of one bone at most");
    check(bones, R"([["joint 1","joint 2"],["joint 2","joint 1"]])", "found a circle");
    check(bones, R"([["joint 1","joint 1"],["joint 2","joint 1"]])", "expected two joints");
    check(bones, "null", "expected a list of 2 bones, or none");
    check(bones, "{}", "expected a list of 2 bones, or none");
    check(R"("origin":"joint 0")", R"("origin":"elbow")", "origin: expected a joint of the layout");
    check(R"("origin":"joint 0")", R"("origin":0)", "origin: expected a joint of the layout");
    check(R"("origin":"joint 0")", R"("origin":[])", "origin: expected a list of 2 to 3");
    check(R"("origin":"joint 0")", R"("origin":["joint 0"])", "origin: expected a list of 2 to 3");
    check(R"("origin":"joint 0")", R"("origin":["joint 0","joint 0"])", "origin: expected each joint once");
    check(R"("origin":"joint 0")", R"("origin":["joint 0",1])", "origin: expected a joint of the layout");
    check(R"("scale_bone":null)", R"("scale_bone":["joint 0"])", "expected a list of 2 values");
    check(R"("scale_bone":null)", R"("scale_bone":[])", "expected a list of 2 values");
    check(R"("scale_bone":null)", R"("scale_bone":false)", "expected a list of 2 values");
    check(R"("scale_bone":null)", R"("scale_bone":["joint 0","joint 9"])", "expected a joint of the layout");
    check("[0.0,1.0,0.0]", "[0.0,1.0]", "expected a list of 3 values");
    check("[0.0,1.0,0.0]", "[0,1,0]", "with a fraction");
    check("[0.0,1.0,0.0]", R"(["0.0",1.0,0.0])", "with a fraction");
    check(R"("joint_sets":{)", R"("joint_sets":{"0":[],)", "as many groups as its key says");
    check(R"({"1":[[)", R"({"2":[[)", "as many groups as its key says");
    check(R"({"1":[[)", R"({"01":[[)", "as many groups as its key says");
    check(R"({"1":[["joint 0","joint 1","joint 2"]]})", R"({"-1":[]})", "as many groups as its key says");
    check(R"({"1":[["joint 0","joint 1","joint 2"]]})", R"({"2":[["joint 0"],["joint 0"]]})", "share no joint");
    check(R"({"1":[["joint 0","joint 1","joint 2"]]})", R"({"2":[["joint 0"],[]]})", "expected a list of 1 to 3");
    check(R"({"1":[["joint 0","joint 1","joint 2"]]})", R"({"1":["joint 0"]})", "expected a list of 1 to 3");
    check(R"({"1":[["joint 0","joint 1","joint 2"]]})", R"({"1":[["joint 7"]]})", "expected a joint of the layout");
    check(R"({"1":[["joint 0","joint 1","joint 2"]]})", "[]", "expected an object");
    // Sound, but not the layout of these preprocessing rules.
    CHECK(
        contains(found(bones, R"([["joint 2","joint 0"],["joint 1","joint 2"]])"), "preprocessing: expected the lay"));
    CHECK(contains(found(bones, "[]"), "preprocessing: expected the layout's origin"));
    CHECK(contains(found(R"("origin":"joint 0")", R"("origin":"joint 1")"), "preprocessing: expected the layout's"));
    CHECK(contains(found(R"("origin":"joint 0")", R"("origin":["joint 0","joint 1"])"), "preprocessing: expected the"));
    CHECK(contains(found("null", R"(["joint 0","joint 1"])"), "preprocessing: expected the layout's"));
}

TEST_CASE("an origin of several joints, whose mean it is") {
    Model model = random_model(kSmall, 7);
    model.description.preprocessing.origin = {2, 0};
    const std::vector<char> bytes = file_bytes(model);
    CHECK(parse_model(bytes.data(), bytes.size()).description.preprocessing.origin == std::vector<int>{2, 0});
    const std::string rules = R"("preprocessing":{"origin":[2,0])";
    const auto found = [&](const std::string& origin) {
        return error_of(edited(bytes, escaped(rules), escaped(R"("preprocessing":{"origin":)" + origin)));
    };
    for (const char* other : {"[0,2]", "[2,1]", "2", "[2,0,1]"}) {  // the layout has them, in this order
        CAPTURE(other);
        CHECK(contains(found(other), "preprocessing: expected the layout's origin"));
    }
    CHECK(contains(found("[2]"), "preprocessing: origin: expected a list of 2 to 3"));
    CHECK(contains(found("[2,3]"), "preprocessing: origin: expected"));
    CHECK(contains(found("[2,false]"), "preprocessing: origin: expected"));
}
