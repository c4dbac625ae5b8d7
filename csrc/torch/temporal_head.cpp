// The smallest op and the pattern for the next: find the engine, check, allocate, let the engine work.
#include "checks.h"
#include "ops.h"

namespace adasgn::ops {

Tensor temporal_head(const Tensor& features, std::int64_t engine) {
    const auto found = find_engine(engine);
    const Tensor input = expect_clip_features(*found, features);
    const int clips = rows("features", input.size(0));
    Tensor logits = floats({clips, found->description().classes}, found->device());
    found->alone(
        [&](Inference& e) { e.temporal_head(input.const_data_ptr<float>(), clips, logits.mutable_data_ptr<float>()); });
    return logits;
}

}  // namespace adasgn::ops
