"""What the torch ops must do on any CUDA device, emulated or real: each test gets the device as the fixture `place`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
import pytest
import torch
from torch import Tensor

import adasgn_edge
from adasgn_edge import torch_ops
from adasgn_edge.errors import ClipError, EngineError
from adasgn_edge.torch_ops import TorchEngine
from tests.engine.test_parity import TOLERANCE, reference_features, relative_error
from tests.engine.test_torch_compile import op_calls

__all__ = [
    "test_a_captured_run_is_replayed_on_new_clips",
    "test_actions_that_are_no_branch_give_nan",
    "test_an_engine_is_known_by_its_precision_too",
    "test_coordinates_that_are_not_finite_give_nan",
    "test_every_op_passes_opcheck",
    "test_modes_agree_with_the_engine_on_the_cpu",
    "test_nothing_in_nothing_out",
    "test_one_engine_on_several_streams",
    "test_one_graph",
    "test_options_that_cannot_be_had",
    "test_route_gather_scatter",
    "test_run_agrees_with_the_reference",
    "test_stages_agree_with_the_engine_on_the_cpu",
    "test_what_needs_no_values_is_refused_at_once",
]

ops = torch.ops.adasgn_edge
BINARY16 = 3e-2
"""Errors of binary16 on random weights; the trained model's are compared with PyTorch's in test_emulated_engine.py."""


class Place(Protocol):
    """A device under test."""

    name: str
    """What `torch_ops.load` calls it."""

    def tensor(self, array) -> Tensor:
        """A copy of an array on the device."""

    def route(self, actions: Tensor, branches: int) -> tuple[Tensor, Tensor]:
        """The op `route` for tensors of the device."""

    def stream(self, number: int) -> AbstractContextManager[object]:
        """Work goes to another stream, 1 or 2, after what the default stream has been given."""

    def wait(self) -> None:
        """The host waits for all streams."""

    def capture(self, function: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], None]]:
        """The result's tensor, and what computes it anew."""


@torch.no_grad()
@pytest.mark.parametrize("precision", ["f32", "f16"])
def test_run_agrees_with_the_reference(place: Place, pair, precision):
    model = torch_ops.load(pair.path, place.name, max_batch=2, precision=precision)
    clips = pair.clips(2)
    result = model(place.tensor(clips), features=True)
    model.check()
    np.testing.assert_array_equal(result.actions.cpu(), adasgn_edge.load(pair.path).run(clips).actions)
    features = reference_features(pair.reference, torch.from_numpy(clips).double(), result.actions.cpu())
    tolerance = TOLERANCE if precision == "f32" else BINARY16
    assert relative_error(result.features.cpu(), features) < tolerance
    assert relative_error(result.logits.cpu(), pair.reference.temporal(features)) < tolerance
    assert (model.precision, model.instruction_set) == (precision, None)
    assert result.logits.device == model.device


def test_modes_agree_with_the_engine_on_the_cpu(place: Place, shrec):
    model = torch_ops.load(shrec.path, place.name, max_batch=4, precision="f32")
    engine = adasgn_edge.load(shrec.path)
    clips = shrec.clips(4).reshape(2, 2, 20, 22, 3)
    actions = np.random.default_rng(1).integers(0, 6, (2, 2, 20))
    there = place.tensor(clips)
    pairs = [
        (model(there).logits, engine.run(clips).logits),
        (model(there, place.tensor(actions)).logits, engine.run(clips, actions).logits),
        (model.run_fuse(there).logits, engine.run_fuse(clips).logits),
        (model(there.transpose(0, 1).contiguous().transpose(0, 1)).logits, engine.run(clips).logits),
    ]
    for found, expected in pairs:
        assert relative_error(found.cpu(), expected) < TOLERANCE


