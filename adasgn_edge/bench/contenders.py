"""What is timed: every contender as a call from clips to logits, shown to be right before it is timed."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import adasgn_edge
from adasgn_edge.bench.clips import Clips
from adasgn_edge.bench.random_models import POLICY_SHARES, random_file, with_shares
from adasgn_edge.bench.reference import MARGIN, FoldedReference, Reference
from adasgn_edge.bench.runtimes import GRAPHS, PEERS
from adasgn_edge.bench.settings import EFFORTS, Settings
from adasgn_edge.deploy.model_file import ModelFile, read_model_file, shipped_model, write_model_file
from adasgn_edge.effort import threshold_of
from adasgn_edge.engine import Engine
from adasgn_edge.errors import AdaSGNError, BenchError
from adasgn_edge.model.config import POSE, Branch, ModelConfig, branch_grid
from adasgn_edge.skeletons import SkeletonLayout

__all__ = [
    "CHECKED", "TOLERANCE", "Absent", "Call", "Contender", "Field", "clip_contenders", "logit_error", "split_models",
]  # fmt: skip

Call = Callable[[NDArray[np.float32]], NDArray[np.float32]]

TOLERANCE = {"f32": 1e-5, "f16": 0.02}
"""Most that logits may differ from the reference in float64, as a share of their norm, by arithmetic."""
CHECKED = 32
"""Clips that are compared."""
UNTRAINED = "random: its speed does not depend on them"
MADE = re.compile(r"dense|policy|branch-.*|stream-.*|(eager|compile|onnxruntime|openvino)-.*")
"""Names of what is made here, which a file's own may be, too."""
BENCH_EXTRA = "pip install 'adasgn-edge[bench]'"
RUNTIME_NAMES = {
    "eager": "PyTorch", "compile": "torch.compile", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO",
}  # fmt: skip


@dataclass(frozen=True)
class Absent:
    """What is not timed: why, and what brings it."""

    name: str
    title: str
    kind: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True)
class Contender:
    """One thing that is timed.

    kind: "framework", "dense", "policy", "branch" or "model"; file: its model, of frameworks that of dense SGN; make:
    a call for batches of a size; truth: the model in float64, with its threshold; effort: of a model that escalates;
    learnt: whether accuracies mean anything; fresh: how a process of its own makes it (adasgn_edge/bench/fresh.py).
    """

    name: str
    title: str
    kind: str
    file: ModelFile
    make: Callable[[int], Call]
    truth: Reference
    weights: str
    precision: str = "f32"
    effort: float | None = None
    learnt: bool = False
    fresh: dict[str, Any] = field(default_factory=dict)

    def check(self, clips: NDArray[np.float32]) -> float:
        """The error of logits on clips (B, T, V, C) that every engine must route alike, as a share of their norm.

        Raises BenchError for a contender that is wrong, whatever it raised itself.
        """
        actions, margin = self.truth.decide(clips)
        decided = (margin > MARGIN).all(axis=1)
        if not decided.any():
            raise BenchError(f"{self.name}: expected clips whose routing is clear, found none")
        expected = self.truth.scores(clips, actions, self.truth.features(clips, actions))
        try:
            call = self.make(1)
            found = np.concatenate([call(clip[None]) for clip in clips])
        except (AdaSGNError, RuntimeError, ValueError, TypeError, ImportError) as error:
            raise BenchError(f"it failed: {type(error).__name__}: {str(error).splitlines()[0][:200]}") from error
        if found.shape != expected.shape:
            raise BenchError(f"expected logits of shape {expected.shape}, found {found.shape}")
        off, limit = logit_error(found[decided], expected[decided]), TOLERANCE[self.precision]
        if not off <= limit:  # not-a-number too
            raise BenchError(f"expected logits within {limit:g} of the reference's norm, found them {off:.2g} off")
        return off

    def macs(self, clips: NDArray[np.float32]) -> float:
        """Multiply-adds of a clip in our engine, folded count, the mean over clips; of frameworks that of dense SGN."""
        actions, _ = self.truth.decide(clips)
        return float(np.asarray(self.file.costs["folded"])[actions].mean())


