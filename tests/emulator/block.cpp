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

// Stacks of all threads, one below the other. Those of a single block have an inaccessible page at their far end each,
// of the rest one in 16, as a process may only have so many pieces of memory.
unsigned char* stacks() {
    static unsigned char* memory = [] {
        unsigned char* first = reserve(stack_count * stack_bytes, PROT_READ | PROT_WRITE);
        for (std::size_t i = 0; i < stack_count; i += i < most_threads ? 1 : 16)
            mprotect(first + i * stack_bytes, page, PROT_NONE);
        return first;
    }();
    return memory;
}

namespace {

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
        case Wait::flag:
            return "wait_until_at_least";
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
    if (current != nullptr && current->block != present_) {
        present_ = current->block;
        if (observer != nullptr) observer->block_runs(present_->number);
    }
    const context::transfer_t from = context::jump_fcontext(fiber.context, self);
    static_cast<Fiber*>(from.data)->context = from.fctx;
}

void Machine::run_fiber(Fiber& fiber) {
    launch_->invoke(launch_->kernel, launch_->parameters);
    if (!fiber.copies.empty()) {
        fail(Instrument::synccheck, fiber.thread, "ends with copy_async under way: no copy_async_wait waits for it",
             fiber.copies.front().origin);
    }
    Block& block = *fiber.block;
    if (++block.finished == launch_->threads) {
        ++finished_;
        if (!block.waited)
            fail(Instrument::synccheck, no_thread,
                 "ends without wait_for_previous_kernel: the next kernel could not know that those before this one "
                 "have ended",
                 Origin{});
    }
    wait(fiber, Wait::finished, nullptr, 0);
    run_next();
    std::abort();  // a finished fiber is never resumed
}

