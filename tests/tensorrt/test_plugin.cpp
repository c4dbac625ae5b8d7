// The TensorRT plugin on the emulated device, as TensorRT would use it: built, written, loaded, attached, run,
// captured.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "adasgn/cuda/engine.h"
#include "adasgn/effort.h"
#include "adasgn/engine.h"
#include "emulator.h"
#include "player.h"
#include "random_model.h"
#include "reference.h"

using namespace adasgn;
using namespace adasgn::testing;
using nvinfer1::TensorRTPhase;

namespace {

// When a case ends, the emulator has found nothing, nothing is left on the device and nothing in the log.
class NothingLeft {
  public:
    ~NothingLeft() {
        for (const cuda::emulator::Finding& finding : cuda::emulator::findings()) {
            FAIL_CHECK(finding.text);
        }
        cuda::emulator::clear_findings();
        CHECK(cuda::emulator::check_guards() == "");
        CHECK(cuda::emulator::allocations().empty());
        CHECK(take_log() == "");
    }
};

const Shape kPolicy{7, {2, 3, 7}, {false, true}, 3, 2, true};
const Shape kPosePolicy{5, {5}, {false}, 3, 4, true, true, false, 2};
const Shape kLevels{7, {3, 7}, {true}, 4, 5, false, true, true, 2};  // a pose branch, then two more
const Shape kDense{5, {5}, {true}, 3, 4, false};
const Shape kPose{6, {}, {}, 4, 3, false, true};

Shape4or5 clips_of(const Description& d, std::int64_t samples, std::int64_t persons = 0) {
    if (persons == 0) {
        return {samples, d.frames, d.joints, kCoordinates};
    }
    return {samples, persons, d.frames, d.joints, kCoordinates};
}

std::vector<float> random_clips(const Description& d, int clips, unsigned seed) {
    std::mt19937 random(seed);
    return random_floats(clips * clip_floats(d), random, 0.5F);
}

// What an engine gives for the same.
Outputs of_engine(Inference& engine, const std::vector<float>& clips, int samples, int persons,
                  float threshold = kDefaultThreshold) {
    const Description& d = engine.description();
    Outputs found;
    found.logits.resize(samples * d.classes);
    found.actions.resize(samples * persons * d.frames);
    engine.run(clips.data(), samples, persons, {found.logits.data(), found.actions.data()}, threshold);
    return found;
}

void check_same(const Outputs& expected, const Outputs& found) {
    CHECK(expected.logits == found.logits);
    CHECK(expected.actions == found.actions);
}

double worst = 0;  // relative error of logits against the CPU engine's

void check_close(const Outputs& expected, const Outputs& found, int classes, double tolerance) {
    CHECK(expected.actions == found.actions);
    for (std::size_t i = 0; i < expected.logits.size(); i += classes) {
        const Doubles row(expected.logits.begin() + i, expected.logits.begin() + i + classes);
        const double error = relative_error(row, found.logits.data() + i);
        worst = std::max(worst, error);
        CHECK(error < tolerance);
    }
}

PluginPointer load(const Fields& file) {
    PluginPointer plugin = create(file, TensorRTPhase::kRUNTIME);
    REQUIRE_MESSAGE(plugin != nullptr, take_log());
    return plugin;
}

}  // namespace

TEST_CASE("what an engine file's plugin gives is what the engines give, for every kind of model") {
    const NothingLeft nothing;
    const std::vector<int> batches =
        cuda::emulator::checks_accesses() ? std::vector<int>{2} : std::vector<int>{1, 3, 2};
    for (const std::int32_t precision : {32, 16}) {
        worst = 0;
        for (const Shape* const shape : {&kPolicy, &kPosePolicy, &kLevels, &kDense, &kPose}) {
            CAPTURE(precision);
            CAPTURE(shape - &kPolicy);
            const Model model = random_model(*shape, 50);
            const Description& d = model.description;
            const auto chosen = precision == 32 ? cuda::Precision::f32 : cuda::Precision::f16;
            Engine on_cpu(model, {6, 1});
            {
                cuda::Engine on_gpu(model, {6, chosen, 0});
                for (const int persons : {0, 2}) {
                    Shape4or5 varying = clips_of(d, -1, persons);
                    const Profile profile{clips_of(d, 1, persons), clips_of(d, persons == 0 ? 6 : 3, persons)};
                    const PluginPointer plugin = load(build(fields_of(model, precision), varying, {profile}));
                    Context context(*plugin, d, profile.most);
                    REQUIRE_MESSAGE(context.usable(), take_log());
                    const int each = std::max(persons, 1);
                    for (const int samples : batches) {
                        const std::vector<float> clips = random_clips(d, samples * each, 60 + samples);
                        const Outputs found = context.run(clips, clips_of(d, samples, persons));
                        check_same(of_engine(on_gpu, clips, samples, each), found);
                        check_close(of_engine(on_cpu, clips, samples, each), found, d.classes,
                                    precision == 32 ? 1e-5 : 6e-3);
                    }
                }
            }
        }
        MESSAGE("precision " << precision << ": logits differ from the CPU engine's by at most " << worst);
    }
}

