from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from adasgn_edge.data.recordings import read_clip, read_recordings
from adasgn_edge.errors import AdaSGNError, ClipError, DatasetError, LayoutError
from adasgn_edge.skeletons import load_layout

LAYOUT = load_layout("kinect20")
JOINTS = LAYOUT.joint_count


def track(length: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(length, JOINTS, 3)).astype(np.float32)


def row(joints: np.ndarray) -> str:
    return ",".join(f"{number:.9g}" for number in joints.ravel())


class TestFormats:
    def test_npz(self, tmp_path):
        path = tmp_path / "clip.npz"
        np.savez(path, positions=track())
        (found,) = read_clip(path, LAYOUT)
        np.testing.assert_array_equal(found, track())
        np.savez(path, positions=np.stack([track(), track(seed=1)]).astype(np.float64), fps=30)
        first, second = read_clip(str(path), "kinect20")
        assert first.dtype == np.float32
        np.testing.assert_array_equal(second, track(seed=1))

    def test_txt(self, tmp_path):
        path = tmp_path / "clip.txt"
        path.write_text("\n".join(row(frame).replace(",", "  ") for frame in track()))
        (found,) = read_clip(path, LAYOUT)
        np.testing.assert_array_equal(found, track())

    @pytest.mark.parametrize("header", ["", ",".join(f"c{i}" for i in range(3 * JOINTS)) + "\n"])
    def test_csv(self, tmp_path, header):
        path = tmp_path / "CLIP.CSV"
        path.write_text(header + "\n".join(row(frame) for frame in track()))
        (found,) = read_clip(path, LAYOUT)
        np.testing.assert_array_equal(found, track())

    def test_csv_with_persons(self, tmp_path):
        path = tmp_path / "clip.csv"
        lines = ["Person, " + ",".join(f"c{i}" for i in range(3 * JOINTS))]
        one, two = track(5, 1), track(3, 2)
        for frame in range(5):
            lines.append(f"7,{row(one[frame])}")
            if frame >= 2:
                lines.append(f"3,{row(two[frame - 2])}")
        path.write_text("\n".join(lines))
        found = read_clip(path, LAYOUT)
        assert len(found) == 2
        np.testing.assert_array_equal(found[0], one)
        np.testing.assert_array_equal(found[1], two)


