"""What callers may give an engine, and the named error for everything else: short, with what was expected and found."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest

import adasgn_edge
from adasgn_edge.deploy.model_file import read_model_file, shipped_model, write_model_file
from adasgn_edge.engine import instruction_sets
from adasgn_edge.errors import AdaSGNError, ClipError, EngineError, ModelFileError

torch = pytest.importorskip("torch")

from adasgn_edge.deploy.export import to_model_file  # noqa: E402
from adasgn_edge.model.config import MAX_COORDINATE  # noqa: E402
from adasgn_edge.model.reference import ReferenceClassifier  # noqa: E402
from adasgn_edge.model.weights import load_weights  # noqa: E402
from tests.conftest import POLICY_WEIGHTS  # noqa: E402

LONGEST = 500
RANDOM = np.random.default_rng(0)
CLIPS = RANDOM.standard_normal((2, 20, 22, 3)).astype(np.float32)
FRAMES = CLIPS[0, :4]
FEATURES = RANDOM.random((2, 20, 256)).astype(np.float32)


def with_value(array, value):
    changed = array.copy()
    changed[(1,) + (2,) * (array.ndim - 1)] = value
    return changed


class Raises:
    """An array that is none: whatever is asked of it raises."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __array__(self, dtype=None, copy=None):
        raise self.error

    def __repr__(self) -> str:
        raise self.error


class Path2:
    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return self.path


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "model.adasgn"
    write_model_file(path, to_model_file(load_weights(POLICY_WEIGHTS)))
    return adasgn_edge.load(path, max_batch=4)


def refusal(kind: type[AdaSGNError], call) -> str:
    with pytest.raises(kind) as caught:
        call()
    text = str(caught.value)
    assert "expected" in text
    assert len(text) <= LONGEST
    assert text.isprintable()
    return text


# -- arrays that are as good as others ------------------------------------------------------------------------------

SAME = {
    "read-only": lambda x: np.frombuffer(x.tobytes(), np.float32).reshape(x.shape),
    "negative strides": lambda x: np.ascontiguousarray(x[::-1, :, ::-1])[::-1, :, ::-1],
    "Fortran order": np.asfortranarray,
    "big endian": lambda x: x.astype(">f8"),
    "nested lists": lambda x: x.tolist(),
    "no value masked": lambda x: np.ma.masked_invalid(x),
    "a tensor": torch.tensor,
    "a tensor with gradient": lambda x: torch.tensor(x, requires_grad=True),
    "a parameter": lambda x: torch.nn.Parameter(torch.tensor(x)),
    "a tensor of a computation": lambda x: torch.tensor(x, requires_grad=True) * 1.0,
    "a strided tensor": lambda x: torch.tensor(np.repeat(x, 2, 1))[:, ::2],
    "a tensor of negated values": lambda x: torch._neg_view(torch.tensor(-x)),
    "float64": lambda x: x.astype(np.float64),
}


@pytest.mark.parametrize("name", SAME)
def test_what_holds_the_same_numbers_gives_the_same_result(engine, name):
    make = SAME[name]
    np.testing.assert_array_equal(engine.run(make(CLIPS)).logits, engine.run(CLIPS).logits)
    np.testing.assert_array_equal(engine.run_fuse(make(CLIPS)).logits, engine.run_fuse(CLIPS).logits)
    np.testing.assert_array_equal(engine.policy_features(make(FRAMES)), engine.policy_features(FRAMES))
    np.testing.assert_array_equal(engine.temporal_head(make(FEATURES)), engine.temporal_head(FEATURES))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.int16, torch.uint8])
def test_tensors_of_other_types_are_taken_as_float32(engine, dtype):
    clips = (torch.from_numpy(CLIPS).abs() * 4).to(dtype)
    np.testing.assert_array_equal(engine.run(clips).logits, engine.run(clips.to(torch.float32).numpy()).logits)


@pytest.mark.parametrize(
    "actions",
    [
        np.full((2, 20), 5, np.uint8),
        np.full((2, 20), 5, np.uint64),
        np.full((20, 2), 5, np.int64).T,
        [[5] * 20] * 2,
        torch.full((2, 20), 5),
        np.ma.masked_equal(np.full((2, 20), 5), 4),
    ],
)
def test_actions_of_any_whole_type(engine, actions):
    expected = engine.run(CLIPS, np.full((2, 20), 5, np.int32))
    np.testing.assert_array_equal(engine.run(CLIPS, actions).logits, expected.logits)
    assert (expected.actions == 5).all()


