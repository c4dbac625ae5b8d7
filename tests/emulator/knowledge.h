// What the threads of a block know of other blocks of their launch: which accesses flags, atomics and fences have put
// before them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <unordered_map>
#include <utility>
#include <vector>

#include "block.h"

namespace adasgn::cuda::emulator {

// What of a block is known to a thread of another: its accesses before `barrier`, those of the thread's warp before
// `warp_barrier`, those of the thread up to `fence`.
struct Known {
    int block;
    int thread;
    std::uint64_t barrier, warp_barrier, fence;

    std::pair<int, int> key() const { return {block, thread}; }
};
using Knowledge = std::vector<Known>;  // in the order of their keys

inline void join(Knowledge& into, const Knowledge& from) {
    Knowledge both;
    both.reserve(into.size() + from.size());
    auto a = into.begin();
    auto b = from.begin();
    while (a != into.end() || b != from.end()) {
        if (b == from.end() || (a != into.end() && a->key() < b->key())) {
            both.push_back(*a++);
        } else if (a == into.end() || b->key() < a->key()) {
            both.push_back(*b++);
        } else {
            both.push_back({a->block, a->thread, std::max(a->barrier, b->barrier),
                            std::max(a->warp_barrier, b->warp_barrier), std::max(a->fence, b->fence)});
            ++a;
            ++b;
        }
    }
    into = std::move(both);
}

struct Acquired {  // by a thread, of what others published
    int thread;
    bool by_warp;  // its warp has met since
    Knowledge known;
};

struct BlockState {
    std::uint64_t begin = 1;
    std::uint64_t barrier = 1;  // the latest, or its beginning
    std::uint64_t warp_barriers[most_threads / lanes] = {};
    std::size_t shared_bytes = 0;
    Knowledge known;                            // to all of its threads
    std::vector<Acquired> acquired;             // since the barrier
    std::unordered_map<int, Knowledge> fenced;  // by thread: what it knew and had done at its latest fence
    std::unordered_map<int, Knowledge> seen;    // by thread: what its atomics saw, until a fence makes it known

    void begin_at(std::uint64_t now, std::size_t bytes_of_shared_memory) {
        *this = BlockState{};
        begin = barrier = now;
        std::fill(std::begin(warp_barriers), std::end(warp_barriers), now);
        shared_bytes = bytes_of_shared_memory;
    }

    void meet(std::uint64_t now) {
        barrier = now;
        for (const Acquired& one : acquired) join(known, one.known);
        acquired.clear();
    }

    void meet_warp(int warp, std::uint64_t now) {
        warp_barriers[warp] = now;
        for (Acquired& one : acquired)
            if (one.thread / lanes == warp) one.by_warp = true;
    }

    void acquire(int thread, const Knowledge& published) {
        for (Acquired& one : acquired)
            if (one.thread == thread && !one.by_warp) return join(one.known, published);
        acquired.push_back({thread, false, published});
    }

    // Calls `use` with each part of what the thread knows, until it returns true.
    template <class Use>
    bool any_known_to(int thread, const Use& use) const {
        if (use(known)) return true;
        for (const Acquired& one : acquired)
            if (one.thread == thread || (one.by_warp && one.thread / lanes == thread / lanes))
                if (use(one.known)) return true;
        return false;
    }
};

}  // namespace adasgn::cuda::emulator
