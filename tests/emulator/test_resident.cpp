// Blocks that wait for blocks of the same launch: correct under every schedule, and what is wrong with them is found.
#include <string>

#include "order_kernels.h"
#include "test_support.h"

using namespace adasgn::cuda;
using namespace adasgn::cuda::tests;
namespace emulator = adasgn::cuda::emulator;
using emulator::Instrument;

namespace {

std::vector<float> turned(const std::vector<float>& in, std::size_t blocks, std::size_t threads) {
    std::vector<float> out(in.size());
    for (std::size_t b = 0; b < blocks; ++b)
        for (std::size_t t = 0; t < threads; ++t)
            out[b * threads + t] = in[(b + 1) % blocks * threads + threads - 1 - t];
    return out;
}

struct RingRun {
    Status status;
    std::vector<emulator::Finding> findings;
    bool right;
};

RingRun run_ring(Ring ring, int blocks = 5, int threads = 64, bool resident = true) {
    const auto count = static_cast<std::size_t>(blocks * threads);
    const DeviceArray<float> in(numbers(count));
    const DeviceArray<float> rows(std::vector<float>(count, 0.0f));
    const DeviceArray<int> flags(std::vector<int>(static_cast<std::size_t>(blocks), 0));
    const DeviceArray<float> out(count);
    RingRun run{};
    run.status =
        launch_ring(blocks, threads, {in.data(), rows.data(), flags.data(), out.data(), ring}, resident, nullptr);
    run.findings = emulator::findings();
    emulator::clear_findings();
    run.right =
        out.values() == turned(numbers(count), static_cast<std::size_t>(blocks), static_cast<std::size_t>(threads));
    return run;
}

void check_found(const RingRun& run, Instrument instrument, const std::vector<std::string>& words) {
    CHECK(run.status.code != 0);
    REQUIRE(run.findings.size() == 1);
    const std::string text = run.findings.front().text;
    CAPTURE(text);
    CHECK(run.findings.front().instrument == instrument);
    CHECK(text == run.status.text());
    for (const std::string& word : words) CHECK_MESSAGE(text.find(word) != std::string::npos, word);
}

std::vector<int> met(std::vector<int> values, int rounds) {
    for (int round = 0; round < rounds; ++round) {
        int sum = 0;
        for (const int value : values) sum += value;
        for (std::size_t b = 0; b < values.size(); ++b) values[b] = sum + static_cast<int>(b);
    }
    return values;
}

Status run_meet(std::vector<int>& values, int rounds, bool forget_second_meeting) {
    const DeviceArray<int> device_values(values);
    const DeviceArray<int> counter(std::vector<int>{0});
    const Status status = launch_meet(static_cast<int>(values.size()),
                                      {device_values.data(), counter.data(), rounds, forget_second_meeting}, nullptr);
    values = device_values.values();
    return status;
}

}  // namespace

TEST_CASE("blocks in a ring") {
    under_each_schedule([] {
        for (const int blocks : {1, 2, 5, 16}) {
            const RingRun run = run_ring(Ring::correct, blocks);
            CHECK(run.status.code == 0);
            CHECK(run.findings.empty());
            CHECK(run.right);
        }
    });
}

TEST_CASE("blocks that meet again and again") {
    under_each_schedule([] {
        std::vector<int> values = {3, 1, 4, 1, 5, 9, 2};
        const std::vector<int> expected = met(values, 3);
        require(run_meet(values, 3, false));
        CHECK(values == expected);
    });
}

TEST_CASE("what a block knows it passes on, and a warp meets without its block") {
    under_each_schedule([] {
        constexpr int blocks = 6;
        const DeviceArray<int> values(32 * blocks);
        const DeviceArray<int> flags(std::vector<int>(blocks, 0));
        const DeviceArray<int> sums(32 * blocks);
        require(launch_relay(blocks, {values.data(), flags.data(), sums.data()}, nullptr));
        const std::vector<int> found = sums.values();
        for (int b = 0; b < blocks; ++b)
            for (int lane = 0; lane < 32; ++lane) {
                int expected = 0;
                for (int i = 0; i <= b; ++i) expected += 32 * i + 31 - lane;
                CHECK(found[static_cast<std::size_t>(32 * b + lane)] == expected);
            }
    });
}

