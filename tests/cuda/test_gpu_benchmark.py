"""The benchmark of a GPU on the emulated device: that it measures, validates, judges and reports. Its times are the
host's and mean nothing."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import adasgn_edge  # noqa: E402
from adasgn_edge.bench.clips import animated_hands  # noqa: E402
from adasgn_edge.bench.conv2d_sgn import Conv2dSGN  # noqa: E402
from adasgn_edge.bench.parity import MARGIN  # noqa: E402
from adasgn_edge.errors import ClipError  # noqa: E402
from adasgn_edge.model.weights import load_weights  # noqa: E402
from bench.gpu import __main__ as command  # noqa: E402
from bench.gpu.__main__ import POLICY_HANDS, make_report  # noqa: E402
from bench.gpu.measure import SCHEDULES, Plan, measure  # noqa: E402
from bench.gpu.measured import ValidationError, load_measured  # noqa: E402
from bench.gpu.page import to_markdown  # noqa: E402
from bench.gpu.peers import Peer, Peers, _Halved  # noqa: E402
from bench.models import DENSE_HANDS  # noqa: E402

PLAN = Plan(batches=(1, 2), precisions=("f16",), repeats=2, calls=1, seconds=0.0)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """AdaSGN with a policy, the shipped model, which escalates, and dense SGN on the same two clips."""
    folder, clips = tmp_path_factory.mktemp("measured"), animated_hands(2)
    models = {"adasgn": POLICY_HANDS, "escalating": None, "dense": DENSE_HANDS}
    return {name: load_measured(name, given, clips, folder) for name, given in models.items()}


def test_report(emulated, measured, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setitem(SCHEDULES, "f16", ((True, 32, 32, False), (False, 128, 128, False)))  # the emulator is slow
    peers = Peers(load_weights(DENSE_HANDS).model, tmp_path, deadline=float("inf"))
    kept = []
    report = make_report(
        measured, PLAN, peers, {"something": "a reason"}, "a command", lambda report: kept.append(len(report["groups"]))
    )
    assert kept == [1, 2]
    assert emulated.findings() == []
    assert [group["batch"] for group in report["groups"]] == [1, 2]
    for group in report["groups"]:
        sides = {"adasgn f16", "escalating f16", "dense f16"}
        assert set(group["whole"]) == set(group["device"]) == set(group["idle"]) == set(group["work"]) == sides
        assert all(group[way][side]["runs"] == 2 for way in ("device", "idle") for side in sides)
        assert all(group[way][side]["median"] > 0 for way in ("whole", "device", "idle") for side in sides)
        assert all(0 < error < 0.02 for error in group["logit_errors"].values())
        for side in sides:
            assert len(group["schedules"][side]) == 2
            assert all(times["runs"] == 2 for times in group["schedules"][side].values())
        assert group["work"]["dense f16"]["macs"] > group["work"]["adasgn f16"]["macs"] > 0
    ours, theirs = (report["groups"][0]["device"][f"{name} f16"]["median"] for name in ("adasgn", "dense"))
    never_slower = [aim for aim in report["aims"] if "never slower" in aim["aim"]]
    assert never_slower[0]["found"] == theirs / ours
    assert never_slower[0]["met"] is (theirs >= ours)
    assert len(never_slower) == 8
    assert never_slower[1]["ours"] == "escalating f16"
    means = [report["groups"][0]["device"][f"{name} f16"] for name in ("dense", "escalating")]
    assert never_slower[1]["found"] == means[0]["median"] / means[1]["mean"]
    on_an_h100 = [aim for aim in report["aims"] if "H100" in aim["aim"]]
    assert [aim["met"] for aim in on_an_h100] == [None] * 6  # which the emulated device is not
    assert list(report["action_shares"]) == ["adasgn", "escalating"]
    assert all(aim["found"] > 0 for aim in on_an_h100)
    assert "has no CUDA device" in report["missing"]["eager, batch 1"]
    json.dumps(report)
    page = to_markdown(report)
    for part in (
        "emulated Orin",
        "branches that clips end at (escalating): P-22 ",
        "not compared: something: a reason",
        "tiles of 128 rows, temporal 128",
        "a command",
    ):
        assert part in page


def test_other_runtimes_are_validated_and_timed(emulated, measured):
    plan = replace(PLAN, batches=(2,), schedules=False)
    call = half_on_the_host(load_weights(DENSE_HANDS).model)
    peer = Peer("eager", call, lambda batches, repeats, wait: [1.0] * repeats)
    (group,) = list(measure(measured, plan, lambda batch: iter([peer])))
    assert group["device"]["eager"]["median"] == pytest.approx(1e-6)
    assert group["whole"]["eager"]["median"] > 0
    assert 0 < group["logit_errors"]["eager"] < 0.02
    wrong = replace(peer, call=lambda clips: 1.1 * call(clips))
    (group,) = list(measure(measured, plan, lambda batch: iter([wrong])))
    assert "eager: expected logits within" in group["left_out"]["eager, batch 2"]
    assert all("eager" not in group[way] for way in ("whole", "device", "idle"))
    spoilt = {**measured, "dense": replace(measured["dense"], half_tolerance=1e-6)}
    with pytest.raises(ValidationError, match=r"dense f16: expected logits within 1\.0e-06 of the reference"):
        list(measure(spoilt, plan))


def test_binary16_may_decide_otherwise_where_a_clip_is_about_as_sure_as_the_threshold(measured):
    model = measured["escalating"]
    assert 1e-5 < model.half_margin < 0.05
    assert measured["adasgn"].half_margin == MARGIN  # a policy is float in both precisions
    close = replace(model.expected, margin=np.full_like(model.expected.margin, 2 * MARGIN))
    unsure = replace(model, expected=close, half_margin=3 * MARGIN)
    wrong, rows = 1.5 * model.expected.logits, np.arange(2)
    assert unsure.validate("a side", wrong, rows, unsure.tolerance("f16")) == 0
    with pytest.raises(ValidationError, match="a side: expected logits within"):
        unsure.validate("a side", wrong, rows, unsure.tolerance("f32"))
    assert sum(model.shares().values()) == pytest.approx(1)


def half_on_the_host(dense):
    """Dense SGN in binary16 as the other runtimes have it, by PyTorch on the CPU."""
    module = _Halved(Conv2dSGN(copy.deepcopy(dense).float()))

    def call(clips):
        with torch.inference_mode():
            return module(torch.from_numpy(clips)).numpy()

    return call


def test_command(emulated, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(command, "QUICK", replace(PLAN, batches=(1,), repeats=1, schedules=False))
    monkeypatch.setattr(command, "default_clips", lambda *_: animated_hands(2))
    monkeypatch.setattr("sys.argv", ["bench.gpu", "--quick", "--out", str(tmp_path)])
    assert command.main() == 0
    page = capsys.readouterr().out
    assert "a quick run" in page
    assert (tmp_path / "gpu.md").read_text().strip() == page.strip()
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert report["format"] == "adasgn_edge.gpu_speed.2"
    assert report["command"] == f"python -m bench.gpu --quick --out {tmp_path}"
    names = ("eager", "compile", "onnxruntime", "tensorrt-dense-f16", "tensorrt-dense-f32", "tensorrt-adasgn")
    assert list(report["missing"]) == [f"{peer}, batch 1" for peer in names]


@pytest.mark.parametrize(
    ("native", "message"),
    [
        (SimpleNamespace(), "no CUDA device: this installation has no CUDA part: "),
        (SimpleNamespace(load_cuda=None, cuda_devices=list), "no CUDA device: the driver shows no GPU"),
    ],
)
def test_no_gpu_is_a_clear_error(native, message, monkeypatch, capsys):
    built = SimpleNamespace(cuda=SimpleNamespace(reason="a reason", remedy="a remedy"))
    monkeypatch.setattr("bench.gpu.machine.read_build", lambda: built)
    monkeypatch.setattr("adasgn_edge.engine._native", lambda: native)
    monkeypatch.setattr("sys.argv", ["bench.gpu"])
    assert command.main() == 2
    assert message in capsys.readouterr().err


def test_fewer_repeats_of_large_batches():
    assert [Plan().repeats_of(size) for size in (1, 8, 64, 1024)] == [1000, 1000, 125, 100]
    assert PLAN.repeats_of(1024) == 2


def test_times_of_runs_on_the_device(emulated, measured):
    clips = measured["adasgn"].expected.clips.arrays
    engine = adasgn_edge.load(measured["adasgn"].path, "cuda", max_batch=2, precision="f32")
    truth = engine.run(clips).logits
    batches = clips[:, None, None]  # two batches of one clip
    for repeats, last in ((1, 0), (2, 1), (3, 0)):
        for wait in (False, True):
            microseconds, logits = engine._native.time_graph(batches, repeats, wait)
            assert microseconds.shape == (repeats,)
            assert (microseconds > 0).all()
            np.testing.assert_allclose(logits[0], truth[last], rtol=1e-4)
    broken = batches.copy()
    broken[1, 0, 0, 3, 2, 1] = np.nan
    with pytest.raises(ClipError, match=r"clip 1: .*found nan at frame 3, joint 2, coordinate 1"):
        engine._native.time_graph(broken, 2, False)
    with pytest.raises(ClipError, match="repeats"):
        engine._native.time_graph(batches, 0, False)
    with pytest.raises(ClipError, match="clips of a timed run"):
        engine._native.time_graph(batches[:, :0], 1, False)
    np.testing.assert_array_equal(engine.run(clips).logits, truth)
