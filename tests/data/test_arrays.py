"""NumPy files: the documented shapes are read, others are errors that say how to mend them; no byte is trusted."""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adasgn_edge.data import arrays, reading
from adasgn_edge.data.clips import read_bodies
from adasgn_edge.errors import AdaSGNError, ClipError, DatasetError
from adasgn_edge.hands import animate
from adasgn_edge.skeletons import load_layout

LAYOUT = load_layout("shrec22")
CLIP = animate("Swipe Up", seed=3)[:30]  # (30, 22, 3)
PAIR = np.stack([CLIP, CLIP + np.float32(0.5)])


def saved(path: Path, array: np.ndarray, name: str = "positions", **others: np.ndarray) -> Path:
    np.savez(path, **{name: array}, **others)
    return path


def check(path: Path, expected: np.ndarray = CLIP) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_bodies(path, LAYOUT)
    expected = expected[None] if expected.ndim == 3 else expected
    assert len(found) == len(expected)
    for body, positions in zip(found, expected, strict=True):
        assert body.frames.tolist() == list(range(len(positions)))
        assert body.positions.dtype == np.float32
        assert body.positions.flags.c_contiguous
        np.testing.assert_allclose(body.positions, positions, rtol=1e-3)


def refuse(path: Path, message: str, error: type[AdaSGNError] = ClipError) -> None:
    with pytest.raises(error, match=message) as caught:
        read_bodies(path, LAYOUT)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).replace(str(path), "")) < 500


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "f8", "f2", "longdouble"])
def test_archives(tmp_path: Path, dtype: str, compressed: bool) -> None:
    path = tmp_path / "clip.NPZ"
    with path.open("wb") as file:
        (np.savez_compressed if compressed else np.savez)(file, positions=CLIP.astype(dtype), fps=30)
    check(path)
    check(saved(tmp_path / "pair.npz", PAIR.astype(dtype)), PAIR)
    check(saved(tmp_path / "fortran.npz", np.asfortranarray(PAIR)), PAIR)


def test_integers(tmp_path: Path) -> None:
    millimetres = (CLIP * 1000).astype(np.int32)
    check(saved(tmp_path / "clip.npz", millimetres), millimetres.astype(np.float32))


def test_arrays_by_other_names_and_flat_ones(tmp_path: Path) -> None:
    np.savez(tmp_path / "clip.npz", CLIP)
    check(tmp_path / "clip.npz")
    np.save(tmp_path / "clip.npy", CLIP)
    check(tmp_path / "clip.npy")
    (tmp_path / "clip.npy").rename(tmp_path / "renamed.npz")
    check(tmp_path / "renamed.npz")
    for name in ("keypoint", "skeletons", "my_hand", "data"):
        check(saved(tmp_path / "clip.npz", CLIP, name, fps=np.array(30), label=np.array("up")))
    check(saved(tmp_path / "clip.npz", CLIP.reshape(len(CLIP), -1)))