TEST_CASE("a captured run is replayed with new clips, in both shapes of a context") {
    const NothingLeft nothing;
    for (const Shape* const shape : {&kPolicy, &kLevels}) {
        const Model model = random_model(*shape, 51);
        const Description& d = model.description;
        const Profile profile{clips_of(d, 1), clips_of(d, 3)};
        const PluginPointer plugin = load(build(fields_of(model, 16), clips_of(d, -1), {profile}));
        Context context(*plugin, d, profile.most);
        REQUIRE_MESSAGE(context.usable(), take_log());
        cuda::Engine engine(model, {3, cuda::Precision::f16, 0});
        std::vector<cuda::Graph> graphs;
        for (const int samples : {3, 1}) {
            context.run(random_clips(d, samples, 61), clips_of(d, samples));
            graphs.push_back(context.capture(clips_of(d, samples)));
        }
        for (unsigned seed = 62; seed < 66; ++seed) {
            const int samples = seed % 2 == 0 ? 3 : 1;
            const std::vector<float> clips = random_clips(d, samples, seed);
            context.upload(clips);
            graphs[seed % 2].launch(context.stream());
            check_same(of_engine(engine, clips, samples, 1), context.download(clips_of(d, samples)));
        }
    }
}

TEST_CASE("two contexts of an engine share nothing: their runs may be under way at once") {
    const NothingLeft nothing;
    const Model model = random_model(kPolicy, 52);
    const Description& d = model.description;
    const Shape4or5 two = clips_of(d, 2);
    const PluginPointer plugin = load(build(fields_of(model, 32), clips_of(d, -1), {{two, two}}));
    Context first(*plugin, d, two);
    auto second = std::make_unique<Context>(*plugin, d, two);
    REQUIRE_MESSAGE((first.usable() && second->usable()), take_log());
    cuda::Engine engine(model, {2, cuda::Precision::f32, 0});
    const std::vector<float> some = random_clips(d, 2, 67);
    const std::vector<float> others = random_clips(d, 2, 68);
    first.upload(some);
    second->upload(others);
    REQUIRE(first.enqueue(two) == 0);
    REQUIRE(second->enqueue(two) == 0);  // nothing orders the two streams: checked, shared memory would be a finding
    check_same(of_engine(engine, some, 2, 1), first.download(two));
    check_same(of_engine(engine, others, 2, 1), second->download(two));
    second.reset();
    check_same(of_engine(engine, others, 2, 1), first.run(others, two));
}

TEST_CASE("contexts have room for the largest of all profiles, whichever clone each was told to; more is refused") {
    const NothingLeft nothing;
    const Model model = random_model(kLevels, 53);
    const Description& d = model.description;
    cuda::Engine engine(model, {4, cuda::Precision::f16, 0});
    for (const Cloning cloning : {Cloning::one_for_all, Cloning::one_each}) {
        const std::vector<Profile> profiles = {{clips_of(d, 1), clips_of(d, 4)}, {clips_of(d, 1), clips_of(d, 2)}};
        const Fields file = build(fields_of(model, 16), clips_of(d, -1), profiles, cloning);
        REQUIRE(file.back().name == "max_batch");
        CHECK(file.back().values == int_field("max_batch", 4).values);
        const PluginPointer plugin = load(file);
        Context context(*plugin, d, clips_of(d, 6));
        const std::vector<float> clips = random_clips(d, 4, 69);
        const Outputs expected = of_engine(engine, clips, 4, 1);
        check_same(expected, context.run(clips, clips_of(d, 4)));
        CHECK(context.enqueue(clips_of(d, 6)) != 0);
        CHECK(take_log() ==
              "AdaSGN plugin: new shapes: clips (samples x persons; the engine's max_batch is the most): expected 0 to "
              "4, found 6\n");
        check_same(expected, context.run(clips, clips_of(d, 4)));
        // As the shape before, but to enqueue itself.
        nvinfer1::PluginTensorDesc six[3] = {};
        six[0].dims = dims_of(clips_of(d, 6));
        const void* const inputs[] = {nullptr};
        void* const outputs[] = {nullptr, nullptr};
        CHECK(runtime_part(*plugin).enqueue(six, six + 1, inputs, outputs, nullptr, nullptr) != 0);
        CHECK(take_log().find("expected 0 to 4, found 6") != std::string::npos);
    }
}

