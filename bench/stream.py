"""What a step of the recogniser costs beside dense SGN on a whole clip: ``python -m bench.stream``.

Sides take turns on one thread. The recogniser gets a real continuous recording, resampled to its own grid so that each
push completes one step, and is timed from Python, arrays in and results out; the others run dense SGN on one clip, once
for each such step, as a sliding window would have them do. Dense SGN's branch in the recogniser has weights that have
learnt nothing: its time does not depend on them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import adasgn_edge
from adasgn_edge.bench.interleave import Pace, Side, interleave
from adasgn_edge.bench.machine import cores, frequency, load_average, versions
from adasgn_edge.bench.peers import Peers
from adasgn_edge.bench.runtimes import GRAPHS, installed
from adasgn_edge.data.degrade import Degradation, degrade
from adasgn_edge.data.online import OnlineDataset
from adasgn_edge.data.registry import open_online_dataset
from adasgn_edge.deploy.export import to_model_file
from adasgn_edge.deploy.model_file import ModelFile, read_model_file, shipped_model, write_model_file
from adasgn_edge.files import check_output, write_text
from adasgn_edge.model.adasgn import build_model
from adasgn_edge.model.config import ModelConfig
from adasgn_edge.model.weights import TrainedModel, load_weights
from bench.markdown import table

ROOT = Path(__file__).parents[1]
DENSE = ROOT / "bench/results/shrec14-joint/seed-1/sgn/model.safetensors"
TRACKS = 100


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.stream", description=__doc__)
    parser.add_argument("--model", type=Path, default=None, help="a causal model file  [default: the shipped one]")
    parser.add_argument("--root", type=Path, default=None, help="folder of the data sets  [default: $ADASGN_DATA]")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the sides take turns")
    parser.add_argument("--tracks", type=int, default=TRACKS, help="how many step together in the last part")
    parser.add_argument("--json", type=Path, default=None, help="also write the figures here")
    options = parser.parse_args()
    if options.json is not None:
        check_output(options.json, option="--json")
    torch.set_num_threads(1)
    model = read_model_file(options.model or shipped_model("stream"))
    dataset = open_online_dataset("shrec21", options.root)
    steps = on_grid(dataset, int(dataset.indices("train")[0]), model)
    load = load_average()
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "stream.adasgn"
        write_model_file(own, model)
        one = measured(one_track(own, model, steps, Path(folder)), options.seconds)
        many = measured(many_tracks(own, model, steps, options.tracks), options.seconds / 2)
    result = {
        "command": "python -m bench.stream",
        "processor": platform.processor() or platform.machine(),
        "cores": cores(),
        "clocks": frequency(),
        "load_average": load,
        "versions": versions(),
        "instruction_set": adasgn_edge.load(shipped_model()).instruction_set,
        "branches": model.config.branch_names,
        "receptive_field": model.config.clip_frames,
        "step_seconds": 1e-9 * recognition(model).step,
        "one_track": one,
        "tracks": options.tracks,
        "many_tracks": many,
    }
    print(to_markdown(result))
    if options.json is not None:
        write_text(options.json, json.dumps(result, indent=1) + "\n")
    return 0


def recognition(model: ModelFile) -> Any:
    """The grid and thresholds, which every causal model has."""
    if model.recognition is None:
        sys.exit("expected a causal model, found one for clips")
    return model.recognition


def on_grid(dataset: OnlineDataset, sequence: int, model: ModelFile) -> NDArray[np.float32]:
    """A recording (steps, V, 3), a frame for each step of the model's grid."""
    every_step = Degradation(rate=1e9 / recognition(model).step)
    return degrade(dataset.frames(sequence), dataset.stamps(sequence), dataset.rate, every_step, 0)[1]


def pushes(
    path: Path,
    model: ModelFile,
    steps: NDArray[np.float32],
    mode: str,
    tracks: int = 1,
    together: bool = True,
    weights: str = "f32",
) -> Callable[[int], None]:
    """A call that gives every track one more frame, all in one push or each in a push of its own."""
    recogniser = adasgn_edge.Recogniser(path, mode=mode, max_tracks=tracks, weights=weights)
    numbers = itertools.count()

    def call(_: int) -> None:
        number = next(numbers)
        bodies = {track: steps[(number + 7 * track) % len(steps)] for track in range(tracks)}
        for inputs in [bodies] if together else [{track: joints} for track, joints in bodies.items()]:
            recogniser.push(number * recognition(model).step, inputs)

    for _ in range(model.config.clip_frames + 1):
        call(0)
    assert all(recogniser.ready(track) for track in range(tracks))
    return call


