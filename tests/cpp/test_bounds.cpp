// Weights that are finite and too large: an engine refuses them, or what it gives is what double precision gives. Never
// is an ordinary label made of sums that left float's range.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "adasgn/bounds.h"
#include "adasgn/constants.h"
#include "adasgn/engine.h"
#include "adasgn/error.h"
#include "random_model.h"
#include "reference.h"

using namespace adasgn;
using namespace adasgn::testing;

namespace {

// All sizes of branches, with one joint and several; a policy, and a causal temporal module.
const Shape kPolicy{3, {1, 3}, {false, true}, 2, 3, true};
const Shape kCausal{4, {2}, {true}, 4, 3, false, true, true, 1, CausalShape{{1}, {1}, 2, 0}};

bool is_refused(const Model& model) {
    try {
        Engine(model, {});
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::model_file);
        CHECK(std::string(error.what()).find("model: expected weights whose sums stay within float's range") == 0);
        return true;
    }
    return false;
}

// Beside a large bias of an embedding, joints differ by less than float's digits can hold.
bool hides_joints(const std::string& name) {
    return name.find("output.bias") != std::string::npos;
}

// Each branch by itself, on one clip.
void check_results(const Model& model, const std::vector<float>& clip) {
    const Description& d = model.description;
    Engine engine(model, {});
    std::vector<float> logits(d.classes);
    for (int branch = 0; branch < static_cast<int>(d.branches.size()); ++branch) {
        const std::vector<std::int32_t> actions(d.frames, branch);
        engine.run_forced(clip.data(), actions.data(), 1, 1, {logits.data()});
        const Doubles features = clip_features(model, clip.data(), {actions.begin(), actions.end()});
        CHECK(relative_error(class_logits(model, features), logits.data()) < 1e-3);
    }
}

}  // namespace

TEST_CASE("a tensor of large weights is refused, or computed right") {
    std::mt19937 random(1);
    for (const Shape& shape : {kPolicy, kCausal}) {
        const Model model = random_model(shape, 2);
        const std::vector<float> clip = random_floats(clip_floats(model.description), random);
        int refused = 0;
        int computed = 0;
        for (const auto& entry : model.tensors) {
            const std::string& name = entry.first;
            CAPTURE(name);
            for (const float size : {1e20F, 1e38F}) {
                CAPTURE(size);
                Model large = model;
                for (float& weight : large.tensors[name].values) {
                    weight *= size;
                }
                if (is_refused(large)) {
                    ++refused;
                } else if (!hides_joints(name)) {
                    check_results(large, clip);
                    ++computed;
                }
            }
        }
        CHECK(refused > 20);
        CHECK(computed > 10);
    }
}

TEST_CASE("weights that are no numbers are refused of C++ callers, too") {
    const Model model = random_model(kPolicy, 3);
    for (const auto& entry : model.tensors) {
        const std::string& name = entry.first;
        CAPTURE(name);
        for (const float value : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
            Model broken = model;
            broken.tensors[name].values.back() = value;
            CHECK(is_refused(broken));
        }
    }
}

TEST_CASE("features that stages take: the largest, or where a model makes them larger those that it makes itself") {
    CHECK(expect_computable(random_model(kAdaptive22, 4)) == kMaxFeature);
    Model model = random_model(kCausal, 5);
    for (float& weight : model.tensors["temporal.widen.weight"].values) {
        weight = std::copysign(1e20F, weight);
    }
    const float most = expect_computable(model);
    CHECK(most < kMaxFeature);
    CHECK(most > 1e4F);
    Engine engine(model, {});
    std::vector<float> features(4 * kFeature, most);
    std::vector<float> logits(3);
    engine.temporal_head(features.data(), 1, logits.data());
    for (const float logit : logits) {
        CHECK(std::isfinite(logit));
    }
    features[7] = 2 * most;
    CHECK_THROWS_AS(engine.temporal_head(features.data(), 1, logits.data()), Error);
}
