"""The torch ops on a GPU: the cases that the emulated device passes too, and what only a GPU can show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from adasgn_edge.errors import EngineError  # noqa: E402
from adasgn_edge.installation.build_info import read_build  # noqa: E402

torch_ops = pytest.importorskip("adasgn_edge.torch_ops", exc_type=EngineError, reason="the torch ops are not built")

from tests.cuda.torch_ops_cases import *  # noqa: E402, F403


class GpuPlace:
    """A GPU by its index; Place of torch_ops_cases.py."""

    def __init__(self, index: int) -> None:
        self.name = f"cuda:{index}"
        self.streams = [torch.cuda.Stream(self.name) for _ in range(2)]

    def tensor(self, array) -> torch.Tensor:
        return torch.from_numpy(np.asarray(array)).to(self.name)

    def route(self, actions: torch.Tensor, branches: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.ops.adasgn_edge.route(actions, branches)

    def stream(self, number: int) -> torch.cuda.StreamContext:
        stream = self.streams[number - 1]
        stream.wait_stream(torch.cuda.default_stream(self.name))
        return torch.cuda.stream(stream)

    def wait(self) -> None:
        torch.cuda.synchronize(self.name)

    def capture(self, function: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, Callable[[], None]]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.name):
            function()
            with torch.cuda.graph(graph, stream=self.streams[0]):
                result = function()
        return result, graph.replay


@pytest.fixture
def place(index: int) -> GpuPlace:
    part = read_build().torch_cuda
    if not part.built:
        pytest.skip(f"no CUDA device for the torch ops, whose CUDA part is missing: {part.reason}")
    return GpuPlace(index)


def test_nothing_waits(place, shrec):
    """Every op returns while its stream is still busy with what was there before."""
    model = torch_ops.load(shrec.path, place.name, max_batch=4)
    clips = place.tensor(shrec.clips(4))
    actions = place.tensor(np.zeros((4, 20), np.int32))

    def all_ops():
        frames = clips.flatten(0, 1)
        features = model.policy_features(frames)
        model.actions(features.view(4, 20, 256))
        model.branch_features(frames, None, actions.flatten(), features)
        model.branch_forward(frames, None, 1)
        model.temporal_head(features.view(4, 20, 256))
        order, _ = torch.ops.adasgn_edge.route(actions.flatten(), 6)
        torch.ops.adasgn_edge.scatter(torch.ops.adasgn_edge.gather(frames, order), order, 80)
        return model(clips), model(clips, actions), model.run_fuse(clips).logits

    with torch.cuda.device(place.name):
        all_ops()  # loads the kernels
        torch.cuda.synchronize()
        torch.cuda._sleep(1 << 30)
        all_ops()
        assert not torch.cuda.current_stream().query()


def test_a_second_stream_waits_for_the_first(place, shrec):
    """The scratch memory is one: what runs on the second stream comes after what the first still has to do."""
    model = torch_ops.load(shrec.path, place.name, max_batch=4)
    clips = place.tensor(shrec.clips(4))
    expected = model(clips).logits
    done = torch.cuda.Event()
    with place.stream(1):
        torch.cuda._sleep(1 << 28)
        first = model(clips).logits
        done.record()
    with place.stream(2):
        second = model(clips).logits
        torch.cuda.current_stream(place.name).synchronize()
    assert done.query()
    assert torch.equal(first, expected)
    assert torch.equal(second, expected)


def test_runs_with_forced_actions_are_captured(place, shrec):
    model = torch_ops.load(shrec.path, place.name, max_batch=4)
    clips, actions = place.tensor(shrec.clips(4)), place.tensor(np.zeros((4, 20), np.int32))
    result, replay = place.capture(lambda: model(clips, actions).logits + model.run_fuse(clips).logits)
    for branch in (0, 5, 7):
        actions.fill_(branch)
        replay()
        expected = model(clips, actions).logits + model.run_fuse(clips).logits
        assert torch.equal(result, expected) or (branch == 7 and result.isnan().all())


@pytest.mark.slow
def test_inductor(place, shrec):
    torch._dynamo.reset()
    model = torch_ops.load(shrec.path, place.name)
    compiled = torch.compile(
        lambda clips: model(clips * 0.5).logits.softmax(-1), fullgraph=True, mode="reduce-overhead"
    )
    for seed in range(4):
        clips = place.tensor(shrec.clips(8, seed))
        torch.testing.assert_close(compiled(clips), model(clips * 0.5).logits.softmax(-1), rtol=1e-4, atol=1e-5)


def test_a_device_without_index_is_the_current_one(place, shrec):
    with torch.cuda.device(place.name):
        model = torch_ops.load(shrec.path, "cuda", max_batch=2)
    assert str(model.device) == place.name
    assert model(place.tensor(shrec.clips(2))).logits.device == model.device  # whichever device is current
