"""The torch ops: the engine's numbers, whatever the strides; everything else refused by name."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import adasgn_edge  # noqa: E402
from adasgn_edge.errors import EngineError, ModelFileError  # noqa: E402

torch_ops = pytest.importorskip("adasgn_edge.torch_ops", exc_type=EngineError, reason="the torch ops are not built")

from adasgn_edge.model.adasgn import AdaSGN  # noqa: E402
from tests.engine.test_parity import TOLERANCE, reference_features, relative_error  # noqa: E402

ops = torch.ops.adasgn_edge


def frames_of(clips):
    """Frames (N, V, 3) of clips and the frame before each."""
    before = torch.cat([clips[:, :1], clips[:, :-1]], 1)
    return clips.flatten(0, 1), before.flatten(0, 1)


@pytest.fixture
def model(shrec):
    return torch_ops.load(shrec.path, max_batch=6)


# -- numbers --------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_the_forward_pass_is_that_of_the_reference_and_of_the_engine(pair):
    model, engine = torch_ops.load(pair.path), adasgn_edge.load(pair.path)
    clips = torch.from_numpy(pair.clips(5))
    found, same = model(clips, features=True), engine.run(clips.numpy(), features=True)
    for tensor, array in zip(found, same[:3], strict=True):
        np.testing.assert_array_equal(tensor.numpy(), array)
    features = reference_features(pair.reference, clips.double(), found.actions)
    assert relative_error(found.features, features) < TOLERANCE
    assert relative_error(found.logits, pair.reference.temporal(features)) < TOLERANCE
    assert model(clips).features is None
    assert model.description == engine.description
    assert model.instruction_set == engine.instruction_set
    if isinstance(pair.reference, AdaSGN):
        fused = pair.reference.forward_fuse(clips.double()).logits
        assert relative_error(model.run_fuse(clips).logits, fused) < TOLERANCE
    np.testing.assert_array_equal(model.run_fuse(clips).logits.numpy(), engine.run_fuse(clips.numpy()).logits)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_forced_actions(shrec, model, dtype):
    clips = torch.from_numpy(shrec.clips(3))
    actions = torch.randint(6, (3, 20), dtype=dtype)
    found, same = model(clips, actions, features=True), adasgn_edge.load(shrec.path).run(clips, actions, features=True)
    for tensor, array in zip(found, same[:3], strict=True):
        np.testing.assert_array_equal(tensor.numpy(), array)
    assert found.actions.dtype == torch.int32
    assert found.actions.data_ptr() != actions.data_ptr()


def test_persons_are_averaged(shrec, model):
    clips = torch.from_numpy(shrec.clips(6)).view(2, 3, 20, 22, 3)
    engine = adasgn_edge.load(shrec.path)
    found, same = model(clips, features=True), engine.run(clips.numpy(), features=True)
    assert found.actions.shape == (2, 3, 20)
    assert found.features.shape == (2, 3, 20, 256)
    for tensor, array in zip(found, same[:3], strict=True):
        np.testing.assert_array_equal(tensor.numpy(), array)
    forced = model(clips, found.actions)
    np.testing.assert_array_equal(forced.logits.numpy(), found.logits.numpy())
    np.testing.assert_array_equal(model.run_fuse(clips).logits.numpy(), engine.run_fuse(clips.numpy()).logits)


def test_the_stages_are_those_of_the_engine(pair):
    model, engine = torch_ops.load(pair.path), adasgn_edge.load(pair.path)
    clips = torch.from_numpy(pair.clips(2))
    frames, before = frames_of(clips)
    policy = model.policy_features(frames, before)
    np.testing.assert_array_equal(policy.numpy(), engine.policy_features(frames, before))
    np.testing.assert_array_equal(model.policy_features(frames).numpy(), engine.policy_features(frames))
    actions, logits = model.actions(policy.view(2, -1, 256))
    chosen, action_logits = engine.actions(policy.view(2, -1, 256))
    np.testing.assert_array_equal(actions.numpy(), chosen)
    np.testing.assert_array_equal(
        logits.numpy(), np.zeros((*chosen.shape, 1)) if action_logits is None else action_logits
    )
    for known in (None, policy):
        features = model.branch_features(frames, before, actions.flatten(), known)
        np.testing.assert_array_equal(features.numpy(), engine.branch_features(frames, before, chosen.ravel(), known))
    found = model.temporal_head(features.view(2, -1, 256))
    np.testing.assert_array_equal(found.numpy(), engine.temporal_head(features.view(2, -1, 256)))
    assert relative_error(found, model(clips).logits) < 1e-6


def test_one_branch_after_another_is_the_routed_forward(shrec, model):
    """route → gather → branch_forward → scatter: the router's work, op by op."""
    clips = torch.from_numpy(shrec.clips(6))
    frames, before = frames_of(clips)
    actions = torch.from_numpy(np.random.default_rng(1).choice([0, 1, 3, 5], len(frames)).astype(np.int32))
    order, starts = ops.route(actions, 6)
    assert torch.equal(order.long(), actions.argsort(stable=True))
    assert torch.equal(starts.diff(), torch.bincount(actions, minlength=6).int())
    parts = [order[a:b] for a, b in pairwise(starts)]
    assert [len(part) for part in parts].count(0) == 2
    features = [
        model.branch_forward(ops.gather(frames, part), ops.gather(before, part), branch)
        for branch, part in enumerate(parts)
    ]
    whole = ops.scatter(torch.cat(features), order, len(frames))
    assert relative_error(whole, model.branch_features(frames, before, actions)) < 1e-6
    some = ops.scatter(features[3], parts[3], len(frames))
    assert torch.equal(some[actions == 3], whole[actions == 3])
    assert not some[actions != 3].any()


