// Reading model files: what was written comes back; whatever is wrong is a named error, never a crash.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "adasgn/error.h"
#include "adasgn/model.h"
#include "adasgn/sha256.h"
#include "edited_file.h"
#include "random_model.h"

using namespace adasgn;
using namespace adasgn::testing;

namespace {

const Shape kPoseAlone{5, {}, {}, 2, 3, false, true};

// A branch's name, joints and number of graph layers.
std::vector<std::string> branches_of(const Model& model) {
    std::vector<std::string> found;
    for (const BranchShape& branch : model.description.branches) {
        found.push_back(branch.name + " " + std::to_string(branch.joints) + (branch.pose() ? " pose " : " ") +
                        std::to_string(branch.layer_count()));
    }
    return found;
}

}  // namespace

TEST_CASE("SHA-256 of the standard's examples") {
    const auto hex = [](const std::string& text, std::size_t cut) {
        Sha256 sum;
        sum.update(text.data(), cut);
        sum.update(text.data() + cut, text.size() - cut);
        return sum.hex();
    };
    const std::string two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    CHECK(hex("", 0) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(hex("abc", 1) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(hex(two_blocks, 0) == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    CHECK(hex(std::string(1000000, 'a'), 77) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("what was written is read") {
    for (const Shape& shape : {kAdaptive22, kDense25, kPose22, kPoseAlone, kEscalating22, kCausal22, kSmall}) {
        const Model model = random_model(shape, 1);
        const std::vector<char> bytes = file_bytes(model);
        const Model read = parse_model(bytes.data(), bytes.size());
        CHECK(read.description.kind == model.description.kind);
        CHECK(branches_of(read) == branches_of(model));
        CHECK(read.description.class_names == model.description.class_names);
        CHECK(read.description.preprocessing.parents == model.description.preprocessing.parents);
        CHECK(read.description.window == 2.5);
        CHECK(read.description.action_shares.empty());
        CHECK(read.description.escalates == shape.escalates);
        CHECK(read.description.stride == shape.stride);
        REQUIRE(read.description.effort_table.size() == (shape.escalates ? 2 : 0));
        if (shape.escalates) {
            CHECK(read.description.default_effort == 0.25);
            const EffortPoint& last = read.description.effort_table[1];
            CHECK(last.effort == 1);
            CHECK(last.threshold == 2);
            CHECK(last.macs == 5000);
            CHECK(last.accuracy == 0.75);
            CHECK_FALSE(read.description.effort_table[0].accuracy.has_value());
        }
        REQUIRE(read.tensors.size() == model.tensors.size());
        for (const auto& [name, tensor] : model.tensors) {
            CHECK(read.tensor(name).shape == tensor.shape);
            CHECK(read.tensor(name).values == tensor.values);
        }
    }
}

TEST_CASE("branches by their names") {
    const std::vector<char> bytes = file_bytes(random_model(kPose22, 1));
    const std::vector<std::string> expected{"P-22 22 pose 0", "S-11 11 1", "B-11 11 3", "S-22 22 1", "B-22 22 3"};
    CHECK(branches_of(parse_model(bytes.data(), bytes.size())) == expected);
}

// As files were before there were pose branches: joint sets and sizes in the configuration, names beside it.
TEST_CASE("a file of version 1 is read; what its branches may not be is a named error") {
    const std::string description =
        R"({"kind":"adasgn","config":{"joints":3,"classes":2,"joint_sets":[1,2],"sizes":["small","big"],"frames":2,)"
        R"("transform":true,"adaptive":true},"branches":["S-1","B-1","S-2","B-2"],"layout":{"name":"random",)"
        R"("joints":["joint 0","joint 1","joint 2"],"bones":[["joint 1","joint 0"],["joint 2","joint 1"]],)"
        R"("origin":"joint 0","scale_bone":null,"up":[0.0,1.0,0.0],"joint_sets":{}},"class_names":["a","b"],)"
        R"("stream":"joint","window":2.5,"preprocessing":{"origin":0,"scale_bone":null,"parents":[0,0,1]},)"
        R"("precision":"f32","cost":{"paper":[1,2,3,4],"full":[1,2,3,4],"folded":[1,2,3,4]},"provenance":{}})";
    const Model model = random_model({3, {1, 2}, {false, true}, 2, 2, true}, 6);
    const std::vector<char> bytes = file_bytes(model, description, 1);
    const Model read = parse_model(bytes.data(), bytes.size());
    CHECK(branches_of(read) == std::vector<std::string>{"S-1 1 1", "B-1 1 3", "S-2 2 1", "B-2 2 3"});
    CHECK(read.description.json == description);
    for (const auto& [name, tensor] : model.tensors) {
        CHECK(read.tensor(name).values == tensor.values);
    }
    const auto check = [&](const std::string& from, const std::string& to, const std::string& message) {
        CAPTURE(to);
        std::string other = description;
        REQUIRE(other.find(from) != std::string::npos);
        other.replace(other.find(from), from.size(), to);
        const std::string found = error_of(file_bytes(model, other, 1));
        CAPTURE(found);
        CHECK(contains(found, message));
    };
    check(R"("branches":["S-1","B-1","S-2","B-2"],)", "", "found no branches");
    check(R"("B-1",)", R"("P-3",)", "branches: expected B-1");
    check(R"(,"B-2"])", "]", "branches: expected");
    check(R"("joint_sets":[1,2],)", "", "found no joint_sets");
    check(R"("joint_sets":[1,2],)", R"("joint_sets":[2,1],)", "ascending");
    check(R"("joint_sets":[1,2],)", R"("joint_sets":[],)", "expected a list");
    check(R"("joint_sets":[1,2],)", R"("joint_sets":[1,257],)", "from 1 to 256");
    check(R"("sizes":["small","big"],)", R"("sizes":["big","small"],)", "sizes");
    check(R"("sizes":["small","big"],)", R"("sizes":["pose"],)", "sizes");
    check(R"("sizes":["small","big"],)", R"("sizes":["small"],)", "branches: expected");
    CHECK(contains(error_of(file_bytes(model, description, 2)), "found also branches"));
    CHECK(contains(error_of(file_bytes(model, description_json(model.description), 1)), "found no branches"));
}

namespace {

bool reading_fails_with(const std::string& path, const std::string& part) {
    try {
        read_model(path);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::model_file);
        CAPTURE(error.what());
        CHECK(std::string(error.what()).find(part) != std::string::npos);
        return true;
    }
    return false;
}

}  // namespace

TEST_CASE("a file on disk; a missing one; a folder") {
    const Model model = random_model(kSmall, 2);
    const std::vector<char> bytes = file_bytes(model);
    const std::string path = "test_model_file.adasgn";
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    CHECK(read_model(path).tensors.size() == model.tensors.size());
    std::remove(path.c_str());
    CHECK(reading_fails_with(path, "No such file"));
    CHECK(reading_fails_with(".", "found a folder"));
}

TEST_CASE("nothing in a message acts on a terminal, whatever is quoted in it") {
    const auto said = [](const std::string& text) { return std::string(Error(ErrorKind::model_file, text).what()); };
    CHECK(said("plain, Grüße, 日本") == "plain, Grüße, 日本");
    CHECK(said("\x1b]0;owned\x07\n\x7f") == "\\x1b]0;owned\\x07\\x0a\\x7f");
    CHECK(said("\xc2\x9b, \xe2\x80\xae, \xe2\x81\xa9, \xe2\x80\xa8") ==
          "\\xc2\\x9b, \\xe2\\x80\\xae, \\xe2\\x81\\xa9, \\xe2\\x80\\xa8");
    CHECK(said(std::string("a\0b", 3)) == "a\\x00b");
    CHECK(said("\xe2\x80") == "\xe2\x80");  // cut short
    CHECK(reading_fails_with("/no\x1b[31m.adasgn", "/no\\x1b[31m.adasgn: expected"));
}

TEST_CASE("what is no regular file is not waited for, and nothing is read of what is no model") {
    const std::string path = "test_model_file.special";
    std::remove(path.c_str());
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    CHECK(reading_fails_with(path, "found no regular file"));
    CHECK(reading_fails_with("/dev/zero", "found no regular file"));
    std::remove(path.c_str());
    std::ofstream(path, std::ios::binary) << "hello";
    CHECK(reading_fails_with(path, "found 5 bytes"));
    CHECK(reading_fails_with(path + std::string(1, '\0') + "more", "a path with a NUL character"));
    // Files with a hole: this much is not on the disk, and would not be in memory.
    REQUIRE(truncate(path.c_str(), off_t{1} << 30) == 0);
    CHECK(reading_fails_with(path, "found a header of"));
    REQUIRE(truncate(path.c_str(), (off_t{1} << 30) + 1) == 0);
    CHECK(reading_fails_with(path, "of at most 1073741824 bytes, found 1073741825"));
    std::remove(path.c_str());
}

TEST_CASE("every truncation is an error") {
    const std::vector<char> bytes = file_bytes(random_model(kSmall, 3));
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), 8);
    for (std::size_t size = 0; size < bytes.size(); size += size < header + 256 ? 1 : 997) {
        CHECK(error_of({bytes.begin(), bytes.begin() + static_cast<long>(size)}) != "no error");
    }
    std::vector<char> longer = bytes;
    longer.push_back(0);
    CHECK(contains(error_of(longer), "expected tensors up to the end"));
}

TEST_CASE("flipped bits are errors") {
    std::vector<char> bytes = file_bytes(random_model(kSmall, 4));
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), 8);
    const std::size_t in_header = 17;  // each check sums 1.4 MB, so not every byte has its turn
    for (std::size_t at = 0; at < bytes.size(); at += at < 128 ? 1 : at < header + 8 ? in_header : 9973) {
        const int bit = static_cast<int>(at % 8);
        bytes[at] = static_cast<char>(bytes[at] ^ 1 << bit);
        CHECK(error_of(bytes) != "no error");
        bytes[at] = static_cast<char>(bytes[at] ^ 1 << bit);
    }
    CHECK(error_of(bytes) == "no error");
}

