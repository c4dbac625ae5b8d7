"""Clips out of a stream: when they begin and end, what is said of them, and the folder that they go into."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adasgn_edge.data.clip_folder import ClipFolder
from adasgn_edge.data.clips import read_bodies
from adasgn_edge.data.cuts import cut_frames, read_cuts
from adasgn_edge.data.label_table import read_label_table
from adasgn_edge.data.playing import file_stamps, recorded_rate
from adasgn_edge.data.recorder import Begin, Broken, Clip, Count, Pace, Take, Takes, look_at
from adasgn_edge.data.recordings import read_recordings
from adasgn_edge.data.stream_frames import StreamFrame
from adasgn_edge.errors import ClipError, DatasetError, OutputError
from adasgn_edge.hands import animate
from adasgn_edge.skeletons import load_layout

LAYOUT = load_layout("shrec22")
HAND = animate("Swipe Right", seed=1)


def frame(milliseconds: int, number: int = 0) -> StreamFrame:
    return StreamFrame(1_000_000 * milliseconds, {"7": HAND[number % len(HAND)]})


def frames(seconds: float, rate: float = 30.0, first_ms: int = 5000) -> list[StreamFrame]:
    return [frame(first_ms + round(1e3 * number / rate), number) for number in range(round(seconds * rate))]


def clip(**changes: object) -> Clip:
    """A good clip of two seconds, or one with other stamps or positions."""
    good = Clip.of(frames(len(HAND) / 30), LAYOUT)
    return Clip(**{**good.__dict__, **changes})  # type: ignore[arg-type]


def test_clips_lie_a_pause_apart_and_are_counted_down_to() -> None:
    takes, told = Takes(Pace(seconds=1.0, pause=2.0, countdown=3)), []
    for one in frames(7.0):
        told += [(one.stamp_ns, event) for event in takes.push(one)]
    kinds = [type(event).__name__ for _, event in told]
    assert kinds == [
        "Rest",
        "Count",
        "Count",
        "Begin",
        "Take",
        "Rest",
        "Count",
        "Count",
        "Begin",
        "Take",
        "Rest",
        "Count",
    ]
    assert [event.left for _, event in told if isinstance(event, Count)] == [2, 1, 2, 1, 2]
    begun = [1e-9 * stamp - 5 for stamp, event in told if isinstance(event, Begin)]
    assert begun == pytest.approx([2.0, 5.0], abs=0.034)
    for _, event in told:
        if isinstance(event, Take):
            assert len(event.frames) == 30
            assert 1e-9 * (event.frames[-1].stamp_ns - event.frames[0].stamp_ns) < 1.0
    assert not takes.recording


def test_late_frames_are_left_out_and_a_clock_that_was_set_begins_a_new_pause() -> None:
    takes = Takes(Pace(seconds=1.0, pause=0.0, countdown=0))
    told = [
        event
        for one in [frame(0), frame(100), frame(50), frame(100), frame(200), frame(1000)]
        for event in takes.push(one)
    ]
    taken = [event for event in told if isinstance(event, Take)]
    assert [one.stamp_ns // 1_000_000 for one in taken[0].frames] == [0, 100, 200]
    for jump in (-20_000, 60_000):
        takes = Takes(Pace(seconds=1.0, pause=1.0, countdown=0))
        told = [event for one in [frame(0), frame(1100), frame(1200 + jump)] for event in takes.push(one)]
        assert [type(event).__name__ for event in told] == ["Rest", "Begin", "Broken", "Rest"]
        broken = next(event for event in told if isinstance(event, Broken))
        assert f"{jump / 1000 + 0.1:+.1f} s away" in broken.why


@pytest.mark.parametrize(
    "pace", [{"seconds": 0.0}, {"seconds": float("nan")}, {"pause": -1.0}, {"pause": float("inf")}]
)
def test_a_pace_that_nobody_can_keep_is_refused(pace: dict[str, float]) -> None:
    with pytest.raises(ClipError, match="expected"):
        Pace(**pace)


def test_what_nothing_can_be_learnt_from_is_refused_and_what_looks_odd_is_said() -> None:
    assert look_at(clip(), LAYOUT) == []
    with pytest.raises(ClipError, match=r"found 0$"):
        look_at(Clip.of([], LAYOUT), LAYOUT)
    with pytest.raises(ClipError, match="half of the frames, found somebody in 0 of 53"):
        look_at(clip(positions=np.full_like(clip().positions, np.nan)), LAYOUT)
    gone = clip().positions.copy()
    gone[:, 20:] = np.nan
    with pytest.raises(ClipError, match="found somebody in 20 of 53"):
        look_at(clip(positions=gone), LAYOUT)
    still = np.repeat(clip().positions[:, :1], len(HAND), axis=1)
    assert any(text.startswith("still:") for text in look_at(clip(positions=still), LAYOUT))
    upside_down = clip().positions * np.array([1, -1, -1], dtype=np.float32)
    assert any(text.startswith("upside down:") for text in look_at(clip(positions=upside_down), LAYOUT))
    stamps = clip().stamps_ns.copy()
    stamps[30:] += 700_000_000
    assert "no frame for 0.7 s" in look_at(clip(stamps_ns=stamps), LAYOUT)
    few = Clip.of(frames(0.4), LAYOUT)
    assert any("12 frames with somebody" in text for text in look_at(few, LAYOUT))


def test_a_clip_is_read_back_to_the_last_bit_with_its_stamps(tmp_path: Path) -> None:
    written = clip()
    written.positions[0, 3, 5] = np.nan
    with ClipFolder(tmp_path / "new") as folder:
        name = folder.add(written, "swipe right", "Anna B.")
    assert name == "swipe_right/Anna_B_001.npz"
    path = tmp_path / "new" / name
    (body,) = read_bodies(path, LAYOUT, None)
    np.testing.assert_array_equal(body.positions, written.positions[0])
    np.testing.assert_array_equal(file_stamps(path, len(written)), written.stamps_ns)
    assert recorded_rate(path) == pytest.approx(30, rel=0.02)
    dataset = read_recordings(tmp_path / "new")
    assert (dataset.class_names, dataset.groups) == (("swipe right",), ("Anna B.",))
    assert dataset.rate == pytest.approx(30, rel=0.02)
    np.savez(tmp_path / "new" / "swipe_right" / "b.npz", positions=HAND)
    (tmp_path / "new" / "labels.csv").open("a").write("swipe_right/b.npz,swipe right,ben\n")
    assert read_recordings(tmp_path / "new").rate is None, "not all of the clips have stamps"


def test_a_folder_grows_and_nothing_is_written_over(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    names = []
    for label, subject in (("wave", "anna"), ("wave", "ben"), ("tap", "anna"), ("wave", "anna")):
        with ClipFolder(out) as folder:
            folder.check(label, subject)
            names.append(folder.add(clip(), label, subject))
    assert names == ["wave/anna_001.npz", "wave/ben_001.npz", "tap/anna_001.npz", "wave/anna_002.npz"]
    assert (out / "layout.json").read_text() == '"shrec22"\n'
    assert (out / "labels.csv").read_text().splitlines() == ["file,label,subject"] + [
        f"{name},{name.split('/')[0]},{name.split('/')[1].split('_')[0]}" for name in names
    ]
    (out / "wave" / "anna_007.npz").write_bytes(b"somebody's")
    with ClipFolder(out) as folder:
        assert folder.add(clip(), "wave", "anna") == "wave/anna_008.npz"
        assert folder.counts() == {("wave", "anna"): 3, ("wave", "ben"): 1, ("tap", "anna"): 1}
    assert (out / "wave" / "anna_007.npz").read_bytes() == b"somebody's"


def test_the_table_keeps_its_form(tmp_path: Path) -> None:
    with ClipFolder(tmp_path) as folder:
        folder.add(clip(), "wave", "anna")
    table = tmp_path / "labels.csv"
    table.write_bytes("\ufeffWho;Gesture;note;Clip\r\nanna;wave;first one;wave/anna_001.npz".encode())
    table.write_text(table.read_text().replace("Who", "Person"))
    with ClipFolder(tmp_path) as folder:
        folder.add(clip(), 'a "b"; c', "anna")
    rows = read_label_table(table).rows
    assert [(row.file, row.label, row.subject) for row in rows] == [
        ("wave/anna_001.npz", "wave", "anna"),
        ("a_b_c/anna_001.npz", 'a "b"; c', "anna"),
    ]
    assert "first one" in table.read_text()


def test_a_folder_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with ClipFolder(tmp_path / "hands") as folder:
        folder.add(clip(), "Swipe", "anna")
        with pytest.raises(OutputError, match=r"hands: taken by process \d+"), ClipFolder(tmp_path / "hands"):
            pass
    hands = ClipFolder(tmp_path / "hands")
    with pytest.raises(DatasetError, match="expected layout 'ntu25', found 'shrec22'"):
        ClipFolder(tmp_path / "hands", load_layout("ntu25"))
    with pytest.raises(DatasetError, match="expected a subject, as its other clips have one; found none"):
        hands.check("Swipe")
    with pytest.raises(DatasetError, match="differ only in how they are written"):
        hands.check("swipe", "anna")
    with pytest.raises(DatasetError, match="differ only in how they are written"):
        hands.check("Swipe", "Anna")
    for label in ("", "two\nlines", "x" * 201, " padded"):
        with pytest.raises(DatasetError, match="label: expected"):
            hands.check(label, "anna")
    (tmp_path / "hands" / "classes.txt").write_text("Swipe\nTap\n")
    hands.check("Tap", "anna")
    with pytest.raises(DatasetError, match="found 'Wave'"):
        hands.check("Wave", "anna")
    (tmp_path / "hands" / "labels.csv").write_text("file,label,split\nSwipe/anna_001.npz,Swipe,train\n")
    with pytest.raises(DatasetError, match="expected a table without the column split"):
        hands.check("Swipe")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letters.txt").write_text("")
    with pytest.raises(DatasetError, match=r"expected a new or empty folder, .* such as 'letters.txt'"):
        ClipFolder(tmp_path / "home")
    with pytest.raises(DatasetError, match="expected a folder, found a file"):
        ClipFolder(tmp_path / "home" / "letters.txt")


def test_a_long_recording_is_cut_as_a_table_says(tmp_path: Path) -> None:
    table = tmp_path / "cuts.csv"
    table.write_text("start;end;label;subject\n2;3;tap;anna\n0.5;1.5;wave;anna\n\n2.5;9;grab;ben\n")
    cuts = read_cuts(table)
    assert [cut.label for cut in cuts] == ["wave", "tap", "grab"]
    found = {cut.label: own for cut, own in cut_frames(frames(4.0), cuts)}
    assert {label: len(own) for label, own in found.items()} == {"wave": 30, "tap": 30, "grab": 45}
    assert 1e-9 * found["wave"][0].stamp_ns - 5 == pytest.approx(0.5, abs=0.034)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected the columns start,end,label"),
        ("start,end\n", "found no 'label'"),
        ("x" * 140_000, "lines of cells"),
        ("start,end,label\n0,1," + "x" * 140_000, "lines of cells"),
        ("start,end,label\n", "at least one line"),
        ("start,end,label\na,1,x\n", "line 2: expected start and end in seconds"),
        ("start,end,label\n2,1,x\n", "line 2: expected a start before an end"),
        ("start,end,label\nnan,1,x\n", "line 2: expected a start before an end"),
        ("start,end,label\n0,1,\n", "line 2: expected a label"),
        ("start,end,label,subject\n0,1,x,anna\n1,2,x,\n", "in every line or in none"),
    ],
)
def test_a_table_of_cuts_that_says_nothing_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "cuts.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_cuts(tmp_path / "cuts.csv")
