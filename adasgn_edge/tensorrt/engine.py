"""A model on TensorRT with the interface of an engine: found in the cache or built, checked, then run.

    engine = adasgn_edge.load("model.adasgn", device="tensorrt")       # builds once, which may take a minute
    result = engine.run(clips)

Clips and results go through pinned memory that is taken once; from the second run of a shape on, a run is one CUDA
graph: copy, network, copies. What a network that is built cannot do (forced branches, features, another effort) is a
TensorRTError.
"""

from __future__ import annotations

import hashlib
import os
import threading
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adasgn_edge import engine as engines
from adasgn_edge.deploy.model_container import read_model_bytes
from adasgn_edge.engine import MAX_BATCH, PRECISIONS, Engine, Result, load_content, whole_number
from adasgn_edge.errors import ClipError, EngineError, ModelFileError, TensorRTError
from adasgn_edge.installation.build_info import read_build
from adasgn_edge.installation.cuda_driver import query_driver
from adasgn_edge.model.cost import CostTable
from adasgn_edge.regular_file import read_regular_file, shown_path
from adasgn_edge.tensorrt.build import WORKSPACE, Profile, Report, build_plan, expect_memory
from adasgn_edge.tensorrt.cache import EngineCache, EngineFacts
from adasgn_edge.tensorrt.plugin import expect_library, find_creator, library_digest
from adasgn_edge.tensorrt.runtime import expect_supported, find_tensorrt, make, shared_logger, unfit
from adasgn_edge.tensorrt.self_check import Outcome, check_against
from adasgn_edge.wording import shown, warn

__all__ = ["Model", "TensorRTEngine", "build_engine", "load", "load_model", "run_plan"]

MOST_GRAPH = 1 << 30
Floats = NDArray[np.float32]


class Model:
    """What is to be built, and what it is built for: a model file, options, and this machine.

    effort: of a model that escalates; persons: of a sample, that a model which escalates decides for together; graph:
    an ONNX file of the same model that TensorRT shall build in place of the plugin. Raises ModelFileError, EngineError
    for options that cannot be, TensorRTError for what is missing here.
    """

    def __init__(
        self,
        content: bytes,
        name: str,
        *,
        max_batch: int = 64,
        precision: str | None = None,
        effort: float | None = None,
        persons: int = 1,
        typical_batch: int = 1,
        graph: str | os.PathLike[str] | None = None,
    ) -> None:
        """content: of a ``.adasgn`` file; name: of the file, in messages."""
        precision = "f16" if precision is None else precision
        if precision not in PRECISIONS:
            raise EngineError(f"precision: expected one of {', '.join(PRECISIONS)}, found {shown(precision)}")
        max_batch = whole_number("max_batch", max_batch, 1, MAX_BATCH)
        persons = whole_number("persons", persons, 1, max_batch)
        typical = whole_number("typical_batch", typical_batch, 1, max_batch)
        self.precision, self.profile = precision, Profile(max_batch, typical, persons)
        self.content, self.cpu = content, load_content(content, name)
        description = self.cpu.description
        description.threshold(effort, None)  # EffortError for one that the model does not have
        self.effort = None if effort is None else float(effort)
        if description.config.causal is not None:
            raise EngineError(
                "model: expected one that is not causal on TensorRT, found a causal one, which the engine of the "
                "device cpu runs"
            )
        if persons > 1 and not description.config.escalates:
            raise EngineError(
                f"persons: expected 1, as only models that escalate decide for persons together, found {persons}; "
                "clips of several persons run all the same"
            )
        self.graph = None
        if graph is not None:
            if description.config.adaptive or description.config.escalates:
                raise EngineError("graph: expected none, as this model takes several branches and needs the plugin, "
                                  f"found {shown_path(graph)}")  # fmt: skip
            self.graph = read_regular_file(graph, "an ONNX file", MOST_GRAPH, EngineError)
        self.trt = find_tensorrt()
        version = expect_supported(self.trt)
        native, build = engines._native(), read_build()
        if not hasattr(native, "Staging"):
            reason = build.cuda.reason or "it was built before it could have one"
            raise TensorRTError(f"TensorRT: this installation has no CUDA part: {reason}; {build.cuda.remedy}")
        self.staging = native.Staging
        self.library = None if self.graph is not None else expect_library(build.tensorrt, version)
        driver = query_driver()
        if driver.problem:
            raise TensorRTError(f"TensorRT: {driver.problem}")
        gpu = driver.gpus[0]
        if why := unfit(version, gpu.capability):
            raise TensorRTError(f"TensorRT: {why}")
        self.facts = EngineFacts(
            model=hashlib.sha256(self.content).hexdigest(),
            graph="" if self.graph is None else hashlib.sha256(self.graph).hexdigest(),
            precision=precision,
            effort=self.effort,
            max_batch=max_batch,
            typical_batch=typical,
            persons=persons,
            tensorrt=str(version),
            plugin="" if self.library is None else library_digest(self.library),
            gpu=f"{gpu.name}, {native.cuda_devices()[0][2]} multiprocessors",  # all Orins have the same name
            capability="{}.{}".format(*gpu.capability),
            driver=driver.cuda,
        )