TEST_CASE("hostile headers with a right checksum are named errors") {
    const std::vector<char> good = file_bytes(random_model(kSmall, 5));
    const auto check = [&](const std::string& from, const std::string& to, const std::string& message) {
        CAPTURE(from);
        CAPTURE(to);
        const std::string found = error_of(edited(good, from, to));
        CAPTURE(found);
        CHECK(contains(found, message));
    };
    check("\"version\":\"2\"", "\"version\":\"4\"", "version: expected 1 to 3, found \"4\"");
    check("\"version\":\"2\"", "\"version\":\"3\"", "no recognition");
    check("\"version\":\"2\"", "\"version\":\"1\"", "no branches");
    check("adasgn_edge.model", "adasgn_edge.other", "format");
    check("\"format\"", "\"version\":\"2\",\"format\"", "each key once");
    check("\"F32\"", "\"F64\"", "expected F32 or F16");
    check("\"F32\"", "\"F16\"", "bytes for its shape");
    check("\"shape\":[3,1,3]", "\"shape\":[3,1,-3]", "whole number");
    check("\"shape\":[3,1,3]", "\"shape\":[3,1,3.0]", "whole number");
    check("\"shape\":[3,1,3]", "\"shape\":[4294967296,4294967296,4294967296]", "within the file");
    check("\"shape\":[3,1,3]", "\"shape\":[1073741824,1073741824,1073741824]", "within the file");
    check("\"shape\":[3,1,3]", "\"shape\":[0,18446744073709551615,3]", "within the file");
    check("\"shape\":[3,1,3]", "\"shape\":[9]", "expected shape (3, 1, 3), found (9)");
    check("\"shape\":[3,1,3]", "\"shape\":{}", "list of at most 3");
    check("\"data_offsets\":[0,", "\"data_offsets\":[18446744073709551615,", "begin <= end");
    check("\"data_offsets\":[0,", "\"data_offsets\":[4,", "bytes for its shape");
    check("position.transform", "position.transfer", "no tensor of this name");
    check("\\\"joints\\\":3", "\\\"joints\\\":4", "");
    check("\\\"joints\\\":3", "\\\"joints\\\":1e9", "whole number");
    check("\\\"joints\\\":3", "\\\"joints\\\":257", "from 1 to 256");
    check("\\\"classes\\\":2", "\\\"classes\\\":1", "from 2 to 65536");
    check("\\\"frames\\\":2", "\\\"frames\\\":99999999999999999999", "from 1 to 1024");
    check("\\\"frames\\\":2", "\\\"frames\\\":3", "expected shape (3, 256), found (2, 256)");
    const std::string branches = "\\\"branches\\\":[\\\"S-1\\\",\\\"S-2\\\"]";
    const auto check_branches = [&](const std::string& names, const std::string& expected) {
        check(branches, "\\\"branches\\\":" + names, expected);
    };
    check_branches("[\\\"S-2\\\",\\\"S-1\\\"]", "ascending order");
    check_branches("[\\\"S-1\\\",\\\"S-1\\\"]", "none twice");
    check_branches("[\\\"S-1\\\",\\\"P-3\\\"]", "ascending order");
    check_branches("[\\\"P-2\\\",\\\"S-1\\\"]", "a pose branch of all joints");
    check_branches("[\\\"P-3\\\",\\\"S-2\\\"]", "branches.0.");  // it has other tensors
    check_branches("[\\\"S-257\\\"]", "at most 256 joints");
    for (const char* name : {"s-1", "S1", "S-", "S-01", "S-0", "S--1", "S-1 ", "X-1", "S-1234567", ""}) {
        check_branches("[\\\"" + std::string(name) + "\\\"]", "expected names such as");
    }
    check_branches("[1]", "expected names such as");
    check_branches("[]", "expected a list of 1 to 32");
    check("\\\"adaptive\\\":true", "\\\"adaptive\\\":false", "adaptive");
    check("\\\"window\\\":2.5", "\\\"window\\\":-1", "more than 0");
    check("\\\"window\\\":2.5", "\\\"window\\\":3601", "up to 3600");
    check("\\\"stream\\\":\\\"joint\\\"", "\\\"stream\\\":\\\"smell\\\"", "joint, bone, velocity");
    check("\\\"precision\\\":\\\"f32\\\"", "\\\"precision\\\":\\\"f16\\\"", "expected dtype F16, found F32");
    check("\\\"parents\\\":[0,0,1]", "\\\"parents\\\":[0,0,3]", "from 0 to 2");
    check("\\\"provenance\\\":{}", "\\\"provenance\\\":[]", "provenance");
    check("\\\"provenance\\\":{}", "\\\"provenance\\\":{},\\\"more\\\":1", "found also more");
    check("\\\"provenance\\\":{}", "\\\"provenance\\\":{\\\"a\\\":1,\\\"a\\\":1}", "each key once");
    check("\\\"provenance\\\":{}", "\\\"provenance\\\":" + std::string(40, '[') + std::string(40, ']'), "nesting");
    check("\\\"origin\\\":0", "\\\"origin\\\":3", "origin");
}

