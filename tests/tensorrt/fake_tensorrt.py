"""A stand-in for NVIDIA's module ``tensorrt`` that has what this package uses of it and nothing else, and for the
native module's ``Staging``. Networks run on the CPU engine (the plugin) or in ONNX Runtime (a graph).

tests/tensorrt/test_bindings.py holds every class here, its methods with their parameters, the attributes that it
annotates and the members of every enumeration against NVIDIA's own bindings: what runs on this stand-in calls TensorRT
by names that it has.
"""

from __future__ import annotations

import ctypes
import enum
import json
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from adasgn_edge.engine import load_content

__version__ = "10.3.0"
float32 = "float32"


class State:
    """What tests set and look at. calls: what was asked of TensorRT, in order; logs: lines to say during a build;
    building: whether a build runs; wrong: added to all logits; capturable: whether runs can be captured;
    offers: whether the library has a creator."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.logs: list[tuple[Any, str]] = []
        self.fails: set[str] = set()
        self.wrong = 0.0
        self.step: Callable[[int], None] = lambda done: None
        self.steps = 3
        self.building = False
        self.readable = True
        self.capturable = True
        self.offers = True
        self.streams: dict[int, FakeStaging] = {}


state = State()


def refuse_null(name: str, logger: ILogger) -> None:
    """What the bindings make of a null pointer, which TensorRT gives without a GPU."""
    if name in state.fails:
        logger.log(Severity.ERROR, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")


class Severity(enum.Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING = Severity.INTERNAL_ERROR, Severity.ERROR, Severity.WARNING

    def __init__(self) -> None:
        self.ready = True

    def log(self, severity: Any, msg: str) -> None:
        raise NotImplementedError


class IProgressMonitor:
    def __init__(self) -> None:
        self.ready = True

    def phase_start(self, phase_name: str, parent_phase: str, num_steps: int) -> None:
        raise NotImplementedError

    def step_complete(self, phase_name: str, step: int) -> bool:
        raise NotImplementedError

    def phase_finish(self, phase_name: str) -> None:
        raise NotImplementedError


class NetworkDefinitionCreationFlag(enum.IntEnum):
    STRONGLY_TYPED = 1  # of 10; 0 from 11 on


class BuilderFlag(enum.Enum):
    TF32 = enum.auto()


class MemoryPoolType(enum.Enum):
    WORKSPACE = enum.auto()


class TensorRTPhase(enum.Enum):
    BUILD = enum.auto()


class TensorIOMode(enum.Enum):
    INPUT, OUTPUT = range(2)


class PluginFieldType(enum.Enum):
    INT8, INT32, FLOAT32 = range(3)


class PluginField:
    def __init__(self, name: str, data: Any, type: PluginFieldType) -> None:
        kinds = {PluginFieldType.INT8: "int8", PluginFieldType.INT32: "int32", PluginFieldType.FLOAT32: "float32"}
        assert data.dtype == kinds[type]
        self.name, self.data = name, data


class PluginFieldCollection:
    """Points to its fields, as TensorRT's does, and does not keep them alive."""

    def __init__(self, arg0: Iterable[PluginField]) -> None:
        self._fields = [weakref.ref(field) for field in arg0]

    def __iter__(self) -> Iterator[PluginField]:
        for field in self._fields:
            found = field()
            assert found is not None, "this field is gone: TensorRT would read memory that was given back"
            yield found


class IPluginCreatorV3One:
    def create_plugin(self, name: str, field_collection: Any, phase: Any) -> Any:
        given = {field.name: field.data for field in field_collection}
        state.calls.append(("create_plugin", name, {key: len(data) for key, data in given.items()}, phase))
        return None if "create_plugin" in state.fails else given


class IPluginRegistry:
    def load_library(self, plugin_path: str) -> object | None:
        state.calls.append(("load_library", plugin_path))
        return None if "load_library" in state.fails else object()

    def get_creator(self, type: str, version: str, plugin_namespace: str = "") -> Any:
        known = ("AdaSGN", "1", "adasgn_edge")
        return IPluginCreatorV3One() if state.offers and (type, version, plugin_namespace) == known else None


def get_plugin_registry() -> IPluginRegistry:
    return IPluginRegistry()