def test_stages_agree_with_the_engine_on_the_cpu(place: Place, shrec):
    model = torch_ops.load(shrec.path, place.name, max_batch=2, precision="f32")
    engine = adasgn_edge.load(shrec.path)
    clips = shrec.clips(2)
    frames = clips.reshape(-1, 22, 3)
    before = np.concatenate([clips[:, :1], clips[:, :-1]], 1).reshape(-1, 22, 3)
    there, there_before = place.tensor(frames), place.tensor(before)
    policy = model.policy_features(there, there_before)
    assert relative_error(policy.cpu(), engine.policy_features(frames, before)) < TOLERANCE
    actions, logits = model.actions(policy.view(2, 20, 256))
    expected, expected_logits = engine.actions(policy.view(2, 20, 256).cpu())
    np.testing.assert_array_equal(actions.cpu(), expected)
    assert relative_error(logits.cpu(), expected_logits) < TOLERANCE
    whole = engine.branch_features(frames, before, expected.ravel())
    for known in (None, policy):
        found = model.branch_features(there, there_before, actions.flatten(), known)
        assert relative_error(found.cpu(), whole) < TOLERANCE
    one = engine.branch_features(frames, before, np.full(40, 3))
    assert relative_error(model.branch_forward(there, there_before, 3).cpu(), one) < TOLERANCE
    found = model.temporal_head(place.tensor(whole.reshape(2, 20, 256)))
    assert relative_error(found.cpu(), engine.temporal_head(whole.reshape(2, 20, 256))) < TOLERANCE


def test_route_gather_scatter(place: Place):
    for count in (0, 1, 40):
        actions = np.random.default_rng(count).choice([0, 1, 3, 5], count).astype(np.int32)
        found = place.route(place.tensor(actions), 6)
        for one, expected in zip(found, ops.route(torch.from_numpy(actions), 6), strict=True):
            assert (one.dtype, one.device) == (torch.int32, place.tensor(actions).device)
            assert torch.equal(one.cpu(), expected)
        values = place.tensor(np.arange(3 * count).reshape(count, 3))
        assert torch.equal(ops.scatter(ops.gather(values, found[0]), found[0], count), values)
    order, starts = place.route(place.tensor(np.array([5, -1, 0, 6], np.int32)), 6)  # in no branch's part
    assert order.tolist() == [1, 2, 0, 3]
    assert starts.tolist() == [1, 2, 2, 2, 2, 2, 3]


@pytest.mark.parametrize("kind", ["single", "short"])  # without a policy, and with
def test_every_op_passes_opcheck(place: Place, pairs, kind):
    model = torch_ops.load(pairs[kind].path, place.name, max_batch=4)
    for name, several in op_calls(pairs[kind], model.engine).items():
        for arguments in several:
            there = [place.tensor(one.numpy()) if isinstance(one, Tensor) else one for one in arguments]
            torch.library.opcheck(getattr(ops, name).default, there)


def test_one_graph(place: Place, shrec):
    torch._dynamo.reset()
    model = torch_ops.load(shrec.path, place.name, max_batch=3)

    def function(clips):
        first = model(clips * 0.5, features=True)
        forced = model(clips, (first.actions.long() + 1) % 6)
        return first.logits.softmax(-1), forced.logits, forced.actions, model.temporal_head(first.features)

    compiled = torch.compile(function, fullgraph=True, dynamic=True, backend="aot_eager")
    for batch in (3, 2):
        clips = place.tensor(shrec.clips(batch))
        for found, expected in zip(compiled(clips), function(clips), strict=True):
            assert found.device == clips.device
            torch.testing.assert_close(found, expected)


def test_a_captured_run_is_replayed_on_new_clips(place: Place, shrec):
    model = torch_ops.load(shrec.path, place.name, max_batch=2)
    static = place.tensor(shrec.clips(2))
    result, replay = place.capture(lambda: model(static).logits)
    for seed in (0, 1):
        clips = place.tensor(shrec.clips(2, seed))
        static.copy_(clips)
        replay()
        assert torch.equal(result, model(clips).logits)


def test_one_engine_on_several_streams(place: Place, shrec):
    model = torch_ops.load(shrec.path, place.name, max_batch=2)
    batches = [place.tensor(shrec.clips(2, seed)) for seed in range(4)]
    expected = [model(clips).logits for clips in batches]
    found = []
    for number, clips in enumerate(batches):
        with place.stream(number % 2 + 1):
            found.append(model(clips).logits)
    place.wait()
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


