from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from adasgn_edge.data.recordings import read_recordings
from adasgn_edge.errors import DatasetError, LayoutError
from adasgn_edge.skeletons import load_layout
from tests.data.recording_folders import track, write_folder

QUIET = pytest.mark.filterwarnings("ignore::UserWarning")


def test_named_labels_and_splits(tmp_path):
    table = "file,label,split\na.npz,wave,train\nmore/b.npz, clap ,train\nc.npz,wave,test\nd.npz,clap,test\n"
    folder = write_folder(tmp_path / "mine", table, ["a.npz", "more/b.npz", "c.npz", "d.npz"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = read_recordings(folder)
    assert dataset.name == "mine"
    assert dataset.names == ("a.npz", "more/b.npz", "c.npz", "d.npz")
    assert dataset.class_names == ("clap", "wave")
    assert dataset.labels.tolist() == [1, 0, 1, 0]
    assert dataset.split.tolist() == ["train", "train", "test", "test"]
    assert dataset.groups == ()
    np.testing.assert_array_equal(dataset.tracks(2)[0], track(seed=2))


def test_subjects_are_groups_and_without_a_split_nobody_is_in_both(tmp_path):
    rows = [(f"{who}/{what}.npz", what, who) for who in ("ann", "ben", "cid", "dan", "eve") for what in ("wave", "nod")]
    table = "file,label,subject\n" + "".join(f"{','.join(row)}\n" for row in rows)
    folder = write_folder(tmp_path, table, [row[0] for row in rows])
    with pytest.warns(UserWarning, match=r"no column split: the clips of eve test \(2 of 10 clips\)"):
        dataset = read_recordings(folder)
    assert dataset.groups == tuple(row[2] for row in rows)
    assert {group for group, split in zip(dataset.groups, dataset.split, strict=True) if split == "test"} == {"eve"}


def test_without_subjects_it_is_said_which_clips_test(tmp_path):
    folder = write_folder(tmp_path, "file,label\na.npz,x\nb.npz,x\nc.npz,y\nd.npz,y\n", [f"{n}.npz" for n in "abcd"])
    with pytest.warns(
        UserWarning, match=r"the last fifth of each class tests \(2 of 4 clips\); a column subject would"
    ):
        assert read_recordings(folder).split.tolist() == ["train", "test"] * 2


@QUIET
class TestLayout:
    TABLE = "file,label\na.npz,x\n"

    def test_a_layout_of_ones_own(self, tmp_path):
        layout = json.dumps({**load_layout("kinect20").to_dict(), "name": "my_robot"})
        assert read_recordings(write_folder(tmp_path, self.TABLE, ["a.npz"], layout)).layout.name == "my_robot"
        (tmp_path / "other.json").write_text(layout)
        (tmp_path / "layout.json").write_text('"other.json"')  # in the folder, wherever the program runs
        assert read_recordings(tmp_path).layout.name == "my_robot"

    @pytest.mark.parametrize("text", ["kinect20", "'kinect20'\r\n", '"Kinect20"', '\ufeff"kinect20"'])
    def test_the_name_of_a_built_in_one_in_any_quotes(self, tmp_path, text):
        folder = write_folder(tmp_path, self.TABLE, ["a.npz"])
        (folder / "layout.json").write_text(text, encoding="utf-8")
        assert read_recordings(folder).layout is not None

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("hand5", r'layout.json: expected a layout as JSON or one of "coco17", .*, found \'hand5\''),
            ('"hand5"', r"layout.json: unknown layout 'hand5'"),
            ("", "found '' .not valid JSON"),
            ("[" * 100_000, "nested too deeply"),
            ("9" * 5000, "not valid JSON"),
            ("20", r"layout.json: (unknown layout|expected a layout)"),
            ('["kinect20"]', r"layout.json: (unknown layout|expected a layout)"),
            ("null", "layout.json: "),
            ('{"name": "x"}', "layout.json: layout: key 'joints' is missing"),
            ('{"name": "x", "joints": [[1]], "bones": [], "origin": [1]}', "layout.json: "),
            ('{"name": "x", "joints": ["a"], "bones": [], "origin": "a", "joint_sets": []}', "layout.json: "),
            ('{"name": "x", "joints": ["a"], "bones": 1e999, "origin": "a"}', "layout.json: "),
            ("\ud800", "layout.json: expected text"),
        ],
    )
    def test_wrong_ones(self, tmp_path, text, message):
        folder = write_folder(tmp_path, self.TABLE, ["a.npz"])
        (folder / "layout.json").write_bytes(text.encode("utf-8", "surrogatepass"))
        with pytest.raises((DatasetError, LayoutError), match=message) as caught:
            read_recordings(folder)
        assert len(str(caught.value)) < 500

    def test_a_missing_one_is_suggested_by_the_clips(self, tmp_path):
        folder = write_folder(tmp_path, self.TABLE, ["a.npz"])
        (folder / "layout.json").rename(folder / "Layout.txt")
        with pytest.raises(
            DatasetError, match=r'found Layout.txt: write or call it layout.json; .*"kinect20" or "leap20" into it'
        ):
            read_recordings(folder)
        (folder / "Layout.txt").unlink()
        np.savez(folder / "a.npz", positions=np.ones((4, 5, 3)))
        with pytest.raises(DatasetError, match=r'built-in one such as "ntu25"; found no such file$'):
            read_recordings(folder)


