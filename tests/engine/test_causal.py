"""Causal models in the native engine against the reference in float64: windows, stages, escalation, what is refused."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import adasgn_edge  # noqa: E402
from adasgn_edge.deploy.folded_network import causal_motion  # noqa: E402
from adasgn_edge.deploy.model_file import ModelFile, read_model_file  # noqa: E402
from adasgn_edge.effort import escalate  # noqa: E402
from adasgn_edge.engine import instruction_sets  # noqa: E402
from adasgn_edge.errors import ClipError, EngineError, ModelFileError  # noqa: E402
from adasgn_edge.model.adasgn import EscalatingSGN  # noqa: E402
from adasgn_edge.model.cost import CostTable  # noqa: E402
from adasgn_edge.recognition import Decision  # noqa: E402
from tests.engine.conftest import CAUSAL  # noqa: E402
from tests.engine.test_escalation import SURE, levels_of, threshold_between  # noqa: E402
from tests.engine.test_parity import TOLERANCE, relative_error  # noqa: E402
from tests.engine.test_readers_agree import changed, opened, sealed, verdicts  # noqa: E402


@pytest.fixture(params=sorted(CAUSAL))
def pair(request, causal_pairs):
    return causal_pairs[request.param]


@pytest.fixture
def escalating(causal_pairs):
    return causal_pairs["causal escalating"]


# -- numbers --------------------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("isa", instruction_sets())
def test_windows_agree_with_the_reference(pair, isa):
    model, clips = pair.reference, pair.clips(3)
    tensor = torch.from_numpy(clips).double()
    engine = adasgn_edge.load(pair.path, max_batch=3, instruction_set=isa)
    escalates = isinstance(model, EscalatingSGN)
    actions = np.random.default_rng(1).integers(0, len(model.config.branches), (3, model.config.frames))
    found = engine.run(clips, actions if escalates else None, features=True)
    if escalates:
        chosen = torch.from_numpy(actions)[None, :, :, None]
        features = model.branch_features(tensor).gather(0, chosen.expand(1, 3, -1, 256))[0]
        np.testing.assert_array_equal(found.actions, actions)
    else:
        features = model.features(tensor)
        assert not found.actions.any()
    assert found.logits.shape == (3, model.config.classes)
    assert relative_error(found.features, features) < TOLERANCE
    assert relative_error(found.logits, model.temporal(features)) < TOLERANCE
    if escalates:
        assert relative_error(engine.run_fuse(clips).logits, model.forward_fuse(tensor).logits) < TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize("isa", instruction_sets())
def test_samples_end_where_the_reference_says(escalating, isa):
    engine = adasgn_edge.load(escalating.path, max_batch=40, instruction_set=isa, threads=2)
    clips = escalating.clips(40).reshape(20, 2, *escalating.clips(1).shape[1:])
    levels = levels_of(escalating.reference, clips)
    threshold = threshold_between(levels)
    expected, level = escalate(levels, threshold)
    logits, actions, _, macs = engine._native.run(clips, None, False, threshold)
    assert relative_error(np.exp(logits.astype(np.float64)), expected) < TOLERANCE
    np.testing.assert_array_equal(actions, np.broadcast_to(level[:, None, None], actions.shape))
    np.testing.assert_array_equal(macs, 2 * CostTable(escalating.reference.config).full[level])
    assert SURE > TOLERANCE / 10  # what threshold_between leaves room for


def test_the_stages_take_frames_with_their_trail(pair):
    config = pair.reference.config
    engine = adasgn_edge.load(pair.path, max_batch=2)
    clips = pair.clips(2)
    actions = np.arange(2 * config.frames).reshape(2, -1) % len(config.branches)
    whole = engine.run(clips, actions, features=True)
    moving = causal_motion(clips, config.causal)
    frames = moving[..., :3].reshape(-1, config.joints, 3)
    previous = frames - moving[..., 3:].reshape(frames.shape)
    features = engine.branch_features(frames, previous, actions.ravel()).reshape(2, config.frames, 256)
    assert relative_error(features, whole.features) < 1e-5
    assert relative_error(engine.temporal_head(whole.features), whole.logits) < 1e-6
    assert engine.policy_features(frames, previous).shape == (2 * config.frames, 256)
    chosen, logits = engine.actions(features)
    assert logits is None
    assert not chosen.any()


def test_where_a_skeleton_stands_does_not_matter(pair):
    engine = adasgn_edge.load(pair.path, max_batch=2)
    clips = np.round(pair.clips(2) * 1024) / 1024  # so that sums are exact
    moved = clips + np.float32([8, -16, 4])
    np.testing.assert_array_equal(engine.run(clips).logits, engine.run(moved).logits)


@torch.no_grad()
def test_half_precision_weights(escalating, tmp_path):
    full = read_model_file(escalating.path)
    half = ModelFile(
        full.folded, full.layout, full.class_names, full.stream, full.window, "f16",
        effort=full.effort, recognition=full.recognition,
    )  # fmt: skip
    path = tmp_path / "half.adasgn"
    path.write_bytes(half.to_bytes())
    clips = escalating.clips(2)
    actions = np.full((2, escalating.reference.config.frames), 2)
    expected = read_model_file(path).folded.astype(np.float64).forward(clips.astype(np.float64), actions)
    assert relative_error(adasgn_edge.load(path).run(clips, actions).logits, expected.logits) < TOLERANCE


# -- what is said and refused ---------------------------------------------------------------------------------------


def test_the_description(pair):
    found, file = adasgn_edge.load(pair.path).description, read_model_file(pair.path)
    config = pair.reference.config
    assert found.config == config == file.config
    assert found.clip_shape == (config.clip_frames, config.recorded_joints, 3)
    assert found.recognition == file.recognition is not None
    assert found.layout.joint_count == config.recorded_joints


def test_a_model_for_clips_has_no_grid(pairs):
    found = adasgn_edge.load(pairs["shrec22"].path).description
    assert found.recognition is None
    assert found.clip_shape == (20, 22, 3)


def test_other_shapes_are_refused(escalating):
    engine = adasgn_edge.load(escalating.path, max_batch=2)
    clips = escalating.clips(2)
    assert clips.shape == (2, 24, 22, 3)
    for wrong in (clips[:, 4:], np.zeros((2, 24, 24, 3)), np.zeros((2, 20, 24, 3))):
        with pytest.raises(ClipError, match=r"clips: expected shape \(B, 24, 22, 3\) or \(B, persons, 24, 22, 3\)"):
            engine.run(wrong)
    with pytest.raises(ClipError, match=r"frames: expected shape \(N, 24, 3\), found \(2, 22, 3\)"):
        engine.policy_features(clips[0, :2])
    with pytest.raises(ClipError, match="actions"):
        engine.run(clips, np.zeros((2, 24), int))
    clips[1, 23, 21, 2] = np.nan
    with pytest.raises(ClipError, match=r"clip 1: .* found nan at frame 23, joint 21, coordinate 2"):
        engine.run(clips)


def test_the_torch_ops_refuse_it_by_name(pair):
    torch_ops = pytest.importorskip("adasgn_edge.torch_ops", exc_type=EngineError, reason="torch ops are not built")
    with pytest.raises(EngineError, match="expected one that is not causal for the torch ops, found a causal one"):
        torch_ops.load(pair.path)


# -- both readers ---------------------------------------------------------------------------------------------------

CAUSES: dict[str, object] = {
    "null": None,
    "a list": [],
    "no trail": {"dilations": [3, 5], "pool": 4, "origin": 1},
    "more keys": {"trail": [1, 3], "dilations": [3, 5], "pool": 4, "origin": 1, "more": 1},
}
SHAPES: dict[str, dict[str, object]] = {
    "a pool with a fraction": {"pool": 4.0},
    "a pool as a text": {"pool": "4"},
    "a pool that is null": {"pool": None},
    "an origin by its name": {"origin": "palm"},
    "an origin that is true": {"origin": True},
    "a trail that falls": {"trail": [3, 1]},
    "a trail of one frame twice": {"trail": [1, 1]},
    "a trail from now": {"trail": [0, 3]},
    "a trail of one joint": {"trail": [1]},
    "a trail as a text": {"trail": "13"},
    "a trail as an object": {"trail": {"1": 3}},
    "a trail with fractions": {"trail": [1.0, 3.0]},
    "a trail of truths": {"trail": [True, 3]},
    "a trail too far back": {"trail": [1, 1024]},
    "a trail of many joints": {"trail": list(range(1, 18))},
    "a trail of all joints": {"trail": list(range(1, 25))},
    "no dilations": {"dilations": []},
    "another order": {"dilations": [5, 4]},
    "a dilation of 0": {"dilations": [0, 8]},
    "a negative dilation": {"dilations": [-1, 9]},
    "one layer": {"dilations": [8]},
    "a huge dilation": {"dilations": [3, 10**30]},
    "many layers": {"dilations": [1] * 17},
    "no pool": {"pool": 0},
    "another pool": {"pool": 5},
    "true as a pool": {"dilations": [4, 5], "pool": True},
    "an origin beyond": {"origin": 22},
    "an origin before": {"origin": -1},
}
SOUND_DECISION = asdict(Decision())
SOUND_RULES: dict[str, dict[str, object]] = {
    "as it is": {},
    "the first class": {"none": 0},
    "the shortest step": {"step": 1_000_000},
    "the longest step": {"step": 10_000_000_000},
    "whole numbers": {"decision": {**SOUND_DECISION, "smoothing": 1, "start": 1, "end": 0}},
    "the same start and end": {"decision": {**SOUND_DECISION, "end": SOUND_DECISION["start"]}},
    "shifts": {"decision": {**SOUND_DECISION, "start_shift": -3_600_000_000_000, "end_shift": 3_600_000_000_000}},
}
NO_RULES: dict[str, object] = {
    "null": None,
    "a list": [],
    "no step": {"none": 13, "decision": SOUND_DECISION},
    "more keys": {"step": 1_000_000, "none": 13, "decision": SOUND_DECISION, "more": 1},
    "no decision": {"step": 1_000_000, "none": 13, "decision": None},
    "a decision as a list": {"step": 1_000_000, "none": 13, "decision": [0.7]},
}
HOSTILE_RULES: dict[str, dict[str, object]] = {
    "a step of 0": {"step": 0},
    "a short step": {"step": 999_999},
    "a long step": {"step": 10_000_000_001},
    "a step of 64 bits": {"step": 2**64 - 1},
    "a step with a fraction": {"step": 5e7},
    "true as a step": {"step": True},
    "a class beyond": {"none": 14},
    "a class before": {"none": -1},
    "a class as a name": {"none": "none"},
    "true as a class": {"none": True},
    "a probability above 1": {"decision": {**SOUND_DECISION, "low": 1.5}},
    "a probability below 0": {"decision": {**SOUND_DECISION, "low": -0.1}},
    "a probability as a text": {"decision": {**SOUND_DECISION, "start": "0.7"}},
    "true as a probability": {"decision": {**SOUND_DECISION, "low": True}},
    "no smoothing": {"decision": {**SOUND_DECISION, "smoothing": 0.0}},
    "an end above the start": {"decision": {**SOUND_DECISION, "end": 0.9}},
    "a negative time": {"decision": {**SOUND_DECISION, "cool_down": -1}},
    "a long time": {"decision": {**SOUND_DECISION, "maximum": 3_600_000_000_001}},
    "a time with a fraction": {"decision": {**SOUND_DECISION, "minimum": 0.5}},
    "a minimum above the maximum": {"decision": {**SOUND_DECISION, "minimum": 10_000_000_001}},
    "a shift of 64 bits": {"decision": {**SOUND_DECISION, "end_shift": 2**64 - 1}},
    "a threshold missing": {"decision": {key: SOUND_DECISION[key] for key in SOUND_DECISION if key != "low"}},
    "a threshold too many": {"decision": {**SOUND_DECISION, "high": 0.9}},
}


def read(escalating):
    header, description, data = opened(escalating.path.read_bytes())
    assert description["config"]["causal"] == {"trail": [1, 3], "dilations": [3, 5], "pool": 4, "origin": 1}
    assert description["recognition"]["decision"] == SOUND_DECISION
    return header, description, data


@pytest.mark.parametrize("causal", CAUSES.values(), ids=CAUSES)
def test_what_is_no_causal_shape(escalating, tmp_path, causal):
    header, description, data = read(escalating)
    description["config"]["causal"] = causal
    for verdict in verdicts(tmp_path, sealed(header, json.dumps(description), data)):
        assert "causal" in verdict
        assert "expected" in verdict
        assert len(verdict) < 1500


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_causal_shapes_that_do_not_fit(escalating, tmp_path, changes):
    header, description, data = read(escalating)
    description["config"]["causal"] |= changes
    for verdict in verdicts(tmp_path, sealed(header, json.dumps(description), data)):
        assert "expected" in verdict
        assert len(verdict) < 1500


@pytest.mark.parametrize(
    "changes",
    [{"config": {"adaptive": True, "escalates": False}}, {"config": {"stride": 2}}, {"config": {"frames": 19}},
     {"config": {"joints": 25}}, {"stream": "bone"}],
)  # fmt: skip
def test_what_a_causal_model_is_not(escalating, tmp_path, changes):
    header, description, data = read(escalating)
    for verdict in verdicts(tmp_path, sealed(header, changed(description, changes), data)):
        assert "expected" in verdict


@pytest.mark.parametrize("changes", SOUND_RULES.values(), ids=SOUND_RULES)
def test_recognition_that_both_accept(escalating, tmp_path, changes):
    header, description, data = read(escalating)
    text = changed(description, {"recognition": changes})
    assert verdicts(tmp_path, sealed(header, text, data)) == ["sound", "sound"]
    found = adasgn_edge.load(tmp_path / "model.adasgn").description.recognition
    assert found == read_model_file(tmp_path / "model.adasgn").recognition


RULES = [
    *NO_RULES.values(),
    *({"step": 1_000_000, "none": 13, "decision": SOUND_DECISION, **one} for one in HOSTILE_RULES.values()),
]


@pytest.mark.parametrize("rules", RULES, ids=[*NO_RULES, *HOSTILE_RULES])
def test_recognition_that_both_refuse(escalating, tmp_path, rules):
    header, description, data = read(escalating)
    text = json.dumps({**description, "recognition": rules})
    for verdict in verdicts(tmp_path, sealed(header, text, data)):
        assert "recognition" in verdict
        assert "expected" in verdict
        assert len(verdict) < 1500


@pytest.mark.parametrize("version", ["1", "2", "4", "03"])
def test_a_causal_model_in_a_file_of_another_version(escalating, tmp_path, version):
    header, description, data = read(escalating)
    header["__metadata__"]["version"] = version
    for verdict in verdicts(tmp_path, sealed(header, json.dumps(description), data)):
        assert "expected" in verdict


def test_what_is_wrong_is_a_model_file_error(escalating, tmp_path):
    header, description, data = read(escalating)
    del description["recognition"]
    path = tmp_path / "model.adasgn"
    path.write_bytes(sealed(header, json.dumps(description), data))
    for reader in (read_model_file, adasgn_edge.load):
        with pytest.raises(ModelFileError, match="recognition"):
            reader(path)