TEST_CASE("an effort table that is none is a named error") {
    const Shape shape{3, {1}, {false}, 2, 2, false, true, true};
    const std::vector<char> good = file_bytes(random_model(shape, 5));
    const std::string table = R"([[0.0,0.0,1000,null],[1.0,2.0,5000,0.75]])";
    const auto check = [&](const std::string& from, const std::string& to, const std::string& message) {
        CAPTURE(to);
        const std::string found = error_of(edited(good, from, to));
        CAPTURE(found);
        CHECK(contains(found, message));
    };
    const std::string place = "description: effort: ";
    CHECK(error_of(edited(good, table, "[[0.0,0.0,1,0.5],[0.5,0.0,1,null],[1.0,0.25,1,1.0]]")) == "no error");
    check(table, "[[0.0,0.0,1000,null]]", place + "table: expected a list of 2 to 64 values");
    check(table, "null", place + "table: expected a list");
    check(table, "[[0.0,0.0,1000],[1.0,2.0,5000]]", "expected a list of 4 values");
    for (const char* rows : {"[[0.5,0.0,1,null],[1.0,2.0,5,null]]", "[[0.0,0.5,1,null],[1.0,2.0,5,null]]",
                             "[[0.0,0.0,1,null],[0.5,2.0,5,null]]"}) {
        check(table, rows, "expected efforts from 0, with threshold 0, to 1");
    }
    for (const char* rows : {"[[0.0,0.0,5,null],[1.0,2.0,1,null]]", "[[0.0,0.0,1,null],[0.0,2.0,5,null]]",
                             "[[0.0,0.0,1,null],[0.5,1.0,2,null],[1.0,0.5,5,null]]"}) {
        check(table, rows, "expected efforts that rise, thresholds and MACs that do not fall");
    }
    for (const char* rows : {"[[0,0.0,1,null],[1.0,2.0,5,null]]", "[[0.0,0.0,1,null],[1.0,2.5,5,null]]",
                             "[[0.0,-0.5,1,null],[1.0,2.0,5,null]]", "[[0.0,0.0,1,null],[1.0,2.0,5,1.5]]"}) {
        check(table, rows, "expected a number with a fraction");
    }
    check(table, "[[0.0,0.0,-1,null],[1.0,2.0,5,null]]", "expected whole numbers from 0 to 2^62");
    check(table, "[[0.0,0.0,18446744073709551615,null],[1.0,2.0,5,null]]", "expected whole numbers from 0 to 2^62");
    check("\\\"default\\\":0.25", "\\\"default\\\":1.25", place + "default: expected a number with a fraction");
    check("\\\"default\\\":0.25", "\\\"other\\\":0.25", "effort: ");
    check("\\\"escalates\\\":true", "\\\"escalates\\\":false", "expected it to fit the kind adasgn");
    check("\\\"adaptive\\\":false", "\\\"adaptive\\\":true", "expected a policy or escalation, found both");
    check("[\\\"P-3\\\",\\\"S-1\\\"]", "[\\\"P-3\\\"]", "expected two branches or more");
    check("\\\"stride\\\":1", "\\\"stride\\\":3", "stride: expected");
    check("\\\"stride\\\":1", "\\\"stride\\\":2", "temporal.across.bias");

    Model other = random_model(kSmall, 5);
    CHECK(contains(error_of(edited(file_bytes(other), "\\\"provenance\\\"", "\\\"effort\\\":{},\\\"provenance\\\"")),
                   "effort: expected none, as the model does not escalate"));
}