def test_gather_and_scatter_are_inverse_for_any_type():
    order = torch.randperm(11).int()
    for values in (torch.arange(11), torch.randn(11, 4), torch.randn(11, 2, 3).double(), torch.rand(11, 5) > 0.5):
        assert torch.equal(ops.gather(values, order), values[order.long()])
        assert torch.equal(ops.scatter(ops.gather(values, order), order, 11), values)
    assert torch.equal(ops.gather(torch.arange(3), torch.tensor([2, 2], dtype=torch.int32)), torch.tensor([2, 2]))


# -- inputs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "strided",
    [
        lambda x: x.transpose(0, 2).contiguous().transpose(0, 2),
        lambda x: x.repeat_interleave(2, 1)[:, ::2],
        lambda x: torch.cat([x, x], -1)[..., :3],
        lambda x: torch.cat([torch.zeros(1), x.flatten()])[1:].view(x.shape),
    ],
)
def test_strides_do_not_matter(shrec, model, strided):
    clips = torch.from_numpy(shrec.clips(3))
    expected, features = model(clips), model(clips, features=True).features
    assert torch.equal(model(strided(clips)).logits, expected.logits)
    assert torch.equal(model.run_fuse(strided(clips)).logits, model.run_fuse(clips).logits)
    wide = torch.stack([features, features], -1)[..., 0]
    assert torch.equal(model.temporal_head(wide), model.temporal_head(features))
    many = torch.stack([expected.actions, expected.actions], -1)[..., 0]
    assert torch.equal(model(clips, many).logits, model(clips, expected.actions).logits)


def test_nothing_in_nothing_out(model):
    found = model(torch.empty(0, 20, 22, 3), features=True)
    assert [tuple(one.shape) for one in found] == [(0, 14), (0, 20), (0, 20, 256)]
    assert model(torch.empty(0, 2, 20, 22, 3)).actions.shape == (0, 2, 20)
    assert model.run_fuse(torch.empty(0, 20, 22, 3)).logits.shape == (0, 14)
    none = torch.empty(0, dtype=torch.int32)
    frames, features = torch.empty(0, 22, 3), torch.empty(0, 256)
    assert model.policy_features(frames, frames).shape == (0, 256)
    assert model.branch_features(frames, None, none, features).shape == (0, 256)
    assert model.branch_forward(frames, None, 5).shape == (0, 256)
    assert [len(one) for one in model.actions(torch.empty(0, 20, 256))] == [0, 0]
    assert model.temporal_head(torch.empty(0, 20, 256)).shape == (0, 14)
    order, starts = ops.route(none, 6)
    assert order.shape == (0,)
    assert starts.tolist() == [0] * 7
    assert ops.gather(features, none).shape == (0, 256)
    assert not ops.scatter(features, none, 3).any()


