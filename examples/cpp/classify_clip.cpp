// Loads a model and classifies one clip:
//
//     classify_clip [--device cpu|cuda|cuda:N] model.adasgn clip.f32
//
// clip.f32 holds T x V x 3 float32 values, little-endian, frame after frame, prepared as the model expects (in Python:
// clip.astype("<f4").tofile("clip.f32")).
#include <adasgn/load.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

// The floats of a clip's file; throws std::runtime_error where it is not what the model expects.
std::vector<float> read_clip(const std::string& path, const adasgn::Description& description) {
    const std::size_t floats = static_cast<std::size_t>(description.frames) * description.joints * 3;
    std::vector<float> clip(floats + 1);  // one more, so that a longer file is noticed
    std::ifstream file(path, std::ios::binary);
    file.read(reinterpret_cast<char*>(clip.data()), static_cast<std::streamsize>(clip.size() * sizeof(float)));
    if (static_cast<std::size_t>(file.gcount()) != floats * sizeof(float)) {
        throw std::runtime_error(path + ": expected " + std::to_string(floats * sizeof(float)) + " bytes (" +
                                 std::to_string(description.frames) + " frames, " + std::to_string(description.joints) +
                                 " joints, 3 coordinates), found " + (file ? "more" : std::to_string(file.gcount())));
    }
    clip.pop_back();
    return clip;
}

// Runs a clip on an engine of any device and prints what it is.
void classify(adasgn::Inference& engine, const std::string& path) {
    const adasgn::Description& description = engine.description();
    const std::vector<float> clip = read_clip(path, description);
    std::vector<float> logits(description.classes);
    std::vector<std::int32_t> actions(description.frames);
    engine.run(clip.data(), 1, 1, {logits.data(), actions.data()});

    const auto best = std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float logit : logits) {
        sum += std::exp(logit - *best);
    }
    std::printf("%s  %.1f %%\nbranches:", description.class_names[best - logits.begin()].c_str(), 100 / sum);
    for (const std::int32_t action : actions) {
        std::printf(" %s", description.branches[action].name.c_str());
    }
    std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::string> arguments(argv + 1, argv + argc);
    std::string device = "cpu";
    if (arguments.size() >= 2 && arguments[0] == "--device") {
        device = arguments[1];
        arguments.erase(arguments.begin(), arguments.begin() + 2);
    }
    if (arguments.size() != 2) {
        std::fprintf(stderr, "usage: %s [--device cpu|cuda|cuda:N] model.adasgn clip.f32\n", argv[0]);
        return 2;
    }
    try {
        adasgn::LoadOptions options;
        options.device = device;
        const auto engine = adasgn::load_engine(adasgn::read_model(arguments[0]), options);
        classify(*engine, arguments[1]);
    } catch (const std::exception& error) {  // adasgn::Error among them
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
