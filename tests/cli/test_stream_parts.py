"""Parts of `stream` by themselves: the thread that reads, malformed lines, names of bodies, ends, the live screen.

What recognises here is a stand-in that starts and ends gestures by the clock; test_stream.py has the real one.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from adasgn_edge.cli import feed as feeding
from adasgn_edge.cli.feed import Feed, Malformed, holds_lines, lines_of_file, lines_of_pipe, paced, parsed
from adasgn_edge.cli.session import Identities, Session, Troubles, event_row
from adasgn_edge.cli.stopping import Stopping
from adasgn_edge.cli.stream_view import StreamScreen, StreamView
from adasgn_edge.data.description import StreamDescription
from adasgn_edge.data.stream_frames import LONGEST_LINE, FrameParser, StreamFrame, frame_line
from adasgn_edge.errors import DatasetError, RecognitionError
from adasgn_edge.hands import animate
from adasgn_edge.recogniser import GestureEvent, Output, Stats, StepResult
from adasgn_edge.skeletons import load_layout

LAYOUT = load_layout("shrec22")
CLIP = animate("Swipe V", seed=4)
STEP = 50_000_000
LABELS = ("Tap", "Swipe [red]V[/red]\x1b[31m", "none")


class ByTheClock:
    """Every half second a gesture starts or ends in every body; ready after half a second; a step a push."""

    labels, receptive_field, step, mode = LABELS, 10, 0.05, "continual"
    description = SimpleNamespace(
        layout=LAYOUT, branches=("P-25", "B-25"), config=SimpleNamespace(causal=SimpleNamespace(origin=1))
    )

    def __init__(self) -> None:
        self.going: dict[int, tuple[int, int]] = {}
        self.pushes = self.gestures = 0
        self.tracks: set[int] = set()

    def push(self, stamp: int, tracks: Mapping[int, np.ndarray]) -> Output:
        self.pushes += 1
        self.tracks |= set(tracks)
        output = Output([], [])
        for track in tracks:
            phase = stamp // 500_000_000
            ready, on = phase >= 1, phase % 2 == 1
            if on and track not in self.going:
                self.gestures += 1
                self.going[track] = self.gestures, stamp
                output.events.append(self.event("started", track, stamp))
            elif not on and track in self.going:
                output.events.append(self.event("ended", track, stamp))
                del self.going[track]
            elif on:
                output.events.append(self.event("held", track, stamp))
            gesture = self.going.get(track, (0, 0))[0]
            probabilities = np.array([0.9, 0.06, 0.04] if on else [0.1, 0.1, 0.8], dtype=np.float32) if ready else None
            output.results.append(StepResult(
                track, "tracked" if ready else "new", ready, stamp - STEP, stamp, 0.05, 0 if on else -1,
                0.9 if on else 0.8, probabilities, 0 if ready else -1, 1000, 0.1, 2, gesture, 1e-4, 1e-4,
            ))  # fmt: skip
        return output

    def event(self, kind: str, track: int, stamp: int) -> GestureEvent:
        number, began = self.going[track]
        return GestureEvent(kind, number, track, 1, 0.9, began, stamp, stamp, False)

    def state(self, track: int) -> str:
        return "tracked" if track in self.going else "predicted"

    def stats(self) -> Stats:
        return Stats(*[self.pushes] * 4, *[0] * 13, *[1] * 2)


def frames(count: int, rate: float = 30.0, names: tuple[str, ...] = ("7",)) -> Iterator[StreamFrame]:
    for number in range(count):
        joints = CLIP[number % len(CLIP)]
        yield StreamFrame(
            round(1e9 * number / rate), {name: joints + np.float32(0.2 * i) for i, name in enumerate(names)}
        )


def taken(feed: Feed) -> list[StreamFrame]:
    found = []
    while not feed.ended:
        frame = feed.take(0.02)
        if frame is not None:
            found.append(frame)
    return found


# -- the thread that reads ------------------------------------------------------------------------------------------


def test_all_frames_come_in_order_where_none_may_be_lost() -> None:
    with Feed(frames(500), newest_wins=False, stopped=threading.Event()) as feed:
        time.sleep(0.05)  # its places are full by now
        assert [frame.stamp_ns for frame in taken(feed)] == [frame.stamp_ns for frame in frames(500)]
    assert feed.skipped == 0


def test_the_newest_win_and_the_others_are_counted() -> None:
    with Feed(frames(500), newest_wins=True, stopped=threading.Event()) as feed:
        while not feed._done:
            time.sleep(0.01)
        stamps = [frame.stamp_ns for frame in taken(feed)]
    assert stamps == [frame.stamp_ns for frame in frames(500)][-feeding.PLACES["newest"] :]
    assert feed.skipped == 500 - len(stamps)


def test_what_the_reader_raises_comes_after_the_frames_before_it() -> None:
    def broken() -> Iterator[StreamFrame]:
        yield from frames(3)
        raise RecognitionError("line 4: no")

    with Feed(broken(), newest_wins=False, stopped=threading.Event()) as feed:
        for _ in range(3):
            assert feed.take(1.0) is not None
        with pytest.raises(RecognitionError, match="line 4"):
            feed.take(1.0)
        assert feed.ended


def test_a_feed_that_is_left_ends_its_thread_whatever_it_waits_for() -> None:
    read, write = os.pipe()
    stopped = threading.Event()
    waiting_for_a_pipe = (StreamFrame(0, {}) for _ in lines_of_pipe(read, stopped))
    with Feed(waiting_for_a_pipe, newest_wins=True, stopped=stopped) as feed:
        assert feed.take(0.05) is None
        assert not feed.ended
    assert not feed._thread.is_alive()
    os.close(read)
    os.close(write)
    stopped = threading.Event()
    with Feed(paced(frames(10, rate=0.5), stopped), newest_wins=True, stopped=stopped) as feed:
        assert feed.take(1.0) is not None
    assert not feed._thread.is_alive()
    with Feed(frames(500), newest_wins=False, stopped=threading.Event()) as feed:  # which waits for a place
        assert feed.take(1.0) is not None
    assert not feed._thread.is_alive()


def test_paced_frames_come_when_they_are_due() -> None:
    stamps = [0, 100_000_000, 200_000_000, 10**18, 10**18 + 50_000_000, 3, 100_000_003]  # twice the clock is set
    began, arrived = time.monotonic(), []
    for _ in paced((StreamFrame(stamp, {}) for stamp in stamps), threading.Event()):
        arrived.append(time.monotonic() - began)
    apart = np.diff([0.0, *arrived])
    due = np.array([0, 0.1, 0.1, 0, 0.05, 0, 0.1])
    assert np.cumsum(due)[2] <= arrived[2] + 1e-3
    assert (apart[[4, 6]] >= due[[4, 6]] - 1e-3).all()  # each is the second one after the clock was set
    assert arrived[-1] < 5, "nothing waits for a clock that was set"


# -- lines ----------------------------------------------------------------------------------------------------------


def test_lines_however_they_are_cut_and_ended(tmp_path: Path) -> None:
    text = b"one\r\n\ntwo " + b"x" * 200_000 + b"\nthree"
    (tmp_path / "plain").write_bytes(text)
    (tmp_path / "packed").write_bytes(gzip.compress(text))
    expected = [b"one\r", b"", b"two " + b"x" * 200_000, b"three"]
    assert list(lines_of_file(tmp_path / "plain")) == list(lines_of_file(tmp_path / "packed")) == expected
    read, write = os.pipe()

    def written() -> None:
        for place in range(0, len(text), 1000):
            os.write(write, text[place : place + 1000])
        os.close(write)

    thread = threading.Thread(target=written)
    thread.start()
    assert list(lines_of_pipe(read, threading.Event())) == expected
    thread.join()
    os.close(read)
    (tmp_path / "packed").write_bytes(gzip.compress(text)[:-20])
    with pytest.raises(DatasetError, match="gzip"):
        list(lines_of_file(tmp_path / "packed"))


def test_an_overlong_line_is_malformed_and_takes_no_memory(tmp_path: Path) -> None:
    path, said = tmp_path / "long.jsonl", []
    path.write_bytes(b"[" + b" " * (5 * LONGEST_LINE) + b"\n" + frame_line(next(frames(1))).encode() + b"\n")
    assert max(map(len, lines_of_file(path))) == LONGEST_LINE + 1
    malformed = Malformed(False, 5, said.append)
    assert (
        len(list(parsed(lines_of_file(path), FrameParser(LAYOUT, StreamDescription.as_model(LAYOUT)), malformed))) == 1
    )
    assert said == ["line 1: expected at most 1048576 bytes, found more: skipped"]


def test_malformed_lines_are_counted_up_to_so_many_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    good, said = frame_line(next(frames(1))).encode(), []
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(feeding, "time", SimpleNamespace(monotonic=lambda: clock.now))
    malformed = Malformed(False, 2, said.append)
    found = parsed(
        [good, b"no", b"", b"{}", good, b"no", b"no", good, b"no", b"no", b"no", good],
        FrameParser(LAYOUT, StreamDescription.as_model(LAYOUT)),
        malformed,
    )
    assert [frame.stamp_ns for frame in islice(found, 3)] == [0] * 3
    with pytest.raises(
        RecognitionError, match=r"line 11: expected a JSON object, found 'no' .* \(3 malformed lines in a row\)"
    ):
        next(found)
    assert malformed.count == 7
    assert len(said) == 1, "at most one a second"
    clock.now = 1.5
    malformed.end_row()
    malformed.add(20, RecognitionError("no"))
    assert said[1:] == ["line 20: no: skipped"]
    with pytest.raises(RecognitionError, match=r"line 1: no$"):
        Malformed(True, 100, said.append).add(1, RecognitionError("no"))


def test_files_of_lines_are_told_from_recordings(tmp_path: Path) -> None:
    line = frame_line(next(frames(1)))
    (tmp_path / "frames.jsonl").write_text(f"\n{line}\n")
    (tmp_path / "clip.jsonl").write_text(f"{json.dumps(CLIP[0].tolist())}\n")
    (tmp_path / "frames.csv").write_text(line)
    (tmp_path / "frames.jsonl.gz").write_bytes(gzip.compress(line.encode()))
    (tmp_path / "empty.jsonl").write_text("")
    os.mkfifo(tmp_path / "pipe")
    names = ("frames.jsonl", "clip.jsonl", "frames.csv", "frames.jsonl.gz", "empty.jsonl", "pipe", "nothing.jsonl", ".")
    assert [holds_lines(tmp_path / name) for name in names] == [True, False, False, True, False, True, False, False]


# -- names, ends ----------------------------------------------------------------------------------------------------


def test_names_have_numbers_of_their_own_and_memory_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    identities = Identities()
    assert [identities.number(name) for name in ("7", "left", "7")] == [0, 1, 0]
    assert identities.name(1) == "left"
    monkeypatch.setattr("adasgn_edge.cli.session.MOST_IDENTITIES", 10)
    for number in range(1000):
        identities.number(f"body {number}")
        identities.number("left")
    assert identities.name(identities.number("left")) == "left"
    assert len(identities._numbers) == len(identities._names) == 10
    assert identities.number("7") == 1002
    assert identities.name(0) == "#0"


def test_a_signal_asks_for_the_end_and_the_second_one_insists() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Stopping() as stopping:
        assert (stopping.signal, stopping.status) == (None, 0)
        signal.raise_signal(signal.SIGTERM)
        assert (stopping.signal, stopping.status) == (signal.SIGTERM, 143)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_pipe_that_nobody_reads_is_noticed_without_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        with Stopping() as stopping:
            stopping.expect_reader()
            os.close(read)
            with pytest.raises(BrokenPipeError):
                stopping.expect_reader()
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with Stopping() as stopping:
        stopping.expect_reader()


# -- session and screen ---------------------------------------------------------------------------------------------


def session() -> Session:
    return Session(ByTheClock())  # type: ignore[arg-type]


def test_a_session_counts_what_came() -> None:
    one = session()
    events = [event for frame in frames(91) for event in one.push(frame).events]
    kinds = [event.kind for event in events if event.kind != "held"]
    assert kinds == ["started", "ended"] * 3
    said = dict(one.summary())
    assert said["frames"] == "91 in 3.0 s by the source's clock"
    assert said["gestures"].startswith("3 started: Swipe")
    assert "P-25 100%" in said["cost"]
    rows = [event_row(event, one) for event in events]
    assert rows[0]["end_ns"] is None
    assert rows[0]["track"] == "7"
    assert next(row for row in rows if row["type"] == "ended")["end_ns"] == 1_000_000_000
    assert json.loads(json.dumps(rows)) == rows


def test_counts_that_grow_are_told_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    one, said, clock = session(), [], SimpleNamespace(now=0.0)
    counts = {"late": 0, "gaps": 0, "unusable_frames": 0}
    plain = one.recogniser.stats
    monkeypatch.setattr(one.recogniser, "stats", lambda: replace(plain(), **counts))
    monkeypatch.setattr(
        "adasgn_edge.cli.session.time", SimpleNamespace(monotonic=lambda: clock.now, perf_counter=time.perf_counter)
    )
    troubles = Troubles(one, lambda: 7 if clock.now > 2 else 0, said.append)
    for number, frame in enumerate(frames(100)):
        one.push(frame)
        clock.now = number / 30
        counts = {"late": min(number, 40), "gaps": number, "unusable_frames": number // 60}
        troubles.look()
    assert said == ["at 1.0 s of the stream: late 30", "at 2.0 s of the stream: late 10, unusable frames 1",
                    "at 3.0 s of the stream: skipped 7"]  # fmt: skip


def rendered(screen: StreamScreen, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, force_terminal=True, file=io.StringIO())
    lines = console.render_lines(screen.draw(), console.options.update(height=height))
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (200, 60)])
def test_the_screen_fills_the_terminal_and_shows_bodies_labels_gestures_and_times(width: int, height: int) -> None:
    one, problems = session(), ["line 3: expected a JSON object"]
    screen = StreamScreen(one, "standard input", lambda: 12, problems)
    text = rendered(screen, width, height)
    assert "nobody in sight" in "\n".join(text)
    for frame in frames(20, names=("7", "left")):
        screen.take(frame, one.push(frame))
    text = rendered(screen, width, height)
    assert len(text) == height
    assert max(map(len, text)) <= width
    whole = "\n".join(text)
    for word in (
        "standard input",
        "tracked",
        "body 7",
        "left",
        "Tap",
        "90%",
        "P-25",
        "frames a second",
        "line 3: expected",
    ):
        assert word in whole, word
    assert any("\u2800" < character < "\u28ff" for character in whole), "a skeleton"
    problems.clear()
    assert "skipped 12" in "\n".join(rendered(screen, width, height))
    for frame in frames(40, names=("7",)):
        screen.take(StreamFrame(frame.stamp_ns + 10**10, frame.tracks), one.push(frame))
    assert list(screen._bodies) == [0], "who has not been seen for seconds is gone"


def test_left_hands_are_said_to_be_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    one, said, clock = session(), [], SimpleNamespace(now=0.0)
    monkeypatch.setattr(
        "adasgn_edge.cli.session.time", SimpleNamespace(monotonic=lambda: clock.now, perf_counter=time.perf_counter)
    )
    troubles, screen = Troubles(one, lambda: 0, said.append), StreamScreen(one, "title")
    for number, frame in enumerate(frames(90, names=("7", "8"))):
        frame = replace(frame, left=frozenset({"8"}) if number > 20 else frozenset())
        screen.take(frame, one.push(frame))
        clock.now = number / 30
        troubles.look()
    assert one.left == {"8"}
    assert said == ["left hands, mirrored to right ones: 8"]  # once
    assert ("hands", "left ones, mirrored to right ones: 8") in list(one.summary())
    assert [body.left for body in screen._bodies.values()] == [False, True]
    screen._focus = one.identities.number("8")
    whole = "\n".join(rendered(screen, 160, 40))
    assert "left hand, mirrored" in whole
    assert "body 8, a left hand, mirrored" in whole


def test_missing_joints_stand_where_they_were_and_nobody_breaks_nothing() -> None:
    one = session()
    screen = StreamScreen(one, "title")
    lost = CLIP[0].copy()
    lost[4:9] = np.nan
    nobody = np.full_like(lost, np.nan)
    for number, joints in enumerate([nobody, lost, CLIP[0], lost, nobody]):
        frame = StreamFrame(number * 40_000_000, {"7": joints})
        screen.take(frame, one.push(frame))
        rendered(screen, 80, 24)
    np.testing.assert_array_equal(screen._bodies[0].joints, CLIP[0])
    screen.take(StreamFrame(10**9, {}), one.push(StreamFrame(10**9, {})))
    rendered(screen, 80, 24)


def test_names_and_labels_do_nothing_to_the_terminal() -> None:
    written, one = io.StringIO(), session()
    screen = StreamScreen(one, "a\x1b[31mb")
    with StreamView(Console(file=written, force_terminal=True, width=100, height=30), screen) as view:
        for frame in frames(60, names=("\x1b[2J",)):
            view._drawn = 0.0
            view.take(frame, one.push(frame))
    assert "\x1b[31mb" not in written.getvalue()
    assert "\\x1b[31m" in written.getvalue()
    assert "[red]V" in written.getvalue(), "markup is text"


def test_pictures_are_drawn_so_many_times_a_second_and_not_for_every_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    one = session()
    screen = StreamScreen(one, "title")
    monkeypatch.setattr(screen, "draw", lambda: drawn.append(1) or "")
    with StreamView(Console(file=io.StringIO(), force_terminal=True, width=80, height=24), screen) as view:
        for frame in frames(300):
            view.take(frame, one.push(frame))
    assert 1 <= len(drawn) < 30