# -- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["f32", "f16"])
def test_coordinates_that_are_not_finite_give_nan(place: Place, shrec, precision):
    model = torch_ops.load(shrec.path, place.name, max_batch=4, precision=precision)
    clips = shrec.clips(4)
    expected = model(place.tensor(clips)).logits.cpu()
    clips[1, 7, 3, 2], clips[3, 0, 0, 0] = np.nan, np.inf
    found = model(place.tensor(clips)).logits.cpu()
    assert found[[1, 3]].isnan().all()
    assert torch.equal(found[[0, 2]], expected[[0, 2]])
    with pytest.raises(ClipError, match=r"last check: expected finite .* in frame 61 or in the frame before it"):
        model.check()
    model.check()  # each is told once
    frames = model.policy_features(place.tensor(clips[1])).cpu()
    assert frames[7].isnan().all()
    assert frames[[*range(7), *range(8, 20)]].isfinite().all()
    with pytest.raises(ClipError, match="in frame 7 "):
        model.check()


@pytest.mark.parametrize("action", [-1, 6, 1 << 40])
def test_actions_that_are_no_branch_give_nan(place: Place, shrec, action):
    model = torch_ops.load(shrec.path, place.name, max_batch=4)
    clips = place.tensor(shrec.clips(4))
    actions = np.random.default_rng(0).integers(0, 6, (4, 20))
    good = model(clips, place.tensor(actions), features=True)
    actions[2, 5] = action
    for shape in ((4,), (2, 2)):
        there = place.tensor(actions).view(*shape, 20)
        found = model(clips.view(*shape, 20, 22, 3), there, features=True)
        bad = found.features.isnan().all(-1).flatten().nonzero()
        assert bad.tolist() == [[45]]
        assert found.logits.isnan().all(-1).nonzero().tolist() == [[2 if shape == (4,) else 1]]
        assert torch.equal(found.features.view(80, 256)[:45], good.features.view(80, 256)[:45])
        with pytest.raises(ClipError, match=r"expected branch numbers 0 to 5, found another in frame 45 "):
            model.check()
    features = model.branch_features(clips.view(80, 22, 3), None, place.tensor(actions).view(80))
    assert features.isnan().any(-1).nonzero().tolist() == [[45]]


def test_what_needs_no_values_is_refused_at_once(place: Place, shrec):
    model: TorchEngine = torch_ops.load(shrec.path, place.name, max_batch=2)
    clips = place.tensor(shrec.clips(3))
    bad: list[tuple[str, Callable[[], object]]] = [
        (r"clips .*max_batch.*: expected 0 to 2, found 3", lambda: model(clips)),
        (r"clips: expected float32, found float64", lambda: model(clips.double())),
        (r"clips: expected a tensor on .*, found meta", lambda: model(clips.to("meta"))),
        (r"frames .*: expected 0 to 40, found 60", lambda: model.policy_features(clips.flatten(0, 1))),
        (r"branch: expected 0 to 5, found 6", lambda: model.branch_forward(clips[0], None, 6)),
        (r"clips: expected a tensor that needs no gradient", lambda: model(clips.clone().requires_grad_())),
    ]
    for message, call in bad:
        with pytest.raises(ValueError, match=message):
            call()
    model.check()


def test_nothing_in_nothing_out(place: Place, shrec):
    model = torch_ops.load(shrec.path, place.name, max_batch=2)
    none = place.tensor(shrec.clips(1))[:0]
    found = model(none, features=True)
    assert [tuple(one.shape) for one in found] == [(0, 14), (0, 20), (0, 20, 256)]
    assert model(none, found.actions).logits.shape == (0, 14)
    assert model.run_fuse(none).logits.shape == (0, 14)
    assert model.branch_features(none.flatten(0, 1), None, found.actions.flatten()).shape == (0, 256)
    assert model.temporal_head(found.features).shape == (0, 14)


# -- loading --------------------------------------------------------------------------------------------------------


def test_options_that_cannot_be_had(place: Place, shrec):
    for options in ({"threads": 2}, {"instruction_set": "avx2"}, {"precision": "f64"}, {"max_batch": 0}):
        with pytest.raises(EngineError, match=rf"{next(iter(options))}: expected .*, found"):
            torch_ops.load(shrec.path, place.name, **options)
    with pytest.raises(EngineError, match=r"device: expected a GPU below .*, found 99"):
        torch_ops.load(shrec.path, "cuda:99")


def test_an_engine_is_known_by_its_precision_too(place: Place, shrec):
    exact, half, again = (torch_ops.load(shrec.path, place.name, precision=one) for one in ("f32", "f16", None))
    assert abs(exact.engine - half.engine) > 1
    assert (again.engine, again.precision) == (half.engine + 1, "f16")
