// Every primitive of device.h and runtime.h against a plain computation, under every schedule. Built twice, with the
// fast and with the checked kernels.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "test_support.h"

using namespace adasgn::cuda;
using namespace adasgn::cuda::tests;
namespace emulator = adasgn::cuda::emulator;

namespace {

std::vector<Half> halves(const std::vector<float>& values) {
    std::vector<Half> converted;
    for (const float value : values) converted.push_back(to_half(value));
    return converted;
}

}  // namespace

TEST_CASE("threads know who they are") {
    under_each_schedule([] {
        const int threads = 80;
        DeviceArray<Identity> out(3 * 2 * threads);
        require(launch_identity(Grid{3, 2}, threads, {out.data()}, nullptr));
        const auto values = out.values();
        for (int y = 0; y < 2; ++y)
            for (int x = 0; x < 3; ++x)
                for (int t = 0; t < threads; ++t) {
                    const Identity& identity = values[static_cast<std::size_t>((3 * y + x) * threads + t)];
                    CHECK(identity.thread == t);
                    CHECK(identity.lane == t % 32);
                    CHECK(identity.warp == t / 32);
                    CHECK(identity.block == x);
                    CHECK(identity.block_y == y);
                    CHECK(identity.threads == threads);
                    CHECK(identity.blocks == 3);
                }
    });
}

TEST_CASE("shuffles and ballots") {
    under_each_schedule([] {
        const auto values = numbers(32);
        unsigned negative = 0;
        for (unsigned i = 0; i < 32; ++i) negative |= static_cast<unsigned>(values[i] < 0.0f) << i;
        const DeviceArray<float> in(values);
        const DeviceArray<float> exchanged(32);
        const DeviceArray<int> exchanged_lanes(32);
        const DeviceArray<unsigned> ballots(32);
        const DeviceArray<int> counts(32);
        for (const int mask : {1, 2, 5, 16, 31}) {
            require(launch_exchange(
                {in.data(), mask, exchanged.data(), exchanged_lanes.data(), ballots.data(), counts.data()}, nullptr));
            for (std::size_t i = 0; i < 32; ++i) {
                CHECK(exchanged.values()[i] == values[i ^ static_cast<std::size_t>(mask)]);
                CHECK(exchanged_lanes.values()[i] == (static_cast<int>(i) ^ mask));
                CHECK(ballots.values()[i] == negative);
                CHECK(counts.values()[i] == __builtin_popcount(negative));
            }
        }
    });
}

TEST_CASE("conversion to and from half") {
    // Every half: exact both ways, and halfway to its neighbour to the even one.
    for (unsigned bits = 0; bits < 0x7c00; ++bits) {
        const int exponent = bits < 0x400 ? -24 : static_cast<int>(bits >> 10) - 25;
        const double exact = std::ldexp(bits < 0x400 ? bits : (bits & 0x3ffu) | 0x400u, exponent);
        const double ulp = std::ldexp(1.0, exponent);
        const Half half{static_cast<std::uint16_t>(bits)};
        REQUIRE(to_float(half) == exact);
        REQUIRE(to_half(static_cast<float>(exact)).bits == bits);
        REQUIRE(to_half(-static_cast<float>(exact)).bits == (bits | 0x8000u));
        const auto halfway = static_cast<float>(exact + ulp / 2);
        if (bits == 0x7bff) break;
        REQUIRE(to_half(halfway).bits == bits + bits % 2);
        REQUIRE(to_half(std::nextafterf(halfway, 0.0f)).bits == bits);
        REQUIRE(to_half(std::nextafterf(halfway, 1e9f)).bits == bits + 1);
    }
    const float infinity = std::numeric_limits<float>::infinity();
    const std::vector<float> wild = {65504.0f, 65519.0f, 65520.0f, 1e9f, infinity};
    for (const float value : wild) {
        CHECK(to_float(to_half(value)) == 65504.0f);
        CHECK(to_float(to_half(-value)) == -65504.0f);
    }
    CHECK(std::isnan(to_float(to_half(std::numeric_limits<float>::quiet_NaN()))));
    CHECK(to_float(Half{0x7c00}) == infinity);
    CHECK(std::isnan(maximum(std::nanf(""), 1.0f)));
    CHECK(std::isnan(maximum(1.0f, std::nanf(""))));

    const auto values = numbers(1000, 100.0f);
    const DeviceArray<float> in(values);
    const DeviceArray<std::uint16_t> out(1000);
    const DeviceArray<float> back(1000);
    const DeviceArray<std::uint32_t> packed(1000);
    const DeviceArray<float> exponentials(1000);
    require(launch_convert({in.data(), out.data(), back.data(), packed.data(), exponentials.data(), 1000}, nullptr));
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::uint32_t bits = to_half(values[i]).bits;
        REQUIRE(out.values()[i] == bits);
        REQUIRE(std::fabs(back.values()[i] - values[i]) <= std::fabs(values[i]) / 2048.0f);
        REQUIRE(packed.values()[i] == (bits | (bits ^ 0x8000u) << 16));
        REQUIRE(exponentials.values()[i] == std::exp(values[i]));
    }
}

