// What the TensorRT plugin refuses, and how: no exception comes out, the log says why, nothing is left on the device.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>

#include "adasgn/cuda/engine.h"
#include "emulator.h"
#include "faults.h"
#include "log.h"
#include "player.h"
#include "random_model.h"

using namespace adasgn;
using namespace adasgn::testing;
using nvinfer1::DataType;
using nvinfer1::PluginFieldType;
using nvinfer1::TensorRTPhase;

extern std::int32_t played_major;  // player.cpp

namespace {

const Shape kLevels{5, {5}, {false}, 3, 4, false, true, true, 2};
const Shape kDense{5, {5}, {true}, 3, 4, false};

// A plugin in the state of an engine file with these fields, of clips (2, T, V, 3).
Fields file_for(const Model& model) {
    const Description& d = model.description;
    const Shape4or5 two{2, d.frames, d.joints, 3};
    return build(fields_of(model, 16), two, {{two, two}});
}

void expect_refused(const Fields& fields, TensorRTPhase phase, const std::string& why) {
    CAPTURE(why);
    CHECK(create(fields, phase) == nullptr);
    CHECK(take_log() == "AdaSGN plugin: creation: " + why + "\n");
}

std::vector<char> with_byte_changed(std::vector<char> bytes) {
    bytes[bytes.size() - 5] ^= 1;
    return bytes;
}

struct AtEnd {
    std::function<void()> call;
    ~AtEnd() { call(); }
};

// What a call writes to stderr.
std::string stderr_of(const std::function<void()>& call) {
    std::FILE* const file = std::tmpfile();
    REQUIRE(file != nullptr);
    const int kept = dup(2);
    dup2(fileno(file), 2);
    call();
    std::fflush(stderr);
    dup2(kept, 2);
    close(kept);
    std::string text(4096, '\0');
    std::rewind(file);
    text.resize(std::fread(text.data(), 1, text.size(), file));
    std::fclose(file);
    return text;
}

}  // namespace

TEST_CASE("a network's fields: each that is damaged, and none at all") {
    const Model model = random_model(kLevels, 80);
    const Field file = bytes_field("model", file_bytes(model));
    const auto refused = [](const Fields& fields, const std::string& why) {
        expect_refused(fields, TensorRTPhase::kBUILD, why);
    };
    refused({}, "field model: expected the bytes of a .adasgn file, found no such field");
    refused({int_field("precision", 16)}, "field model: expected the bytes of a .adasgn file, found no such field");
    refused({file, file}, "field model: expected once, found twice");
    refused({file, int_field("efort", 1)}, "field efort: expected one of model, precision and effort");
    refused({file, int_field("max_batch", 4)}, "field max_batch: expected one of model, precision and effort");
    refused({file, int_field("precision", 8)}, "field precision: expected 16 or 32, found 8");
    refused({file, float_field("precision", 16)}, "field precision: expected INT32, found FLOAT32");
    refused({file, {"precision", PluginFieldType::kINT32, std::vector<char>(8), 2}},
            "field precision: expected one value, found 2");
    refused({file, {"precision", PluginFieldType::kINT32, {}, 0}}, "field precision: expected values, found none");
    refused({file, {"precision", PluginFieldType::kINT32, {}, 1}}, "field precision: expected values, found none");
    refused({file, int_field("effort", 1)}, "field effort: expected FLOAT32, found INT32");
    refused({file, float_field("effort", 1.5F)}, "effort: expected a number from 0 to 1, found 1.500000");
    refused({file, float_field("effort", -1.0F)}, "effort: expected a number from 0 to 1, found -1.000000");
    refused({{"model", PluginFieldType::kCHAR, file.values, file.length}}, "field model: expected INT8, found type 6");
    refused({{"model", PluginFieldType::kINT8, {}, 0}}, "field model: expected values, found none");
    refused({{"model", PluginFieldType::kINT8, file.values, -1}}, "field model: expected values, found none");
    refused({bytes_field("model", file_bytes(random_model(kDense, 81))), float_field("effort", 0.5F)},
            "effort: expected none, as this model does not escalate");

    nvinfer1::PluginField nameless(nullptr, file.values.data(), PluginFieldType::kINT8, file.length);
    const nvinfer1::PluginFieldCollection collections[] = {{1, &nameless}, {-1, &nameless}, {1, nullptr}};
    CHECK(creator().createPlugin("a layer", nullptr, TensorRTPhase::kBUILD) == nullptr);
    for (const nvinfer1::PluginFieldCollection& collection : collections) {
        CHECK(creator().createPlugin(nullptr, &collection, TensorRTPhase::kBUILD) == nullptr);
    }
    CHECK(take_log() ==
          "AdaSGN plugin: creation: fields: expected a collection of them, found none\n"
          "AdaSGN plugin: creation: field without a name: expected one of model, precision and effort\n"
          "AdaSGN plugin: creation: fields: expected a collection of them, found none\n"
          "AdaSGN plugin: creation: fields: expected a collection of them, found none\n");

    // Those that it says it takes, in any order; what may be left out.
    const nvinfer1::PluginFieldCollection* const names = creator().getFieldNames();
    REQUIRE(names->nbFields == 3);
    CHECK(std::string(names->fields[0].name) == "model");
    CHECK(std::string(names->fields[1].name) == "precision");
    CHECK(std::string(names->fields[2].name) == "effort");
    CHECK(create({float_field("effort", 1), int_field("precision", 32), file}, TensorRTPhase::kBUILD) != nullptr);
    CHECK(create({file}, TensorRTPhase::kBUILD) != nullptr);
    CHECK(take_log() == "");
}

