// Gestures that drive a robot: a control loop of 100 Hz with absolute deadlines and a dead man's rule. The same as
// ../robot_loop.py, and it prints the same commands:
//
//     my-tracker | robot_loop model.adasgn | my-robot       # frames in, a command every cycle out
//     robot_loop model.adasgn hands.txt                     # recorded frames, at the speed of their stamps
//     robot_loop --virtual model.adasgn hands.txt           # at once, on a clock that follows their stamps
//
// A line is one moment: its stamp in nanoseconds, how many bodies are in sight, and of each its number and the joints
// of the model's layout as x y z in metres, nan for what was not seen:
//
//     stamp_ns bodies  track x y z x y z …  track x y z …
//
// Streams of JSON lines, in whatever joints, axes and units they say, become such lines by
// `python robot_loop.py --as-text hands.jsonl > hands.txt`.
//
// With --device cuda a GPU runs the model. Nothing is allocated in the loop. At the end, and on SIGUSR1, a report on
// deadlines goes to standard error.
#include <adasgn/load.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kHeldEvery = 100'000'000;     // ns between two confirmations of a gesture that goes on
constexpr std::array<double, 2> kFull = {0.4, 0.6};  // forward m/s and turn rad/s: what is braked from, and limits
constexpr int kNobody = -1;
constexpr double kRounding = 1e-9;
constexpr int kMostBodies = 8;

using Speeds = std::array<double, 2>;

struct NamedSpeeds {
    std::string label;
    Speeds speeds;
};

const std::vector<NamedSpeeds> kCommands = {
    {"One", {0.4, 0.0}}, {"Two", {-0.2, 0.0}}, {"Left", {0.0, 0.6}}, {"Right", {0.0, -0.6}}};

struct Rule {                   // seconds
    double life = 0.35;         // that a confirmation is good for
    double stale = 0.2;         // after which a frame is too old
    double stop_within = 0.3;   // from full speed to zero
    double start_within = 0.6;  // from zero to full speed
    double confirm = 0.5;       // no time: the least probability of a gesture that confirms it
};

struct Command {
    Speeds speeds;
    const char* state;  // "stopped", "driving" or "stopping"
};

// Gestures in, velocities out. Times are of the loop's own clock, in nanoseconds; it never looks at one itself.
class DeadMan {
  public:
    // commands: (classes,) of every label, and whether it is one
    DeadMan(const Rule& rule, std::int64_t period, std::vector<std::pair<bool, Speeds>> commands)
        : rule_(rule),
          period_(period),
          life_(std::llround(rule.life * 1e9)),
          stale_(std::llround(rule.stale * 1e9)),
          commands_(std::move(commands)) {}

    // A frame came in, with these bodies, and this is what became of gestures.
    void see(std::int64_t now, const adasgn::TrackInput* tracks, int count, const adasgn::Recogniser::Output& output) {
        const bool there = std::any_of(tracks, tracks + count, [&](const auto& track) { return track.id == driver_; });
        if (driver_ == kNobody || there) {  // a frame without who drives is none
            frame_ = now;
        }
        for (int i = 0; i < output.event_count; ++i) {
            const adasgn::GestureEvent& event = output.events[i];
            if (event.kind == adasgn::GestureEvent::Kind::ended) {
                if (event.track == driver_ && event.label == label_) {
                    driver_ = kNobody;
                }
            } else if (driver_ != kNobody && driver_ != event.track) {
                continue;  // somebody else drives
            } else if (commands_[event.label].first && event.confidence >= rule_.confirm) {
                driver_ = event.track;
                label_ = event.label;
                confirmed_ = frame_ = now;
            } else if (event.label != label_) {
                driver_ = kNobody;  // now it says something else, which means no command, or not surely
            }
        }
    }

    // The command of this cycle, to be asked for once in each.
    Command command(std::int64_t now) {
        if (now - confirmed_ > life_ || now - frame_ > stale_) {
            driver_ = kNobody;
        }
        const Speeds wanted = driver_ != kNobody ? commands_[label_].second : Speeds{};
        // Braking makes up for cycles that were missed, speeding up does not.
        const std::int64_t passed = last_ < 0 ? period_ : now - last_;
        last_ = now;
        const double braked = 1e-9 * static_cast<double>(passed) / rule_.stop_within;
        const double pulled = 1e-9 * static_cast<double>(std::min(passed, period_)) / rule_.start_within;
        for (int axis = 0; axis < 2; ++axis) {
            const double speed = speed_[axis];
            const double goal = speed * wanted[axis] < 0 ? 0.0 : wanted[axis];  // first to a stop, then the other way
            const double step = kFull[axis] * (std::abs(goal) < std::abs(speed) ? braked : pulled);
            speed_[axis] = std::abs(goal - speed) <= step + kRounding ? goal : speed + (goal > speed ? step : -step);
        }
        const bool stands = speed_[0] == 0 && speed_[1] == 0;
        return {speed_, driver_ != kNobody ? "driving" : stands ? "stopped" : "stopping"};
    }

