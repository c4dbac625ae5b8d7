// libFuzzer on the model-file reader: whatever the bytes, either a sound model or an Error that can be printed. A file
// that comes as far as its checksum is read a second time with one that fits, so that what lies behind is reached; and
// a small model that is accepted is run.
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <utility>

#include "adasgn/error.h"
#include "adasgn/model.h"
#include "fuzz_input.h"
#include "run_any_model.h"

using namespace adasgn;

namespace {

void expect(bool ok) {
    if (!ok) {
        __builtin_trap();
    }
}

void expect_sound(const Model& model) {
    const Description& d = model.description;
    const int recorded = d.recorded_joints();
    const auto joint = [&](int index) { return index >= 0 && index < recorded; };
    expect(d.joints >= 1 && d.joints <= 256 && d.frames >= 1 && d.frames <= 1024 && d.classes >= 2);
    expect(recorded >= 1 && d.joint_names.size() == static_cast<std::size_t>(recorded));
    expect(d.causal.has_value() == d.recognition.has_value() && (!d.causal || joint(d.causal->origin)));
    expect(d.class_names.size() == static_cast<std::size_t>(d.classes));
    expect(!d.branches.empty() && (d.adaptive || d.escalates || d.branches.size() == 1));
    expect(d.stride >= 1 && d.stride <= 2 && d.temporal_frames() >= 1 && d.temporal_frames() <= d.frames);
    expect(d.escalates != d.effort_table.empty());
    for (const EffortPoint& point : d.effort_table) {
        expect(point.threshold >= 0 && point.macs >= 0);
    }
    expect(d.preprocessing.parents.size() == static_cast<std::size_t>(recorded) && !d.preprocessing.origin.empty());
    for (const int index : d.preprocessing.origin) {
        expect(joint(index));
    }
    for (const int parent : d.preprocessing.parents) {
        expect(joint(parent));
    }
    if (d.preprocessing.scale_bone) {
        expect(joint((*d.preprocessing.scale_bone)[0]) && joint((*d.preprocessing.scale_bone)[1]));
    }
    for (const char* convention : {"paper", "full", "folded"}) {
        expect(d.cost.at(convention).size() == d.branches.size());
        for (const std::int64_t macs : d.cost.at(convention)) {
            expect(macs >= 0);
        }
    }
    double sum = 0;
    for (const double share : d.action_shares) {
        expect(share >= 0);
        sum += share;
    }
    const bool known = !d.action_shares.empty();
    expect(!known || (d.adaptive && d.action_shares.size() == d.branches.size() && std::abs(sum - 1) <= 1e-3));
    expect(nlohmann::json::parse(d.json).at("layout").at("joints").size() == d.joint_names.size());
    const auto shapes = expected_tensors(d);
    expect(model.tensors.size() == shapes.size());
    for (const auto& [name, shape] : shapes) {
        const Tensor& tensor = model.tensor(name);
        std::size_t count = 1;
        for (const std::int64_t extent : shape) {
            count *= static_cast<std::size_t>(extent);
        }
        expect(tensor.shape == shape && tensor.values.size() == count);
        for (const float value : tensor.values) {
            expect(std::isfinite(value));
        }
    }
}

// Whether the file got as far as its checksum, and that did not fit.
bool stopped_at_checksum(const testing::Bytes& file) {
    try {
        Model model = parse_model(file.data(), file.size());
        expect_sound(model);
        testing::run_any_model(std::move(model), std::accumulate(file.begin(), file.end(), 0U));
    } catch (const Error& error) {
        expect(error.kind() == ErrorKind::model_file);
        const std::string message = error.what();
        expect(message.size() < 1200);
        nlohmann::json(message).dump();  // throws, and so crashes, unless the message is UTF-8
        return message.rfind("model: checksum: expected ", 0) == 0;
    }
    return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    testing::Bytes file = testing::file_of_input(data, size);
    if (stopped_at_checksum(file)) {
        testing::refit_checksum(file);
        expect(!stopped_at_checksum(file));
    }
    return 0;
}