TEST_CASE("models that are damaged, or that no kernels run") {
    const auto refused = [](const Model& model, const std::string& why) {
        expect_refused(fields_of(model, 16), TensorRTPhase::kBUILD, why);
    };
    refused(random_model(kCausal22, 82),
            "model: expected one that is not causal in TensorRT, found a causal one, which the engine of the device "
            "cpu runs");
    refused(random_model({5, {5}, {true}, 127, 5, false}, 83),
            "model: expected clips of at most 126 frames on a GPU in this precision, found 127");
    const std::vector<char> bytes = file_bytes(random_model(kDense, 84));
    for (const std::vector<char>& broken : {with_byte_changed(bytes), std::vector<char>(bytes.begin(), bytes.end() - 1),
                                            std::vector<char>(7, 'x'), std::vector<char>(bytes.size(), '\0')}) {
        CHECK(create({bytes_field("model", broken)}, TensorRTPhase::kBUILD) == nullptr);
        const std::string said = take_log();
        CAPTURE(said);
        CHECK(said.rfind("AdaSGN plugin: creation: field model: ", 0) == 0);
        CHECK(said.find("expected ") != std::string::npos);
    }
}

TEST_CASE("an engine file's fields: each that is missing or damaged") {
    const Model model = random_model(kLevels, 85);
    const Fields file = file_for(model);
    REQUIRE(file.size() == 4);
    const auto refused = [&](const std::function<void(Fields&)>& damage, const std::string& why) {
        Fields fields = file;
        damage(fields);
        expect_refused(fields, TensorRTPhase::kRUNTIME, why);
    };
    refused([](Fields& f) { f.erase(f.begin()); },
            "field model: expected the bytes of a .adasgn file, found no such field");
    refused([](Fields& f) { f.pop_back(); }, "field max_batch: expected in an engine file, found no such field");
    refused([](Fields& f) { f.back() = int_field("max_batch", 0); }, "field max_batch: expected 1 to 65536, found 0");
    refused([](Fields& f) { f.back() = int_field("max_batch", 1 << 30); },
            "field max_batch: expected 1 to 65536, found 1073741824");
    refused([](Fields& f) { f.push_back(int_field("stride", 1)); },
            "field stride: expected one of model, precision and effort, and max_batch");
    Fields fields = file;
    fields[0].values = with_byte_changed(fields[0].values);
    CHECK(create(fields, TensorRTPhase::kRUNTIME) == nullptr);
    CHECK(take_log().find("checksum") != std::string::npos);
}

