"""`adasgn_edge.load(…, device="cuda")` on a GPU: parity in both precisions, arrays that lie there, errors."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import adasgn_edge  # noqa: E402
from adasgn_edge.data.preprocess import make_clip  # noqa: E402
from adasgn_edge.deploy.export import to_model_file  # noqa: E402
from adasgn_edge.deploy.model_file import write_model_file  # noqa: E402
from adasgn_edge.errors import ClipError, EngineError  # noqa: E402
from adasgn_edge.hands import GESTURES, animate  # noqa: E402
from adasgn_edge.model.weights import load_weights  # noqa: E402
from tests.conftest import POLICY_WEIGHTS  # noqa: E402
from tests.engine.test_parity import TOLERANCE, reference_features, relative_error  # noqa: E402


@torch.no_grad()
@pytest.mark.parametrize("batch", [1, 64])
def test_run_agrees_with_the_reference(pair, batch):
    clips = pair.clips(batch)
    result = adasgn_edge.load(pair.path, "cuda", precision="f32").run(clips, features=True)
    same = result.actions == adasgn_edge.load(pair.path).run(clips).actions
    assert same.mean() > 0.998  # two logits may lie closer together than rounding
    features = reference_features(pair.reference, torch.from_numpy(clips).double(), result.actions)
    assert relative_error(result.features, features) < TOLERANCE
    assert relative_error(result.logits, pair.reference.temporal(features)) < TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize("repeats", [1, 16])  # a block per frame; tiles
def test_the_trained_model_in_binary16(tmp_path, repeats):
    """The error is at most twice that of PyTorch in binary16 on the same model and clips
    (docs/benchmarks.md)."""
    weights = load_weights(POLICY_WEIGHTS)
    write_model_file(tmp_path / "shrec14.adasgn", to_model_file(weights))
    clips = np.stack([make_clip(animate(gesture), weights.layout, frames=20) for gesture in GESTURES] * repeats)
    engine = adasgn_edge.load(tmp_path / "shrec14.adasgn", "cuda", max_batch=len(clips))
    assert engine.precision == "f16"
    result = engine.run(clips, features=True)
    tensor, reference = torch.from_numpy(clips), weights.model.double().eval()
    truth = reference_features(reference, tensor.double(), result.actions)
    half = load_weights(POLICY_WEIGHTS).model.half().eval()
    tolerance = 2 * relative_error(reference_features(half, tensor.half(), result.actions).double(), truth)
    assert relative_error(result.features, truth) < tolerance < 0.05
    exact = adasgn_edge.load(tmp_path / "shrec14.adasgn", max_batch=len(clips)).run(clips)
    np.testing.assert_array_equal(result.actions, exact.actions)
    np.testing.assert_array_equal(result.logits.argmax(-1), exact.logits.argmax(-1))


def test_arrays_on_the_device(shrec, index):
    """Torch's tensors say where they lie by DLPack, on whichever stream."""
    engine = adasgn_edge.load(shrec.path, f"cuda:{index}", max_batch=4)
    clips = shrec.clips(4)
    with torch.cuda.device(index), torch.cuda.stream(torch.cuda.Stream()):
        there = torch.from_numpy(clips).cuda()
        np.testing.assert_array_equal(engine.run(there).logits, engine.run(clips).logits)
        np.testing.assert_array_equal(engine.run_fuse(there).logits, engine.run_fuse(clips).logits)
        with pytest.raises(ClipError, match="C-contiguous"):
            engine.run(there.transpose(0, 1).contiguous().transpose(0, 1))
        with pytest.raises(ClipError, match="float32"):
            engine.run(there.double())


class ByInterface:
    """A tensor that offers ``__cuda_array_interface__`` alone."""

    def __init__(self, tensor, **changes):
        self.kept = tensor
        self.__cuda_array_interface__ = {**tensor.__cuda_array_interface__, **changes}


@pytest.mark.parametrize(
    "offered",
    [
        pytest.param(lambda tensor, stream: tensor, id="DLPack"),
        pytest.param(lambda tensor, stream: ByInterface(tensor, version=3, stream=stream), id="interface"),
        pytest.param(lambda tensor, stream: ByInterface(tensor), id="interface without a stream"),
    ],
)
def test_a_tensor_that_is_still_being_computed(shrec, index, offered):
    engine = adasgn_edge.load(shrec.path, f"cuda:{index}", max_batch=4)
    clips = shrec.clips(4)
    with torch.cuda.device(index):
        finished = torch.from_numpy(clips).cuda()
        late, side = torch.zeros_like(finished), torch.cuda.Stream()
        before = engine.run(late).logits  # and all is loaded: the next run begins at once
        torch.cuda.synchronize()
        with torch.cuda.stream(side):
            torch.cuda._sleep(1 << 28)  # a tenth of a second
            late.copy_(finished)
            assert not side.query()
            found = engine.run(offered(late, side.cuda_stream)).logits
    np.testing.assert_array_equal(found, engine.run(clips).logits)
    assert not np.array_equal(found, before)


def test_values_that_do_not_fit(shrec):
    engine = adasgn_edge.load(shrec.path, "cuda", max_batch=2)
    clips = shrec.clips(2)
    clips[1, 7, 3, 2] = np.nan
    for given in (clips, torch.from_numpy(clips).cuda()):
        with pytest.raises(ClipError, match=r"clip 1: .*found nan at frame 7, joint 3, coordinate 2"):
            engine.run(given)
    with pytest.raises(ClipError, match="found 6"):
        engine.run(shrec.clips(2), np.full((2, 20), 6))
    assert np.isfinite(engine.run(shrec.clips(2)).logits).all()


def test_a_device_that_is_not_there(shrec):
    with pytest.raises(EngineError, match="device: expected a GPU below"):
        adasgn_edge.load(shrec.path, "cuda:99")
