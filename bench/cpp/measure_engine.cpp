// Times a model on this processor, stage by stage and on every instruction set:
//
//     measure_engine model.adasgn [batch] [threads] [runs]
//
// Clips are random; for an adaptive model the frames take each branch in turn as well as the policy's choice.
#include <adasgn/engine.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

namespace {

// Median and minimum of `runs` calls, in microseconds.
template <class Call>
void report(const char* set, const char* what, int runs, double macs, const Call& call) {
    std::vector<double> times;
    for (int i = 0; i < runs + 3; ++i) {
        const auto start = std::chrono::steady_clock::now();
        call();
        const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - start;
        if (i >= 3) {
            times.push_back(time.count());
        }
    }
    std::sort(times.begin(), times.end());
    std::printf("%-7s %-16s median %9.1f us   least %9.1f us", set, what, times[times.size() / 2], times[0]);
    if (macs > 0) {
        std::printf("   %6.1f GFLOP/s (median) %6.1f (best)", 2e-3 * macs / times[times.size() / 2],
                    2e-3 * macs / times[0]);
    }
    std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s model.adasgn [batch] [threads] [runs]\n", argv[0]);
        return 2;
    }
    const int batch = argc > 2 ? std::atoi(argv[2]) : 1;
    const int threads = argc > 3 ? std::atoi(argv[3]) : 1;
    const int runs = argc > 4 ? std::max(1, std::atoi(argv[4])) : 200;
    try {
        const adasgn::Model model = adasgn::read_model(argv[1]);
        const adasgn::Description& d = model.description;
        std::mt19937 random(1);
        std::normal_distribution<float> normal;
        const int frames = batch * d.frames;
        std::vector<float> clips(static_cast<std::size_t>(frames) * d.joints * 3);
        std::generate(clips.begin(), clips.end(), [&] { return normal(random); });
        std::vector<float> logits(static_cast<std::size_t>(batch) * d.classes);
        std::vector<float> features(static_cast<std::size_t>(frames) * 256);
        std::vector<std::int32_t> actions(frames);
        for (const char* const* set = adasgn::instruction_sets(); *set != nullptr; ++set) {
            adasgn::Engine engine(model, {batch, threads, *set});
            const auto& folded = d.cost.at("folded");
            report(*set, "run", runs, d.adaptive ? 0 : static_cast<double>(folded[0]) * batch, [&] {
                engine.run(clips.data(), batch, 1, {logits.data(), actions.data(), features.data()});
            });
            for (std::size_t branch = 0; branch < d.branches.size(); ++branch) {
                std::fill(actions.begin(), actions.end(), static_cast<std::int32_t>(branch));
                report(*set, ("branch " + d.branches[branch].name).c_str(), runs, 0, [&] {
                    engine.branch_features(clips.data(), nullptr, actions.data(), frames, nullptr, features.data());
                });
            }
            if (d.adaptive) {
                report(*set, "actions", runs, 0,
                       [&] { engine.actions(features.data(), batch, actions.data(), nullptr); });
            }
            report(*set, "temporal head", runs, 0,
                   [&] { engine.temporal_head(features.data(), batch, logits.data()); });
        }
    } catch (const adasgn::Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