class TestBadClips:
    def refuse(self, path, error: type[AdaSGNError], message: str) -> None:
        with pytest.raises(error, match=message) as caught:
            read_clip(path, LAYOUT)
        assert str(path) in str(caught.value)

    def test_no_file_or_no_such_format(self, tmp_path):
        self.refuse(tmp_path / "clip.npz", DatasetError, "expected a file, found nothing")
        self.refuse(tmp_path / "clip.mp4", DatasetError, "expected a file ending in .npz, .csv, .txt, found .* '.mp4'")
        (tmp_path / "folder.csv").mkdir()
        self.refuse(tmp_path / "folder.csv", DatasetError, "found a folder")
        with pytest.raises(LayoutError):
            read_clip(tmp_path / "clip.npz", "kinect21")

    @pytest.mark.parametrize(
        ("positions", "message"),
        [
            (np.zeros((5, JOINTS + 1, 3)), r"expected shape \(frames, 20, 3\) .*found \(5, 21, 3\)"),
            (np.zeros((2, 5, JOINTS, 2)), r"person 1: expected shape"),
            (np.zeros((0, JOINTS, 3)), "with at least one frame, found none"),
            (np.zeros((1, JOINTS, 3)), "at least two frames to see a movement, found one"),
            (np.full((4, JOINTS, 3), np.nan), "found NaN or infinity in 4 of 4 frames"),
            (
                np.zeros((5, 3 * JOINTS)),
                r"expected shape \(frames, 20, 3\) or \(persons, frames, 20, 3\), found \(5, 60\)",
            ),
            (np.zeros((0, 5, JOINTS, 3)), "expected at least one person"),
            (np.full((4, JOINTS, 3), "1"), "expected numbers in 'positions', found <U1"),
            (np.full((4, JOINTS, 3), 1j), "expected numbers in 'positions', found complex128"),
        ],
    )
    def test_wrong_arrays(self, tmp_path, positions, message):
        np.savez(tmp_path / "clip.npz", positions=positions)
        self.refuse(tmp_path / "clip.npz", ClipError, message)

    def test_a_person_is_named(self, tmp_path):
        persons = np.stack([track(), track()])
        persons[1, 2, 3] = np.inf
        np.savez(tmp_path / "clip.npz", positions=persons)
        self.refuse(tmp_path / "clip.npz", ClipError, "person 2: .*first in frame 2, joint 'head'")

    def test_archives_without_positions(self, tmp_path):
        np.savez(tmp_path / "clip.npz", joints=track())
        self.refuse(tmp_path / "clip.npz", DatasetError, "expected an array 'positions', found joints")

    def test_pickles_are_not_loaded(self, tmp_path):
        positions = np.empty(1, dtype=object)
        positions[0] = track()
        np.savez(tmp_path / "clip.npz", positions=positions)
        self.refuse(tmp_path / "clip.npz", DatasetError, "allow_pickle=False")

    def test_other_bytes(self, tmp_path):
        path = tmp_path / "clip.npz"
        for content in (b"", b"not an archive", b"\x93NUMPY\x01\x00"):
            path.write_bytes(content)
            self.refuse(path, DatasetError, "expected a NumPy .npz archive")

    def test_an_array_that_claims_to_be_huge(self, tmp_path):
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 20, 3), }"
        with zipfile.ZipFile(tmp_path / "clip.npz", "w") as archive:
            size = (len(header) + 1).to_bytes(2, "little")
            archive.writestr("positions.npy", b"\x93NUMPY\x01\x00" + size + header + b"\n")
        self.refuse(tmp_path / "clip.npz", DatasetError, "damaged array")

    @pytest.mark.parametrize("compressed", [False, True])
    def test_every_truncation_and_flip_is_refused_or_harmless(self, tmp_path, compressed):
        """zip has fields that do not matter, such as times; what is read in spite of a flip must be the same."""
        path = tmp_path / "clip.npz"
        (np.savez_compressed if compressed else np.savez)(path, positions=track(2))
        content = path.read_bytes()
        for size in range(0, len(content), 7):
            path.write_bytes(content[:size])
            self.refuse(path, DatasetError, "expected")
        for place in range(0, len(content), 5):
            path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
            try:
                (found,) = read_clip(path, LAYOUT)
            except AdaSGNError:
                continue
            np.testing.assert_array_equal(found, track(2))

    @pytest.mark.parametrize(
        ("text", "error", "message"),
        [
            ("", ClipError, "with at least one frame, found none"),
            (row(track()[0]), ClipError, "at least two frames"),
            (row(track()[0]) + "\n" + row(track()[1])[:-12], DatasetError, "line 2: expected 60 numbers, found 59"),
            (row(track()[0]) + "\n" + row(track()[1, 1:]), DatasetError, "line 2: expected 60 numbers, found 57"),
            ("1," + row(track()[0]), DatasetError, "line 1: expected 60 numbers, found 61"),
            ("time,x\n0.03," + row(track()[0]), DatasetError, "line 2: expected 60 numbers, found 61"),
            ("1,,2", DatasetError, "line 1: expected 60 numbers, found 3"),
            (row(track()[0]) + "\n" + "," * 59, DatasetError, "line 2: expected numbers"),
            (("nan," * 60)[:-1] + "\n" + row(track()[0]), ClipError, "found NaN"),
            ("person,x\n", ClipError, "expected at least one frame, found none"),
            ("person,x\n1.5," + row(track()[0]), ClipError, "expected whole person numbers below 16777216, found 1.5"),
            ("person,x\n72057594037931101," + row(track()[0]), ClipError, "expected whole person numbers"),
            ("person,x\nnan," + row(track()[0]), ClipError, "expected whole person numbers .* found nan"),
        ],
    )
    def test_wrong_csv(self, tmp_path, text, error, message):
        path = tmp_path / "clip.csv"
        path.write_text(text)
        self.refuse(path, error, message)

    def test_wrong_txt(self, tmp_path):
        path = tmp_path / "clip.txt"
        path.write_text(row(track()[0]))
        self.refuse(path, DatasetError, "line 1: expected 60 numbers, found 1")
        path.write_bytes(b"\x00\xff")
        self.refuse(path, DatasetError, "not UTF-8")


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
        with pytest.raises(DatasetError, match=r"labels.csv: No such file"):
            read_recordings(folder)
