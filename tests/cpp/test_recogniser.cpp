// The recogniser with a network: exact mode is the engine on the window, continual mode is exact mode; nothing is
// allocated.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "adasgn/effort.h"
#include "adasgn/engine.h"
#include "adasgn/online/costs.h"
#include "adasgn/recogniser.h"
#include "adasgn/temporal_stream.h"
#include "copied_output.h"
#include "emulated.h"
#include "faults.h"
#include "moving_body.h"
#include "random_model.h"

using namespace adasgn;
using namespace adasgn::testing;

namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kStep = 50 * kMs;
constexpr int kClasses = 14;

// A pose branch and a small one; T = 10, lead 5.
const Shape kSmall{24, {11}, {false}, 10, kClasses, false, true, true, 1, CausalShape{{2, 4}, {1, 2}, 4, 1}};

using Tracks = std::map<std::int64_t, std::vector<float>>;

CopiedOutput push(Recogniser& recogniser, std::int64_t stamp, const Tracks& tracks, bool update_state = true) {
    std::vector<TrackInput> inputs;
    for (const auto& [id, joints] : tracks) {
        inputs.push_back({id, joints.data()});
    }
    return copy_output(recogniser.push(stamp, inputs.data(), static_cast<int>(inputs.size()), update_state), kClasses);
}

std::vector<float> softmax(const std::vector<float>& logits) {
    std::vector<float> probabilities;
    float sum = 0;
    for (const float logit : logits) {
        probabilities.push_back(std::exp(logit));
        sum += probabilities.back();
    }
    for (float& p : probabilities) {
        p /= sum;
    }
    return probabilities;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
    REQUIRE(a.size() == b.size());
    double largest = 0;
    for (std::size_t k = 0; k < a.size(); ++k) {
        largest = std::max(largest, std::fabs(static_cast<double>(a[k]) - b[k]));
    }
    return largest;
}

int likeliest(const std::vector<float>& probabilities) {
    return static_cast<int>(std::max_element(probabilities.begin(), probabilities.end()) - probabilities.begin());
}

// The same grid frames worked out anew: interpolation between jittered frames, then the running scale.
class Resampler {
  public:
    explicit Resampler(std::array<int, 2> bone) : bone_(bone) {}

    void add(std::int64_t stamp, const std::vector<float>& joints) {
        stamps_.push_back(stamp);
        frames_.push_back(joints);
        for (std::int64_t instant = stamps_[0] + static_cast<std::int64_t>(grid_.size()) * kStep; instant <= stamp;
             instant += kStep) {
            grid_.push_back(scaled(at(instant)));
        }
    }

    std::vector<float> window(std::size_t last, int frames) const {
        std::vector<float> window;
        for (std::size_t t = last + 1 - frames; t <= last; ++t) {
            window.insert(window.end(), grid_[t].begin(), grid_[t].end());
        }
        return window;
    }

    std::size_t number(std::int64_t instant) const { return (instant - stamps_[0]) / kStep; }

  private:
    std::vector<double> at(std::int64_t instant) const {
        const std::size_t after = std::lower_bound(stamps_.begin(), stamps_.end(), instant) - stamps_.begin();
        std::vector<double> joints(frames_[after].begin(), frames_[after].end());
        if (stamps_[after] != instant) {
            const auto span = static_cast<double>(stamps_[after] - stamps_[after - 1]);
            const double weight = static_cast<double>(instant - stamps_[after - 1]) / span;
            for (std::size_t i = 0; i < joints.size(); ++i) {
                joints[i] = weight * joints[i] + (1 - weight) * frames_[after - 1][i];
            }
        }
        return joints;
    }

    std::vector<float> scaled(const std::vector<double>& joints) {
        double squares = 0;
        for (int c = 0; c < 3; ++c) {
            squares += std::pow(joints[bone_[0] * 3 + c] - joints[bone_[1] * 3 + c], 2);
        }
        lengths_.push_back(std::sqrt(squares));
        std::vector<double> recent(lengths_.end() - std::min<std::ptrdiff_t>(64, lengths_.size()), lengths_.end());
        std::sort(recent.begin(), recent.end());
        std::vector<float> frame;
        for (const double x : joints) {
            frame.push_back(static_cast<float>(x / recent[(recent.size() - 1) / 2]));
        }
        return frame;
    }

    std::array<int, 2> bone_;
    std::vector<std::int64_t> stamps_;
    std::vector<std::vector<float>> frames_;
    std::vector<std::vector<float>> grid_;
    std::vector<double> lengths_;
};

