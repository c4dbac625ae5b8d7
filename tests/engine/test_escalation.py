"""Models that escalate: the engine and the torch ops against the reference, the effort dial, and what a run costs."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import adasgn_edge  # noqa: E402
from adasgn_edge.effort import Levels, escalate  # noqa: E402
from adasgn_edge.engine import instruction_sets  # noqa: E402
from adasgn_edge.errors import EffortError, EngineError  # noqa: E402
from adasgn_edge.model.cost import CostTable  # noqa: E402
from tests.engine.test_parity import TOLERANCE, relative_error  # noqa: E402

CLIPS, PERSONS = 24, 2
SURE = 1e-5
"""Levels must agree where no confidence is so close to the threshold."""


def levels_of(reference, clips) -> Levels:
    """What every branch says of samples (B, P, T, V, C), in float64."""
    samples, persons = clips.shape[:2]
    with torch.no_grad():
        logits = reference.branch_logits(torch.from_numpy(clips).double().flatten(0, 1))
    mean = logits.view(len(logits), samples, persons, -1).mean(2)
    return Levels(mean.softmax(-1).numpy(), CostTable(reference.config).full)


def threshold_between(levels: Levels) -> float:
    """One at which some samples end at each level, with no confidence near it."""
    means = np.cumsum(levels.probabilities, 0).max(-1) / np.arange(1, len(levels.cost) + 1)[:, None]
    candidates = np.sort(means[:-1].ravel())
    middles = (candidates[:-1] + candidates[1:])[np.diff(candidates) > 10 * SURE] / 2
    for threshold in middles:
        if set(escalate(levels, threshold)[1]) == set(range(len(levels.cost))):
            return float(threshold)
    raise AssertionError("the test needs samples that end everywhere")


def effort_of(engine, threshold: float) -> float:
    """The effort whose threshold that is."""
    efforts, thresholds, _, _ = zip(*engine.description.effort.points, strict=True)
    return float(np.interp(threshold, thresholds, efforts))


@pytest.fixture
def engine(escalating):
    return adasgn_edge.load(escalating.path, max_batch=CLIPS * PERSONS)


@pytest.mark.parametrize("persons", [1, PERSONS])
def test_samples_end_where_the_reference_says(escalating, persons):
    clips = escalating.clips(CLIPS * persons).reshape(CLIPS, persons, 20, 22, 3)
    levels = levels_of(escalating.reference, clips)
    tensor = torch.from_numpy(clips).double().flatten(0, 1)
    with torch.no_grad():
        features = escalating.reference.branch_features(tensor).numpy()
    for isa, threads in itertools.product(instruction_sets(), (1, 2)):
        engine = adasgn_edge.load(escalating.path, max_batch=CLIPS * PERSONS, instruction_set=isa, threads=threads)
        for threshold in (0.0, threshold_between(levels), 2.0):
            expected, level = escalate(levels, threshold)
            logits, actions, pooled, macs = engine._native.run(clips, None, True, threshold)
            assert relative_error(np.exp(logits.astype(np.float64)), expected) < TOLERANCE, (isa, threads)
            assert relative_error(logits, np.log(expected)) < TOLERANCE, (isa, threads)
            np.testing.assert_array_equal(actions, np.broadcast_to(level[:, None, None], actions.shape))
            np.testing.assert_array_equal(macs, levels.cost[level] * persons)
            wanted = features[level.repeat(persons), np.arange(len(tensor))].reshape(pooled.shape)
            assert relative_error(pooled, wanted) < TOLERANCE, (isa, threads)


def test_effort_is_the_share_of_the_way_from_the_cheapest_to_the_dearest(escalating, engine):
    clips = escalating.clips(CLIPS)
    table = engine.description.effort
    assert table.default == 0.3
    spent = []
    for effort in (0.0, 0.1, 0.3, 0.5, 0.8, 1.0):
        result = engine.run(clips, effort=effort)
        by_hand, *_ = engine._native.run(clips[:, None], None, False, table.threshold(effort))
        np.testing.assert_array_equal(result.logits, by_hand)
        spent.append(result.macs.mean())
    cost = CostTable(escalating.reference.config).full
    assert spent[0] == cost[0]
    assert spent[-1] == cost[-1]
    assert spent == sorted(spent)
    assert spent[2] < spent[4]
    np.testing.assert_array_equal(engine.run(clips).logits, engine.run(clips, effort=0.3).logits)
    budget = table.points[5].macs
    np.testing.assert_array_equal(engine.run(clips, max_macs=budget).logits,
                                  engine.run(clips, effort=table.within(budget)).logits)  # fmt: skip
    np.testing.assert_array_equal(engine.run(clips, max_macs=10**18).macs, cost[-1])
    np.testing.assert_array_equal(engine.run(clips, effort=np.float32(1)).macs, cost[-1])


def test_batch_and_persons_do_not_matter(escalating, engine):
    clips = escalating.clips(CLIPS)
    effort = effort_of(engine, threshold_between(levels_of(escalating.reference, clips[:, None])))
    whole = engine.run(clips, effort=effort, features=True)
    assert len(np.unique(whole.actions)) == 3
    for size in (1, 5):
        parts = [engine.run(clips[i : i + size], effort=effort, features=True) for i in range(0, CLIPS, size)]
        for name in ("logits", "features"):
            assert relative_error(np.concatenate([getattr(one, name) for one in parts]), getattr(whole, name)) < 1e-6
        np.testing.assert_array_equal(np.concatenate([one.actions for one in parts]), whole.actions)
    twice = engine.run(np.stack([clips, clips], 1), effort=effort)
    assert relative_error(twice.logits, whole.logits) < 1e-6
    np.testing.assert_array_equal(twice.macs, 2 * whole.macs)
    assert engine.run(clips[:0], effort=effort).logits.shape == (0, 14)
    assert engine.run(clips[:0]).macs.shape == (0,)


@torch.no_grad()
def test_forced_branches_and_fuse_are_plain(escalating, engine):
    clips = escalating.clips(6)
    tensor = torch.from_numpy(clips).double()
    actions = np.random.default_rng(3).integers(0, 3, (6, 20))
    found = engine.run(clips, actions, features=True)
    expected = escalating.reference.forward_forced(tensor, torch.from_numpy(actions))
    assert relative_error(found.logits, expected.logits) < TOLERANCE
    np.testing.assert_array_equal(found.actions, actions)
    table = CostTable(escalating.reference.config)
    np.testing.assert_array_equal(found.macs, table.full_fixed + (table.full_spatial[actions] // 20).sum(1))
    fused = engine.run_fuse(clips)
    assert relative_error(fused.logits, escalating.reference.forward_fuse(tensor).logits) < TOLERANCE
    np.testing.assert_array_equal(fused.macs, table.full[-1])
    chosen, logits = engine.actions(found.features)
    assert logits is None
    assert not chosen.any()
    assert relative_error(engine.temporal_head(found.features), found.logits) < 1e-6


@pytest.mark.parametrize("name", ["shrec22", "pose22", "dense25", "stride22"])
def test_what_a_run_costs(pairs, name):
    pair = pairs[name]
    config = pair.reference.config
    engine = adasgn_edge.load(pair.path, max_batch=6)
    clips = pair.clips(6)
    table = CostTable(config)
    for persons in (1, 2, 3):
        result = engine.run(clips.reshape(6 // persons, persons, *clips.shape[1:]))
        per_frame = (table.full - table.full[0]) // config.frames
        expected = table.full[0] * persons + per_frame[result.actions].sum((1, 2))
        assert result.macs.dtype == np.int64
        np.testing.assert_array_equal(result.macs, expected)
    forced = engine.run(clips, np.full((6, config.frames), len(config.branches) - 1))
    np.testing.assert_array_equal(forced.macs, table.full[-1])
    head = table.temporal_convolutions + 512 * config.classes
    every = table.full_spatial.sum() + len(config.branches) * head
    np.testing.assert_array_equal(engine.run_fuse(clips).macs, np.full(6, every))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"effort": -0.1}, "effort: expected a number from 0 to 1, found -0.1"),
        ({"effort": float("nan")}, "effort: expected a number from 0 to 1, found nan"),
        ({"effort": "much"}, "effort: expected a number, found 'much'"),
        ({"effort": True}, "effort: expected a number, found True"),
        ({"max_macs": 5}, "max_macs: expected at least"),
        ({"max_macs": float("nan")}, "max_macs: expected at least"),
        ({"effort": 0.5, "max_macs": 10**9}, "expected one of effort, max_macs and max_ms, found effort and max_macs"),
        ({"effort": 0.5, "actions": np.zeros((1, 20), int)}, "effort: expected none beside actions, found 0.5"),
        ({"max_macs": 10**9, "actions": np.zeros((1, 20), int)}, "max_macs: expected none beside actions"),
    ],
)
def test_efforts_that_cannot_be_had(escalating, engine, options, message):
    with pytest.raises(EffortError, match=message):
        engine.run(escalating.clips(1), **options)


def test_efforts_of_models_that_do_not_escalate(shrec):
    engine = adasgn_edge.load(shrec.path)
    for options in ({"effort": 0.5}, {"effort": 0.0}, {"max_macs": 10**9}):
        with pytest.raises(EffortError, match="expected none, as this model does not escalate"):
            engine.run(shrec.clips(1), **options)
    with pytest.raises(EngineError, match="threshold: expected none, as this model does not escalate"):
        engine._native.run(shrec.clips(1)[:, None], None, False, 0.5)
    assert engine.description.effort is None


def test_a_budget_of_time_is_a_place_between_the_times_of_both_ends(escalating, engine):
    clips = escalating.clips(8)
    with pytest.raises(EffortError, match="max_ms: expected a batch that time_efforts has measured, found 8 clips"):
        engine.run(clips, max_ms=1.0)
    low, high = engine.time_efforts(clips, repeats=9)
    assert 0 < low < high, "all branches take longer than one"
    for part in (0.0, 0.5, 1.0):
        found, expected = engine.run(clips, max_ms=low + part * (high - low)), engine.run(clips, effort=part)
        np.testing.assert_array_equal(found.actions, expected.actions)
    np.testing.assert_array_equal(engine.run(clips, max_ms=1e9).actions, engine.run(clips, effort=1).actions)
    for refused in (0.5 * low, 0, -1, float("nan")):
        with pytest.raises(EffortError, match=r"max_ms: expected at least .* what such a run takes at effort 0"):
            engine.run(clips, max_ms=refused)
    with pytest.raises(EffortError, match="found 7 clips of 1 persons"):
        engine.run(clips[:7], max_ms=high)
    with pytest.raises(EffortError, match="max_ms: expected a number"):
        engine.run(clips, max_ms="fast")
    with pytest.raises(EngineError, match="repeats: expected a whole number"):
        engine.time_efforts(clips, repeats=0)


def test_a_file_may_state_any_cost(escalating, tmp_path):
    """The sum over frames is then beyond 64 bits; nothing overflows."""
    import json

    from tests.engine.test_readers_agree import opened, sealed

    header, description, data = opened(escalating.path.read_bytes())
    description["cost"]["full"] = [2**62, 2**62, 2**62]
    path = tmp_path / "dear.adasgn"
    path.write_bytes(sealed(header, json.dumps(description), data))
    engine = adasgn_edge.load(path, max_batch=4)
    clips = escalating.clips(4)
    np.testing.assert_array_equal(engine.run(clips).macs, np.full(4, 2**62))
    np.testing.assert_array_equal(engine.run(clips[None]).macs, [2**63 - 1])


# -- torch ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def torch_ops():
    return pytest.importorskip("adasgn_edge.torch_ops", exc_type=EngineError, reason="the torch ops are not built")


def test_torch_ops_escalate_as_the_engine(escalating, engine, torch_ops):
    model = torch_ops.load(escalating.path, max_batch=CLIPS * PERSONS)
    assert model.description == engine.description
    clips = escalating.clips(CLIPS * PERSONS).reshape(CLIPS, PERSONS, 20, 22, 3)
    for options in ({}, {"effort": 0.0}, {"effort": 0.6}, {"effort": 1.0}, {"max_macs": 10**9}):
        found = model(torch.from_numpy(clips), features=True, **options)
        same = engine.run(clips, features=True, **options)
        for name in ("logits", "actions", "features"):
            np.testing.assert_array_equal(getattr(found, name).numpy(), getattr(same, name))
    by_op = torch.ops.adasgn_edge.run(torch.from_numpy(clips), model.engine)
    np.testing.assert_array_equal(by_op[0].numpy(), engine.run(clips).logits)
    with pytest.raises(EffortError, match="from 0 to 1"):
        model(torch.from_numpy(clips), effort=2.0)
    with pytest.raises(ValueError, match="threshold: expected a number"):
        torch.ops.adasgn_edge.run(torch.from_numpy(clips), model.engine, False, float("nan"))
    actions, logits = model.actions(torch.zeros(2, 20, 256))
    assert logits.shape == (2, 20, 3)
    assert not logits.any()
    assert not actions.any()


def test_an_effort_is_a_constant_of_a_compiled_graph(escalating, torch_ops):
    model = torch_ops.load(escalating.path, max_batch=8)
    clips = torch.from_numpy(escalating.clips(8))

    def dear(clips):
        return model(clips * 1.0, effort=1.0).logits.softmax(-1)

    compiled = torch.compile(dear, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(clips), dear(clips))
    op = torch.ops.adasgn_edge.run.default
    torch.library.opcheck(op, (clips, model.engine, True, 0.5))


def test_another_table_over_the_same_weights(escalating, torch_ops, tmp_path):
    """What a model does by itself is its file's, not that of the first such weights that were loaded."""
    from adasgn_edge.deploy.model_file import read_model_file, write_model_file

    file = read_model_file(escalating.path)
    dear = dataclasses.replace(file, effort=dataclasses.replace(file.effort, default=1.0))
    write_model_file(tmp_path / "dear.adasgn", dear)
    first, second = torch_ops.load(escalating.path), torch_ops.load(tmp_path / "dear.adasgn")
    clips = torch.from_numpy(escalating.clips(CLIPS))
    assert (second(clips).actions == 2).all()
    assert not (first(clips).actions == 2).all()
