// Watches every access of a kernel that was compiled with -fsanitize=thread (tsan_hooks.cpp) or goes through the
// emulator, and the runtime's copies. Each byte has two cells: who wrote it last and when, who read it since and when.
// Time is a counter that every barrier and every piece of work advances, so that "is it ordered before me" is a
// comparison with the time of the barriers since, and for work of other streams a look at a clock (order.h).
#include "sanitizer.h"

#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "block.h"
#include "memory.h"
#include "order.h"

namespace adasgn::cuda::emulator {

namespace {

// A cell: time, whether other work has read as well (in cells of reads), what kind of access, by which thread. 0:
// never.
using Cell = std::uint64_t;

enum Kind : Cell {
    // of a write
    plain = 0,
    atomic = 1,
    under_way = 2,  // the destination of a copy that has not arrived
    // of reads
    one_thread = 0,
    one_warp = 1,  // several lanes of the thread's warp
    warps = 2,     // several warps
    blocks = 3,    // several blocks
};

constexpr Cell make_cell(std::uint64_t time, Kind kind, int thread) {
    return time << 13 | kind << 10 | static_cast<Cell>(thread);
}
std::uint64_t time_of(Cell cell) {
    return cell >> 13;
}
Cell kind_of(Cell cell) {
    return cell >> 10 & 3;
}
constexpr Cell by_others = Cell{1} << 12;
int thread_of(Cell cell) {
    return static_cast<int>(cell & 1023);
}

Cell* reserve_cells(std::size_t count) {
    return reinterpret_cast<Cell*>(reserve(count * sizeof(Cell), PROT_READ | PROT_WRITE));
}

// Some memory with its cells.
struct Shadow {
    std::uintptr_t begin;
    std::size_t bytes;
    Cell* written;
    Cell* read;
    std::uint32_t* others;  // where `read` says so: the number of the set of other work that has read

    Shadow(const unsigned char* memory, std::size_t size)
        : begin(reinterpret_cast<std::uintptr_t>(memory)),
          bytes(size),
          written(reserve_cells(size)),
          read(reserve_cells(size)),
          others(reinterpret_cast<std::uint32_t*>(reserve(size * sizeof(std::uint32_t), PROT_READ | PROT_WRITE))) {}
};

// Memory of the program that nobody can write: constants that a kernel may read.
struct Segment {
    std::uintptr_t begin, end;
};

std::vector<Segment> read_only_segments() {
    std::vector<Segment> found;
    dl_iterate_phdr(
        [](dl_phdr_info* object, std::size_t, void* into) {
            for (int i = 0; i < object->dlpi_phnum; ++i) {
                const auto& header = object->dlpi_phdr[i];
                if (header.p_type != PT_LOAD || (header.p_flags & PF_W) != 0) continue;
                const std::uintptr_t begin = object->dlpi_addr + header.p_vaddr;
                static_cast<std::vector<Segment>*>(into)->push_back({begin, begin + header.p_memsz});
            }
            return 0;
        },
        &found);
    return found;
}

// What a fence and an atomic after it tell other blocks: the accesses of the block before `barrier`, and those of the
// thread up to `fence`.
struct Publication {
    const void* address;
    int thread;
    std::uint64_t barrier, fence;
};

struct BlockRun {
    std::uint64_t begin;
    std::vector<Publication> publications;
};

struct Acquisition {  // an atomic of the present block
    const void* address;
    int thread;
    std::uint64_t time;
};

class Sanitizer final : public Observer {
  public:
    Sanitizer()
        : shared_(shared_buffer(), shared_capacity),
          device_(arena(), arena_bytes),
          segments_(read_only_segments()),
          stacks_(reinterpret_cast<std::uintptr_t>(stacks())) {}