CLIPS, FRAMES, FEATURES = torch.zeros(2, 20, 22, 3), torch.zeros(4, 22, 3), torch.zeros(2, 20, 256)
ACTIONS, ROWS = torch.zeros(4, dtype=torch.int32), torch.zeros(4, 256)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: ops.run(CLIPS.double(), e), r"clips: expected float32, found float64"),
        (lambda e: ops.run(CLIPS.to("meta"), e), r"clips: expected a tensor on cpu, found meta"),
        (lambda e: ops.run(CLIPS[0], e), r"clips: expected shape \(B, 20, 22, 3\), found \(20, 22, 3\)"),
        (lambda e: ops.run(CLIPS[None, :, :19], e), r"expected shape \(B, P, 20, 22, 3\), found \(1, 2, 19, 22, 3\)"),
        (lambda e: ops.run(CLIPS.repeat(4, 1, 1, 1), e), r"clips .*max_batch.*: expected 0 to 6, found 8"),
        (lambda e: ops.run(CLIPS[None, :0], e), r"persons: expected 1 to 6, found 0"),
        (lambda e: ops.run(CLIPS + torch.inf, e), r"clip 0: expected finite coordinates .*, found inf at frame 0"),
        (lambda e: ops.run_fuse(CLIPS.half(), e), r"clips: expected float32, found float16"),
        (lambda e: ops.run_forced(CLIPS, ACTIONS, e), r"actions: expected shape \(2, 20\), found \(4,\)"),
        (lambda e: ops.run_forced(CLIPS, CLIPS[..., 0, 0], e), r"actions: expected int32, found float32"),
        (lambda e: ops.run_forced(CLIPS, CLIPS[..., 0, 0].int() + 6, e), r"branch numbers 0 to 5, found 6"),
        (lambda e: ops.run_forced(CLIPS[None], CLIPS[..., 0, 0].int(), e), r"actions: expected shape \(1, 2, 20\)"),
        (lambda e: ops.policy_features(FRAMES[:, :9], None, e), r"frames: expected shape \(N, 22, 3\)"),
        (lambda e: ops.policy_features(FRAMES, FRAMES[1:], e), r"previous: expected shape \(4, 22, 3\)"),
        (lambda e: ops.policy_features(FRAMES, FRAMES.double(), e), r"previous: expected float32, found float64"),
        (lambda e: ops.policy_actions(FEATURES[..., 1:], e), r"features: expected shape \(B, 20, 256\)"),
        (lambda e: ops.temporal_head(FEATURES[0], e), r"features: expected shape \(B, 20, 256\), found \(20, 256\)"),
        (lambda e: ops.temporal_head(FEATURES * torch.nan, e), r"features: expected finite values"),
        (lambda e: ops.branch_forward(FRAMES, None, 6, e), r"branch: expected 0 to 5, found 6"),
        (lambda e: ops.branch_forward(torch.tensor(1.0), None, 0, e), r"frames: expected shape \(N, 22, 3\)"),
        (lambda e: ops.branch_features(FRAMES, None, ACTIONS[1:], None, e), r"actions: expected shape \(4,\)"),
        (lambda e: ops.branch_features(FRAMES, None, ACTIONS.long(), None, e), r"actions: expected int32, found int64"),
        (lambda e: ops.branch_features(FRAMES, None, ACTIONS, ROWS[1:], e), r"policy_features: expected shape"),
        (lambda e: ops.route(ACTIONS - 1, 6), r"actions: expected branch numbers 0 to 5, found -1 at frame 0"),
        (lambda e: ops.route(ACTIONS, 0), r"branches: expected 1 to 32, found 0"),
        (lambda e: ops.route(ACTIONS[:, None], 6), r"actions: expected shape \(N,\), found \(4, 1\)"),
        (lambda e: ops.gather(ROWS, ACTIONS + 4), r"order: expected row numbers 0 to 3, found 4 at position 0"),
        (lambda e: ops.gather(torch.tensor(1), ACTIONS), r"values: expected shape \(N, …\), found a scalar"),
        (lambda e: ops.scatter(ROWS, ACTIONS, 9), r"order: expected each row once, found 0 again at position 1"),
        (lambda e: ops.scatter(ROWS[1:], ACTIONS, 9), r"values: expected shape \(n, …\) with a row for each"),
        (lambda e: ops.scatter(ROWS, ACTIONS, -1), r"count: expected 0 or more rows, found -1"),
        (lambda e: ops.run(CLIPS, e ^ 1), r"engine: expected the name of an engine that this process has loaded"),
        (lambda e: ops.run(CLIPS.clone().requires_grad_(), e), r"clips: expected a tensor that needs no gradient"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model.engine)


