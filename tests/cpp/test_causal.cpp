// Causal models frame by frame: what their branches see of a frame, and the temporal module with its past kept.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "adasgn/causal.h"
#include "adasgn/constants.h"
#include "adasgn/cpu/kernels.h"
#include "adasgn/engine.h"
#include "adasgn/temporal_stream.h"
#include "checked_engine.h"
#include "emulated.h"
#include "engine_cases.h"
#include "random_model.h"
#include "reference.h"

using namespace adasgn;
using namespace adasgn::testing;

namespace {

class CheckedStream : public TemporalStream {
  public:
    using TemporalStream::TemporalStream;
    CheckedStream(const CheckedStream&) = delete;
    CheckedStream& operator=(const CheckedStream&) = delete;
    ~CheckedStream() { CHECK(buffers_intact()); }
};

// A pose branch on `recorded` joints and a temporal module.
Shape shape_of(int recorded, int classes, CausalShape causal) {
    const int joints = recorded + static_cast<int>(causal.trail.size());
    int frames = causal.pool;
    for (const int dilation : causal.dilations) {
        frames += 2 * dilation;
    }
    return {joints, {}, {}, frames, classes, false, true, false, 1, std::move(causal)};
}

const Shape kPlain = shape_of(3, 5, {{2, 4, 8}, {1, 2, 4}, 1, 1});

// To nearest, ties to even, with eight bits of mantissa.
float to_eight_bits(float value) {
    int exponent;
    const double mantissa = std::frexp(value, &exponent);
    return static_cast<float>(std::ldexp(std::nearbyint(std::ldexp(mantissa, 8)), exponent - 8));
}

std::string error_of(ErrorKind kind, const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        CHECK(error.kind() == kind);
        return error.what();
    }
    return "no error";
}

}  // namespace

TEST_CASE("a frame is what its definition says, and the same wherever the skeleton stands") {
    const Model model = random_model(shape_of(4, 3, {{1, 3}, {1}, 1, 2}), 1);
    const Description& d = model.description;
    std::mt19937 random(2);
    std::vector<float> frames = random_floats(5 * 12, random);  // lead + 1 of them
    std::vector<const float*> rows;
    for (int t = 0; t < 5; ++t) {
        rows.push_back(frames.data() + t * 12);
    }
    Output<float> current(6 * 3);
    Output<float> previous(6 * 3);
    causal_frame(d, rows.data(), current.data(), previous.data());
    const auto x = [&](int ago, int joint, int c) { return frames[(4 - ago) * 12 + joint * 3 + c]; };
    for (int c = 0; c < 3; ++c) {
        const float origin = x(0, 2, c);
        for (int joint = 0; joint < 4; ++joint) {
            CHECK(current.data()[joint * 3 + c] == x(0, joint, c) - origin);
            CHECK(previous.data()[joint * 3 + c] == x(1, joint, c) - origin);
        }
        CHECK(current.data()[4 * 3 + c] == x(1, 2, c) - origin);
        CHECK(previous.data()[4 * 3 + c] == x(2, 2, c) - origin);
        CHECK(current.data()[5 * 3 + c] == x(3, 2, c) - origin);
        CHECK(previous.data()[5 * 3 + c] == x(4, 2, c) - origin);
    }

    for (std::size_t i = 0; i < frames.size(); ++i) {
        frames[i] = static_cast<float>(static_cast<int>(frames[i] * 1024)) / 1024;  // so that sums are exact
    }
    causal_frame(d, rows.data(), current.data(), previous.data());
    const std::vector<float> here = current.copy();
    const std::vector<float> before = previous.copy();
    for (std::size_t i = 0; i < frames.size(); ++i) {
        frames[i] += static_cast<float>(i % 3 + 1) * 8;
    }
    causal_frame(d, rows.data(), current.data(), previous.data());
    CHECK(current.copy() == here);
    CHECK(previous.copy() == before);

    const Model clips = random_model(kDense25, 3);
    CHECK(error_of(ErrorKind::engine, [&] {
              causal_frame(clips.description, rows.data(), current.data(), previous.data());
          }) == "causal frame: expected a causal model, found kind sgn");
}

