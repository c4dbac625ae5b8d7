"""``adasgn-edge eval-stream`` with scripted recognisers: which sequences, how they run, tables, JSON."""

from __future__ import annotations

import json

import pytest

from tests.data.online_sets import CLASSES, online_dataset
from tests.scripted_recogniser import ScriptedRecogniser

SEQUENCES = {
    **{f"{number}": [(number % 3, 25, 75)] for number in range(1, 7)},
    "7": [(0, 25, 75), (1, 100, 150)],
    "8": [(0, 25, 75)],
}


@pytest.fixture
def made(monkeypatch):
    """A small data set in place of the real one, and recognisers that find one wave; gives what they were made with."""
    asked = []

    class Recogniser(ScriptedRecogniser):
        def __init__(self, model, **options):
            asked.append((str(model), options))
            late = 0.2 if "late" in str(model) else 0.0
            super().__init__((*CLASSES, "none"), [(0, 0.5, 1.5, 0.9 + late)])

    groups, sources = ("g1",) * 3 + ("g2",) * 3 + ("t",) * 2, ("lying", "upright") * 4
    dataset = online_dataset(SEQUENCES, frames=200, test=("7", "8"), groups=groups, sources=sources)
    monkeypatch.setattr("adasgn_edge.data.registry.open_online_dataset", lambda name, root, progress: dataset)
    monkeypatch.setattr("adasgn_edge.recogniser.Recogniser", Recogniser)
    return asked


def test_a_row_for_each_way_to_run(run, made, tmp_path):
    path = tmp_path / "out.json"
    status, text = run(
        "eval-stream", "one.adasgn", "late.adasgn", "--mode", "continual,exact", "--effort", "0,0.5",
        "--degrade", "none", "--degrade", "rate=20,drop=0.05", "--per-class", "--json", path,
    )  # fmt: skip
    assert status == 0
    assert "shrec21, test split, 2 sequences, rate=20,drop=0.05, 2 models" in text
    result = json.loads(path.read_text())
    assert result["sequences"] == ["7", "8"]
    assert [(row["degradation"], row["mode"], row["effort"]) for row in result["rows"]] == [
        (degraded, mode, effort)
        for degraded in (None, "rate=20,drop=0.05")
        for mode in ("continual", "exact")
        for effort in (0.0, 0.5)
    ]
    first = result["rows"][0]
    assert first["figures"]["detection_rate"] == {"mean": pytest.approx(2 / 3), "deviation": 0, "count": 2}
    assert first["figures"]["delay_start_p50"]["mean"] == pytest.approx(0.5)
    assert first["figures"]["delay_start_p50"]["deviation"] == pytest.approx(0.2 / 2**0.5)
    assert [model["path"] for model in first["models"]] == ["one.adasgn", "late.adasgn"]
    assert first["models"][0]["score"]["classes"]["wave"]["hits"] == 2
    assert {(options["mode"], options["effort"]) for _, options in made} == {
        ("continual", 0.0), ("continual", 0.5), ("exact", 0.0), ("exact", 0.5),
    }  # fmt: skip
    assert "66.7 ± 0.0" in text
    assert "0.50, 0.50" in text
    assert "each class, all models: exact, effort 0.5, rate=20,drop=0.05" in text


def test_one_model_has_no_deviation(run, made):
    status, text = run("eval-stream", "one.adasgn")
    assert status == 0
    assert "66.7" in text
    assert "±" not in text
    assert made[0][1] == {
        "device": "cpu", "precision": None, "mode": "continual", "weights": "f32", "effort": None, "max_tracks": 1,
    }  # fmt: skip


def test_folds_are_of_training_sequences(run, made, tmp_path):
    path = tmp_path / "out.json"
    held = []
    for fold in ("1/2", "2/2"):
        status, text = run("eval-stream", "one.adasgn", "--fold", fold, "--fold-by", "sequence", "--json", path)
        assert status == 0
        assert f"held out by fold {fold[0]} of 2 (by sequence), 3 sequences" in text
        held += json.loads(path.read_text())["sequences"]
    assert sorted(held) == ["1", "2", "3", "4", "5", "6"]
    status, _ = run("eval-stream", "one.adasgn", "--fold", "1/2", "--json", path)  # of whole groups
    assert json.loads(path.read_text())["sequences"] in (["1", "2", "3"], ["4", "5", "6"])


def test_a_part_of_data_sets_joined(run, made, tmp_path):
    path = tmp_path / "out.json"
    status, text = run("eval-stream", "one.adasgn", "--split", "train", "--part", "upright", "--json", path)
    assert status == 0
    assert "train split, 6 sequences, of which 3 of upright" in text
    assert json.loads(path.read_text())["sequences"] == ["2", "4", "6"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--part", "hanging"], "--part: expected one of lying, upright, found 'hanging'"),
        (["--split", "val"], "--split: expected train or test, found 'val'"),
        (["--fold", "3/2"], "--fold: expected a fold from 1 to 2, found 3"),
        (["--fold", "2"], "--fold: expected k/K, such as 1/4, found '2'"),
        (["--fold", "1/1", "--fold-by", "sequence"], "expected 2 to 6 folds"),
        (["--fold", "1/2", "--fold-by", "person"], "expected them by sequence or group"),
        (["--effort", "low"], "--effort: expected numbers with commas between, found 'low'"),
        (["--degrade", "speed=2"], "degradation: expected NAME=NUMBER"),
        (["--json", "."], "--json"),
    ],
)
def test_what_cannot_be(run, made, arguments, message):
    status, text = run("eval-stream", "one.adasgn", *arguments)
    assert status == 2
    assert message in text
    assert not made