def one_track(path: Path, model: ModelFile, steps: NDArray[np.float32], folder: Path) -> list[Side]:
    """The recogniser in both modes, dense SGN through it, and dense SGN on clips in our engine and others."""
    trained = load_weights(DENSE)
    dense, other = folder / "dense.adasgn", dense_stream(model)
    write_model_file(dense, to_model_file(trained))
    write_model_file(folder / "dense-stream.adasgn", other)
    frames = trained.model.config.frames
    clips = windows(steps, frames)
    engine = adasgn_edge.load(dense)
    sides = [
        Side("recogniser, continual", pushes(path, model, steps, "continual")),
        Side("recogniser, continual, weights in bf16", pushes(path, model, steps, "continual", weights="bf16")),
        Side("recogniser, exact", pushes(path, model, steps, "exact")),
        Side(
            "recogniser, dense SGN's branch, continual",
            pushes(folder / "dense-stream.adasgn", other, steps, "continual"),
        ),
        Side("dense SGN on a clip, our engine", lambda i: engine.run(clips[i % len(clips)][None])),
    ]
    if "openvino" in installed():
        for on, peer, inputs in (
            ("a clip", trained.model, clips),
            ("the window", untrained(trained, model.config.clip_frames), windows(steps, model.config.clip_frames)),
        ):
            (folder / on).mkdir()
            peers = Peers(peer, folder / on)  # type: ignore[arg-type]
            for graph in GRAPHS:
                run = peers.call("openvino", graph, 1, 1)
                name = f"dense SGN on {on}, OpenVINO, {graph}"
                sides.append(Side(name, lambda i, run=run, inputs=inputs: run(inputs[i % len(inputs)])))
    return sides


def windows(steps: NDArray[np.float32], frames: int) -> list[NDArray[np.float32]]:
    """Every run of so many steps, (1, T, V, 3)."""
    return [np.ascontiguousarray(steps[first : first + frames][None]) for first in range(len(steps) - frames)]


def untrained(trained: TrainedModel, frames: int) -> torch.nn.Module:
    """Dense SGN of the same shape for clips of so many frames."""
    torch.manual_seed(0)
    return build_model(replace(trained.model.config, frames=frames), trained.layout).eval()


def many_tracks(path: Path, model: ModelFile, steps: NDArray[np.float32], tracks: int) -> list[Side]:
    """So many tracks in one push, or in a push each."""
    return [
        Side("all in one push", pushes(path, model, steps, "continual", tracks)),
        Side("all in one push, weights in bf16", pushes(path, model, steps, "continual", tracks, weights="bf16")),
        Side("each in a push of its own", pushes(path, model, steps, "continual", tracks, together=False)),
    ]


def dense_stream(model: ModelFile) -> ModelFile:
    """The same temporal module, grid and thresholds on dense SGN's branch, with weights that have learnt nothing."""
    config = model.config
    torch.manual_seed(0)
    dense = ModelConfig.dense(config.joints, config.classes, config.frames, config.causal)
    trained = TrainedModel(build_model(dense, model.layout).eval(), model.layout, "joint", model.class_names)
    trained.recognition = model.recognition
    return to_model_file(trained)


def measured(sides: list[Side], seconds: float) -> dict[str, dict[str, float]]:
    """Microseconds of a call of each side."""
    found = interleave(sides, Pace(calls=20, untimed=2, seconds=seconds))
    return {
        name: {
            "calls": len(times),
            **{f"p{share}": round(1e6 * float(np.percentile(times, share)), 2) for share in (5, 50, 95, 99)},
        }
        for name, times in found.items()
    }


def to_markdown(result: dict[str, Any]) -> str:
    """Both tables."""
    one, many = result["one_track"], result["many_tracks"]
    others = [row["p50"] for name, row in one.items() if "on a clip, OpenVINO" in name]
    header = ["one track, one thread", "µs, median", "p5", "p95", "p99"]
    if others:
        header.append("of OpenVINO's faster on a clip")
    rows = []
    for name, row in one.items():
        cells = [name, *(f"{row[share]:.1f}" for share in ("p50", "p5", "p95", "p99"))]
        rows.append([*cells, f"{row['p50'] / min(others):.4f}"] if others else cells)
    first = table(header, rows)
    count = result["tracks"]
    per_track = [
        [name, f"{row['p50']:.1f}", f"{row['p50'] / count:.2f}", f"{row['p95']:.1f}"] for name, row in many.items()
    ]
    second = table([f"{count} tracks", "µs, median", "µs a track", "p95"], per_track)
    apart, together = many["each in a push of its own"]["p50"], many["all in one push"]["p50"]
    about = (
        f"{', '.join(result['branches'])}, a step of {1e3 * result['step_seconds']:g} ms, {result['instruction_set']}, "
        f"load average {result['load_average'][0]}, clocks {result['clocks']}"
    )
    return f"{about}\n\n{first}\n{second}\nTogether a track is {apart / together:.1f} times cheaper.\n"


if __name__ == "__main__":
    sys.exit(main())
