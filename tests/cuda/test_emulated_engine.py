"""`load(…, device="cuda")` on the emulated device: parity in both precisions on random models and on the trained one
with recorded clips, arrays that lie on the device, errors."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import adasgn_edge  # noqa: E402
from adasgn_edge.data.preprocess import make_clip  # noqa: E402
from adasgn_edge.data.registry import open_dataset  # noqa: E402
from adasgn_edge.errors import ClipError, DatasetError, EngineError  # noqa: E402
from adasgn_edge.export import to_model_file  # noqa: E402
from adasgn_edge.hands import GESTURES, animate  # noqa: E402
from adasgn_edge.model.adasgn import AdaSGN  # noqa: E402
from adasgn_edge.model.spatial import motion  # noqa: E402
from adasgn_edge.model.weights import load_weights, shipped_weights  # noqa: E402
from adasgn_edge.model_file import write_model_file  # noqa: E402
from tests.engine.test_parity import MARGIN, TOLERANCE, check_stages, reference_features, relative_error  # noqa: E402

SCHEDULES = [(True, 32, 32), (False, 32, 32), (False, 64, 64), (False, 128, 128)]
"""A block per frame, or rows of a branch's tile and of the temporal module's."""


@pytest.fixture(autouse=True)
def nothing_found(emulated):
    yield
    assert emulated.findings() == []


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The shipped model: its file, and its weights."""
    weights = load_weights(shipped_weights())
    path = tmp_path_factory.mktemp("shipped") / "shrec14.adasgn"
    write_model_file(path, to_model_file(weights))
    return path, weights


@pytest.fixture(scope="session")
def recorded(trained):
    """Clips for it (N, 20, 22, 3): recorded test clips of all gestures, or animated hands where the data is absent."""
    layout = trained[1].layout
    try:
        dataset = open_dataset("shrec14")
        chosen = dataset.indices("test")[::70]
        tracks = [dataset.tracks(i)[0] for i in chosen]
    except DatasetError:
        tracks = [animate(gesture) for gesture in GESTURES]
    return np.stack([make_clip(track, layout, frames=20) for track in tracks])


def check(path, reference, clips, actions, precision, tolerance, schedule):
    """Features and logits of an engine, with the actions given or its own, against the reference in float64."""
    engine = adasgn_edge.load(path, "cuda", max_batch=len(clips), precision=precision)
    engine._native.force_schedule(*schedule)
    result = engine.run(clips, actions, features=True)
    tensor = torch.as_tensor(clips).double()
    if actions is None and isinstance(reference, AdaSGN):
        moving = motion(tensor).flatten(0, 1)
        features = reference.policy_features(moving).view(len(clips), -1, 256)
        logits = reference.policy(features).numpy()
        top = np.sort(logits, axis=-1)
        decided = top[..., -1] - top[..., -2] > MARGIN
        assert decided.mean() > 0.95
        np.testing.assert_array_equal(result.actions[decided], logits.argmax(-1)[decided])
    features = reference_features(reference, tensor, result.actions)
    assert relative_error(result.features, features) < tolerance
    assert relative_error(result.logits, reference.temporal(features)) < tolerance
    return result


@torch.no_grad()
@pytest.mark.parametrize("schedule", SCHEDULES[:2])
def test_exact(pair, schedule):
    check(pair.path, pair.reference, pair.clips(2), None, "f32", TOLERANCE, schedule)


@torch.no_grad()
@pytest.mark.parametrize(("precision", "schedule"), [("f32", SCHEDULES[0]), *(("f16", s) for s in SCHEDULES)])
def test_trained_model_on_recorded_clips(trained, recorded, precision, schedule):
    """In binary16, the error is at most twice that of PyTorch in binary16 on the same model and clips (BRIEF §7)."""
    path, weights = trained
    reference = weights.model.double().eval()
    tensor = torch.as_tensor(recorded)
    exact = check(path, reference, recorded, None, "f32", TOLERANCE, SCHEDULES[0])
    tolerance = TOLERANCE
    if precision == "f16":
        truth = reference_features(reference, tensor.double(), exact.actions)
        half = load_weights(shipped_weights()).model.half().eval()
        tolerance = 2 * relative_error(reference_features(half, tensor.half(), exact.actions).double(), truth)
        assert tolerance < 0.05
    result = check(path, reference, recorded, None, precision, tolerance, schedule)
    np.testing.assert_array_equal(result.actions, exact.actions)
    np.testing.assert_array_equal(result.logits.argmax(-1), exact.logits.argmax(-1))


