"""One clip file: its reader by its ending, what is no file, and tracks that a model can take."""

from __future__ import annotations

import gzip
import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest

from adasgn_edge.data.clips import CLIP_ENDINGS, is_clip_name, read_bodies, read_clip, read_recording
from adasgn_edge.data.description import described
from adasgn_edge.data.sources import Orientation
from adasgn_edge.errors import AdaSGNError, ClipError, DatasetError, LayoutError
from adasgn_edge.hands import animate
from adasgn_edge.skeletons import load_layout
from tests.data.ntu_files import frames_of, write_skeleton

LAYOUT = load_layout("shrec22")
CLIP = animate("Swipe Up", seed=3)
ROWS = CLIP.reshape(len(CLIP), -1)


def saved(path: Path) -> Path:
    """The clip as the ending says."""
    if path.suffix == ".npz":
        np.savez(path, positions=CLIP)
    elif path.suffix == ".npy":
        np.save(path, CLIP)
    else:
        np.savetxt(path, ROWS, delimiter=",", fmt="%.9g")
    return path


def refuse(path: Path, error: type[AdaSGNError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        read_clip(path, LAYOUT)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).replace(str(path), "")) < 500


@pytest.mark.parametrize(
    "name", ["a.csv", "a.CSV", "a.txt", "a.tsv", "a.dat", "a.csv.gz", "a.b.npz", "a.npy", "ä b.csv"]
)
def test_formats(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / name)
    for argument in (path, str(path)):
        (track,) = read_clip(argument, "shrec22")
        assert track.dtype == np.float32
        assert track.flags.c_contiguous
        np.testing.assert_array_equal(track, CLIP)
    assert is_clip_name(name)


def test_skeleton_files(tmp_path: Path) -> None:
    positions = np.random.default_rng(0).normal(size=(20, 25, 3)).cumsum(axis=0) / 100
    path = tmp_path / "S001C001P001R001A001.skeleton"
    write_skeleton(path, frames_of(20, one=("1", 0, positions)))
    (body,) = read_bodies(path, "ntu25")
    np.testing.assert_allclose(body.positions, positions, atol=1e-5)
    (mapped,) = read_bodies(path, "kinect20", described(load_layout("kinect20"), "ntu25", axes="model"))
    np.testing.assert_allclose(mapped.positions[:, 3], positions[:, 3], atol=1e-5)
    refuse(path, ClipError, r"expected joints of layout 'shrec22', found those of layout 'ntu25'")
    with pytest.raises(ClipError, match="read it with --source ntu25"):
        read_bodies(path, "kinect20")


def test_orientation_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "clip.npz"
    np.savez(path, positions=CLIP * np.float32([1, -1000, 1000]) * np.float32([1000, 1, 1]))
    (track,) = read_clip(path, LAYOUT, flip="y", scale=0.001)
    np.testing.assert_allclose(track, CLIP, atol=1e-5)
    tracks, cleaning = read_recording(path, LAYOUT, orientation=Orientation("xy", True, 0.001))
    np.testing.assert_allclose(tracks[0], CLIP, atol=1e-5)
    assert cleaning.filled_joints == 0
    with pytest.raises(ClipError, match="flip: expected axes"):
        read_clip(path, LAYOUT, flip="up")


def test_too_few_frames(tmp_path: Path) -> None:
    np.savez(tmp_path / "clip.npz", positions=CLIP[:1])
    refuse(tmp_path / "clip.npz", ClipError, "at least two frames")


