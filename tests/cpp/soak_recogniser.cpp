// A long stream with random faults: bodies that vanish, return, swap and jump, joints and frames that lack, late and
// doubled messages, stamps from nowhere, clocks that are set. One body is seen well in all of it, and everything about
// it must be what a clean stream of that body alone gives; and the process must not grow.
//
//     soak_recogniser [frames, by default 20000] [seed]
//
// Ends with 1 when a check fails.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "adasgn/recogniser.h"
#include "faults.h"
#include "moving_body.h"

using namespace adasgn;
using namespace adasgn::testing;

namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kReference = 1000;  // the id of the body that is seen well
constexpr int kBodies = 6;                 // the others, for the three places that it leaves
constexpr int kJoints = 22;
constexpr int kRecorded = 500;  // frames of each body, 20 ms apart, played in a circle

const Shape kModel{25, {11}, {false}, 20, 14, false, true, true, 1, CausalShape{{2, 4, 8}, {1, 2, 4}, 6, 1}};

RecogniserOptions options_for(bool exact, int tracks) {
    RecogniserOptions options;
    options.exact = exact;
    options.max_tracks = tracks;
    options.overflow = Overflow::replace;
    options.effort = 0.4;
    options.max_speed = 100;
    options.decision = Decision{0.6F, 0.3F, 0.2F, 0.3F, 100 * kMs, 2000 * kMs, 0, 0, 0};
    return options;
}