    void work_begins(const Work& work) override {
        launch_begin_ = ++now_;
        runs_.clear();
        begins_.resize(std::max(begins_.size(), work.stream + 1));
        begins_[work.stream].push_back(now_);
        works_.push_back({now_, {work.what, work.kernel, work.stream, work.number, {}, {}}});
        last_others_ = {};
        after_ = Past{work.after, unordered_since(work.after)};
        early_ = Past{work.early, unordered_since(work.early)};
    }
    void block_begins(std::size_t shared_bytes) override {
        block_begin_ = barrier_ = ++now_;
        std::fill(std::begin(warp_barriers_), std::end(warp_barriers_), now_);
        std::fill(std::begin(fences_), std::end(fences_), Publication{});
        shared_bytes_ = shared_bytes;
        acquisitions_.clear();
        runs_.push_back({now_, {}});
    }
    void block_barrier() override { barrier_ = ++now_; }
    void warp_barrier(int warp) override { warp_barriers_[warp] = ++now_; }

    void reads(const void* address, std::size_t bytes, int thread, const Origin& origin) override {
        check(address, bytes, Access::read, thread, origin);
    }
    void writes(void* address, std::size_t bytes, int thread, const Origin& origin) {
        check(address, bytes, Access::write, thread, origin);
    }
    void reads_constant(const void* address, std::size_t bytes, int thread, const Origin& origin) override {
        check(address, bytes, Access::read_constant, thread, origin);
    }
    void updates_atomically(const void* address, std::size_t bytes, int thread, const Origin& origin) override {
        check(address, bytes, Access::atomic, thread, origin);
        if (reinterpret_cast<std::uintptr_t>(address) - device_.begin >= device_.bytes) return;
        if (fences_[thread].fence != 0) {
            Publication publication = fences_[thread];
            publication.address = address;
            runs_.back().publications.push_back(publication);
        }
        acquisitions_.push_back({address, thread, now_});
    }
    void fence(int thread) override { fences_[thread] = Publication{nullptr, thread, barrier_, now_}; }

    void copy_issued(void* shared, const void* global, std::size_t bytes, int thread, const Origin& origin) override {
        check(global, bytes, Access::read, thread, origin);
        check(shared, bytes, Access::copy, thread, origin);
    }
    void copy_arrives(void* shared, const void* global, std::size_t bytes, int thread, const Origin& origin) override {
        check(global, bytes, Access::read, thread, origin);
        Cell* written = shared_.written + (reinterpret_cast<std::uintptr_t>(shared) - shared_.begin);
        std::fill(written, written + bytes, make_cell(now_, plain, thread));
    }

    std::string transfers(const void* to, const void* from, std::size_t bytes) override {
        const Cell mine = make_cell(now_, plain, 0);
        std::vector<Cell> values(bytes, mine);  // 0: uninitialised; a copy of their own, as the ranges may overlap
        if (from != nullptr) {
            const std::size_t offset = reinterpret_cast<std::uintptr_t>(from) - device_.begin;
            for (std::size_t i = 0; i < bytes; ++i) {
                const Cell write = device_.written[offset + i];
                if (const WorkRecord* other = unordered(write, after_))
                    return conflict("reads", from, i, "wrote", *other);
                if (write == 0 && !allocation_at(from)->pinned) values[i] = 0;
                add_reader(offset + i, 0, after_);
            }
        }
        if (to != nullptr) {
            const std::size_t offset = reinterpret_cast<std::uintptr_t>(to) - device_.begin;
            for (std::size_t i = 0; i < bytes; ++i) {
                Cell& write = device_.written[offset + i];
                if (const WorkRecord* other = unordered(write, after_))
                    return conflict("writes", to, i, "wrote", *other);
                if (const WorkRecord* other = unordered_reader(offset + i, after_))
                    return conflict("writes", to, i, "read", *other);
                write = values[i];
            }
        }
        return {};
    }
    void forget(const void* device, std::size_t bytes) override {
        const std::size_t offset = reinterpret_cast<std::uintptr_t>(device) - device_.begin;
        madvise(device_.written + offset, bytes * sizeof(Cell), MADV_DONTNEED);
        madvise(device_.read + offset, bytes * sizeof(Cell), MADV_DONTNEED);
    }

