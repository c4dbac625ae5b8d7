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
from adasgn_edge.deploy.export import to_model_file  # noqa: E402
from adasgn_edge.deploy.model_file import read_model_file, shipped_model, write_model_file  # noqa: E402
from adasgn_edge.errors import ClipError, DatasetError, EngineError  # noqa: E402
from adasgn_edge.hands import GESTURES, animate  # noqa: E402
from adasgn_edge.model.adasgn import AdaSGN  # noqa: E402
from adasgn_edge.model.spatial import motion  # noqa: E402
from adasgn_edge.model.weights import load_weights, shipped_weights  # noqa: E402
from tests.conftest import POLICY_WEIGHTS  # noqa: E402
from tests.engine.test_parity import MARGIN, TOLERANCE, check_stages, reference_features, relative_error  # noqa: E402

WHOLE_CLIPS = (True, 32, 32, True)
SCHEDULES = [(True, 32, 32), (False, 32, 32), (False, 64, 64), (False, 128, 128), WHOLE_CLIPS]
"""A block per frame, or rows of a branch's tile and of the temporal module's; or clips in one launch."""


@pytest.fixture(autouse=True)
def nothing_found(emulated):
    yield
    assert emulated.findings() == []


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """AdaSGN with a policy: its file, and its weights."""
    weights = load_weights(POLICY_WEIGHTS)
    path = tmp_path_factory.mktemp("policy") / "shrec14.adasgn"
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
    config = read_model_file(pair.path).folded.config
    first = config.branches[0]
    plain = (first.joints, first.size) == (1, "small")
    frame_blocks = first.pose or plain if config.adaptive else not first.pose or config.routes
    if schedule[0] and not frame_blocks:
        engine = adasgn_edge.load(pair.path, "cuda", max_batch=2, precision="f32")
        with pytest.raises(EngineError, match="schedule: expected tiles for a policy that looks at a big branch"):
            engine._native.force_schedule(*schedule)
        return
    check(pair.path, pair.reference, pair.clips(2), None, "f32", TOLERANCE, schedule)


@pytest.fixture
def large(emulated):
    """A device that has as many blocks at once as the emulator runs."""
    emulated.set_multiprocessors(66)
    yield
    emulated.set_multiprocessors(16)


@torch.no_grad()
@pytest.mark.parametrize(("precision", "schedule"), [("f32", SCHEDULES[0]), *(("f16", s) for s in SCHEDULES)])
def test_trained_model_on_recorded_clips(large, trained, recorded, precision, schedule):
    """In binary16, the error is at most twice that of PyTorch in binary16 on the same model and clips
    (docs/benchmarks.md)."""
    path, weights = trained
    reference = weights.model.double().eval()
    tensor = torch.as_tensor(recorded)
    exact = check(path, reference, recorded, None, "f32", TOLERANCE, SCHEDULES[0])
    tolerance = TOLERANCE
    if precision == "f16":
        truth = reference_features(reference, tensor.double(), exact.actions)
        half = load_weights(POLICY_WEIGHTS).model.half().eval()
        tolerance = 2 * relative_error(reference_features(half, tensor.half(), exact.actions).double(), truth)
        assert tolerance < 0.05
    result = check(path, reference, recorded, None, precision, tolerance, schedule)
    np.testing.assert_array_equal(result.actions, exact.actions)
    np.testing.assert_array_equal(result.logits.argmax(-1), exact.logits.argmax(-1))


@torch.no_grad()
@pytest.mark.parametrize(("precision", "tolerance"), [("f32", 1e-5), ("f16", 5e-3)])
def test_shipped_model_escalates_on_recorded_clips(recorded, precision, tolerance):
    """Probabilities, and where clips end, at every effort of one engine; clips near a threshold may end elsewhere."""
    weights = load_weights(shipped_weights())
    model, clips = weights.model.double().eval(), torch.as_tensor(recorded).double()
    engine = adasgn_edge.load(shipped_model(), "cuda", max_batch=len(recorded), precision=precision)
    first = model.branch_logits(clips)[0].softmax(-1).amax(-1).numpy()
    taken = set()
    for effort in (0.0, 0.1, 0.5, 1.0):
        threshold = weights.effort.threshold(effort)
        expected, result = model(clips, threshold), engine.run(recorded, effort=effort)
        decided = np.abs(first - threshold) > tolerance
        assert decided.mean() > 0.8
        np.testing.assert_array_equal(result.actions[decided], expected.actions.numpy()[decided])
        error = np.abs(np.exp(result.logits) - expected.logits.exp().numpy())[decided].max()
        assert error < tolerance
        taken |= set(result.actions.ravel().tolist())
    assert taken == {0, 1}


class OnDevice:
    """An array on the emulated device, as a library for GPUs would present it: a stream of its own writes it."""

    def __init__(self, emulated, array, **changes):
        self.kept, self.stream = np.ascontiguousarray(array, np.float32), emulated.new_stream()
        address = emulated.upload(self.kept, self.stream)
        self.__cuda_array_interface__ = {
            "shape": self.kept.shape, "typestr": "<f4", "data": (address, False), "version": 3,
            "stream": self.stream, **changes
        }  # fmt: skip