class TensorRTEngine(Engine):
    """A model on TensorRT; see :class:`adasgn_edge.engine.Engine`, whose methods raise TensorRTError where a network
    that is built cannot do what they say. checked: how it compared with the CPU's engine when it was built here."""

    def __init__(self, native: Any, model: Model, checked: Outcome | None = None) -> None:
        """Use :func:`load`."""
        super().__init__(native, "tensorrt", model.profile.max_batch, 1, model.precision)
        self.effort, self.persons, self.checked = model.effort, model.profile.persons, checked

    def run(
        self,
        clips: ArrayLike,
        actions: ArrayLike | None = None,
        *,
        features: bool = False,
        effort: float | None = None,
        max_macs: float | None = None,
        max_ms: float | None = None,
    ) -> Result:
        """As :meth:`adasgn_edge.engine.Engine.run`, at the effort that it was built with."""
        for name, given in (("actions", actions), ("features", features or None), ("max_macs", max_macs),
                            ("max_ms", max_ms)):  # fmt: skip
            if given is not None:
                raise _beyond(name)
        built = self.description.threshold(self.effort, None)
        if effort is not None and self.description.threshold(effort, None) != built:
            raise TensorRTError(
                f"effort: expected {'that of the model file' if self.effort is None else self.effort}, with which it "
                f"was built, found {effort}; adasgn_edge.tensorrt.load(…, effort={effort}) builds another"
            )
        return super().run(clips)

    def run_fuse(self, clips: ArrayLike) -> Result:
        """TensorRTError: not what was built."""
        raise _beyond("run_fuse")

    def time_efforts(self, clips: ArrayLike, repeats: int = 30) -> tuple[float, float]:
        """TensorRTError: an engine that is built has one effort."""
        raise _beyond("time_efforts")

    def policy_features(self, frames: ArrayLike, previous: ArrayLike | None = None) -> Floats:
        """TensorRTError: a network that is built has no stages."""
        raise _beyond("policy_features")

    def actions(self, features: ArrayLike) -> tuple[NDArray[np.int32], Floats | None]:
        """TensorRTError: a network that is built has no stages."""
        raise _beyond("actions of features")

    def branch_features(
        self,
        frames: ArrayLike,
        previous: ArrayLike | None,
        actions: ArrayLike,
        policy_features: ArrayLike | None = None,
    ) -> Floats:
        """TensorRTError: a network that is built has no stages."""
        raise _beyond("branch_features")

    def temporal_head(self, features: ArrayLike) -> Floats:
        """TensorRTError: a network that is built has no stages."""
        raise _beyond("temporal_head")


def _beyond(what: str) -> TensorRTError:
    return TensorRTError(
        f"{what}: expected none on TensorRT, whose networks are fixed; the devices cpu and cuda have it"
    )


def load(
    path: str | bytes | os.PathLike[Any],
    *,
    max_batch: int = 64,
    precision: str | None = None,
    effort: float | None = None,
    persons: int = 1,
    typical_batch: int = 1,
    graph: str | os.PathLike[str] | None = None,
    workspace: int = WORKSPACE,
    cache: EngineCache | None = None,
    report: Report | None = None,
) -> TensorRTEngine:
    """A model on TensorRT, from the cache where an engine for exactly this lies, else built, checked and kept.

    max_batch: the most clips (times persons) of one run; typical_batch: the samples of a run for which TensorRT shall
    choose kernels of an ONNX graph; precision: "f16", the default, or "f32"; others as of :class:`Model` and
    :func:`build_engine`, as is what it raises. Warns of an engine in the cache that cannot be taken.
    """
    model = Model(
        read_model_bytes(path),
        shown_path(path),
        max_batch=max_batch,
        precision=precision,
        effort=effort,
        persons=persons,
        typical_batch=typical_batch,
        graph=graph,
    )
    return load_model(model, workspace=workspace, cache=cache, report=report)


