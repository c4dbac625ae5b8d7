"""tools/prove_on_gpu.py without a GPU: its steps stand in for themselves, its ways of failing do not."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

PATH = Path(__file__).parents[2] / "tools" / "prove_on_gpu.py"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("prove_on_gpu", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "prove_on_gpu", module)  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def prove(tool: ModuleType, steps: list, out: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(tool, "plan", lambda *_: steps)
    monkeypatch.setattr("sys.argv", ["prove_on_gpu.py", "--architecture", "9.0", "--out", str(out)])
    return tool.main()


def test_a_failing_step_does_not_stop_the_others(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [
        [tool.Step("fails", ["sh", "-c", "echo one; echo a complaint >&2; exit 3"], 10)],
        [
            tool.Step("is slow", ["sh", "-c", "echo begun; sleep 60; echo ended"], 1),
            tool.Step("beside it", ["true"], 10),
        ],
        [tool.Step("is missing", ["/nowhere/program"], 10)],
        [tool.Step("benchmark", ["sh", "-c", "echo $0 $COLOUR", "--limit={left:.0f}"], 100, {"COLOUR": "blue"})],
    ]
    assert prove(tool, steps, tmp_path, monkeypatch) == 1
    summary = (tmp_path / "summary.md").read_text()
    for line in (
        "| fails | **failed** (3) |", "| is slow | **did not end** | 1 |", "| beside it | ok |",
        "| is missing | **did not end** |", "| benchmark | ok |",
    ):  # fmt: skip
        assert line in summary
    log = (tmp_path / "log.txt").read_text()
    assert "one\na complaint" in log
    assert "begun\n\nstopped after 1 s" in log
    assert "\nended" not in log
    assert "--limit=70 blue" in log
    assert "a complaint" in capsys.readouterr().out


def test_all_steps_succeed(tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert prove(tool, [[tool.Step("benchmark", ["true"], 10)]], tmp_path, monkeypatch) == 0


def test_no_gpu_is_a_clear_error(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["prove_on_gpu.py"])
    monkeypatch.setattr(tool, "compute_capability", lambda: None)
    assert tool.main() == 2
    assert "no CUDA device" in capsys.readouterr().err


def test_recorded_clips_are_the_newest_conversion(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADASGN_CACHE", str(tmp_path))
    assert tool.recorded_clips() is None
    (tmp_path / "shrec14-one.skeletons").touch()
    assert tool.recorded_clips() == str(tmp_path / "shrec14-one.skeletons")
    steps = [step for together in tool.plan("9.0", tmp_path, tool.recorded_clips()) for step in together]
    for step in steps:
        with_clips = step.name in ("benchmark", "parity of every clip")
        assert (str(tmp_path / "shrec14-one.skeletons") in step.command) is with_clips
    assert {step.name for step in steps} >= {f"compute-sanitizer: {name}" for name in tool.SANITIZERS}
