#include "adasgn/effort.h"

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

}  // namespace adasgn