// Compares every ready step with the engine on the window that is worked out anew.
void check_windows(const Model& model, bool exact, unsigned seed, std::vector<int>& taken) {
    const Description& d = model.description;
    Engine engine(model);
    std::mt19937 random(seed);
    RecogniserOptions options;
    options.exact = exact;
    Recogniser recogniser(model, options);
    CHECK(recogniser.receptive_field() == d.clip_frames());
    const std::int64_t delay = d.recognition->delay;
    CHECK(recogniser.delay() == kStep + delay);
    const MovingBody body(22, seed + 1);
    Resampler resampler({0, 2});
    std::vector<std::int32_t> actions;
    std::vector<int> labels(kClasses, 0);
    std::int64_t stamp = 5'000'000'000'000;
    for (int i = 0; i < 100; ++i) {
        stamp += std::uniform_int_distribution<std::int64_t>(5 * kMs, 75 * kMs)(random);
        recogniser.set_effort(std::uniform_real_distribution<double>(0, 0.55)(random));
        resampler.add(stamp, body.at(stamp));
        const CopiedOutput output = push(recogniser, stamp, {{1, body.at(stamp)}});
        for (std::size_t n = 0; n < output.results.size(); ++n) {
            const StepResult& result = output.results[n];
            if (result.action >= 0) {
                actions.push_back(result.action);
            }
            if (!result.ready) {
                continue;
            }
            ++taken[result.action];
            const std::vector<float> window = resampler.window(resampler.number(result.stamp + delay), d.clip_frames());
            std::vector<float> logits(kClasses);
            engine.run_forced(window.data(), actions.data() + actions.size() - d.frames, 1, 1, {logits.data()});
            const std::vector<float> expected = softmax(logits);
            CHECK(largest_difference(expected, output.probabilities[n]) < 1e-5);
            const int label = likeliest(expected);
            CHECK(result.label == (label == kClasses - 1 ? -1 : label));
            CHECK(result.confidence == doctest::Approx(expected[label]));
            ++labels[label];
        }
    }
    CHECK(std::count(labels.begin(), labels.end(), 0) < kClasses - 1);  // nor is one label all
}

}  // namespace

// Hundreds of whole windows take an emulator ten minutes; test_causal has the same arithmetic there.
TEST_CASE("at every step both modes give what the engine gives for the window, whatever the routing" *
          doctest::skip(kEmulated)) {
    std::vector<int> taken(5, 0);  // of each branch
    for (const bool exact : {true, false}) {
        CAPTURE(exact);
        for (unsigned seed = exact ? 1 : 3; seed <= (exact ? 2 : 4); ++seed) {
            Model model = lively_model(kCausal22, seed, 5);
            model.description.recognition->delay = seed % 2 * 4 * kStep;
            check_windows(model, exact, seed, taken);
        }
    }
    CHECK(*std::min_element(taken.begin(), taken.end()) > 0);
}

TEST_CASE("several tracks, several engines: continual is exact, and a small batch is a large one") {
    const Model model = lively_model(kSmall, 4);
    RecogniserOptions options;
    options.max_tracks = 13;
    options.effort = 0.2;
    Recogniser continual(model, options);
    options.exact = true;
    Recogniser exact(model, options);
    EngineOptions small;
    small.max_batch = 2;  // two windows, 20 frames: 13 tracks take several runs
    Recogniser in_parts(model, std::make_unique<Engine>(model, small), options);
    small.max_batch = 1;
    options.exact = false;
    Recogniser frame_by_frame(model, std::make_unique<Engine>(model, small), options);
    std::vector<MovingBody> bodies;
    for (unsigned id = 0; id < 13; ++id) {
        bodies.emplace_back(22, 10 + id);
    }
    std::mt19937 random(5);
    std::bernoulli_distribution seen(0.9);
    double largest = 0;
    int compared = 0;
    for (int i = 0; i < 120; ++i) {
        const std::int64_t stamp = i * 20 * kMs + std::uniform_int_distribution<std::int64_t>(0, 10 * kMs)(random);
        Tracks tracks;
        for (std::int64_t id = 0; id < 13; ++id) {
            if (seen(random) && i / 3 >= id) {
                tracks[id] = bodies[id].at(stamp);
            }
        }
        const CopiedOutput expected = push(exact, stamp, tracks);
        for (Recogniser* other : {&continual, &in_parts, &frame_by_frame}) {
            const CopiedOutput found = push(*other, stamp, tracks);
            REQUIRE(found.results.size() == expected.results.size());
            for (std::size_t n = 0; n < found.results.size(); ++n) {
                CHECK(found.results[n].track == expected.results[n].track);
                CHECK(found.results[n].label == expected.results[n].label);
                CHECK(found.results[n].action == expected.results[n].action);
                largest = std::max(largest, largest_difference(found.probabilities[n], expected.probabilities[n]));
                compared += static_cast<int>(found.results[n].ready);
            }
        }
    }
    CHECK(compared > 500);
    CHECK(largest < 1e-5);
    CHECK(exact.stats().escalated > 20);
    CHECK(exact.stats().escalated < exact.stats().results);
}

