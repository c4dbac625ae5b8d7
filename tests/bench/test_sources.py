"""Hands as each source would have given them, there and back; what docs/conventions.md says of the measurement."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from adasgn_edge.data.adapter import Adapter
from adasgn_edge.data.description import StreamDescription
from adasgn_edge.hands import animate
from adasgn_edge.skeletons import load_layout
from bench.sources import CASES, as_given, description_of, hand_sources, tables

ROOT = Path(__file__).resolve().parents[2]
HAND = load_layout("shrec22")
CLIP = animate("Swipe Up", seed=3) + np.float32([0.05, -0.1, 0.5])


@pytest.mark.parametrize("source", hand_sources(HAND), ids=lambda source: source.name)
def test_joints_that_are_copied_come_back(source):
    given = as_given(CLIP, source, HAND)
    assert given.shape == (len(CLIP), len(source.joints), 3)
    back = Adapter(description_of(source), HAND).convert_track(given)
    copied = (source.matrix(HAND) != 0).sum(axis=1) == 1
    np.testing.assert_allclose(back[:, copied], CLIP[:, copied], atol=1e-5)
    bone = np.linalg.norm(CLIP[:, HAND.index("middle_base")] - CLIP[:, 0], axis=-1).mean()
    assert np.linalg.norm(back - CLIP, axis=-1).mean() < 0.1 * bone  # joints by a rule
    assert np.isfinite(back).all()


@pytest.mark.parametrize("case", CASES)
def test_what_is_stated_is_mended(case):
    spoil, said = CASES[case]
    spoilt = spoil(CLIP)
    if case.startswith("the same, placed"):
        assert np.abs(spoilt - CLIP).max() < 0.02
    else:
        assert np.abs(spoilt - CLIP).max() > 0.02
    if said is not None:
        description = StreamDescription.from_dict({**StreamDescription.as_model(HAND).to_dict(), **said})
        np.testing.assert_allclose(Adapter(description, HAND).convert_track(spoilt), CLIP, atol=1e-5)


def test_the_page_says_what_was_measured():
    report = json.loads((ROOT / "bench" / "results" / "sources" / "sources.json").read_text())
    assert [row["source"] for row in report["sources"]] == [source.name for source in hand_sources(HAND)]
    assert [row["case"] for row in report["conventions"]] == list(CASES)
    assert report["split"] == "test"
    assert report["clips"] == 840
    assert tables(report).strip() in (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8")
