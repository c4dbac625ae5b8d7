// Work of streams that nothing orders, and kernels that start before the one before them has ended: what may run at the
// same time must not touch the same memory, which checked kernels find.
#include <cmath>
#include <cstring>
#include <functional>

#include "order_kernels.h"
#include "test_support.h"

using namespace adasgn::cuda;
using namespace adasgn::cuda::tests;
namespace emulator = adasgn::cuda::emulator;
using emulator::Instrument;

namespace {

constexpr std::size_t array_bytes = order_threads * sizeof(float);

struct OwnedEvent {
    Event event = nullptr;
    OwnedEvent() { require(create_ordering_event(event)); }
    OwnedEvent(const OwnedEvent&) = delete;
    ~OwnedEvent() { destroy_event(event); }
};

// A producer's stream and a consumer's, and memory that both use.
struct Two {
    Stream side = nullptr;
    Stream own = nullptr;
    Stream third = nullptr;
    DeviceArray<float> in{numbers(order_threads)};
    DeviceArray<float> shared{numbers(order_threads, 3.0f)};
    DeviceArray<float> mine{numbers(order_threads)};
    DeviceArray<float> other{numbers(order_threads)};
    void* pinned = nullptr;
    OwnedEvent event;
    OwnedEvent second;

    Two() {
        for (Stream* stream : {&side, &own, &third}) require(create_stream(*stream));
        require(allocate_pinned(&pinned, array_bytes));
        std::memset(pinned, 0, array_bytes);
    }
    Two(const Two&) = delete;
    ~Two() {
        static_cast<void>(synchronise_device());
        for (Stream stream : {side, own, third}) destroy_stream(stream);
        release_pinned(pinned);
    }

    // Pieces of work. Those that a test expects to be found return the failure.
    Status write(Stream stream) const { return launch_double({in.data(), shared.data()}, stream); }
    Status read(Stream stream, const DeviceArray<float>& to) const {
        return copy_on_device(to.data(), shared.data(), array_bytes, stream);
    }
    Status read_by_kernel(Stream stream) const { return launch_double({shared.data(), mine.data()}, stream); }
    void after(Stream waits, Stream stream, const OwnedEvent& mark) const {
        require(record_event(mark.event, stream));
        require(wait_event(waits, mark.event));
    }
};

// The call fails with a finding of the checked kernels whose text holds the words; fast ones see nothing.
void expect_race(Status status, const std::vector<std::string>& words) {
    const std::vector<emulator::Finding> found = emulator::findings();
    emulator::clear_findings();
    CHECK((status.code != 0) == emulator::checks_accesses());
    REQUIRE(found.size() == (emulator::checks_accesses() ? 1 : 0));
    if (found.empty()) return;
    CAPTURE(found.front().text);
    CHECK(found.front().instrument == Instrument::racecheck);
    CHECK(found.front().text == status.text());
    for (const std::string& word : words) CHECK_MESSAGE(found.front().text.find(word) != std::string::npos, word);
}

}  // namespace

TEST_CASE("an array that a kernel of another stream is still writing") {
    under_each_schedule([] {
        const Two two;
        require(two.write(two.side));
        expect_race(two.read(two.own, two.mine),
                    {"copy_on_device of stream", "reads byte 0 of allocation",
                     "of 256 bytes, which kernel twice of stream", "wrote, with no event"});
        expect_race(two.read_by_kernel(two.own), {"kernel twice, block (0, 0), thread", "(order_kernels.cu:",
                                                  "reads 4 bytes at byte", "which kernel twice of stream", "wrote"});
        expect_race(two.read(nullptr, two.mine), {"copy_on_device of the default stream"});
        require(two.write(two.side));  // its own stream: in order
    });
}

TEST_CASE("an array that is still being read when another stream writes it") {
    under_each_schedule([] {
        const Two two;
        require(two.read(two.side, two.mine));
        expect_race(two.write(two.own),
                    {"kernel twice, block", "writes 4 bytes", "which copy_on_device of stream", "read, with no event"});
        require(synchronise(two.side));
        require(two.write(two.own));
        require(synchronise(two.own));
        require(two.read_by_kernel(two.side));
        expect_race(zero(two.shared.data(), 4, two.own), {"zero of stream", "writes byte 0", "kernel twice of stream"});
    });
}

TEST_CASE("an array that is not yet uploaded") {
    under_each_schedule([] {
        const Two two;
        const std::vector<float> values = numbers(order_threads);
        require(copy_to_device(two.shared.data(), values.data(), array_bytes, nullptr));
        expect_race(two.read_by_kernel(two.own), {"which copy_to_device of the default stream wrote"});
        require(synchronise(nullptr));
        require(two.read_by_kernel(two.own));
    });
}

