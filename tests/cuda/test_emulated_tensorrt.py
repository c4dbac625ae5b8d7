"""Engines of TensorRT over the native module's own Staging, on the emulated device; the network is a stand-in's."""

from __future__ import annotations

import numpy as np
import pytest

import adasgn_edge
from tests.cuda.conftest import load_emulated
from tests.tensorrt.conftest import machine
from tests.tensorrt.models import write_random

__all__ = ["machine"]


@pytest.fixture
def staged(emulated, machine):
    """The stand-in's networks read and write the emulated device's memory at once, and cannot be captured."""
    module = load_emulated()
    if not hasattr(module, "Staging"):
        pytest.skip("the emulated module has no Staging")

    class Stream(module.Staging):
        def __init__(self, sizes):
            super().__init__(sizes)
            self.log, self._capturing = [], False
            machine.state.streams[self.stream] = self

        def begin_capture(self):
            super().begin_capture()
            self._capturing = True

        def drop_capture(self):
            super().drop_capture()
            self._capturing = False

        def enqueue(self, name, work):
            self.log.append(name)
            if self._capturing:
                machine.state.fails = {"execute_async_v3"}
            else:
                machine.state.fails = set()
                self.synchronise()  # what was copied before
                work()

    machine.staging = Stream
    return machine


@pytest.mark.parametrize("name", ["policy", "escalating", "dense"])
def test_clips_and_results_pass_through_the_device(staged, tmp_path, name):
    file = write_random(tmp_path / "model.adasgn", name)
    with pytest.warns(UserWarning, match="runs without a CUDA graph"):
        engine = adasgn_edge.load(file, device="tensorrt", max_batch=4)
    cpu = adasgn_edge.load(file)
    for count in (4, 1, 3, 3, 3):
        clips = (0.3 * np.random.default_rng(count).normal(size=(count, 6, 22, 3))).astype(np.float32)
        found, expected = engine.run(clips), cpu.run(clips)
        np.testing.assert_allclose(found.logits, expected.logits, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(found.actions, expected.actions)