TEST_CASE("flags that are never raised") {
    under_each_schedule([] {
        check_found(run_ring(Ring::late_flag), Instrument::synccheck,
                    {"blocks wait for each other; block (",
                     "thread 0: wait_until_at_least (order_kernels.cu:", "for at least 1 at byte 0 of allocation",
                     "which is 0", "threads 1-63: block_barrier", "block (4, 0)"});
        check_found(run_ring(Ring::one_missing), Instrument::synccheck,
                    {"blocks wait for each other; block (4, 0): thread 0: wait_until_at_least"});
    });
}

TEST_CASE("blocks that wait for blocks which need not be there") {
    under_each_schedule([] {
        check_found(run_ring(Ring::correct, 5, 64, false), Instrument::synccheck,
                    {"thread 0 (order_kernels.cu:", "waits for another block, in a launch that need not be resident",
                     "thread 0: wait_until_at_least"});
        CHECK(run_ring(Ring::correct, 1, 64, false).right);  // waits for itself
    });
}

TEST_CASE("faults of waiting blocks") {
    if (!emulator::checks_accesses()) return;  // test_resident_checked runs it
    under_each_schedule([] {
        check_found(run_ring(Ring::no_wait), Instrument::racecheck, {"another block of this launch"});
        check_found(run_ring(Ring::plain_flag), Instrument::racecheck,
                    {"another block of this launch wrote", "reads 4 bytes at byte"});
        check_found(run_ring(Ring::no_barrier_before_flag), Instrument::racecheck, {"another block of this launch"});
        check_found(run_ring(Ring::no_barrier_after_wait), Instrument::racecheck, {"another block of this launch"});
        std::vector<int> values = {3, 1, 4, 1, 5};
        CHECK(run_meet(values, 2, true).code != 0);
        REQUIRE(emulator::findings().size() == 1);
        const std::string text = emulator::findings().front().text;
        CAPTURE(text);
        CHECK(text.find("another block of this launch") != std::string::npos);
        CHECK(emulator::findings().front().instrument == Instrument::racecheck);
        emulator::clear_findings();
    });
}

TEST_CASE("each barrier, fence and wait is needed") {
    if (!emulator::checks_accesses()) return;
    const auto run = [] {
        std::vector<int> values = {3, 1, 4, 1, 5};
        const bool failed = static_cast<bool>(run_meet(values, 2, false));
        return run_ring(Ring::correct).status.code != 0 || failed;
    };
    emulator::record_ordering_calls();
    CHECK(!run());
    const std::vector<emulator::OrderingCall> calls = emulator::ordering_calls();
    CHECK(calls.size() >= 7);
    for (const emulator::OrderingCall& call : calls) {
        CAPTURE(call.what);
        CAPTURE(call.line);
        under_each_schedule([&] {
            emulator::omit(&call);
            CHECK(run());
            emulator::omit(nullptr);
            emulator::clear_findings();
        });
    }
}

TEST_CASE("how many blocks are resident") {
    int blocks = 0;
    require(resident_ring_blocks(256, 0, blocks));
    CHECK(blocks == 16 * 6);
    require(resident_ring_blocks(32, 0, blocks));
    CHECK(blocks == 16 * 16);
    require(resident_ring_blocks(256, 100 * 1024, blocks));
    CHECK(blocks == 16);
    CHECK(resident_ring_blocks(1025, 0, blocks).code != 0);
    CHECK(resident_ring_blocks(256, 1 << 20, blocks).code != 0);
    CHECK(run_ring(Ring::correct, 96, 256).right);
    const RingRun too_many = run_ring(Ring::correct, 97, 256);
    CHECK(too_many.status.code == kTooManyBlocks);
    CHECK(std::string(too_many.status.text()) == "too many blocks in cooperative launch");
    CHECK(too_many.findings.empty());
}

TEST_CASE("as many blocks as a large device has multiprocessors") {
    DeviceTraits large = emulator::default_traits();
    large.multiprocessors = 132;
    emulator::set_traits(large);
    CHECK(run_ring(Ring::correct, 132, 256).right);
    CHECK(std::string(run_ring(Ring::correct, 133, 256).status.text()) == "operation not supported");  // here
    CHECK(run_ring(Ring::correct, 264, 128).right);
    emulator::set_traits(emulator::default_traits());
    CHECK(emulator::findings().empty());
}
