"""The CUDA engine's speed on this machine's GPU: ``python -m bench.gpu [MODEL.adasgn]``; see docs/benchmarks.md."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from adasgn_edge.bench.clips import default_clips, recorded
from adasgn_edge.bench.machine import versions
from adasgn_edge.bench.parity import TOLERANCE
from adasgn_edge.bench.torch_reference import load_reference
from adasgn_edge.deploy.model_file import read_model_file
from adasgn_edge.errors import AdaSGNError
from adasgn_edge.files import write_text
from adasgn_edge.model.adasgn import SGN
from adasgn_edge.model.weights import load_weights
from bench.gpu.aims import find_aims
from bench.gpu.machine import ceilings, commit, devices, facts
from bench.gpu.measure import Plan, measure
from bench.gpu.measured import HALF_TOLERANCE, Measured, ValidationError, load_measured
from bench.gpu.page import to_markdown
from bench.gpu.peers import Peers
from bench.gpu.tensorrt_sides import TensorRTSides
from bench.models import DENSE_HANDS

__all__ = ["make_report"]

FORMAT = "adasgn_edge.gpu_speed.2"
ROOT = Path(__file__).parents[2]
QUICK = Plan(batches=(1, 4), repeats=3, calls=2, seconds=1.0, schedules=False, checked=8)
QUICK_CLIPS = 16


POLICY_HANDS = DENSE_HANDS.parents[1] / "adasgn-a1" / "model.safetensors"
"""AdaSGN with a policy, for hands."""


def make_report(
    models: Mapping[str, Measured],
    plan: Plan,
    peers: Peers | None,
    missing: Mapping[str, str],
    command: str,
    keep: Callable[[dict[str, Any]], None] = lambda report: None,
) -> dict[str, Any]:
    """Measure, and say everything as plain values. missing: what is left out besides, and why; keep: is given the
    report of what there is after each batch size."""
    gpu = facts()
    report: dict[str, Any] = {
        "format": FORMAT,
        "command": command,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        **commit(ROOT),
        "gpu": gpu,
        "versions": versions(),
        "clips": next(iter(models.values())).expected.clips.source,
        "models": {name: model.source for name, model in models.items()},
        "action_shares": {name: model.shares() for name, model in models.items() if name != "dense"},
        "ceilings": ceilings(gpu),
        "tolerances": {
            "f32": TOLERANCE,
            "f16": {name: model.half_tolerance for name, model in models.items()},
            "others": HALF_TOLERANCE,
        },
        "quick": plan == QUICK,
        "groups": [],
    }
    for group in measure(models, plan, peers.of if peers is not None else None):
        report["groups"] = sorted([*report["groups"], group], key=lambda one: one["batch"])
        report["aims"] = find_aims(report["groups"], gpu)
        report["missing"] = {**missing, **(peers.missing if peers is not None else {})}
        for one in report["groups"]:
            report["missing"].update(one["left_out"])
        report["nvidia_smi"] = {"before": gpu["nvidia_smi"], "after": facts()["nvidia_smi"]}
        keep(report)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument(
        "model",
        type=Path,
        nargs="?",
        help="AdaSGN, .adasgn or weights  [default: with a policy, that of bench/results, and the shipped one, which "
        "escalates]",
    )
    parser.add_argument(
        "--dense", type=Path, help="dense SGN beside it, .adasgn or weights  [default: for hands that of bench/results]"
    )
    parser.add_argument("--data", help="a data set's name or path  [default: SHREC'17's test clips, or animated hands]")
    parser.add_argument("--quick", action="store_true", help="a few runs: shows that it works")
    parser.add_argument("--limit", type=float, default=float("inf"), help="seconds; no compiling after these")
    parser.add_argument("--out", type=Path, help="folder for gpu.json and gpu.md  [default: bench/results/gpu]")
    options = parser.parse_args()
    deadline = time.monotonic() + options.limit
    out = options.out or (None if options.quick else ROOT / "bench" / "results" / "gpu")

    def keep(report: dict[str, Any]) -> None:
        if out:
            write_text(out / "gpu.json", json.dumps(report, indent=1) + "\n")
            write_text(out / "gpu.md", to_markdown(report))

    try:
        devices()
        report = _report(options, deadline, keep)
    except (AdaSGNError, ValidationError) as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, AdaSGNError) else 1
    print(to_markdown(report))
    return 0


def _report(options: argparse.Namespace, deadline: float, keep: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="adasgn-bench-") as name:
        folder = Path(name)
        given = options.model or POLICY_HANDS
        path, _ = load_reference(given, None, folder)
        file = read_model_file(path)
        config = file.folded.config
        clips = (
            recorded(options.data, config.frames, file.stream)
            if options.data
            else default_clips(file.layout, len(file.class_names), config.frames, file.stream)
        )
        if options.quick:
            clips = dataclasses.replace(clips, arrays=clips.arrays[:QUICK_CLIPS], labels=None)
        kind = "escalating" if config.escalates else "adasgn"
        models = {kind: load_measured(kind, given, clips, folder)}
        if options.model is None:
            models["escalating"] = load_measured("escalating", None, clips, folder)
        dense = options.dense
        if dense is None and file.layout.name == "shrec22" and config.frames == 20 and DENSE_HANDS.exists():
            dense = DENSE_HANDS
        peers = None
        if dense is None:
            missing["dense SGN"] = "none was named (--dense)"
        else:
            models["dense"] = load_measured("dense", dense, clips, folder)
        if dense is not None and dense.suffix != ".adasgn":
            model = load_weights(dense).model
            assert isinstance(model, SGN)
            sides = TensorRTSides(model, {name: one.path for name, one in models.items()}, folder)
            peers = Peers(model, folder, deadline, sides.makers())
        else:
            missing["other runtimes"] = "the weights of dense SGN are not at hand"
        command = shlex.join(["python", "-m", "bench.gpu", *sys.argv[1:]])
        return make_report(models, QUICK if options.quick else Plan(), peers, missing, command, keep)


if __name__ == "__main__":
    sys.exit(main())