class ITensor:
    name: str

    def __init__(self, name: str, shape: tuple[int, ...] = ()) -> None:
        self.name, self.shape = name, shape


class ILayer:
    def __init__(self) -> None:
        self.outputs = [ITensor("(unnamed 1)"), ITensor("(unnamed 2)")]

    def get_output(self, index: int) -> ITensor:
        return self.outputs[index]


class INetworkDefinition:
    def __init__(self) -> None:
        self.inputs: list[ITensor] = []
        self.outputs: list[ITensor] = []
        self.plugin: Any = None
        self.graph = b""
        self.parser: Any = None  # which owns the weights of a graph

    def add_input(self, name: str, dtype: Any, shape: tuple[int, ...]) -> ITensor:
        assert dtype == float32
        state.calls.append(("add_input", name, shape))
        self.inputs.append(ITensor(name, shape))
        return self.inputs[-1]

    def get_input(self, index: int) -> ITensor:
        return self.inputs[index]

    def add_plugin_v3(self, inputs: list[ITensor], shape_inputs: list[ITensor], plugin: Any) -> ILayer | None:
        assert inputs == self.inputs
        assert shape_inputs == []
        self.plugin = plugin
        return None if "add_plugin_v3" in state.fails else ILayer()

    def mark_output(self, tensor: ITensor) -> None:
        self.outputs.append(tensor)


class ParserError:
    def desc(self) -> str:
        return "In node 3 with name: nothing TensorRT knows"


class OnnxParser:
    num_errors: int

    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
        self._network, self.num_errors = network, 0

    def parse(self, model: bytes) -> bool:
        state.calls.append(("parse",))
        if not model.startswith(b"\x08"):
            self.num_errors = 1
            return False
        self._network.graph = model
        self._network.parser = weakref.ref(self)
        self._network.inputs.append(ITensor("clip"))
        self._network.outputs.append(ITensor("logits"))
        return True

    def get_error(self, index: int) -> ParserError:
        return ParserError()


class IOptimizationProfile:
    def __init__(self) -> None:
        self.shapes: tuple[Any, ...] = ()

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        state.calls.append(("set_shape", input, min, opt, max))
        self.shapes = (min, opt, max)


class IBuilderConfig:
    progress_monitor: Any

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        state.calls.append(("set_memory_pool_limit", pool, pool_size))

    def clear_flag(self, flag: Any) -> None:
        state.calls.append(("clear_flag", flag))

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        self.profile = profile
        return 0


class Builder:
    def __init__(self, logger: ILogger) -> None:
        assert logger.ready
        self._logger = logger
        refuse_null("Builder", logger)

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        state.calls.append(("create_network", flags))
        return INetworkDefinition()

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig()

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> Any:
        monitor = config.progress_monitor
        assert not network.graph or network.parser() is not None, "the parser is gone, and the weights with it"
        state.calls.append(("build_serialized_network",))
        for line in state.logs:
            self._logger.log(*line)
        state.building = True
        try:
            monitor.phase_start("Building Engine", None, state.steps)
            for done in range(state.steps):
                state.step(done)
                if not monitor.step_complete("Building Engine", done):
                    return None
        finally:
            state.building = False
        monitor.phase_finish("Building Engine")
        if "build_serialized_network" in state.fails:
            return None
        names = [[tensor.name for tensor in tensors] for tensors in (network.inputs, network.outputs)]
        facts: dict[str, Any] = {"names": names, "shapes": config.profile.shapes}
        body = network.graph
        if network.plugin is not None:
            body = network.plugin["model"].tobytes()
            facts["effort"] = float(network.plugin["effort"][0]) if "effort" in network.plugin else None
        return memoryview(json.dumps(facts).encode() + b"\n" + body)  # as an IHostMemory is one


class Runtime:
    def __init__(self, logger: ILogger) -> None:
        self._logger = logger
        refuse_null("Runtime", logger)

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        if not state.readable:
            self._logger.log(Severity.ERROR, "The engine plan file is not compatible with this version of TensorRT")
            return None
        head, _, body = serialized_engine.partition(b"\n")
        return ICudaEngine(json.loads(head), body)


