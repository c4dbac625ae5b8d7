#include "block.h"

#include <sys/mman.h>

#include <algorithm>
#include <boost/context/detail/fcontext.hpp>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "memory.h"

namespace adasgn::cuda::emulator {

namespace context = boost::context::detail;

thread_local Fiber* current = nullptr;
thread_local bool failing = false;
Observer* observer = nullptr;

constexpr std::size_t page = 4096;

// Stacks of all threads, one below the other, each with an inaccessible page at its far end.
unsigned char* stacks() {
    static unsigned char* memory = [] {
        unsigned char* first = reserve(most_threads * stack_bytes, PROT_READ | PROT_WRITE);
        for (int i = 0; i < most_threads; ++i) mprotect(first + i * stack_bytes, page, PROT_NONE);
        return first;
    }();
    return memory;
}

namespace {

// Tops a few cache lines apart, so that the fibers of a warp do not fight for the same cache sets.
unsigned char* stack_top(int thread) {
    return stacks() + (static_cast<std::size_t>(thread) + 1) * stack_bytes - (thread % lanes) * 1088;
}

constexpr int no_thread = -1;

const char* name(Wait wait) {
    switch (wait) {
        case Wait::none:
            return "could run";
        case Wait::block_barrier:
            return "block_barrier";
        case Wait::warp_barrier:
            return "warp_barrier";
        case Wait::shuffle:
            return "shuffle_xor";
        case Wait::ballot:
            return "ballot";
        case Wait::load_matrix:
            return "load_matrix";
        case Wait::multiply_add:
            return "multiply_add";
        case Wait::finished:
            return "finished";
    }
    return "";
}

const char* name(Instrument instrument) {
    switch (instrument) {
        case Instrument::synccheck:
            return "synccheck";
        case Instrument::memcheck:
            return "memcheck";
        case Instrument::initcheck:
            return "initcheck";
        case Instrument::racecheck:
            return "racecheck";
    }
    return "";
}

// The same line may be two pointers where a header's function was compiled twice.
bool elsewhere(const Fiber& fiber, const char* file, int line) {
    return fiber.line != line || (fiber.file != file && std::strcmp(fiber.file, file) != 0);
}

int lowest(std::uint32_t bits) {
    return __builtin_ctz(bits);
}
int highest(std::uint32_t bits) {
    return 31 - __builtin_clz(bits);
}

int nth(std::uint32_t bits, unsigned n) {
    for (; n > 0; --n) bits &= bits - 1;
    return lowest(bits);
}

}  // namespace

Machine& machine() {
    static Machine one;
    return one;
}

std::uint64_t Machine::random() {  // xorshift64*
    random_state_ ^= random_state_ >> 12;
    random_state_ ^= random_state_ << 25;
    random_state_ ^= random_state_ >> 27;
    return (random_state_ * 0x2545f4914f6cdd1dull) >> 32;
}

// Fibers.

struct Entry {
    static void run(context::transfer_t from) {
        static_cast<Fiber*>(from.data)->context = from.fctx;
        machine().run_fiber(*current);
    }
};

void Machine::switch_to(Fiber& fiber) {
    Fiber* self = current != nullptr ? current : &host_;
    current = &fiber == &host_ ? nullptr : &fiber;
    const context::transfer_t from = context::jump_fcontext(fiber.context, self);
    static_cast<Fiber*>(from.data)->context = from.fctx;
}

void Machine::run_fiber(Fiber& fiber) {
    launch_->invoke(launch_->kernel, launch_->parameters);
    if (!fiber.copies.empty()) {
        fail(Instrument::synccheck, fiber.thread, "ends with copy_async under way: no copy_async_wait waits for it",
             fiber.copies.front().origin);
    }
    ++finished_;
    wait(fiber, Wait::finished, nullptr, 0);
    run_next();
    std::abort();  // a finished fiber is never resumed
}

Fiber* Machine::next() {
    if (ready_warps_ == 0) return nullptr;
    int warp = 0;
    int lane = 0;
    switch (schedule.order) {
        case Order::ascending:
            warp = lowest(ready_warps_);
            lane = lowest(warps_[warp].ready);
            break;
        case Order::descending:
            warp = highest(ready_warps_);
            lane = highest(warps_[warp].ready);
            break;
        case Order::random:
            warp = nth(ready_warps_, random() % static_cast<unsigned>(__builtin_popcount(ready_warps_)));
            lane = nth(warps_[warp].ready, random() % static_cast<unsigned>(__builtin_popcount(warps_[warp].ready)));
            break;
    }
    return &fibers_[warp * lanes + lane];
}

void Machine::run_next() {
    Fiber* fiber = next();
    if (fiber == current) return;
    if (fiber == nullptr) {
        if (finished_ == launch_->threads && !waited_)
            fail(
                Instrument::synccheck, no_thread,
                "ends without wait_for_previous_kernel: the next kernel could not know that those before this one have "
                "ended",
                Origin{});
        if (finished_ == launch_->threads) switch_to(host_);
        fail(Instrument::synccheck, no_thread, "the threads wait for each other", Origin{}, true);
    }
    switch_to(*fiber);
}

void Machine::wait(Fiber& fiber, Wait kind, const char* file, int line) {
    fiber.wait = kind;
    fiber.file = file;
    fiber.line = line;
    Warp& warp = warps_[fiber.thread / lanes];
    warp.ready &= ~(1u << fiber.thread % lanes);
    if (warp.ready == 0) ready_warps_ &= ~(1u << fiber.thread / lanes);
}

void Machine::make_ready(int warp, std::uint32_t which) {
    warps_[warp].ready |= which;
    ready_warps_ |= 1u << warp;
    for (std::uint32_t rest = which; rest != 0; rest &= rest - 1)
        fibers_[warp * lanes + lowest(rest)].wait = Wait::none;
}

// Collectives.

void Machine::join_warp(Wait kind, const char* file, int line, void* payload, void (*complete)(Warp&)) {
    Fiber& fiber = *current;
    const int number = fiber.thread / lanes;
    Warp& warp = warps_[number];
    wait(fiber, kind, file, line);
    if (warp.arrived == 0) {
        warp.first = &fiber;
    } else if (warp.first->wait != kind || elsewhere(*warp.first, file, line)) {
        fail(Instrument::synccheck, fiber.thread, "another lane of its warp is elsewhere", Origin{file, line, nullptr},
             true);
    }
    warp.payload[fiber.thread % lanes] = payload;
    warp.arrived |= 1u << fiber.thread % lanes;
    if (warp.arrived == all_lanes) {
        warp.arrived = 0;
        complete(warp);
        make_ready(number, all_lanes);
    }
    run_next();
}

void Machine::join_block(const char* file, int line) {
    Fiber& fiber = *current;
    wait(fiber, Wait::block_barrier, file, line);
    if (arrived_ == 0) {
        first_at_barrier_ = &fiber;
    } else if (elsewhere(*first_at_barrier_, file, line)) {
        fail(Instrument::synccheck, fiber.thread, "the block meets at different barriers", Origin{file, line, nullptr},
             true);
    }
    if (++arrived_ == launch_->threads) {
        arrived_ = 0;
        if (observer != nullptr) observer->block_barrier();
        if (waited_)
            for (int thread = 0; thread < launch_->threads; ++thread) fibers_[thread].waited = true;
        for (int warp = 0; warp * lanes < launch_->threads; ++warp) {
            const int members = std::min(lanes, launch_->threads - warp * lanes);
            make_ready(warp, all_lanes >> (lanes - members));
        }
    }
    run_next();
}

void Machine::wait_for_previous_kernel() {
    current->waited = waited_ = true;
}

void Machine::let_next_kernel_start() {
    if (!next_started_ && !current->waited) next_starts_early_ = true;
    next_started_ = true;
}

// Blocks.

bool Machine::run_block() {
    const int threads = launch_->threads;
    finished_ = arrived_ = 0;
    next_started_ = false;
    waited_ = launch_->overlap == Overlap::none;
    ready_warps_ = 0;
    copies_at_once_ = schedule.order == Order::random && random() % 2 == 0;
    unsigned char* shared = shared_buffer();
    const std::size_t shared_bytes = (launch_->shared_bytes + 15) / 16 * 16;  // all of a 16-byte access, if any
    fill_poison(shared - shared_guard, shared_bytes + 2 * shared_guard);
    if (observer != nullptr) observer->block_begins(launch_->shared_bytes);
    for (int thread = 0; thread < threads; ++thread) {
        Fiber& fiber = fibers_[thread];
        fiber.thread = thread;
        fiber.stack = reinterpret_cast<std::uintptr_t>(stacks()) + static_cast<std::size_t>(thread) * stack_bytes;
        fiber.group = 0;
        fiber.copies.clear();
        fiber.waited = waited_;
        fiber.context = context::make_fcontext(stack_top(thread), stack_bytes - lanes * 1088 - page, Entry::run);
    }
    for (int warp = 0; warp * lanes < threads; ++warp) {
        warps_[warp].arrived = 0;
        warps_[warp].ready = 0;
        make_ready(warp, all_lanes >> (lanes - std::min(lanes, threads - warp * lanes)));
    }
    switch_to(*next());
    failing = false;
    if (failed_) return false;
    std::string wrecked;
    if (!is_poison(shared - shared_guard, shared_guard)) wrecked = "before the start";
    const std::size_t odd = launch_->shared_bytes % 2;
    const unsigned char* end = shared + launch_->shared_bytes + odd;
    if (!is_poison(end, static_cast<std::size_t>(shared + shared_bytes + shared_guard - end)))
        wrecked = "behind the end";
    if (!wrecked.empty()) {
        findings.push_back({Instrument::memcheck, "memcheck: " + kernel_and_block() + ": wrote " + wrecked +
                                                      " of its " + std::to_string(launch_->shared_bytes) +
                                                      " bytes of shared memory"});
        return false;
    }
    return true;
}

bool Machine::run(const Launch& launch) {
    launch_ = &launch;
    failed_ = failing = next_starts_early_ = false;
    random_state_ = schedule.seed * 0x9e3779b97f4a7c15ull | 1u;
    std::vector<int> order(static_cast<std::size_t>(launch.grid.x) * static_cast<std::size_t>(launch.grid.y));
    std::iota(order.begin(), order.end(), 0);
    if (schedule.order == Order::descending) std::reverse(order.begin(), order.end());
    if (schedule.order == Order::random)
        for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
    for (const int block : order) {
        block_x_ = block % launch.grid.x;
        block_y_ = block / launch.grid.x;
        if (!run_block()) return false;
    }
    return true;
}

// Findings.

std::string Machine::kernel_and_block() const {
    return "kernel " + function_name(launch_->kernel) + ", block (" + std::to_string(block_x_) + ", " +
           std::to_string(block_y_) + ")";
}

std::string Machine::who_waits() const {
    std::string text;
    for (int first = 0; first < launch_->threads;) {
        const Fiber& fiber = fibers_[first];
        int last = first;
        while (last + 1 < launch_->threads && fibers_[last + 1].wait == fiber.wait &&
               (fiber.wait == Wait::none || fibers_[last + 1].line == fiber.line))
            ++last;
        text += text.empty() ? "" : ", ";
        text += first == last ? "thread " + std::to_string(first)
                              : "threads " + std::to_string(first) + "-" + std::to_string(last);
        text += std::string(": ") + name(fiber.wait);
        if (fiber.file != nullptr && fiber.wait != Wait::none) text += place(Origin{fiber.file, fiber.line, nullptr});
        first = last + 1;
    }
    return text;
}

void Machine::fail(Instrument instrument, int thread, const char* what, const Origin& origin, bool tell_who_waits) {
    failing = true;
    std::string text = std::string(name(instrument)) + ": " + kernel_and_block();
    if (thread != no_thread) text += ", thread " + std::to_string(thread) + place(origin);
    text += std::string(": ") + what;
    if (tell_who_waits) text += ": " + who_waits();
    findings.push_back({instrument, text});
    failed_ = true;
    switch_to(host_);  // the block's fibers stay where they are: kernels own nothing
    std::abort();
}

}  // namespace adasgn::cuda::emulator