class Nameless(OnDevice):
    """As torch: version 2, which has no place for the stream."""

    def __init__(self, emulated, array):
        super().__init__(emulated, array)
        del self.__cuda_array_interface__["stream"]
        self.__cuda_array_interface__["version"] = 2


class DLTensor(ctypes.Structure):
    """DLPack's, with its device and its element's type."""

    _fields_ = (
        ("data", ctypes.c_void_p), ("device", ctypes.c_int32 * 2), ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )  # fmt: skip


class DLManagedTensor(ctypes.Structure):
    """What a capsule "dltensor" holds."""

    _fields_ = (("tensor", DLTensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


class DLManagedTensorVersioned(ctypes.Structure):
    """What a capsule "dltensor_versioned" holds."""

    _fields_ = (
        ("version", ctypes.c_uint32 * 2), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64), ("tensor", DLTensor),
    )  # fmt: skip


class ByDLPack:
    """The same by DLPack; the changes are to the tensor's fields, and to the capsule's version and flags.

    asked: what the consumer asked for at each export; freed: how often a tensor's deleter was called.
    """

    skipped = 2
    """Floats before the array, by its byte offset."""

    def __init__(self, emulated, array, place=(2, 0), version=(1, 1), flags=0, deleter=True, **changes):
        self.emulated, self.place, self.version, self.flags = emulated, place, version, flags
        self.kept = np.concatenate([np.zeros(self.skipped, array.dtype), array.ravel()])
        self.stream = emulated.new_stream()
        self.address = emulated.upload(self.kept, self.stream)
        extents = (ctypes.c_int64 * array.ndim)(*array.shape)
        strides = (ctypes.c_int64 * array.ndim)(*(stride // array.itemsize for stride in array.strides))
        self.fields = {
            "data": self.address, "device": (ctypes.c_int32 * 2)(*place), "ndim": array.ndim, "code": 2,
            "bits": 8 * array.itemsize, "lanes": 1, "shape": extents, "strides": strides,
            "byte_offset": self.skipped * array.itemsize, **changes,
        }  # fmt: skip
        self.asked, self.exports, self.freed = [], [], 0
        self.deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.free)
        self.function = ctypes.cast(self.deleter, ctypes.c_void_p).value if deleter else None

    def free(self, managed):
        assert managed in [ctypes.addressof(export) for export in self.exports]
        self.freed += 1

    def __dlpack_device__(self):
        return self.place

    def __dlpack__(self, *, stream, max_version=None):
        self.asked.append((stream, max_version))
        self.emulated.order(self.stream, stream)
        if max_version is None:
            self.exports.append(DLManagedTensor(DLTensor(**self.fields), None, self.function))
            return new_capsule(self.exports[-1], b"dltensor")
        version = (ctypes.c_uint32 * 2)(*self.version)
        tensor = DLTensor(**self.fields)
        self.exports.append(DLManagedTensorVersioned(version, None, self.function, self.flags, tensor))
        return new_capsule(self.exports[-1], b"dltensor_versioned")


class ByOldDLPack(ByDLPack):
    """As libraries that know no versions."""

    def __dlpack__(self, *, stream):
        return super().__dlpack__(stream=stream)


def new_capsule(managed, name):
    function = ctypes.pythonapi.PyCapsule_New
    function.restype, function.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    return function(ctypes.addressof(managed), name, None)


@pytest.mark.parametrize("kind", [ByDLPack, ByOldDLPack])
def test_dlpack_is_given_the_engine_s_stream_and_its_tensor_back(emulated, shrec, kind):
    engine = adasgn_edge.load(shrec.path, "cuda", max_batch=1)
    clips = shrec.clips(1)
    there = kind(emulated, clips)
    np.testing.assert_array_equal(engine.run(there).logits, engine.run(clips).logits)
    assert there.asked == [(engine._native.stream, (1, 0) if kind is ByDLPack else None)]
    assert there.freed == 1
    engine.run_fuse(there)
    assert (len(there.asked), there.freed) == (2, 2)


def test_a_tensor_lives_until_the_run_has_ended(emulated, shrec, monkeypatch):
    engine = adasgn_edge.load(shrec.path, "cuda", max_batch=1)
    there = ByDLPack(emulated, shrec.clips(1))

    class Native:
        def __getattr__(self, name):
            return getattr(native, name)

        def run_device(self, *arguments, **options):
            result = native.run_device(*arguments, **options)
            assert there.freed == 0
            return result

    native, engine._native = engine._native, Native()
    engine.run(there)
    assert there.freed == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"place": (13, 7)},  # managed memory: every device reads it
        {"flags": 1},  # read-only, which is enough
        {"flags": 2},  # a copy
        {"deleter": False},
        {"strides": None},
    ],
)
def test_what_dlpack_may_offer(emulated, shrec, changes):
    engine = adasgn_edge.load(shrec.path, "cuda", max_batch=1)
    clips = shrec.clips(1)
    there = ByDLPack(emulated, clips, **changes)
    np.testing.assert_array_equal(engine.run(there).logits, engine.run(clips).logits)
    assert there.freed == (1 if there.function else 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"code": 0}, "expected float32 on a GPU, found DLPack type 0 of 32 bits"),
        ({"bits": 16}, "expected float32 on a GPU, found DLPack type 2 of 16 bits"),
        ({"lanes": 2}, "expected float32 on a GPU, found DLPack type 2 of 32 bits, 2 lanes"),
        ({"device": (ctypes.c_int32 * 2)(2, 1)}, r"expected a tensor on DLPack device \(2, 0\).*found \(2, 1\)"),
        ({"strides": (ctypes.c_int64 * 4)(1, 2, 3, 4)}, r"expected a C-contiguous array .*strides \(1, 2, 3, 4\)"),
        ({"ndim": 3, "strides": None}, r"expected shape .*found \(1, 20, 22\)"),
        ({"version": (2, 0)}, "expected DLPack of version 1 or before, found version 2"),
    ],
)
def test_tensors_that_do_not_fit_are_given_back(emulated, shrec, changes, message):
    engine = adasgn_edge.load(shrec.path, "cuda", max_batch=1)
    there = ByDLPack(emulated, shrec.clips(1), **changes)
    with pytest.raises(ClipError, match=message):
        engine.run(there)
    assert there.freed == 1