TEST_CASE("the stages put together are a run of the window") {
    const Model model = random_model(kCausal22, 4);
    const Description& d = model.description;
    CheckedEngine engine(model);
    std::mt19937 random(5);
    const std::vector<float> window = random_floats(clip_floats(d), random);
    std::vector<float> current(20 * 75);
    std::vector<float> previous(20 * 75);
    std::vector<std::int32_t> actions(20);
    for (int t = 0; t < 20; ++t) {
        std::vector<const float*> rows;
        for (int ago = d.causal->lead(); ago >= 0; --ago) {
            rows.push_back(window.data() + static_cast<std::ptrdiff_t>(t + d.causal->lead() - ago) * 66);
        }
        causal_frame(d, rows.data(), current.data() + t * 75, previous.data() + t * 75);
        actions[t] = t % 5;
    }
    Output<float> logits(14);
    Output<float> features(20 * kFeature);
    engine.run_forced(window.data(), actions.data(), 1, 1, {logits.data(), nullptr, features.data()});
    Output<float> staged(20 * kFeature);
    Output<float> head(14);
    engine.branch_features(current.data(), previous.data(), actions.data(), 20, nullptr, staged.data());
    engine.temporal_head(staged.data(), 1, head.data());
    CHECK(staged.copy() == features.copy());
    CHECK(head.copy() == logits.copy());
}

TEST_CASE("frame by frame is what the window gives: tracks that begin apart, pause, start anew") {
    const std::vector<Shape> shapes{kPlain,
                                    shape_of(3, 5, {{1}, {1, 2, 4}, 6, 0}),
                                    shape_of(2, 2, {{}, {1}, 1, 0}),
                                    shape_of(3, 300, {{1}, {3, 5}, 2, 0}),
                                    shape_of(3, 33, {{1}, {4, 2, 1}, 3, 0}),
                                    shape_of(3, 5, {{1}, std::vector<int>(16, 1), 1, 0})};
    constexpr int kTracks = 5;
    constexpr int kEvery = kEmulated ? 16 : 1;  // of the frames; all of them are kept
    [[maybe_unused]] int turn = 0;
    for (const char* const* set = instruction_sets(); *set != nullptr; ++set) {
        for (const Shape& shape : shapes) {
#ifdef ADASGN_RUN_SANITIZED  // sets take turns: what a sanitizer looks for is not in the combination
            if ((turn++ + (set - instruction_sets())) % 2 != 0) {
                continue;
            }
#endif
            INFO(*set);
            CAPTURE(shape.frames);
            const Model model = random_model(shape, 6);
            const int frames = shape.frames;
            const auto classes = static_cast<std::size_t>(shape.classes);
            CheckedStream stream(model, kTracks, *set);
            CheckedEngine engine(model, {kTracks, 1, *set});
            REQUIRE(stream.receptive_field() == frames);
            std::mt19937 random(7);
            std::vector<std::vector<float>> histories(kTracks);  // features since the track began
            int compared = 0;
            for (int step = 0; step < 3 * frames + 7; ++step) {
                if (step == frames + 2) {
                    stream.reset(2);
                    histories[2].clear();
                }
                std::vector<int> tracks;
                for (const int track : {3, 0, 4, 2, 1}) {  // not in order
                    if (step >= track && (step + track) % 4 != 0) {
                        tracks.push_back(track);
                    }
                }
                const auto count = static_cast<int>(tracks.size());
                const std::vector<float> features = random_floats(tracks.size() * kFeature, random);
                Output<float> logits(tracks.size() * classes);
                stream.try_frame(tracks.data(), count, features.data(), logits.data());
                stream.keep(tracks.data(), count);
                for (int i = 0; i < count; ++i) {
                    std::vector<float>& history = histories[tracks[i]];
                    history.insert(history.end(), features.begin() + i * kFeature,
                                   features.begin() + (i + 1) * kFeature);
                    const auto kept = static_cast<int>(history.size()) / kFeature;
                    CHECK(stream.frames(tracks[i]) == std::min(kept, frames));
                    if (kept < frames || (compared++ % kEvery != 0)) {
                        continue;
                    }
                    const float* const window = history.data() + history.size() - frames * kFeature;
                    Output<float> expected(classes);
                    engine.temporal_head(window, 1, expected.data());
                    const std::vector<float> values = expected.copy();
                    const float* const found = logits.data() + i * classes;
                    CHECK(relative_error({values.begin(), values.end()}, found) < 1e-6);
                    if ((compared - 1) % 64 == 0) {
                        const Doubles truth = class_logits(model, {window, window + frames * kFeature});
                        CHECK(relative_error(truth, found) < 1e-5);
                    }
                }
            }
            CHECK(compared > 2 * frames);
        }
    }
}

