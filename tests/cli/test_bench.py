"""The command adasgn-edge bench: its options, files, exit status and what it prints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("typer")
pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")

from tests.bench.fake_boards import thor

SMALL = ("--only", "shrec14@0", "--only", "stream-*", "--batch", "1", "--seconds", "0.2", "--quick")


def bench(*arguments: str, without_torch: bool = True) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, by default one that cannot import torch."""
    code = "import sys; from adasgn_edge.cli import main; main()"
    if without_torch:
        code = (
            "import importlib.util as u, sys; sys.modules['torch'] = None; found = u.find_spec; "
            "u.find_spec = lambda name, *more: None if name == 'torch' else found(name, *more); "
            "from adasgn_edge.cli import main; main()"
        )
    command = [sys.executable, "-c", code, "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_it_measures_without_torch_and_writes_both_files(tmp_path: Path) -> None:
    files = ("--json", str(tmp_path / "out" / "a.json"), "--html", str(tmp_path / "a.html"))
    done = bench(*SMALL, "--only", "dense", *files, "--sysfs-root", str(thor(tmp_path / "thor")))
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "a.json").read_text())
    assert report["complete"]
    assert {"dense", "shrec14@0"} == set(report["groups"]["clips-1"]["sides"])
    assert {"dense", "stream-shrec21-continual"} == set(report["cold_start"]) == set(report["memory"])
    for row in report["cold_start"].values():
        assert 0 < row["import"] < row["total"]
        assert row["total"] == pytest.approx(sum(row[part] for part in ("python", "import", "load", "first")))
    for row in report["memory"].values():
        assert 10e6 < row["imported"] < row["loaded"] <= row["peak"] < 500e6
        assert abs(row["growth"]) < 5e6
        assert row["calls"] > 0
    assert report["groups"]["clips-1"]["rails"] == "VIN"
    absent = {row["name"]: row for row in report["contenders"] if row["status"] == "absent"}
    assert set(absent) == {"eager", "compile", "onnxruntime", "openvino", "tensorrt"}
    assert absent["eager"]["reason"] == "needs torch, which is not installed"
    assert absent["eager"]["remedy"] == "pip install 'adasgn-edge[bench]'"
    assert "board: NVIDIA Jetson AGX Thor Developer Kit" in done.stdout
    assert "EMC clock: not known" in done.stdout
    assert "absent: dense SGN, PyTorch: needs torch" in done.stdout
    assert (tmp_path / "a.html").read_text().startswith("<!DOCTYPE html>")


def test_two_reports_are_compared(tmp_path: Path) -> None:
    first, second, result = (tmp_path / name for name in ("a.json", "b.json", "c.json"))
    only = ("--only", "clips", "--only", "shrec14@0", "--batch", "1", "--seconds", "0.2")
    assert bench(*only, "--json", str(first)).returncode == 0
    report = json.loads(first.read_text())
    report["machine"]["cores"] += 1
    second.write_text(json.dumps(report))
    refused = bench("compare", str(first), str(second))
    assert refused.returncode == 2
    assert "expected reports of one machine and the same settings, found cores" in refused.stderr
    done = bench("compare", str(first), str(second), "--anyway", "--json", str(result))
    assert done.returncode == 0, done.stderr
    assert "differs: cores" in done.stdout
    assert json.loads(result.read_text())["groups"]["clips-1"][0]["ratio"] == 1.0


def test_a_model_of_ones_own_is_timed(tmp_path: Path) -> None:
    import numpy as np

    from adasgn_edge.bench.random_models import random_file
    from adasgn_edge.deploy.model_file import write_model_file
    from adasgn_edge.model.config import ModelConfig
    from adasgn_edge.skeletons import load_layout

    layout = load_layout("ntu25")
    classes = tuple(f"A{number}" for number in np.arange(6))
    write_model_file(tmp_path / "dense.adasgn", random_file(ModelConfig.dense(25, 6), layout, classes, "joint"))
    files = ("--model", str(tmp_path / "dense.adasgn"), "--json", str(tmp_path / "a.json"))
    done = bench("--only", "dense*", "--only", "clips", "--batch", "1", "--seconds", "0.1", *files)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "a.json").read_text())
    assert set(report["groups"]["clips-1"]["sides"]) == {"dense", "dense.adasgn"}  # ours, and the file of that name
    assert "sway" in report["settings"]["clips"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "nothing"), "--only: expected one of clips, streams"),
        (("--only", "loop"), "--only loop: expected a rate beside it (--loop 100Hz), found none"),
        (("--loop", "fast"), "--loop: expected a rate from 1Hz to 10000Hz, found 'fast'"),
        (("--batch", "1,x"), "--batch: expected numbers with commas between"),
        (("--html", "a.txt"), "--html: expected a name ending in .html"),
        (("--model", "none.adasgn"), "none.adasgn"),
        (("--device", "tpu"), 'device: expected "cpu", "cuda", "cuda:<index>" or "tensorrt"'),
        (("--device", "tensorrt"), "device: expected cpu or cuda, found tensorrt, which `python -m bench.gpu` times"),
        (("compare", "none.json", "none.json"), "none.json: expected a file of `adasgn-edge bench --json`"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_is_refused(arguments: tuple[str, ...], said: str, run: Callable[..., tuple[int, str]]) -> None:
    status, printed = run("bench", *arguments)
    assert status == 2
    assert said in printed


def test_recorded_clips_need_torch() -> None:
    done = bench("--data", "shrec14", "--only", "shrec14@0")
    assert done.returncode == 2
    assert "--data: needs torch" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupt_keeps_what_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    arguments = ("--only", "clips", "--only", "shrec14@0", "--batch", "1", "--seconds", "600", "--json", str(path))
    process = subprocess.Popen(
        [sys.executable, "-m", "adasgn_edge", "bench", *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "at a time" in line:
            break
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "interrupted: this is what was measured until then" in output
    report = json.loads(path.read_text())
    assert not report["complete"]
    assert report["groups"]["clips-1"]["sides"]["shrec14@0"]["runs"] > 0