def test_an_empty_batch_is_no_work(engine):
    found = engine.run(CLIPS[:0], features=True)
    assert [array.shape for array in found] == [(0, 14), (0, 20), (0, 20, 256), (0,)]
    assert engine.run(np.zeros((0, 2, 20, 22, 3))).actions.shape == (0, 2, 20)
    assert engine.run_fuse(CLIPS[:0]).logits.shape == (0, 14)
    assert engine.policy_features(FRAMES[:0]).shape == (0, 256)
    assert engine.temporal_head(FEATURES[:0]).shape == (0, 14)


# -- arrays that are not --------------------------------------------------------------------------------------------

NOT_ARRAYS = {
    "nothing": (None, "expected real numbers, found .*object"),
    "text": ("clips", "expected real numbers"),
    "bytes": (b"\0" * 40, "expected real numbers"),
    "ragged": ([[1.0, 2.0], [3.0]], "expected an array of numbers, found list"),
    "a dictionary": ({"clips": CLIPS}, "expected real numbers"),
    "an object that raises": (Raises(RuntimeError("x" * 9999)), "expected an array of numbers, found Raises"),
    "an object that lacks memory": (Raises(MemoryError()), "expected an array of numbers, found Raises"),
    "an object with an odd error": (Raises(KeyError("\x1b[31m\ud800")), "expected an array of numbers, found Raises"),
    "a meta tensor": (torch.zeros(2, 20, 22, 3, device="meta"), "expected a tensor on the CPU, found one on meta"),
    "a sparse tensor": (torch.zeros(2, 20, 22, 3).to_sparse(), "expected an array of numbers, found Tensor"),
    "a complex tensor": (torch.zeros(2, 20, 22, 3, dtype=torch.complex64), "expected real numbers, found .*complex64"),
    "a scalar": (1.0, "expected shape"),
}
TYPES = {
    bool: "expected real numbers, found .*bool",
    complex: "expected real numbers, found .*complex128",
    object: "expected real numbers, found .*object",
    str: "expected real numbers, found .*str",
    "S4": "expected real numbers, found .*bytes",
    "m8[s]": "expected real numbers, found .*timedelta64",  # NumPy counts it among the integers
    "M8[s]": "expected real numbers, found .*datetime64",
    "V8": "expected real numbers, found .*void",
}
CALLS = {
    "run": (lambda e, x: e.run(x), CLIPS),
    "run_fuse": (lambda e, x: e.run_fuse(x), CLIPS),
    "policy_features": (lambda e, x: e.policy_features(x), FRAMES),
    "previous": (lambda e, x: e.policy_features(FRAMES, x), FRAMES),
    "branch_features": (lambda e, x: e.branch_features(x, None, np.zeros(4, int)), FRAMES),
    "known features": (lambda e, x: e.branch_features(FRAMES, None, np.zeros(4, int), x), FEATURES[0, :4]),
    "actions": (lambda e, x: e.actions(x), FEATURES),
    "temporal_head": (lambda e, x: e.temporal_head(x), FEATURES),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.filterwarnings("ignore")
def test_values_that_are_no_clips(engine, call):
    apply, good = CALLS[call]
    optional = call in ("previous", "known features")
    apply(engine, good)
    for name, (value, message) in NOT_ARRAYS.items():
        if value is not None or not optional:
            text = refusal(ClipError, lambda value=value: apply(engine, value))
            assert re.search(message, text), (name, text)
    for dtype, message in TYPES.items():
        text = refusal(ClipError, lambda dtype=dtype: apply(engine, np.zeros(good.shape, dtype)))
        assert re.search(message, text), (dtype, text)
    for value in (np.nan, np.inf, -np.inf, 1e300, -2e18):
        text = refusal(ClipError, lambda value=value: apply(engine, with_value(good.astype(float), value)))
        assert "finite" in text
    masked = np.ma.array(good, mask=with_value(np.zeros(good.shape, bool), True))
    assert "1 of" in refusal(ClipError, lambda: apply(engine, masked))
    assert "fill" in refusal(ClipError, lambda: apply(engine, np.ma.masked_all(good.shape)))
    for shape in ((), (0,), good.shape[1:], (*good.shape, 1), (*good.shape[:-1], 2), (0, *good.shape, 5)):
        assert "expected shape" in refusal(ClipError, lambda shape=shape: apply(engine, np.zeros(shape)))
    huge = np.broadcast_to(np.float64(0), (1 << 40, *good.shape[1:]))
    assert f"found {1 << 40}" in refusal(ClipError, lambda: apply(engine, huge))


def test_coordinates_have_a_bound(engine):
    bound = MAX_COORDINATE
    assert bound == adasgn_edge.engine._native().MAX_COORDINATE == 1e4
    reference = ReferenceClassifier(load_weights(POLICY_WEIGHTS).model)
    for sign in (1, -1):
        assert np.isfinite(engine.run(np.full_like(CLIPS, sign * bound)).logits).all()
        beyond = np.nextafter(np.float32(sign * bound), np.float32(sign * np.inf))
        text = refusal(ClipError, lambda beyond=beyond: engine.run(with_value(CLIPS, beyond)))
        assert "clip 1: expected finite coordinates of at most 10000" in text
        assert "at frame 2, joint 2, coordinate 2" in text
        assert text == refusal(ClipError, lambda beyond=beyond: reference(with_value(CLIPS, beyond)))
    for scale in (1e6, 1e15, 1e19, 1e30, 3e38):  # from 1e19 on products are infinite, and ReLU made zeros of them
        assert "found" in refusal(ClipError, lambda scale=scale: engine.run(CLIPS.astype(float) * scale))
    text = refusal(ClipError, lambda: engine.temporal_head(np.full((1, 20, 256), 3e38)))
    assert text.startswith("features: expected finite values of at most 1e+18, found 3e+38 at position 0")


@pytest.mark.parametrize("name", ["position.hidden.weight", "adjacency.q", "layers.0.itself"])
def test_weights_beyond_what_can_be_computed_are_refused(tmp_path, name):
    """They are finite, and so were the logits: of the NaN that came of them ReLU made zeros."""
    model = to_model_file(load_weights(POLICY_WEIGHTS))
    model.folded.tensors()[f"branches.4.{name}"][:] = 1e37
    path = tmp_path / "model.adasgn"
    write_model_file(path, model)
    text = refusal(ModelFileError, lambda: adasgn_edge.load(path))
    assert "model.adasgn: expected weights whose sums stay within float's range" in text
    assert "after branches.4." in text


def test_persons_and_batches(engine):
    for shape in ((5, 20, 22, 3), (1, 5, 20, 22, 3), (3, 2, 20, 22, 3)):
        assert "max_batch is the most" in refusal(ClipError, lambda shape=shape: engine.run(np.zeros(shape)))
    assert "1 or more persons" in refusal(ClipError, lambda: engine.run(np.zeros((2, 0, 20, 22, 3))))


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.full((2, 20), 6), "expected branch numbers 0 to 5, found 6 at position (0, 0)"),
        (with_value(np.zeros((2, 20), int), -1), "found -1 at position (1, 2)"),
        (with_value(np.zeros((2, 20), int), 1 << 40), f"found {1 << 40}"),
        (with_value(np.zeros((2, 20), np.uint64), (1 << 64) - 1), f"found {(1 << 64) - 1}"),
        (np.zeros((2, 20)), "expected whole numbers, found float64"),
        (np.zeros((2, 20), bool), "expected real numbers, found 'bool'"),
        (np.zeros((2, 19), int), "expected shape (2, 20), found (2, 19)"),
        (np.zeros((2, 1, 20), int), "expected shape (2, 20)"),
        (np.zeros(20, int), "expected shape"),
        (3, "expected shape"),
        ([[0] * 20, [0]], "expected an array of numbers, found list"),
        ("policy", "expected real numbers"),
        (np.ma.masked_all((2, 20), int), "40 of 40 masked"),
        (torch.zeros(2, 20, device="meta"), "expected a tensor on the CPU"),
        (Raises(ValueError("no")), "found Raises"),
    ],
)
def test_actions_that_do_not_fit(engine, actions, message):
    assert message in refusal(ClipError, lambda: engine.run(CLIPS, actions))
    if not (isinstance(actions, np.ndarray) and actions.shape == (2, 20)):
        with pytest.raises(ClipError):
            engine.branch_features(FRAMES, None, actions)