  private:
    enum class Access { read, read_constant, write, copy, atomic };

    struct WorkRecord {
        std::uint64_t begin;
        Work work;  // without its clocks
    };

    // What is over for a piece of work: all before `since`, and of later work what the clock covers.
    struct Past {
        Clock clock;
        std::uint64_t since = 1;
    };

    std::uint64_t unordered_since(const Clock& clock) const {
        std::uint64_t since = now_;
        for (std::size_t stream = 0; stream < begins_.size(); ++stream)
            if (clock.of(stream) < begins_[stream].size()) since = std::min(since, begins_[stream][clock.of(stream)]);
        return since;
    }

    // What a thread of the running kernel comes after.
    const Past& past() const { return current == nullptr || current->waited ? after_ : early_; }

    // The other work in which the access was made, if it may run at the same time as the present one.
    const WorkRecord* unordered(Cell cell, const Past& past) const {
        const std::uint64_t time = time_of(cell);
        if (time < past.since || time >= launch_begin_) return nullptr;
        auto work = std::upper_bound(works_.begin(), works_.end(), time,
                                     [](std::uint64_t at, const WorkRecord& later) { return at < later.begin; });
        --work;
        return past.clock.of(work->work.stream) >= work->work.number ? nullptr : &*work;
    }

    bool unordered(const WorkRecord& work, const Past& past) const {
        return past.clock.of(work.work.stream) < work.work.number;
    }

    // Of other work that has read the byte.
    const WorkRecord* unordered_reader(std::size_t offset, const Past& past) const {
        const Cell reads = device_.read[offset];
        if (const WorkRecord* last = unordered(reads, past)) return last;
        if ((reads & by_others) != 0)
            for (const std::size_t work : *sets_[device_.others[offset]])
                if (unordered(works_[work], past)) return &works_[work];
        return nullptr;
    }

    // Notes a read of device memory: beside it stay those that a later write may still come before.
    void add_reader(std::size_t offset, int thread, const Past& past) {
        Cell& cell = device_.read[offset];
        const Cell reads = cell;
        cell = with_reader(time_of(reads) < launch_begin_ ? 0 : reads & ~by_others, thread);
        const WorkRecord* const last = unordered(reads, past);
        const std::uint32_t before = (reads & by_others) != 0 ? device_.others[offset] : 0;
        if (last == nullptr && before == 0) return;
        if (last_others_.last != last || last_others_.before != before || last_others_.past != &past)
            last_others_ = {last, before, &past, set_of_others(last, before, past)};
        if (last_others_.set == 0) return;
        device_.others[offset] = last_others_.set;
        cell |= by_others;
    }

    std::uint32_t set_of_others(const WorkRecord* last, std::uint32_t before, const Past& past) {
        std::vector<std::size_t> others;  // places in works_
        for (const std::size_t work : *sets_[before])
            if (unordered(works_[work], past)) others.push_back(work);
        if (last != nullptr) others.push_back(static_cast<std::size_t>(last - works_.data()));
        const auto [at, fresh] = set_numbers_.emplace(others, static_cast<std::uint32_t>(sets_.size()));
        if (fresh) sets_.push_back(&at->first);
        return at->second;
    }

    // "which kernel fill of stream 1 wrote, with …"
    std::string which(const WorkRecord& other, const char* did) const {
        const Work& present = works_.back().work;
        failing = true;  // unobserved
        std::string text = ", which " + describe(other.work) + " " + did;
        if (!unordered(other, past())) return text + ", perhaps after this kernel began";
        if (!unordered(other, after_)) return text + ", with no wait_for_previous_kernel in between";
        return text + ", with no event or synchronise between that and " + stream_name(present.stream);
    }

    std::string conflict(const char* verb, const void* memory, std::size_t byte, const char* did,
                         const WorkRecord& other) const {
        const auto* at = static_cast<const unsigned char*>(memory) + byte;
        const Allocation& allocation = *allocation_at(at);
        return std::string(verb) + " byte " + std::to_string(at - allocation.data) + " of " + describe(allocation) +
               which(other, did);
    }