  private:
    Rule rule_;
    std::int64_t period_, life_, stale_, last_ = -1;
    Speeds speed_{};
    std::vector<std::pair<bool, Speeds>> commands_;
    std::int64_t driver_ = kNobody, confirmed_ = 0, frame_ = 0;
    int label_ = kNobody;
};

// -- the clock, and what it cost
// ---------------------------------------------------------------------------------------

std::int64_t monotonic() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return kSecond * now.tv_sec + now.tv_nsec;
}

// Absolute: what a cycle takes, or sleeps too long, is not added to the next one.
void sleep_until(std::int64_t deadline) {
    const timespec until{static_cast<time_t>(deadline / kSecond), static_cast<long>(deadline % kSecond)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
    }
}

// Durations in bins of 10 us up to 100 ms, so that percentiles are exact to a bin.
class Histogram {
  public:
    void add(std::int64_t duration) {
        ++counts_[std::min<std::int64_t>(std::max<std::int64_t>(duration, 0) / kBin, kBins - 1)];
        largest_ = std::max(largest_, duration);
        ++total_;
    }

    // Milliseconds that this share of the durations stays below: the upper end of a bin, at most the largest.
    double percentile(double share) const {
        std::int64_t below = 0;
        for (std::int64_t bin = 0; bin < kBins; ++bin) {
            below += counts_[bin];
            if (total_ > 0 && static_cast<double>(below) >= share * static_cast<double>(total_)) {
                return 1e-6 * static_cast<double>(std::min((bin + 1) * kBin, largest_));
            }
        }
        return 0;
    }

    double largest() const { return 1e-6 * static_cast<double>(largest_); }

  private:
    static constexpr std::int64_t kBin = 10'000, kBins = 10'000;
    std::array<std::int64_t, kBins> counts_{};
    std::int64_t largest_ = 0, total_ = 0;
};

// How well the loop keeps its deadlines.
class Monitor {
  public:
    explicit Monitor(std::int64_t period) : period_(period) { getrusage(RUSAGE_SELF, &before_); }

    // Counts a cycle that was to begin at the deadline; returns the next deadline that can still be kept.
    std::int64_t cycle(std::int64_t deadline, std::int64_t woken, std::int64_t done) {
        ++cycles_;
        late_.add(woken - deadline);
        busy_.add(done - woken);
        std::int64_t following = deadline + period_;
        if (done > following) {
            ++misses_;
            const std::int64_t behind = (done - following) / period_ + 1;
            skipped_ += behind;
            following += behind * period_;
        }
        return following;
    }

    void report() const {
        rusage now{};
        getrusage(RUSAGE_SELF, &now);
        std::fprintf(stderr, "%lld cycles of %.2f ms, %lld deadlines missed, %lld cycles skipped\n",
                     static_cast<long long>(cycles_), 1e-6 * static_cast<double>(period_),
                     static_cast<long long>(misses_), static_cast<long long>(skipped_));
        const std::array<std::pair<const char*, const Histogram*>, 2> rows = {
            {{"woken late", &late_}, {"busy", &busy_}}};
        for (const auto& [name, times] : rows) {
            std::fprintf(stderr, "  %-12s%.2f ms median, %.2f ms p99, %.2f ms at most\n", name, times->percentile(0.5),
                         times->percentile(0.99), times->largest());
        }
        std::fprintf(stderr, "  page faults %ld minor, %ld major\n", now.ru_minflt - before_.ru_minflt,
                     now.ru_majflt - before_.ru_majflt);
    }

  private:
    std::int64_t period_, cycles_ = 0, misses_ = 0, skipped_ = 0;
    Histogram late_, busy_;
    rusage before_{};
};

// -- where frames come from
// --------------------------------------------------------------------------------------------