class ICudaEngine:
    num_io_tensors: int

    def __init__(self, facts: dict[str, Any], body: bytes) -> None:
        self._facts, self._body = facts, body
        self._inputs, self._outputs = facts["names"]
        self.num_io_tensors = len(self._inputs) + len(self._outputs)

    def get_tensor_name(self, index: int) -> str:
        return [*self._outputs, *self._inputs][index]  # in another order than this package's own

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self._inputs else TensorIOMode.OUTPUT

    def create_execution_context(self) -> IExecutionContext | None:
        return None if "create_execution_context" in state.fails else IExecutionContext(self._facts, self._body)


class IExecutionContext:
    def __init__(self, facts: dict[str, Any], body: bytes) -> None:
        self._most = facts["shapes"][-1]
        self._plugin, self._shape = "effort" in facts, ()
        self._addresses: dict[str, int] = {}
        self._input, self._effort = facts["names"][0][0], facts.get("effort")
        if self._plugin:
            self._model = load_content(body, "plan")
        else:
            import onnxruntime

            self._session = onnxruntime.InferenceSession(body, providers=["CPUExecutionProvider"])

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert name == self._input
        state.calls.append(("set_input_shape", shape))
        self._shape = shape
        return len(shape) == len(self._most) and all(a <= b for a, b in zip(shape, self._most, strict=True))

    def execute_async_v3(self, stream_handle: int) -> bool:
        state.streams[stream_handle].enqueue("execute", self._work)
        return "execute_async_v3" not in state.fails

    def _work(self) -> None:
        count = int(np.prod(self._shape))
        clips = at_address(self._addresses[self._input], 4 * count).view(np.float32).reshape(self._shape).copy()
        outputs: dict[str, Any] = {}
        if self._plugin:
            result = self._model.run(clips, effort=self._effort)
            outputs = {"logits": result.logits, "actions": result.actions}
        else:
            outputs = {"logits": self._session.run(["logits"], {"clip": clips})[0]}
        outputs["logits"] = outputs["logits"] + np.float32(state.wrong)
        for name, array in outputs.items():
            packed = np.ascontiguousarray(array)
            at_address(self._addresses[name], packed.nbytes)[:] = packed.reshape(-1).view(np.uint8)


def at_address(address: int, size: int) -> Any:
    """Memory of the stand-in for a GPU."""
    return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))


class FakeStaging:
    """The native module's Staging with the host's memory as the device's; work waits until it is synchronised."""

    def __init__(self, sizes: list[int], device: int = 0) -> None:
        from adasgn_edge.errors import EngineError

        self._error = EngineError
        self._host = [np.zeros(size, np.uint8) for size in sizes]
        self._device = [np.full(size, 0xFF, np.uint8) for size in sizes]
        self._pending: list[Callable[[], None]] = []
        self._captured: list[Callable[[], None]] | None = None
        self._graphs: dict[int, list[Callable[[], None]]] = {}
        self.log: list[str] = []
        self.stream = 0x7000 + len(state.streams)
        state.streams[self.stream] = self

    def address(self, index: int) -> int:
        return int(self._device[index].ctypes.data)

    def host(self, index: int) -> Any:
        return self._host[index]

    def enqueue(self, name: str, work: Callable[[], None]) -> None:
        self.log.append(name)
        (self._pending if self._captured is None else self._captured).append(work)

    def upload(self, index: int, size: int | None = None) -> None:
        self.enqueue("upload", lambda: self._copy(self._device[index], self._host[index], size))

    def download(self, index: int, size: int | None = None) -> None:
        self.enqueue("download", lambda: self._copy(self._host[index], self._device[index], size))

    @staticmethod
    def _copy(to: Any, source: Any, size: int | None) -> None:
        to[:size] = source[:size]

    def synchronise(self) -> None:
        assert self._captured is None
        pending, self._pending = self._pending, []
        for work in pending:
            work()

    def begin_capture(self) -> None:
        self.log.append("begin")
        self._captured = []

    def end_capture(self) -> int:
        captured, self._captured = self._captured, None
        assert captured is not None
        if not state.capturable:
            raise self._error("GPU: capture of a graph: operation not permitted when stream is capturing")
        number = 1 + max(self._graphs, default=0)
        self._graphs[number] = captured
        return number

    def drop_capture(self) -> None:
        self._captured = None

    def launch(self, graph: int) -> None:
        self.log.append("launch")
        self._pending += self._graphs[graph]

    def release_graphs(self) -> None:
        self._graphs.clear()
