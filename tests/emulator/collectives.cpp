// What the kernels call: who they are, barriers, exchanges within a warp, matrix instructions, copies, atomics.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "block.h"
#include "emulator.h"
#include "memory.h"

namespace adasgn::cuda {

using namespace emulator;

int thread_index() {
    return current->thread;
}
int block_threads() {
    return machine().launch().threads;
}
int block_index() {
    return current->block->x;
}
int block_index_y() {
    return current->block->y;
}
int grid_blocks() {
    return machine().launch().grid.x;
}
unsigned char* shared_memory() {
    return current->block->shared;
}

// Barriers and exchanges.

namespace {

bool recording = false;
std::vector<OrderingCall> recorded;
OrderingCall omitted{nullptr, nullptr, 0};

// Whether a call is one that a test has omitted; notes it where it is asked to.
bool omits(const char* what, const char* file, int line) {
    if (recording) {
        const bool known = std::any_of(recorded.begin(), recorded.end(), [&](const OrderingCall& call) {
            return call.line == line && std::strcmp(call.file, file) == 0;
        });
        if (!known) recorded.push_back({what, file, line});
    }
    return line == omitted.line && std::strcmp(file, omitted.file) == 0;
}

}  // namespace

void emulator::record_ordering_calls() {
    recording = true;
    recorded.clear();
}

std::vector<OrderingCall> emulator::ordering_calls() {
    recording = false;
    return recorded;
}

void emulator::omit(const OrderingCall* call) {
    omitted = call == nullptr ? OrderingCall{nullptr, nullptr, 0} : *call;
}

void block_barrier(const char* file, int line) {
    if (omits("block_barrier", file, line)) return;
    machine().join_block(file, line);
}

void warp_barrier(const char* file, int line) {
    if (omits("warp_barrier", file, line)) return;
    int warp = current->thread / lanes;
    machine().collective(Wait::warp_barrier, file, line, warp, [](Warp& all) {
        if (observer != nullptr) observer->warp_barrier(*static_cast<int*>(all.payload[0]));
    });
}

namespace {

template <class T>
struct Exchange {
    T value;
    int mask;
    T received;
};

template <class T>
T exchange(T value, int mask, const char* file, int line) {
    Exchange<T> mine{value, mask & (lanes - 1), value};
    machine().collective(Wait::shuffle, file, line, mine, [](Warp& all) {
        for (int i = 0; i < lanes; ++i) {
            auto& to = *static_cast<Exchange<T>*>(all.payload[i]);
            to.received = static_cast<Exchange<T>*>(all.payload[i ^ to.mask])->value;
        }
    });
    return mine.received;
}

}  // namespace

float shuffle_xor(float value, int mask, const char* file, int line) {
    return exchange(value, mask, file, line);
}
int shuffle_xor(int value, int mask, const char* file, int line) {
    return exchange(value, mask, file, line);
}

unsigned ballot(bool vote, const char* file, int line) {
    unsigned votes = vote;
    machine().collective(Wait::ballot, file, line, votes, [](Warp& all) {
        unsigned together = 0;
        for (int i = 0; i < lanes; ++i) together |= *static_cast<unsigned*>(all.payload[i]) << i;
        for (void* payload : all.payload) *static_cast<unsigned*>(payload) = together;
    });
    return votes;
}

// Matrices.

namespace {

struct MatrixRow {
    const Half* row;
    std::uint32_t* registers;
    int thread;
    Origin origin;
};

template <bool transposed>
void load(Warp& all) {
    std::uint16_t matrix[4][8][8];
    for (int i = 0; i < lanes; ++i) {
        const auto& from = *static_cast<MatrixRow*>(all.payload[i]);
        if (observer != nullptr) observer->reads(from.row, 16, from.thread, from.origin);
        std::memcpy(matrix[i / 8][i % 8], from.row, 16);
    }
    for (int i = 0; i < lanes; ++i) {
        std::uint32_t* registers = static_cast<MatrixRow*>(all.payload[i])->registers;
        const int major = i / 4;
        const int minor = 2 * (i % 4);
        for (int m = 0; m < 4; ++m) {
            const std::uint32_t low = transposed ? matrix[m][minor][major] : matrix[m][major][minor];
            const std::uint32_t high = transposed ? matrix[m][minor + 1][major] : matrix[m][major][minor + 1];
            registers[m] = low | high << 16;
        }
    }
}

void check_row(const Half* row, const char* file, int line) {
    const auto address = reinterpret_cast<std::uintptr_t>(row);
    const auto offset = address - reinterpret_cast<std::uintptr_t>(current->block->shared);
    const Origin origin{file, line, nullptr};
    if (address % 16 != 0)
        machine().fail(Instrument::memcheck, current->thread, "load_matrix from an address not aligned to 16", origin);
    if (offset > shared_capacity - 16)
        machine().fail(Instrument::memcheck, current->thread, "load_matrix from outside shared memory", origin);
}

struct Product {
    float* d;
    const std::uint32_t* a;
    std::uint32_t b0, b1;
};

// Half of the emulator's time goes here: let the compiler use what vectors the processor has.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define ADASGN_VECTOR_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define ADASGN_VECTOR_CLONES
#endif

ADASGN_VECTOR_CLONES void add_product(float (&d)[16][8], const Half (&a)[16 * 16], const Half (&b)[16 * 8]) {
    float left[16 * 16];
    float right[16 * 8];
    for (int i = 0; i < 16 * 16; ++i) left[i] = to_float(a[i]);
    for (int i = 0; i < 16 * 8; ++i) right[i] = to_float(b[i]);
    for (int row = 0; row < 16; ++row) {
        float sum[8];
        for (int column = 0; column < 8; ++column) sum[column] = d[row][column];
        for (int k = 0; k < 16; ++k)
            for (int column = 0; column < 8; ++column) sum[column] += left[16 * row + k] * right[8 * k + column];
        for (int column = 0; column < 8; ++column) d[row][column] = sum[column];
    }
}

void multiply(Warp& all) {
    Half a[16 * 16];
    Half b[16 * 8];
    float d[16][8];
    for (int i = 0; i < lanes; ++i) {
        const auto& from = *static_cast<Product*>(all.payload[i]);
        const int group = i / 4;
        const int pair = 2 * (i % 4);
        for (int r = 0; r < 4; ++r)
            std::memcpy(&a[16 * (group + 8 * (r % 2)) + pair + 8 * (r / 2)], &from.a[r], sizeof from.a[r]);
        b[8 * pair + group].bits = static_cast<std::uint16_t>(from.b0);
        b[8 * (pair + 1) + group].bits = static_cast<std::uint16_t>(from.b0 >> 16);
        b[8 * (pair + 8) + group].bits = static_cast<std::uint16_t>(from.b1);
        b[8 * (pair + 9) + group].bits = static_cast<std::uint16_t>(from.b1 >> 16);
        std::memcpy(&d[group][pair], from.d, 2 * sizeof(float));
        std::memcpy(&d[group + 8][pair], from.d + 2, 2 * sizeof(float));
    }
    add_product(d, a, b);
    for (int i = 0; i < lanes; ++i) {
        float* to = static_cast<Product*>(all.payload[i])->d;
        std::memcpy(to, &d[i / 4][2 * (i % 4)], 2 * sizeof(float));
        std::memcpy(to + 2, &d[i / 4 + 8][2 * (i % 4)], 2 * sizeof(float));
    }
}

}  // namespace

void load_matrix(std::uint32_t (&r)[4], const Half* row, const char* file, int line) {
    check_row(row, file, line);
    MatrixRow mine{row, r, current->thread, Origin{file, line, nullptr}};
    machine().collective(Wait::load_matrix, file, line, mine, load<false>);
}

void load_matrix_transposed(std::uint32_t (&r)[4], const Half* row, const char* file, int line) {
    check_row(row, file, line);
    MatrixRow mine{row, r, current->thread, Origin{file, line, nullptr}};
    machine().collective(Wait::load_matrix, file, line, mine, load<true>);
}

void multiply_add(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1, const char* file,
                  int line) {
    Product mine{d, a, b0, b1};
    machine().collective(Wait::multiply_add, file, line, mine, multiply);
}

// Copies: while one is under way its destination holds poison.

namespace {

constexpr std::size_t copy_bytes = 16;

void arrive(const PendingCopy& copy) {
    if (observer != nullptr) observer->copy_arrives(copy.shared, copy.global, copy_bytes, current->thread, copy.origin);
    std::memcpy(copy.shared, copy.global, copy_bytes);
}

}  // namespace

void copy_async(void* shared, const void* global, const char* file, int line) {
    Fiber& fiber = *current;
    const Origin origin{file, line, nullptr};
    const auto offset =
        reinterpret_cast<std::uintptr_t>(shared) - reinterpret_cast<std::uintptr_t>(fiber.block->shared);
    const char* wrong = nullptr;
    if (reinterpret_cast<std::uintptr_t>(shared) % copy_bytes != 0)
        wrong = "copy_async to an address not aligned to 16";
    if (reinterpret_cast<std::uintptr_t>(global) % copy_bytes != 0)
        wrong = "copy_async from an address not aligned to 16";
    if (offset > machine().launch().shared_bytes || machine().launch().shared_bytes - offset < copy_bytes)
        wrong = "copy_async to outside shared memory";
    if (allocation_of(global, copy_bytes) == nullptr) wrong = "copy_async from outside device memory";
    if (wrong != nullptr) machine().fail(Instrument::memcheck, fiber.thread, wrong, origin);
    if (observer != nullptr) observer->copy_issued(shared, global, copy_bytes, fiber.thread, origin);
    if (fiber.block->copies_at_once) {
        std::memcpy(shared, global, copy_bytes);
    } else {
        fill_poison(shared, copy_bytes);
    }
    fiber.copies.push_back({shared, global, fiber.group, origin});
}

void copy_async_commit() {
    ++current->group;
}

void emulator::wait_for_copies(int groups_left, const char* file, int line) {
    if (omits("copy_async_wait", file, line)) return;
    Fiber& fiber = *current;
    const int done = fiber.group - groups_left;  // groups below this number have arrived
    std::size_t arrived = 0;
    for (; arrived < fiber.copies.size() && fiber.copies[arrived].group < done; ++arrived)
        arrive(fiber.copies[arrived]);
    fiber.copies.erase(fiber.copies.begin(), fiber.copies.begin() + static_cast<std::ptrdiff_t>(arrived));
}

// Atomics and global memory.

namespace {

void check_atomic(int* address, const char* file, int line) {
    if (observer != nullptr)
        observer->updates_atomically(address, sizeof *address, current->thread, Origin{file, line, nullptr});
}

}  // namespace

int atomic_add(int* address, int value, const char* file, int line) {
    check_atomic(address, file, line);
    const int before = *address;
    *address = static_cast<int>(static_cast<unsigned>(before) + static_cast<unsigned>(value));
    return before;
}

int atomic_max(int* address, int value, const char* file, int line) {
    check_atomic(address, file, line);
    const int before = *address;
    *address = maximum(before, value);
    return before;
}

void fence(const char* file, int line) {
    if (omits("fence", file, line)) return;
    if (observer != nullptr) observer->fence(current->thread);
}

int atomic_add_ordered(int* address, int value, const char* file, int line) {
    const bool ordered = observer != nullptr && !omits("atomic_add_ordered", file, line);
    if (ordered) observer->fence(current->thread);
    const int before = atomic_add(address, value, file, line);
    if (ordered) observer->fence(current->thread);
    return before;
}

// Kernels that may start early.

void wait_for_previous_kernel(const char* file, int line) {
    if (omits("wait_for_previous_kernel", file, line)) return;
    machine().wait_for_previous_kernel();
}

void let_next_kernel_start() {
    machine().let_next_kernel_start();
}

// Flags between blocks.

namespace {

void check_flag(const int* flag, const char* what, const char* file, int line) {
    const char* wrong = nullptr;
    if (reinterpret_cast<std::uintptr_t>(flag) % sizeof(int) != 0) wrong = " of a misaligned address";
    if (allocation_of(flag, sizeof(int)) == nullptr) wrong = " outside device memory";
    if (wrong != nullptr)
        machine().fail(Instrument::memcheck, current->thread, (std::string(what) + wrong).c_str(),
                       Origin{file, line, nullptr});
}

}  // namespace

int load_acquire(const int* address, const char* file, int line) {
    check_flag(address, "load_acquire", file, line);
    if (observer != nullptr) observer->acquires(address, current->thread, Origin{file, line, nullptr});
    return *address;
}

void store_release(int* address, int value, const char* file, int line) {
    check_flag(address, "store_release", file, line);
    if (observer != nullptr) observer->releases(address, current->thread, Origin{file, line, nullptr});
    *address = value;
}

int load_relaxed(const int* address, const char* file, int line) {
    check_flag(address, "load_relaxed", file, line);
    if (observer != nullptr) observer->looks(address, current->thread, Origin{file, line, nullptr});
    return *address;
}

int wait_until_at_least(const int* flag, int value, const char* file, int line) {
    if (omits("wait_until_at_least", file, line)) return *flag;
    check_flag(flag, "wait_until_at_least", file, line);
    machine().wait_for_flag(flag, value, file, line);
    if (observer != nullptr) observer->acquires(flag, current->thread, Origin{file, line, nullptr});
    return *flag;
}

void emulator::check_read_only(const void* address, std::size_t bytes, const char* file, int line) {
    const Origin origin{file, line, nullptr};
    if (reinterpret_cast<std::uintptr_t>(address) % bytes != 0)
        machine().fail(Instrument::memcheck, current->thread, "load_global from a misaligned address", origin);
    if (allocation_of(address, bytes) == nullptr)
        machine().fail(Instrument::memcheck, current->thread, "load_global from outside device memory", origin);
    if (observer != nullptr) observer->reads_constant(address, bytes, current->thread, origin);
}

}  // namespace adasgn::cuda
