// The sanitizer's notes on memory: for each byte who wrote it last and when, who read it since and when.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

#include "memory.h"

namespace adasgn::cuda::emulator {

// A cell: time, whether others have read as well (in cells of reads), what kind of access, by which thread. 0: never.
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
    blocks = 3,    // several blocks of a launch that runs one after another
};

constexpr Cell make_cell(std::uint64_t time, Kind kind, int thread) {
    return time << 13 | kind << 10 | static_cast<Cell>(thread);
}
inline std::uint64_t time_of(Cell cell) {
    return cell >> 13;
}
inline Cell kind_of(Cell cell) {
    return cell >> 10 & 3;
}
constexpr Cell by_others = Cell{1} << 12;
inline int thread_of(Cell cell) {
    return static_cast<int>(cell & 1023);
}

inline Cell* reserve_cells(std::size_t count) {
    return reinterpret_cast<Cell*>(reserve(count * sizeof(Cell), PROT_READ | PROT_WRITE));
}

// Some memory with its cells.
struct Shadow {
    std::uintptr_t begin;
    std::size_t bytes;
    Cell* written;
    Cell* read;
    std::uint32_t* others;  // where `read` says so: the number of the set of others that have read

    Shadow(const unsigned char* memory, std::size_t size)
        : begin(reinterpret_cast<std::uintptr_t>(memory)),
          bytes(size),
          written(reserve_cells(size)),
          read(reserve_cells(size)),
          others(reinterpret_cast<std::uint32_t*>(reserve(size * sizeof(std::uint32_t), PROT_READ | PROT_WRITE))) {}
};

}  // namespace adasgn::cuda::emulator
