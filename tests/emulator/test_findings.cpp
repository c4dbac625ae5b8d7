// Faults planted in kernels: each is found, by the instrument that is meant for it. And what is no fault is not.
#include "test_support.h"

using namespace adasgn::cuda;
using namespace adasgn::cuda::tests;
namespace emulator = adasgn::cuda::emulator;

namespace {

struct FaultResult {
    Status status;
    std::vector<emulator::Finding> findings;
    std::vector<float> out;
    std::vector<float> expected;
};

FaultResult run_fault(Fault fault) {
    emulator::clear_findings();
    const auto values = numbers(64);
    std::vector<float> expected(64);
    for (std::size_t i = 0; i < 64; ++i) expected[i] = values[(i + 32) % 64];
    float host = 0.0f;
    FaultResult result{{}, {}, {}, expected};
    {
        const DeviceArray<float> in(values);
        const DeviceArray<float> out(64);
        const DeviceArray<float> scratch(64);
        result.status = launch_fault({in.data(), out.data(), scratch.data(), &host, fault}, nullptr);
        result.out = out.values();
        result.findings = emulator::findings();
    }
    emulator::clear_findings();  // a wrecked guard is reported again when its memory is released
    return result;
}

bool equal(const std::vector<float>& a, const std::vector<float>& b) {  // no NaN equals anything
    for (std::size_t i = 0; i < a.size(); ++i)
        if (!(a[i] == b[i])) return false;
    return true;
}

using emulator::Instrument;

// The launch ends with one finding, by that instrument, whose text holds these words.
void check_found(Fault fault, Instrument instrument, const std::vector<const char*>& words) {
    under_each_schedule([&] {
        const FaultResult result = run_fault(fault);
        CHECK(result.status.code != 0);
        REQUIRE(result.findings.size() == 1);
        const std::string& text = result.findings.front().text;
        CAPTURE(text);
        CHECK(result.findings.front().instrument == instrument);
        CHECK(text == result.status.text());
        CHECK(text.find("kernel faulty") != std::string::npos);
        for (const char* word : words) CHECK_MESSAGE(text.find(word) != std::string::npos, word);
    });
}

}  // namespace

TEST_CASE("no fault, no finding") {
    under_each_schedule([] {
        const FaultResult result = run_fault(Fault::none);
        CHECK(result.findings.empty());
        CHECK(result.status.code == 0);
        CHECK(equal(result.out, result.expected));
        CHECK(run_fault(Fault::neighbour_byte).findings.empty());
        CHECK(run_fault(Fault::neighbour_half).findings.empty());
    });
}

TEST_CASE("faults found in fast and in checked kernels") {
    const auto check = [](Fault fault, Instrument instrument, const std::vector<const char*>& words) {
        CAPTURE(static_cast<int>(fault));
        check_found(fault, instrument, words);
    };
    check(Fault::divergent_block_barrier, Instrument::synccheck,
          {"block (0, 0)", "threads 0-31: block_barrier (kernels_for_tests.cu:", "threads 32-63: finished"});
    check(Fault::two_block_barriers, Instrument::synccheck, {"different barriers", "threads"});
    check(Fault::divergent_shuffle, Instrument::synccheck, {"thread 7: finished", "shuffle_xor"});
    check(Fault::different_collectives, Instrument::synccheck, {"warp_barrier", "shuffle_xor"});
    check(Fault::barrier_after_exit, Instrument::synccheck, {"threads 0-62: block_barrier", "thread 63: finished"});
    check(Fault::copy_left_behind, Instrument::synccheck, {"copy_async under way", "kernels_for_tests.cu:"});
    check(Fault::shared_overrun, Instrument::memcheck, {"block (0, 0)", "512 bytes of shared memory"});
    check(Fault::global_overrun, Instrument::memcheck, {"of 256 bytes"});
    check(Fault::global_underrun, Instrument::memcheck, {"of 256 bytes"});
}

