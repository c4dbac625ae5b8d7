from __future__ import annotations

import zipfile

import numpy as np
import pytest

from adasgn_edge.data.clips import read_clip
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
        persons = read_clip(str(path), "kinect20")
        assert [person.dtype for person in persons] == [np.float32] * 2
        assert {person.tobytes() for person in persons} == {track().tobytes(), track(seed=1).tobytes()}

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
        assert {person.tobytes() for person in found} == {one.tobytes(), two.tobytes()}


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
            (np.zeros((2, 5, JOINTS, 2)), r"expected shape \(frames, 20, 3\)"),
            (np.zeros((0, JOINTS, 3)), "with at least one frame, found none"),
            (np.ones((1, JOINTS, 3)), "at least two frames to see a movement, found one"),
            (np.full((4, JOINTS, 3), np.nan), "expected somebody in at least one frame"),
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
        self.refuse(tmp_path / "clip.npz", ClipError, "person 2: .*in frame 2, joint 'head'")

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
            (("nan," * 60)[:-1] + "\n" + row(track()[0]), ClipError, "at least two frames"),
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