def logit_error(found: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """The largest error of a clip's logits (N, K), as a share of their norm."""
    difference = np.linalg.norm(found.astype(np.float64) - expected, axis=-1)
    return float((difference / np.linalg.norm(expected, axis=-1)).max())


def split_models(paths: Sequence[Path]) -> tuple[list[tuple[Path, ModelFile]], list[tuple[Path, ModelFile]]]:
    """Files for clips, and causal ones for streams; the shipped one where none is given of a kind.

    Raises ModelFileError for a file that is none, BenchError for files whose clips differ, or two of one name.
    """
    files = [(path, read_model_file(path)) for path in paths]
    of_clips = [(path, file) for path, file in files if file.config.causal is None]
    of_streams = [(path, file) for path, file in files if file.config.causal is not None]
    of_clips = of_clips or [(shipped_model(), read_model_file(shipped_model()))]
    of_streams = of_streams or [(shipped_model("stream"), read_model_file(shipped_model("stream")))]
    shapes = {(file.layout.joints, file.config.frames, file.stream) for _, file in of_clips}
    if len(shapes) > 1:
        raise BenchError("--model: expected models of the same joints, frames and stream, found others")
    for names in ([path.stem for path, _ in of_clips], [path.stem for path, _ in of_streams]):
        if len(set(names)) < len(names):
            raise BenchError(f"--model: expected files of different names, found {', '.join(names)}")
    return of_clips, of_streams


@dataclass(frozen=True)
class Field:
    """What contenders share. clips: inputs; folder: for files that are made; names: of all that there could be."""

    settings: Settings
    clips: Clips
    folder: Path
    names: list[str] = field(default_factory=list)

    def wants(self, name: str) -> bool:
        """Note a contender that there could be; whether it is to be made."""
        named = [f"{name} {precision}" for precision in self.precisions] if self.on_gpu else [name]
        self.names.extend(named)
        return any(map(self.settings.wants, named))

    @property
    def on_gpu(self) -> bool:
        """Whether our sides run on a GPU."""
        return self.settings.device != "cpu"

    @property
    def precisions(self) -> tuple[str, ...]:
        """Of our sides."""
        return ("f16", "f32") if self.on_gpu else ("f32",)

    def load(self, path: Path, batch: int, precision: str) -> Engine:
        """A model file as it is timed."""
        if self.on_gpu:
            return adasgn_edge.load(path, self.settings.device, max_batch=batch, precision=precision)
        return adasgn_edge.load(path, max_batch=batch, threads=self.settings.threads)

    def dense_name(self, runtime: str, graph: str) -> str:
        """Of dense SGN in a runtime; not of ours, whose precisions differ."""
        name = f"{runtime}-{graph}"
        self.names.append(name)
        return name

    def ours(
        self, name: str, title: str, kind: str, path: Path, file: ModelFile, weights: str, *, learnt: bool = False,
        effort: float | None = None,
    ) -> list[Contender]:  # fmt: skip
        """A model in our engine, once for each precision."""

        def maker(precision: str) -> Callable[[int], Call]:
            def make(batch: int) -> Call:
                engine = self.load(path, batch, precision)
                engine.prepare(batch)
                return lambda clips: engine.run(clips, effort=effort).logits

            return make

        return [
            Contender(
                name=f"{name} {precision}" if self.on_gpu else name,
                title=title + (f", {precision} on the GPU" if self.on_gpu else ""),
                kind=kind,
                file=file,
                make=maker(precision),
                truth=FoldedReference(file.folded, threshold_of(file.effort, effort)),
                weights=weights,
                precision=precision,
                effort=effort,
                learnt=learnt,
                fresh={"kind": "ours", "file": str(path), "device": self.settings.device, "precision": precision,
                       "threads": self.settings.threads, "effort": effort},
            )
            for precision in self.precisions
        ]  # fmt: skip


def clip_contenders(shared: Field, models: Sequence[tuple[Path, ModelFile]]) -> tuple[list[Contender], list[Absent]]:
    """All that run clips and are asked for, in the order of the table, and what is not here."""
    first = models[0][1]
    layout, classes, frames = first.layout, first.class_names, first.config.frames
    found, absent = _dense(shared, layout, classes, frames, first.stream)
    found += _branches_and_policy(shared, layout, classes, frames, first.stream)
    for path, file in models:
        found += _dial(shared, path, file)
    return [one for one in found if shared.settings.wants(one.name)], absent


def _dial(shared: Field, path: Path, file: ModelFile) -> list[Contender]:
    """A model that was given or ships, at several efforts where it has them."""
    weights = f"of {path.name}"
    own_name = path.name if MADE.fullmatch(path.stem) else path.stem
    if file.effort is None:
        title = f"{own_name}: {', '.join(file.config.branch_names)}"
        shared.wants(own_name)
        return shared.ours(own_name, title, "model", path, file, weights, learnt=True)
    found = []
    for effort in sorted({*EFFORTS, file.effort.default}):
        own = ", its own" if effort == file.effort.default else ""
        title = f"{own_name}, effort {effort:g}{own}"
        name = f"{own_name}@{effort:g}"
        shared.wants(name)
        found += shared.ours(name, title, "model", path, file, weights, learnt=True, effort=effort)
    return found


def _branches_and_policy(
    shared: Field, layout: SkeletonLayout, classes: tuple[str, ...], frames: int, stream: str
) -> list[Contender]:
    """Single branches, and AdaSGN with a policy of the paper's grid; made here, as none of them ships."""
    joints, grid = layout.joint_count, branch_grid(layout.joint_counts)
    found = []
    for branch in (Branch(joints, POSE), *grid):
        if not shared.wants(f"branch-{branch}"):
            continue
        config = ModelConfig(joints, len(classes), (branch,), frames, adaptive=False)
        path, file = _written(shared, f"branch-{branch}", random_file(config, layout, classes, stream))
        found += shared.ours(f"branch-{branch}", f"one branch, {branch}", "branch", path, file, UNTRAINED)
    if not shared.wants("policy"):
        return found
    config = ModelConfig(joints, len(classes), grid, frames)
    shares = POLICY_SHARES if len(grid) == len(POLICY_SHARES) else (1 / len(grid),) * len(grid)
    made = with_shares(random_file(config, layout, classes, stream), shared.clips.arrays, shares)
    path, file = _written(shared, "policy", made)
    weights = f"{UNTRAINED}, but for the policy, which takes branches as often as a trained one"
    if shares != POLICY_SHARES:
        weights = f"{UNTRAINED}, but for the policy, which takes all branches equally often"
    return found + shared.ours("policy", "AdaSGN with a policy", "policy", path, file, weights)


def _written(shared: Field, name: str, file: ModelFile) -> tuple[Path, ModelFile]:
    path = shared.folder / f"{name}.adasgn"
    write_model_file(path, file)
    return path, file


# -- dense SGN, in our engine and elsewhere ----------------------------------------------------------------------------


def _dense(
    shared: Field, layout: SkeletonLayout, classes: tuple[str, ...], frames: int, stream: str
) -> tuple[list[Contender], list[Absent]]:
    """The runtimes, then ours, and those that are not here. With torch all have the same weights."""
    config = ModelConfig.dense(layout.joint_count, len(classes), frames)
    absent = _absent_runtimes(shared)
    missing = {one.name for one in absent}
    graphs = GRAPHS[: 1 if shared.settings.quick else None]
    named = [(runtime, graph) for graph in graphs for runtime in PEERS if runtime not in missing]
    chosen = [pair for pair in named if shared.settings.wants(shared.dense_name(*pair))]
    if not chosen:
        if not shared.wants("dense"):
            return [], absent
        path, file = _written(shared, "dense", random_file(config, layout, classes, stream))
        return shared.ours("dense", "dense SGN, our engine", "dense", path, file, UNTRAINED), absent
    from adasgn_edge.bench.dense_torch import TorchDense

    torch_dense = TorchDense(config, layout, classes, stream, shared.folder, shared.settings)
    path, file = _written(shared, "dense", torch_dense.file)
    found = []
    for runtime, graph in chosen:
        on = f" on {shared.settings.device}" if shared.on_gpu else ""
        found.append(
            Contender(
                name=f"{runtime}-{graph}",
                title=f"dense SGN, {RUNTIME_NAMES[runtime]}, {graph} graph{on}",
                kind="framework",
                file=file,
                make=torch_dense.maker(runtime, graph),
                truth=torch_dense.reference,
                weights=UNTRAINED,
                fresh=torch_dense.fresh(runtime, graph),
            )
        )
    if shared.wants("dense"):
        found += shared.ours("dense", "dense SGN, our engine", "dense", path, file, UNTRAINED)
    return found, absent


def _absent_runtimes(shared: Field) -> list[Absent]:
    """Runtimes that cannot be timed here, TensorRT among them, with what brings each."""
    found = []
    torch_missing = importlib.util.find_spec("torch") is None
    graphs_missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    for runtime, package in PEERS.items():
        reason, remedy = "", BENCH_EXTRA
        if torch_missing:
            reason = "needs torch, which is not installed"
        elif importlib.util.find_spec(package) is None:
            reason = f"needs {package}, which is not installed"
        elif runtime in ("onnxruntime", "openvino") and graphs_missing:
            reason = f"needs {' and '.join(graphs_missing)} to make its graph, not installed"
        elif shared.on_gpu:
            reason, remedy = _absent_on_gpu(runtime)
        elif runtime == "compile" and not shared.settings.compiled:
            reason, remedy = "not asked for", "--compile"
        if reason:
            found.append(Absent(runtime, f"dense SGN, {RUNTIME_NAMES[runtime]}", "framework", reason, remedy))
    trt = importlib.util.find_spec("tensorrt") is None
    reason = "not installed" if trt else "installed, but not timed by this benchmark"
    remedy = "adasgn-edge doctor says what brings it" if trt else "`python -m bench.gpu` of the source tree times it"
    return [*found, Absent("tensorrt", "dense SGN, TensorRT", "framework", reason, remedy)]


def _absent_on_gpu(runtime: str) -> tuple[str, str]:
    """Why a runtime does not run on the GPU here; empty where it does."""
    if runtime == "openvino":
        return "runs on CPUs", "--device cpu"
    if runtime == "onnxruntime":
        import onnxruntime

        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            return "this onnxruntime has no CUDA provider", "pip install onnxruntime-gpu"
        return "", ""
    import torch

    return ("", "") if torch.cuda.is_available() else ("this torch has no CUDA device", "a torch with CUDA")
