"""``python -m bench.parity --device cuda`` on the emulated device."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")

from adasgn_edge.bench.clips import animated_hands
from bench import parity


def run(folder, monkeypatch, *options):
    monkeypatch.setattr(parity, "default_clips", lambda *_: animated_hands(2))
    monkeypatch.setattr("sys.argv", ["bench.parity", "--device", "cuda", "--out", str(folder), *options])
    return parity.main(), json.loads((folder / "parity.json").read_text())["engines"]


def test_both_precisions(emulated, tmp_path, monkeypatch):
    """In binary16, errors up to twice those of PyTorch in float16 are allowed, and no more."""
    status, (exact, half) = run(tmp_path, monkeypatch)
    assert status == 0
    assert (exact["engine"], half["engine"]) == ("cuda f32", "cuda f16")
    assert exact["tolerance"] == parity.TOLERANCE
    assert 1e-4 < half["tolerance"] < 0.02
    assert exact["feature_error"] < parity.TOLERANCE < half["feature_error"] < half["tolerance"]
    assert emulated.findings() == []


def test_one_precision_and_a_tolerance(emulated, tmp_path, monkeypatch):
    status, (row,) = run(tmp_path, monkeypatch, "--precision", "f16", "--tolerance", "1e-5")
    assert status == 1
    assert (row["engine"], row["tolerance"], row["holds"]) == ("cuda f16", 1e-5, False)


def test_options_of_the_cpu_are_refused(emulated, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["bench.parity", "--device", "cuda", "--threads", "2"])
    assert parity.main() == 2
    assert "threads: expected none on a GPU, found 2" in capsys.readouterr().err
