"""A run of the benchmark: its report, what it refuses, what it keeps when it is interrupted, and its page."""

from __future__ import annotations

import copy
import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")

import adasgn_edge
from adasgn_edge.bench.clips import animated_hands
from adasgn_edge.bench.comparison import compare, differences
from adasgn_edge.bench.contenders import Field, clip_contenders, split_models
from adasgn_edge.bench.fresh import measure_fresh
from adasgn_edge.bench.measurement import measure
from adasgn_edge.bench.page import to_html
from adasgn_edge.bench.random_models import POLICY_SHARES
from adasgn_edge.bench.report import KEYS, read_report, write_report
from adasgn_edge.bench.settings import LoopSettings, Settings, parse_rate
from adasgn_edge.engine import Engine, instruction_sets
from adasgn_edge.errors import BenchError
from adasgn_edge.recogniser import Recogniser
from tests.bench.fake_boards import orin

SIDES = ("shrec14@*", "dense", "branch-S-1", "policy", "stream-*")
SMALL = Settings(batches=(1, 2), seconds=0.2, only=SIDES, loop=LoopSettings(200.0, 0.3))


class Silent:
    """A view that stops a run when it has begun with something for the `last` time."""

    def __init__(self, last: str = "") -> None:
        self.last, self.stopped = last, False
        self.stages: list[str] = []
        self.shares: list[float] = []

    def stage(self, what: str) -> None:
        self.stages.append(what)
        self.stopped = self.stopped or bool(self.last and what.startswith(self.last))

    def progress(self, share: float) -> None:
        self.shares.append(share)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A small run without other runtimes, on a fake Orin."""
    root = orin(tmp_path_factory.mktemp("orin"))
    return measure(replace(SMALL, only=(*SIDES, "clips", "streams", "loop"), sysfs_root=root), Silent())


def test_the_report_has_its_form(report: dict[str, Any], tmp_path: Path) -> None:
    write_report(report, tmp_path / "bench.json")
    assert read_report(tmp_path / "bench.json") == json.loads(json.dumps(report))
    assert set(report) == set(KEYS)
    assert report["complete"]
    assert list(report["groups"]) == ["clips-1", "clips-2", "streams"]
    status = {row["name"]: row["status"] for row in report["contenders"]}
    timed = [name for name, found in status.items() if found == "right"]
    assert status["tensorrt"] == "absent"
    assert set(timed) == {
        "dense", "branch-S-1", "policy", "shrec14@0", "shrec14@0.1", "shrec14@0.5", "shrec14@1",
        "stream-shrec21-continual", "stream-shrec21-continual-bf16", "stream-shrec21-exact",
        "stream-shrec21-continual-10",
    }  # fmt: skip
    assert set(report["groups"]["clips-1"]["sides"]) == {name for name in timed if not name.startswith("stream-")}
    for group in report["groups"].values():
        for name, side in group["sides"].items():
            assert 0 < side["min"] <= side["p50"] <= side["max"] < 5, name
            assert sum(side["histogram"]["counts"]) == side["runs"]
            assert len(side["rounds"]["medians"]) == group["rounds"]
    for row in report["contenders"]:
        assert row["status"] == "absent" or row["error"] < (0.02 if row["name"].endswith("bf16") else 1e-4)
        assert row["status"] != "absent" or (row["reason"] and row["remedy"])


def test_the_limit_is_above_what_is_reached(report: dict[str, Any]) -> None:
    assert report["limit"]["instruction_set"] == instruction_sets()[0]
    assert 1 < report["limit"]["gmacs"] < 1000
    for group in report["groups"].values():
        for side in group["sides"].values():
            assert side["of_limit"] is None or 0 < side["of_limit"] < 1.05


def test_ratios_are_of_sides_that_took_turns(report: dict[str, Any]) -> None:
    found = {(row["of"], row["to"]): row for row in report["groups"]["clips-1"]["ratios"]}
    for row in found.values():
        assert row["low"] <= row["ratio"] <= row["high"]
    assert found["shrec14@0", "dense"]["statistic"] == "median"
    assert found["shrec14@0.1", "dense"]["statistic"] == "mean"  # its clips differ in what they need
    assert found["shrec14@0", "dense"]["high"] < 1


def test_energy_is_of_the_rails(report: dict[str, Any]) -> None:
    group = report["groups"]["streams"]
    assert group["idle_watts"] == pytest.approx(10.0)
    assert group["rails"] == "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0"
    for side in group["sides"].values():  # 10 W for about as long as a call takes; calls in a row may be quicker
        assert 10 * side["min"] * 0.5 < 1e-3 * side["millijoules"] < 10 * side["max"] * 20
        assert side["millijoules_above_idle"] == pytest.approx(0.0, abs=1e-6)
    assert report["machine"]["board"]["start"]["power_mode"]["name"] == "MODE_30W"
    assert group["throttled"] == ["gpu-throttle-alert (cooling_device1): state 1"]  # and not that a fan turns


def test_the_frontier_holds_what_the_file_says(report: dict[str, Any]) -> None:
    table = [row for row in report["frontier"] if row["series"] == "effort table"]
    points = split_models([])[0][0][1].effort.points
    assert [row["accuracy"] for row in table] == [point.accuracy for point in points]
    sides = report["groups"]["clips-1"]["sides"]
    assert table[0]["seconds"] == pytest.approx(sides["shrec14@0"]["mean"], rel=1e-4)
    assert table[-1]["seconds"] == pytest.approx(sides["shrec14@1"]["mean"], rel=1e-4)
    known = {row["name"] for row in report["contenders"] if row["accuracy"] is not None}
    assert known == {"shrec14@0", "shrec14@0.1", "shrec14@0.5", "shrec14@1"}  # others have learnt nothing


def test_the_loop_keeps_its_books(report: dict[str, Any]) -> None:
    loop = report["loop"]
    assert loop["rate"] == 200
    assert loop["cycles"] + loop["skipped"] in (60, 61, 62, 63, 64) or loop["skipped"] > 4
    assert loop["missed"] <= loop["cycles"]
    for key in ("wake_up", "compute", "end_to_end"):
        assert loop[key]["runs"] == loop["cycles"] == sum(loop[key]["histogram"]["counts"])
    assert loop["end_to_end"]["mean"] == pytest.approx(loop["wake_up"]["mean"] + loop["compute"]["mean"])
    assert loop["page_faults"]["major"] >= 0


def test_our_own_sides_need_numpy_alone() -> None:
    code = "import sys, adasgn_edge.bench.measurement, adasgn_edge.bench.page, adasgn_edge.bench.comparison\n"
    code += "print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"torch", "rich", "typer", "onnx", "onnxruntime", "openvino", "matplotlib", "safetensors", "pydantic"}
    assert not heavy & {name.partition(".")[0] for name in loaded}


# -- what is refused --------------------------------------------------------------------------------------------------


def run_with_wrong(monkeypatch: pytest.MonkeyPatch, only: str) -> dict[str, Any]:
    run = Engine.run

    def wrong(self: Engine, clips: Any, *arguments: Any, **options: Any) -> Any:
        result = run(self, clips, *arguments, **options)
        if self.description.config.escalates:
            result.logits[:] += 1e-3 * np.arange(result.logits.shape[1])
        return result

    monkeypatch.setattr(Engine, "run", wrong)
    return measure(Settings(batches=(1,), seconds=0.1, only=("clips", only, "branch-S-1")), Silent())


def test_a_contender_that_is_wrong_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    report = run_with_wrong(monkeypatch, "shrec14@0")
    rows = {row["name"]: row for row in report["contenders"]}
    assert rows["shrec14@0"]["status"] == "wrong"
    said = r"expected logits within 1e-05 of the reference's norm, found them .* off"
    assert re.search(said, rows["shrec14@0"]["reason"])
    assert rows["branch-S-1"]["status"] == "right"
    assert list(report["groups"]["clips-1"]["sides"]) == ["branch-S-1"]
    assert "Refused and not timed: shrec14, effort 0" in to_html(report)


def test_not_a_number_and_a_failure_are_wrong(tmp_path: Path) -> None:
    settings = Settings(only=("dense",))
    clips = animated_hands(4)
    (dense,), _ = clip_contenders(Field(settings, clips, tmp_path), split_models([])[0])
    assert dense.check(clips.arrays) < 1e-5
    spoilt = replace(dense, make=lambda _: lambda batch: np.full((len(batch), 14), np.nan))
    with pytest.raises(BenchError, match="expected logits within"):
        spoilt.check(clips.arrays)

    def fails(_: int) -> Any:
        raise RuntimeError("no such kernel\nand more")

    with pytest.raises(BenchError, match=r"it failed: RuntimeError: no such kernel$"):
        replace(dense, make=fails).check(clips.arrays)
    with pytest.raises(BenchError, match=r"expected logits of shape \(4, 14\), found \(4, 3\)"):
        replace(dense, make=lambda _: lambda batch: np.zeros((len(batch), 3))).check(clips.arrays)


def test_a_recogniser_that_is_wrong_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    push = Recogniser.push

    def wrong(self: Recogniser, *arguments: Any, **options: Any) -> Any:
        output = push(self, *arguments, **options)
        for result in output.results:
            if self.mode == "exact" and result.probabilities is not None:
                result.probabilities[0] += 0.01
        return output

    monkeypatch.setattr(Recogniser, "push", wrong)
    report = measure(Settings(seconds=0.1, only=("streams", "stream-*")), Silent())
    status = {row["name"]: row["status"] for row in report["contenders"]}
    assert status["stream-shrec21-exact"] == "wrong"
    right = {"stream-shrec21-continual", "stream-shrec21-continual-bf16", "stream-shrec21-continual-10"}
    assert set(report["groups"]["streams"]["sides"]) == right


def test_names_that_nobody_has_are_refused() -> None:
    with pytest.raises(BenchError, match=r"--only: expected one of clips, .*shrec14@0\.1.*, found 'shrec15'"):
        measure(Settings(only=("shrec15",)), Silent())
    for text in ("fast", "0Hz", "-5", "20000Hz", "nan"):
        with pytest.raises(BenchError, match="--loop: expected a rate from 1Hz to 10000Hz, found"):
            parse_rate(text)
    assert parse_rate("100Hz") == parse_rate("100 hz") == parse_rate("100") == 100


# -- a GPU ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_on_a_gpu_our_sides_have_both_precisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """With engines of the CPU in their place: what is told apart, left out and said."""
    load = adasgn_edge.load
    asked = []

    def on_gpu(path: Path, device: str, *, max_batch: int, precision: str) -> Engine:
        asked.append((device, precision))
        return load(path, max_batch=max_batch)

    monkeypatch.setattr(adasgn_edge, "load", on_gpu)
    only = ("clips", "shrec14@0*", "shrec14@1*", "branch-S-1 f16")
    report = measure(Settings(device="cuda:1", batches=(1,), seconds=0.1, only=only), Silent())
    sides = report["groups"]["clips-1"]["sides"]
    names = [f"shrec14@{effort} {precision}" for effort in ("0", "0.1", "0.5", "1") for precision in ("f16", "f32")]
    assert list(sides) == ["branch-S-1 f16", *names]
    assert set(asked) == {("cuda:1", "f16"), ("cuda:1", "f32")}
    assert all(side["of_limit"] is None for side in sides.values())
    assert "of a GPU" in report["limit"]["reason"]
    assert len(report["frontier"]) == 2 * len(split_models([])[0][0][1].effort.points)
    absent = {row["name"]: row["reason"] for row in report["contenders"] if row["status"] == "absent"}
    missing = next((name for name in ("torch", "openvino") if importlib.util.find_spec(name) is None), None)
    assert absent["openvino"] == (f"needs {missing}, which is not installed" if missing else "runs on CPUs")
    assert "limit: of a GPU" in to_html(report)


@pytest.mark.slow
def test_on_a_gpu_streams_are_timed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise, with recognisers of the CPU."""
    asked = []

    def on_gpu(path: Path, *, device: str, precision: str, max_tracks: int, **options: float) -> Recogniser:
        asked.append((device, precision, max_tracks))
        return Recogniser(path, max_tracks=max_tracks, **options)

    load = adasgn_edge.load
    monkeypatch.setattr("adasgn_edge.bench.streams.Recogniser", on_gpu)
    monkeypatch.setattr(adasgn_edge, "load", lambda path, device, max_batch, precision: load(path, max_batch=max_batch))
    report = measure(Settings(device="cuda", seconds=0.1, only=("streams", "stream-*")), Silent())
    name = "stream-shrec21-continual"
    expected = [f"{name} f16", f"{name} f32", f"{name}-10 f16", f"{name}-100 f16"]
    assert list(report["groups"]["streams"]["sides"]) == expected
    assert set(asked) == {("cuda", "f16", 1), ("cuda", "f32", 1), ("cuda", "f16", 10), ("cuda", "f16", 100)}
    assert report["groups"]["streams"]["sides"][expected[-1]]["bodies"] == 100