TEST_CASE("what orders work of two streams") {
    const std::vector<std::pair<const char*, std::function<void(const Two&)>>> ways = {
        {"an event", [](const Two& two) { two.after(two.own, two.side, two.event); }},
        {"two events, by way of a third stream",
         [](const Two& two) {
             two.after(two.third, two.side, two.event);
             two.after(two.own, two.third, two.second);
         }},
        {"synchronise", [](const Two& two) { require(synchronise(two.side)); }},
        {"synchronise_device", [](const Two&) { require(synchronise_device()); }},
        {"a copy to pageable memory, after which the call returns",
         [](const Two& two) {
             float value = 0.0f;
             require(copy_to_host(&value, two.other.data(), sizeof value, two.side));
         }},
    };
    for (const auto& [name, way] : ways) {
        CAPTURE(name);
        under_each_schedule([&order = way] {
            const Two two;
            require(two.write(two.side));
            order(two);
            require(two.read(two.own, two.mine));
            require(two.read_by_kernel(two.own));
        });
        under_each_schedule([&order = way] {
            const Two two;
            require(two.read(two.side, two.mine));
            order(two);
            require(two.write(two.own));
        });
    }
}

TEST_CASE("what does not order them") {
    const std::vector<std::pair<const char*, std::function<void(const Two&)>>> ways = {
        {"nothing", [](const Two&) {}},
        {"an event that was never recorded", [](const Two& two) { require(wait_event(two.own, two.event.event)); }},
        {"an event that nobody waits for", [](const Two& two) { require(record_event(two.event.event, two.side)); }},
        {"an event of a third stream", [](const Two& two) { two.after(two.own, two.third, two.event); }},
        {"synchronise with another stream", [](const Two& two) { require(synchronise(two.own)); }},
        {"a copy to pinned memory",
         [](const Two& two) { require(copy_to_host(two.pinned, two.other.data(), array_bytes, two.side)); }},
    };
    for (const auto& [name, way] : ways) {
        CAPTURE(name);
        under_each_schedule([&order = way] {
            const Two two;
            require(two.write(two.side));
            order(two);
            expect_race(two.read(two.own, two.mine), {"with no event or synchronise"});
        });
    }
    under_each_schedule([] {  // an event before the work
        const Two two;
        require(record_event(two.event.event, two.side));
        require(two.write(two.side));
        require(wait_event(two.own, two.event.event));
        expect_race(two.read(two.own, two.mine), {"with no event or synchronise"});
    });
}

TEST_CASE("a writer that waits for one of two readers") {
    under_each_schedule([] {
        const Two two;
        for (const bool first_alone : {true, false}) {
            require(two.read(two.side, two.mine));
            require(two.read(two.third, two.other));
            two.after(two.own, first_alone ? two.side : two.third, two.event);
            expect_race(two.write(two.own), {"writes 4 bytes", "which copy_on_device of stream", "read"});
            two.after(two.own, two.side, two.event);
            two.after(two.own, two.third, two.event);
            require(two.write(two.own));
            require(synchronise_device());
        }
    });
}

TEST_CASE("pinned memory that two streams copy to, or that is copied from while it is written") {
    under_each_schedule([] {
        const Two two;
        require(copy_to_host(two.pinned, two.mine.data(), array_bytes, two.side));
        expect_race(copy_to_host(two.pinned, two.other.data(), array_bytes, two.own),
                    {"copy_to_host of stream", "writes byte 0", "which copy_to_host of stream", "wrote"});
        expect_race(copy_to_device(two.shared.data(), two.pinned, array_bytes, two.own), {"copy_to_device of stream"});
        require(synchronise(two.side));
        require(copy_to_device(two.shared.data(), two.pinned, array_bytes, two.own));
    });
}

TEST_CASE("the host finds what was copied to it when it has waited") {
    under_each_schedule([] {
        const Two two;
        const auto* const host = static_cast<const float*>(two.pinned);
        const std::vector<float> values = numbers(order_threads);
        const auto arrived = [&] { return std::memcmp(host, values.data(), array_bytes) == 0; };
        require(copy_to_host(two.pinned, two.mine.data(), array_bytes, two.side));
        CHECK(std::isnan(host[0]));
        require(synchronise(two.own));
        CHECK(std::isnan(host[order_threads - 1]));
        require(copy_to_device(two.shared.data(), two.pinned, array_bytes, two.side));  // the device has it
        CHECK(std::isnan(host[0]));
        require(synchronise(two.side));
        CHECK(arrived());
        require(two.read_by_kernel(two.side));
        CHECK(two.shared.values() == values);
        CHECK(arrived());
    });
}

