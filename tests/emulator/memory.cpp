#include "memory.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>

namespace adasgn::cuda::emulator {

namespace {

constexpr std::size_t page = 4096;
// Data begins here in its first page: aligned to 256 bytes as CUDA's is, and to no more.
constexpr std::size_t guard_before = 768;
constexpr std::size_t guard_after = 768;  // at least

std::size_t used = page;  // of the arena; its first page stays empty
std::deque<Allocation> table;

std::uint32_t* page_owners() {  // for each page of the arena: number of the allocation + 1
    static auto* owners =
        reinterpret_cast<std::uint32_t*>(reserve(arena_bytes / page * sizeof(std::uint32_t), PROT_READ | PROT_WRITE));
    return owners;
}

}  // namespace

unsigned char* reserve(std::size_t bytes, int protection) {
    void* memory = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        std::fprintf(stderr, "emulator: cannot reserve %zu GB of addresses (ulimit -v?)\n", bytes >> 30);
        std::abort();
    }
    madvise(memory, bytes, MADV_DONTDUMP);
    return static_cast<unsigned char*>(memory);
}

void fill_poison(void* memory, std::size_t bytes) {
    auto* at = static_cast<unsigned char*>(memory);
    for (; bytes >= sizeof poison; bytes -= sizeof poison, at += sizeof poison) std::memcpy(at, &poison, sizeof poison);
    std::memcpy(at, &poison, bytes);
}

bool is_poison(const unsigned char* memory, std::size_t bytes) {
    std::uint64_t different = 0;
    for (std::size_t i = 0; i + sizeof poison <= bytes; i += sizeof poison) {
        std::uint64_t word;
        std::memcpy(&word, memory + i, sizeof word);
        different |= word ^ poison;
    }
    const std::size_t rest = bytes % sizeof poison;
    return different == 0 && std::memcmp(memory + bytes - rest, &poison, rest) == 0;
}

unsigned char* arena() {
    static unsigned char* memory = reserve(arena_bytes, PROT_NONE);
    return memory;
}

unsigned char* shared_buffers() {
    static unsigned char* memory = reserve(most_blocks * shared_stride, PROT_NONE);
    return memory;
}

unsigned char* shared_buffer(int number) {
    static int accessible = 0;
    for (; accessible <= number; ++accessible) {
        unsigned char* buffer = shared_buffers() + accessible * shared_stride + shared_margin;
        // With the guards' pages, which the margins lose.
        if (mprotect(buffer - page, shared_capacity + 2 * page, PROT_READ | PROT_WRITE) != 0) std::abort();
    }
    return shared_buffers() + static_cast<std::size_t>(number) * shared_stride + shared_margin;
}

Allocation* create_allocation(std::size_t bytes, bool pinned) {
    const std::size_t page_bytes = (guard_before + bytes + guard_after + page - 1) / page * page;
    if (bytes > arena_bytes || page_bytes > arena_bytes - used) return nullptr;
    unsigned char* pages = arena() + used;
    if (mprotect(pages, page_bytes, PROT_READ | PROT_WRITE) != 0) return nullptr;
    table.push_back(Allocation{pages + guard_before, bytes, pages, page_bytes, pinned, true});
    for (std::size_t i = 0; i < page_bytes / page; ++i)
        page_owners()[used / page + i] = static_cast<std::uint32_t>(table.size());
    used += page_bytes;
    fill_poison(pages, page_bytes);
    return &table.back();
}

void end_allocation(Allocation& allocation) {
    allocation.live = false;
    madvise(allocation.pages, allocation.page_bytes, MADV_DONTNEED);
    mprotect(allocation.pages, allocation.page_bytes, PROT_NONE);
}

Allocation* allocation_at(const void* address) {
    const auto offset = static_cast<std::size_t>(static_cast<const unsigned char*>(address) - arena());
    if (offset >= arena_bytes) return nullptr;
    const std::uint32_t owner = page_owners()[offset / page];
    return owner == 0 ? nullptr : &table[owner - 1];
}

Allocation* allocation_of(const void* address, std::size_t bytes) {
    Allocation* allocation = allocation_at(address);
    if (allocation == nullptr || !allocation->live) return nullptr;
    const auto offset = static_cast<std::size_t>(static_cast<const unsigned char*>(address) - allocation->data);
    return offset <= allocation->bytes && bytes <= allocation->bytes - offset ? allocation : nullptr;
}

std::size_t allocation_count() {
    return table.size();
}
Allocation& allocation_number(std::size_t number) {
    return table[number];
}

std::string describe(const Allocation& allocation) {
    for (std::size_t i = 0; i < table.size(); ++i)
        if (&table[i] == &allocation)
            return "allocation " + std::to_string(i) + " of " + std::to_string(allocation.bytes) + " bytes";
    return "no allocation";
}

std::string overwritten_guard(const Allocation& allocation) {
    if (!allocation.live) return {};
    const unsigned char* end = allocation.data + allocation.bytes;
    const unsigned char* after = allocation.pages + allocation.page_bytes;
    const std::size_t odd = allocation.bytes % 2;  // the pattern has two bytes
    if (odd != 0 && *end != (poison & 0xff00) >> 8) return describe(allocation) + ": overwritten behind its end";
    if (!is_poison(end + odd, static_cast<std::size_t>(after - end) - odd))
        return describe(allocation) + ": overwritten behind its end";
    if (!is_poison(allocation.pages, guard_before)) return describe(allocation) + ": overwritten before its start";
    return {};
}

}  // namespace adasgn::cuda::emulator
