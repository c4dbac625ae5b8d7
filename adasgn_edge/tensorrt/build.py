"""Building an engine: a network of one layer, the plugin with a model file in it, or an ONNX graph as it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adasgn_edge.engine import ModelDescription
from adasgn_edge.errors import TensorRTError
from adasgn_edge.tensorrt.plugin import NAME, fields, find_creator
from adasgn_edge.tensorrt.runtime import make, make_monitor, shared_logger
from adasgn_edge.wording import shortened, warn

__all__ = ["WORKSPACE", "Profile", "Report", "build_plan", "expect_memory"]

WORKSPACE = 256
"""MiB that TensorRT may use beside an engine's own memory; the plugin needs none."""
BESIDE = 1024
"""MiB that must be free beside the workspace: CUDA's context and TensorRT's libraries. An estimate, not measured."""

Report = Callable[[str, int, int], None]
"""Is given a phase's name, the steps done and how many there are."""


@dataclass(frozen=True)
class Profile:
    """Which batches an engine is for: up to max_batch clips (samples times persons), best at `typical` samples.

    persons: of a sample, that the network itself averages; with 1 its input is (B, T, V, 3), else (B, P, T, V, 3).
    """

    max_batch: int = 64
    typical: int = 1
    persons: int = 1

    @property
    def samples(self) -> int:
        """The most of one run."""
        return self.max_batch // self.persons

    def shape(self, samples: int, clip: tuple[int, int, int]) -> tuple[int, ...]:
        """Of the input; samples: -1 where it is not fixed."""
        return (samples, *((self.persons,) if self.persons > 1 else ()), *clip)


def build_plan(
    trt: Any,
    content: bytes | None,
    graph: bytes | None,
    description: ModelDescription,
    precision: str,
    profile: Profile,
    *,
    library: Path | None = None,
    effort: float | None = None,
    workspace: int = WORKSPACE,
    report: Report | None = None,
) -> bytes:
    """What TensorRT makes of a model: the content of an engine file.

    content: of the model file, for the plugin in `library`; or graph: an ONNX file's content. Raises TensorRTError with
    TensorRT's last lines where it does not build. Ctrl-C ends it at TensorRT's next step.
    """
    logger = shared_logger(trt)
    builder = make("builder", trt.Builder, logger)
    # Strongly typed: the types of the network are kept. The number of the flag differs between versions.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    # What the network is made of must outlive the build: the parser owns the weights.
    if graph is not None:
        source = _parse(trt, network, graph, logger)
    else:
        assert content is not None
        assert library is not None
        source = _add_plugin(trt, network, content, library, description, precision, profile, effort, logger)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace << 20)
    if precision == "f32":
        config.clear_flag(trt.BuilderFlag.TF32)  # set by default: products of ten bits
    config.add_optimization_profile(_profile(builder, network, profile, description))
    plan = _interruptibly(trt, builder, network, config, report or (lambda phase, done, steps: None))
    del source
    if plan is None:
        raise _failed("building the engine", logger)
    return bytes(plan)


def expect_memory(workspace: int, meminfo: Path = Path("/proc/meminfo")) -> None:
    """TensorRTError where less memory is free than a build is expected to take: one that runs out may take the whole
    system with it, as a Jetson's GPU has the host's memory."""
    needed = workspace + BESIDE
    try:
        rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        free = int(rows["MemAvailable"].split()[0]) >> 10
    except (OSError, KeyError, ValueError):
        warn("TensorRT: how much memory is free cannot be told; building all the same", stacklevel=3)
        return
    if free < needed:
        raise TensorRTError(
            f"TensorRT: expected {needed} MiB of free memory for building ({workspace} of them the workspace), found "
            f"{free}; end other programs (the desktop: sudo systemctl isolate multi-user.target), add swap, or build "
            "with --workspace and a smaller number, or --force"
        )


def _parse(trt: Any, network: Any, graph: bytes, logger: Any) -> Any:
    """Fill the network; the parser, which owns its weights."""
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph):
        found = "; ".join(str(parser.get_error(index).desc()) for index in range(parser.num_errors))
        raise TensorRTError(f"TensorRT: expected an ONNX graph that its parser takes, found: {shortened(found, 300)}")
    return parser


def _add_plugin(
    trt: Any,
    network: Any,
    content: bytes,
    library: Path,
    description: ModelDescription,
    precision: str,
    profile: Profile,
    effort: float | None,
    logger: Any,
) -> Any:
    """Make the network of one layer; the plugin."""
    creator = find_creator(trt, library)
    given = fields(trt, content, precision, effort)  # lives until the plugin has been made
    plugin = creator.create_plugin(NAME, trt.PluginFieldCollection(given), trt.TensorRTPhase.BUILD)
    if plugin is None:
        raise _failed("making the plugin", logger)
    clips = network.add_input("clips", trt.float32, profile.shape(-1, description.clip_shape))
    layer = network.add_plugin_v3([clips], [], plugin)
    if layer is None:
        raise _failed("adding the plugin", logger)
    for index, name in enumerate(("logits", "actions")):
        output = layer.get_output(index)
        output.name = name
        network.mark_output(output)
    return plugin


def _profile(builder: Any, network: Any, profile: Profile, description: ModelDescription) -> Any:
    found = builder.create_optimization_profile()
    counts = (1, min(profile.typical, profile.samples), profile.samples)
    shapes = [profile.shape(count, description.clip_shape) for count in counts]
    found.set_shape(network.get_input(0).name, *shapes)
    return found


def _interruptibly(trt: Any, builder: Any, network: Any, config: Any, report: Report) -> Any:
    """Build in a thread, so that this one hears of Ctrl-C; None where the build failed.

    TensorRT works in C++, and an exception out of its callbacks would end the process: they are only told to stop.
    """
    begun, ended, stop = threading.Event(), threading.Event(), threading.Event()
    failed: list[BaseException] = []  # of `report`
    made: list[Any] = []

    def step(*where: Any) -> None:
        try:
            report(*where)
        except BaseException as error:
            failed.append(error)
            stop.set()

    monitor = make_monitor(trt, step, lambda: not stop.is_set())
    config.progress_monitor = monitor

    def work() -> None:
        begun.set()
        try:
            if not stop.is_set():  # by Ctrl-C while the thread was being made
                made.append(builder.build_serialized_network(network, config))
        except BaseException as error:  # passed on below
            made.append(error)
        finally:
            ended.set()

    try:
        threading.Thread(target=work, name="TensorRT's builder", daemon=True).start()
        ended.wait()  # not `Thread.join`: interrupted, it takes a thread that runs for one that has ended
    except KeyboardInterrupt:
        stop.set()  # before `begun` is looked at: the thread looks at them in the other order
        if begun.is_set():
            ended.wait()  # a second Ctrl-C leaves it
        raise
    if failed:
        raise failed[0]
    if isinstance(made[0], BaseException):
        raise made[0]
    return made[0]


def _failed(what: str, logger: Any) -> TensorRTError:
    said = "; ".join(logger.last) or "nothing"
    if "Target GPU SM" in said and "is not supported" in said:
        what += " for this GPU"
    return TensorRTError(f"TensorRT: {what} failed; it said: {shortened(said, 400)}")