TEST_CASE("tensors that do not fit") {
    const Model model = random_model(kDense, 86);
    const PluginPointer plugin = create(fields_of(model, 16), TensorRTPhase::kBUILD);
    REQUIRE(plugin != nullptr);
    auto& part = build_part(*plugin);

    for (const Shape4or5& shape :
         {Shape4or5{3, 5, 3}, {2, 3, 5}, {2, 4, 5, 3}, {2, 3, 6, 3}, {2, 3, 5, 2}, {2, -1, 5, 3}, {2, 1, 1, 3, 5, 3}}) {
        CHECK_FALSE(output_shapes(*plugin, shape));
        CHECK(take_log().find("clips: expected shape (B, 3, 5, 3) or (B, persons, 3, 5, 3), found (") !=
              std::string::npos);
    }
    CHECK(output_shapes(*plugin, {-1, -1, 3, 5, 3}) == std::vector<Shape4or5>{{-1, 4}, {-1, -2, 3}});
    CHECK(output_shapes(*plugin, {7, 3, 5, 3}) == std::vector<Shape4or5>{{7, 4}, {7, 3}});

    DataType types[2];
    for (const DataType type : {DataType::kHALF, DataType::kINT32}) {
        CHECK(part.getOutputDataTypes(types, 2, &type, 1) != 0);
    }
    CHECK(take_log().find("output types: clips: expected float32 (DataType 0), found DataType 1") != std::string::npos);
    CHECK(part.getOutputDataTypes(types, 3, types, 1) != 0);
    CHECK(take_log().find("tensors: expected 1 input and 2 outputs, found 1 and 3") != std::string::npos);
    const nvinfer1::DynamicPluginTensorDesc all[3] = {};
    CHECK_FALSE(part.supportsFormatCombination(3, all, 1, 2));
    CHECK_FALSE(part.supportsFormatCombination(-1, all, 1, 2));

    CHECK(runtime_part(*plugin).getFieldsToSerialize() == nullptr);
    CHECK(take_log().find("max_batch: expected to be known from a profile") != std::string::npos);
    CHECK(configure(*plugin, {{0, 3, 5, 3}, {0, 3, 5, 3}}) != 0);
    CHECK(take_log().find("expected 1 to 65536, found 0") != std::string::npos);
    CHECK(configure(*plugin, {{1, 3, 5, 3}, {65537, 3, 5, 3}}) != 0);
    CHECK(configure(*plugin, {{1, 1, 3, 5, 3}, {65536, 65536, 3, 5, 3}}) != 0);
    CHECK(take_log().find("expected 1 to 65536, found 4294967296") != std::string::npos);
    CHECK(configure(*plugin, {{1, 3, 5, 3}, {1, 3, 5, 4}}) != 0);
    CHECK(take_log().find("found (1, 3, 5, 4)") != std::string::npos);

    for (const Shape* const shape : {&kDense, &kLevels}) {
        const Model other = random_model(*shape, 86);
        const PluginPointer loaded = create(file_for(other), TensorRTPhase::kRUNTIME);
        REQUIRE(loaded != nullptr);
        Context context(*loaded, other.description, {2, 3, 5, 3});
        REQUIRE(context.usable());
        CHECK(context.enqueue({2, 4, 5, 3}) != 0);
        CHECK(context.enqueue({2, 0, 3, 5, 3}) != 0);
        CHECK(take_log().find("new shapes: clips: expected shape") != std::string::npos);
        CHECK(context.enqueue({0, 3, 5, 3}) == 0);  // no clips are no work
        CHECK(take_log() == "");
    }
    CHECK(cuda::emulator::allocations().empty());
}

