// Routing without an engine: frames sorted by branch, rows taken out in that order and put back.
#include <ATen/ops/arange.h>
#include <ATen/ops/index_copy.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros.h>

#include <vector>

#include "adasgn/router.h"
#include "checks.h"
#include "ops.h"

namespace adasgn::ops {

namespace {

constexpr std::int64_t kMaxBranches = 32;

// order (n,), each a row number below `count`; on the CPU their range and, if asked, their being distinct is checked.
// Elsewhere that would make the host wait, and ATen checks the range on the device.
Tensor expect_order(const Tensor& order, c10::Device device, std::int64_t count, bool distinct) {
    // A copy, of another type: what is checked is what is used, whatever becomes of the caller's tensor meanwhile.
    Tensor checked = expect("order", order, device, at::kInt, {{"n"}}).to(at::kLong);
    if (device.is_cpu()) {
        const auto* const rows = checked.const_data_ptr<std::int64_t>();
        std::vector<bool> seen(distinct ? count : 0);
        for (std::int64_t i = 0; i < checked.size(0); ++i) {
            TORCH_CHECK_VALUE(0 <= rows[i] && rows[i] < count, "order: expected row numbers 0 to ", count - 1,
                              ", found ", rows[i], " at position ", i);
            if (distinct) {
                TORCH_CHECK_VALUE(!seen[rows[i]], "order: expected each row once, found ", rows[i],
                                  " again at position ", i);
                seen[rows[i]] = true;
            }
        }
    }
    return checked;
}

}  // namespace

std::tuple<Tensor, Tensor> route(const Tensor& actions, std::int64_t branches) {
    TORCH_CHECK_VALUE(1 <= branches && branches <= kMaxBranches, "branches: expected 1 to ", kMaxBranches, ", found ",
                      branches);
    const Tensor checked = expect("actions", actions, actions.device(), at::kInt, {{"N"}});
    const int count = rows("actions", checked.size(0));
    if (!actions.is_cpu()) {
        return route_on_device(checked, branches);
    }
    const auto* const given = checked.const_data_ptr<std::int32_t>();
    const std::vector<std::int32_t> taken(given, given + count);  // the caller's may change meanwhile
    for (int i = 0; i < count; ++i) {
        TORCH_CHECK_VALUE(0 <= taken[i] && taken[i] < branches, "actions: expected branch numbers 0 to ", branches - 1,
                          ", found ", taken[i], " at frame ", i);
    }
    Tensor order = integers({count}, c10::kCPU);
    Tensor starts = integers({branches + 1}, c10::kCPU);
    sort_by_branch(
        count, static_cast<int>(branches), [&](int i) { return taken[i]; }, [](int i) { return i; },
        starts.mutable_data_ptr<std::int32_t>(), order.mutable_data_ptr<std::int32_t>());
    return {order, starts};
}

// Frames whose action is no branch come before the first part or after the last.
std::tuple<Tensor, Tensor> route_on_device(const Tensor& actions, std::int64_t branches) {
    const auto [sorted, order] = at::sort(actions, /*stable=*/true, /*dim=*/0, /*descending=*/false);
    const Tensor starts = at::searchsorted(sorted, at::arange(branches + 1, actions.options()), /*out_int32=*/true);
    return {order.to(at::kInt), starts};
}

Tensor gather(const Tensor& values, const Tensor& order) {
    TORCH_CHECK_VALUE(values.dim() > 0, "values: expected shape (N, …), found a scalar");
    return at::index_select(values, 0, expect_order(order, values.device(), values.size(0), false)).contiguous();
}

Tensor scatter(const Tensor& values, const Tensor& order, std::int64_t count) {
    TORCH_CHECK_VALUE(count >= 0, "count: expected 0 or more rows, found ", count);
    TORCH_CHECK_VALUE(values.dim() > 0 && order.dim() == 1 && values.size(0) == order.size(0),
                      "values: expected shape (n, …) with a row for each of order (n,), found ", values.sizes(),
                      " and ", order.sizes());
    const Tensor rows = expect_order(order, values.device(), count, true);
    std::vector<std::int64_t> shape = values.sizes().vec();
    shape[0] = count;
    return at::zeros(shape, values.options()).index_copy_(0, rows, values);
}

}  // namespace adasgn::ops