@QUIET
class TestBrokenClips:
    def test_fatal_or_named(self, tmp_path):
        folder = write_folder(tmp_path, "file,label\na.npz,x\nb.npz,y\nc.npz,x\n", ["a.npz", "c.npz"])
        with pytest.raises(DatasetError, match=r"b.npz: expected a clip, found no such file"):
            read_recordings(folder)
        with pytest.warns(UserWarning, match="1 broken samples left out:\n.*b.npz"):
            dataset = read_recordings(folder, on_bad_sample="skip")
        assert dataset.names == ("a.npz", "c.npz")
        assert dataset.class_names == ("x", "y")

    def test_of_many_a_few_are_named(self, tmp_path):
        table = "file,label\na.npz,x\n" + "".join(f"missing {number}.npz,x\n" for number in range(57))
        folder = write_folder(tmp_path, table, ["a.npz"])
        with pytest.warns(UserWarning, match="57 broken samples left out") as caught:
            dataset = read_recordings(folder, on_bad_sample="skip")
        (said,) = [str(warning.message) for warning in caught if "left out" in str(warning.message)]
        assert said.endswith("missing 9.npz: expected a clip, found no such file\n  … and 47 more")
        assert len(dataset.left_out) == 57


@QUIET
class TestFiles:
    @pytest.mark.parametrize(
        "written",
        ["anna/a.npz", "./anna/a.npz", "anna/../anna//a.npz", "anna\\a.npz", "Anna/A.NPZ", "anna/a", "ANNA\\A"],
    )
    def test_ways_to_write_a_name(self, tmp_path, written):
        folder = write_folder(tmp_path, f"file,label\n{written},x\n", ["anna/a.npz"])
        assert read_recordings(folder).names == ("anna/a.npz",)

    def test_unicode_forms_of_a_name(self, tmp_path):
        folder = write_folder(tmp_path, "file,label\nO\u0308.npz,x\n", ["\xd6.npz"])
        assert read_recordings(folder).names == ("\xd6.npz",)
        (folder / "labels.csv").write_text("file,label\n\u200bO\u0308,x\n", encoding="utf-8")
        assert read_recordings(folder).names == ("\xd6.npz",)

    def test_the_whole_path_of_a_file_is_refused_with_what_to_write(self, tmp_path):
        folder = write_folder(tmp_path, f"file,label\n{tmp_path}/anna/a.npz,x\n", ["anna/a.npz"])
        with pytest.raises(DatasetError, match=r"stays in that folder, found .*; write 'anna/a.npz'$"):
            read_recordings(folder)

    @pytest.mark.parametrize(
        ("written", "message"),
        [
            ("../a.npz", "line 2: expected a path relative to .* that stays in that folder, found '../a.npz'"),
            ("x/../../mine/a.npz", "that stays in that folder"),
            ("/data/a.npz", "that stays in that folder, found '/data/a.npz'"),
            ("~/a.npz", "that stays in that folder"),
            ("C:\\data\\a.npz", "that stays in that folder"),
            ("..\\a.npz", "that stays in that folder"),
            ("anna", "line 2: expected a clip, found the folder 'anna'"),
            (".", "found the folder '.'"),
            ("anna/b", "line 2: expected one file, but 'anna/b' may be anna/b.csv, anna/b.npz"),
            ("c.npz", r"c.npz: expected a clip, found no such file; is 'anna/c.npz' meant\? Paths are relative"),
            ("anna/wavve.npz", "is 'anna/wave.npz' meant"),
            ("q" * 5000, "found no such file"),
            ("a\0.npz", "labels.csv"),
        ],
    )
    def test_names_of_no_file_or_several(self, tmp_path, written, message):
        clips = ["anna/b.npz", "anna/c.npz", "anna/wave.npz"]
        folder = write_folder(tmp_path / "mine", f"file,label\n{written},x\n", clips)
        (folder / "anna" / "b.csv").write_text("")
        np.savez(tmp_path / "a.npz", positions=track())
        with pytest.raises(DatasetError, match=message if "\0" not in written else "") as caught:
            read_recordings(folder)
        assert len(str(caught.value)) < 700

    def test_files_that_are_not_listed_are_named(self, tmp_path):
        clips = ["a.npz", "b.npz", "more/c.npz", ".hidden.npz"]
        folder = write_folder(tmp_path, "file,label\n./a.npz,x\n", clips)
        (folder / "README.txt").write_text("hands")
        (folder / "notes.md").write_text("hands")
        with pytest.warns(UserWarning, match=r"clips that labels.csv does not list, not read: b.npz, more/c.npz$"):
            read_recordings(folder)

    def test_links_are_followed_and_circles_do_no_harm(self, tmp_path):
        write_folder(tmp_path / "elsewhere", "file,label\n", ["b.npz"])
        folder = write_folder(tmp_path / "mine", "file,label\nlink/b,x\n")
        (folder / "link").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere" / "back").symlink_to(folder)
        assert read_recordings(folder).names == ("link/b.npz",)