// One moment; the joints of all bodies one after another.
struct Frame {
    std::int64_t stamp = 0;
    int count = 0;
    std::array<std::int64_t, kMostBodies> tracks{};
    std::vector<float> joints;  // (kMostBodies, V, 3)
};

// The frame of a line that ends in '\0'; false, with what was expected, for one that is none. Allocates nothing.
bool parse(const char* line, int joints, Frame& frame, const char*& expected) {
    char* at = nullptr;
    frame.stamp = std::strtoll(line, &at, 10);
    expected = "a stamp in nanoseconds";
    if (at == line) {
        return false;
    }
    const char* from = at;
    const long count = std::strtol(from, &at, 10);
    expected = "a number of bodies, at most 8";
    if (at == from || count < 0 || count > kMostBodies) {
        return false;
    }
    frame.count = static_cast<int>(count);
    expected = "a track's number and its joints as x y z";
    float* to = frame.joints.data();
    for (int body = 0; body < frame.count; ++body) {
        from = at;
        frame.tracks[body] = std::strtoll(from, &at, 10);
        if (at == from || frame.tracks[body] < 0) {
            return false;
        }
        for (int number = 0; number < 3 * joints; ++number) {
            from = at;
            *to = std::strtof(from, &at);
            if (at == from || std::isinf(*to)) {
                return false;
            }
            ++to;
        }
    }
    expected = "nothing after the last joint";
    return at[std::strspn(at, " \t\r")] == '\0';
}

class Source {
  public:
    virtual ~Source() = default;
    virtual const Frame* take(std::int64_t now) = 0;  // the newest frame that has not been taken; null without one
    virtual bool ended() const = 0;
    std::int64_t skipped = 0, malformed = 0;
};

// Frames of a recording, read before the loop begins; each is there from when its stamp is due on the loop's clock.
class Recorded : public Source {
  public:
    Recorded(const std::string& path, int joints) {
        std::ifstream file(path);
        if (!file) {
            throw std::runtime_error(path + ": expected a file that can be read, found none");
        }
        std::string line;
        for (int number = 1; std::getline(file, line); ++number) {
            Frame frame;
            frame.joints.resize(static_cast<std::size_t>(kMostBodies) * 3 * joints);
            const char* expected = nullptr;
            if (!parse(line.c_str(), joints, frame, expected)) {
                throw std::runtime_error(path + ", line " + std::to_string(number) + ": expected " + expected);
            }
            frame.joints.resize(static_cast<std::size_t>(frame.count) * 3 * joints);
            frames_.push_back(std::move(frame));
        }
    }

    const Frame* take(std::int64_t now) override {
        if (frames_.empty()) {
            return nullptr;
        }
        if (begin_ < 0) {
            begin_ = now;
        }
        const std::size_t first = next_;
        while (next_ < frames_.size() && frames_[next_].stamp - frames_[0].stamp <= now - begin_) {
            ++next_;
        }
        skipped += next_ > first ? static_cast<std::int64_t>(next_ - first) - 1 : 0;
        return next_ > first ? &frames_[next_ - 1] : nullptr;
    }

    bool ended() const override { return next_ == frames_.size(); }

  private:
    std::vector<Frame> frames_;
    std::size_t next_ = 0;
    std::int64_t begin_ = -1;
};

// Frames of standard input. The loop reads what is there and never waits; of several whole lines the newest counts.
class Piped : public Source {
  public:
    explicit Piped(int joints) : joints_(joints) {
        buffer_.resize(1 << 20);
        frame_.joints.resize(static_cast<std::size_t>(kMostBodies) * 3 * joints);
    }

    const Frame* take(std::int64_t) override {
        bool found = false;
        while (!ended_) {
            pollfd input{STDIN_FILENO, POLLIN, 0};
            if (poll(&input, 1, 0) <= 0) {
                break;
            }
            const ssize_t got = read(STDIN_FILENO, buffer_.data() + used_, buffer_.size() - 1 - used_);
            if (got <= 0) {
                ended_ = got == 0 || (errno != EINTR && errno != EAGAIN);
                break;
            }
            used_ += static_cast<std::size_t>(got);
            found = newest() || found;
            if (used_ == buffer_.size() - 1) {  // no line is as long as that
                used_ = 0;
                ++malformed;
            }
        }
        return found ? &frame_ : nullptr;
    }

    bool ended() const override { return ended_; }