def test_a_run_that_fails_gives_its_tensor_back(emulated, shrec):
    engine = adasgn_edge.load(shrec.path, "cuda", max_batch=1)
    clips = shrec.clips(1)
    clips[0, 3, 0, 0] = np.inf
    there = ByDLPack(emulated, clips)
    for _ in range(2):
        with pytest.raises(ClipError, match=r"clip 0: .*found inf at frame 3"):
            engine.run(there)
    assert there.freed == 2


def test_libraries_that_break_dlpack(emulated, shrec):
    engine = adasgn_edge.load(shrec.path, "cuda", max_batch=1)

    class Twice(ByDLPack):
        def __dlpack__(self, **asked):
            self.capsule = getattr(self, "capsule", None) or super().__dlpack__(**asked)
            return self.capsule

    class Refuses(ByDLPack):
        def __dlpack__(self, **asked):
            raise BufferError("not now")

    class Mistaken(ByDLPack):
        def __dlpack__(self, **asked):
            return self

    there = Twice(emulated, shrec.clips(1))
    engine.run(there)
    with pytest.raises(ClipError, match="expected a DLPack capsule with a tensor, found one that has been used"):
        engine.run(there)
    assert there.freed == 1
    with pytest.raises(ClipError, match=r"found Refuses, which does not say so \('not now'\)"):
        engine.run(Refuses(emulated, shrec.clips(1)))
    with pytest.raises(ClipError, match="expected a DLPack capsule with a tensor, found something else"):
        engine.run(Mistaken(emulated, shrec.clips(1)))
    elsewhere = ByDLPack(emulated, shrec.clips(1), place=(2, 1))
    with pytest.raises(ClipError, match="expected an array on cuda:0, found one on cuda:1"):
        engine.run(elsewhere)
    assert not elsewhere.asked


def test_dlpack_comes_first(emulated, shrec):
    """It alone can wait for an array whose library does not name the stream."""
    engine = adasgn_edge.load(shrec.path, "cuda", max_batch=1)
    clips = shrec.clips(1)

    class Both(ByDLPack):
        @property
        def __cuda_array_interface__(self):
            raise AssertionError("asked for")

    np.testing.assert_array_equal(engine.run(Both(emulated, clips)).logits, engine.run(clips).logits)


@pytest.mark.parametrize("stream", ["own", 1, 2, None, "absent"])
def test_what_an_interface_is_waited_for(emulated, shrec, stream):
    """The stream that it names; all work of the device where it names none."""
    engine = adasgn_edge.load(shrec.path, "cuda", max_batch=1)
    clips = shrec.clips(1)
    there = Nameless(emulated, clips) if stream == "absent" else OnDevice(emulated, clips)
    if stream != "absent":
        stream = there.stream if stream == "own" else stream
        there.__cuda_array_interface__["stream"] = stream
    if stream in (1, 2):
        emulated.order(there.stream, stream)
    waits = []

    class Native:
        def __getattr__(self, name):
            return getattr(native, name)

        def wait_for(self, other):
            waits.append(other)
            native.wait_for(other)

    native, engine._native = engine._native, Native()
    np.testing.assert_array_equal(engine.run(there).logits, engine.run(clips).logits)
    assert waits == [None if stream == "absent" else stream]


@pytest.mark.parametrize("there_is", [OnDevice, Nameless, ByDLPack])
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
