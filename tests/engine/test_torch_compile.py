"""The torch ops keep torch's rules: schemas, fake kernels, whole graphs, any batch."""

from __future__ import annotations

import dataclasses

import pytest

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402

from adasgn_edge.errors import EngineError  # noqa: E402

torch_ops = pytest.importorskip("adasgn_edge.torch_ops", exc_type=EngineError, reason="the torch ops are not built")

from adasgn_edge.torch_ops import fake  # noqa: E402

ops = torch.ops.adasgn_edge


def op_calls(pair, engine):
    """Arguments for every op, by its name."""
    config = pair.reference.config
    clips = torch.from_numpy(pair.clips(3))
    persons = torch.from_numpy(pair.clips(4)).unflatten(0, (2, 2))
    strided = clips.transpose(0, 1).contiguous().transpose(0, 1)
    frames, features = clips.flatten(0, 1), torch.randn(3, config.frames, 256)
    actions = torch.randint(len(config.branches), (len(frames),), dtype=torch.int32)
    order = torch.randperm(len(frames)).int()
    return {
        "temporal_head": [(features, engine), (features[:0], engine)],
        "policy_features": [(frames, frames.flip(0), engine), (frames, None, engine), (frames[:0], None, engine)],
        "policy_actions": [(features, engine)],
        "branch_forward": [(frames, frames.flip(0), len(config.branches) - 1, engine), (frames, None, 0, engine)],
        "branch_features": [
            (frames, None, actions, None, engine),
            (frames, frames.flip(0), actions, features.flatten(0, 1), engine),
        ],
        "route": [(actions, len(config.branches)), (actions[:0], 7)],
        "gather": [(frames, order), (frames, order[:5])],
        "scatter": [(frames, order, len(frames)), (frames[:5], order[:5], len(frames))],
        "run": [(clips, engine), (strided, engine, True), (persons, engine, True), (clips[:0], engine)],
        "run_forced": [(clips, actions.view(3, -1), engine), (strided, actions.view(3, -1), engine, True)],
        "run_fuse": [(clips, engine), (persons, engine)],
    }


@pytest.mark.parametrize("kind", ["shrec22", "single"])  # with a policy, and without
def test_every_op_passes_opcheck(pairs, kind):
    model = torch_ops.load(pairs[kind].path)
    calls = op_calls(pairs[kind], model.engine)
    every = torch._C._dispatch_get_all_op_names()
    assert set(calls) == {name.split("::")[1] for name in every if name.startswith("adasgn_edge::")}
    for name, several in calls.items():
        for arguments in several:
            torch.library.opcheck(getattr(ops, name).default, arguments)


def test_fake_results_lie_where_the_arguments_lie(pairs, monkeypatch):
    """Traced for a GPU, every op gives tensors of that GPU; no GPU is needed to see it."""
    model = torch_ops.load(pairs["short"].path)
    gpu = torch.device("cuda:1")
    facts = dataclasses.replace(fake.LOADED[model.engine], device=gpu)
    monkeypatch.setitem(fake.LOADED, model.engine, facts)
    for name, several in op_calls(pairs["short"], model.engine).items():
        for arguments in several:
            expected = getattr(ops, name)(*arguments)
            with FakeTensorMode():
                there = [
                    torch.empty(one.shape, dtype=one.dtype, device=gpu) if isinstance(one, torch.Tensor) else one
                    for one in arguments
                ]
                found = getattr(ops, name)(*there)
            for one, other in zip(*(x if isinstance(x, tuple) else (x,) for x in (found, expected)), strict=True):
                assert (one.device, one.dtype, one.shape) == (gpu, other.dtype, other.shape), name


@pytest.fixture
def model(shrec):
    return torch_ops.load(shrec.path)


def stages(model, clips):
    """All stages in one function, with torch's own operations between."""
    clips = clips - clips[:, :1, :1]
    before = torch.cat([clips[:, :1], clips[:, :-1]], 1)
    frames, before = clips.flatten(0, 1), before.flatten(0, 1)
    policy = model.policy_features(frames, before)
    actions, logits = model.actions(policy.unflatten(0, clips.shape[:2]))
    order, starts = ops.route(actions.flatten(), logits.shape[-1])
    sorted_features = model.branch_features(ops.gather(frames, order), ops.gather(before, order),
                                            ops.gather(actions.flatten(), order))  # fmt: skip
    features = ops.scatter(sorted_features, order, frames.shape[0]).unflatten(0, clips.shape[:2])
    largest = model.branch_forward(frames, before, logits.shape[-1] - 1)
    return model.temporal_head(features).softmax(-1), actions, starts.diff(), largest.relu()


def whole(model, clips):
    """The three forward passes, with torch's own operations around."""
    clips = clips * 0.5
    first = model(clips, features=True)
    forced = model(clips, (first.actions.long() + 1) % 6)
    return (
        first.logits.softmax(-1) + model.run_fuse(clips).logits,
        forced.logits,
        forced.actions,
        first.features.mean(-1),
    )


@pytest.mark.parametrize("function", [stages, whole])
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_function_compiles_as_one_graph_for_any_batch(shrec, model, function, backend):
    torch._dynamo.reset()
    graphs = []

    def counting(graph, inputs):
        graphs.append(graph)
        return torch._dynamo.lookup_backend(backend)(graph, inputs)

    compiled = torch.compile(lambda clips: function(model, clips), fullgraph=True, dynamic=True, backend=counting)
    for batch in (2, 5, 3, 64):
        clips = torch.from_numpy(shrec.clips(batch))
        for found, expected in zip(compiled(clips), function(model, clips), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert len(graphs) == 1


def test_each_engine_has_its_own_graph(shrec, pairs):
    torch._dynamo.reset()
    compiled = torch.compile(lambda model, clips: model(clips).logits + 1, fullgraph=True, backend="aot_eager")
    for name in ("shrec22", "dense22", "shrec22"):
        model = torch_ops.load(pairs[name].path)
        clips = torch.from_numpy(pairs[name].clips(2))
        assert torch.equal(compiled(model, clips), model(clips).logits + 1)


def test_a_module_can_be_compiled_and_exported(shrec, model):
    torch._dynamo.reset()
    clips = torch.from_numpy(shrec.clips(3))
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(clips).logits, model(clips).logits)
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(model, (clips,), dynamic_shapes={"clips": {0: batch}})
    five = torch.from_numpy(shrec.clips(5))
    assert torch.equal(exported.module()(five).logits, model(five).logits)


def test_shapes_that_do_not_fit_are_refused_while_tracing(model):
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with pytest.raises(Exception, match=r"clips: expected shape \(B, 20, 22, 3\), found \(1, 20, 21, 3\)"):
        compiled(torch.zeros(1, 20, 21, 3))
    with pytest.raises(Exception, match=r"clips: expected float32, found float64"):
        compiled(torch.zeros(1, 20, 22, 3).double())
