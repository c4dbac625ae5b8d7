// The emulated device's memory: one reserved range of addresses with all allocations, none used twice, and one for the
// shared memory of blocks. Fresh memory holds a NaN pattern; guard zones of the same lie around everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace adasgn::cuda::emulator {

// Addresses from the system; without them nothing can be emulated: says so and ends the program.
unsigned char* reserve(std::size_t bytes, int protection);

// A NaN as a Half, as a float and in any alignment to 2 bytes; no arithmetic makes it.
constexpr std::uint16_t poison_half = 0x7fad;
constexpr std::uint64_t poison = 0x7fad7fad7fad7fadull;

void fill_poison(void* memory, std::size_t bytes);  // the address a multiple of 2
bool is_poison(const unsigned char* memory, std::size_t bytes);

struct Allocation {
    unsigned char* data;
    std::size_t bytes;
    unsigned char* pages;  // with its guard zones
    std::size_t page_bytes;
    bool pinned;
    bool live;
};

constexpr std::size_t arena_bytes = std::size_t{64} << 30;
constexpr std::size_t shared_capacity = 256 * 1024;
constexpr std::size_t shared_guard = 1024;      // checked before and after each block
constexpr std::size_t shared_margin = 1 << 20;  // no access at all beyond the guards
constexpr std::size_t shared_stride = shared_margin + shared_capacity + shared_margin;  // from block to block
constexpr int most_blocks = 264;                                                        // at once

unsigned char* arena();                    // arena_bytes
unsigned char* shared_buffers();           // most_blocks times shared_stride
unsigned char* shared_buffer(int number);  // shared_capacity, between guards and margins

Allocation* create_allocation(std::size_t bytes, bool pinned);  // null: the arena is used up
void end_allocation(Allocation& allocation);                    // its addresses become inaccessible for good
// The allocation, live or not, whose pages hold the address; null between allocations.
Allocation* allocation_at(const void* address);
// The live one that holds all the bytes, or null.
Allocation* allocation_of(const void* address, std::size_t bytes);
std::size_t allocation_count();
Allocation& allocation_number(std::size_t number);
std::string describe(const Allocation& allocation);
std::string overwritten_guard(const Allocation& allocation);  // empty: intact

}  // namespace adasgn::cuda::emulator
