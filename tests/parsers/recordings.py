"""Parsers of recordings: clips, folders of them, public data sets, streams, caches."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from tests.parsers.parser import CORPUS, Run, every


@cache
def stick() -> Any:
    """A layout of three joints."""
    from adasgn_edge.skeletons import SkeletonLayout

    return SkeletonLayout.from_dict(
        {
            "name": "stick",
            "joints": ["foot", "hip", "head"],
            "bones": [["hip", "foot"], ["head", "hip"]],
            "origin": "foot",
            "scale_bone": ["foot", "hip"],
            "joint_sets": {"1": [["foot", "hip", "head"]]},
        }
    )


def recording(path: Path) -> object:
    from adasgn_edge.data.clips import read_recording

    return read_recording(path, stick())


def skeleton(path: Path) -> object:
    from adasgn_edge.data.clips import read_recording

    return read_recording(path, "ntu25")


def played(path: Path) -> object:
    from adasgn_edge.data.playing import recorded_frames

    return list(recorded_frames(path, stick(), None, 30.0))


def rate(path: Path) -> object:
    from adasgn_edge.data.playing import recorded_rate

    return recorded_rate(path)


def looked_at(path: Path) -> object:
    from adasgn_edge.data.source_file import examine

    return examine(path, stick())


CLIP = (recording, played, rate, looked_at)
CLIPS_COVER = (
    "data.clips.read_bodies", "data.clips.read_clip", "data.clips.read_given_bodies", "data.clips.read_recording",
    "data.playing.file_stamps", "data.playing.recorded_frames", "data.playing.recorded_rate", "data.arrays.read_arrays",
    "data.reading.read_at_most", "data.reading.read_bytes", "data.reading.read_lines",
)  # fmt: skip


def positions(frames: int = 3) -> Any:
    """(frames, 3, 3) of the stick, none of them zero."""
    import numpy as np

    return (np.arange(frames * 9).reshape(frames, 3, 3) % 7 + 1).astype(np.float32) / 8


def folder_of_recordings(name: str) -> Callable[[Path], Run]:
    """A folder in which one file is what comes, read with both choices for broken samples."""

    def start(folder: Path) -> Run:
        import numpy as np

        from adasgn_edge.data.recordings import read_recordings

        for clip in ("a", "b", "c"):
            np.savez(folder / f"{clip}.npz", positions=positions())
        (folder / "labels.csv").write_text("file,label,split\na.npz,1,train\nb.npz,2,test\nc.npz,1,train\n")
        (folder / "layout.json").write_text(json.dumps(stick().to_dict()))

        def run(content: bytes) -> None:
            (folder / name).write_bytes(content)
            every(partial(read_recordings, folder, choice) for choice in ("error", "skip"))

        return run

    return start


def data_set(write: Callable[[Path], tuple[Path, Callable[..., object]]]) -> Callable[[Path], Run]:
    """A public data set in which one file is what comes. Where a sample is broken, the others are read all the same."""

    def start(folder: Path) -> Run:
        path, read = write(folder)

        def run(content: bytes) -> None:
            path.write_bytes(content)
            every((read, partial(read, on_bad_sample="skip")))

        return run

    return start


def ntu(folder: Path) -> tuple[Path, Callable[..., object]]:
    from adasgn_edge.data.ntu import read_ntu

    for source in sorted((CORPUS / "skeleton").glob("valid*")):
        (folder / "S001C001P001R001A002.skeleton").write_bytes(source.read_bytes())
    return folder / "S001C001P001R001A001.skeleton", partial(read_ntu, folder, "cs")


def nw_ucla(folder: Path) -> tuple[Path, Callable[..., object]]:
    from adasgn_edge.data.nw_ucla import read_nw_ucla

    whole = {"file_name": "a02_s01_e00_v01", "label": 2, "skeletons": [[[1, 2, 3]] * 20] * 3}
    (folder / "a02_s01_e00_v01.json").write_text(json.dumps(whole))
    return folder / "a01_s01_e00_v01.json", partial(read_nw_ucla, folder)


def shrec17(folder: Path) -> tuple[Path, Callable[..., object]]:
    from adasgn_edge.data.shrec import read_shrec

    for essai in (1, 2):
        sample = folder / f"gesture_1/finger_1/subject_1/essai_{essai}/skeletons_world.txt"
        sample.parent.mkdir(parents=True)
        sample.write_text(" ".join(["0.5"] * 66) + "\n" + " ".join(["0.25"] * 66) + "\n")
    (folder / "train_gestures.txt").write_text("1 1 1 2 1 1 2\n")
    (folder / "test_gestures.txt").write_text("1 1 1 1 1 1 2\n")
    return folder / "gesture_1/finger_1/subject_1/essai_1/skeletons_world.txt", partial(read_shrec, folder)


def shrec17_list(folder: Path) -> Run:
    _, read = shrec17(folder)

    def run(content: bytes) -> None:
        (folder / "test_gestures.txt").write_bytes(content)
        every((read, partial(read, on_bad_sample="skip")))

    return run


def shrec21(name: str) -> Callable[[Path], Run]:
    """SHREC'21 in its compact form, one file of which is what comes."""

    def start(folder: Path) -> Run:
        import numpy as np

        from adasgn_edge.data.shrec21 import read_shrec21

        for split, number in (("training", "1"), ("test", "2")):
            np.savez(folder / f"{split}.npz", **{number: np.full((4, 20, 3), 0.5, dtype=np.float32)})
            (folder / f"{split}_annotations.txt").write_text(f"{number};DENY;1;2;TAP;3;4;\n")

        def run(content: bytes) -> None:
            (folder / name).write_bytes(content)
            read_shrec21(folder)

        return run

    return start


def leap_text(path: Path) -> object:
    from adasgn_edge.data.shrec21 import read_leap_text

    return read_leap_text(path)


def label_table(path: Path) -> object:
    from adasgn_edge.data.label_table import numbered_labels, read_label_table, table_line

    table = read_label_table(path)
    every(
        (
            lambda: numbered_labels(table, path.with_name("none")),
            lambda: table_line(table, "new.npz", table.rows[0].label, table.rows[0].subject),
        )
    )
    return table


def cuts(path: Path) -> object:
    from adasgn_edge.data.cuts import read_cuts

    return read_cuts(path)


def stream(folder: Path) -> Run:
    """Lines of a live stream: each by itself, as the command reads them, and with the parser of frames."""
    from adasgn_edge.cli.feed import Malformed, parsed
    from adasgn_edge.data.description import described
    from adasgn_edge.data.stream_frames import FrameParser, frame_line, is_frame_line, line_facts

    def run(content: bytes) -> None:
        lines = content.split(b"\n")
        for parser in (FrameParser(stick()), FrameParser(stick(), described(stick()))):
            every(partial(line_facts, line) for line in lines)
            list(map(is_frame_line, lines))
            for frame in parsed(iter(lines), parser, Malformed(False, 5, lambda text: None)):
                again = FrameParser(stick(), described(stick())).parse(frame_line(frame))
                assert again is not None
                assert again.stamp_ns == frame.stamp_ns

    return run


def cache_file(path: Path) -> object:
    from adasgn_edge.data.cache import load_dataset, read_checksum

    every((lambda: read_checksum(path), lambda: load_dataset(path)))
    return None


def cache_body(folder: Path) -> Run:
    """What stands below the checksum, which fits."""
    import hashlib

    path = folder / "input.skeletons"

    def run(content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest()
        path.write_bytes(f"adasgn-edge data set, version 2\n{digest}\n".encode() + content)
        cache_file(path)

    return run
