"""`classify` and `demo` on a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("typer")

from adasgn_edge.hands import GESTURES, animate


def run(*arguments: object) -> str:
    command = [sys.executable, "-m", "adasgn_edge", *map(str, arguments)]
    wide = {**os.environ, "COLUMNS": "200"}  # no line is broken
    done = subprocess.run(command, capture_output=True, text=True, env=wide)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("precision", ["f16", "f32"])
def test_classify_labels_alike_on_both_devices(tmp_path, precision):
    paths = [tmp_path / f"{place}.npz" for place in range(len(GESTURES))]
    for path, gesture in zip(paths, GESTURES, strict=True):
        np.savez(path, positions=animate(gesture))
    expected = [json.loads(line) for line in run("classify", "--json", *paths).splitlines()]
    output = run("classify", "--json", "--device", "cuda", "--precision", precision, *paths)
    for row, other in zip(map(json.loads, output.splitlines()), expected, strict=True):
        assert (row["device"], row["precision"]) == ("cuda", precision)
        for key in ("label", "action_shares", "cost"):
            assert row[key] == other[key]
        assert row["confidence"] == pytest.approx(other["confidence"], abs=1e-4 if precision == "f32" else 0.02)


def test_demo_says_what_it_runs_on():
    assert "(native engine, cuda, f16)" in " ".join(run("demo", "--device", "cuda", "--count", "2").split())