class OnDevice:
    """An array on the emulated device, as a library for GPUs would present it."""

    def __init__(self, emulated, array, **changes):
        self.kept = np.ascontiguousarray(array, np.float32)
        address = emulated.upload(self.kept)
        self.__cuda_array_interface__ = {
            "shape": self.kept.shape, "typestr": "<f4", "data": (address, False), "version": 3, **changes
        }  # fmt: skip


class ByDLPack:
    """The same by DLPack; NumPy makes the capsule of memory that is the emulated device's."""

    def __init__(self, emulated, array, number=0):
        address = emulated.upload(np.ascontiguousarray(array))
        memory = (ctypes.c_byte * array.nbytes).from_address(address)
        self.view, self.number = np.frombuffer(memory, array.dtype).reshape(array.shape), number

    def __dlpack_device__(self):
        return 2, self.number

    def __dlpack__(self, *, stream):
        assert stream == 1
        return self.view.__dlpack__()


def test_arrays_by_dlpack(emulated, shrec):
    engine = adasgn_edge.load(shrec.path, "cuda", max_batch=4)
    clips = shrec.clips(4)
    np.testing.assert_array_equal(engine.run(ByDLPack(emulated, clips)).logits, engine.run(clips).logits)
    with pytest.raises(ClipError, match="expected float32 on a GPU, found DLPack type 2 of 64 bits"):
        engine.run(ByDLPack(emulated, clips.astype(np.float64)))
    with pytest.raises(ClipError, match="expected an array on cuda:0, found one on cuda:1"):
        engine.run(ByDLPack(emulated, clips, number=1))
    strided = ByDLPack(emulated, np.repeat(clips, 2, axis=1))
    strided.view = strided.view[:, ::2]
    with pytest.raises(ClipError, match="expected a C-contiguous array"):
        engine.run(strided)


@pytest.mark.parametrize("there_is", [OnDevice, ByDLPack])
def test_arrays_on_the_device(emulated, shrec, there_is):
    engine = adasgn_edge.load(shrec.path, "cuda:0", max_batch=4)
    clips = shrec.clips(4)
    there = there_is(emulated, clips)
    np.testing.assert_array_equal(engine.run(there).logits, engine.run(clips).logits)
    result = engine.run(there, features=True)
    np.testing.assert_array_equal(result.features, engine.run(clips, features=True).features)
    actions = np.full((4, 20), 2)
    np.testing.assert_array_equal(engine.run(there, actions).logits, engine.run(clips, actions).logits)
    np.testing.assert_array_equal(engine.run_fuse(there).logits, engine.run_fuse(clips).logits)
    persons = clips.reshape(2, 2, *clips.shape[1:])
    np.testing.assert_array_equal(engine.run(there_is(emulated, persons)).logits, engine.run(persons).logits)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"typestr": "<f8"}, "expected float32 on a GPU, found <f8"),
        ({"shape": (4, 20, 21, 3)}, r"expected shape .*found \(4, 20, 21, 3\)"),
        ({"strides": (1, 2, 3, 4)}, "expected a C-contiguous array"),
        ({"stream": 0}, "expected a stream that is not 0"),
    ],
)
def test_arrays_on_the_device_that_do_not_fit(emulated, shrec, changes, message):
    engine = adasgn_edge.load(shrec.path, "cuda", max_batch=4)
    with pytest.raises(ClipError, match=message):
        engine.run(OnDevice(emulated, shrec.clips(4), **changes))


def test_values_on_the_device_that_are_not_finite(emulated, shrec):
    engine = adasgn_edge.load(shrec.path, "cuda", max_batch=2)
    clips = shrec.clips(2)
    clips[1, 7, 3, 2] = np.nan
    for given in (clips, OnDevice(emulated, clips)):
        with pytest.raises(ClipError, match=r"clip 1: .*found nan at frame 7, joint 3, coordinate 2"):
            engine.run(given)
    assert np.isfinite(engine.run(shrec.clips(2)).logits).all()


def test_options_that_cannot_be_had(shrec):
    for options in (
        {"device": "cuda:1"}, {"device": "cuda:x"}, {"device": "cpu:0"}, {"device": "cuda", "threads": 2},
        {"device": "cuda", "instruction_set": "avx2"}, {"device": "cuda", "precision": "f64"},
        {"device": "cuda", "max_batch": 0},
    ):  # fmt: skip
        with pytest.raises(EngineError, match=r"expected .*, found"):
            adasgn_edge.load(shrec.path, **options)


def test_stages_put_together_are_run(shrec):
    engine = adasgn_edge.load(shrec.path, "cuda", max_batch=2, precision="f32")
    engine.prepare(2)
    check_stages(engine, shrec)
