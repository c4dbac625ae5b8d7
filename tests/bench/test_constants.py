"""The micro-benchmark of a GPU's parts: what it prints is read and kept; its source compiles where nvcc is."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.gpu import constants
from bench.gpu.constants import build, parse, read, table, write
from bench.kernel_report.compiler import ToolError, find_toolkit

ROOT = Path(__file__).resolve().parents[2]
PRINTED = """\
device\tNVIDIA H100 80GB HBM3
multiprocessors\t132.000\t
graph/1/idle\t3.230\tus
graph/2/idle\t4.160\tus
graph/4/idle\t6.210\tus
graph/dependent/1/idle\t3.070\tus
graph/dependent/2/idle\t3.780\tus
barrier/256\t28.400\tclocks
stream/ring of 8/132\t50.700\tbytes a clock
"""


def test_reads_what_is_printed_and_keeps_it(tmp_path: Path) -> None:
    found = parse(PRINTED, "a sample")
    assert found.device == "NVIDIA H100 80GB HBM3"
    assert found["barrier/256"] == 28.4
    assert found.values["stream/ring of 8/132"] == (50.7, "bytes a clock")
    assert "barrier/128" not in found
    write(found, tmp_path / "kept" / "constants.json")
    assert read(tmp_path / "kept" / "constants.json") == found


def test_a_nodes_cost_is_the_slope_over_the_nodes() -> None:
    found = parse(PRINTED, "a sample")
    # through (1, 3.23), (2, 4.16), (4, 6.21): slope Σ(x - 7/3)(y - 4.5333) / (14/3)
    empty, node = found.graph("idle")
    assert node == pytest.approx(0.99786, abs=1e-5)
    assert empty == pytest.approx(4.53333 - node * 7 / 3, abs=1e-4)
    assert found.graph("idle", dependent=True) == pytest.approx((2.36, 0.71))


def test_table_has_what_follows_and_every_row() -> None:
    lines = list(table(parse(PRINTED, "a sample")))
    assert "NVIDIA H100 80GB HBM3; a sample" in lines
    assert "| *graph of kernels, idle: without a node* | 2.21 | us |" in lines
    assert "| stream/ring of 8/132 | 50.7 | bytes a clock |" in lines
    assert not any("wall" in line for line in lines)


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        ("device\tX\nbarrier/256 28\n", "expected name, value and unit"),
        ("device\tX\nbarrier/256\tmany\tclocks\n", "expected name, value and unit"),
        ("device\tX\nbarrier/256\tnan\tclocks\n", "expected a finite value"),
        ("device\tX\nbarrier/256\t-1\tclocks\n", "not below zero"),
        ("barrier/256\t28\tclocks\n", "device's name"),
    ],
)
def test_refuses_what_the_program_does_not_print(printed: str, words: str) -> None:
    with pytest.raises(ToolError, match=words):
        parse(printed, "a sample")


def test_refuses_another_file(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"format": "something"}')
    with pytest.raises(ToolError, match=r"expected adasgn_edge.gpu_constants.1, found 'something'"):
        read(tmp_path / "other.json")


def test_the_committed_constants_are_of_an_h100() -> None:
    found = read(ROOT / "bench" / "results" / "gpu" / "h100" / "constants.json")
    assert "H100" in found.device
    assert found["multiprocessors"] == 132
    assert 0.5 < found.graph("idle")[1] < 2


def test_without_nvcc_the_status_is_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def none() -> Path:
        raise ToolError("nvcc: expected a toolkit")

    monkeypatch.setattr(constants, "find_toolkit", none)
    assert constants.main([]) == 2
    assert "expected a toolkit" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["sm_87", "sm_90"])
def test_compiles_without_a_warning(architecture: str, tmp_path: Path) -> None:
    try:
        toolkit = find_toolkit()
    except ToolError as error:
        pytest.skip(str(error))
    assert build(toolkit, architecture, tmp_path).is_file()  # warnings are errors