TEST_CASE("faults that spoil results in fast kernels, and that checked kernels name") {
    struct Planted {
        Fault fault;
        Instrument instrument;
        std::vector<const char*> words;
    };
    const std::vector<Planted> planted = {
        {Fault::missing_block_barrier,
         Instrument::racecheck,
         {"of its 512 bytes of shared memory", "(kernels_for_tests.cu:"}},
        {Fault::missing_warp_barrier,
         Instrument::racecheck,
         {"of its 512 bytes of shared memory", "(kernels_for_tests.cu:"}},
        {Fault::missing_barrier_after_copy, Instrument::racecheck, {"of its 512 bytes of shared memory"}},
        {Fault::shared_read_overrun, Instrument::memcheck, {"thread 63", "reads 4 bytes at byte 512 of its 512"}},
        {Fault::global_read_overrun, Instrument::memcheck, {"thread 63", "at byte 256", "of 256 bytes"}},
        {Fault::uninitialised_shared, Instrument::initcheck, {"thread 63", "reads 4 bytes at byte 256 of its 512"}},
        {Fault::uninitialised_global, Instrument::initcheck, {"thread 63", "at byte 0", "of 256 bytes"}},
    };
    for (const Planted& one : planted) {
        CAPTURE(static_cast<int>(one.fault));
        if (emulator::checks_accesses()) {
            check_found(one.fault, one.instrument, one.words);
        } else {
            int spoilt = 0;  // of the schedules: whether a missing barrier shows depends on the order
            for (const emulator::Schedule& schedule : emulator::schedules()) {
                emulator::set_schedule(schedule);
                const FaultResult result = run_fault(one.fault);
                spoilt += !equal(result.out, result.expected);
            }
            CHECK(spoilt > 0);
        }
        emulator::set_schedule({});
    }
}

TEST_CASE("a missing copy_async_wait") {
    if (emulator::checks_accesses()) {
        check_found(Fault::missing_copy_wait, Instrument::racecheck, {"copy of thread", "is under way"});
    } else {
        check_found(Fault::missing_copy_wait, Instrument::synccheck, {"copy_async under way"});
    }
}

TEST_CASE("faults that only checked kernels find") {
    if (!emulator::checks_accesses()) return;  // test_emulator_checked runs it
    check_found(Fault::overwritten_while_copied, Instrument::racecheck, {"writes 4 bytes", "is under way"});
    check_found(Fault::blocks_collide, Instrument::racecheck, {"another block of this launch wrote"});
    check_found(Fault::read_only_written, Instrument::racecheck, {"read as constant"});
    check_found(Fault::misaligned, Instrument::memcheck, {"thread 0", "misaligned"});
    check_found(Fault::host_memory, Instrument::memcheck, {"thread 0", "memory of the host"});
    under_each_schedule([] {  // a wait forgotten for the last of several groups
        const DeviceArray<float> rows(numbers(2 * 256));
        const DeviceArray<float> sums(256);
        CHECK(launch_stages(64, {rows.data(), sums.data(), 2, true}, nullptr).code != 0);
        REQUIRE(emulator::findings().size() == 1);
        CHECK(emulator::findings().front().instrument == Instrument::racecheck);
        emulator::clear_findings();
    });
    under_each_schedule([] {  // partial sums that no fence makes known
        const DeviceArray<int> values(std::vector<int>(64, 1));
        const DeviceArray<int> partial(2);
        const DeviceArray<int> zeros(std::vector<int>{0, 0, 0});
        CHECK(launch_reduce(2, 32,
                            {values.data(), partial.data(), zeros.data(), zeros.data() + 1, zeros.data() + 2, true},
                            nullptr)
                  .code != 0);
        REQUIRE(emulator::findings().size() == 1);
        CHECK(emulator::findings().front().text.find("another block") != std::string::npos);
        emulator::clear_findings();
    });
    emulator::record_ordering_calls();
    const auto reduces = [] {
        const DeviceArray<int> values(std::vector<int>(64, 1));
        const DeviceArray<int> partial(2);
        const DeviceArray<int> zeros(std::vector<int>{0, 0, 0});
        return launch_reduce(
            2, 32, {values.data(), partial.data(), zeros.data(), zeros.data() + 1, zeros.data() + 2, false}, nullptr);
    };
    require(reduces());
    int fences = 0;
    for (const emulator::OrderingCall& call : emulator::ordering_calls()) {
        if (std::string(call.what) != "fence") continue;
        ++fences;
        under_each_schedule([&] {
            emulator::omit(&call);
            CHECK(reduces().code != 0);
            emulator::omit(nullptr);
            emulator::clear_findings();
        });
    }
    CHECK(fences == 2);  // before the ticket is drawn, and after
    void* released = nullptr;
    require(allocate(&released, 256));
    require(zero(released, 256, nullptr));
    release(released);
    const DeviceArray<float> out(64);
    CHECK(launch_fault({static_cast<float*>(released), out.data(), out.data(), nullptr, Fault::none}, nullptr).code !=
          0);
    REQUIRE(emulator::findings().size() == 1);
    CHECK(emulator::findings().front().text.find("which was released") != std::string::npos);
    emulator::clear_findings();
}

