from __future__ import annotations

import pickle

import pytest

from adasgn_edge.errors import LONGEST_MESSAGE, DatasetError, MissingDependencyError
from adasgn_edge.wording import listed, nearest, shortened, shown


@pytest.mark.parametrize("length", [0, 1, 29, 30, 31, 200, 100_000])
def test_shortened(length):
    text = "a" + "x" * length + "z"
    found = shortened(text, 31)
    assert len(found) <= 31
    assert (found[:1], found[-1:]) == ("a", "z")
    assert found == text or " … " in found


HOSTILE = ["x" * 10**6, "\0" * 999, 10**5000, [[1] * 999] * 999, {"a": "x" * 10**6}, float("nan"), None, b"x" * 999]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_shown_is_short_whatever_comes(value):
    assert 0 < len(shown(value)) <= 60


def test_shown_of_a_deep_list():
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    assert len(shown(deep)) <= 60


def test_listed():
    assert listed([]) == ""
    assert listed(["a", 2]) == "a, 2"
    assert listed([str(number) for number in range(57)], 3) == "0, 1, 2, … (57 in all)"
    assert len(listed(["x" * 10_000] * 10_000)) < 300
    assert listed(["a\nb", "\udcff.npz"]) == r"a\nb, \udcff.npz"  # one line, whatever a file is called


def test_nearest():
    assert nearest("WAVVE.npz", ["clap.npz", "wave.npz"]) == "wave.npz"
    assert nearest("q", ["clap", "wave"]) is None
    assert nearest("x" * 10**6, ["clap"] * 10**6) is None


def test_errors_are_short_and_survive_pickling():
    error = DatasetError("start " + "x" * 20_000 + " end")
    assert len(str(error)) <= LONGEST_MESSAGE
    assert str(error).startswith("start x")
    assert str(error).endswith("x end")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(DatasetError("short")) == "short"
    assert MissingDependencyError("no torch", name="torch").name == "torch"