    // Where an access goes.
    struct Target {
        const void* address;
        std::size_t bytes;
        Access access;
        int thread;
        const Origin& origin;
        const Allocation* allocation;  // null: shared memory
    };

    void check(const void* address, std::size_t bytes, Access access, int thread, const Origin& origin) {
        const auto at = reinterpret_cast<std::uintptr_t>(address);
        if (at - stacks_ < most_threads * stack_bytes) {
            if ((at - stacks_) / stack_bytes != static_cast<std::size_t>(thread))
                complain(Instrument::memcheck, {address, bytes, access, thread, origin, nullptr},
                         "the stack of another thread", false);
            return;
        }
        if (at - device_.begin < device_.bytes) {
            if (last_ == nullptr || !inside(*last_, at, bytes)) last_ = allocation_at(address);
            const Target target{address, bytes, access, thread, origin, last_};
            if (last_ == nullptr) complain(Instrument::memcheck, target, "between all allocations", false);
            if (!last_->live) complain(Instrument::memcheck, target, ", which was released");
            if (!inside(*last_, at, bytes)) complain(Instrument::memcheck, target, ", outside of it");
            check_cells(device_, at - device_.begin, target, last_->pinned ? 0 : 1);
            return;
        }
        constexpr std::size_t around = shared_guard + shared_margin;
        if (at - (shared_.begin - around) < shared_capacity + 2 * around) {
            const Target target{address, bytes, access, thread, origin, nullptr};
            if (at - shared_.begin > shared_bytes_ || shared_bytes_ - (at - shared_.begin) < bytes)
                complain(Instrument::memcheck, target, ", outside of it");
            check_cells(shared_, at - shared_.begin, target, block_begin_);
            return;
        }
        if (access == Access::read)
            for (const Segment& segment : segments_)
                if (at >= segment.begin && at < segment.end) return;
        complain(Instrument::memcheck, {address, bytes, access, thread, origin, nullptr}, "memory of the host", false);
    }

    static bool inside(const Allocation& allocation, std::uintptr_t at, std::size_t bytes) {
        const std::size_t offset = at - reinterpret_cast<std::uintptr_t>(allocation.data);
        return allocation.live && offset <= allocation.bytes && allocation.bytes - offset >= bytes;
    }

    // Bytes written before `initialised_since` hold nothing.
    void check_cells(Shadow& shadow, std::size_t offset, const Target& target, std::uint64_t initialised_since) {
        const bool in_shared_memory = target.allocation == nullptr;
        const bool constant = target.access == Access::read_constant;
        const Past& comes_after = constant ? early_ : past();  // constants may be read as soon as the kernel begins
        const std::uint64_t conflicts_since = in_shared_memory ? block_begin_ : comes_after.since;
        const std::uint64_t own_since = in_shared_memory ? block_begin_ : launch_begin_;
        Cell* written = shadow.written + offset;
        Cell* read = shadow.read + offset;
        const bool is_read = target.access == Access::read || constant;
        const bool needs_value = is_read || target.access == Access::atomic;
        const Kind kind = target.access == Access::atomic ? atomic : target.access == Access::copy ? under_way : plain;
        const Cell as_writer = make_cell(now_, kind, target.thread);
        for (std::size_t i = 0; i < target.bytes; ++i) {
            const Cell before = written[i];
            if (needs_value && time_of(before) < initialised_since)
                complain(Instrument::initcheck, target, ", which nobody has written");
            if (time_of(before) >= own_since) {
                check_against_write(before, target);
            } else if (time_of(before) >= conflicts_since && !(kind == atomic && kind_of(before) == atomic)) {
                if (const WorkRecord* other = unordered(before, comes_after))
                    complain(Instrument::racecheck, target,
                             (constant ? ", read as constant" : "") + which(*other, "wrote"));
            }
            if (is_read && in_shared_memory) {
                read[i] = with_reader(time_of(read[i]) < own_since ? 0 : read[i], target.thread);
            } else if (is_read) {
                add_reader(offset + i, target.thread, comes_after);
            } else {
                if (!in_shared_memory && read[i] != 0) {
                    if (const WorkRecord* other = unordered_reader(offset + i, comes_after))
                        complain(Instrument::racecheck, target, which(*other, "read"));
                }
                if (time_of(read[i]) >= own_since && !ordered_after_reads(read[i], target.thread))
                    complain_about_reader(read[i], target);
                written[i] = as_writer;
            }
        }
    }

