"""Folders of recordings whose text files are damaged at random: only this package's own errors, and short ones."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adasgn_edge.data.recordings import read_recordings
from adasgn_edge.errors import AdaSGNError
from adasgn_edge.skeletons import load_layout
from tests.data.recording_folders import write_folder

CLIPS = ["a.npz", "b.npz", "more/c.npz"]
FILES = {
    "labels.csv": b"file,label,split,subject\na.npz,wave,train,1\nb.npz,1.0,test,2\nmore/c.npz,nod,train,1\n",
    "classes.txt": b"wave\nclap\nnod\n",
    "layout.json": json.dumps(load_layout("kinect20").to_dict()).encode(),
}
PIECES = [
    b"", b"\n", b"\r", b",", b";", b"\t", b'"', b"'", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\\", b"/", b"..", b"../",
    b"C:\\", b"a.npz", b"A.NPZ", b"c", b"more", b"label", b"file", b"split", b"subject", b"0", b"1", b"01", b"-1", b"3",
    b"1e999", b"9" * 5000, b"nan", b"null", b"[", b"]", b"{", b"}", b":", b"[" * 5000, b"x" * 5000, b"\xc3\x96",
    b"O\xcc\x88", b"\xf0\x9f\x91\x8b", b"\xe2\x80\xa8", b"\xed\xa0\x80", b"sep=;", b"#", b"wave", b"Wave", b'"ntu25"',
    b"val", b"joints", b"head",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_folder(tmp_path_factory.mktemp("hostile"), "", CLIPS)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """One of the files with up to four places cut out and replaced."""
    name = draw(st.sampled_from(sorted(FILES)))
    content = FILES[name]
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        length = draw(st.sampled_from([0, 0, 1, 2, 8, len(content)]))
        piece = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=8)))
        content = content[:start] + piece + content[start + length :]
    return name, content


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged())
def test_damaged_text_is_read_or_refused_by_name(folder, file):
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    (folder / file[0]).write_bytes(file[1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            dataset = read_recordings(folder)
        except AdaSGNError as error:
            said = [str(error)]
        else:
            assert set(dataset.names) <= set(CLIPS)
            assert set(dataset.split.tolist()) <= {"train", "test"}
            said = []
    said += [str(warning.message) for warning in caught]
    assert all(0 < len(text) < 1000 for text in said), said
    assert all(warning.category is UserWarning for warning in caught)