TEST_CASE("a graph is work of the stream that it is launched in") {
    under_each_schedule([] {
        const Two two;
        require(begin_capture(two.third));
        require(two.write(two.third));
        require(two.read_by_kernel(two.third));
        GraphHandle* graph = nullptr;
        require(end_capture(two.third, graph));
        require(launch_graph(graph, two.side));
        expect_race(two.read(two.own, two.other), {"which kernel twice of stream"});
        expect_race(two.read(two.third, two.other), {"which kernel twice of stream"});
        two.after(two.own, two.side, two.event);
        require(two.read(two.own, two.other));
        expect_race(launch_graph(graph, two.side), {"which copy_on_device of stream", "read"});
        require(synchronise_device());
        require(launch_graph(graph, two.side));
        destroy_graph(graph);
    });
}

TEST_CASE("events in captures, and events without a time") {
    const Two two;
    Event timed = nullptr;
    require(create_event(timed));
    double microseconds = 0;
    CHECK(elapsed(microseconds, timed, timed).code != 0);  // not recorded
    require(two.write(two.side));
    require(record_event(timed, two.side));
    CHECK(std::strcmp(elapsed(microseconds, timed, timed).text(), "device not ready") == 0);
    require(synchronise(two.side));
    require(elapsed(microseconds, timed, timed));
    require(record_event(two.event.event, two.side));
    require(synchronise(two.side));
    CHECK(elapsed(microseconds, two.event.event, timed).code != 0);  // keeps no time

    GraphHandle* graph = nullptr;
    require(begin_capture(two.own));
    require(record_event(two.second.event, two.own));
    require(wait_event(two.own, two.second.event));
    CHECK(wait_event(two.side, two.second.event).code != 0);  // would draw the side stream into the capture
    require(two.read(two.own, two.mine));
    require(end_capture(two.own, graph));
    destroy_graph(graph);
    CHECK(wait_event(two.side, two.second.event).code != 0);

    require(begin_capture(two.own));
    CHECK(wait_event(two.own, two.event.event).code != 0);  // of outside
    CHECK(end_capture(two.own, graph).code != 0);
    require(begin_capture(two.own));
    CHECK(synchronise_device().code != 0);
    CHECK(end_capture(two.own, graph).code != 0);
    destroy_event(timed);
    CHECK(emulator::findings().empty());
}

namespace {

struct Chain {
    Stream stream = nullptr;
    DeviceArray<float> weights{numbers(order_threads)};
    DeviceArray<float> first{numbers(order_threads)};
    DeviceArray<float> second{numbers(order_threads)};
    DeviceArray<float> third{numbers(order_threads)};

    Chain() { require(create_stream(stream)); }
    Chain(const Chain&) = delete;
    ~Chain() {
        static_cast<void>(synchronise_device());
        destroy_stream(stream);
    }

    Status run(const DeviceArray<float>& in, const DeviceArray<float>& out, Link link = Link::correct,
               bool hurries = true, Overlap overlap = Overlap::with_previous) const {
        return launch_link({weights.data(), in.data(), out.data(), link, hurries}, overlap, stream);
    }
};

}  // namespace

TEST_CASE("which devices, drivers and runtimes start kernels early, in graphs too") {
    CHECK(can_overlap(9, 12030, 12030));
    CHECK(can_overlap(12, 13000, 12060));
    CHECK_FALSE(can_overlap(8, 13000, 13000));
    CHECK_FALSE(can_overlap(9, 12020, 12060));
    CHECK_FALSE(can_overlap(9, 12060, 12020));
}

TEST_CASE("a chain of kernels that start early") {
    under_each_schedule([] {
        const Chain chain;
        for (const Link link : {Link::correct, Link::one_thread_waits}) {
            for (const bool hurries : {true, false}) {
                require(zero(chain.second.data(), array_bytes, chain.stream));
                require(chain.run(chain.first, chain.second, link, hurries, Overlap::none));
                require(chain.run(chain.second, chain.third, link, hurries));
                require(chain.run(chain.third, chain.first, link, hurries));
                require(chain.run(chain.first, chain.second, link, hurries));
            }
        }
        require(synchronise(chain.stream));
        const std::vector<float> values = numbers(order_threads);
        const std::vector<float> result = chain.second.values();
        for (std::size_t i = 0; i < values.size(); ++i) {
            float expected = values[i];
            for (int round = 0; round < 4; ++round) {
                for (int step = 0; step < 3; ++step) expected *= values[i];  // to first
            }
            CHECK(result[i] == expected * values[i]);
        }
    });
}