TEST_CASE("a step's cost is counted by what ran") {
    const Model model = lively_model(kSmall, 4);
    const Description& d = model.description;
    const std::int64_t pose = 2 * 24 * 3 * 256 + 256 * 256;
    CHECK(online::branch_macs(d, 0) == pose);
    // S-11 of the table of costs: embeddings, pairs, two matrices, joint transform; adjacency and product with it.
    CHECK(online::branch_macs(d, 1) ==
          11 * (2 * (3 * 64 + 64 * 64) + 2 * 128 * 256 + 2 * 128 * 256 + 24 * 6) + 121 * (256 + 128));
    const std::int64_t layer = 3 * 256 * 256;
    CHECK(online::temporal_step_macs(d) == 2 * layer + 256 * 512 + 512 * kClasses);
    CHECK(online::temporal_window_macs(d) == (8 + 4) * layer + 4 * 256 * 512 + 512 * kClasses);
    for (const bool exact : {true, false}) {
        RecogniserOptions options;
        options.exact = exact;
        options.effort = 1;  // always the next branch
        Recogniser recogniser(model, options);
        StepResult last{};
        for (int i = 0; i < 15; ++i) {
            last = push(recogniser, i * kStep, {{1, MovingBody(22, 3).at(i * kStep)}}).results.back();
        }
        const std::int64_t temporal = exact ? online::temporal_window_macs(d) : online::temporal_step_macs(d);
        CHECK(last.macs == pose + online::branch_macs(d, 1) + 2 * temporal);
    }
}

TEST_CASE("effort by cost") {
    const Model model = lively_model(kSmall, 4);  // from 1000 to 5000
    const Description& d = model.description;
    CHECK(effort_within(d, 1000) == 0);
    CHECK(effort_within(d, 2000) == doctest::Approx(0.25));
    CHECK(effort_within(d, 5000) == 1);
    CHECK(effort_within(d, 1'000'000) == 1);
    Recogniser recogniser(model);
    recogniser.set_max_macs(2000);
    CHECK_THROWS_WITH_AS(recogniser.set_max_macs(999),
                         "max_macs: expected at least 1000, what a clip costs at effort 0, found 999", Error);
    Shape plain = kSmall;
    plain.escalates = false;
    plain.joint_sets = {};
    plain.big = {};
    Recogniser one_branch(lively_model(plain, 4));
    CHECK_THROWS_AS(one_branch.set_effort(0.5), Error);
    CHECK_THROWS_WITH_AS(one_branch.set_max_macs(5), "max_macs: expected none, as this model does not escalate", Error);
    StepResult last{};
    for (int i = 0; i < 15; ++i) {
        last = push(one_branch, i * kStep, {{1, MovingBody(22, 3).at(i * kStep)}}).results.back();
    }
    CHECK(last.ready);
    CHECK(last.action == 0);
}

TEST_CASE("peeking changes nothing of a network's past either" * doctest::skip(kEmulated)) {
    const Model model = lively_model(kSmall, 6);
    for (const bool exact : {true, false}) {
        RecogniserOptions options;
        options.exact = exact;
        options.max_tracks = 3;
        Recogniser recogniser(model, options);
        Recogniser clean(model, options);
        std::mt19937 random(7);
        for (int i = 0; i < 80; ++i) {
            const std::int64_t stamp = i * 70 * kMs + std::uniform_int_distribution<std::int64_t>(0, 60 * kMs)(random);
            Tracks tracks;
            for (std::int64_t id = 0; id < 3; ++id) {
                if (std::bernoulli_distribution(i / 10 % 2 == 0 ? 0.95 : 0.3)(random)) {
                    tracks[id] = MovingBody(22, static_cast<unsigned>(id)).at(stamp);
                }
            }
            push(recogniser, stamp + 40 * kMs, tracks, false);
            const CopiedOutput peeked = push(recogniser, stamp, tracks, false);
            const CopiedOutput pushed = push(recogniser, stamp, tracks);
            CHECK(same_output(peeked, pushed));
            CHECK(same_output(pushed, push(clean, stamp, tracks)));
        }
        CHECK(recogniser.stats().gaps > 0);
        CHECK(recogniser.stats().results > 50);
    }
}