// A thread of the block that could run.
Fiber* Machine::next_of(Block& block) {
    for (std::size_t i = block.parked.size(); i-- > 0;) {
        Fiber& fiber = *block.parked[i];
        if (*fiber.flag < fiber.value) continue;
        make_ready(block, fiber.thread / lanes, 1u << fiber.thread % lanes);
        block.parked.erase(block.parked.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (block.ready_warps == 0) return nullptr;
    int warp = 0;
    int lane = 0;
    switch (schedule.order) {
        case Order::ascending:
            warp = lowest(block.ready_warps);
            lane = lowest(block.warps[warp].ready);
            break;
        case Order::descending:
            warp = highest(block.ready_warps);
            lane = highest(block.warps[warp].ready);
            break;
        case Order::random:
            warp = nth(block.ready_warps, random() % static_cast<unsigned>(__builtin_popcount(block.ready_warps)));
            const std::uint32_t ready = block.warps[warp].ready;
            lane = nth(ready, random() % static_cast<unsigned>(__builtin_popcount(ready)));
            break;
    }
    return &block.fibers[static_cast<std::size_t>(warp * lanes + lane)];
}

// Of the present block as long as one can run, but by chance of another; else of the first block of the order.
Fiber* Machine::next() {
    constexpr unsigned one_in = 8;
    const bool by_chance = count_ > 1 && schedule.order == Order::random;
    if (!by_chance || random() % one_in != 0)
        if (Fiber* fiber = next_of(*present_)) return fiber;
    const int first = by_chance ? static_cast<int>(random() % static_cast<unsigned>(count_)) : 0;
    for (int i = 0; i < count_; ++i)
        if (Fiber* fiber = next_of(*blocks_[static_cast<std::size_t>((first + i) % count_)])) return fiber;
    return nullptr;
}

void Machine::run_next() {
    Fiber* fiber = next();
    if (fiber == current) return;
    if (fiber == nullptr) {
        if (finished_ == count_) switch_to(host_);
        nobody_can_run();
    }
    switch_to(*fiber);
}

void Machine::nobody_can_run() {
    failing = true;
    const Fiber* waiting = nullptr;  // for a flag
    std::string blocks;
    int listed = 0;
    for (int i = 0; i < count_; ++i) {
        const Block& block = *blocks_[static_cast<std::size_t>(i)];
        if (block.finished == launch_->threads) continue;
        if (waiting == nullptr && !block.parked.empty()) waiting = block.parked.front();
        if (++listed > 8) continue;
        blocks += "; block (" + std::to_string(block.x) + ", " + std::to_string(block.y) + "): " + who_waits(block);
    }
    if (listed > 8) blocks += "; and " + std::to_string(listed - 8) + " more blocks";
    if (waiting == nullptr) fail(Instrument::synccheck, no_thread, "the threads wait for each other", Origin{}, true);
    present_ = waiting->block;
    const Origin origin{waiting->file, waiting->line, nullptr};
    if (launch_->resident)
        fail(Instrument::synccheck, waiting->thread, ("blocks wait for each other" + blocks).c_str(), origin);
    fail(Instrument::synccheck, waiting->thread, "waits for another block, in a launch that need not be resident",
         origin, true);
}

void Machine::wait(Fiber& fiber, Wait kind, const char* file, int line) {
    fiber.wait = kind;
    fiber.file = file;
    fiber.line = line;
    Block& block = *fiber.block;
    Warp& warp = block.warps[fiber.thread / lanes];
    warp.ready &= ~(1u << fiber.thread % lanes);
    if (warp.ready == 0) block.ready_warps &= ~(1u << fiber.thread / lanes);
}

void Machine::make_ready(Block& block, int warp, std::uint32_t which) {
    block.warps[warp].ready |= which;
    block.ready_warps |= 1u << warp;
    for (std::uint32_t rest = which; rest != 0; rest &= rest - 1)
        block.fibers[static_cast<std::size_t>(warp * lanes + lowest(rest))].wait = Wait::none;
}

// Collectives.

void Machine::join_warp(Wait kind, const char* file, int line, void* payload, void (*complete)(Warp&)) {
    Fiber& fiber = *current;
    const int number = fiber.thread / lanes;
    Block& block = *fiber.block;
    Warp& warp = block.warps[number];
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
        make_ready(block, number, all_lanes);
    }
    run_next();
}

void Machine::join_block(const char* file, int line) {
    Fiber& fiber = *current;
    Block& block = *fiber.block;
    wait(fiber, Wait::block_barrier, file, line);
    if (block.arrived == 0) {
        block.first_at_barrier = &fiber;
    } else if (elsewhere(*block.first_at_barrier, file, line)) {
        fail(Instrument::synccheck, fiber.thread, "the block meets at different barriers", Origin{file, line, nullptr},
             true);
    }
    if (++block.arrived == launch_->threads) {
        block.arrived = 0;
        if (observer != nullptr) observer->block_barrier();
        if (block.waited)
            for (Fiber& each : block.fibers) each.waited = true;
        for (int warp = 0; warp * lanes < launch_->threads; ++warp) {
            const int members = std::min(lanes, launch_->threads - warp * lanes);
            make_ready(block, warp, all_lanes >> (lanes - members));
        }
    }
    run_next();
}

void Machine::wait_for_flag(const int* flag, int value, const char* file, int line) {
    Fiber& fiber = *current;
    while (*flag < value) {
        fiber.flag = flag;
        fiber.value = value;
        wait(fiber, Wait::flag, file, line);
        fiber.block->parked.push_back(&fiber);
        run_next();
    }
}

void Machine::wait_for_previous_kernel() {
    current->waited = current->block->waited = true;
}

void Machine::let_next_kernel_start() {
    Block& block = *current->block;
    if (!block.next_started && !current->waited) next_starts_early_ = true;
    block.next_started = true;
}

// Blocks.

void Machine::set_up(Block& block, int number, int index) {
    const int threads = launch_->threads;
    block.number = number;
    block.x = index % launch_->grid.x;
    block.y = index / launch_->grid.x;
    block.shared = shared_buffer(number);
    block.copies_at_once = schedule.order == Order::random && random() % 2 == 0;
    block.finished = block.arrived = 0;
    block.waited = launch_->overlap == Overlap::none;
    block.next_started = false;
    block.ready_warps = 0;
    block.parked.clear();
    const std::size_t shared_bytes = (launch_->shared_bytes + 15) / 16 * 16;  // all of a 16-byte access, if any
    fill_poison(block.shared - shared_guard, shared_bytes + 2 * shared_guard);
    if (observer != nullptr) observer->block_begins(number, launch_->shared_bytes);
    block.fibers.resize(static_cast<std::size_t>(threads));
    for (int thread = 0; thread < threads; ++thread) {
        Fiber& fiber = block.fibers[static_cast<std::size_t>(thread)];
        unsigned char* stack = stacks() + static_cast<std::size_t>(number * threads + thread) * stack_bytes;
        fiber.block = &block;
        fiber.thread = thread;
        fiber.stack = reinterpret_cast<std::uintptr_t>(stack);
        fiber.group = 0;
        fiber.copies.clear();
        fiber.waited = block.waited;
        // Tops a few cache lines apart, so that the fibers of a warp do not fight for the same cache sets.
        unsigned char* top = stack + stack_bytes - (thread % lanes) * 1088;
        fiber.context = context::make_fcontext(top, stack_bytes - lanes * 1088 - page, Entry::run);
    }
    for (int warp = 0; warp * lanes < threads; ++warp) {
        block.warps[warp].arrived = 0;
        block.warps[warp].ready = 0;
        make_ready(block, warp, all_lanes >> (lanes - std::min(lanes, threads - warp * lanes)));
    }
}

std::string Machine::overwritten_shared(const Block& block) const {
    if (!is_poison(block.shared - shared_guard, shared_guard)) return "before the start";
    const std::size_t shared_bytes = (launch_->shared_bytes + 15) / 16 * 16;
    const std::size_t odd = launch_->shared_bytes % 2;
    const unsigned char* end = block.shared + launch_->shared_bytes + odd;
    const auto behind = static_cast<std::size_t>(block.shared + shared_bytes + shared_guard - end);
    return is_poison(end, behind) ? "" : "behind the end";
}

bool Machine::run_blocks(const int* first, int count) {
    while (blocks_.size() < static_cast<std::size_t>(count)) blocks_.push_back(std::make_unique<Block>());
    count_ = count;
    finished_ = 0;
    present_ = blocks_.front().get();
    for (int i = 0; i < count; ++i) set_up(*blocks_[static_cast<std::size_t>(i)], i, first[i]);
    if (observer != nullptr) observer->block_runs(0);
    switch_to(*next());
    failing = false;
    if (failed_) return false;
    for (int i = 0; i < count; ++i) {
        present_ = blocks_[static_cast<std::size_t>(i)].get();
        const std::string wrecked = overwritten_shared(*present_);
        if (wrecked.empty()) continue;
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
    if (!launch.resident)
        return std::all_of(order.begin(), order.end(), [this](const int& block) { return run_blocks(&block, 1); });
    const bool well = run_blocks(order.data(), static_cast<int>(order.size()));
    // The host's memory is given back; what the next such launch takes is zero or poison anyway.
    madvise(stacks() + most_threads * stack_bytes, (stack_count - most_threads) * stack_bytes, MADV_DONTNEED);
    return well;
}

// Findings.

std::string Machine::kernel_and_block() const {
    return "kernel " + function_name(launch_->kernel) + ", block (" + std::to_string(present_->x) + ", " +
           std::to_string(present_->y) + ")";
}

namespace {

// "at least 2 at byte 0 of allocation 3 of 256 bytes, which is 1"
std::string flag_of(const Fiber& fiber) {
    const Allocation& allocation = *allocation_at(fiber.flag);
    const auto offset = reinterpret_cast<const unsigned char*>(fiber.flag) - allocation.data;
    return "at least " + std::to_string(fiber.value) + " at byte " + std::to_string(offset) + " of " +
           describe(allocation) + ", which is " + std::to_string(*fiber.flag);
}

}  // namespace

std::string Machine::who_waits(const Block& block) const {
    const Fiber* fibers = block.fibers.data();
    std::string text;
    for (int first = 0; first < launch_->threads;) {
        const Fiber& fiber = fibers[first];
        int last = first;
        while (last + 1 < launch_->threads && fibers[last + 1].wait == fiber.wait &&
               (fiber.wait == Wait::none || fibers[last + 1].line == fiber.line))
            ++last;
        text += text.empty() ? "" : ", ";
        text += first == last ? "thread " + std::to_string(first)
                              : "threads " + std::to_string(first) + "-" + std::to_string(last);
        text += std::string(": ") + name(fiber.wait);
        if (fiber.file != nullptr && fiber.wait != Wait::none) text += place(Origin{fiber.file, fiber.line, nullptr});
        if (fiber.wait == Wait::flag) text += " for " + flag_of(fiber);
        first = last + 1;
    }
    return text;
}

void Machine::fail(Instrument instrument, int thread, const char* what, const Origin& origin, bool tell_who_waits) {
    failing = true;
    std::string text = std::string(name(instrument)) + ": " + kernel_and_block();
    if (thread != no_thread) text += ", thread " + std::to_string(thread) + place(origin);
    text += std::string(": ") + what;
    if (tell_who_waits) text += ": " + who_waits(*present_);
    findings.push_back({instrument, text});
    failed_ = true;
    switch_to(host_);  // the block's fibers stay where they are: kernels own nothing
    std::abort();
}

}  // namespace adasgn::cuda::emulator