TEST_CASE("a frame that is tried and not kept changes nothing; the last one that was tried is kept") {
    const Model model = random_model(shape_of(3, 5, {{1}, {1, 2, 4}, 2, 0}), 8);
    CheckedStream stream(model, 2);
    CheckedStream twin(model, 2);
    std::mt19937 random(9);
    const int both[] = {0, 1};
    const int second[] = {1};
    for (int step = 0; step < 40; ++step) {
        const std::vector<float> features = random_floats(2 * kFeature, random);
        const std::vector<float> others = random_floats(2 * kFeature, random);
        Output<float> logits(10);
        Output<float> expected(10);
        Output<float> unused(10);
        stream.try_frame(both, 2, others.data(), unused.data());
        stream.try_frame(second, 1, others.data(), unused.data());
        stream.try_frame(both, 2, features.data(), logits.data());
        stream.keep(both, 2);
        twin.try_frame(both, 2, features.data(), expected.data());
        twin.keep(both, 2);
        CHECK(logits.copy() == expected.copy());
    }
}

TEST_CASE("tracks do not change each other's bits") {
    const Model model = random_model(kPlain, 10);
    CheckedStream together(model, 16);
    CheckedStream alone(model, 1);
    std::mt19937 random(11);
    std::vector<int> tracks;
    for (int i = 0; i < 16; ++i) {
        tracks.push_back(15 - i);
    }
    const int only[] = {0};
    for (int step = 0; step < 20; ++step) {
        const std::vector<float> features = random_floats(16 * kFeature, random);
        Output<float> logits(16 * 5);
        Output<float> expected(5);
        together.try_frame(tracks.data(), 16, features.data(), logits.data());
        together.keep(tracks.data(), 16);
        alone.try_frame(only, 1, features.data() + 9 * kFeature, expected.data());
        alone.keep(only, 1);
        const std::vector<float> all = logits.copy();
        CHECK(std::vector<float>(all.begin() + 9 * 5, all.begin() + 10 * 5) == expected.copy());
    }
}

TEST_CASE("halved weights are those of a model rounded to bfloat16, bit for bit, and nearly the model's own") {
    const Shape shapes[] = {kPlain, shape_of(3, 70, {{}, {1, 3}, 3, 0})};  // several panels of classes; rows pooled
    for (const Shape& shape : shapes) {
        const Model model = random_model(shape, 14);
        Model rounded = model;
        for (auto& [name, tensor] : rounded.tensors) {
            const bool halved = name.find("temporal.layers.") == 0 || name == "temporal.widen.weight";
            if (halved && name.find(".weight") != std::string::npos) {
                std::transform(tensor.values.begin(), tensor.values.end(), tensor.values.begin(), to_eight_bits);
            }
        }
        const int classes = model.description.classes;
        for (const char* const* set = cpu::instruction_sets(); *set != nullptr; ++set) {
            CAPTURE(*set);
            CheckedStream halved(model, 20, *set, WeightType::bf16);
            CheckedStream expected(rounded, 20, *set);
            CheckedStream whole(model, 20, *set);
            std::mt19937 random(15);
            std::vector<int> tracks(20);
            std::iota(tracks.begin(), tracks.end(), 0);
            double off = 0;
            double all = 0;
            for (int step = 0; step < 20; ++step) {
                const int count = 1 + step;
                const std::vector<float> features = random_floats(count * kFeature, random);
                Output<float> logits(count * classes);
                Output<float> of_rounded(count * classes);
                Output<float> of_whole(count * classes);
                const auto run = [&](TemporalStream& stream, Output<float>& to) {
                    stream.try_frame(tracks.data(), count, features.data(), to.data());
                    stream.keep(tracks.data(), count);
                };
                run(halved, logits);
                run(expected, of_rounded);
                run(whole, of_whole);
                CHECK(logits.copy() == of_rounded.copy());
                for (int i = 0; i < count * classes; ++i) {
                    off += std::pow(logits.data()[i] - of_whole.data()[i], 2);
                    all += std::pow(of_whole.data()[i], 2);
                }
            }
            CHECK(off > 0);
            CHECK(off < 1e-4 * all);  // 1 % of the norm
        }
    }
}