TEST_CASE("faults of kernels that start early") {
    under_each_schedule([] {
        const Chain chain;
        require(chain.run(chain.first, chain.second, Link::correct, true, Overlap::none));
        expect_race(chain.run(chain.second, chain.third, Link::reads_early),
                    {"kernel link, block (0, 0), thread", "(order_kernels.cu:", "reads 4 bytes", "which kernel link of",
                     "wrote, with no wait_for_previous_kernel in between"});
    });
    under_each_schedule([] {
        const Chain chain;
        require(chain.run(chain.first, chain.second, Link::correct, true, Overlap::none));
        expect_race(chain.run(chain.second, chain.third, Link::no_barrier),
                    {"reads 4 bytes", "with no wait_for_previous_kernel in between"});
    });
    under_each_schedule([] {
        const Chain chain;
        require(chain.run(chain.first, chain.second, Link::correct, true, Overlap::none));
        require(chain.run(chain.first, chain.third, Link::reads_constant));
        require(zero(chain.third.data(), array_bytes, chain.stream));
        require(chain.run(chain.third, chain.second, Link::reads_constant));
        expect_race(chain.run(chain.second, chain.third, Link::reads_constant),
                    {"reads 4 bytes", "read as constant, which kernel link of", "wrote, perhaps after this kernel"});
    });
    under_each_schedule([] {  // what the kernel before reads
        const Chain chain;
        require(chain.run(chain.first, chain.second, Link::correct, true, Overlap::none));
        expect_race(chain.run(chain.second, chain.first, Link::writes_early),
                    {"writes 4 bytes", "which kernel link of", "read, with no wait_for_previous_kernel in between"});
    });
    under_each_schedule([] {  // what it writes
        const Chain chain;
        require(chain.run(chain.first, chain.second, Link::correct, true, Overlap::none));
        expect_race(chain.run(chain.third, chain.second, Link::writes_early),
                    {"writes 4 bytes", "which kernel link of", "wrote, with no wait_for_previous_kernel in between"});
    });
    under_each_schedule([] {  // the weights, read early by the kernel before and by this one
        const Chain chain;
        require(chain.run(chain.first, chain.second, Link::correct, true, Overlap::none));
        require(chain.run(chain.second, chain.third));
        expect_race(chain.run(chain.second, chain.weights, Link::writes_early),
                    {"writes 4 bytes", "which kernel link of", "read, with no wait_for_previous_kernel in between"});
    });
}

TEST_CASE("how far back a kernel that starts early must wait") {
    const auto third_reads_early = [](const Chain& chain, bool hurries) {
        require(chain.run(chain.first, chain.second, Link::correct, hurries, Overlap::none));
        require(chain.run(chain.first, chain.third, Link::correct, hurries));
        return chain.run(chain.second, chain.third, Link::reads_early);  // what the first of the three has written
    };
    under_each_schedule([&] {  // the second has started, and lets the third start, while the first runs
        const Chain chain;
        expect_race(third_reads_early(chain, true), {"reads 4 bytes", "with no wait_for_previous_kernel in between"});
    });
    under_each_schedule([&] {  // the second has waited for the first before it lets the third start
        const Chain chain;
        require(third_reads_early(chain, false));
    });
    under_each_schedule([] {  // only kernels let the next one start early
        const Chain chain;
        require(zero(chain.second.data(), array_bytes, chain.stream));
        require(chain.run(chain.second, chain.third, Link::reads_early));
        require(begin_capture(chain.stream));
        require(chain.run(chain.third, chain.second, Link::reads_early));
        GraphHandle* graph = nullptr;
        require(end_capture(chain.stream, graph));
        require(launch_graph(graph, chain.stream));
        require(chain.run(chain.second, chain.third, Link::reads_early));
        destroy_graph(graph);
    });
}

TEST_CASE("a kernel that starts early and ends without having waited") {
    under_each_schedule([] {
        const Chain chain;
        require(chain.run(chain.first, chain.second, Link::never_waits, true, Overlap::none));
        CHECK(emulator::findings().empty());
        const Status status = chain.run(chain.first, chain.second, Link::never_waits);
        CHECK(status.code != 0);
        REQUIRE(emulator::findings().size() == 1);
        CHECK(emulator::findings().front().instrument == Instrument::synccheck);
        CHECK(emulator::findings().front().text.find("ends without wait_for_previous_kernel") != std::string::npos);
        emulator::clear_findings();
    });
}
