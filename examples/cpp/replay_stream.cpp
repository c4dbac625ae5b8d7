// Plays a recorded sequence through the recogniser as if it came live, and prints the gestures that it tells:
//
//     replay_stream [--device cpu|cuda|cuda:N] [--fast] [--rate 50] [--effort 0.5] model.adasgn sequence.txt
//
// sequence.txt is one of SHREC'21 as distributed: a line a frame, 20 joints of `x;y;z;qx;qy;qz;qw;` from a Leap sensor.
// The model's layout is shrec22, whose joints are made of those 20 here. In real time, or with --fast at once.
#include <adasgn/load.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using Point = std::array<float, 3>;
constexpr int kSensorJoints = 20;
constexpr int kNumbersOfAJoint = 7;  // x y z and a quaternion, which is left out
constexpr int kModelJoints = 22;
constexpr float kScale = 0.5F;  // the sensor's units are about half metres

// The joints of a line; throws std::runtime_error where there are more, fewer or no numbers.
std::vector<Point> read_joints(const std::string& line, const std::string& where) {
    std::vector<float> numbers;
    const char* at = line.c_str();
    while (*at != '\0' && *at != '\r') {
        char* end = nullptr;
        numbers.push_back(std::strtof(at, &end));
        if (end == at) {
            throw std::runtime_error(where + ": expected a number, found '" + std::string(at).substr(0, 20) + "'");
        }
        at = *end == ';' ? end + 1 : end;
    }
    if (numbers.size() != kSensorJoints * kNumbersOfAJoint) {
        throw std::runtime_error(where + ": expected " + std::to_string(kSensorJoints * kNumbersOfAJoint) +
                                 " numbers, found " + std::to_string(numbers.size()));
    }
    std::vector<Point> joints(kSensorJoints);
    for (int joint = 0; joint < kSensorJoints; ++joint) {
        const float* const from = numbers.data() + joint * kNumbersOfAJoint;
        joints[joint] = {kScale * from[0], kScale * from[1], -kScale * from[2]};  // its axes are left-handed
    }
    return joints;
}

// The 22 joints of layout shrec22: wrist, palm, then base to tip of thumb, index, middle, ring and little finger. The
// sensor tells palm and fingers; wrist and base of the thumb are placed by the hand's proportions
// (adasgn_edge/data/sources/leap-20.json).
std::vector<Point> onto_shrec22(const std::vector<Point>& sensor) {
    constexpr int palm = 0;
    constexpr int thumb = 1;                                // three joints
    constexpr std::array<int, 4> fingers = {4, 8, 12, 16};  // four joints each, from the base on
    std::vector<Point> joints(kModelJoints);
    for (int axis = 0; axis < 3; ++axis) {
        float bases = 0;
        for (const int finger : fingers) {
            bases += sensor[finger][axis] / 4;
        }
        const float wrist = sensor[palm][axis] + 1.13F * (sensor[palm][axis] - bases);
        joints[0][axis] = wrist;
        joints[1][axis] = sensor[palm][axis];
        joints[2][axis] = wrist + 0.4F * (sensor[thumb][axis] - wrist);
    }
    for (int joint = 1; joint < kSensorJoints; ++joint) {
        joints[joint + 2] = sensor[joint];
    }
    return joints;
}

std::vector<std::vector<Point>> read_sequence(const std::string& path) {
    std::ifstream file(path);
    if (!file) {
        throw std::runtime_error(path + ": expected a file that can be read, found none");
    }
    std::vector<std::vector<Point>> frames;
    for (std::string line; std::getline(file, line);) {
        if (line.find_first_not_of(" \t\r") != std::string::npos) {
            const std::string where = path + ", line " + std::to_string(frames.size() + 1);
            frames.push_back(onto_shrec22(read_joints(line, where)));
        }
    }
    return frames;
}

struct Options {
    bool fast = false;
    double rate = 50;
    adasgn::RecogniserOptions recogniser;
    std::string model, sequence, device = "cpu";
};

void replay(const Options& options) {
    const adasgn::Model model = adasgn::read_model(options.model);
    if (model.description.layout != "shrec22") {
        throw std::runtime_error(options.model + ": expected a model for layout shrec22, found one for " +
                                 model.description.layout);
    }
    adasgn::Recogniser recogniser = adasgn::load_recogniser(model, options.recogniser, options.device);
    const auto frames = read_sequence(options.sequence);

    using Clock = std::chrono::steady_clock;
    const auto began = Clock::now();
    Clock::duration slowest{};
    for (std::size_t frame = 0; frame < frames.size(); ++frame) {
        // The stamp is the source's: when the frame was captured. The clock here only paces the replay.
        const std::int64_t stamp = std::llround(1e9 * static_cast<double>(frame) / options.rate);
        if (!options.fast) {
            std::this_thread::sleep_until(began + std::chrono::nanoseconds(stamp));
        }
        const adasgn::TrackInput hand{1, frames[frame].front().data()};
        const auto pushed = Clock::now();
        const adasgn::Recogniser::Output output = recogniser.push(stamp, &hand, 1);
        slowest = std::max(slowest, Clock::now() - pushed);
        for (int i = 0; i < output.event_count; ++i) {
            const adasgn::GestureEvent& event = output.events[i];
            if (event.kind != adasgn::GestureEvent::Kind::held) {
                std::printf("%8.2f s  %-7s  %s  %.1f %%\n", 1e-9 * static_cast<double>(event.decided),
                            adasgn::name_of(event.kind), recogniser.description().class_names[event.label].c_str(),
                            100 * event.confidence);
                std::fflush(stdout);
            }
        }
    }
    const adasgn::Stats stats = recogniser.stats();
    std::printf("%lld frames, %lld steps, %lld ready; slowest push %.2f ms\n", static_cast<long long>(stats.frames),
                static_cast<long long>(stats.steps), static_cast<long long>(stats.results),
                std::chrono::duration<double, std::milli>(slowest).count());
}

// A number from an argument; throws std::runtime_error unless it is one above 0, or from 0 on.
double number(const std::string& option, const std::string& text, bool zero) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !(zero ? value >= 0 : value > 0) || !std::isfinite(value)) {
        throw std::runtime_error(option + ": expected a positive number, found '" + text + "'");
    }
    return value;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        Options options;
        std::vector<std::string> files;
        for (int i = 1; i < argc; ++i) {
            const std::string argument = argv[i];
            if (argument == "--fast") {
                options.fast = true;
            } else if (argument == "--device" && i + 1 < argc) {
                options.device = argv[++i];
            } else if (argument == "--rate" && i + 1 < argc) {
                options.rate = number(argument, argv[++i], false);
            } else if (argument == "--effort" && i + 1 < argc) {
                options.recogniser.effort = number(argument, argv[++i], true);
            } else {
                files.push_back(argument);
            }
        }
        if (files.size() != 2) {
            std::fprintf(stderr,
                         "usage: %s [--device cpu|cuda|cuda:N] [--fast] [--rate 50] [--effort 0.5] model.adasgn "
                         "sequence.txt\n",
                         argv[0]);
            return 2;
        }
        options.model = files[0];
        options.sequence = files[1];
        replay(options);
    } catch (const std::exception& error) {  // adasgn::Error among them
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