    // `write` is of this launch.
    void check_against_write(Cell write, const Target& target) {
        if (target.access == Access::read_constant)
            complain(Instrument::racecheck, target, ", read as constant, which this launch writes");
        const bool in_block = time_of(write) >= block_begin_;
        if (in_block && kind_of(write) == under_way) {
            complain(Instrument::racecheck, target,
                     ", to which a copy of thread " + std::to_string(thread_of(write)) +
                         " is under way: no copy_async_wait before");
        }
        if (target.access == Access::atomic && kind_of(write) == atomic) return;
        if (in_block) {
            if (ordered_in_block(write, target.thread)) return;
            complain(Instrument::racecheck, target,
                     ", which thread " + std::to_string(thread_of(write)) + " wrote, with no barrier in between");
        }
        if (published(write, target.thread)) return;
        complain(Instrument::racecheck, target, ", which another block of this launch wrote");
    }

    // Of one access in the present block: whether the thread comes after it.
    bool ordered_in_block(Cell cell, int thread) const {
        if (time_of(cell) < barrier_ || thread_of(cell) == thread) return true;
        return thread_of(cell) / lanes == thread / lanes && time_of(cell) < warp_barriers_[thread / lanes];
    }

    // Whether the access of an earlier block was made known by a fence and an atomic that this thread has seen.
    bool published(Cell cell, int thread) const {
        auto run = std::upper_bound(runs_.begin(), runs_.end(), time_of(cell),
                                    [](std::uint64_t time, const BlockRun& later) { return time < later.begin; });
        --run;  // the launch's first block began before any access in it
        for (const Publication& published : run->publications) {
            if (time_of(cell) >= published.barrier &&
                !(thread_of(cell) == published.thread && time_of(cell) <= published.fence))
                continue;
            for (const Acquisition& seen : acquisitions_)
                if (seen.address == published.address && (seen.thread == thread || seen.time < barrier_)) return true;
        }
        return false;
    }

    bool ordered_after_reads(Cell reads, int thread) const {
        if (kind_of(reads) == blocks) return false;
        if (time_of(reads) < block_begin_) return published(reads, thread);
        if (time_of(reads) < barrier_) return true;
        if (kind_of(reads) == warps) return false;
        if (kind_of(reads) == one_thread) return ordered_in_block(reads, thread);
        return thread_of(reads) / lanes == thread / lanes && time_of(reads) < warp_barriers_[thread / lanes];
    }

    // The reads that a later write must come after, now that the thread reads as well.
    Cell with_reader(Cell reads, int thread) const {
        const std::uint64_t time = time_of(reads);
        if (time < launch_begin_) return make_cell(now_, one_thread, thread);
        if (time < block_begin_ || kind_of(reads) == blocks) return make_cell(now_, blocks, thread);
        if (time < barrier_) return make_cell(now_, one_thread, thread);
        if (kind_of(reads) == warps || thread_of(reads) / lanes != thread / lanes)
            return make_cell(now_, warps, thread);
        const bool others = kind_of(reads) == one_warp || thread_of(reads) != thread;
        const bool before = time < warp_barriers_[thread / lanes];
        return make_cell(now_, others && !before ? one_warp : one_thread, thread);
    }