TEST_CASE("what does not fit is a named error, and nothing is changed by it") {
    const Model model = random_model(kPlain, 12);
    const auto made = [&](const Model& from, int max_tracks, const char* set) {
        return error_of(ErrorKind::engine, [&] { TemporalStream(from, max_tracks, set); });
    };
    CHECK(made(random_model(kDense25, 1), 1, nullptr) == "temporal stream: expected a causal model, found kind sgn");
    CHECK(made(model, 0, nullptr).find("max_tracks: expected 1 to 65536, found 0") == 0);
    CHECK(made(model, 1, "mmx").find("instruction set: expected one of ") == 0);

    CheckedStream stream(model, 2);
    std::mt19937 random(13);
    std::vector<float> features = random_floats(3 * kFeature, random);
    std::vector<float> logits(3 * 5, kPoison);
    const auto tried = [&](const std::vector<int>& tracks) {
        const std::string found = error_of(ErrorKind::clip, [&] {
            stream.try_frame(tracks.data(), static_cast<int>(tracks.size()), features.data(), logits.data());
        });
        CHECK(std::all_of(logits.begin(), logits.end(), [](float x) { return x == kPoison; }));
        return found;
    };
    const auto kept = [&](const std::vector<int>& tracks) {
        return error_of(ErrorKind::clip, [&] { stream.keep(tracks.data(), static_cast<int>(tracks.size())); });
    };
    CHECK(tried({0, 1, 0}) == "tracks: expected 0 to 2, found 3");
    CHECK(tried({2}) == "track: expected 0 to 1, found 2");
    CHECK(tried({-1}) == "track: expected 0 to 1, found -1");
    CHECK(tried({1, 1}) == "tracks: expected each once, found track 1 again");
    CHECK(tried({}) == "no error");
    CHECK(kept({0}) == "keep: expected a frame that was tried, found none of track 0");
    CHECK(error_of(ErrorKind::clip, [&] { stream.reset(2); }) == "track: expected 0 to 1, found 2");
    CHECK(error_of(ErrorKind::clip, [&] { stream.frames(-1); }) == "track: expected 0 to 1, found -1");
    features[kFeature + 3] = std::numeric_limits<float>::infinity();
    CHECK(tried({0, 1}) == "features: expected finite values of at most 1e+18, found inf at position 259 of 512");
    CHECK(kept({0}).find("keep: ") == 0);

    stream.try_frame(std::vector<int>{0}.data(), 1, features.data(), logits.data());
    CHECK(kept({0}) == "no error");
    CHECK(kept({0}).find("keep: ") == 0);
    stream.try_frame(std::vector<int>{0}.data(), 1, features.data(), logits.data());
    stream.reset(0);
    CHECK(kept({0}).find("keep: ") == 0);
    CHECK(stream.frames(0) == 0);

    Model large = model;
    for (float& weight : large.tensors["temporal.classify.weight"].values) {
        weight = 3e38F;
    }
    CHECK(error_of(ErrorKind::model_file, [&] { TemporalStream(large, 1); }).find("found them too large") > 0);
}
