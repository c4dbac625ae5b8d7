"""The benchmark: that it takes turns, refuses wrong sides, counts right, judges its aims, and runs."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")
pytest.importorskip("torch")
pytest.importorskip("pytest_benchmark")

import adasgn_edge
from adasgn_edge.bench.ceilings import fma_side
from adasgn_edge.bench.interleave import Pace, Side, interleave
from adasgn_edge.bench.runtimes import installed
from adasgn_edge.deploy.folded_network import folded_cost
from adasgn_edge.engine import Engine, instruction_sets
from adasgn_edge.errors import EngineError
from adasgn_edge.model.config import POSE, Branch, ModelConfig, branch_grid
from adasgn_edge.model.cost import CostTable
from bench import markdown
from bench.aims import find_aims
from bench.groups import Group, plan, stages
from bench.models import DEFAULT, MODELS, StageCost, config_of
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
        ModelConfig(
            22, 14, (Branch(22, POSE), Branch(11, "small"), Branch(22, "big")), adaptive=False, escalates=True, stride=2
        ),
    ],
    ids=lambda config: "/".join(config.branch_names),
)
def test_stages_add_up_to_the_cost_in_the_model_file(config: ModelConfig) -> None:
    cost, branches = StageCost(config), range(len(config.branches))
    once = cost.temporal + cost.policy + cost.policy_features
    one_by_one = [once + cost.branches(np.full((2, 20), action)) for action in branches]
    if config.escalates:
        one_by_one = np.cumsum(one_by_one).tolist()  # a clip has run all branches up to the one it ends at
    assert one_by_one == folded_cost(config).tolist()
    assert [cost.clip(np.full((2, 20), action)) for action in branches] == one_by_one
    halves = np.zeros((2, 20), np.int64)
    halves[1] = branches[-1]
    assert cost.clip(halves) == pytest.approx((one_by_one[0] + one_by_one[-1]) / 2)


def test_branches_alone_cost_what_the_first_layers_do() -> None:
    config = ModelConfig(22, 14, (Branch(22, POSE), Branch(11, "small")), adaptive=False, escalates=True)
    assert StageCost(config).branch(0) == 20 * (6 * 22 * 256 + 256 * 256)
    single = config.single(Branch(11, "small"))
    assert StageCost(config).branch(1) == StageCost(single).branch(0)


def test_every_group_measures_every_instruction_set_and_runtime() -> None:
    groups = {group.name: group for group in plan()}
    for subject in ("shrec22", "ntu25"):
        for batch in (1, 8, 64):
            sides = groups[f"speed-{subject}-b{batch}-t1"].sides
            assert {f"{model} {isa}" for model in MODELS[subject] for isa in instruction_sets()} <= set(sides)
            assert {f"{peer} plain" for peer in installed()} <= set(sides)
            assert {f"{peer} identities" for peer in installed() if peer != "compile"} <= set(sides)
        for isa in instruction_sets():
            sides = groups[f"stages-{subject}-{isa}"].sides
            assert f"fma {isa}" in sides
            assert {f"{model} run" for model in MODELS[subject]} <= set(sides)
    assert "sgemm torch" in groups["speed-shrec22-b64-t1"].sides


def test_a_model_that_escalates_has_no_policy_among_its_stages() -> None:
    assert stages(config_of("shrec22", DEFAULT)) == ("branch P-22", "branch S-11", "temporal head", "run")
    assert stages(config_of("shrec22", "adasgn"))[:2] == ("policy features", "actions")
    assert stages(config_of("ntu25", "dense")) == ("branches", "temporal head", "run")


def test_groups_can_be_chosen_by_name() -> None:
    assert [group.name for group in plan(only=["speed-*-b1-t1"])] == ["speed-shrec22-b1-t1", "speed-ntu25-b1-t1"]
    both = [group.name for group in plan(only=["stages-shrec22-*", "speed-shrec22-b64-t1"])]
    assert both == [*(f"stages-shrec22-{isa}" for isa in instruction_sets()), "speed-shrec22-b64-t1"]
    with pytest.raises(ValueError, match=r"--only: expected patterns of .*speed-ntu25-b64-t1.*; found speed-hands"):
        plan(only=["speed-hands"])


def made_groups(ours: float, adaptive: float, eager: float, openvino: float, shared: float) -> dict:
    def side(median: float, macs: float | None = None, mean: float | None = None) -> dict:
        return {"median": median, "mean": mean or median, "macs": macs}

    sides = {
        "dense avx2": side(ours, 1e8), "adasgn avx2": side(adaptive), "eager plain": side(eager),
        "openvino plain": side(openvino), f"{DEFAULT} avx2": side(shared / 4, mean=shared),
    }  # fmt: skip
    many = {"dense avx2": side(64 * ours, 64e8), "sgemm numpy": side(1.0, 1e11), "sgemm torch": side(2.0, 1e11)}
    return {"speed-shrec22-b1-t1": {"sides": sides}, "speed-shrec22-b64-t1": {"sides": many}}


def test_aims_are_judged() -> None:
    aims = find_aims(made_groups(ours=2e-3, adaptive=0.5e-3, eager=6e-3, openvino=2.5e-3, shared=0.24e-3))
    found = {(aim["theirs"], aim["ours"]): (aim["ratio"], aim["met"]) for aim in aims if aim["subject"] == "shrec22"}
    assert found["openvino plain", "dense avx2"] == (pytest.approx(0.8), False)
    assert found["openvino plain", "adasgn avx2"] == (pytest.approx(0.2), True)
    assert found["eager plain", "adasgn avx2"] == (pytest.approx(0.5 / 6), True)
    assert found["openvino identities", "dense avx2"] == (None, None)
    assert found["adasgn avx2", f"{DEFAULT} avx2"] == (pytest.approx(0.48), False)  # of means, not of medians
    assert found["dense avx2", f"{DEFAULT} avx2"] == (pytest.approx(0.12), False)
    assert found["eager plain", f"{DEFAULT} avx2"] == (pytest.approx(0.04), True)
    assert found["sgemm numpy", "dense avx2"] == (pytest.approx(0.5), False)  # the faster of the two products
    assert all(aim["met"] is None for aim in find_aims({}))


@pytest.mark.parametrize("isa", instruction_sets())
def test_the_multiply_add_loop_counts_what_it_does(isa: str) -> None:
    side = fma_side(isa)
    times = interleave([side], Pace(calls=3, seconds=0.1))[f"fma {isa}"]
    assert side.macs is not None
    assert 1e9 < 2 * side.macs / times.min() < 1e12
    with pytest.raises(EngineError, match=r"instruction set: expected one of .*, found mmx"):
        fma_side("mmx")


@pytest.fixture(scope="module")
def workplace():
    place = Workplace()
    yield place
    place.close()


def test_a_side_that_computes_something_else_fails_the_benchmark(workplace: Workplace) -> None:
    isa = instruction_sets()[0]
    group = Group("speed", "shrec22", 8, 1, (f"dense {isa}", f"adasgn {isa}", f"{DEFAULT} {isa}"))
    sides = workplace.sides(group)
    assert set(workplace.validate(group, sides)) == set(group.sides)
    wrong = Side(sides[1].name, sides[0].call, model="adasgn")  # dense logits for AdaSGN's
    with pytest.raises(ValidationError, match="adasgn"):
        workplace.validate(group, [sides[0], wrong])


def test_a_clip_that_escalates_where_the_reference_does_not_fails_unless_it_is_undecided(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group("speed", "shrec22", 64, 1, (f"{DEFAULT} {instruction_sets()[0]}",))
    run = Engine.run
    monkeypatch.setattr(Engine, "run", lambda self, clips: run(self, clips, effort=1.0))
    sides = workplace.sides(group)
    with pytest.raises(ValidationError, match=DEFAULT):
        workplace.validate(group, sides)

    subject = workplace.subject("shrec22")
    model = subject.models[DEFAULT]
    ends = model.actions[:, 0]
    assert set(ends) == {0, 1}

    def undecided(clips: np.ndarray) -> Workplace:
        margin = np.where(clips[:, None], 0.0, model.margin)
        monkeypatch.setitem(subject.models, DEFAULT, dataclasses.replace(model, margin=margin))
        monkeypatch.setattr(workplace, "_expected", {})
        return workplace

    undecided(ends == 0).validate(group, sides)  # those that are left do escalate
    assert subject.facts()["models"][DEFAULT]["undecided"] == (ends == 0).sum()
    with pytest.raises(ValidationError, match="expected clips whose routing is clear, found none"):
        undecided(ends >= 0).validate(group, sides)


def test_facts_of_models_that_route(workplace: Workplace) -> None:
    facts = workplace.subject("shrec22").facts()["models"]
    default, policy = facts[DEFAULT], facts["adasgn"]
    cost = CostTable(config_of("shrec22", DEFAULT)).full
    assert default["escalates"]
    assert not policy["escalates"]
    assert default["effort"] == adasgn_edge.load(adasgn_edge.shipped_model()).description.effort.default
    assert default["macs"] == pytest.approx(sum(default["shares"][b] * cost[i] for i, b in enumerate(("P-22", "S-11"))))
    assert policy["effort"] is None
    assert len(policy["shares"]) == 6
    page = markdown.routing(DEFAULT, default)
    assert "clips that end at each branch: P-22" in page
    assert "frames that take each branch: S-1" in markdown.routing("adasgn", policy)


@pytest.mark.slow
def test_its_sides_are_tests_of_pytest_benchmark(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    command = [sys.executable, "-m", "pytest", "bench", "--benchmark-enable", f"--benchmark-json={record}", "--quick"]
    command += [
        "--only=speed-shrec22-b8-t1",
        "-k",
        "dense or eager",
        "--benchmark-max-time=0.1",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {row["extra_info"]["side"]: row for row in json.loads(record.read_text())["benchmarks"]}
    assert set(found) == {"eager plain", *(f"dense {isa}" for isa in instruction_sets())}
    assert all(0 < row["stats"]["median"] < 10 and row["extra_info"]["batch"] == 8 for row in found.values())


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
    (eager,) = [aim for aim in report["aims"] if aim["theirs"] == "eager plain" and aim["ours"].startswith("adasgn ")]
    assert eager["ratio"] == sides[f"adasgn {instruction_sets()[0]}"]["median"] / sides["eager plain"]["median"]
    page = (tmp_path / "speed.md").read_text()
    assert "a quick run" in page
    assert "Where the time goes" in page
    assert "default AdaSGN at effort" in page