def test_actions_that_another_thread_changes_meanwhile(model):
    """What is used is what was checked: the caller's actions, or an error; never memory that is nobody's."""
    actions, stop = torch.zeros(6, 20, dtype=torch.int32), threading.Event()
    clips = torch.zeros(6, 20, 22, 3)

    def change():
        while not stop.is_set():
            for value in (1, 10**9, 5, -(10**9)):
                actions.fill_(value)

    thread = threading.Thread(target=change)
    thread.start()
    outcomes = set()
    calls = (
        lambda: ops.run_forced(clips, actions, model.engine, False),
        lambda: ops.branch_features(clips.flatten(0, 1), None, actions.view(-1), None, model.engine),
        lambda: ops.route(actions.view(-1), 6),
        lambda: ops.scatter(clips.view(120, -1), actions.view(-1), 10**4),
    )
    for call in calls * 40:
        try:
            call()
            outcomes.add("ran")
        except ValueError as error:
            outcomes.add(str(error).split(":")[0])
    stop.set()
    thread.join()
    assert outcomes <= {"ran", "actions", "order"}
    assert len(outcomes) > 1


def test_actions_of_64_bits_do_not_wrap(model):
    for action in (1 << 32, -1, 6, -(1 << 40)):
        with pytest.raises(ValueError, match="actions: expected branch numbers 0 to 5"):
            model(CLIPS, torch.full((2, 20), action))


def test_a_gradient_is_not_missed_where_none_is_kept(model):
    clips = CLIPS.clone().requires_grad_()
    with torch.no_grad():
        assert not model(clips).logits.requires_grad
    with torch.inference_mode():
        assert model(clips.detach()).logits.shape == (2, 14)


# -- engines --------------------------------------------------------------------------------------------------------


def test_engines_that_cannot_be_had(shrec, tmp_path):
    for options in ({"device": "quantum"}, {"device": "cuda:99"}, {"max_batch": 0}, {"threads": 1 << 40},
                    {"instruction_set": "mmx"}, {"precision": "f16"}):  # fmt: skip
        name = next(iter(options)).replace("_", "[_ ]")
        with pytest.raises(EngineError, match=rf"{name}: expected .*, found"):
            torch_ops.load(shrec.path, **options)
    with pytest.raises(ModelFileError, match="missing"):
        torch_ops.load(tmp_path / "missing.adasgn")


def test_on_the_cpu_there_is_nothing_left_to_check(model):
    with pytest.raises(ValueError, match="expected finite coordinates"):
        model(CLIPS + torch.nan)
    model.check()
    assert (model.precision, model.threads) == ("f32", 1)


def test_an_engine_is_known_by_its_content(pairs):
    """Compiled code is cached under the name, so the name must mean the same model in every process."""
    path = pairs["shrec22"].path
    first, again, other = (torch_ops.load(path, max_batch=count) for count in (7, 7, 9))  # as no other test's
    name = first.engine
    assert again.engine == name + 1
    assert other.engine not in (name, name + 1)
    assert torch_ops.load(pairs["ntu25"].path).engine != name
    del first
    gc.collect()
    with pytest.raises(ValueError, match="not yet released"):
        ops.run(CLIPS, name)
    assert torch_ops.load(path, max_batch=7).engine == name
    assert again(CLIPS).logits.shape == (2, 14)


def test_an_engine_is_not_copied(model):
    for copied in (copy.deepcopy, pickle.dumps):
        with pytest.raises(EngineError, match="load the model file again"):
            copied(model)
    assert "branches S-1 B-1" in repr(model)


def test_threads_that_share_an_engine_wait_for_each_other(shrec, model):
    clips = [torch.from_numpy(shrec.clips(2, seed)) for seed in range(4)]
    expected = [model(clip).logits for clip in clips]
    found: list[list] = [[] for _ in clips]
    threads = [
        threading.Thread(target=lambda i=i: found[i].extend(model(clips[i]).logits for _ in range(10)))
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for logits, several in zip(expected, found, strict=True):
        assert len(several) == 10
        assert all(torch.equal(logits, one) for one in several)
