// Loads a model and classifies one clip:
//
//     classify_clip model.adasgn clip.f32
//
// clip.f32 holds T x V x 3 float32 values, little-endian, frame after frame, prepared as the model expects (in Python:
// clip.astype("<f4").tofile("clip.f32")).
#include <adasgn/engine.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <vector>

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: %s model.adasgn clip.f32\n", argv[0]);
        return 2;
    }
    try {
        adasgn::Engine engine(adasgn::read_model(argv[1]));
        const adasgn::Description& description = engine.description();
        const std::size_t floats = static_cast<std::size_t>(description.frames) * description.joints * 3;
        std::vector<float> clip(floats + 1);  // one more, so that a longer file is noticed
        std::ifstream file(argv[2], std::ios::binary);
        file.read(reinterpret_cast<char*>(clip.data()), static_cast<std::streamsize>(clip.size() * sizeof(float)));
        if (static_cast<std::size_t>(file.gcount()) != floats * sizeof(float)) {
            std::fprintf(stderr, "%s: expected %zu bytes (%d frames, %d joints, 3 coordinates), found %s\n", argv[2],
                         floats * sizeof(float), description.frames, description.joints,
                         file ? "more" : std::to_string(file.gcount()).c_str());
            return 1;
        }
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
    } catch (const adasgn::Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