# -- interruption -----------------------------------------------------------------------------------------------------


def test_what_was_measured_is_kept() -> None:
    only = ("clips", "streams", "shrec14@0", "branch-S-1", "stream-*")
    report = measure(replace(SMALL, only=only), Silent("2 clips"))
    assert not report["complete"]
    assert len(report["groups"]["clips-1"]["sides"]) == 2
    assert report["groups"]["clips-2"]["rounds"] == 1  # the round that it was at
    assert "streams" not in report["groups"]
    assert report["loop"] is None
    assert "It was interrupted" in to_html(report)


def test_starts_that_were_made_count(tmp_path: Path) -> None:
    np.save(tmp_path / "clips.npy", animated_hands(2).arrays)
    spec = {"kind": "ours", "file": str(adasgn_edge.shipped_model()), "device": "cpu", "threads": 1, "effort": 0.5}
    left = iter([True, False])
    found = measure_fresh({**spec, "clips": str(tmp_path / "clips.npy")}, starts=3, go_on=lambda: next(left))
    assert found.cold_start["runs"] == 1
    assert found.memory["growth"] is None  # only the last start goes on to look
    assert found.memory["peak"] > found.memory["imported"]
    with pytest.raises(BenchError, match=r"expected it to work, found exit status 1: .*No such file"):
        measure_fresh({**spec, "clips": str(tmp_path / "none.npy")}, starts=1)


