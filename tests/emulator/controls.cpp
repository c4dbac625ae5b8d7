// emulator.h: what tests ask of the emulator and tell it.
#include "emulator.h"

#include "runtime_state.h"

namespace adasgn::cuda::emulator {

DeviceTraits default_traits() {
    return {"emulated Orin", 87, 16, 166912, 167936};
}

std::vector<Schedule> schedules(int random_ones) {
    std::vector<Schedule> all = {{Order::ascending, 0}, {Order::descending, 0}};
    for (int seed = 1; seed <= random_ones; ++seed) all.push_back({Order::random, static_cast<std::uint64_t>(seed)});
    return all;
}

void set_schedule(Schedule schedule) {
    const Lock lock;
    machine().schedule = schedule;
}

void set_traits(const DeviceTraits& traits) {
    const Lock lock;
    device().traits = traits;
}

void set_memory_limit(std::size_t bytes) {
    const Lock lock;
    device().memory_limit = bytes;
}

std::vector<Finding> findings() {
    const Lock lock;
    return machine().findings;
}

void clear_findings() {
    const Lock lock;
    machine().findings.clear();
}

bool checks_accesses() {
    return observer != nullptr;
}

std::string check_guards() {
    const Lock lock;
    for (std::size_t i = 0; i < allocation_count(); ++i) {
        std::string wrecked = overwritten_guard(allocation_number(i));
        if (!wrecked.empty()) return wrecked;
    }
    return {};
}

bool capturing(Stream stream) {
    const Lock lock;
    const StreamState* const state = state_of(stream);
    return state != nullptr && state->recording != nullptr;
}

std::vector<AllocationRecord> allocations() {
    const Lock lock;
    std::vector<AllocationRecord> live;
    for (std::size_t i = 0; i < allocation_count(); ++i) {
        const Allocation& allocation = allocation_number(i);
        if (allocation.live) live.push_back({allocation.data, allocation.bytes, allocation.pinned});
    }
    return live;
}

}  // namespace adasgn::cuda::emulator