long resident_kilobytes() {
    std::ifstream file("/proc/self/statm");
    long pages = 0;
    long resident = 0;
    file >> pages >> resident;
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

// What both streams say of the reference body.
struct Counts {
    long results = 0;
    long ready = 0;
    long label_changes = 0;
    long events = 0;
    long differences = 0;
    double largest = 0;  // difference of a probability
};

class Soak {
  public:
    Soak(const Model& model, bool exact, unsigned seed)
        : classes_(model.description.classes),
          faulty_(model, options_for(exact, 4)),
          clean_(model, options_for(exact, 1)),
          random_(seed) {
        for (unsigned body = 0; body <= kBodies; ++body) {
            const MovingBody moving(kJoints, seed + body);
            recorded_.emplace_back();
            for (int t = 0; t < kRecorded; ++t) {
                recorded_.back().push_back(moving.at(t * 20 * kMs));
            }
        }
        spoilt_.resize(kBodies, std::vector<float>(kJoints * 3));
        present_.resize(kBodies, true);
    }

    // One moment of the source, with what goes wrong around it. Returns the frames that were pushed.
    int run() {
        const long before = pushed_;
        ++time_;
        stamp_ += 20 * kMs + between(-8, 8) * kMs;
        if (chance(2000)) {
            set_clock();
        } else if (chance(500)) {
            stamp_ += between(100, 400) * kMs;  // the source paused: a gap, or nearly one
            if (stamp_ - last_good_ > 300 * kMs) {
                follow_jump();
            }
        }
        come_and_go();
        list_inputs();
        push_both();
        if (chance(20)) {
            push_faulty(stamp_);  // the same message again, and other data under its stamp
        }
        if (chance(20)) {
            push_faulty(stamp_ - between(1, 900) * kMs);
        }
        if (chance(50)) {
            push_faulty(nowhere());
        }
        return static_cast<int>(pushed_ - before);
    }

    const Counts& counts() const { return counts_; }
    Stats stats() const { return faulty_.stats(); }

  private:
    int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
    bool chance(int one_in) { return between(1, one_in) == 1; }

    std::int64_t nowhere() {
        switch (between(0, 3)) {
            case 0:
                return 0;
            case 1:
                return std::numeric_limits<std::int64_t>::max();
            case 2:
                return stamp_ + std::int64_t{between(1, 100'000)} * 1000 * kMs;
            default:
                return stamp_ - std::int64_t{between(2, 100'000)} * 1000 * kMs;
        }
    }

    void set_clock() {
        stamp_ = std::int64_t{between(-1000, 1000)} * 3600 * 1000 * kMs + between(0, 999) * kMs;
        follow_jump();
    }

    // The clean stream is told; the faulty one sees a first stamp of the new time, and follows with the second.
    void follow_jump() {
        begins_ = true;
        list_inputs();
        push_faulty(stamp_);
        stamp_ += 20 * kMs;
        clean_.reset();
    }

    void come_and_go() {
        for (int body = 0; body < kBodies; ++body) {
            if (chance(100)) {
                present_[body] = !present_[body];
            }
            if (chance(1000)) {
                std::swap(ids_[body], ids_[between(0, kBodies - 1)]);
            }
            if (chance(3000)) {
                ids_[body] = between(0, 1'000'000) * 2000 + body;  // a new one, never the reference's
            }
        }
    }

    // The reference's frame as it is, the others' with faults.
    void list_inputs() {
        count_ = 0;
        const int t = static_cast<int>(time_ % kRecorded);
        const bool first = begins_ || chance(2);
        if (first) {
            inputs_[count_++] = {kReference, recorded_[kBodies][t].data()};
        }
        for (int body = 0; body < kBodies; ++body) {
            if (!present_[body] || chance(20)) {
                continue;
            }
            std::vector<float>& joints = spoilt_[body];
            std::copy(recorded_[body][t].begin(), recorded_[body][t].end(), joints.begin());
            while (chance(3)) {
                spoil(joints);
            }
            inputs_[count_++] = {ids_[body], joints.data()};
        }
        if (!first) {
            inputs_[count_++] = {kReference, recorded_[kBodies][t].data()};
        }
    }

    void spoil(std::vector<float>& joints) {
        const int at = between(0, kJoints * 3 - 1);
        switch (between(0, 5)) {
            case 0:
                joints[at] = between(0, 1) == 0 ? 1e30F : std::numeric_limits<float>::infinity();
                break;
            case 1:
                std::fill(joints.begin(), joints.end(), between(0, 1) == 0 ? 0.0F : std::nanf(""));
                break;
            case 2:
                std::for_each(joints.begin(), joints.end(), [](float& x) { x += 3; });  // another place
                break;
            default:
                joints[at] = std::nanf("");
        }
    }

    // A push that may change nothing of the reference: what it says of that body is wrong.
    void push_faulty(std::int64_t stamp) {
        TrackInput inputs[kBodies + 1];
        std::copy_n(inputs_, count_, inputs);
        for (int i = 0; i < count_; ++i) {
            if (inputs[i].id == kReference) {
                inputs[i].joints = recorded_[0][between(0, kRecorded - 1)].data();
            }
        }
        pushed_ += count_;
        const Recogniser::Output output = faulty_.push(stamp, inputs, count_);
        for (int i = 0; i < output.count; ++i) {
            counts_.differences += static_cast<long>(output.results[i].track == kReference);
        }
        for (int i = 0; i < output.event_count; ++i) {
            counts_.differences += static_cast<long>(output.events[i].track == kReference);
        }
    }

    void push_both() {
        const TrackInput* const reference =
            std::find_if(inputs_, inputs_ + count_, [](const TrackInput& input) { return input.id == kReference; });
        const Recogniser::Output expected = clean_.push(stamp_, reference, 1);
        if (chance(10)) {
            faulty_.push(stamp_, inputs_, count_, false);
        }
        pushed_ += count_;
        compare(expected, faulty_.push(stamp_, inputs_, count_));
        last_good_ = stamp_;
        begins_ = false;
    }

    void compare(const Recogniser::Output& expected, const Recogniser::Output& found) {
        int next = 0;
        for (int i = 0; i < found.count; ++i) {
            if (found.results[i].track != kReference) {
                continue;
            }
            if (next == expected.count) {
                ++counts_.differences;
                return;
            }
            compare(expected.results[next++], found.results[i]);
        }
        counts_.differences += expected.count - next;
        next = 0;
        for (int i = 0; i < found.event_count; ++i) {
            if (found.events[i].track == kReference) {
                const bool same = next < expected.event_count && same_event(expected.events[next], found.events[i]);
                counts_.differences += static_cast<long>(!same);
                ++next;
                ++counts_.events;
            }
        }
        counts_.differences += std::abs(expected.event_count - next);
    }

    void compare(const StepResult& expected, const StepResult& found) {
        ++counts_.results;
        const bool same = expected.ready == found.ready && expected.label == found.label &&
                          expected.stamp == found.stamp && expected.action == found.action &&
                          (expected.gesture == 0) == (found.gesture == 0);
        counts_.differences += static_cast<long>(!same);
        if (expected.ready && found.ready) {
            ++counts_.ready;
            counts_.label_changes += static_cast<long>(found.label != last_label_);
            last_label_ = found.label;
            for (int k = 0; k < classes_; ++k) {
                const double apart = static_cast<double>(expected.probabilities[k]) - found.probabilities[k];
                counts_.largest = std::max(counts_.largest, std::fabs(apart));
            }
        }
    }

    static bool same_event(const GestureEvent& a, const GestureEvent& b) {
        return a.kind == b.kind && a.label == b.label && a.start == b.start && a.end == b.end && a.lost == b.lost;
    }

    int classes_;
    Recogniser faulty_;
    Recogniser clean_;
    std::mt19937 random_;
    std::vector<std::vector<std::vector<float>>> recorded_;  // of the others, then of the reference
    std::vector<std::vector<float>> spoilt_;
    std::vector<bool> present_;
    std::int64_t ids_[kBodies] = {1, 2, 3, 4, 5, 6};
    TrackInput inputs_[kBodies + 1];
    int count_ = 0;
    bool begins_ = true;  // the reference does, and comes first, so that it gets a place
    std::int64_t time_ = 0;
    std::int64_t stamp_ = 0;
    std::int64_t last_good_ = 0;
    int last_label_ = -2;
    long pushed_ = 0;
    Counts counts_;
};

bool run(const Model& model, bool exact, long frames, unsigned seed) {
    Soak soak(model, exact, seed);
    const long warm = std::min(frames / 10, 20'000L);
    long allocations = 0;
    long resident = 0;
    int told = -1;
    for (long pushed = 0; pushed < frames;) {
        const bool cold = pushed < warm;
        pushed += soak.run();
        if (cold && pushed >= warm) {
            resident = resident_kilobytes();
            allocations = allocation_count();
        }
        if (const int part = static_cast<int>(20 * std::min(pushed, frames) / frames); part != told) {
            told = part;
            std::fprintf(stderr, "\r%s: [%-20.*s] %ld frames", exact ? "exact" : "continual", part,
                         "####################", pushed);
        }
    }
    std::fprintf(stderr, "\n");
    const long allocated = allocation_count() - allocations;
    const long grown = resident_kilobytes() - resident;
    const Counts& counts = soak.counts();
    const Stats s = soak.stats();
    const auto number = [](std::int64_t value) { return static_cast<long long>(value); };
    std::printf(
        "%s, %ld frames pushed: %ld results of the reference body (%ld ready, %ld changes of label, %ld events)\n",
        exact ? "exact" : "continual", frames, counts.results, counts.ready, counts.label_changes, counts.events);
    std::printf("  differences from a clean stream: %ld; largest of a probability: %.1e\n", counts.differences,
                counts.largest);
    std::printf("  operator new after %ld frames: %ld; resident memory grew by %ld kB\n", warm, allocated, grown);
    std::printf(
        "  pushes %lld, received %lld, duplicate %lld, late %lld, clock jumps %lld, gaps %lld, replaced %lld, "
        "unusable %lld, joints filled %lld, jumps %lld, skipped steps %lld, escalated %lld, started %lld, forgotten "
        "%lld\n",
        number(s.pushes), number(s.frames), number(s.duplicate), number(s.late), number(s.clock_jumps), number(s.gaps),
        number(s.overflow), number(s.unusable_frames), number(s.missing_joints), number(s.jumps),
        number(s.skipped_steps), number(s.escalated), number(s.tracks_started), number(s.tracks_forgotten));
    const bool lively = counts.label_changes > 5 && counts.events > 5 && s.escalated > 0 && s.duplicate > 0 &&
                        s.late > 0 && s.clock_jumps > 0 && s.gaps > 0 && s.overflow > 0 && s.unusable_frames > 0 &&
                        s.missing_joints > 0 && s.jumps > 0;
    const bool ok = counts.differences == 0 && counts.largest < 1e-5 && allocated == 0 && grown < 1024 && lively;
    std::printf("  %s\n", ok ? "ok" : lively ? "FAILED" : "FAILED: too little has happened to tell");
    return ok;
}

}  // namespace

int main(int count, char** arguments) {
    const long frames = count > 1 ? std::atol(arguments[1]) : 20'000;
    const auto seed = static_cast<unsigned>(count > 2 ? std::atol(arguments[2]) : 1);
    if (frames < 1) {
        std::fprintf(stderr, "frames: expected a number above 0, found %s\n", arguments[1]);
        return 2;
    }
    const Model model = lively_model(kModel, 1);
    const bool continual = run(model, false, frames, seed);
    const bool exact = run(model, true, std::max(1L, frames / 4), seed + 1);
    return continual && exact ? 0 : 1;
}
