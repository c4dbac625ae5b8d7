"""Files of the public data sets, damaged at random: only this package's own errors, short ones, and skippable."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.data.ntu import read_ntu
from adasgn_edge.data.nw_ucla import read_nw_ucla
from adasgn_edge.data.shrec import read_shrec
from adasgn_edge.errors import AdaSGNError
from tests.data.ntu_files import FIRST, body_track, frames_of, skeleton_text
from tests.data.test_nw_ucla import write_file
from tests.data.test_shrec import write_tree

PIECES = [
    b"", b"\n", b" ", b",", b"\0", b"\xff", b"\xef\xbb\xbf", b"0", b"-1", b"1", b"25", b"999999999", b"9" * 5000,
    b"1e999", b"1e300", b"nan",
    b"inf", b"-1.#IND", b"null", b"true", b'"x"', b"[", b"]", b"[]", b"{", b"}", b"[" * 5000,
    b"x" * 5000, b"\xe2\x80\xa8", b"\xd9\xa1",
]  # fmt: skip


@st.composite
def damages(draw: st.DrawFn) -> list[tuple[float, int, bytes]]:
    """Up to three places (as shares of the file), how much is cut out there, and what is put there."""
    place = st.tuples(
        st.floats(0, 1),
        st.sampled_from([0, 0, 1, 3, 40, 10**6]),
        st.one_of(st.sampled_from(PIECES), st.binary(max_size=6)),
    )
    return draw(st.lists(place, min_size=1, max_size=3))


def damaged(content: bytes, places: list[tuple[float, int, bytes]]) -> bytes:
    for share, length, piece in places:
        start = int(share * len(content))
        content = content[:start] + piece + content[start + length :]
    return content


def ntu(folder: Path) -> tuple[Path, Callable[..., SkeletonDataset]]:
    text = skeleton_text(frames_of(14, one=(FIRST, 0, body_track(14))))
    for action in (1, 2):
        (folder / f"S001C001P001R001A00{action}.skeleton").write_text(text)
    return folder / "S001C001P001R001A001.skeleton", lambda **options: read_ntu(folder, "cs", **options)


def nw_ucla(folder: Path) -> tuple[Path, Callable[..., SkeletonDataset]]:
    for action in (1, 2):
        write_file(folder, f"a0{action}_s01_e00_v01", action, np.round(np.ones((3, 20, 3)), 2).tolist())
    return folder / "a01_s01_e00_v01.json", lambda **options: read_nw_ucla(folder, **options)


def shrec(folder: Path) -> tuple[Path, Callable[..., SkeletonDataset]]:
    write_tree(folder, {"train": ["1 1 1 1 1 1 5"], "test": ["3 2 2 1 3 6 5"]})
    path = folder / "gesture_1" / "finger_1" / "subject_1" / "essai_1" / "skeletons_world.txt"
    return path, lambda **options: read_shrec(folder, **options)


def shrec_list(folder: Path) -> tuple[Path, Callable[..., SkeletonDataset]]:
    _, read = shrec(folder)
    return folder / "train_gestures.txt", read


@pytest.mark.parametrize("data_set", [ntu, nw_ucla, shrec, shrec_list])
@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(places=damages())
def test_damaged_files_are_read_or_refused_by_name(tmp_path_factory, data_set, places):
    path, read = data_set(tmp_path_factory.mktemp("hostile"))
    path.write_bytes(damaged(path.read_bytes(), places))
    said = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            whole = read()
        except AdaSGNError as error:
            said.append(str(error))
            whole = None
        try:
            dataset = read(on_bad_sample="skip")
        except AdaSGNError as error:  # a whole list that is no text cannot be skipped
            said.append(str(error))
            assert data_set is shrec_list
        else:
            assert len(dataset) >= 1
            assert whole is None or dataset.digest == whole.digest
            said += dataset.left_out
    assert all(0 < len(text) < 700 for text in said)
    assert {warning.category for warning in caught} <= {UserWarning}


def test_the_undamaged_files_are_read(tmp_path_factory):
    for data_set in (ntu, nw_ucla, shrec):
        assert len(data_set(tmp_path_factory.mktemp("sound"))[1]()) == 2


def test_json_of_a_wrong_depth(tmp_path):
    path, read = nw_ucla(tmp_path)
    content = json.loads(path.read_text())
    for skeletons in (1, [1], [[1]], [[[[1, 1, 1]] * 20]], [[]], [[[]]], {}, None, "x"):
        path.write_text(json.dumps({**content, "skeletons": skeletons}))
        with pytest.raises(AdaSGNError, match=r"a01_s01_e00_v01.json: expected"):
            read()
