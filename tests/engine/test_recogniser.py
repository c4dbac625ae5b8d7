"""The recogniser from Python: what a push gives is what the engine says of that window, whatever the stream is like."""

from __future__ import annotations

import copy
import os
import pickle
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")
pytest.importorskip("torch")

import adasgn_edge
from adasgn_edge.data.registry import open_online_dataset
from adasgn_edge.deploy.model_file import read_model_file, write_model_file
from adasgn_edge.errors import (
    AdaSGNError,
    ClipError,
    EffortError,
    EngineError,
    ModelFileError,
    RecognitionError,
)
from adasgn_edge.hands import GESTURES, perform
from adasgn_edge.recogniser import NO_LABEL, Decisions, GestureEvent, Recogniser, StepResult
from tests.causal_models import DECISION, LABELS, LAYOUT, SEVERAL, SHAPE, write_causal

STEP = 50_000_000
BONE = [LAYOUT.index("wrist"), LAYOUT.index("middle_base")]


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_causal(tmp_path_factory.mktemp("causal") / "single.adasgn")


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_causal(tmp_path_factory.mktemp("causal") / "several.adasgn", SEVERAL)


@pytest.fixture(scope="module")
def stream() -> np.ndarray:
    """(F, 22, 3) at the grid's rate."""
    return perform([(gesture, False) for gesture in GESTURES[:8]], seed=1, rate=20.0).positions


def pushed(
    recogniser: Recogniser, frames: np.ndarray, first: int = 0, apart: int = STEP, track: int = 7
) -> tuple[list[StepResult], list[GestureEvent]]:
    outputs = [recogniser.push(first + apart * number, {track: joints}) for number, joints in enumerate(frames)]
    return [result for o in outputs for result in o.results], [event for o in outputs for event in o.events]