TEST_CASE("a GPU that is not there, is too old or has no memory: no context, and the log says why") {
    const Model model = random_model(kLevels, 87);
    const PluginPointer plugin = create(file_for(model), TensorRTPhase::kRUNTIME);
    REQUIRE(plugin != nullptr);
    const AtEnd as_before{[] {
        cuda::emulator::set_traits(cuda::emulator::default_traits());
        cuda::emulator::set_memory_limit(std::size_t{8} << 30);
    }};
    auto& part = runtime_part(*plugin);
    cuda::DeviceTraits old = cuda::emulator::default_traits();
    old.architecture = 72;
    cuda::emulator::set_traits(old);
    CHECK(part.attachToContext(nullptr) == nullptr);
    CHECK(take_log().find("a context: device: expected compute capability 8.0 or higher, found 7.2") !=
          std::string::npos);
    cuda::emulator::set_traits(cuda::emulator::default_traits());
    cuda::emulator::set_memory_limit(1 << 12);
    CHECK(part.attachToContext(nullptr) == nullptr);
    CHECK(take_log().find("a context: GPU: memory for the engine: ") != std::string::npos);
    cuda::emulator::set_memory_limit(std::size_t{8} << 30);
    CHECK(cuda::emulator::allocations().empty());
    CHECK(PluginPointer(part.attachToContext(nullptr)) != nullptr);
    CHECK(take_log() == "");
}

TEST_CASE("a first run while the stream is captured fails, as it would allocate; after a plain one it does not") {
    const Model model = random_model(kDense, 88);
    const Shape4or5 two{2, 3, 5, 3};
    const PluginPointer plugin = create(file_for(model), TensorRTPhase::kRUNTIME);
    REQUIRE(plugin != nullptr);
    Context context(*plugin, model.description, two, false);  // not attached: nothing is there yet
    cuda::expect_ok(cuda::begin_capture(context.stream()), "capture");
    CHECK(context.enqueue(two) != 0);
    CHECK(take_log().find("GPU: ") != std::string::npos);
    cuda::GraphHandle* graph = nullptr;
    CHECK(cuda::end_capture(context.stream(), graph));
    context.run(std::vector<float>(2 * 45, 0.25F), two);
    context.capture(two);
    CHECK(take_log() == "");
}

TEST_CASE("the n-th allocation on the host fails, for every n: a call fails or does its work, and nothing is left") {
    const Model model = random_model({3, {3}, {true}, 2, 2, false}, 89);
    const std::vector<char> bytes = file_bytes(model);
    const std::int32_t precision = 32;
    const std::int32_t most = 2;
    const nvinfer1::PluginField given[] = {
        {"model", bytes.data(), PluginFieldType::kINT8, static_cast<std::int32_t>(bytes.size())},
        {"precision", &precision, PluginFieldType::kINT32, 1},
        {"max_batch", &most, PluginFieldType::kINT32, 1}};
    const nvinfer1::PluginFieldCollection to_build{2, given};
    const nvinfer1::PluginFieldCollection to_load{3, given};
    nvinfer1::IPluginCreatorV3One& made_by = creator();
    const auto allocations_of = [](const auto& call) {
        const long before = allocation_count();
        call();
        return allocation_count() - before;
    };
    // Of the reader of model files, whose JSON library ends the program where its destructors have no memory.
    const long reading = allocations_of([&] { parse_model(bytes.data(), bytes.size()); });
    // call: whether it succeeded. Left out are as many as the reader makes, after `before` others.
    const auto check = [&](const char* what, long before, long left_out, const auto& call) {
        CAPTURE(what);
        const long all = allocations_of([&] { REQUIRE(call()); });
        REQUIRE(all > before + left_out);
        setLoggerFinder(nullptr);  // the test's log has no memory either
        int failed = 0;
        for (long n = 0; n < all; n = n + 1 == before ? before + left_out : n + 1) {
            bool succeeded = true;
            const std::string said = stderr_of([&] {
                fail_allocation_after(n);
                succeeded = call();
                fail_nothing();
            });
            CHECK(succeeded == said.empty());
            CHECK(cuda::emulator::allocations().empty());
            failed += succeeded ? 0 : 1;
        }
        CHECK(failed > 0);
        CHECK(take_log() == "");
    };
    const auto made = [](nvinfer1::IPluginV3* plugin) { return PluginPointer(plugin) != nullptr; };
    check("creation", 2, reading, [&] { return made(made_by.createPlugin("", &to_build, TensorRTPhase::kBUILD)); });
    const PluginPointer plugin(made_by.createPlugin("", &to_load, TensorRTPhase::kRUNTIME));
    REQUIRE(plugin != nullptr);
    check("clone", 0, 0, [&] { return made(plugin->clone()); });
    auto& part = runtime_part(*plugin);
    check("serialization", 0, 0, [&] { return part.getFieldsToSerialize() != nullptr; });
    check("a context", 1, reading, [&] { return made(part.attachToContext(nullptr)); });
    cuda::emulator::clear_findings();
}

