"""Models on every instruction set against the reference in float64, and that a wrong engine is found out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")
torch = pytest.importorskip("torch")

import adasgn_edge  # noqa: E402
from adasgn_edge.bench.clips import Clips, animated_hands, default_clips  # noqa: E402
from adasgn_edge.bench.parity import MARGIN, Expected, compare, expect  # noqa: E402
from adasgn_edge.bench.torch_reference import load_reference  # noqa: E402
from adasgn_edge.engine import Engine, Result, instruction_sets  # noqa: E402
from adasgn_edge.skeletons import load_layout  # noqa: E402
from bench.models import HANDS  # noqa: E402
from bench.parity import to_markdown  # noqa: E402
from tests.engine.conftest import random_pair  # noqa: E402

CLIPS = 100
CASES = [(clips, weights) for clips in ("recorded where at hand", "animated") for weights in (None, HANDS["adasgn"])]


def sample(clips: Clips) -> Clips:
    """CLIPS of them, evenly spread."""
    chosen = np.linspace(0, len(clips) - 1, CLIPS).astype(int)
    return replace(clips, arrays=np.ascontiguousarray(clips.arrays[chosen]), labels=clips.labels[chosen])


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}, {'policy' if case[1] else 'shipped'}")
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Expected]:
    """A model's file, and what the reference makes of real clips (animated ones where there are none)."""
    kind, weights = request.param
    path, reference = load_reference(weights, None, tmp_path_factory.mktemp("parity"))
    clips = animated_hands(CLIPS) if kind == "animated" else default_clips(load_layout("shrec22"), 14)
    return path, expect(reference, sample(clips))


@pytest.mark.parametrize("isa", instruction_sets())
def test_the_engine_is_the_reference(case: tuple[Path, Expected], isa: str) -> None:
    path, expected = case
    row = compare(isa, adasgn_edge.load(path, instruction_set=isa), expected)
    assert row.holds(), row
    assert row.frames == CLIPS * 20
    assert row.undecided < 0.01 * row.frames
    assert row.other_actions_undecided <= row.undecided
    assert row.other_labels == 0
    assert row.accuracy == row.reference_accuracy > 0.8
    routes = 2 if expected.reference.config.escalates else 5  # real ones, not all frames in one branch
    assert len(np.unique(expected.actions)) >= routes


def test_a_model_that_escalates(tmp_path: Path) -> None:
    """By the threshold of its own effort; a clip near it is undecided, and one beyond it may not go the other way."""
    pair = random_pair(tmp_path, "escalating22")
    path, reference = load_reference(pair.path, None, tmp_path)
    expected = expect(reference, Clips(pair.clips(30), None, 1, "random"))
    assert len(np.unique(expected.actions)) > 1
    engine = adasgn_edge.load(path)
    row = compare("cpu", engine, expected)
    assert row.holds(), row
    assert row.accuracy is None

    class Dear:
        def run(self, clips, actions=None, *, features=False) -> Result:
            return engine.run(clips, features=features, effort=1.0)

    spoilt = compare("dear", Dear(), expected)
    assert spoilt.other_actions_decided > 0
    assert not spoilt.holds()
    assert max(spoilt.feature_error, spoilt.logit_error) < 1e-5  # right for the branches that it took


class Altered:
    """An engine whose results are tampered with."""

    def __init__(self, engine: Engine, what: str) -> None:
        self.engine, self.what = engine, what

    def run(self, clips, actions=None, *, features=False) -> Result:
        result = self.engine.run(clips, features=features)
        if self.what == "actions" and self.engine.description.config.escalates:  # likewise, a clip ends elsewhere
            other = self.engine.run(clips[:1], features=features, effort=1.0 - result.actions[0, 0])
            for array, row in zip(result[:3], other[:3], strict=True):
                array[:1] = row
            return result
        if self.what == "actions":  # computed consistently, but on another branch
            chosen = result.actions.copy()
            chosen[0, 3] = (chosen[0, 3] + 1) % 6
            return self.engine.run(clips, chosen, features=features)
        array = {"features": result.features, "logits": result.logits, "nan": result.features}[self.what]
        array[0, 0] = np.nan if self.what == "nan" else array[0, 0] + 1e-3
        return result


def frames_of_a_clip(expected: Expected) -> int:
    """That Altered routes elsewhere."""
    return expected.reference.config.frames if expected.reference.config.escalates else 1


@pytest.mark.parametrize("what", ["actions", "features", "logits", "nan"])
def test_an_engine_that_is_off_does_not_hold(case: tuple[Path, Expected], what: str) -> None:
    path, expected = case
    row = compare(what, Altered(adasgn_edge.load(path), what), expected)
    assert not row.holds()
    if what == "actions":
        assert row.other_actions_decided == 2 * frames_of_a_clip(expected)  # one clip in each part of 60
        assert max(row.feature_error, row.logit_error) < 1e-5  # errors are those on the branches it chose
    else:
        assert row.other_actions_decided == 0
        assert max(row.feature_error, row.logit_error) > 1e-5


def test_undecided_frames_may_differ(case: tuple[Path, Expected]) -> None:
    path, expected = case
    margin = expected.margin.copy()
    margin[[0, 60]] = MARGIN / 2
    row = compare("actions", Altered(adasgn_edge.load(path), "actions"), replace(expected, margin=margin))
    assert row.holds()
    assert row.other_actions_undecided == 2 * frames_of_a_clip(expected)


def test_a_model_file_alone_is_its_own_reference(case: tuple[Path, Expected], tmp_path: Path) -> None:
    path, expected = case
    _, own = load_reference(path, None, tmp_path)
    clips = replace(expected.clips, arrays=expected.clips.arrays[:4], labels=None)
    found = expect(own, clips)
    np.testing.assert_allclose(found.features, expected.features[:4], rtol=1e-4, atol=1e-4)  # weights were rounded
    row = compare("own", adasgn_edge.load(path), found)
    assert row.holds()
    assert row.accuracy is None
    engines = [{**vars(row), "tolerance": 1e-5, "holds": True}]
    page = to_markdown({"engines": engines, "command": "c", "model": "m", "reference": "r", "clips": clips.source})
    assert "| own | " in page
