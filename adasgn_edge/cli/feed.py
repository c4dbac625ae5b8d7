"""Frames that come in by a thread of their own: lines of a pipe or a file, recordings at the speed of their stamps."""

from __future__ import annotations

import gzip
import os
import select
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from adasgn_edge.data.stream_frames import LONGEST_LINE, FrameParser, StreamFrame, is_frame_line
from adasgn_edge.errors import DatasetError, RecognitionError

__all__ = ["Feed", "Malformed", "holds_lines", "lines_of_file", "lines_of_pipe", "open_pipe", "paced", "parsed"]

PLACES = {"newest": 8, "all": 64}
"""Frames that wait, where the newest win and where none may be lost."""
LONGEST_PAUSE = 5.0
"""Seconds: stamps further apart are a clock that was set, or a source that was off, and are not waited for."""
_WAKE = 0.1
"""Seconds within which a thread that waits for a pipe notices that it is to end."""


class Feed:
    """Takes frames out of an iterator in a thread, while the caller is busy with earlier ones.

    newest_wins: where frames come faster than they are taken, the oldest that wait are skipped, and counted; else
    their source waits. What the iterator raises is raised by :meth:`take`, after the frames before it. stopped: is set
    when the feed ends, for iterators that wait; skipped_before: how many frames their source itself has skipped.
    """

    def __init__(
        self,
        frames: Iterable[StreamFrame],
        *,
        newest_wins: bool,
        stopped: threading.Event,
        skipped_before: Callable[[], int] = lambda: 0,
    ) -> None:
        self._frames, self._newest_wins, self._stopped = frames, newest_wins, stopped
        self._places = PLACES["newest" if newest_wins else "all"]
        self._waiting: deque[StreamFrame] = deque()
        self._changed = threading.Condition()
        self._done = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name="feed", daemon=True)
        self._skipped, self._skipped_before = 0, skipped_before

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(timeout=2.0)

    def take(self, timeout: float) -> StreamFrame | None:
        """The next frame; None when none came within `timeout` seconds, or when there are no more."""
        with self._changed:
            if not self._waiting and not self._done:
                self._changed.wait(timeout)
            if self._waiting:
                frame = self._waiting.popleft()
                self._changed.notify_all()
                return frame
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            return None

    @property
    def skipped(self) -> int:
        """Frames that nobody was given, because newer ones had come."""
        return self._skipped + self._skipped_before()

    @property
    def ended(self) -> bool:
        """Whether every frame has been taken and none will come."""
        with self._changed:
            return self._done and not self._waiting and self._error is None

    def _read(self) -> None:
        try:
            for frame in self._frames:
                if not self._put(frame):
                    break
        except BaseException as error:  # for the thread that takes
            self._error = error
        with self._changed:
            self._done = True
            self._changed.notify_all()

    def _put(self, frame: StreamFrame) -> bool:
        """Whether there is still somebody who takes frames."""
        with self._changed:
            while len(self._waiting) >= self._places and not self._stopped.is_set():
                if self._newest_wins:
                    self._waiting.popleft()
                    self._skipped += 1
                else:
                    self._changed.wait(_WAKE)
            self._waiting.append(frame)
            self._changed.notify_all()
        return not self._stopped.is_set()


class Malformed:
    """Lines that are no frames: the first one is an error, or they are counted up to a number in a row.

    complain: is told what is wrong, at most once a second.
    """

    def __init__(self, strict: bool, most: int, complain: Callable[[str], None]) -> None:
        self._most, self._complain = 0 if strict else most, complain
        self._in_a_row = 0
        self._told = float("-inf")
        self.count = 0

    def add(self, line: int, error: RecognitionError) -> None:
        """Count a line that was no frame; raises RecognitionError when it was one too many."""
        self.count += 1
        self._in_a_row += 1
        message = f"line {line}: {error}"
        if self._in_a_row > self._most:
            more = f" ({self._in_a_row} malformed lines in a row)" if self._in_a_row > 1 else ""
            raise RecognitionError(f"{message}{more}")
        now = time.monotonic()
        if now - self._told >= 1:
            self._told = now
            self._complain(f"{message}: skipped")

    def end_row(self) -> None:
        """A good line came."""
        self._in_a_row = 0


def parsed(lines: Iterable[bytes], parser: FrameParser, malformed: Malformed) -> Iterator[StreamFrame]:
    """The frames of lines; headers and blank lines are passed over, malformed ones are counted."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            if len(line) > LONGEST_LINE:
                raise RecognitionError(f"expected at most {LONGEST_LINE} bytes, found more")
            frame = parser.parse(line)
        except RecognitionError as error:
            malformed.add(number, error)
            continue
        malformed.end_row()
        if frame is not None:
            yield frame


def paced(frames: Iterable[StreamFrame], stopped: threading.Event) -> Iterator[StreamFrame]:
    """Frames when they are due: as far apart as their stamps, from the first one on."""
    began, first, newest = 0.0, None, 0
    for frame in frames:
        apart = 1e-9 * (frame.stamp_ns - newest)
        if first is None or not 0 <= apart <= LONGEST_PAUSE:
            began, first = time.monotonic(), frame.stamp_ns
        newest = frame.stamp_ns
        wait = began + 1e-9 * (frame.stamp_ns - first) - time.monotonic()
        if wait > 0 and stopped.wait(wait):
            return
        yield frame


# -- lines ----------------------------------------------------------------------------------------------------------


def holds_lines(path: Path) -> bool:
    """Whether a file holds frames as lines rather than a recording: a named pipe, or .jsonl whose first line is one."""
    if path.exists() and not path.is_file() and not path.is_dir():
        return True
    if not path.name.lower().removesuffix(".gz").endswith((".jsonl", ".ndjson")) or not path.is_file():
        return False
    return is_frame_line(next((line for line in lines_of_file(path) if line.strip()), b""))


def lines_of_file(path: Path) -> Iterator[bytes]:
    """Lines of a file, or of one compressed by gzip; of an overlong one the beginning alone."""

    def chunks() -> Iterator[bytes]:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file: BinaryIO = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
            try:
                while chunk := file.read(1 << 16):
                    yield chunk
            except (EOFError, gzip.BadGzipFile) as error:
                raise DatasetError(
                    f"{path}: expected a file compressed by gzip, found a damaged one ({error})"
                ) from None

    return _lines(chunks())


def open_pipe(path: Path) -> int:
    """A descriptor of a named pipe or a device; waits for nobody."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DatasetError(f"{path}: expected a file or a pipe, found a folder")
    return descriptor


def lines_of_pipe(descriptor: int, stopped: threading.Event) -> Iterator[bytes]:
    """Lines as they come through a descriptor, until its end or until `stopped` is set."""

    def chunks() -> Iterator[bytes]:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        while not stopped.is_set():
            if not waiting.poll(1000 * _WAKE):
                continue
            try:
                chunk = os.read(descriptor, 1 << 16)
            except BlockingIOError:  # somebody else was quicker
                continue
            if not chunk:
                return
            yield chunk

    return _lines(chunks())


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends; of an overlong one its first LONGEST_LINE + 1 bytes."""
    begun = bytearray()
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            begun += part
            yield bytes(begun[: LONGEST_LINE + 1])
            begun.clear()
        begun += rest
        del begun[LONGEST_LINE + 1 :]
    if begun:
        yield bytes(begun)