TEST_CASE("a causal model's file is version 3: what was written is read, what does not fit is a named error") {
    const CausalShape causal{{2, 4}, {1, 2}, 2, 1};
    Model model = random_model({5, {2}, {false}, 8, 3, false, true, true, 1, causal}, 8);
    model.description.recognition->delay = 100'000'000;
    const std::vector<char> good = file_bytes(model);
    const Description read = parse_model(good.data(), good.size()).description;
    REQUIRE(read.causal);
    CHECK(read.causal->trail == causal.trail);
    CHECK(read.causal->dilations == causal.dilations);
    CHECK(read.causal->pool == 2);
    CHECK(read.causal->origin == 1);
    CHECK(read.causal->lead() == 5);
    CHECK(read.joints == 5);
    CHECK(read.recorded_joints() == 3);
    CHECK(read.joint_names.size() == 3);
    CHECK(read.clip_frames() == 13);
    REQUIRE(read.recognition);
    CHECK(read.recognition->step == 50'000'000);
    CHECK(read.recognition->none == 2);
    CHECK(read.recognition->delay == 100'000'000);
    const Decision& decision = read.recognition->decision;
    CHECK(decision.smoothing == 0.5F);
    CHECK(decision.start == 0.75F);
    CHECK(decision.end == 0.25F);
    CHECK(decision.low == 0.5F);
    CHECK(decision.minimum == 150'000'000);
    CHECK(decision.maximum == 10'000'000'000);
    CHECK(decision.cool_down == 0);
    CHECK(decision.start_shift == 0);
    CHECK(decision.end_shift == -50'000'000);
    const std::vector<char> other = file_bytes(random_model(kSmall, 5));
    CHECK_FALSE(parse_model(other.data(), other.size()).description.recognition);

    const auto check = [&](const std::string& from, const std::string& to, const std::string& message) {
        CAPTURE(to);
        const std::string found = error_of(edited(good, escaped(from), escaped(to)));
        CAPTURE(found);
        CHECK(contains(found, message));
    };
    CHECK(contains(error_of(edited(good, "\"version\":\"3\"", "\"version\":\"2\"")), "found also recognition"));
    CHECK(contains(error_of(edited(good, "\"version\":\"3\"", "\"version\":\"1\"")), "no branches"));
    const std::string place = "description: config: causal: ";
    check(R"(,"causal":{"trail":[2,4],"dilations":[1,2],"pool":2,"origin":1})", "", "found no causal");
    check(R"({"trail":[2,4],"dilations":[1,2],"pool":2,"origin":1})", "null", place + "expected an object");
    check(R"("pool":2,)", "", place + "expected the keys trail, dilations, pool, origin, found no pool");
    check(R"("pool":2,)", R"("pool":2,"more":1,)", "found also more");
    check(R"("trail":[2,4])", R"("trail":[4,2])", place + "trail: expected it ascending, found [4,2]");
    check(R"("trail":[2,4])", R"("trail":[4,4])", "expected it ascending");
    check(R"("trail":[2,4])", R"("trail":[0,4])", place + "trail: expected a whole number from 1 to 1023, found 0");
    check(R"("trail":[2,4])", R"("trail":[2,1024])", "from 1 to 1023, found 1024");
    check(R"("trail":[2,4])", R"("trail":[2,4.0])", "whole number");
    check(R"("trail":[2,4])", R"("trail":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17])", "a list of 0 to 16 values");
    check(R"("trail":[2,4])", R"("trail":[1,2,3,4,5])", place + "trail: expected joints beside it");
    check(R"("trail":[2,4])", R"("trail":[2])", "layout: joints: expected a list of 4 values");
    check(R"("trail":[2,4])", R"("trail":{})", "expected a list");
    check(R"("dilations":[1,2])", R"("dilations":[])", place + "dilations: expected a list of 1 to 16 values");
    check(R"("dilations":[1,2])", R"("dilations":[0,3])", "from 1 to 1024");
    check(R"("dilations":[1,2])", R"("dilations":[-1,4])", "from 1 to 1024");
    check(R"("dilations":[1,2])", R"("dilations":[1,3])", place + "expected 10 frames, as dilations and pool call for");
    check(R"("dilations":[1,2])", R"("dilations":[3])", "layers.1.bias': expected no tensor of this name");
    check(R"("pool":2)", R"("pool":0)", place + "pool: expected a whole number from 1 to 1024");
    check(R"("pool":2)", R"("pool":3)", "expected 9 frames");
    check(R"("pool":2)", R"("pool":true)", "pool: expected a whole number");
    check(R"("pool":2,"origin":1)", R"("pool":2,"origin":3)", place + "origin: expected a whole number from 0 to 2");
    check(R"("pool":2,"origin":1)", R"("pool":2,"origin":-1)", "origin: expected");
    check(R"("stride":1)", R"("stride":2)", place + "expected a causal model with stride 1, found 2");
    check(R"("adaptive":false,"escalates":true)", R"("adaptive":true,"escalates":false)", "expected no policy");
    check(R"("stream":"joint")", R"("stream":"bone")", "description: stream: expected joint in a causal model");

    const std::string rules = "description: recognition: ";
    check(R"("step":50000000)", R"("step":0)", rules + "step: expected whole nanoseconds from 1000000 to 10000000000");
    check(R"("step":50000000)", R"("step":10000000001)", "found 10000000001");
    check(R"("step":50000000)", R"("step":5e7)", "whole nanoseconds");
    check(R"("none":2)", R"("none":3)", rules + "none: expected a whole number from 0 to 2, found 3");
    check(R"("none":2)", R"("none":-1)", rules + "none: expected");
    check(R"("none":2,)", "", "found no none");
    check(R"("delay":100000000)", R"("delay":100000001)", rules + "delay: expected whole steps of 50000000 ns");
    check(R"("delay":100000000)", R"("delay":650000000)", "delay: expected whole nanoseconds from 0 to 600000000");
    check(R"("delay":100000000)", R"("delay":-50000000)", "delay: expected whole nanoseconds from 0 to 600000000");
    check(R"("delay":100000000)", R"("delay":null)", "delay: expected whole nanoseconds");
    check(R"("delay":100000000)", R"("delay":600000000)", "no error");
    check(R"("delay":100000000,)", "", "no error");  // files of before there was one
    const std::string decisions = rules + "decision: ";
    check(R"("low":0.5,)", "", decisions + "expected the keys smoothing, start, end, low, ");
    check(R"("low":0.5,)", R"("low":0.5,"high":1,)", "found also high");
    check(R"("low":0.5)", R"("low":1.5)", decisions + "low: expected a number from 0 to 1, found 1.5");
    check(R"("low":0.5)", R"("low":-0.5)", "low: expected a number from 0 to 1");
    check(R"("low":0.5)", R"("low":"0.5")", "low: expected a number from 0 to 1");
    check(R"("smoothing":0.5)", R"("smoothing":0)", decisions + "smoothing: expected a number above 0");
    check(R"("end":0.25)", R"("end":0.76)", decisions + "end: expected at most start, 0.75, found 0.76");
    check(R"("minimum":150000000)", R"("minimum":-1)", decisions + "minimum: expected whole nanoseconds from 0 to");
    check(R"("minimum":150000000)", R"("minimum":10000000001)", "minimum: expected at most maximum, 10000000000");
    check(R"("maximum":10000000000)", R"("maximum":3600000000001)", "from 0 to 3600000000000");
    check(R"("end_shift":-50000000)", R"("end_shift":-3600000000001)", "from -3600000000000 to 3600000000000");
    check(R"("end_shift":-50000000)", R"("end_shift":18446744073709551615)", "found 18446744073709551615");
    check(R"("end_shift":-50000000)", R"("end_shift":0.5)", "end_shift: expected whole nanoseconds");
    check(R"("end":0.25)", R"("end":0.75)", "no error");
    check(R"("smoothing":0.5)", R"("smoothing":1)", "no error");
    check(R"("none":2)", R"("none":0)", "no error");
}

TEST_CASE("how often the policy picks each branch: known, not known, or a named error") {
    Model model = random_model(kSmall, 5);
    model.description.action_shares = {0.75, 0.25};
    const std::vector<char> good = file_bytes(model);
    CHECK(parse_model(good.data(), good.size()).description.action_shares == std::vector<double>{0.75, 0.25});
    const auto found = [&](const std::string& shares) { return error_of(edited(good, "[0.75,0.25]", shares)); };
    for (const char* sound : {"[1,0]", "[-0.0,1]", "[0.5,0.501]", "[0.5,0.4991]", "[1e-400,1e0]"}) {
        CAPTURE(sound);
        CHECK(found(sound) == "no error");
    }
    const auto check = [&](const std::string& shares, const std::string& message) {
        CAPTURE(shares);
        const std::string text = found(shares);
        CAPTURE(text);
        CHECK(contains(text, message));
    };
    const std::string place = "description: action_shares: ";
    check("[1]", place + "expected a list of 2 values, found [1]");
    check("[0.5,0.25,0.25]", place + "expected a list of 2 values");
    check("[]", place + "expected a list of 2 values");
    check("null", place + "expected a list of 2 values");
    check("{}", place + "expected a list of 2 values");
    check("1", place + "expected a list of 2 values");
    check("[1.25,-0.25]", place + "expected numbers, at least 0, found -0.25");
    check("[1,-1]", place + "expected numbers, at least 0, found -1");
    for (const char* value : {"\\\"NaN\\\"", "\\\"1\\\"", "null", "true", "[1]"}) {
        check(std::string("[0.5,") + value + "]", place + "expected numbers, at least 0");
    }
    for (const char* value : {"NaN", "Infinity", "1e999"}) {
        check(std::string("[0.5,") + value + "]", "description: expected JSON");
    }
    for (const char* sum : {"[0.5,0.5011]", "[0.5,0.4989]", "[0,0]", "[75,25]", "[1.7e308,1.7e308]"}) {
        check(sum, place + "expected numbers that add up to 1, found [");
    }

    Model dense = random_model({2, {2}, {true}, 1, 2, false}, 5);
    dense.description.action_shares = {1.0};
    CHECK(contains(error_of(file_bytes(dense)), place + "expected none, as there is no policy, found [1.0]"));
}

TEST_CASE("what another JSON parser would refuse is refused; messages are short and UTF-8") {
    const std::vector<char> good = file_bytes(random_model(kSmall, 7));
    CHECK(contains(error_of(edited(good, "\"model\":\"", "\"model\":\"\xef\xbb\xbf")), "byte order mark"));
    CHECK(contains(error_of(edited(good, "\\\"provenance\\\":{}}", "\\\"provenance\\\":{}}\\u0000x")), "zero byte"));
    CHECK(contains(error_of(edited(good, "random", std::string("ran\0dom", 7))), "zero byte"));
    CHECK(contains(error_of(edited(good, "random", "\\\\ud800")), "expected JSON"));
    CHECK(error_of(edited(good, "[1000,1000]", "[-0,4611686018427387904]")) == "no error");
    CHECK(contains(error_of(edited(good, "[1000,1000]", "[0,4611686018427387905]")), "from 0 to 2^62"));
    for (const char* cost : {"-1", "9223372036854775808", "18446744073709551615", "1e3", "true"}) {
        CHECK(contains(error_of(edited(good, "[1000,1000]", std::string("[0,") + cost + "]")), "from 0 to 2^62"));
    }
    const std::string nested31 = std::string(31, '[') + "0" + std::string(31, ']');
    CHECK(error_of(edited(good, "\\\"provenance\\\":{}", "\\\"provenance\\\":{\\\"a\\\":" + nested31 + "}")) ==
          "model: description: expected at most 32 levels of nesting, found more");
    CHECK(error_of(edited(good, "\\\"provenance\\\":{}",
                          "\\\"provenance\\\":{\\\"a\\\":" + nested31.substr(1, nested31.size() - 2) + "}")) ==
          "no error");
    for (const std::string& hostile :
         {std::string("\xff\xfe"), std::string(100000, 'x'), std::string(50001, 'x') + "é"}) {
        for (const std::string& message : {error_of(edited(good, "random", hostile + "\\\"")),
                                           error_of(edited(good, "temporal.widen.bias", hostile)),
                                           error_of(edited(good, "\\\"stream\\\"", "\\\"" + hostile + "\\\""))}) {
            CHECK(message != "no error");
            CHECK(message.size() < 1200);
            CHECK_NOTHROW(nlohmann::json(message).dump());  // which refuses what is not UTF-8
        }
    }
}

TEST_CASE("deep nesting does not overflow a stack") {
    const std::string deep = R"("format":)" + std::string(400000, '[');
    CHECK(contains(error_of(file_of(deep, {})), "nesting"));
}

TEST_CASE("weights that are not finite are refused") {
    for (const std::uint32_t bits : {0x7f800000U, 0xff800000U, 0x7fc00000U, 0x7f800001U}) {
        Model model = random_model(kSmall, 6);
        std::memcpy(&model.tensors["temporal.widen.weight"].values[77], &bits, 4);
        CHECK(contains(error_of(file_bytes(model)), "tensor 'temporal.widen.weight': expected finite weights"));
    }
}
