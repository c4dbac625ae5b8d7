from __future__ import annotations

import pytest

from adasgn_edge.data.walking import files_below, is_there


def test_files_of_all_sub_folders_in_a_fixed_order(tmp_path):
    for name in ("b/2.TXT", "b/1.txt", "a/c/3.txt", "0.txt", "a/4.csv", ".git/5.txt", "a/.6.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    found = files_below(tmp_path, lambda name: name.lower().endswith(".txt"))
    assert list(found) == ["0.txt", "a/c/3.txt", "b/1.txt", "b/2.TXT"]


def test_links_are_followed_once(tmp_path):
    folder, elsewhere = tmp_path / "mine", tmp_path / "elsewhere"
    for place in (folder, elsewhere):
        place.mkdir()
    (elsewhere / "x").write_text("")
    (folder / "circle").symlink_to(folder)
    (folder / "link").symlink_to(elsewhere)
    (folder / "other").symlink_to(elsewhere)
    assert list(files_below(folder, lambda name: True)) == ["link/x"]


def test_nothing_where_there_is_no_folder(tmp_path):
    assert list(files_below(tmp_path / "nowhere", lambda name: True)) == []


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "nothing", "file/below"])
def test_names_that_nothing_has(tmp_path, name):
    (tmp_path / "file").write_text("")
    assert is_there(tmp_path / "file")
    assert not is_there(tmp_path / name)