def scaled(frames: np.ndarray) -> np.ndarray:
    """Each frame over the lower median of the scale bone over the 64 frames up to it."""
    bones = np.linalg.norm(frames[:, BONE[0]].astype(float) - frames[:, BONE[1]], axis=-1)
    scales = [np.sort(bones[max(0, end - 64) : end])[(min(end, 64) - 1) // 2] for end in range(1, len(bones) + 1)]
    return frames / np.asarray(scales)[:, None, None]


def test_it_is_offered_by_the_package() -> None:
    assert adasgn_edge.Recogniser is Recogniser
    assert "Recogniser" in adasgn_edge.__all__


def test_weights_in_bfloat16_move_probabilities_a_little(stream: np.ndarray) -> None:
    path = adasgn_edge.shipped_model("stream")
    (whole, told), (halved, told_too) = (pushed(Recogniser(path, weights=kind), stream) for kind in ("f32", "bf16"))
    assert len(told) > 4
    assert [(event.kind, event.label) for event in told_too] == [(event.kind, event.label) for event in told]
    off = [
        np.abs(np.subtract(a.probabilities, b.probabilities)).max()
        for a, b in zip(whole, halved, strict=True)
        if a.ready
    ]
    assert 0 < max(off) < 0.02


@pytest.mark.parametrize("mode", ["continual", "exact"])
def test_every_step_is_what_the_engine_says_of_its_window(single: Path, stream: np.ndarray, mode: str) -> None:
    recogniser, engine = Recogniser(single, mode=mode), adasgn_edge.load(single)
    results, _ = pushed(recogniser, stream)
    assert recogniser.receptive_field == SHAPE.frames + SHAPE.lead == engine.description.config.clip_frames
    assert [result.stamp_ns for result in results] == [STEP * number for number in range(len(stream))]
    frames, field = scaled(stream), recogniser.receptive_field
    for number, result in enumerate(results):
        assert result.ready == (number >= field - 1)
        if not result.ready:
            assert (result.label, result.confidence, result.probabilities) == (NO_LABEL, 0.0, None)
            assert result.top(3) == []
            continue
        logits = engine.run(frames[None, number - field + 1 : number + 1].astype(np.float32)).logits[0]
        expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        assert result.probabilities is not None
        np.testing.assert_allclose(result.probabilities, expected, atol=1e-4)
        best = int(expected.argmax())
        assert result.label == (NO_LABEL if LABELS[best] == "none" else best)
        assert result.confidence == pytest.approx(result.probabilities.max())
        assert [label for label, _ in result.top(2)] == np.argsort(-result.probabilities)[:2].tolist()
        assert result.macs > 0
        assert result.action == 0


@pytest.fixture(scope="module")
def recording(data_root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Stamps (F,) and frames (F, 22, 3) of a recording of SHREC'21 to train with, at 50 Hz."""
    dataset = open_online_dataset("shrec21", data_root)
    sequence = int(dataset.indices("train")[5])
    return dataset.stamps(sequence), dataset.frames(sequence)


def on_the_grid(stamps: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Frames at every step from the first stamp on, interpolated."""
    instants = np.arange(stamps[0], stamps[-1] + 1, STEP)
    after = np.searchsorted(stamps, instants)
    before = np.maximum(after - 1, 0)
    weight = (instants - stamps[before]) / np.maximum(stamps[after] - stamps[before], 1)
    return frames[before] * (1 - weight)[:, None, None] + frames[after] * weight[:, None, None]


@pytest.mark.parametrize("mode", ["continual", "exact"])
def test_a_real_recording_is_what_the_engine_says_of_its_windows(
    several: Path, recording: tuple[np.ndarray, np.ndarray], mode: str
) -> None:
    """Whatever branches its frames take, drawn anew at every push."""
    recogniser, engine = Recogniser(several, mode=mode), adasgn_edge.load(several)
    random = np.random.default_rng(0)
    stamps, frames = recording
    results = []
    for stamp, joints in zip(stamps.tolist(), frames, strict=True):
        recogniser.set_effort(random.uniform())
        results += recogniser.push(stamp, {0: joints}).results
    grid, field, deep = scaled(on_the_grid(stamps, frames)), recogniser.receptive_field, SHAPE.frames
    ready = [number for number, result in enumerate(results) if result.ready]
    assert len(results) == len(grid)
    assert len(ready) > 300
    windows = np.stack([grid[number - field + 1 : number + 1] for number in ready])[:, None].astype(np.float32)
    actions = np.stack([[result.action for result in results[number - deep + 1 : number + 1]] for number in ready])
    assert 0.1 < actions.mean() < 0.9
    logits = np.concatenate(
        [engine.run(windows[i : i + 64], actions[i : i + 64, None]).logits for i in range(0, len(ready), 64)]
    )
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose([results[number].probabilities for number in ready], expected, atol=1e-4)


def test_words_of_the_field(single: Path, stream: np.ndarray) -> None:
    recogniser = Recogniser(single)
    assert recogniser.labels == LABELS
    assert recogniser.step == recogniser.delay == 0.05
    assert recogniser.state(7) == "lost"
    field = recogniser.receptive_field
    pushed(recogniser, stream[: field - 1])
    assert (recogniser.ready(7), recogniser.state(7)) == (False, "new")
    recogniser.push(STEP * (field - 1), {7: stream[field - 1]})
    assert (recogniser.ready(7), recogniser.state(7)) == (True, "tracked")
    recogniser.push(STEP * field, {})
    assert recogniser.state(7) == "predicted"
    for number in range(field + 1, field + 10):
        recogniser.push(STEP * number, {})
    assert (recogniser.ready(7), recogniser.state(7)) == (False, "lost")
    recogniser.reset()
    (result,) = recogniser.push(
        5, {7: stream[0], 8: np.full_like(stream[0], np.nan)}
    ).results  # any clock after a reset
    assert (result.track, result.stamp_ns, result.state) == (7, 5, "new")
    stats = recogniser.stats()
    assert (stats.frames, stats.unusable_frames, stats.pushes) == (field + 1, 1, field + 11)


def test_a_track_alone_is_reset(single: Path, stream: np.ndarray) -> None:
    recogniser = Recogniser(single)
    for number, joints in enumerate(stream[:20]):
        recogniser.push(STEP * number, {7: joints, -(1 << 63): joints})
    recogniser.reset(7)
    assert not recogniser.ready(7)
    assert recogniser.ready(-(1 << 63))


def test_what_would_come_of_a_push_changes_nothing(single: Path, stream: np.ndarray) -> None:
    peeking, plain = Recogniser(single), Recogniser(single)
    for number, joints in enumerate(stream[:80]):
        told = peeking.push(STEP * number, {7: joints}, update_state=False)
        assert peeking.stats().pushes == number
        outputs = [one.push(STEP * number, {7: joints}) for one in (peeking, plain)]
        for output in (told, outputs[0]):
            assert [event.kind for event in output.events] == [event.kind for event in outputs[1].events]
            for found, expected in zip(output.results, outputs[1].results, strict=True):
                assert (found.stamp_ns, found.label, found.confidence) == (
                    expected.stamp_ns, expected.label, expected.confidence,
                )  # fmt: skip


def test_results_are_the_callers_own(single: Path, stream: np.ndarray) -> None:
    recogniser = Recogniser(single)
    results, _ = pushed(recogniser, stream[:30])
    probabilities = results[-1].probabilities
    assert probabilities is not None
    before = probabilities.copy()
    pushed(recogniser, stream[30:60], first=30 * STEP)
    np.testing.assert_array_equal(probabilities, before)
    probabilities[:] = 0


def test_events_are_those_of_the_decisions_alone(single: Path, stream: np.ndarray) -> None:
    recogniser = Recogniser(single, held_every=None)
    results, events = pushed(recogniser, stream)
    ready = [result for result in results if result.ready]
    alone = Decisions(DECISION, classes=len(LABELS), none=4).run(
        [result.stamp_ns for result in ready], np.stack([result.probabilities for result in ready])
    )
    assert len(events) >= 4
    kept = [(e.kind, e.id, e.label, e.confidence, e.start_ns, e.end_ns, e.decided_ns) for e in events]
    assert (
        kept == [(e.kind, e.id, e.label, e.confidence, e.start_ns, e.end_ns, e.decided_ns) for e in alone][: len(kept)]
    )
    assert all(event.lost for event in alone[len(events) :]), "what goes on at the end is ended there"
    assert {event.kind for event in events} == {"started", "ended"}
    gestures = {result.gesture for result in results} - {0}
    assert gestures == {event.id for event in events}
    held = pushed(Recogniser(single, held_every=0.1), stream)[1]
    assert [event for event in held if event.kind != "held"] == events
    assert any(event.kind == "held" for event in held)


def test_thresholds_may_be_others_than_the_models(single: Path, stream: np.ndarray) -> None:
    patient = replace(DECISION, minimum=10**11, maximum=10**11)
    assert pushed(Recogniser(single, decision=patient), stream)[1] == []


def test_effort_and_macs_decide_how_often_a_dearer_branch_runs(several: Path, stream: np.ndarray) -> None:
    def taken(recogniser: Recogniser) -> tuple[float, float]:
        results = [result for result in pushed(recogniser, stream)[0] if result.ready]
        return float(np.mean([result.action for result in results])), float(
            np.mean([result.macs for result in results])
        )

    cheap, dear = taken(Recogniser(several, effort=0.0)), taken(Recogniser(several, effort=1.0))
    assert cheap[0] == 0
    assert dear[0] == 1
    assert taken(Recogniser(several)) == cheap, "the model's own effort"
    assert cheap[1] < taken(Recogniser(several, effort=0.4))[1] < dear[1]
    recogniser = Recogniser(several, effort=0.0)
    recogniser.set_effort(1.0)
    assert taken(recogniser) == dear
    most = recogniser.description.effort.points[-1].macs  # type: ignore[union-attr]
    assert taken(Recogniser(several, max_macs=most)) == dear
    assert recogniser.stats().escalated > 0
    recogniser.set_budgets(None, 1e-9)
    assert taken(recogniser)[0] == 0
    recogniser.set_budgets(10.0, None)
    assert taken(recogniser) == dear
    with pytest.raises(EngineError, match=r"track_budget \(seconds\): expected"):
        recogniser.set_budgets(-1.0, None)


def test_more_bodies_than_places(single: Path, stream: np.ndarray) -> None:
    refusing, replacing = (Recogniser(single, max_tracks=2, overflow=kind) for kind in ("refuse", "replace"))
    for recogniser in (refusing, replacing):
        recogniser.push(0, {1: stream[0], 2: stream[0]})
        recogniser.push(STEP, {2: stream[1]})
        recogniser.push(2 * STEP, {2: stream[2], 3: stream[2]})
        assert recogniser.stats().overflow == 1
        assert recogniser.state(2) == "new"
    assert (refusing.state(1), refusing.state(3)) == ("predicted", "lost")
    assert (replacing.state(1), replacing.state(3)) == ("lost", "new")


def test_several_threads_may_push(single: Path, stream: np.ndarray) -> None:
    """One track each, on one recogniser: every call waits for the other, and each track gets its own results."""
    expected = [pushed(Recogniser(single), stream[:60] + np.float32(0.1 * track))[0] for track in range(3)]
    together, found = Recogniser(single, gap=50, forget=50, late=1e3), dict[int, Any]()

    def push(track: int) -> None:
        found[track] = pushed(together, stream[:60] + np.float32(0.1 * track), track=track)[0]

    threads = [threading.Thread(target=push, args=(track,)) for track in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for track in range(3):
        assert [result.label for result in found[track]] == [result.label for result in expected[track]]
        assert {result.track for result in found[track]} == {track}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"device": "tensorrt"}, 'device: expected "cpu", "cuda" or "cuda:<index>", found .tensorrt.'),
        ({"device": "cpu:0"}, 'device: expected "cpu", "cuda" or "cuda:<index>"'),
        ({"precision": "f16"}, "precision: expected f32 on the CPU, found f16"),
        ({"mode": "quick"}, "mode: expected one of continual, exact, found 'quick'"),
        ({"weights": "f16"}, "weights: expected one of f32, bf16, found 'f16'"),
        (
            {"weights": "bf16", "mode": "exact"},
            "weights: expected f32 in the exact mode, found bf16, which the continual",
        ),
        ({"overflow": "drop"}, "overflow: expected one of refuse, replace"),
        ({"max_tracks": 0}, "max_tracks: expected a whole number from 1"),
        ({"max_tracks": 2.0}, "max_tracks: expected a whole number"),
        ({"gap": -1}, "gap .seconds.: expected a number from 0"),
        ({"gap": float("nan")}, "gap .seconds.: expected a number"),
        ({"gap": "1"}, "gap .seconds.: expected a number"),
        ({"gap": 3.0, "forget": 1.0}, "forget"),
        ({"missing": 1.5}, "missing: expected a number from 0 to 1"),
        ({"max_speed": -1}, "max_speed: expected a number"),
        ({"total_budget": True}, "total_budget .seconds.: expected a number"),
        ({"decision": {}}, "decision: expected adasgn_edge.recognition.Decision"),
        ({"threads": 0}, "threads: expected a whole number"),
        ({"instruction_set": "mmx"}, "instruction set: expected one of"),
        ({"effort": 0.5}, "does not escalate"),
        ({"effort": 0.5, "max_macs": 1e6}, "expected one of effort and max_macs"),
    ],
)
def test_options_that_cannot_be_had_are_named(single: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises((EngineError, EffortError), match=said):
        Recogniser(single, **options)


def test_models_that_cannot_be_had_are_named(single: Path, several: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="causal"):
        Recogniser(adasgn_edge.shipped_model())
    with pytest.raises(ModelFileError, match="expected"):
        Recogniser(tmp_path / "nothing.adasgn")
    with pytest.raises(ModelFileError, match="expected a shipped model for one of clips, stream"):
        adasgn_edge.shipped_model("film")
    with pytest.raises(EffortError, match="effort"):
        Recogniser(several, effort=1.5)
    with pytest.raises(EffortError):
        Recogniser(several, max_macs=1)


@pytest.mark.parametrize(
    ("stamp", "tracks", "kind", "said"),
    [
        (1.0, {}, RecognitionError, "stamp_ns: expected whole nanoseconds, found 1.0"),
        (True, {}, RecognitionError, "stamp_ns: expected whole nanoseconds"),
        (1 << 63, {}, RecognitionError, "64 bits"),
        (0, {"7": np.zeros((22, 3))}, RecognitionError, "track: expected a whole number of 64 bits, found '7'"),
        (0, {1 << 63: np.zeros((22, 3))}, RecognitionError, "64 bits"),
        (0, {7: np.zeros((21, 3))}, ClipError, r"track 7: expected joints of shape \(22, 3\), found \(21, 3\)"),
        (0, {7: np.zeros((24, 3))}, ClipError, r"found \(24, 3\)"),
        (0, {7: [["a"] * 3] * 22}, ClipError, "track 7: expected real numbers"),
        (0, [(7, np.zeros((22, 3)))], RecognitionError, "tracks: expected joints by number, found"),
        (0, None, RecognitionError, "tracks: expected joints by number, found None"),
        (np.nan, {}, RecognitionError, "stamp_ns: expected whole nanoseconds, found nan"),
        (np.inf, {}, RecognitionError, "stamp_ns: expected whole nanoseconds, found inf"),
    ],
)
def test_pushes_that_cannot_be_used_are_named(
    single: Path, stamp: Any, tracks: Any, kind: type[AdaSGNError], said: str
) -> None:
    recogniser = Recogniser(single)
    with pytest.raises(kind, match=said):
        recogniser.push(stamp, tracks)
    assert recogniser.stats().pushes == 0


def test_a_body_with_an_infinite_coordinate_costs_the_others_nothing(single: Path, stream: np.ndarray) -> None:
    recogniser = Recogniser(single)
    wild = stream[0].astype(np.float64)
    for number, value in enumerate((np.inf, -np.inf, 1e39)):
        wild[4, 1] = value
        output = recogniser.push(STEP * number, {7: stream[number], 8: wild})
        assert [result.track for result in output.results] == [7]
    assert recogniser.stats().unusable_frames == 3


def test_a_body_that_lacks_joints_from_its_first_frame_on(single: Path, stream: np.ndarray) -> None:
    recogniser = Recogniser(single)
    lacking = stream.copy()
    layout = recogniser.description.layout
    tips = [layout.index("thumb_tip"), layout.index("little_tip")]
    lacking[:, tips] = np.nan
    results, _ = pushed(recogniser, lacking)
    assert len(results) == len(stream)
    assert {result.missing_joints for result in results} == {2}
    assert results[-1].ready
    neighbours = stream.copy()
    neighbours[:, tips] = stream[:, [layout.index("thumb_joint_2"), layout.index("little_joint_2")]]
    same, _ = pushed(Recogniser(single), neighbours)
    np.testing.assert_array_equal(results[-1].probabilities, same[-1].probabilities)
    blind = stream.copy()
    blind[:, layout.index("middle_base")] = np.nan  # an end of the scale bone
    assert pushed(Recogniser(single), blind)[0] == []


def test_a_model_with_a_delay(tmp_path: Path, single: Path, stream: np.ndarray) -> None:
    file = read_model_file(single)
    assert file.recognition is not None
    late = tmp_path / "late.adasgn"
    write_model_file(late, replace(file, recognition=replace(file.recognition, delay=3 * STEP)))
    delayed, plain = Recogniser(late), Recogniser(single)
    assert (delayed.delay, plain.delay) == (pytest.approx(0.2), 0.05)
    (results, events), (on_time, told) = pushed(delayed, stream), pushed(plain, stream)
    assert [result.stamp_ns + 3 * STEP for result in results] == [result.stamp_ns for result in on_time]
    assert results[-1].age == pytest.approx(on_time[-1].age + 0.15)
    assert len(events) == len(told) > 0
    for event, other in zip(events, told, strict=True):
        assert (event.start_ns + 3 * STEP, event.decided_ns) == (other.start_ns, other.decided_ns)


def test_arrays_of_any_kind_are_taken(single: Path, stream: np.ndarray) -> None:
    import torch

    kinds = (lambda x: x, lambda x: x.tolist(), lambda x: x.astype(np.float64), lambda x: np.asfortranarray(x),
             torch.from_numpy)  # fmt: skip
    found = []
    for kind in kinds:
        recogniser = Recogniser(single)
        for number, joints in enumerate(stream[:20]):
            output = recogniser.push(np.int64(STEP * number), {np.int32(7): kind(joints)})  # type: ignore[dict-item]
        found.append(output.results[-1].probabilities)
    for probabilities in found[1:]:
        np.testing.assert_array_equal(probabilities, found[0])


def test_it_stays_where_it_was_made(single: Path, stream: np.ndarray) -> None:
    recogniser = Recogniser(single)
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(EngineError, match="copy or pickle"):
            copied(recogniser)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            recogniser.push(0, {7: stream[0]})
        except EngineError:
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    decisions = Decisions(DECISION, classes=3, none=2)
    for native in (type(recogniser._native), type(decisions._native)):
        with pytest.raises(TypeError):  # not an object whose use would be a crash
            native.__new__(native)


# -- decisions alone ------------------------------------------------------------------------------------------------


def test_decisions_on_hand_made_probabilities() -> None:
    """Smoothing 1: the probabilities themselves. Steps of 100 ms; the gesture rises at 300, is sure from 500 to 900."""
    q = [0, 0, 0, 0.55, 0.6, 0.9, 0.9, 0.9, 0.9, 0.9, 0.2, 0.0]
    probabilities = np.stack([q, np.zeros(12), 1 - np.asarray(q)], axis=1)
    stamps = np.arange(12) * 100_000_000
    decision = replace(DECISION, smoothing=1.0, start=0.8, end=0.4, low=0.5, minimum=0, start_shift=0, end_shift=0)
    started, ended = Decisions(decision, classes=3, none=2).run(stamps, probabilities)
    assert (started.kind, started.label, started.start_ns, started.decided_ns) == (
        "started",
        0,
        300_000_000,
        500_000_000,
    )
    assert (ended.kind, ended.end_ns, ended.lost, ended.id) == ("ended", 900_000_000, False, started.id)
    assert ended.confidence == pytest.approx(0.9)
    late = Decisions(replace(decision, minimum=400_000_000), classes=3, none=2).run(stamps, probabilities)
    assert late[0].decided_ns == 700_000_000
    (_, cut) = Decisions(decision, classes=3, none=2).run(stamps[:8], probabilities[:8])
    assert (cut.kind, cut.lost, cut.end_ns) == ("ended", True, 700_000_000)
    assert Decisions(decision, classes=3, none=2).run(np.empty(0, np.int64), np.empty((0, 3))) == []


@pytest.mark.parametrize(
    ("stamps", "probabilities", "said"),
    [
        ([0.0, 1.0], np.zeros((2, 3)), "stamps: expected int64"),
        ([[0, 1]], np.zeros((2, 3)), "stamps: expected int64"),
        ([0, 1], np.zeros((2, 4)), r"probabilities: expected shape \(2, 3\), found \(2, 4\)"),
        ([1, 1], np.zeros((2, 3)), "later than the one before"),
        ([0, 1], np.full((2, 3), np.nan), "numbers from 0 to 1"),
        ([0, 1], np.full((2, 3), 2.0), "numbers from 0 to 1"),
    ],
)
def test_decisions_refuse_other_arrays(stamps: Any, probabilities: Any, said: str) -> None:
    with pytest.raises(ClipError, match=said):
        Decisions(DECISION, classes=3, none=2).run(stamps, probabilities)


def test_decisions_that_make_no_sense() -> None:
    for options in ({"classes": 1, "none": 0}, {"classes": 3, "none": 3}, {"classes": 3.0, "none": 0}):
        with pytest.raises(EngineError, match="expected a whole number"):
            Decisions(DECISION, **options)