# -- options --------------------------------------------------------------------------------------------------------

BAD_COUNTS = [
    0,
    -1,
    2.5,
    2.0,
    True,
    False,
    "64",
    None,
    [],
    np.float64(2),
    10**12,
    10**5000,
    float("nan"),
    Raises(OSError()),
]
BAD_NAMES = ["", "quantum", b"f32", 32, True, [], {}, ("f32",), "f32\0", "x" * 10**6, "\ud800", Raises(OSError())]


def test_counts_that_are_none():
    for value in BAD_COUNTS:
        text = refusal(EngineError, lambda value=value: adasgn_edge.load(shipped_model(), max_batch=value))
        assert "max_batch: expected a whole number from 1 to 65536" in text
        if value is not None:  # the default
            text = refusal(EngineError, lambda value=value: adasgn_edge.load(shipped_model(), threads=value))
            assert "threads: expected a whole number from 1 to 1024" in text
    assert adasgn_edge.load(shipped_model(), max_batch=np.int64(3), threads=np.uint8(2)).max_batch == 3


def test_names_that_are_none():
    for value in BAD_NAMES:
        refusal(EngineError, lambda value=value: adasgn_edge.load(shipped_model(), precision=value))
        refusal(EngineError, lambda value=value: adasgn_edge.load(shipped_model(), instruction_set=value))
        refusal(EngineError, lambda value=value: adasgn_edge.load(shipped_model(), value))
    assert "found f16" in refusal(EngineError, lambda: adasgn_edge.load(shipped_model(), precision="f16"))
    assert instruction_sets()[0] in refusal(
        EngineError, lambda: adasgn_edge.load(shipped_model(), instruction_set="mmx")
    )