TEST_CASE("a builder may run a plugin that it has not attached, and then tell it of a larger profile") {
    const NothingLeft nothing;
    const Model model = random_model(kPolicy, 54);
    const Description& d = model.description;
    cuda::Engine engine(model, {3, cuda::Precision::f32, 0});
    const PluginPointer plugin = create(fields_of(model, 32), TensorRTPhase::kBUILD);
    REQUIRE(plugin != nullptr);
    for (const int most : {1, 3}) {
        REQUIRE(configure(*plugin, {clips_of(d, 1), clips_of(d, most)}) == 0);
        Context context(*plugin, d, clips_of(d, most), false);
        const std::vector<float> clips = random_clips(d, most, 70);
        check_same(of_engine(engine, clips, most, 1), context.run(clips, clips_of(d, most)));
    }
    // A plugin in a file is one more that can be written to a file.
    const PluginPointer loaded = load(build(fields_of(model, 32), clips_of(d, 2), {{clips_of(d, 2), clips_of(d, 2)}}));
    const nvinfer1::PluginFieldCollection* const fields = runtime_part(*loaded).getFieldsToSerialize();
    REQUIRE(fields != nullptr);
    CHECK(fields->nbFields == 4);
}

TEST_CASE("effort: the model file's own unless given, and kept in the engine file") {
    const NothingLeft nothing;
    const Model model = random_model(kLevels, 55);
    const Description& d = model.description;
    cuda::Engine engine(model, {6, cuda::Precision::f32, 0});
    const int count = cuda::emulator::checks_accesses() ? 2 : 6;
    const Shape4or5 all = clips_of(d, count);
    const std::vector<float> clips = random_clips(d, count, 71);
    const float none = std::numeric_limits<float>::quiet_NaN();
    std::vector<std::vector<std::int32_t>> actions;
    for (const float effort : {none, 0.0F, 0.4F, 1.0F}) {
        Fields fields = fields_of(model, 32);
        fields.push_back(float_field("effort", effort));
        const PluginPointer plugin = load(build(fields, all, {{all, all}}));
        Context context(*plugin, d, all);
        const float threshold = std::isnan(effort) ? kDefaultThreshold : threshold_of(d, effort);
        const Outputs found = context.run(clips, all);
        check_same(of_engine(engine, clips, count, 1, threshold), found);
        actions.push_back(found.actions);
    }
    CHECK(actions[1] == std::vector<std::int32_t>(count * d.frames, 0));
    CHECK(actions[3] == std::vector<std::int32_t>(count * d.frames, 2));
    CHECK((cuda::emulator::checks_accesses() || actions[2] != actions[1]));
}

TEST_CASE("a clip that is not finite gets logits that are NaN; other clips, and the runs after it, are as they were") {
    const NothingLeft nothing;
    for (const Shape* const shape : {&kPolicy, &kLevels, &kDense}) {
        const Model model = random_model(*shape, 56);
        const Description& d = model.description;
        const Shape4or5 three = clips_of(d, 3);
        const PluginPointer plugin = load(build(fields_of(model, 16), three, {{three, three}}));
        Context context(*plugin, d, three);
        const std::vector<float> clips = random_clips(d, 3, 72);
        const Outputs expected = context.run(clips, three);
        std::vector<float> broken = clips;
        broken[clip_floats(d) + 4] = std::numeric_limits<float>::quiet_NaN();
        const Outputs found = context.run(broken, three);
        for (int i = 0; i < 3 * d.classes; ++i) {
            if (i / d.classes == 1) {
                CHECK(std::isnan(found.logits[i]));
            } else {
                CHECK(found.logits[i] == expected.logits[i]);
            }
        }
        check_same(expected, context.run(clips, three));
    }
}