TEST_CASE("without TensorRT's logger, or where it finds none, stderr has the line; a long one is cut") {
    class Finder final : public nvinfer1::ILoggerFinder {
      public:
        nvinfer1::ILogger* findLogger() override {
            if (throws) {
                throw std::runtime_error("no logger");
            }
            return nullptr;
        }
        bool throws = false;
    } finder;
    const nvinfer1::PluginField field("no such field", &finder, PluginFieldType::kINT32, 1);
    const nvinfer1::PluginFieldCollection fields{1, &field};
    nvinfer1::IPluginCreatorV3One& made_by = creator();
    const auto refuse = [&] { CHECK(made_by.createPlugin("a layer", &fields, TensorRTPhase::kBUILD) == nullptr); };
    const std::string line =
        "AdaSGN plugin: creation: field no such field: expected one of model, precision and effort\n";
    setLoggerFinder(nullptr);
    CHECK(stderr_of(refuse) == line);
    setLoggerFinder(&finder);
    CHECK(stderr_of(refuse) == line);
    finder.throws = true;
    CHECK(stderr_of(refuse) == line);
    const std::string cut =
        stderr_of([] { tensorrt::log(tensorrt::Severity::kERROR, "a place", std::string(5000, 'x').c_str()); });
    CHECK(cut.size() == 1024);
    CHECK(cut.back() == '\n');
    CHECK(take_log() == "");  // TensorRT's is in place again
}

TEST_CASE("a TensorRT of another major version is offered nothing, and its logger is not called") {
    const AtEnd as_before{[] { played_major = NV_TENSORRT_MAJOR; }};
    CHECK(take_log() == "");
    played_major = NV_TENSORRT_MAJOR + 1;
    std::int32_t count = -1;
    const std::string said = stderr_of([&] { static_cast<void>(getCreators(count)); });
    CHECK(count == 0);
    CHECK(said.find("expected major version " + std::to_string(NV_TENSORRT_MAJOR)) != std::string::npos);
    CHECK(said.find("found " + std::to_string(NV_TENSORRT_MAJOR + 1)) != std::string::npos);
    CHECK(take_log() == "");
    played_major = NV_TENSORRT_MAJOR;
    static_cast<void>(getCreators(count));
    CHECK(count == 1);
}

TEST_CASE("after fork the child lets a context go without calling the driver") {
    const Model model = random_model(kDense, 90);
    PluginPointer plugin = create(file_for(model), TensorRTPhase::kRUNTIME);
    REQUIRE(plugin != nullptr);
    PluginPointer attached(runtime_part(*plugin).attachToContext(nullptr));
    REQUIRE(attached != nullptr);
    const std::size_t there = cuda::emulator::allocations().size();
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        attached.reset();
        _exit(cuda::emulator::allocations().size() == there ? 0 : 1);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    attached.reset();
    CHECK(cuda::emulator::allocations().empty());
}