def test_other_arrays_are_named_or_must_be_told_apart(tmp_path: Path) -> None:
    path = saved(tmp_path / "clip.npz", CLIP, "keypoint", keypoint_score=CLIP[..., 0])
    with pytest.warns(UserWarning, match=r"read 'keypoint'; arrays not used: keypoint_score \(30, 22\)"):
        read_bodies(path, LAYOUT)
    path = saved(tmp_path / "clip.npz", CLIP, "left", right=CLIP)
    refuse(path, r"expected an array 'positions', found left \(30, 22, 3\), right \(30, 22, 3\)", DatasetError)
    np.savez(tmp_path / "clip.npz")
    refuse(tmp_path / "clip.npz", "expected an array 'positions', found no arrays", DatasetError)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (PAIR.transpose(1, 0, 2, 3), r"30 persons in 2 frames; they look swapped: np.swapaxes\(a, 0, 1\)"),
        (CLIP[:, None], r"30 persons in 1 frames; they look swapped: np.swapaxes\(a, 0, 1\)"),
        (PAIR.transpose(3, 1, 2, 0), r"\(coordinates, frames, joints, persons\): np.transpose\(a, \(3, 1, 2, 0\)\)"),
        (PAIR.transpose(0, 3, 1, 2), r"\(persons, coordinates, frames, joints\): np.transpose\(a, \(0, 2, 3, 1\)\)"),
        (CLIP.transpose(2, 0, 1), r"\(coordinates, frames, joints\): np.transpose\(a, \(1, 2, 0\)\)"),
        (CLIP.transpose(1, 0, 2), r"\(joints, frames, coordinates\): np.transpose\(a, \(1, 0, 2\)\)"),
        (CLIP.transpose(0, 2, 1), r"\(frames, coordinates, joints\): np.transpose\(a, \(0, 2, 1\)\)"),
        (CLIP.reshape(30, -1).T, r"frames and coordinates look swapped: a.T"),
        (PAIR.transpose(3, 1, 2, 0)[None], r"found \(1, 3, 30, 22, 2\): one clip is read: a\[0\] of shape"),
        (CLIP[..., :2], r"x and y alone; the model needs three-dimensional coordinates"),
        (np.concatenate([CLIP, CLIP[..., :1]], -1), r"a fourth number beside x, y, z.*a\[..., :3\]"),
        (CLIP[0], r"found \(22, 3\): a single frame"),
        (
            CLIP[:, :21],
            r"21 joints: perhaps read with --source interhand-21, mano-21, mano-21-joint-order, mediapipe",
        ),
        (
            CLIP[:, :21].reshape(30, 63),
            r"found \(30, 63\); 21 joints: perhaps read with --source interhand-21, mano-21, ",
        ),
        (CLIP.ravel(), r"expected shape .* found \(1980,\)"),
        (np.float32(1), r"expected shape .* found \(\)"),
        (np.zeros((2, 2, 2, 2, 2, 2)), r"expected shape .* found \(2, 2, 2, 2, 2, 2\)"),
        (np.zeros((0, 22, 3)), "with at least one frame, found none"),
        (np.zeros((2, 0, 22, 3)), "with at least one frame, found none"),
        (np.zeros((0, 5, 22, 3)), "with at least one person, found none"),
        (CLIP.astype(str), "expected numbers in 'positions', found <U"),
        (CLIP.astype(complex), "expected numbers in 'positions', found complex128"),
        (CLIP > 0, "expected numbers in 'positions', found bool"),
        (np.zeros(5, dtype=[("x", "f4"), ("y", "f4")]), "an array of records with the fields x, y"),
        (np.full((4, 22, 3), "2024-01-01", "M8[s]"), "expected numbers in 'positions', found datetime64"),
    ],
)
def test_other_shapes_and_kinds(tmp_path: Path, array: np.ndarray, message: str) -> None:
    refuse(saved(tmp_path / "clip.npz", array), message)
    np.save(tmp_path / "clip.npy", array)
    refuse(tmp_path / "clip.npy", message.replace("in 'positions'", "in the array"))


def test_missing_and_infinite(tmp_path: Path) -> None:
    clip = PAIR.copy()
    clip[1, 2, 6, 1] = np.nan
    _, second = read_bodies(saved(tmp_path / "clip.npz", clip), LAYOUT)
    assert np.isnan(second.positions[2, 6]).all()
    assert np.isnan(second.positions).sum() == 3
    for value in (np.inf, -np.inf, 1e39):
        wide = clip.astype(np.float64)
        wide[1, 4, 3, 0] = value
        refuse(saved(tmp_path / "clip.npz", wide), "person 2: .* found infinity in frame 4, joint 'thumb_joint_1'")


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    objects = np.empty(2, dtype=object)
    objects[:] = [CLIP[0], CLIP[1]]
    for path in (tmp_path / "clip.npz", tmp_path / "clip.npy"):
        if path.suffix == ".npz":
            np.savez(path, positions=objects)
        else:
            np.save(path, objects)
        refuse(path, r"found Python objects \(pickled\)", DatasetError)


