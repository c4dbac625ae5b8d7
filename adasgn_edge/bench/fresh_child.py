"""A process of its own that makes one contender, runs it, and says when it was how far and how much memory it had.

Run by its path with one JSON argument (adasgn_edge/bench/fresh.py), and imports nothing of the package before the clock
runs: importing is part of what is measured.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

Call = Callable[[int], Any]
Moments = dict[str, float]
Memory = dict[str, int]

FOLDER = Path(__file__).resolve().parent
sys.path[:] = [path for path in sys.path if Path(path).resolve() != FOLDER]  # its modules nothing else may find
BEGAN = time.monotonic()


def main() -> None:
    spec = json.loads(sys.argv[1])
    moments: Moments = {"began": BEGAN}
    memory: Memory = {}
    call = _CALLS[spec["kind"]](spec, moments, memory)
    call(0)
    moments["first"] = time.monotonic()
    calls = 0
    if spec["seconds"] > 0:
        for number in range(20):
            call(number)
        before, until = _resident(), time.monotonic() + spec["seconds"]
        while time.monotonic() < until:
            call(calls)
            calls += 1
        memory["growth"] = _resident() - before
    memory["peak"] = _peak()
    print(json.dumps({"moments": moments, "memory": memory, "calls": calls}))


def _imported(moments: Moments, memory: Memory) -> None:
    moments["imported"], memory["imported"] = time.monotonic(), _resident()


def _loaded(moments: Moments, memory: Memory) -> None:
    moments["loaded"], memory["loaded"] = time.monotonic(), _resident()


def _ours(spec: dict[str, Any], moments: Moments, memory: Memory) -> Call:
    import numpy as np

    import adasgn_edge

    _imported(moments, memory)
    options = {"precision": spec["precision"]} if spec["device"] != "cpu" else {"threads": spec["threads"]}
    engine = adasgn_edge.load(spec["file"], spec["device"], max_batch=1, **options)
    _loaded(moments, memory)
    clips = np.load(spec["clips"])
    effort = {} if spec["effort"] is None else {"effort": spec["effort"]}
    return lambda number: engine.run(clips[number % len(clips)][None], **effort)


def _stream(spec: dict[str, Any], moments: Moments, memory: Memory) -> Call:
    import numpy as np

    import adasgn_edge

    _imported(moments, memory)
    recogniser = adasgn_edge.Recogniser(
        spec["file"], device=spec["device"], precision=spec["precision"], mode=spec["mode"], threads=spec["threads"]
    )
    _loaded(moments, memory)
    frames, pushed = np.load(spec["frames"]), [0]

    def call(_: int) -> Any:
        pushed[0] += 1
        output = recogniser.push(pushed[0] * spec["step"], {0: frames[pushed[0] % len(frames)]})
        if pushed[0] == 1:  # its first result is that of a window that is full
            while not (output.results and output.results[-1].ready):
                output = call(0)
        return output

    return call


def _onnxruntime(spec: dict[str, Any], moments: Moments, memory: Memory) -> Call:
    import numpy as np
    import onnxruntime  # noqa: F401  which is what is timed

    _imported(moments, memory)
    run = _runtimes().onnxruntime_call(Path(spec["file"]), 1, spec["threads"], spec["device"])
    _loaded(moments, memory)
    clips = np.load(spec["clips"])
    return lambda number: run(clips[number % len(clips)][None])


def _openvino(spec: dict[str, Any], moments: Moments, memory: Memory) -> Call:
    import numpy as np
    import openvino  # noqa: F401  which is what is timed

    _imported(moments, memory)
    clips = np.load(spec["clips"])
    run = _runtimes().openvino_call(Path(spec["file"]), (1, *clips.shape[1:]), spec["threads"])
    _loaded(moments, memory)
    return lambda number: run(clips[number % len(clips)][None])


def _torch(spec: dict[str, Any], moments: Moments, memory: Memory) -> Call:
    import numpy as np
    import torch

    from adasgn_edge.bench.peers import Peers
    from adasgn_edge.model.weights import load_weights

    _imported(moments, memory)
    torch.set_num_threads(spec["threads"])
    model: Any = load_weights(spec["file"]).model
    peers = Peers(model, Path(spec["file"]).parent)
    run = peers.call(spec["kind"], spec["graph"], 1, spec["threads"], spec["device"])
    _loaded(moments, memory)
    clips = np.load(spec["clips"])
    return lambda number: run(np.ascontiguousarray(clips[number % len(clips)][None]))


_CALLS = {
    "ours": _ours,
    "stream": _stream,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "eager": _torch,
    "compile": _torch,
}


def _runtimes() -> ModuleType:
    """runtimes.py by itself, as importing the package would count for ONNX Runtime and OpenVINO."""
    spec = importlib.util.spec_from_file_location("runtimes", Path(__file__).with_name("runtimes.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _resident() -> int:
    """Bytes of this process in memory."""
    return _status("VmRSS")


def _peak() -> int:
    """The most that there ever were."""
    return _status("VmHWM")


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return 1024 * int(line.split()[1])
    return 0


if __name__ == "__main__":
    main()
