from __future__ import annotations

import json

import numpy as np
import pytest

from adasgn_edge.data.recordings import read_recordings
from adasgn_edge.errors import DatasetError, LayoutError
from adasgn_edge.skeletons import load_layout

LAYOUT = load_layout("kinect20")
JOINTS = LAYOUT.joint_count


def track(length: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(length, JOINTS, 3)).astype(np.float32)


def row(joints: np.ndarray) -> str:
    return ",".join(f"{number:.9g}" for number in joints.ravel())


class TestFolder:
    def write(self, folder, table, layout='"kinect20"', clips=()):
        folder.mkdir(exist_ok=True)
        (folder / "layout.json").write_text(layout)
        (folder / "labels.csv").write_text(table)
        for number, name in enumerate(clips):
            (folder / name).parent.mkdir(exist_ok=True)
            np.savez(folder / name, positions=track(seed=number))
        return folder

    def test_named_labels_and_splits(self, tmp_path):
        table = "file,label,split\na.npz,wave,train\nmore/b.npz, clap ,test\nc.npz,wave,test\n"
        folder = self.write(tmp_path / "mine", table, clips=["a.npz", "more/b.npz", "c.npz"])
        dataset = read_recordings(folder)
        assert dataset.name == "mine"
        assert dataset.names == ("a.npz", "more/b.npz", "c.npz")
        assert dataset.class_names == ("clap", "wave")
        assert dataset.labels.tolist() == [1, 0, 1]
        assert dataset.split.tolist() == ["train", "test", "test"]
        np.testing.assert_array_equal(dataset.tracks(2)[0], track(seed=2))

    def test_numbers_are_classes_in_order_of_number(self, tmp_path):
        folder = self.write(tmp_path, "file,label\na.npz,10\nb.npz,9\n", clips=["a.npz", "b.npz"])
        dataset = read_recordings(folder)
        assert dataset.class_names == ("9", "10")
        assert dataset.labels.tolist() == [1, 0]

    def test_class_list(self, tmp_path):
        folder = self.write(tmp_path, "file,label\na.npz,2\nb.npz,wave\n", clips=["a.npz", "b.npz"])
        (folder / "classes.txt").write_text("clap\nwave\nnod\n")
        dataset = read_recordings(folder)
        assert dataset.class_names == ("clap", "wave", "nod")
        assert dataset.labels.tolist() == [2, 1]

    @pytest.mark.parametrize(("count", "tested"), [(1, 0), (2, 1), (5, 1), (7, 1), (8, 2), (10, 2)])
    def test_without_a_split_the_last_fifth_of_each_class_tests(self, tmp_path, count, tested):
        clips = [f"{label}{number}.npz" for number in range(count) for label in "ab"]
        table = "file,label\n" + "".join(f"{clip},{clip[0]}\n" for clip in clips)
        dataset = read_recordings(self.write(tmp_path, table, clips=clips))
        expected = ["train"] * 2 * (count - tested) + ["test"] * 2 * tested
        assert dataset.split.tolist() == expected

    def test_a_layout_of_ones_own(self, tmp_path):
        layout = {**load_layout("kinect20").to_dict(), "name": "my_robot"}
        folder = self.write(tmp_path, "file,label\na.npz,x\n", json.dumps(layout), ["a.npz"])
        assert read_recordings(folder).layout.name == "my_robot"

    def test_broken_clips_are_fatal_or_named(self, tmp_path):
        folder = self.write(tmp_path, "file,label\na.npz,x\nb.npz,y\nc.npz,x\n", clips=["a.npz", "c.npz"])
        with pytest.raises(DatasetError, match=r"b.npz: expected a file, found nothing"):
            read_recordings(folder)
        with pytest.warns(UserWarning, match="1 broken samples left out:\n.*b.npz"):
            dataset = read_recordings(folder, on_bad_sample="skip")
        assert dataset.names == ("a.npz", "c.npz")
        assert dataset.class_names == ("x", "y")

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ("", "expected the first line file,label or file,label,split, found ''"),
            ("a.npz,wave\n", "expected the first line file,label .* found 'a.npz,wave'"),
            ("file,label\n", "expected at least one recording, found none"),
            ("file,label\na.npz\n", "labels.csv, line 2: expected file,label, found 'a.npz'"),
            ("file,label\na.npz,\n", "labels.csv, line 2: expected file,label, found 'a.npz,'"),
            ("file,label,split\na.npz,x,\n", "labels.csv, line 2: expected file,label,split"),
            ("file,label,split\na.npz,x,val\n", "labels.csv, line 2: expected the split train or test, found 'val'"),
            ("file,label\na.npz,x\na.npz,x\n", "sample name 'a.npz' is used twice"),
        ],
    )
    def test_wrong_tables(self, tmp_path, table, message):
        folder = self.write(tmp_path, table, clips=["a.npz"])
        with pytest.raises(DatasetError, match=message):
            read_recordings(folder, on_bad_sample="skip")

    @pytest.mark.parametrize("label", ["3", "-1", "0.5", "bow"])
    def test_labels_out_of_range(self, tmp_path, label):
        folder = self.write(tmp_path, f"file,label\na.npz,{label}\n", clips=["a.npz"])
        (folder / "classes.txt").write_text("clap\nwave\nnod\n")
        message = f"line 2: expected as label a number from 0 to 2, or one of clap, wave, nod; found '{label}'"
        with pytest.raises(DatasetError, match=message):
            read_recordings(folder)

    def test_wrong_class_lists(self, tmp_path):
        folder = self.write(tmp_path, "file,label\na.npz,x\n", clips=["a.npz"])
        for text in ("", "x\nx\n"):
            (folder / "classes.txt").write_text(text)
            with pytest.raises(DatasetError, match=r"classes.txt: expected different class names"):
                read_recordings(folder)

    def test_missing_parts_and_wrong_layouts(self, tmp_path):
        with pytest.raises(DatasetError, match=r"layout.json: expected a layout"):
            read_recordings(tmp_path)
        folder = self.write(tmp_path, "file,label\na.npz,x\n", layout='"hand5"')
        with pytest.raises(LayoutError, match="unknown layout 'hand5'"):
            read_recordings(folder)
        (folder / "layout.json").write_text("kinect20")
        with pytest.raises(DatasetError, match=r"layout.json: not valid JSON"):
            read_recordings(folder)
        (folder / "layout.json").write_text('"kinect20"')
        (folder / "labels.csv").unlink()
        with pytest.raises(DatasetError, match=r"labels.csv: expected a file, found nothing: No such file"):
            read_recordings(folder)
