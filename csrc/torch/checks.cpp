#include "checks.h"

#include <ATen/ops/empty.h>

#include <limits>
#include <string>

#include "adasgn/constants.h"

namespace adasgn::ops {

namespace {

std::string text(std::initializer_list<Extent> shape) {
    std::string line = "(";
    for (const Extent& extent : shape) {
        line += (line.size() > 1 ? ", " : "") + (extent.value < 0 ? extent.symbol : std::to_string(extent.value));
    }
    return line + (shape.size() == 1 ? ",)" : ")");
}

std::string text(c10::IntArrayRef shape) {
    std::string line = "(";
    for (const std::int64_t extent : shape) {
        line += (line.size() > 1 ? ", " : "") + std::to_string(extent);
    }
    return line + (shape.size() == 1 ? ",)" : ")");
}

// As Python calls it.
std::string text(c10::ScalarType type) {
    switch (type) {
        case at::kFloat:
            return "float32";
        case at::kDouble:
            return "float64";
        case at::kHalf:
            return "float16";
        case at::kInt:
            return "int32";
        case at::kLong:
            return "int64";
        default:
            return c10::toString(type);
    }
}

bool fits(c10::IntArrayRef found, std::initializer_list<Extent> shape) {
    std::size_t axis = 0;
    for (const Extent& extent : shape) {
        if (axis == found.size() || (extent.value >= 0 && found[axis] != extent.value)) {
            return false;
        }
        ++axis;
    }
    return axis == found.size();
}

}  // namespace

Tensor expect(const char* name, const Tensor& tensor, c10::Device device, c10::ScalarType type,
              std::initializer_list<Extent> shape) {
    TORCH_CHECK_VALUE(tensor.device() == device, name, ": expected a tensor on ", device, ", found ", tensor.device());
    TORCH_CHECK_VALUE(tensor.scalar_type() == type, name, ": expected ", text(type), ", found ",
                      text(tensor.scalar_type()));
    TORCH_CHECK_VALUE(fits(tensor.sizes(), shape), name, ": expected shape ", text(shape), ", found ",
                      text(tensor.sizes()));
    return tensor.contiguous();
}

int rows(const char* name, std::int64_t count) {
    TORCH_CHECK_VALUE(count <= 1 << 30, name, ": expected at most 2^30 rows, found ", count);
    return static_cast<int>(count);
}

Tensor floats(c10::IntArrayRef shape, c10::Device device) {
    return at::empty(shape, at::TensorOptions(device).dtype(at::kFloat));
}

Tensor integers(c10::IntArrayRef shape, c10::Device device) {
    return at::empty(shape, at::TensorOptions(device).dtype(at::kInt));
}

Frames::Frames(const LoadedModel& model, const Tensor& frames, const std::optional<Tensor>& previous) {
    const int joints = model.description().joints;
    current = expect("frames", frames, model.device(), at::kFloat, {{"N"}, {"V", joints}, {"C", kCoordinates}});
    count = rows("frames", current.size(0));
    if (previous.has_value()) {
        before = expect("previous", *previous, model.device(), at::kFloat,
                        {{"N", count}, {"V", joints}, {"C", kCoordinates}});
    }
}

Tensor expect_clip_features(const LoadedModel& model, const Tensor& features) {
    const int frames = model.description().frames;
    return expect("features", features, model.device(), at::kFloat, {{"B"}, {"T", frames}, {"", kFeature}});
}

void spoil_bad_actions(const LoadedModel& model, const Tensor& actions, const Tensor& features, const Tensor& logits) {
    if (model.checks_values()) {
        return;
    }
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    const auto branches = static_cast<std::int64_t>(model.description().branches.size());
    const Tensor bad = actions.lt(0).logical_or_(actions.ge(branches));
    features.masked_fill_(bad.unsqueeze(-1), nan);
    if (logits.defined()) {
        logits.masked_fill_(bad.flatten(1).any(1, true), nan);
    }
}

}  // namespace adasgn::ops
