"""The benchmark: that it takes turns, refuses wrong sides, counts right, judges its aims, and runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")
pytest.importorskip("torch")
pytest.importorskip("pytest_benchmark")

from adasgn_edge.engine import instruction_sets
from adasgn_edge.folded import folded_cost
from adasgn_edge.model.config import POSE, Branch, ModelConfig, branch_grid
from bench.aims import find_aims
from bench.ceilings import fma_side
from bench.groups import Group, our_models, plan
from bench.interleave import Pace, Side, interleave
from bench.models import StageCost
from bench.peers import installed
from bench.workplace import ValidationError, Workplace

ROOT = Path(__file__).parents[2]


def test_sides_take_turns_on_the_same_inputs() -> None:
    calls: list[tuple[str, int]] = []
    sides = [Side(name, lambda i, name=name: calls.append((name, i))) for name in "AB"]
    seconds = interleave(sides, Pace(calls=2, untimed=1, least=2, most=2))
    warm_up, rest = calls[:2], calls[2:]
    assert warm_up == [("A", 0), ("B", 0)]
    assert rest == [(name, i) for first in (0, 2) for name in "AB" for i in (first, first, first + 1)]
    assert {name: len(times) for name, times in seconds.items()} == {"A": 4, "B": 4}


def test_time_ends_the_rounds_but_not_before_the_least() -> None:
    assert len(interleave([Side("A", lambda _: None)], Pace(seconds=0, least=5))["A"]) == 5


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(22, 14, branch_grid((1, 11, 22))),
        ModelConfig.dense(25, 60),
        ModelConfig(22, 14, (Branch(22, POSE), Branch(11, "small"))),
        ModelConfig(25, 60, (Branch(25, POSE),), adaptive=False),
    ],
    ids=lambda config: "/".join(config.branch_names),
)
def test_stages_add_up_to_the_cost_in_the_model_file(config: ModelConfig) -> None:
    cost = StageCost(config)
    for action, macs in enumerate(folded_cost(config)):
        assert cost.clip(np.full((2, 20), action)) == macs
    mixed = np.arange(20)[None] % len(config.branches)
    assert cost.clip(mixed) == pytest.approx(folded_cost(config)[mixed].mean())


def test_every_group_measures_every_instruction_set_and_runtime() -> None:
    groups = {group.name: group for group in plan()}
    for subject in ("shrec22", "ntu25"):
        for batch in (1, 8, 64):
            sides = groups[f"speed-{subject}-b{batch}-t1"].sides
            assert {f"{model} {isa}" for model in our_models(subject) for isa in instruction_sets()} <= set(sides)
            assert {f"{peer} plain" for peer in installed()} <= set(sides)
            assert {f"{peer} identities" for peer in installed() if peer != "compile"} <= set(sides)
        for isa in instruction_sets():
            assert f"fma {isa}" in groups[f"stages-{subject}-{isa}"].sides
    assert "sgemm torch" in groups["speed-shrec22-b64-t1"].sides


def made_groups(ours: float, adaptive: float, eager: float, openvino: float) -> dict:
    def side(median: float, macs: float | None = None) -> dict:
        return {"median": median, "mean": median, "macs": macs}

    sides = {
        "dense avx2": side(ours, 1e8), "adasgn avx2": side(adaptive), "eager plain": side(eager),
        "openvino plain": side(openvino),
    }  # fmt: skip
    many = {"dense avx2": side(64 * ours, 64e8), "sgemm numpy": side(1.0, 1e11), "sgemm torch": side(2.0, 1e11)}
    return {"speed-shrec22-b1-t1": {"sides": sides}, "speed-shrec22-b64-t1": {"sides": many}}


def test_aims_are_judged() -> None:
    aims = find_aims(made_groups(ours=2e-3, adaptive=0.5e-3, eager=6e-3, openvino=2.5e-3))
    found = {(aim["theirs"], aim["ours"]): (aim["ratio"], aim["met"]) for aim in aims if aim["subject"] == "shrec22"}
    assert found["openvino plain", "dense avx2"] == (pytest.approx(0.8), False)
    assert found["openvino plain", "adasgn avx2"] == (pytest.approx(0.2), True)
    assert found["eager plain", "adasgn avx2"] == (pytest.approx(0.5 / 6), True)
    assert found["openvino identities", "dense avx2"] == (None, None)
    assert found["sgemm numpy", "dense avx2"] == (pytest.approx(0.5), False)  # the faster of the two products
    assert all(aim["met"] is None for aim in find_aims({}))


def test_the_multiply_add_loop_counts_what_it_does(tmp_path: Path) -> None:
    side = fma_side(instruction_sets()[0], tmp_path)
    if side is None:
        pytest.skip("no C++ compiler: the benchmark leaves this ceiling out as well, and says so")
    times = interleave([side], Pace(calls=3, seconds=0.1))["fma " + instruction_sets()[0]]
    assert side.macs is not None
    assert 1e9 < 2 * side.macs / times.min() < 1e12


@pytest.fixture
def workplace():
    place = Workplace()
    yield place
    place.close()


def test_a_side_that_computes_something_else_fails_the_benchmark(workplace: Workplace) -> None:
    isa = instruction_sets()[0]
    group = Group("speed", "shrec22", 8, 1, (f"dense {isa}", f"adasgn {isa}"))
    sides = workplace.sides(group)
    assert set(workplace.validate(group, sides)) == set(group.sides)
    wrong = Side(sides[1].name, sides[0].call, model="adasgn")  # dense logits for AdaSGN's
    with pytest.raises(ValidationError, match="adasgn"):
        workplace.validate(group, [sides[0], wrong])


@pytest.mark.slow
def test_the_quick_benchmark_runs_from_one_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "speed.json").read_text())
    assert report["quick"]
    assert report["load_average"].keys() == {"start", "end"}
    sides = report["groups"]["speed-shrec22-b1-t1"]["sides"]
    assert {f"{peer} plain" for peer in installed() if peer != "compile"} <= set(sides)
    for name, side in sides.items():
        assert 0 < side["least"] <= side["median"] <= side["most"] < 10, name
        assert side["logit_error"] < report["tolerance"]
        assert side["runs"] >= 6
    eager = [aim for aim in report["aims"] if aim["theirs"] == "eager plain"]
    assert eager[0]["ratio"] == sides[f"adasgn {instruction_sets()[0]}"]["median"] / sides["eager plain"]["median"]
    page = (tmp_path / "speed.md").read_text()
    assert "a quick run" in page
    assert "Where the time goes" in page