  private:
    // Parses the newest whole line that was read and keeps what follows it; the ones before it are skipped.
    bool newest() {
        char* const begin = buffer_.data();
        char* const end = begin + used_;
        char* last = end;
        while (last != begin && last[-1] != '\n') {
            --last;
        }
        if (last == begin) {
            return false;
        }
        last[-1] = '\0';
        char* line = last - 1;
        while (line != begin && line[-1] != '\n') {
            --line;
        }
        skipped += std::count(begin, line, '\n');
        const char* expected = nullptr;
        const bool good = parse(line, joints_, frame_, expected);
        malformed += good ? 0 : 1;
        used_ = static_cast<std::size_t>(end - last);
        std::memmove(begin, last, used_);
        return good;
    }

    int joints_;
    std::vector<char> buffer_;
    std::size_t used_ = 0;
    Frame frame_;
    bool ended_ = false;
};

// -- the loop
// ----------------------------------------------------------------------------------------------------------

volatile std::sig_atomic_t asked = 0;
volatile std::sig_atomic_t stop = 0;

struct Options {
    std::string model, file = "-", device = "cpu";
    double hz = 100;
    Rule rule;
    std::vector<NamedSpeeds> commands;
    bool is_virtual = false, lock = false;
    int fifo = 0;
};

void run(adasgn::Recogniser& recogniser, Source& source, DeadMan& dead_man, std::int64_t period, bool is_virtual) {
    const std::size_t numbers = 3 * static_cast<std::size_t>(recogniser.description().recorded_joints());
    std::array<adasgn::TrackInput, kMostBodies> tracks{};
    std::array<char, 160> line{};
    Monitor monitor(period);
    std::int64_t deadline = is_virtual ? 0 : monotonic();
    for (std::int64_t number = 0;;) {
        if (!is_virtual) {
            sleep_until(deadline);
        }
        const std::int64_t woken = is_virtual ? deadline : monotonic();
        const Frame* const frame = stop ? nullptr : source.take(woken);
        if (frame != nullptr) {
            for (int body = 0; body < frame->count; ++body) {
                tracks[body] = {frame->tracks[body], frame->joints.data() + body * numbers};
            }
            dead_man.see(woken, tracks.data(), frame->count,
                         recogniser.push(frame->stamp, tracks.data(), frame->count));
        }
        const Command command = dead_man.command(woken);
        const int length = std::snprintf(
            line.data(), line.size(), "{\"cycle\": %lld, \"forward\": %.4f, \"turn\": %.4f, \"state\": \"%s\"}\n",
            static_cast<long long>(number), command.speeds[0], command.speeds[1], command.state);
        if (write(STDOUT_FILENO, line.data(), static_cast<std::size_t>(length)) != length) {
            throw std::runtime_error("expected standard output to take commands, found it closed");
        }
        const std::int64_t following = monitor.cycle(deadline, woken, is_virtual ? deadline : monotonic());
        number += (following - deadline) / period;
        deadline = following;
        if (asked) {
            asked = 0;
            monitor.report();
        }
        if ((stop || source.ended()) && std::strcmp(command.state, "stopped") == 0) {
            break;
        }
    }
    monitor.report();
    std::fprintf(stderr, "  frames      %lld taken, %lld skipped, %lld malformed\n",
                 static_cast<long long>(recogniser.stats().pushes), static_cast<long long>(source.skipped),
                 static_cast<long long>(source.malformed));
}

// What the kernel can do for deadlines; what is refused is said.
void be_punctual(const Options& options) {
    const sched_param priority{options.fifo};
    if (options.fifo > 0 && sched_setscheduler(0, SCHED_FIFO, &priority) != 0) {
        std::fprintf(stderr, "robot_loop: SCHED_FIFO %d was refused: %s; goes on without\n", options.fifo,
                     std::strerror(errno));
    }
    if (options.lock && mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        std::fprintf(stderr, "robot_loop: mlockall was refused: %s; goes on without\n", std::strerror(errno));
    }
}

