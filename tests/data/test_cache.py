from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from adasgn_edge.data.cache import load_dataset, read_checksum, save_dataset
from adasgn_edge.data.dataset import DatasetBuilder
from adasgn_edge.errors import DatasetError
from adasgn_edge.skeletons import load_layout


@pytest.fixture
def dataset():
    random = np.random.default_rng(0)
    builder = DatasetBuilder("toy", load_layout("kinect20"), ("walk", "umarmen ♥"))
    builder.add("a", 0, "train", [random.normal(size=(1, 20, 3)).astype(np.float32)])
    builder.add("b", 1, "test", [random.normal(size=(length, 20, 3)).astype(np.float32) for length in (3, 1)])
    return builder.build(left_out=["c: broken"])


@pytest.fixture
def path(tmp_path, dataset):
    save_dataset(tmp_path / "toy.skeletons", dataset)
    return tmp_path / "toy.skeletons"


def test_round_trip(path, dataset):
    found = load_dataset(path)
    for name in ("name", "layout", "names", "class_names", "left_out"):
        assert getattr(found, name) == getattr(dataset, name)
    for name in ("positions", "start", "length", "labels", "split"):
        expected, array = getattr(dataset, name), getattr(found, name)
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)
    found.positions[0] = 0  # the arrays are the caller's own


def test_checksum_names_the_content(path, dataset, tmp_path):
    checksum = read_checksum(path)
    assert len(checksum) == 64
    assert save_dataset(tmp_path / "again.skeletons", dataset) == checksum
    dataset.positions[0, 0, 0] += 1
    assert save_dataset(tmp_path / "other.skeletons", dataset) != checksum


def places(content: bytes) -> list[int]:
    """Every byte of the first two lines and the end, every eleventh of the rest."""
    return [*range(120), *range(120, len(content) - 20, 11), *range(len(content) - 20, len(content))]


def test_every_truncation_is_refused(path):
    content = path.read_bytes()
    for size in places(content):
        path.write_bytes(content[:size])
        with pytest.raises(DatasetError, match=r"toy.skeletons: (damaged|expected)"):
            load_dataset(path)


def test_every_flipped_byte_and_addition_is_refused(path):
    content = path.read_bytes()
    for place in places(content):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(DatasetError, match=r"toy.skeletons: (damaged|expected)"):
            load_dataset(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(DatasetError, match="damaged or truncated; expected the checksum"):
        load_dataset(path)


def test_another_version_another_kind_of_file_or_none(path, tmp_path):
    path.write_bytes(path.read_bytes().replace(b"version 2", b"version 99", 1))
    with pytest.raises(DatasetError, match="expected version 2 of the format, found '99'"):
        load_dataset(path)
    path.write_bytes(b"\x80\x04pickle")
    for read in (load_dataset, read_checksum):
        with pytest.raises(DatasetError, match="found another kind of file"):
            read(path)
        with pytest.raises(DatasetError, match="No such file"):
            read(tmp_path / "none.skeletons")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"class_names"', b'"klass_names"'),
        (b'"positions": [5, 20, 3]', b'"positions": [6, 20, 3]'),
        (b'"positions": [5, 20, 3]', b'"positions": [99999999999999, 20, 3]'),
        (b'"positions": [5, 20, 3]', b'"positions": [-5, 20, 3]'),
        (b'"start": [2, 2]', b'"start": [2, 0]'),
        (b'{"name"', b'["name"'),
        (b'"origin": "spine"', b'"origin": "spain"'),
    ],
)
def test_wrong_content_under_a_right_checksum(path, old, new):
    """Whoever writes such a file can write any checksum; reading it must still end in a named error."""
    import hashlib

    title, _, body = path.read_bytes().split(b"\n", 2)
    assert old in body
    body = body.replace(old, new, 1)
    path.write_bytes(b"\n".join([title, hashlib.sha256(body).hexdigest().encode(), body]))
    with pytest.raises(DatasetError):
        load_dataset(path)


def test_a_failed_write_leaves_the_old_file(path, dataset, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr("adasgn_edge.files.os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    dataset.positions[0, 0, 0] += 1
    with pytest.raises(OSError, match="disk full"):
        save_dataset(path, dataset)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def rewritten(path, change):
    """The file with its header changed by `change` and a right checksum: written wrongly, not damaged."""
    title, _, body = path.read_bytes().split(b"\n", 2)
    header, arrays = body.split(b"\n", 1)
    content = json.loads(header)
    changed = change(content)
    body = (changed if isinstance(changed, bytes) else json.dumps(content).encode()) + b"\n" + arrays
    path.write_bytes(b"\n".join([title, hashlib.sha256(body).hexdigest().encode(), body]))


HOSTILE_VALUES = (
    None, 3, -1, 2.5, 10**400, True, "x", "x" * 20_000, [], [None], [[["a"]]], [3, 4], {}, {"a": {}}, float("nan"),
    [-1, 20, 3], [2**62, 20, 3], [2**70], ["a"] * 100,
)  # fmt: skip


@pytest.mark.parametrize(
    "key", ["layout", "names", "split", "class_names", "left_out", "groups", "rate", "cleaning", "shapes"]
)
@pytest.mark.parametrize("value", HOSTILE_VALUES, ids=range(len(HOSTILE_VALUES)))
def test_hostile_headers(path, dataset, key, value):
    content = path.read_bytes()
    rewritten(path, lambda header: header.update({key: value}))
    found = None
    try:
        found = load_dataset(path)
    except DatasetError as error:
        said = str(error)
    if found is None:
        assert said.startswith(str(path))
        assert len(said) < 700
    else:  # what is accepted is of the right kind
        assert key in ("left_out", "groups", "rate", "cleaning", "class_names")
        assert found.rate is None or found.rate > 0
        save_dataset(path, found)
    if key != "shapes":
        return
    for array in ("positions", "start", "length", "labels"):
        path.write_bytes(content)
        rewritten(path, lambda header, array=array: header["shapes"].update({array: value}))
        with pytest.raises(DatasetError, match="expected a complete data set"):
            load_dataset(path)


@pytest.mark.parametrize(
    "header", [b"[]", b"3", b"", b"null", b"[" * 100_000, b"9" * 5000, b"\xff", b'{"name": "\\ud800"}']
)
def test_headers_that_are_no_such_object(path, header):
    rewritten(path, lambda _: header)
    with pytest.raises(DatasetError, match="expected a complete data set"):
        load_dataset(path)


def test_more_after_the_last_array_and_coordinates_that_are_not_finite(path, dataset):
    title, _, body = path.read_bytes().split(b"\n", 2)
    body += b"x"
    path.write_bytes(b"\n".join([title, hashlib.sha256(body).hexdigest().encode(), body]))
    with pytest.raises(DatasetError, match="more bytes after the last array"):
        load_dataset(path)
    dataset.positions[1, 2, 0] = np.nan
    save_dataset(path, dataset)
    with pytest.raises(DatasetError, match="coordinates that are not finite"):
        load_dataset(path)