TEST_CASE("a copied past goes on as the original does") {
    const Model model = lively_model(kSmall, 8);
    TemporalStream stream(model, 2);
    std::mt19937 random(9);
    const int both[] = {0, 1};
    for (int t = 0; t < 25; ++t) {
        std::vector<float> features = random_floats(kFeature, random);
        features.resize(2 * kFeature);
        std::copy_n(features.begin(), kFeature, features.begin() + kFeature);
        stream.copy(0, 1);
        CHECK(stream.frames(1) == stream.frames(0));
        std::vector<float> logits(2 * kClasses);
        stream.try_frame(both, 2, features.data(), logits.data());
        CHECK(std::equal(logits.begin(), logits.begin() + kClasses, logits.begin() + kClasses));
        stream.keep(both, 1);
    }
    stream.copy(0, 0);
    CHECK(stream.frames(0) == 10);
    CHECK(stream.buffers_intact());
    const std::vector<float> feature = random_floats(kFeature, random);
    std::vector<float> logits(kClasses);
    stream.try_frame(both, 1, feature.data(), logits.data());
    stream.copy(1, 0);
    CHECK_THROWS_AS(stream.keep(both, 1), Error);  // what was tried belonged to another past
}

TEST_CASE("nothing is allocated after the constructor, whatever tracks come and go" * doctest::skip(kEmulated)) {
    const Model model = lively_model(kSmall, 4);
    const MovingBody body(22, 3);
    std::vector<std::vector<float>> joints;
    for (int i = 0; i < 400; ++i) {
        joints.push_back(body.at(i * 30 * kMs));
    }
    const std::vector<float> nothing(66, std::nanf(""));
    for (const bool exact : {true, false}) {
        RecogniserOptions options;
        options.exact = exact;
        options.max_tracks = 3;
        options.overflow = Overflow::replace;
        options.max_speed = 50;
        options.idle_motion = 0.01F;
        options.effort = 0.3;
        options.held_every = 50 * kMs;
        options.decision = Decision{1, 0.2F, 0.1F, 0.1F, 0, 1000 * kMs, 0, 0, 0};
        Recogniser recogniser(model, options);
        int events = 0;
        const long before = allocation_count();
        for (int i = 0; i < 400; ++i) {
            TrackInput inputs[5];
            int count = 0;
            for (std::int64_t id = 0; id < 5; ++id) {
                if ((i / 20 + id) % 3 != 0) {
                    const bool blind = (i + id) % 11 == 0;
                    inputs[count++] = {id, blind ? nothing.data() : joints[(i + id * id) % 400].data()};
                }
            }
            const std::int64_t stamp = (i % 50 == 49 ? -5000 : i / 200 * 100'000) * kMs + i * 30 * kMs;
            recogniser.push(stamp, inputs, count, false);
            events += recogniser.push(stamp, inputs, count).event_count;
            if (i % 90 == 89) {
                recogniser.reset(1);
                recogniser.set_effort(0.25);
            }
            if (i == 300) {
                recogniser.reset();
            }
        }
        CHECK(allocation_count() == before);
        CHECK(before > 0);
        CHECK(events > 10);
        const Stats stats = recogniser.stats();
        for (const std::int64_t happened :
             {stats.results, stats.overflow, stats.unusable_frames, stats.clock_jumps, stats.gaps, stats.escalated}) {
            CHECK(happened > 0);
        }
    }
}

TEST_CASE("a recogniser may be moved; engines that are none or another's are refused") {
    const Model model = lively_model(kSmall, 4);
    Recogniser first(model);
    push(first, 0, {{1, MovingBody(22, 3).at(0)}});
    Recogniser second = std::move(first);
    CHECK(second.state(1) == TrackState::fresh);
    CHECK(second.description().classes == kClasses);

    const auto message = [&](std::unique_ptr<Inference> engine) -> std::string {
        try {
            Recogniser refused(model, std::move(engine));
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::engine);
            return error.what();
        }
        return "no error";
    };
    CHECK(message(nullptr) == "engine: expected one, found null");
    CHECK(message(std::make_unique<Engine>(lively_model(kCausal22, 4))).find("found one of another") > 0);
    CHECK(message(std::make_unique<Engine>(model)) == "no error");
    RecogniserOptions options;
    options.instruction_set = "abacus";
    CHECK_THROWS_AS(Recogniser(model, options), Error);
    CHECK_THROWS_AS(Recogniser(random_model(kDense25, 1)), Error);
}

TEST_CASE("the likeliest classes of a step, and the words for what happens") {
    const float probabilities[] = {0.2F, 0.5F, 0.1F, 0.2F};
    StepResult result{};
    std::vector<int> labels(6, -7);
    CHECK(top(result, 4, 2, labels.data()) == 0);  // not ready
    result.ready = true;
    result.probabilities = probabilities;
    CHECK(top(result, 4, 6, labels.data()) == 4);
    CHECK(labels == std::vector<int>{1, 0, 3, 2, -7, -7});
    CHECK(top(result, 4, 1, labels.data()) == 1);
    CHECK(top(result, 4, -1, labels.data()) == 0);
    CHECK(name_of(TrackState::fresh) == std::string("new"));
    CHECK(name_of(TrackState::lost) == std::string("lost"));
    CHECK(name_of(GestureEvent::Kind::started) == std::string("started"));
    CHECK(name_of(GestureEvent::Kind::ended) == std::string("ended"));
}