# -- the page ---------------------------------------------------------------------------------------------------------


class Links(HTMLParser):
    """Collects what a browser would load, and tags that are not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loads += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href", "xlink:href", "data", "srcset")]
        if tag not in ("meta", "line", "path", "circle", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_loads_nothing(report: dict[str, Any]) -> None:
    spoken = copy.deepcopy(report)
    evil = "<script>alert(1)</script>"
    spoken["command"] = f'adasgn-edge bench --model "{evil}.adasgn"'
    spoken["machine"] |= {"processor": evil, "clocks": evil, "versions": {evil: evil}}
    spoken["settings"]["clips"] = evil
    for row in spoken["contenders"]:
        row["title"] = evil
    for row in spoken["frontier"]:
        row |= {"label": evil, "source": evil}
    page = to_html(spoken)
    links = Links()
    links.feed(page)
    assert links.loads == []
    assert links.open == []
    assert not links.tags & {"script", "link", "iframe", "img", "object"}
    assert not re.search(r"https?:|url\(|@import", page)
    assert "prefers-color-scheme: dark" in page
    assert page.count("<svg") == 5  # three groups, the frontier, the loop
    assert "MODE_30W" in page
    assert "nan" not in re.sub(r"<title>.*?</title>", "", page).lower().replace("nano", "")


def test_every_side_is_drawn_and_tabled(report: dict[str, Any]) -> None:
    page = to_html(report)
    for group in report["groups"].values():
        for name in group["sides"]:
            title = next(row["title"] for row in report["contenders"] if row["name"] == name)
            assert page.count(title) >= 3


# -- comparison -------------------------------------------------------------------------------------------------------


def slowed(report: dict[str, Any], name: str, factor: float) -> dict[str, Any]:
    other = copy.deepcopy(report)
    for group in other["groups"].values():
        side = group["sides"].get(name)
        if side is not None:
            for key in ("mean", "min", "p50", "max"):
                side[key] *= factor
            side["rounds"] = {key: [factor * value for value in values] for key, values in side["rounds"].items()}
    return other


def test_a_report_beside_itself_and_beside_a_slower_one(report: dict[str, Any]) -> None:
    same = compare(report, report)
    assert same["differences"] == []
    rows = [row for group in same["groups"].values() for row in group]
    assert all(row["ratio"] == 1 and row["slower"] is None for row in rows)
    slower = compare(report, slowed(report, "dense", 20.0))
    found = {row["name"]: row for row in slower["groups"]["clips-1"]}
    assert found["dense"]["ratio"] == pytest.approx(20.0)
    assert found["dense"]["slower"] is True
    assert found["branch-S-1"]["slower"] is None
    assert compare(slowed(report, "dense", 20.0), report)["groups"]["clips-1"][0]["slower"] is False


def test_other_machines_and_settings_are_refused_unless_asked_for(report: dict[str, Any]) -> None:
    other = copy.deepcopy(report)
    other["machine"]["processor"] = "Cortex-A78AE"
    other["machine"]["board"]["start"]["power_mode"] = {"id": 0, "name": "MAXN"}
    other["settings"]["threads"] = 4
    other["machine"]["versions"]["numpy"] = "1.23.0"
    said = r"one machine and the same settings, found processor .* and Cortex-A78AE.*threads 1 and 4.*--anyway"
    with pytest.raises(BenchError, match=said):
        compare(report, other)
    found = compare(report, other, anyway=True)
    different = {row["what"]: row["decisive"] for row in found["differences"]}
    assert different == {"processor": True, "threads": True, "board power mode": True, "version of numpy": False}
    versions = copy.deepcopy(report)
    versions["machine"]["versions"]["numpy"] = "1.23.0"
    assert [row["what"] for row in differences(report, versions)] == ["version of numpy"]
    compare(report, versions)  # what comparing is for


def test_reports_without_a_contender_in_common(report: dict[str, Any]) -> None:
    with pytest.raises(BenchError, match="a contender in common, found none"):
        compare(report, {**report, "groups": {}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected a file of `adasgn-edge bench --json`"),
        ("[]", "expected the format 'adasgn_edge.bench.1', found None"),
        ('{"format": "adasgn_edge.speed.2"}', "found 'adasgn_edge.speed.2'"),
        ('{"format": "adasgn_edge.bench.1"}', "found command, date, .* missing"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(BenchError, match=message):
        read_report(path)


def test_the_policy_takes_branches_as_often_as_a_trained_one(tmp_path: Path) -> None:
    settings = Settings(only=("policy",))
    clips = animated_hands(60)
    (policy,), _ = clip_contenders(Field(settings, clips, tmp_path), split_models([])[0])
    actions, _ = policy.truth.decide(clips.arrays)
    shares = np.bincount(actions.ravel(), minlength=6) / actions.size
    np.testing.assert_allclose(shares, POLICY_SHARES, atol=0.05)
