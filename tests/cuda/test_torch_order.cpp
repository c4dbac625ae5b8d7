// The torch ops' engine on several streams, every access checked: its calls share scratch memory, so each must wait for
// the one before.
#include <doctest/doctest.h>

#include <exception>
#include <string>
#include <vector>

#include "adasgn/cuda/device_engine.h"
#include "cuda/cuda_engine.h"
#include "emulator.h"
#include "random_model.h"
#include "streams_host.h"

using namespace adasgn;
using namespace adasgn::testing;
namespace emulator = cuda::emulator;

namespace {

struct OnDevice {
    Model model = random_model({5, {2, 5}, {false}, 3, 2, true}, 5);
    cuda::DeviceMemory<float> clip{3 * 5 * 3};
    cuda::DeviceMemory<float> logits[3] = {cuda::DeviceMemory<float>(2), cuda::DeviceMemory<float>(2),
                                           cuda::DeviceMemory<float>(2)};
    cuda::OwnStream streams[2];

    OnDevice() {
        std::mt19937 random(6);
        const std::vector<float> values = random_floats(3 * 5 * 3, random);
        cuda::expect_ok(cuda::copy_to_device(clip.data(), values.data(), values.size() * sizeof(float), nullptr),
                        "copy");
        cuda::expect_ok(cuda::synchronise(nullptr), "copy");
    }
    ~OnDevice() {
        static_cast<void>(cuda::synchronise_device());
        emulator::clear_findings();
    }
};

// The text of what goes wrong in `work`.
template <class Work>
std::string found_in(const Work& work) {
    try {
        work();
    } catch (const std::exception& error) {
        return error.what();
    }
    return emulator::findings().empty() ? "" : emulator::findings().front().text;
}

}  // namespace

TEST_CASE("calls on different streams are in order, and it is found when they are not") {
    REQUIRE(emulator::checks_accesses());
    const OnDevice there;
    const auto loaded = ops::load_on_cuda(there.model, c10::kCUDA, {1, {}, {}, "f32"});
    CHECK(found_in([&] {
              for (const int call : {0, 1, 2}) {
                  ops::emulated_stream() = there.streams[call % 2].get();
                  loaded->alone([&](Inference& engine) {
                      engine.run(there.clip.data(), 1, 1, {there.logits[call].data()}, kDefaultThreshold);
                  });
              }
          }) == "");
    cuda::DeviceEngine unordered(there.model, {1, cuda::Precision::f32, 0});
    CHECK(found_in([&] {
              for (const int call : {0, 1}) {
                  unordered.run(there.clip.data(), nullptr, 1, 1, {there.logits[call].data()},
                                there.streams[call].get());
              }
          }).find("with no event or synchronise between") != std::string::npos);
}

TEST_CASE("a call that is captured waits for none outside the graph, nor does one outside wait for it") {
    const OnDevice there;
    const auto loaded = ops::load_on_cuda(there.model, c10::kCUDA, {1, {}, {}, "f32"});
    const auto call = [&](int number) {
        ops::emulated_stream() = there.streams[number].get();
        loaded->alone([&](Inference& engine) {
            engine.run(there.clip.data(), 1, 1, {there.logits[number].data()}, kDefaultThreshold);
        });
    };
    CHECK(found_in([&] {
              call(0);
              const cuda::Graph graph(there.streams[1].get(), [&] { call(1); });
              call(0);
              cuda::expect_ok(cuda::synchronise_device(), "a call");  // the order of graphs is the caller's
              graph.launch(there.streams[1].get());
          }) == "");
}
