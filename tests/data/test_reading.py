from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from adasgn_edge.data.reading import BadSamples, read_lines, read_number_rows
from adasgn_edge.errors import ClipError, DatasetError


def test_rows(tmp_path):
    path = tmp_path / "rows.txt"
    path.write_text("1 2.5 -3e-1\n\n4\t5 6\r\n")
    rows = read_number_rows(path, columns=3)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, np.array([[1, 2.5, -0.3], [4, 5, 6]], dtype=np.float32))
    path.write_text("a,b\n1, 2\n")
    assert read_number_rows(path, 2, delimiter=",", header_rows=1).tolist() == [[1, 2]]
    path.write_text("")
    assert read_number_rows(path, columns=3).shape == (0, 3)


def test_a_number_beyond_float32_is_infinity_without_a_warning(tmp_path):
    (tmp_path / "rows.txt").write_text("1e300 -1e300 1\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_number_rows(tmp_path / "rows.txt", 3).tolist() == [[np.inf, -np.inf, 1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3\n1 2\n", "line 2: expected 3 numbers, found 2"),
        ("1 2 3\n1 2 3 4\n", "line 2: expected 3 numbers, found 4"),
        ("1 2 three\n", "line 1: expected numbers, found .*'three'"),
    ],
)
def test_wrong_rows(tmp_path, text, message):
    path = tmp_path / "rows.txt"
    path.write_text(text)
    with pytest.raises(DatasetError, match=rf"rows.txt, {message}"):
        read_number_rows(path, columns=3)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DatasetError, match=r"rows.txt: expected a file, found nothing: No such file"):
        read_lines(tmp_path / "rows.txt")
    (tmp_path / "rows.txt").write_bytes(b"1 2 \xff\n")
    with pytest.raises(DatasetError, match="not UTF-8"):
        read_lines(tmp_path / "rows.txt")


def test_a_byte_order_mark_is_no_text(tmp_path):
    (tmp_path / "rows.txt").write_bytes(b"\xef\xbb\xbf1 2\n")
    assert read_lines(tmp_path / "rows.txt") == ["1 2"]


@pytest.mark.parametrize("kind", [ClipError, DatasetError])
def test_bad_samples(kind):
    bad = BadSamples("set", "error")
    with pytest.raises(DatasetError, match=r"clip_7: too short \(on_bad_sample='skip'"), bad.guard("clip_7"):
        raise kind("too short")
    bad = BadSamples("set", "skip")
    for name in ("clip_7", "clip_8"):
        with bad.guard(name):
            raise kind(f"{name}: too short")
    with pytest.warns(UserWarning, match="set: 2 broken samples left out:\n  clip_7: too short\n  clip_8: too short"):
        assert bad.report() == ("clip_7: too short", "clip_8: too short")


def test_no_bad_samples_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert BadSamples("set", "skip").report() == ()


def test_other_errors_pass_and_other_choices_do_not():
    with pytest.raises(ZeroDivisionError), BadSamples("set", "skip").guard("clip"):
        raise ZeroDivisionError
    with pytest.raises(DatasetError, match="expected one of error, skip, found 'ignore'"):
        BadSamples("set", "ignore")


def test_lines_end_as_lines_do_and_nowhere_else(tmp_path):
    (tmp_path / "rows.txt").write_bytes("a\r\nb\rc\n\nd\x0b\x85\u2028e\n".encode())
    assert read_lines(tmp_path / "rows.txt") == ["a", "b", "c", "", "d\x0b\x85\u2028e"]
    for encoding in ("utf-16", "utf-32", "utf-8-sig"):
        (tmp_path / "rows.txt").write_bytes("ä b\n1".encode(encoding))
        assert read_lines(tmp_path / "rows.txt") == ["ä b", "1"]


def test_no_file_stays_open(tmp_path):
    count = len(list(Path("/proc/self/fd").iterdir()))
    for name in ("folder", "absent"):
        with pytest.raises(DatasetError):
            read_lines(tmp_path / name if name == "absent" else tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == count


def test_hostile_content_gives_a_short_message(tmp_path):
    (tmp_path / "rows.txt").write_text("z" * 50_000)
    with pytest.raises(DatasetError, match="expected numbers, found 'zzz") as caught:
        read_number_rows(tmp_path / "rows.txt", columns=1)
    assert len(str(caught.value)) < 400
