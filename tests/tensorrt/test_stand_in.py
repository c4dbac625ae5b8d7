"""The tests of TensorRT on a GPU, and the benchmark's sides, on the stand-in: so they run where there is neither."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

from tests.tensorrt.models import write_random
from tests.tensorrt.test_on_gpu import (
    clips,
    files,
    test_a_graph_gives_what_a_plain_run_gives,
    test_clips_are_checked_and_the_engine_goes_on,
    test_persons,
    test_results_are_those_of_the_cpu,
)

__all__ = [
    "clips", "files", "test_a_graph_gives_what_a_plain_run_gives", "test_clips_are_checked_and_the_engine_goes_on",
    "test_persons", "test_results_are_those_of_the_cpu",
]  # fmt: skip


@pytest.fixture(autouse=True)
def here(machine):
    return machine


class Event:
    """What torch.cuda.Event is to a stream; of the stand-in's work, which is done when it is synchronised."""

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self, stream: object) -> None:
        self.at = time.perf_counter()

    def elapsed_time(self, other: Event) -> float:
        return 1e3 * (other.at - self.at)


@pytest.mark.parametrize("wait", [False, True])
def test_a_side_of_the_benchmark(machine, tmp_path, monkeypatch, wait):
    torch = pytest.importorskip("torch")
    from bench.gpu.tensorrt_sides import TensorRTSides

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "ExternalStream", lambda handle: SimpleNamespace(handle=handle))
    file = write_random(tmp_path / "model.adasgn", "policy")
    sides = TensorRTSides(SimpleNamespace(), {"adasgn": file}, tmp_path)  # type: ignore[arg-type]
    makers = dict(sides.makers())
    assert list(makers) == ["tensorrt-dense-f16", "tensorrt-dense-f32", "tensorrt-adasgn"]
    peer = makers["tensorrt-adasgn"](2)
    assert (peer.name, peer.model) == ("tensorrt-adasgn", "adasgn")
    batches = (0.3 * np.random.default_rng(0).normal(size=(3, 2, 6, 22, 3))).astype(np.float32)
    assert peer.call(batches[0]).shape == (2, 5)
    assert peer.on_device is not None
    (staging,) = (one for one in machine.state.streams.values() if "launch" in one.log)
    staging.log.clear()
    times = peer.on_device(batches, 7, wait)
    assert len(times) == 7
    assert all(one >= 0 for one in times)
    assert staging.log.count("launch") == 7 + 3 * 10 + 2  # 10 untimed ones a batch, two to prepare
    np.testing.assert_array_equal(staging.host(0)[: batches[2].nbytes].view(np.float32), batches[2].ravel())