class TestRepeatedFiles:
    SPELLINGS = ("a.npz", "./a.npz", "more/../a.npz", "A.npz", "a", "link.npz", "hard.npz")

    def folder(self, tmp_path, table):
        folder = write_folder(tmp_path, table, ["a.npz", "b.npz", "more/c.npz"])
        (folder / "link.npz").symlink_to(folder / "a.npz")
        (folder / "hard.npz").hardlink_to(folder / "a.npz")
        return folder

    @QUIET
    @pytest.mark.parametrize("spelling", SPELLINGS)
    def test_the_same_twice_is_read_once_with_a_warning(self, tmp_path, spelling):
        folder = self.folder(tmp_path, f"file,label\na.npz,x\nb.npz,y\n{spelling},x\n")
        with pytest.warns(UserWarning, match=r"files listed twice, read once: .* \(lines 2 and 4\)"):
            assert read_recordings(folder).names == ("a.npz", "b.npz")

    @pytest.mark.parametrize("spelling", SPELLINGS)
    @pytest.mark.parametrize(
        ("header", "one", "two", "message"),
        [
            ("file,label", "x", "y", "there with the label 'x', here 'y'"),
            ("file,label,split", "x,train", "x,test", "there with the split 'train', here 'test'"),
            ("file,label,subject", "x,ann", "x,ben", "there with the subject 'ann', here 'ben'"),
        ],
    )
    def test_the_same_with_something_else_is_an_error(self, tmp_path, spelling, header, one, two, message):
        folder = self.folder(tmp_path, f"{header}\na.npz,{one}\n{spelling},{two}\n")
        with pytest.raises(DatasetError, match=rf"line 3: the file .* is also in line 2.*, {message}"):
            read_recordings(folder, on_bad_sample="skip")


def test_missing_tables(tmp_path):
    with pytest.raises(DatasetError, match=r"labels.csv: expected a table .*; found no such file"):
        read_recordings(tmp_path)
    (tmp_path / "labels.csv").mkdir()
    with pytest.raises(DatasetError, match=r"labels.csv: expected a table .*; found a folder$"):
        read_recordings(tmp_path)
    (tmp_path / "labels.csv").rmdir()
    (tmp_path / "labels.csv").symlink_to("nowhere")
    with pytest.raises(DatasetError, match=r"labels.csv: expected a table .*; found a link to nothing$"):
        read_recordings(tmp_path)
    (tmp_path / "labels.csv").unlink()
    (tmp_path / "Labels.xlsx").write_text("")
    with pytest.raises(DatasetError, match=r"found Labels.xlsx: write or call it labels.csv"):
        read_recordings(tmp_path)
    with pytest.raises(DatasetError, match=r"nowhere: expected a folder with labels.csv"):
        read_recordings(tmp_path / "nowhere")


@QUIET
def test_a_class_list_of_another_name_is_not_passed_over_silently(tmp_path):
    folder = write_folder(tmp_path, "file,label\na.npz,x\n", ["a.npz"])
    (folder / "Classes.txt").write_text("x\ny\n")
    (folder / "clap.txt").write_text("")
    with pytest.warns(UserWarning, match=r": Classes.txt: not read, a class list is called classes.txt"):
        assert read_recordings(folder).class_names == ("x",)
    (folder / "classes.txt").symlink_to("nowhere")
    with pytest.raises(DatasetError, match=r"classes.txt: "):
        read_recordings(folder)
