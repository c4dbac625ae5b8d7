// The one list of ops: schemas, and which function serves which device. Fake kernels: adasgn_edge/torch_ops/fake.py.
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <torch/custom_class.h>
#include <torch/library.h>

#include <optional>
#include <string>
#include <utility>

#include "engines.h"
#include "ops.h"

namespace adasgn::ops {

namespace {

constexpr const char* kSchemas[] = {
    "temporal_head(Tensor features, int engine) -> Tensor",
    "policy_features(Tensor frames, Tensor? previous, int engine) -> Tensor",
    "policy_actions(Tensor features, int engine) -> (Tensor, Tensor)",
    "branch_forward(Tensor frames, Tensor? previous, int branch, int engine) -> Tensor",
    "branch_features(Tensor frames, Tensor? previous, Tensor actions, Tensor? policy_features, int engine) -> Tensor",
    "route(Tensor actions, int branches) -> (Tensor, Tensor)",
    "gather(Tensor values, Tensor order) -> Tensor",
    "scatter(Tensor values, Tensor order, SymInt count) -> Tensor",
    "run(Tensor clips, int engine, bool features=False, float threshold=-1.0) -> (Tensor, Tensor, Tensor)",
    "run_forced(Tensor clips, Tensor actions, int engine, bool features=False) -> (Tensor, Tensor)",
    "run_fuse(Tensor clips, int engine) -> Tensor",
};

// The same functions serve every device: they ask the engine where it is and call it through Inference.
void implement(torch::Library& library) {
    library.impl("temporal_head", temporal_head);
    library.impl("policy_features", policy_features);
    library.impl("policy_actions", policy_actions);
    library.impl("branch_forward", branch_forward);
    library.impl("branch_features", branch_features);
    library.impl("route", route);
    library.impl("gather", gather);
    library.impl("scatter", scatter);
    library.impl("run", run);
    library.impl("run_forced", run_forced);
    library.impl("run_fuse", run_fuse);
}

struct Owner final : torch::CustomClassHolder, EngineOwner {
    Owner(const at::Tensor& content, const std::string& file, c10::Device device, std::int64_t max_batch,
          std::optional<std::int64_t> threads, std::optional<std::string> instruction_set,
          std::optional<std::string> precision)
        : EngineOwner(content, file, device, {max_batch, threads, std::move(instruction_set), std::move(precision)}) {}
};

// The engine only infers. Without this an input that asks for a gradient would silently get none.
void refuse_gradients(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
    if (at::GradMode::is_enabled()) {
        const auto& arguments = op.schema().arguments();
        for (std::size_t i = 0; i < arguments.size(); ++i) {
            const c10::IValue& value = torch::jit::peek(*stack, i, arguments.size());
            TORCH_CHECK_VALUE(!value.isTensor() || !value.toTensor().requires_grad(), arguments[i].name(),
                              ": expected a tensor that needs no gradient, since ", op.schema().name(),
                              " has none, found one with requires_grad; use .detach() or torch.no_grad()");
        }
    }
    const at::AutoDispatchBelowADInplaceOrView below;
    op.redispatchBoxed(keys & c10::after_autograd_keyset, stack);
}

}  // namespace

}  // namespace adasgn::ops

TORCH_LIBRARY(adasgn_edge, library) {
    using adasgn::ops::Owner;
    library.set_python_module("adasgn_edge.torch_ops.fake");
    for (const char* const schema : adasgn::ops::kSchemas) {
        library.def(schema, {at::Tag::pt2_compliant_tag});
    }
    library.class_<Owner>("Engine")
        .def(torch::init<at::Tensor, std::string, c10::Device, std::int64_t, std::optional<std::int64_t>,
                         std::optional<std::string>, std::optional<std::string>>())
        .def("name", [](const c10::intrusive_ptr<Owner>& self) { return self->name(); })
        .def("device", [](const c10::intrusive_ptr<Owner>& self) { return self->device(); })
        .def("precision", [](const c10::intrusive_ptr<Owner>& self) { return self->precision(); })
        .def("instruction_set", [](const c10::intrusive_ptr<Owner>& self) { return self->instruction_set(); })
        .def("check", [](const c10::intrusive_ptr<Owner>& self) { self->check(); });
}

TORCH_LIBRARY_IMPL(adasgn_edge, CPU, library) {
    adasgn::ops::implement(library);
}

TORCH_LIBRARY_IMPL(adasgn_edge, CUDA, library) {
    adasgn::ops::implement(library);
}

TORCH_LIBRARY_IMPL(adasgn_edge, Autograd, library) {
    for (const char* const schema : adasgn::ops::kSchemas) {
        const std::string text(schema);
        library.impl(text.substr(0, text.find('(')).c_str(),
                     torch::CppFunction::makeFromBoxedFunction<&adasgn::ops::refuse_gradients>());
    }
}