TEST_CASE("which accesses race") {
    if (!emulator::checks_accesses()) return;  // test_emulator_checked runs it
    const Step all_meet{Step::block_barrier};
    const Step warps_meet{Step::warp_barrier};
    const auto reads = [](int first, int last) { return Step{Step::read, first, last}; };
    const auto writes = [](int first, int last) { return Step{Step::write, first, last}; };
    const auto adds = [](int first, int last) { return Step{Step::add, first, last}; };
    struct Row {
        const char* what;
        bool race;
        std::vector<Step> steps;
    };
    const std::vector<Row> rows = {
        {"a thread by itself", false, {writes(3, 3), reads(3, 3), writes(3, 3)}},
        {"read after write", true, {writes(0, 0), reads(1, 1)}},
        {"read after write, block barrier", false, {writes(0, 0), all_meet, reads(0, 63)}},
        {"read after write, warp barrier", false, {writes(0, 0), warps_meet, reads(0, 31)}},
        {"read after write, warp barrier, another warp", true, {writes(0, 0), warps_meet, reads(33, 33)}},
        {"write after write", true, {writes(0, 1)}},
        {"write after write of another warp", true, {writes(0, 0), warps_meet, writes(32, 32)}},
        {"write after write, warp barrier", false, {writes(0, 0), warps_meet, writes(1, 1)}},
        {"write after read", true, {reads(0, 0), writes(1, 1)}},
        {"write after reads of all, block barrier", false, {reads(0, 63), all_meet, writes(5, 5)}},
        {"write after reads of all, warp barrier", true, {reads(0, 63), warps_meet, writes(5, 5)}},
        {"write after reads of a warp, warp barrier", false, {reads(0, 31), warps_meet, writes(5, 5)}},
        {"write by one of several readers", true, {reads(0, 1), writes(1, 1)}},
        {"write by the only reader", false, {reads(1, 1), warps_meet, writes(1, 1)}},
        {"reader of another warp before a warp barrier", true, {reads(0, 0), reads(33, 33), warps_meet, writes(1, 1)}},
        {"lanes before and after a warp barrier", true, {reads(0, 0), warps_meet, reads(1, 1), writes(2, 2)}},
        {"lanes before a warp barrier, the writer after", false, {reads(0, 2), warps_meet, reads(2, 2), writes(2, 2)}},
        {"barriers pass, conflicts stay", true, {all_meet, reads(0, 31), warps_meet, reads(40, 40), writes(0, 0)}},
        {"atomics", false, {adds(0, 63), adds(0, 63)}},
        {"read beside an atomic", true, {adds(0, 0), reads(1, 1)}},
        {"write beside an atomic", true, {adds(0, 0), writes(1, 1)}},
        {"atomic beside a read", true, {reads(0, 0), adds(1, 1)}},
        {"atomics, block barrier, reads", false, {adds(0, 63), all_meet, reads(0, 63)}},
        {"neighbouring bytes", false, {{Step::write, 0, 0, 0, 1}, {Step::write, 1, 1, 1, 1}}},
        {"a byte of a word", true, {{Step::write, 0, 0, 3, 1}, {Step::read, 1, 1, 0, 4}}},
        {"neighbouring words", false, {{Step::write, 0, 0, 0, 4}, {Step::write, 1, 1, 4, 4}}},
    };
    for (const Row& row : rows) {
        for (const bool in_shared_memory : {true, false}) {
            CAPTURE(row.what);
            CAPTURE(in_shared_memory);
            under_each_schedule([&] {
                std::vector<Step> list = {writes(0, 0), all_meet};  // so that every read finds something
                list.insert(list.end(), row.steps.begin(), row.steps.end());
                const DeviceArray<Step> device_steps(list);
                const DeviceArray<unsigned char> memory(64);
                const DeviceArray<int> sink(64);
                const Status status = launch_steps({device_steps.data(), static_cast<int>(list.size()),
                                                    in_shared_memory ? nullptr : memory.data(), sink.data()},
                                                   nullptr);
                const auto found = emulator::findings();
                emulator::clear_findings();
                CHECK((status.code != 0) == row.race);
                REQUIRE(found.size() == (row.race ? 1 : 0));
                if (row.race) CHECK(found.front().instrument == Instrument::racecheck);
            });
        }
    }
}