    [[noreturn]] void complain_about_reader(Cell reads, const Target& target) {
        failing = true;
        std::string who = "thread " + std::to_string(thread_of(reads));
        if (kind_of(reads) == one_warp) who = "lanes of warp " + std::to_string(thread_of(reads) / lanes);
        if (kind_of(reads) == warps) who = "several warps";
        if (kind_of(reads) == blocks || time_of(reads) < block_begin_)
            complain(Instrument::racecheck, target, ", which another block of this launch read");
        complain(Instrument::racecheck, target, ", which " + who + " read, with no barrier in between");
    }

    [[noreturn]] void complain(Instrument instrument, const Target& target, const std::string& what,
                               bool with_offset = true) {
        failing = true;
        static const char* const verbs[] = {"reads", "reads", "writes", "copies to", "updates"};
        std::string text = std::string(verbs[static_cast<int>(target.access)]) + " " + std::to_string(target.bytes) +
                           " bytes " + (with_offset ? "at byte " : "in ");
        const auto* at = static_cast<const unsigned char*>(target.address);
        if (with_offset && target.allocation != nullptr) {
            text += std::to_string(at - target.allocation->data) + " of " + describe(*target.allocation);
        } else if (with_offset) {
            text += std::to_string(at - shared_buffer()) + " of its " + std::to_string(shared_bytes_) +
                    " bytes of shared memory";
        }
        text += what;
        machine().fail(instrument, target.thread, text.c_str(), target.origin);
    }

    Shadow shared_;
    Shadow device_;
    std::vector<Segment> segments_;
    std::uintptr_t stacks_;

    std::vector<WorkRecord> works_;                   // in the order of their begin
    std::vector<std::vector<std::uint64_t>> begins_;  // of each stream's works
    Past after_, early_;                              // of the running work

    // Sets of works that have read a byte beside the one that its cell tells of; number 0 is empty.
    std::map<std::vector<std::size_t>, std::uint32_t> set_numbers_ = {{{}, 0}};
    std::vector<const std::vector<std::size_t>*> sets_ = {&set_numbers_.begin()->first};
    struct {
        const WorkRecord* last = nullptr;
        std::uint32_t before = 0;
        const Past* past = nullptr;
        std::uint32_t set = 0;
    } last_others_;

    std::uint64_t now_ = 1;
    std::uint64_t launch_begin_ = 1, block_begin_ = 1;
    std::uint64_t barrier_ = 1;  // the block's latest, or its beginning
    std::uint64_t warp_barriers_[most_threads / lanes] = {};
    std::size_t shared_bytes_ = 0;
    const Allocation* last_ = nullptr;

    Publication fences_[most_threads] = {};  // of each thread; without an address
    std::vector<Acquisition> acquisitions_;
    std::vector<BlockRun> runs_;  // of this launch
};

Sanitizer& sanitizer() {
    static Sanitizer one;
    return one;
}

const bool connected = [] {
    observer = &sanitizer();
    return true;
}();

}  // namespace

namespace {

// Nothing to check: host code, or a thread's own variables, which are most of what a kernel touches.
bool unobserved(const void* address) {
    return current == nullptr || failing || reinterpret_cast<std::uintptr_t>(address) - current->stack < stack_bytes;
}

bool misaligned(const void* address, std::size_t bytes) {
    return (reinterpret_cast<std::uintptr_t>(address) & (bytes - 1)) != 0;  // bytes: a power of 2
}

}  // namespace

void kernel_reads(const void* address, std::size_t bytes, bool aligned, const void* code) {
    if (unobserved(address)) return;
    const Origin origin{nullptr, 0, code};
    if (aligned && misaligned(address, bytes))
        machine().fail(Instrument::memcheck, current->thread, "reads from a misaligned address", origin);
    sanitizer().reads(address, bytes, current->thread, origin);
}

void kernel_writes(void* address, std::size_t bytes, bool aligned, const void* code) {
    if (unobserved(address)) return;
    const Origin origin{nullptr, 0, code};
    if (aligned && misaligned(address, bytes))
        machine().fail(Instrument::memcheck, current->thread, "writes to a misaligned address", origin);
    sanitizer().writes(address, bytes, current->thread, origin);
}

}  // namespace adasgn::cuda::emulator