def test_devices():
    for device in (None, "CPU", "cpu:0", "cuda:", "cuda:-1", "cuda:x", "cuda:" + "9" * 5000, "cuda:٣", 0, torch):
        text = refusal(EngineError, lambda device=device: adasgn_edge.load(shipped_model(), device))
        assert 'expected "cpu", "cuda", "cuda:<index>" or "tensorrt"' in text
    assert adasgn_edge.load(shipped_model(), torch.device("cpu")).device == "cpu"
    assert adasgn_edge.load(shipped_model(), str(torch.device("cpu"))).run(CLIPS).logits.shape == (2, 14)


# -- files ----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["engine", "reader", "torch ops", "replay"])
def load(request):
    if request.param == "torch ops":
        return pytest.importorskip("adasgn_edge.torch_ops", exc_type=EngineError).load
    if request.param == "replay":
        from adasgn_edge.replay import Replay

        return Replay.load
    return read_model_file if request.param == "reader" else adasgn_edge.load


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.adasgn"
    path.write_bytes(shipped_model().read_bytes())
    return path


def test_paths_of_every_kind(model):
    for load in (adasgn_edge.load, read_model_file):
        for path in (model, str(model), os.fsencode(model), Path2(str(model)), Path2(os.fsencode(model))):
            load(path)
        odd = model.with_name("mod\udcffèl.adasgn")  # a byte that is no UTF-8
        odd.write_bytes(model.read_bytes())
        load(odd)
        odd.write_bytes(b"no model" * 20)
        assert r"\udcff" in refusal(ModelFileError, lambda load=load, odd=odd: load(odd))


def test_what_is_no_regular_file(load, tmp_path):
    pipe, link = tmp_path / "pipe.adasgn", tmp_path / "link.adasgn"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    folder = tmp_path / "folder.adasgn"
    folder.mkdir()
    for path, found in (
        (pipe, "a pipe"),
        (link, "a device"),
        (folder, "a folder"),
        (tmp_path / "none.adasgn", "No such file"),
        (tmp_path / ("x" * 300 + ".adasgn"), "name too long"),
        (f"{tmp_path}/nul\0.adasgn", "a path with a NUL character"),
        (tmp_path / "\ud800.adasgn", "a path that cannot be one"),
    ):
        text = refusal(ModelFileError, lambda path=path: load(path))
        assert "expected a model file, found" in text
        assert found in text


def test_a_link_to_a_model_is_one(load, model, tmp_path):
    link = tmp_path / "link.adasgn"
    link.symlink_to(model)
    load(link)


def test_what_is_no_path():
    for value in (None, 0, 3.5, [], {}, Path2(3), object()):
        for load in (adasgn_edge.load, read_model_file):
            refusal(ModelFileError, lambda load=load, value=value: load(value))


def test_large_files_are_not_read(load, tmp_path):
    path = tmp_path / "large.adasgn"  # a hole: nothing of it is on the disk, and nothing of it gets into memory
    for size, found in ((1 << 30, "header of"), ((1 << 30) + 1, "at most 1073741824"), (1 << 40, "at most 1073741824")):
        with path.open("wb") as file:
            file.truncate(size)
        assert found in refusal(ModelFileError, lambda: load(path))


def test_a_file_replaced_while_it_is_loaded_gives_one_model_or_the_other(load, model, monkeypatch):
    """Names and weights of two models never mix: the path is opened once."""
    opened = []
    real = os.open

    def counted(path, *rest, **more):
        if os.fsdecode(path) == str(model):
            opened.append(path)
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", counted)
    load(model)
    assert len(opened) == 1


def test_there_is_no_engine_without_a_model():
    native = adasgn_edge.engine._native().Engine
    base = native.__mro__[1]
    for make in (native, lambda: native.__new__(native), lambda: base.__new__(native), lambda: object.__new__(native)):
        with pytest.raises(TypeError):  # not an object whose use would be a crash
            make()


def test_limits_are_those_of_the_compiled_engine():
    native = adasgn_edge.engine._native()
    assert (native.MAX_BATCH, native.MAX_THREADS) == (adasgn_edge.engine.MAX_BATCH, adasgn_edge.engine.MAX_THREADS)