TEST_CASE("load_matrix gives each lane its elements") {
    under_each_schedule([] {
        std::vector<Half> tiles;
        for (unsigned i = 0; i < 256; ++i) tiles.push_back(Half{static_cast<std::uint16_t>(i)});
        const DeviceArray<Half> in(tiles);
        const DeviceArray<std::uint32_t> plain(128);
        const DeviceArray<std::uint32_t> transposed(128);
        require(launch_matrices({in.data(), plain.data(), transposed.data()}, nullptr));
        for (std::size_t lane = 0; lane < 32; ++lane)
            for (std::size_t matrix = 0; matrix < 4; ++matrix) {
                const auto element = [&](std::size_t row, std::size_t column) {
                    return static_cast<std::uint32_t>(64 * matrix + 8 * row + column);
                };
                const std::size_t major = lane / 4;
                const std::size_t minor = lane % 4 * 2;
                CHECK(plain.values()[4 * lane + matrix] == (element(major, minor) | element(major, minor + 1) << 16));
                CHECK(transposed.values()[4 * lane + matrix] ==
                      (element(minor, major) | element(minor + 1, major) << 16));
            }
    });
}

TEST_CASE("multiply_add is a matrix product") {
    under_each_schedule([] {
        const auto a = halves(numbers(16 * 16, 3.0f));
        const auto b = halves(numbers(16 * 8, 2.0f));
        const auto c = numbers(16 * 8);
        const DeviceArray<Half> device_a(a);
        const DeviceArray<Half> device_b(b);
        const DeviceArray<float> device_c(c);
        const DeviceArray<float> out(16 * 8);
        require(launch_product(1, {device_a.data(), device_b.data(), device_c.data(), out.data(), 2}, nullptr));
        for (std::size_t row = 0; row < 16; ++row)
            for (std::size_t column = 0; column < 8; ++column) {
                double expected = c[8 * row + column];
                for (std::size_t k = 0; k < 16; ++k)
                    expected += 2.0 * to_float(a[16 * row + k]) * to_float(b[8 * k + column]);
                CHECK(out.values()[8 * row + column] == doctest::Approx(expected).epsilon(1e-5));
            }
    });
}

TEST_CASE("groups of asynchronous copies") {
    for (const int stages : {1, 2, 5}) {
        under_each_schedule([stages] {
            const int threads = 64;
            const std::size_t width = 4 * threads;
            const auto rows = numbers(static_cast<std::size_t>(stages) * width);
            const DeviceArray<float> in(rows);
            const DeviceArray<float> sums(width);
            require(launch_stages(threads, {in.data(), sums.data(), stages, false}, nullptr));
            for (std::size_t i = 0; i < width; ++i) {
                float expected = 0.0f;
                for (std::size_t stage = 0; stage < static_cast<std::size_t>(stages); ++stage)
                    expected += rows[stage * width + i];
                CHECK(sums.values()[i] == expected);
            }
        });
    }
}

TEST_CASE("atomics, and the block that ends last") {
    under_each_schedule([] {
        const int blocks = 5;
        const int threads = 96;
        std::vector<int> values(blocks * threads);
        std::iota(values.begin(), values.end(), -100);
        const DeviceArray<int> in(values);
        const DeviceArray<int> partial(blocks);
        const DeviceArray<int> ticket(std::vector<int>{0});
        const DeviceArray<int> total(1);
        const DeviceArray<int> largest(std::vector<int>{-1000});
        for (int run = 0; run < 2; ++run) {
            require(launch_reduce(blocks, threads,
                                  {in.data(), partial.data(), ticket.data(), total.data(), largest.data(), false},
                                  nullptr));
            CHECK(total.values()[0] == std::accumulate(values.begin(), values.end(), 0));
            CHECK(largest.values()[0] == values.back());
        }
    });
}

