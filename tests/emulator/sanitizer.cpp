// Watches every access of a kernel that was compiled with -fsanitize=thread (tsan_hooks.cpp) or goes through the
// emulator, and the runtime's copies. Each byte has two cells: who wrote it last and when, who read it since and when.
// Time is a counter that every barrier and every piece of work advances, so that "is it ordered before me" is a
// comparison with the time of the barriers since, and for work of other streams a look at a clock (order.h).
#include "sanitizer.h"

#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "block.h"
#include "history.h"
#include "knowledge.h"
#include "memory.h"
#include "order.h"
#include "shadow.h"

namespace adasgn::cuda::emulator {

namespace {

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

// A stretch of time in which one block ran and met at no barrier.
struct Stretch {
    std::uint64_t begin;
    int block;
};

class Sanitizer final : public Observer {
  public:
    Sanitizer()
        : shared_(shared_buffers(), most_blocks * shared_stride),
          device_(arena(), arena_bytes),
          segments_(read_only_segments()),
          stacks_(reinterpret_cast<std::uintptr_t>(stacks())) {}

    void work_begins(const Work& work) override {
        history_.begins(work, ++now_);
        stretches_.clear();
        flags_.clear();
        block_ = &no_block_;
        resident_ = false;
        found_others_.fill({});
        after_ = history_.past(work.after);
        early_ = history_.past(work.early);
    }
    void block_begins(int block, std::size_t shared_bytes) override {
        block_states_.resize(std::max(block_states_.size(), static_cast<std::size_t>(block) + 1));
        BlockState& state = block_states_[static_cast<std::size_t>(block)];
        state.begin_at(++now_, shared_bytes);
        resident_ = machine().launch().resident;
        if (!resident_) launched_ = static_cast<int>(stretches_.size());
    }
    void block_runs(int block) override {
        block_ = &block_states_[static_cast<std::size_t>(block)];
        slot_ = block;
        number_ = resident_ ? block : launched_;
        begin_stretch();
    }
    void block_barrier() override {
        begin_stretch();
        block_->meet(now_);
    }
    void warp_barrier(int warp) override { block_->meet_warp(warp, ++now_); }

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
        const auto fenced = block_->fenced.find(thread);
        const auto known = flags_.find(address);
        if (known != flags_.end()) join(block_->seen[thread], known->second);
        if (fenced != block_->fenced.end()) join(flags_[address], fenced->second);
    }
    void fence(int thread) override {
        const auto seen = block_->seen.find(thread);
        if (seen != block_->seen.end()) {
            block_->acquire(thread, seen->second);
            block_->seen.erase(seen);
        }
        block_->fenced[thread] = all_known_to(thread);
    }
    void looks(const int* flag, int thread, const Origin& origin) override {
        check(flag, sizeof *flag, Access::acquire, thread, origin);
    }
    void acquires(const int* flag, int thread, const Origin& origin) override {
        looks(flag, thread, origin);
        const auto known = flags_.find(flag);
        if (known != flags_.end()) block_->acquire(thread, known->second);
    }
    void releases(const int* flag, int thread, const Origin& origin) override {
        check(flag, sizeof *flag, Access::release, thread, origin);
        flags_[flag] = all_known_to(thread);
    }

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
                if (const WorkRecord* other = history_.unordered(time_of(write), after_))
                    return conflict("reads", from, i, "wrote", *other);
                if (write == 0 && !allocation_at(from)->pinned) values[i] = 0;
                add_reader(offset + i, 0, after_);
            }
        }
        if (to != nullptr) {
            const std::size_t offset = reinterpret_cast<std::uintptr_t>(to) - device_.begin;
            for (std::size_t i = 0; i < bytes; ++i) {
                Cell& write = device_.written[offset + i];
                if (const WorkRecord* other = history_.unordered(time_of(write), after_))
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
    enum class Access { read, read_constant, write, copy, atomic, acquire, release };

    struct OthersKey {
        std::uint64_t last = 0;
        std::uint32_t before = 0;
        const void* past = nullptr;
        std::uint64_t time = 0;
        int thread = 0;

        std::size_t slot() const { return last * 31 + before * 7 + static_cast<std::size_t>(thread + 1); }
        bool operator==(const OthersKey& other) const {
            return last == other.last && before == other.before && past == other.past && time == other.time &&
                   thread == other.thread;
        }
    };

    // When the work that runs began.
    std::uint64_t launch_begin() const { return history_.present().begin; }

    // What a thread of the running kernel comes after.
    const Past& past() const { return current == nullptr || current->waited ? after_ : early_; }

    // Of other work that has read the byte.
    const WorkRecord* unordered_reader(std::size_t offset, const Past& past) const {
        const Cell reads = device_.read[offset];
        if (const WorkRecord* last = history_.unordered(time_of(reads), past)) return last;
        if ((reads & by_others) != 0)
            for (const std::uint64_t time : *sets_[device_.others[offset]])
                if (const WorkRecord* other = history_.unordered(time, past)) return other;
        return nullptr;
    }

    // Whether a thread that reads or writes device memory may do so beside a read of other work or, in a resident
    // launch, of another block. Those are kept by the beginning of the work, of the stretch in which the block read.
    bool beside_read(std::uint64_t time, int thread, const Past& past) const {
        if (time < launch_begin()) return history_.unordered(time, past) != nullptr;
        return resident_ && stretch_at(time).block != number_ && !knows(make_cell(time, warps, 0), thread);
    }

    // Notes a read of device memory: beside it stay those that a later write may still come before.
    void add_reader(std::size_t offset, int thread, const Past& past) {
        Cell& cell = device_.read[offset];
        const Cell reads = cell;
        const std::uint64_t time = time_of(reads);
        const bool own = time >= launch_begin() && (!resident_ || in_block(time));
        cell = with_reader(own ? reads & ~by_others : 0, thread);
        const std::uint32_t before = (reads & by_others) != 0 ? device_.others[offset] : 0;
        std::uint64_t last = 0;
        if (reads != 0 && !own) {
            if (time >= past.since || time >= launch_begin())
                last = time >= launch_begin() ? stretch_at(time).begin : history_.at(time).begin;
        }
        if (last == 0 && before == 0) return;
        // What the thread comes after changes at barriers, or whenever it acquires something itself.
        const bool as_all = block_->acquired.empty();
        const OthersKey key{last, before, &past, as_all ? block_->barrier : now_, as_all ? -1 : thread};
        auto& [of, set, own_before] = found_others_[key.slot() % found_others_.size()];
        if (!(of == key)) {
            of = key;
            std::tie(set, own_before) = set_of_others(last, before, thread, past);
        }
        if (own_before) cell = make_cell(now_, warps, thread);
        if (set == 0) return;
        device_.others[offset] = set;
        cell |= by_others;
    }

    // And whether the present block is among those before, since its latest barrier.
    std::pair<std::uint32_t, bool> set_of_others(std::uint64_t last, std::uint32_t before, int thread,
                                                 const Past& past) {
        std::vector<std::uint64_t> others;
        bool own = false;
        for (const std::uint64_t time : *sets_[before]) {
            if (time >= block_->barrier && in_block(time)) own = true;
            if (beside_read(time, thread, past))
                others.push_back(time < launch_begin() ? history_.at(time).begin : time);
        }
        if (last != 0 && beside_read(last, thread, past)) others.push_back(last);
        std::sort(others.begin(), others.end());
        others.erase(std::unique(others.begin(), others.end()), others.end());
        const auto [at, fresh] = set_numbers_.emplace(others, static_cast<std::uint32_t>(sets_.size()));
        if (fresh) sets_.push_back(&at->first);
        return {at->second, own};
    }

    // "which kernel fill of stream 1 wrote, with …"
    std::string which(const WorkRecord& other, const char* did) const {
        const WorkName& present = history_.present().work;
        failing = true;  // unobserved
        std::string text = ", which " + describe(other.work) + " " + did;
        if (!History::unordered(other, past())) return text + ", perhaps after this kernel began";
        if (!History::unordered(other, after_)) return text + ", with no wait_for_previous_kernel in between";
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
        if (at - stacks_ < stack_count * stack_bytes) {
            if (at - current->stack >= stack_bytes)
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
        if (at - shared_.begin < shared_.bytes) {
            const Target target{address, bytes, access, thread, origin, nullptr};
            if ((at - shared_.begin) / shared_stride != static_cast<std::size_t>(slot_))
                complain(Instrument::memcheck, target, "the shared memory of another block", false);
            const std::size_t byte = at - reinterpret_cast<std::uintptr_t>(shared_buffer(slot_));
            if (byte > block_->shared_bytes || block_->shared_bytes - byte < bytes)
                complain(Instrument::memcheck, target, ", outside of it");
            check_cells(shared_, at - shared_.begin, target, block_->begin);
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
        const std::uint64_t conflicts_since = in_shared_memory ? block_->begin : comes_after.since;
        const std::uint64_t own_since = in_shared_memory ? block_->begin : launch_begin();
        Cell* written = shadow.written + offset;
        Cell* read = shadow.read + offset;
        const bool is_read = target.access == Access::read || constant;
        const bool acquires = target.access == Access::acquire;
        const bool is_atomic = target.access == Access::atomic || target.access == Access::release || acquires;
        const bool needs_value = is_read || acquires || target.access == Access::atomic;
        const Kind kind = is_atomic ? atomic : target.access == Access::copy ? under_way : plain;
        const Cell as_writer = make_cell(now_, kind, target.thread);
        Cell last_write = 0;  // of the byte before this one, as they were
        Cell last_reads = 0;
        std::uint32_t last_others = 0;
        for (std::size_t i = 0; i < target.bytes; ++i) {
            const Cell before = written[i];
            const Cell reads = read[i];
            const std::uint32_t others = (reads & by_others) != 0 ? shadow.others[offset + i] : 0;
            if (i > 0 && before == last_write && reads == last_reads && others == last_others) {
                if (is_read) {
                    read[i] = read[i - 1];
                    if ((read[i] & by_others) != 0) shadow.others[offset + i] = shadow.others[offset + i - 1];
                } else if (!acquires) {
                    written[i] = as_writer;
                }
                continue;
            }
            last_write = before;
            last_reads = reads;
            last_others = others;
            if (needs_value && time_of(before) < initialised_since)
                complain(Instrument::initcheck, target, ", which nobody has written");
            if (time_of(before) >= own_since) {
                check_against_write(before, target);
            } else if (time_of(before) >= conflicts_since && !(kind == atomic && kind_of(before) == atomic)) {
                if (const WorkRecord* other = history_.unordered(time_of(before), comes_after))
                    complain(Instrument::racecheck, target,
                             (constant ? ", read as constant" : "") + which(*other, "wrote"));
            }
            if (is_read && in_shared_memory) {
                read[i] = with_reader(time_of(reads) < own_since ? 0 : reads, target.thread);
            } else if (is_read) {
                add_reader(offset + i, target.thread, comes_after);
            } else if (!acquires) {
                if (!in_shared_memory && reads != 0) {
                    if (const WorkRecord* other = unordered_reader(offset + i, comes_after))
                        complain(Instrument::racecheck, target, which(*other, "read"));
                    check_against_other_blocks(offset + i, target);
                }
                if (time_of(reads) >= own_since && !ordered_after_reads(reads, target.thread))
                    complain_about_reader(reads, target);
                written[i] = as_writer;
            }
        }
    }

    void check_against_other_blocks(std::size_t offset, const Target& target) {
        if (!resident_ || (device_.read[offset] & by_others) == 0) return;
        for (const std::uint64_t time : *sets_[device_.others[offset]])
            if (time >= launch_begin() && beside_read(time, target.thread, after_))
                complain(Instrument::racecheck, target, ", which another block of this launch read");
    }

    // `write` is of this launch.
    void check_against_write(Cell write, const Target& target) {
        if (target.access == Access::read_constant)
            complain(Instrument::racecheck, target, ", read as constant, which this launch writes");
        const bool present = target.allocation == nullptr || in_block(time_of(write));
        if (present && kind_of(write) == under_way) {
            complain(Instrument::racecheck, target,
                     ", to which a copy of thread " + std::to_string(thread_of(write)) +
                         " is under way: no copy_async_wait before");
        }
        const bool atomically =
            target.access == Access::atomic || target.access == Access::acquire || target.access == Access::release;
        if (atomically && kind_of(write) == atomic) return;
        if (present) {
            if (ordered_in_block(write, target.thread)) return;
            complain(Instrument::racecheck, target,
                     ", which thread " + std::to_string(thread_of(write)) + " wrote, with no barrier in between");
        }
        if (knows(make_cell(time_of(write), one_thread, thread_of(write)), target.thread)) return;
        complain(Instrument::racecheck, target, ", which another block of this launch wrote");
    }

    // Of one access in the present block: whether the thread comes after it.
    bool ordered_in_block(Cell cell, int thread) const {
        if (time_of(cell) < block_->barrier || thread_of(cell) == thread) return true;
        return thread_of(cell) / lanes == thread / lanes && time_of(cell) < block_->warp_barriers[thread / lanes];
    }

    // Blocks and what they know of each other.

    void begin_stretch() { stretches_.push_back({++now_, number_}); }

    // Of a time in this launch.
    const Stretch& stretch_at(std::uint64_t time) const {
        if (time >= stretches_.back().begin) return stretches_.back();
        const auto later = std::upper_bound(stretches_.begin(), stretches_.end(), time,
                                            [](std::uint64_t at, const Stretch& one) { return at < one.begin; });
        return *(later - 1);
    }

    // Whether the present block ran at a time in this launch.
    bool in_block(std::uint64_t time) const {
        return time >= block_->begin && (!resident_ || stretch_at(time).block == number_);
    }

    // Whether the thread comes after an access of another block, or after all reads up to it that its kind stands for.
    bool knows(Cell cell, int thread) const {
        const std::uint64_t time = time_of(cell);
        const int block = stretch_at(time).block;
        const int by = thread_of(cell);
        return block_->any_known_to(thread, [&](const Knowledge& known) {
            auto at = std::lower_bound(known.begin(), known.end(), block,
                                       [](const Known& one, int wanted) { return one.block < wanted; });
            for (; at != known.end() && at->block == block; ++at) {
                if (time < at->barrier) return true;
                if (kind_of(cell) == warps) continue;
                if (at->thread / lanes == by / lanes && time < at->warp_barrier) return true;
                if (kind_of(cell) == one_thread && at->thread == by && time <= at->fence) return true;
            }
            return false;
        });
    }

    // With what it has done itself, up to now.
    Knowledge all_known_to(int thread) {
        Knowledge all = {{number_, thread, block_->barrier, block_->warp_barriers[thread / lanes], now_++}};
        block_->any_known_to(thread, [&](const Knowledge& known) {
            join(all, known);
            return false;
        });
        return all;
    }

    bool ordered_after_reads(Cell reads, int thread) const {
        if (kind_of(reads) == blocks) return false;
        const std::uint64_t time = time_of(reads);
        if (!in_block(time)) return knows(reads, thread);
        if (time < block_->barrier) return true;
        if (kind_of(reads) == warps) return false;
        if (kind_of(reads) == one_thread) return ordered_in_block(reads, thread);
        return thread_of(reads) / lanes == thread / lanes && time < block_->warp_barriers[thread / lanes];
    }

    // The reads that a later write must come after, now that the thread reads as well. All are of this launch; of this
    // block, too, where blocks run at once.
    Cell with_reader(Cell reads, int thread) const {
        const std::uint64_t time = time_of(reads);
        if (reads == 0) return make_cell(now_, one_thread, thread);
        if (time < block_->begin || kind_of(reads) == blocks) return make_cell(now_, blocks, thread);
        if (time < block_->barrier) return make_cell(now_, one_thread, thread);
        if (kind_of(reads) == warps || thread_of(reads) / lanes != thread / lanes)
            return make_cell(now_, warps, thread);
        const bool others = kind_of(reads) == one_warp || thread_of(reads) != thread;
        const bool before = time < block_->warp_barriers[thread / lanes];
        return make_cell(now_, others && !before ? one_warp : one_thread, thread);
    }

    [[noreturn]] void complain_about_reader(Cell reads, const Target& target) {
        failing = true;
        std::string who = "thread " + std::to_string(thread_of(reads));
        if (kind_of(reads) == one_warp) who = "lanes of warp " + std::to_string(thread_of(reads) / lanes);
        if (kind_of(reads) == warps) who = "several warps";
        if (kind_of(reads) == blocks || (target.allocation != nullptr && !in_block(time_of(reads))))
            complain(Instrument::racecheck, target, ", which another block of this launch read");
        complain(Instrument::racecheck, target, ", which " + who + " read, with no barrier in between");
    }

    [[noreturn]] void complain(Instrument instrument, const Target& target, const std::string& what,
                               bool with_offset = true) {
        failing = true;
        static const char* const verbs[] = {"reads", "reads", "writes", "copies to", "updates", "reads", "writes"};
        std::string text = std::string(verbs[static_cast<int>(target.access)]) + " " + std::to_string(target.bytes) +
                           " bytes " + (with_offset ? "at byte " : "in ");
        const auto* at = static_cast<const unsigned char*>(target.address);
        if (with_offset && target.allocation != nullptr) {
            text += std::to_string(at - target.allocation->data) + " of " + describe(*target.allocation);
        } else if (with_offset) {
            text += std::to_string(at - shared_buffer(slot_)) + " of its " + std::to_string(block_->shared_bytes) +
                    " bytes of shared memory";
        }
        text += what;
        machine().fail(instrument, target.thread, text.c_str(), target.origin);
    }

    Shadow shared_;
    Shadow device_;
    std::vector<Segment> segments_;
    std::uintptr_t stacks_;

    History history_;
    Past after_, early_;  // of the running work

    // Sets of readers beside the one that a cell tells of, as beside_read describes; number 0 is empty.
    std::map<std::vector<std::uint64_t>, std::uint32_t> set_numbers_ = {{{}, 0}};
    std::vector<const std::vector<std::uint64_t>*> sets_ = {&set_numbers_.begin()->first};
    struct FoundOthers {
        OthersKey of;
        std::uint32_t set = 0;
        bool own_before = false;
    };
    std::array<FoundOthers, 256> found_others_;  // what set_of_others has answered

    std::uint64_t now_ = 1;
    const Allocation* last_ = nullptr;

    std::vector<BlockState> block_states_;  // of those that are there
    BlockState no_block_;
    BlockState* block_ = &no_block_;  // that runs
    bool resident_ = false;           // all blocks of the launch are there
    int slot_ = 0;                    // its number among those that are there
    int number_ = 0;                  // and among those of the launch
    int launched_ = 0;
    std::vector<Stretch> stretches_;                    // of this launch
    std::unordered_map<const void*, Knowledge> flags_;  // what is known to whoever sees their latest values
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