void drive(const Options& options) {
    adasgn::RecogniserOptions recognition;
    recognition.held_every = kHeldEvery;
    recognition.max_tracks = kMostBodies;
    adasgn::Recogniser recogniser =
        adasgn::load_recogniser(adasgn::read_model(options.model), recognition, options.device);
    const std::vector<std::string>& labels = recogniser.description().class_names;
    std::vector<std::pair<bool, Speeds>> commands(labels.size(), {false, {}});
    for (const NamedSpeeds& command : options.commands.empty() ? kCommands : options.commands) {
        const auto found = std::find(labels.begin(), labels.end(), command.label);
        if (found == labels.end()) {
            throw std::runtime_error("command: expected a label of the model, found '" + command.label + "'");
        }
        commands[static_cast<std::size_t>(found - labels.begin())] = {true, command.speeds};
    }
    const std::int64_t period = std::llround(1e9 / options.hz);
    DeadMan dead_man(options.rule, period, std::move(commands));
    const int joints = recogniser.description().recorded_joints();
    be_punctual(options);
    if (options.file == "-") {
        Piped source(joints);
        run(recogniser, source, dead_man, period, options.is_virtual);
    } else {
        Recorded source(options.file, joints);
        run(recogniser, source, dead_man, period, options.is_virtual);
    }
}

// A number above 0 from an argument; throws std::runtime_error for anything else.
double positive(const std::string& option, const std::string& text) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !(value > 0) || !std::isfinite(value)) {
        throw std::runtime_error(option + ": expected a positive number, found '" + text + "'");
    }
    return value;
}

// LABEL=FORWARD,TURN
NamedSpeeds command_of(const std::string& text) {
    const std::size_t equals = text.find('=');
    Speeds speeds{};
    char rest = '\0';
    if (equals == std::string::npos ||
        std::sscanf(text.c_str() + equals + 1, "%lf,%lf%c", &speeds[0], &speeds[1], &rest) != 2 ||
        !(std::abs(speeds[0]) <= kFull[0] && std::abs(speeds[1]) <= kFull[1])) {
        throw std::runtime_error("--command: expected LABEL=FORWARD,TURN of at most 0.4 m/s and 0.6 rad/s, found '" +
                                 text + "'");
    }
    return {text.substr(0, equals), speeds};
}

Options read_options(int argc, char** argv) {
    Options options;
    std::vector<std::string> files;
    const std::vector<std::pair<std::string, double*>> numbers = {{"--hz", &options.hz},
                                                                  {"--life", &options.rule.life},
                                                                  {"--confirm", &options.rule.confirm},
                                                                  {"--stale", &options.rule.stale},
                                                                  {"--stop-within", &options.rule.stop_within},
                                                                  {"--start-within", &options.rule.start_within}};
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        const auto known =
            std::find_if(numbers.begin(), numbers.end(), [&](const auto& entry) { return entry.first == argument; });
        const bool has_value =
            known != numbers.end() || argument == "--command" || argument == "--fifo" || argument == "--device";
        if (has_value && i + 1 == argc) {
            throw std::runtime_error(argument + ": expected a value, found none");
        }
        if (known != numbers.end()) {
            *known->second = positive(argument, argv[++i]);
        } else if (argument == "--command") {
            options.commands.push_back(command_of(argv[++i]));
        } else if (argument == "--fifo") {
            options.fifo = static_cast<int>(positive(argument, argv[++i]));
        } else if (argument == "--device") {
            options.device = argv[++i];
        } else if (argument == "--virtual") {
            options.is_virtual = true;
        } else if (argument == "--lock") {
            options.lock = true;
        } else {
            files.push_back(argument);
        }
    }
    if (files.empty() || files.size() > 2) {
        throw std::runtime_error(
            "usage: robot_loop [--virtual] [--hz 100] [--command LABEL=M/S,RAD/S] [--life S] [--confirm P] "
            "[--stale S] [--stop-within S] [--start-within S] [--fifo PRIORITY] [--lock] [--device cpu|cuda|cuda:N] "
            "model.adasgn "
            "[frames.txt]");
    }
    options.model = files[0];
    options.file = files.size() == 2 ? files[1] : "-";
    if (options.is_virtual && options.file == "-") {
        throw std::runtime_error("--virtual: expected a recording, found standard input");
    }
    if (options.rule.confirm > 1) {
        throw std::runtime_error("--confirm: expected a probability of at most 1");
    }
    if (options.hz > 10'000) {
        throw std::runtime_error("--hz: expected at most 10000 cycles a second");
    }
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const Options options = read_options(argc, argv);
        std::signal(SIGUSR1, [](int) { asked = 1; });
        std::signal(SIGINT, [](int) { stop = 1; });
        std::signal(SIGTERM, [](int) { stop = 1; });
        std::signal(SIGPIPE, SIG_IGN);
        drive(options);
    } catch (const std::exception& error) {  // adasgn::Error among them
        std::fprintf(stderr, "robot_loop: %s\n", error.what());
        return 2;
    }
    return 0;
}