class TestWhatIsNoClip:
    def test_nothing_or_no_file(self, tmp_path: Path) -> None:
        for ending in CLIP_ENDINGS:
            refuse(tmp_path / f"absent{ending}", DatasetError, "expected a file, found nothing")
            (tmp_path / f"folder{ending}").mkdir()
            refuse(tmp_path / f"folder{ending}", DatasetError, "expected a file, found a folder")
            os.mkfifo(tmp_path / f"pipe{ending}")  # would wait for a writer if opened as a file is
            refuse(tmp_path / f"pipe{ending}", DatasetError, "expected a file, found a pipe")
        refuse(tmp_path, DatasetError, "found a folder")

    def test_devices_sockets_loops_and_names(self, tmp_path: Path) -> None:
        (tmp_path / "device.csv").symlink_to("/dev/zero")
        refuse(tmp_path / "device.csv", DatasetError, "expected a file, found a device")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "s.csv"))
            refuse(tmp_path / "s.csv", DatasetError, "expected a file, found")
        (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
        refuse(tmp_path / "loop.csv", DatasetError, "symbolic links")
        for name, found in (("a" * 300, "too long"), ("a\0b", "NUL")):
            with pytest.raises(DatasetError, match=f"expected a file, found .*{found}"):
                read_clip(tmp_path / f"{name}.csv", LAYOUT)
        refuse(saved(tmp_path / "clip.csv") / "more.csv", DatasetError, "expected a file, found")

    def test_what_may_not_be_read(self, tmp_path: Path) -> None:
        path = saved(tmp_path / "clip.csv")
        path.chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("this user may read everything")
        refuse(path, DatasetError, "Permission denied")

    def test_huge_files_are_not_read(self, tmp_path: Path) -> None:
        for ending in (".csv", ".npz", ".npy"):
            with (tmp_path / f"sparse{ending}").open("wb") as file:
                file.truncate(1 << 40)
            refuse(
                tmp_path / f"sparse{ending}",
                DatasetError,
                r"expected a file, found 1099511627776 bytes, expected at most 268435456",
            )

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("clip", "found none"),
            ("clip.foo", "found the ending '.foo'"),
            ("clip.xlsx", "save the sheet as .csv"),
            ("clip.XML", "np.savez"),
            ("clip.mat", "scipy.io.loadmat"),
            ("clip.pkl", "a pickle would run code"),
            ("clip.mp4", "run a pose estimator first"),
            ("clip.bvh", "np.savez"),
            ("clip.npz.gz", "found the ending '.gz'"),
            ("clip.zip", "unpack it first"),
            ("clip." + "x" * 200, "found the en"),  # the rest is cut
        ],
    )
    def test_other_endings(self, tmp_path: Path, name: str, message: str) -> None:
        (tmp_path / name).write_bytes(b"x")
        refuse(tmp_path / name, DatasetError, f"expected a file ending in .csv, .*{message}")
        assert not is_clip_name(name)

    def test_layouts_and_sources(self, tmp_path: Path) -> None:
        with pytest.raises(LayoutError, match="kinect21"):
            read_clip(tmp_path / "clip.npz", "kinect21")
        with pytest.raises(LayoutError, match=r"expected one of .* found 'leapp'"):
            read_clip(tmp_path / "clip.npz", LAYOUT, source="leapp", axes="model")
        with pytest.raises(LayoutError, match="expected a mapping onto the model's layout 'shrec22'"):
            read_clip(tmp_path / "clip.npz", LAYOUT, source="azure-kinect")

    def test_a_file_of_another_kind_under_the_name(self, tmp_path: Path) -> None:
        archive = saved(tmp_path / "clip.npz")
        shutil.copy(archive, tmp_path / "clip.csv")
        refuse(tmp_path / "clip.csv", DatasetError, "expected text, found a zip archive or an Excel workbook")
        shutil.copy(saved(tmp_path / "a.npy"), tmp_path / "clip.txt")
        refuse(tmp_path / "clip.txt", DatasetError, "found a NumPy array: call it .npy")
        (tmp_path / "squeezed.csv").write_bytes(gzip.compress((saved(tmp_path / "plain.csv")).read_bytes()))
        np.testing.assert_array_equal(read_clip(tmp_path / "squeezed.csv", LAYOUT)[0], CLIP)
        shutil.copy(saved(tmp_path / "text.csv"), archive)
        refuse(archive, DatasetError, "expected a NumPy .npz archive")