def forged(header: bytes, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    size = (len(header) + 1).to_bytes(2 if version == b"\x01\x00" else 4, "little")
    return b"\x93NUMPY" + version + size + header + b"\n" + data


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 22, 3), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 22, 3), }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (10, 22, 3), }",
        b"{'descr': '<f8', 'fortran_order': 3, 'shape': (0, 22, 3), }",
        b"{'descr': 'what', 'fortran_order': False, 'shape': (0, 22, 3), }",
        b"{'descr': '<f8'}",
        b"[" * 2000,
        b"(" * 90 + b")" * 90,
        b"__import__('os').system('false')",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (" + b"9" * 8000 + b",)}",
        b"\xff\xfe",
        b"",
    ],
)
def test_forged_headers(tmp_path: Path, header: bytes) -> None:
    for version in (b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"):
        content = forged(header, b"12345678", version)
        (tmp_path / "clip.npy").write_bytes(content)
        refuse(tmp_path / "clip.npy", "found a damaged", DatasetError)
        with zipfile.ZipFile(tmp_path / "clip.npz", "w") as archive:
            archive.writestr("positions.npy", content)
        refuse(tmp_path / "clip.npz", "found a damaged", DatasetError)


def test_other_files_under_the_name(tmp_path: Path) -> None:
    for content in (b"", b"not an archive", b"1,2,3\n" * 9):
        (tmp_path / "clip.npz").write_bytes(content)
        refuse(tmp_path / "clip.npz", "expected a NumPy .npz archive or .npy array", DatasetError)
    (tmp_path / "clip.npz").write_bytes(b"PK\x03\x04 and no more")
    refuse(tmp_path / "clip.npz", "found a damaged one", DatasetError)
    with zipfile.ZipFile(tmp_path / "clip.npz", "w") as archive:
        archive.writestr("positions.npy", b"text")
    refuse(tmp_path / "clip.npz", "expected a NumPy array in 'positions', found other bytes", DatasetError)


def test_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "clip.npz"
    np.savez_compressed(path, positions=np.zeros((40_000, 22, 3)))
    monkeypatch.setattr(arrays, "LARGEST_FILE", 1 << 20)
    assert path.stat().st_size < 1 << 20
    refuse(path, "expected at most 1 MB, found 20 MB in 'positions.npy'", DatasetError)
    monkeypatch.setattr(reading, "LARGEST_FILE", 1 << 10)
    refuse(path, "bytes, expected at most 1024", DatasetError)


@pytest.mark.parametrize("compressed", [False, True])
def test_every_truncation_and_flip_is_refused_or_harmless(tmp_path: Path, compressed: bool) -> None:
    """zip has fields that do not matter, such as times; what is read in spite of a flip must be the same."""
    path = tmp_path / "clip.npz"
    (np.savez_compressed if compressed else np.savez)(path, positions=CLIP[:2])
    content = path.read_bytes()
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        refuse(path, "expected", DatasetError)
    for place in range(0, len(content), 5):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            (found,) = read_bodies(path, LAYOUT)
        except AdaSGNError:
            continue
        np.testing.assert_array_equal(found.positions, CLIP[:2])


def _plain() -> bytes:
    stream = io.BytesIO()
    np.save(stream, CLIP[:3])
    return stream.getvalue()


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 160), inserted=st.binary(max_size=8), dropped=st.integers(0, 20))
def test_changed_headers_are_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, place: int, inserted: bytes, dropped: int
) -> None:
    content = _plain()
    path = tmp_path_factory.getbasetemp() / "mutated.npy"
    path.write_bytes(content[:place] + inserted + content[place + dropped :])
    try:
        found = read_bodies(path, LAYOUT)
    except AdaSGNError:
        return
    assert all(body.positions.shape[1:] == (22, 3) for body in found)