def load_model(
    model: Model, *, workspace: int = WORKSPACE, cache: EngineCache | None = None, report: Report | None = None
) -> TensorRTEngine:
    """As :func:`load`."""
    cache = cache or EngineCache()
    plan, problem = cache.read(model.facts)
    if plan is not None:
        try:
            return run_plan(model, plan)
        except TensorRTError as error:
            problem = str(error)
    if problem:
        warn(f"TensorRT: the cached engine is built anew: {problem}", stacklevel=2)
    cache.check(model.facts)
    plan, engine = build_engine(model, workspace=workspace, report=report)
    cache.write(model.facts, plan)
    return engine


def build_engine(
    model: Model, *, workspace: int = WORKSPACE, force: bool = False, report: Report | None = None
) -> tuple[bytes, TensorRTEngine]:
    """Build an engine and compare it with the CPU's; what an engine file holds, and the engine, which is loaded.

    workspace: MiB that TensorRT may use beside; force: though little memory is free. Raises TensorRTError for a build
    that fails and for an engine that does not agree with the CPU's.
    """
    workspace = whole_number("workspace", workspace, 1, 1 << 20)
    if not force:
        expect_memory(workspace)
    plan = build_plan(
        model.trt,
        model.content if model.graph is None else None,
        model.graph,
        model.cpu.description,
        model.precision,
        model.profile,
        library=model.library,
        effort=model.effort,
        workspace=workspace,
        report=report,
    )
    engine = run_plan(model, plan)
    batch = min(engine.max_batch // engine.persons, 16)
    engine.checked = check_against(model.cpu, engine, model.precision, batch, engine.persons, model.effort)
    return plan, engine


def run_plan(model: Model, plan: bytes) -> TensorRTEngine:
    """What was built for a model, loaded; TensorRTError where TensorRT does not take it."""
    return TensorRTEngine(_Network(model, plan), model)


class _Network:
    """What :class:`Engine` asks of a native engine, over TensorRT's execution context.

    staging: the memory, stream and graphs of a run; graph: the number of the last shape's, None while there is none.
    """

    def __init__(self, model: Model, plan: bytes) -> None:
        self._description = model.cpu.description
        self.description: str = model.cpu._native.description
        self._cost = CostTable(self._description.config).full
        self._persons, self._bound = model.profile.persons, float(engines._native().MAX_COORDINATE)
        self._process, self._lock = os.getpid(), threading.Lock()
        trt = model.trt
        if model.library is not None:
            find_creator(trt, model.library)  # TensorRT looks for the plugin when it reads the engine
        self._logger = shared_logger(trt)
        self._runtime = make("runtime", trt.Runtime, self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise TensorRTError(f"TensorRT: expected an engine that it reads, found another; it said: {self._said()}")
        self.context = self._engine.create_execution_context()
        if self.context is None:
            raise TensorRTError(f"TensorRT: expected memory to run the engine in, found none; it said: {self._said()}")
        self._place(trt, model)
        self._shape: tuple[int, ...] = ()  # of the last run
        self.graph: int | None = None
        self._capturable = True

    def _place(self, trt: Any, model: Model) -> None:
        """Memory for inputs and outputs, in the order of the engine."""
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        inputs = [name for name in names if self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        outputs = [name for name in names if name not in inputs]
        if len(inputs) != 1 or "logits" not in outputs or set(outputs) - {"logits", "actions"}:
            raise TensorRTError(f"TensorRT: expected one input and the outputs logits and actions, found {names}")
        self.input, self._outputs = inputs[0], outputs
        most = model.profile.max_batch
        self.staging = model.staging(self._sizes(most, most))
        for index, name in enumerate([self.input, *outputs]):
            if not self.context.set_tensor_address(name, self.staging.address(index)):
                raise TensorRTError(f"TensorRT: expected to place {name}, found that it is refused: {self._said()}")

    def _sizes(self, clips: int, rows: int) -> list[int]:
        """Bytes of the input and of each output, of so many clips and rows of logits."""
        counts = {"logits": rows * self._description.classes, "actions": clips * self._description.frames}
        return [4 * clips * int(np.prod(self._description.clip_shape)), *(4 * counts[name] for name in self._outputs)]

    def run(
        self, clips: Floats, forced: object, features: bool, threshold: float | None = None
    ) -> tuple[Floats, NDArray[np.int32], None, NDArray[np.int64]]:
        """As of a native engine, for clips (B, P, T, V, 3)."""
        with self._lock:
            return self._run(clips)

    def prepare(self, samples: int, persons: int, features: bool) -> None:
        """Capture the graph of such a run."""
        clips = np.zeros((samples, persons, *self._description.clip_shape), np.float32)
        for _ in range(2):
            self.run(clips, None, features)

    def _run(self, clips: Floats) -> tuple[Floats, NDArray[np.int32], None, NDArray[np.int64]]:
        if os.getpid() != self._process:
            raise EngineError(
                f"engine: expected a call from the process that loaded it, {self._process}, found one from process "
                f"{os.getpid()}, which was forked from it; load the model file in this process, after the fork"
            )
        samples, persons = clips.shape[:2]
        if self._description.config.escalates and persons != self._persons:
            raise ClipError(f"clips: expected {self._persons} persons, for which it was built, found {persons}; "
                            f"adasgn_edge.tensorrt.load(…, persons={persons}) builds another")  # fmt: skip
        self._expect_sound(clips)
        frames, classes = self._description.frames, self._description.classes
        if samples == 0:
            empty = np.zeros((0, persons, frames), np.int32)
            return np.zeros((0, classes), np.float32), empty, None, np.zeros(0, np.int64)
        together = self._persons > 1  # the network has an axis of persons; else each of them is a clip
        shape = clips.shape if together else (samples * persons, *clips.shape[2:])
        rows = samples if together else samples * persons
        self._pass(clips, shape, self._sizes(samples * persons, rows))
        logits = self._output("logits", np.float32, rows * classes).reshape(-1, classes)
        if not together and persons > 1:
            logits = logits.reshape(samples, persons, classes).mean(axis=1)
        if not np.isfinite(logits).all():
            raise ModelFileError("model: expected weights that give finite logits, found them too large")
        actions = np.zeros(samples * persons * frames, np.int32)
        if "actions" in self._outputs:
            actions = self._output("actions", np.int32, len(actions))
        actions = actions.reshape(samples, persons, frames)
        macs = (self._cost[actions].sum(axis=(1, 2)) + frames // 2) // frames
        return logits, actions, None, macs

    def _pass(self, clips: Floats, shape: tuple[int, ...], sizes: list[int]) -> None:
        """Clips into the network and what it makes of them into the host's memory; waits for it."""
        self.staging.host(0)[: clips.nbytes] = clips.reshape(-1).view(np.uint8)
        if shape != self._shape:
            # A graph is good for the shape that it was captured with, as long as the context has no other.
            self.staging.release_graphs()
            self.graph, self._shape = None, ()
            if not self.context.set_input_shape(self.input, shape):
                raise TensorRTError(f"TensorRT: expected a batch that it was built for, found {shape}: {self._said()}")
            self._enqueue(sizes)
            self.staging.synchronise()
            self._shape = shape
            return
        if self.graph is None and self._capturable:
            self._capture(sizes)
        if self.graph is None:
            self._enqueue(sizes)
        else:
            self.staging.launch(self.graph)
        self.staging.synchronise()

    def _capture(self, sizes: list[int]) -> None:
        """The second run of a shape, as a graph; where that cannot be, the network runs without one."""
        self.staging.begin_capture()
        try:
            self._enqueue(sizes)
            self.graph = self.staging.end_capture()
        except BaseException as error:
            self.staging.drop_capture()
            if not isinstance(error, EngineError):  # Ctrl-C
                raise
            self._capturable = False
            warn(f"TensorRT: runs without a CUDA graph, which is slower: {error}", stacklevel=2)

    def _enqueue(self, sizes: list[int]) -> None:
        self.staging.upload(0, sizes[0])
        if not self.context.execute_async_v3(self.staging.stream):
            raise TensorRTError(f"TensorRT: expected a run, found that it failed; it said: {self._said()}")
        for index, size in enumerate(sizes[1:], 1):
            self.staging.download(index, size)

    def _output(self, name: str, kind: Any, count: int) -> Any:
        host = self.staging.host(1 + self._outputs.index(name))
        return host[: 4 * count].view(kind).copy()

    def _expect_sound(self, clips: Floats) -> None:
        """What the native engines check: ClipError for coordinates that are not finite or far from any clip."""
        wrong = ~(np.abs(clips) <= self._bound)
        if wrong.any():
            clip, person, frame, joint, axis = (int(index) for index in np.argwhere(wrong)[0])
            raise ClipError(
                f"clip {clip * clips.shape[1] + person}: expected finite coordinates of at most {self._bound:g}, found "
                f"{clips[clip, person, frame, joint, axis]:g} at frame {frame}, joint {joint}, coordinate {axis}"
            )

    def _said(self) -> str:
        return "; ".join(self._logger.last) or "nothing"
