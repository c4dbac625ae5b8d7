"""`_native.Staging` on the emulated device: copies, graphs, what is refused."""

from __future__ import annotations

import gc
import os

import numpy as np
import pytest

from adasgn_edge.errors import EngineError


@pytest.fixture
def staging(emulated):
    yield emulated.Staging([64, 4096])
    assert emulated.findings() == []


def floats(staging, buffer):
    return staging.host(buffer).view(np.float32)


def test_what_goes_up_comes_down(staging):
    floats(staging, 0)[:] = np.arange(16)
    staging.upload(0)
    staging.synchronise()
    floats(staging, 0)[:] = -1
    staging.download(0, 32)
    staging.synchronise()
    assert floats(staging, 0).tolist() == [*range(8), *[-1] * 8]
    assert staging.address(0) % 256 == 0
    assert staging.address(0) != staging.address(1)
    assert staging.host(1).shape == (4096,)


def test_host_memory_outlives_the_name_of_its_staging(emulated):
    view = emulated.Staging([64]).host(0)
    gc.collect()
    view[:] = 7
    assert view.sum() == 7 * 64


def test_graphs_are_replayed_with_what_the_host_has_written_since(staging, emulated):
    graphs = []
    for size in (32, 64):
        staging.begin_capture()
        staging.upload(0, size)
        staging.download(0, size)
        graphs.append(staging.end_capture())
    assert graphs == [0, 1]
    for value in (3, 5):
        for graph, count in zip(graphs, (8, 16), strict=True):
            floats(staging, 0)[:] = value
            staging.launch(graph)
            staging.synchronise()
            assert (floats(staging, 0)[:count] == value).all()
    staging.release_graphs()
    with pytest.raises(EngineError, match="number of a buffer or graph"):
        staging.launch(0)


def test_a_capture_that_fails_leaves_the_stream_usable(staging):
    staging.begin_capture()
    with pytest.raises(EngineError, match="GPU: waiting for a stream"):
        staging.synchronise()
    with pytest.raises(EngineError, match="GPU: capture of a graph"):
        staging.end_capture()
    staging.begin_capture()
    with pytest.raises(EngineError, match="GPU: waiting for a stream"):
        staging.synchronise()
    staging.drop_capture()
    staging.upload(0)
    staging.synchronise()


def test_another_library_s_work_goes_by_its_stream(staging, emulated):
    floats(staging, 0)[:] = np.arange(16)
    staging.upload(0)
    side = emulated.new_stream()
    emulated.order(staging.stream, side)
    copied = emulated.upload(floats(staging, 0).copy(), side)
    emulated.order(side, staging.stream)
    staging.download(0)
    staging.synchronise()
    assert floats(staging, 0).tolist() == [*range(16)]
    emulated.release(copied)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda module: module.Staging([0]), "sizes .bytes of a buffer.: expected 1 to"),
        (lambda module: module.Staging([16], device=1), "GPU: choosing a device"),
        (lambda module: module.Staging([1 << 39]), "GPU: memory for the engine"),
        (lambda module: module.Staging([16]).upload(1), "number of a buffer or graph: expected 0 to 0, found 1"),
        (lambda module: module.Staging([16]).address(-1), "number of a buffer or graph: expected 0 to 0, found -1"),
        (lambda module: module.Staging([16]).host(1), "number of a buffer or graph"),
        (lambda module: module.Staging([16]).download(0, 17), "size .bytes to copy.: expected 0 to 16, found 17"),
        (lambda module: module.Staging([16]).end_capture(), "GPU: capture of a graph"),
    ],
)
def test_what_cannot_be_is_a_named_error(emulated, call, message):
    with pytest.raises(EngineError, match=message):
        call(emulated)


def test_a_forked_child_is_refused(staging):
    child = os.fork()
    if child == 0:
        refused = 0
        for call in (staging.synchronise, lambda: staging.host(0), lambda: staging.stream):
            try:
                call()
            except EngineError:
                refused += 1
        os._exit(0 if refused == 3 else 1)
    assert os.waitpid(child, 0)[1] == 0
