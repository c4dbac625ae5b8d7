#include "adasgn/effort.h"

#include <algorithm>
#include <limits>
#include <string>

#include "adasgn/error.h"

namespace adasgn {

float threshold_of(const Description& description, double effort) {
    const std::vector<EffortPoint>& table = description.effort_table;
    if (table.empty()) {
        throw Error(ErrorKind::engine, "effort: expected none, as this model does not escalate");
    }
    if (!(effort >= 0 && effort <= 1)) {
        throw Error(ErrorKind::engine, "effort: expected a number from 0 to 1, found " + std::to_string(effort));
    }
    std::size_t i = 1;
    while (i + 1 < table.size() && table[i].effort < effort) {
        ++i;
    }
    const EffortPoint& low = table[i - 1];
    const EffortPoint& high = table[i];
    const double part = (effort - low.effort) / (high.effort - low.effort);
    return static_cast<float>(low.threshold + part * (high.threshold - low.threshold));
}

double effort_within(const Description& description, std::int64_t macs) {
    const std::vector<EffortPoint>& table = description.effort_table;
    if (table.empty()) {
        throw Error(ErrorKind::engine, "max_macs: expected none, as this model does not escalate");
    }
    if (macs < table.front().macs) {
        throw Error(ErrorKind::engine, "max_macs: expected at least " + std::to_string(table.front().macs) +
                                           ", what a clip costs at effort 0, found " + std::to_string(macs));
    }
    const auto dearer = std::upper_bound(table.begin(), table.end(), macs,
                                         [](std::int64_t most, const EffortPoint& point) { return most < point.macs; });
    if (dearer == table.end()) {
        return 1;
    }
    const EffortPoint& high = *dearer;
    const EffortPoint& low = *(dearer - 1);
    const double part = static_cast<double>(macs - low.macs) / static_cast<double>(high.macs - low.macs);
    return low.effort + part * (high.effort - low.effort);
}

void count_macs(const Description& description, const std::int32_t* actions, int samples, int persons, bool forced,
                std::int64_t* macs) {
    __extension__ typedef __int128 Wide;  // a file may state any cost
    const std::vector<std::int64_t>& full = description.cost.at("full");
    const auto cost = [&](std::int32_t action) -> Wide {
        return description.escalates && forced && action > 0 ? full[action] - full[action - 1] : full[action];
    };
    const int frames = description.frames;
    for (int sample = 0; sample < samples; ++sample, actions += persons * frames) {
        Wide sum = 0;  // over frames, each with a clip's cost
        for (int i = 0; i < persons * frames; ++i) {
            sum += cost(actions[i]);
        }
        macs[sample] = static_cast<std::int64_t>(
            std::min<Wide>((sum + frames / 2) / frames, std::numeric_limits<std::int64_t>::max()));
    }
}

}  // namespace adasgn