TEST_CASE("launches that a GPU would refuse") {
    CHECK(launch_empty(Grid{1}, 1024, 166912, nullptr).code == 0);
    CHECK(launch_empty(Grid{1}, 1025, 0, nullptr).code != 0);
    CHECK(launch_empty(Grid{1}, 32, 166913, nullptr).code != 0);
    CHECK(launch_empty(Grid{0}, 32, 0, nullptr).code != 0);
    CHECK(launch_empty(Grid{1, 65536}, 32, 0, nullptr).code != 0);
    DeviceTraits small = emulator::default_traits();
    small.shared_per_block = 101376;
    emulator::set_traits(small);
    CHECK(launch_empty(Grid{1}, 32, 101376, nullptr).code == 0);
    CHECK(launch_empty(Grid{1}, 32, 101377, nullptr).code != 0);
    DeviceTraits traits;
    require(device_traits(0, traits));
    CHECK(traits.shared_per_block == 101376);
    CHECK(device_traits(1, traits).code != 0);
    emulator::set_traits(emulator::default_traits());
    CHECK(emulator::findings().empty());
}

TEST_CASE("memory: poisoned, limited, guarded, counted") {
    emulator::clear_findings();
    const std::size_t before = emulator::allocations().size();
    {
        const DeviceArray<float> fresh(100);
        CHECK(emulator::allocations().size() == before + 1);
        CHECK(reinterpret_cast<std::uintptr_t>(fresh.data()) % 256 == 0);
        for (const float value : fresh.values()) CHECK(std::isnan(value));
        require(zero(fresh.data(), 400, nullptr));
        for (const float value : fresh.values()) CHECK(value == 0.0f);
        std::vector<float> host(101);
        CHECK(copy_to_host(host.data(), fresh.data(), 404, nullptr).code != 0);
        CHECK(copy_to_device(fresh.data() + 1, host.data(), 400, nullptr).code != 0);
    }
    CHECK(emulator::allocations().size() == before);
    emulator::set_memory_limit(1000);
    void* memory = nullptr;
    CHECK(std::strcmp(allocate(&memory, 1001).text(), "out of memory") == 0);
    CHECK(memory == nullptr);
    emulator::set_memory_limit(std::size_t{8} << 30);
    CHECK(emulator::findings().empty());
    require(allocate(&memory, 33));
    static_cast<unsigned char*>(memory)[33] = 1;
    CHECK(emulator::check_guards().find("behind its end") != std::string::npos);
    release(memory);
    release(memory);
    CHECK(emulator::findings().size() == 2);  // the guard; the second release
    emulator::clear_findings();
}

namespace {

struct Captured {  // a stream with what a run may use
    Stream stream = nullptr;
    void* pinned = nullptr;
    Captured() {
        require(create_stream(stream));
        require(allocate_pinned(&pinned, 64 * sizeof(float)));
    }
    ~Captured() {
        destroy_stream(stream);
        release_pinned(pinned);
    }
};

}  // namespace

TEST_CASE("a graph replays what was captured") {
    under_each_schedule([] {
        const Captured run;
        auto* host = static_cast<float*>(run.pinned);
        const DeviceArray<float> in(64);
        const DeviceArray<float> out(64);
        const DeviceArray<float> scratch(64);
        require(begin_capture(run.stream));
        require(copy_to_device(in.data(), host, 256, run.stream));
        require(launch_fault({in.data(), out.data(), scratch.data(), nullptr, Fault::none}, run.stream));
        require(copy_to_host(host, out.data(), 256, run.stream));
        GraphHandle* graph = nullptr;
        require(end_capture(run.stream, graph));
        for (int replay = 0; replay < 3; ++replay) {
            const auto values = numbers(64, static_cast<float>(replay + 1));
            std::copy(values.begin(), values.end(), host);
            require(launch_graph(graph, run.stream));
            require(synchronise(run.stream));
            for (std::size_t i = 0; i < 64; ++i) CHECK(host[i] == values[(i + 32) % 64]);
        }
        destroy_graph(graph);
    });
}

TEST_CASE("what waits for the device breaks a capture") {
    const Captured run;
    const DeviceArray<float> in(64);
    std::vector<float> pageable(64);
    const auto breaks = [&](auto call) {
        require(begin_capture(run.stream));
        CHECK(call().code != 0);
        GraphHandle* graph = nullptr;
        CHECK(end_capture(run.stream, graph).code != 0);
        CHECK(graph == nullptr);
        require(synchronise(run.stream));
    };
    breaks([&] { return synchronise(run.stream); });
    breaks([&] { return synchronise(nullptr); });
    breaks([&] { return copy_to_device(in.data(), pageable.data(), 256, run.stream); });
    breaks([&] { return copy_to_host(pageable.data(), in.data(), 256, run.stream); });
    breaks([] {
        void* memory = nullptr;
        return allocate(&memory, 16);
    });
    CHECK(begin_capture(nullptr).code != 0);
    GraphHandle* graph = nullptr;
    CHECK(end_capture(run.stream, graph).code != 0);
}
