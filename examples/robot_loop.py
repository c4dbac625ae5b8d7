"""Gestures that drive a robot: a control loop of 100 Hz with absolute deadlines and a dead man's rule.

    my-tracker | python examples/robot_loop.py | my-robot           # JSON lines in (docs/streaming.md), commands out
    python examples/robot_loop.py hands.jsonl                       # a recorded stream, at the speed of its stamps
    python examples/robot_loop.py hands.jsonl --virtual             # at once, on a clock that follows its stamps
    python examples/robot_loop.py hands.jsonl --as-text             # its frames as robot_loop.cpp reads them

Every cycle prints one velocity command; at the end, and on SIGUSR1, a report on deadlines goes to standard error.

The rule: a command lives while its gesture is confirmed by the recogniser again and again and frames come in. A gesture
that goes on with a probability below --confirm is no confirmation. What is older than --life (no confirmation) or
--stale (no frame), a lost track and the end of the input mean zero, which is reached within --stop-within seconds at a
constant deceleration. Zero is also what the loop begins with.

robot_loop.cpp is the same in C++ and prints the same commands. NumPy and adasgn_edge are all that is needed.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import adasgn_edge
from adasgn_edge.data.stream_frames import FrameParser, StreamFrame
from adasgn_edge.deploy.model_file import model_called
from adasgn_edge.errors import AdaSGNError, RecognitionError
from adasgn_edge.recogniser import GestureEvent

SECOND = 1_000_000_000
HELD_EVERY = 0.1
"""Seconds between two confirmations of a gesture that goes on."""
COMMANDS = {"One": (0.4, 0.0), "Two": (-0.2, 0.0), "Left": (0.0, 0.6), "Right": (0.0, -0.6)}
"""Forward metres a second and turn to the left, radians a second, while a gesture is held. All others mean zero."""
FULL = (0.4, 0.6)
"""What is braked from within --stop-within: the largest speeds, which are also limits."""
NOBODY = -1
ROUNDING = 1e-9


class Rule(NamedTuple):
    """Seconds: life of a confirmation, age of a frame that is stale, from full speed to zero, from zero to full; and
    the least probability of a gesture that confirms it."""

    life: float = 0.35
    stale: float = 0.2
    stop_within: float = 0.3
    start_within: float = 0.6
    confirm: float = 0.5


class Command(NamedTuple):
    """forward: m/s; turn: rad/s; state: "stopped", "driving" or "stopping"."""

    forward: float
    turn: float
    state: str


class DeadMan:
    """Gestures in, velocities out. Times are of the loop's own clock, in nanoseconds; it never looks at one itself."""

    def __init__(self, rule: Rule, period_ns: int, commands: dict[int, tuple[float, float]]) -> None:
        self._rule, self._period_ns = rule, period_ns
        self._life, self._stale = round(rule.life * SECOND), round(rule.stale * SECOND)
        self._commands = commands
        self._confirm = rule.confirm
        self._driver, self._label = NOBODY, NOBODY
        self._confirmed_ns = self._frame_ns = 0
        self._last_ns: int | None = None
        self._speed = [0.0, 0.0]

    def see(self, now_ns: int, tracks: Iterable[int], events: Iterable[GestureEvent]) -> None:
        """A frame came in, with these bodies, and this is what became of gestures."""
        tracks = list(tracks)
        if self._driver == NOBODY or self._driver in tracks:  # a frame without who drives is none
            self._frame_ns = now_ns
        for event in events:
            if event.kind == "ended":
                if event.track == self._driver and event.label == self._label:
                    self._driver = NOBODY
            elif self._driver not in (NOBODY, event.track):
                continue  # somebody else drives
            elif event.label in self._commands and event.confidence >= self._confirm:
                self._driver, self._label, self._confirmed_ns = event.track, event.label, now_ns
                self._frame_ns = now_ns
            elif event.label != self._label:
                self._driver = NOBODY  # now it says something else, which means no command, or not surely

    def command(self, now_ns: int) -> Command:
        """The command of this cycle, to be asked for once in each."""
        if now_ns - self._confirmed_ns > self._life or now_ns - self._frame_ns > self._stale:
            self._driver = NOBODY
        wanted = self._commands[self._label] if self._driver != NOBODY else (0.0, 0.0)
        # Braking makes up for cycles that were missed, speeding up does not.
        passed_ns = self._period_ns if self._last_ns is None else now_ns - self._last_ns
        self._last_ns = now_ns
        braked = 1e-9 * passed_ns / self._rule.stop_within
        pulled = 1e-9 * min(passed_ns, self._period_ns) / self._rule.start_within
        for axis in range(2):
            speed, goal = self._speed[axis], wanted[axis]
            if speed * goal < 0.0:
                goal = 0.0  # first to a stop, then the other way
            step = FULL[axis] * (braked if abs(goal) < abs(speed) else pulled)
            self._speed[axis] = (
                goal if abs(goal - speed) <= step + ROUNDING else speed + (step if goal > speed else -step)
            )
        if self._driver != NOBODY:
            return Command(self._speed[0], self._speed[1], "driving")
        return Command(self._speed[0], self._speed[1], "stopped" if self._speed == [0.0, 0.0] else "stopping")


# -- the clock, and what it cost ------------------------------------------------------------------------------------


class Histogram:
    """Durations in bins of 10 µs up to 100 ms, so that a cycle allocates nothing and percentiles are exact to a bin."""

    BIN_NS, BINS = 10_000, 10_000

    def __init__(self) -> None:
        self.counts = np.zeros(self.BINS, dtype=np.int64)
        self.largest_ns = 0

    def add(self, duration_ns: int) -> None:
        """Count a duration."""
        self.counts[min(max(duration_ns, 0) // self.BIN_NS, self.BINS - 1)] += 1
        self.largest_ns = max(self.largest_ns, duration_ns)

    def percentile(self, share: float) -> float:
        """Milliseconds that this share of the durations stays below: the upper end of a bin, at most the largest."""
        total = int(self.counts.sum())
        if total == 0:
            return 0.0
        place = int(np.searchsorted(np.cumsum(self.counts), share * total))
        return 1e-6 * min((place + 1) * self.BIN_NS, self.largest_ns)


class Monitor:
    """How well the loop keeps its deadlines."""

    def __init__(self, period_ns: int) -> None:
        self.period_ns, self.cycles, self.misses, self.skipped = period_ns, 0, 0, 0
        self.late, self.busy = Histogram(), Histogram()
        self._faults = _page_faults()

    def cycle(self, deadline_ns: int, woken_ns: int, done_ns: int) -> int:
        """Count a cycle that was to begin at the deadline; returns the next deadline that can still be kept."""
        self.cycles += 1
        self.late.add(woken_ns - deadline_ns)
        self.busy.add(done_ns - woken_ns)
        following = deadline_ns + self.period_ns
        if done_ns > following:
            self.misses += 1
            behind = (done_ns - following) // self.period_ns + 1
            self.skipped += behind
            following += behind * self.period_ns
        return following

    def report(self) -> str:
        """For people."""
        minor, major = (now - then for now, then in zip(_page_faults(), self._faults, strict=True))
        lines = [f"{self.cycles} cycles of {1e-6 * self.period_ns:.2f} ms, {self.misses} deadlines missed, "
                 f"{self.skipped} cycles skipped"]  # fmt: skip
        for name, times in (("woken late", self.late), ("busy", self.busy)):
            middle, high, most = times.percentile(0.5), times.percentile(0.99), 1e-6 * times.largest_ns
            lines.append(f"  {name:<12}{middle:.2f} ms median, {high:.2f} ms p99, {most:.2f} ms at most")
        return "\n".join([*lines, f"  page faults {minor} minor, {major} major"])


def _page_faults() -> tuple[int, int]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_minflt, used.ru_majflt


# -- where frames come from -----------------------------------------------------------------------------------------


def parsed(lines: Iterable[bytes | str], parser: FrameParser) -> Iterator[StreamFrame]:
    """Frames of lines; a malformed one is told and passed over."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                frame = parser.parse(line)
            except RecognitionError as error:
                print(f"robot_loop: line {number}: {error}", file=sys.stderr)
            else:
                if frame is not None:  # a header
                    yield frame


def numbered(frame: StreamFrame, numbers: dict[str, int]) -> dict[int, NDArray[np.float32]]:
    """The frame's bodies by number, in the order in which their names first came."""
    return {numbers.setdefault(name, len(numbers)): joints for name, joints in frame.tracks.items()}


def as_text(frame: StreamFrame, numbers: dict[str, int]) -> str:
    """A frame as robot_loop.cpp reads it."""
    tracks = numbered(frame, numbers)
    bodies = "".join(f"  {track} {' '.join(map(str, joints.ravel()))}" for track, joints in tracks.items())
    return f"{frame.stamp_ns} {len(tracks)}{bodies}"


class Piped:
    """Frames of a pipe, read by a thread of their own: the loop takes the newest and never waits."""

    def __init__(self, lines: Iterable[bytes], parser: FrameParser) -> None:
        self._frames = parsed(lines, parser)
        self._newest: StreamFrame | None = None
        self._lock = threading.Lock()  # held for the exchange of two references
        self._read_all, self.skipped = False, 0
        self.error: AdaSGNError | None = None
        threading.Thread(target=self._read, name="frames", daemon=True).start()

    def _read(self) -> None:
        try:
            for frame in self._frames:
                with self._lock:
                    self.skipped += self._newest is not None
                    self._newest = frame
        except AdaSGNError as error:
            self.error = error
        self._read_all = True

    @property
    def ended(self) -> bool:
        """Whether all have been taken, or skipped for newer ones."""
        return self._read_all and self._newest is None

    def take(self, now_ns: int) -> StreamFrame | None:
        """The newest frame that has not been taken."""
        with self._lock:
            frame, self._newest = self._newest, None
        return frame


class Recorded:
    """Frames of a recording, each from when its stamp is due on the loop's clock."""

    def __init__(self, frames: list[StreamFrame]) -> None:
        self._frames, self._next = frames, 0
        self._begin_ns: int | None = None
        self.skipped, self.error = 0, None

    def take(self, now_ns: int) -> StreamFrame | None:
        """The newest of the frames that are due, if there is one."""
        if self._begin_ns is None:
            self._begin_ns = now_ns
        first, due = self._next, now_ns - self._begin_ns + (self._frames[0].stamp_ns if self._frames else 0)
        while self._next < len(self._frames) and self._frames[self._next].stamp_ns <= due:
            self._next += 1
        self.skipped += max(self._next - first - 1, 0)
        return self._frames[self._next - 1] if self._next > first else None

    @property
    def ended(self) -> bool:
        """Whether all have been due."""
        return self._next == len(self._frames)


# -- the loop -------------------------------------------------------------------------------------------------------


class Loop:
    """Cycles of a fixed period: newest frame, recogniser, command."""

    def __init__(self, recogniser: adasgn_edge.Recogniser, frames: Piped | Recorded, rule: Rule, period_ns: int,
                 commands: dict[str, tuple[float, float]]) -> None:  # fmt: skip
        for label in commands:
            if label not in recogniser.labels:
                raise RecognitionError(f"command: expected one of {', '.join(recogniser.labels)}, found {label!r}")
        self._recogniser, self._frames, self._period_ns = recogniser, frames, period_ns
        by_label = {recogniser.labels.index(label): speeds for label, speeds in commands.items()}
        self.dead_man = DeadMan(rule, period_ns, by_label)
        self._numbers: dict[str, int] = {}
        self._asked = self._stop = False

    def cycle(self, now_ns: int) -> Command:
        """What happens in one cycle, whatever the time is."""
        frame = self._frames.take(now_ns)
        if frame is not None:
            tracks = numbered(frame, self._numbers)
            self.dead_man.see(now_ns, tracks, self._recogniser.push(frame.stamp_ns, tracks).events)
        return self.dead_man.command(now_ns)

    def run(self, *, virtual: bool) -> None:
        """Until the input has ended and the robot stands; SIGINT and SIGTERM end the input."""
        signal.signal(signal.SIGUSR1, self._ask)
        for asked in (signal.SIGINT, signal.SIGTERM):
            signal.signal(asked, self._end)
        monitor = self.monitor = Monitor(self._period_ns)
        deadline, number = time.monotonic_ns() if not virtual else 0, 0
        while True:
            if virtual:
                woken = deadline
            else:
                # The deadline is absolute: what a cycle takes, or sleeps too long, is not added to the next one.
                while (rest := deadline - time.monotonic_ns()) > 0:
                    time.sleep(1e-9 * rest)
                woken = time.monotonic_ns()
            command = self.cycle(woken)
            sys.stdout.write(
                f'{{"cycle": {number}, "forward": {command.forward:.4f}, "turn": {command.turn:.4f}, '
                f'"state": "{command.state}"}}\n'
            )
            sys.stdout.flush()
            done = deadline if virtual else time.monotonic_ns()
            following = monitor.cycle(deadline, woken, done)
            number += (following - deadline) // self._period_ns
            deadline = following
            if self._asked:
                self._asked = False
                print(monitor.report(), file=sys.stderr)
            if (self._stop or self._frames.ended) and command.state == "stopped":
                break
        print(monitor.report(), file=sys.stderr)
        print(f"  frames      {self._recogniser.stats().pushes} taken, {self._frames.skipped} skipped", file=sys.stderr)

    def _ask(self, *_: object) -> None:
        self._asked = True

    def _end(self, *_: object) -> None:
        self._stop = True
        self._frames = Recorded([])  # no frames any more: the dead man's rule stops the robot


def be_punctual(fifo: int, lock: bool) -> None:
    """What Python and the kernel can do for deadlines; what is refused is said."""
    gc.collect()
    gc.freeze()  # what there is will stay; a cycle makes no cycles of references
    gc.disable()
    sys.setswitchinterval(5e-4)  # the reader's thread gives way within half a millisecond
    if fifo:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(fifo))
        except OSError as error:
            print(f"robot_loop: SCHED_FIFO {fifo} was refused: {error.strerror}; goes on without", file=sys.stderr)
    if lock:
        everything = 1 | 2  # MCL_CURRENT, MCL_FUTURE
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mlockall(everything):
            reason = os.strerror(ctypes.get_errno())
            print(f"robot_loop: mlockall was refused: {reason}; goes on without", file=sys.stderr)


def _command(text: str) -> tuple[str, tuple[float, float]]:
    label, _, speeds = text.partition("=")
    try:
        forward, turn = (float(part) for part in speeds.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected LABEL=FORWARD,TURN, found {text!r}") from None
    if not (abs(forward) <= FULL[0] and abs(turn) <= FULL[1]):
        raise argparse.ArgumentTypeError(f"expected at most {FULL[0]} m/s and {FULL[1]} rad/s, found {text!r}")
    return label, (forward, turn)


def main() -> int:
    """Read the options, run the loop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", default="-", help="JSON lines of a stream; - for standard input")
    parser.add_argument("--model", help="a causal model's file, or stream or hands, which ship (default: stream)")
    parser.add_argument("--device", default="cpu", metavar="cpu|cuda|cuda:N", help="what runs the model")
    parser.add_argument("--hz", type=float, default=100.0, help="cycles a second")
    parser.add_argument("--command", type=_command, action="append", metavar="LABEL=M/S,RAD/S", help="of a gesture")
    parser.add_argument("--life", type=float, default=Rule().life, help="seconds that a confirmation is good for")
    parser.add_argument(
        "--confirm", type=float, default=Rule().confirm, help="least probability that confirms a gesture"
    )
    parser.add_argument("--stale", type=float, default=Rule().stale, help="seconds after which a frame is too old")
    parser.add_argument("--stop-within", type=float, default=Rule().stop_within, help="seconds from full speed to zero")
    parser.add_argument("--start-within", type=float, default=Rule().start_within, help="seconds from zero to full")
    parser.add_argument("--virtual", action="store_true", help="a recording at once, on a clock of its stamps")
    parser.add_argument("--as-text", action="store_true", help="print the frames as robot_loop.cpp reads them instead")
    parser.add_argument("--fifo", type=int, default=0, metavar="PRIORITY", help="ask for SCHED_FIFO")
    parser.add_argument("--lock", action="store_true", help="ask for all memory to be locked")
    options = parser.parse_args()
    rule = Rule(options.life, options.stale, options.stop_within, options.start_within, options.confirm)
    if not (0 < options.hz <= 10_000 and min(rule) > 0):
        parser.error("expected positive times, a positive probability and a rate of up to 10000 Hz")
    if rule.confirm > 1:
        parser.error(f"--confirm: expected a probability of at most 1, found {rule.confirm:g}")
    if options.virtual and options.file == "-":
        parser.error("--virtual: expected a recording, found standard input")
    try:
        model = model_called(options.model, "stream")
        recogniser = adasgn_edge.Recogniser(model, device=options.device, held_every=HELD_EVERY)
        lines = FrameParser(recogniser.description.layout)  # a stream's header says whose joints, axes and units it has
        if options.as_text:
            source = sys.stdin.buffer if options.file == "-" else Path(options.file).read_bytes().splitlines()
            numbers: dict[str, int] = {}
            for frame in parsed(source, lines):
                print(as_text(frame, numbers), flush=True)
            return 0
        if options.file == "-":
            frames: Piped | Recorded = Piped(sys.stdin.buffer, lines)
        else:
            frames = Recorded(list(parsed(Path(options.file).read_bytes().splitlines(), lines)))
        commands = dict(options.command) if options.command else COMMANDS
        loop = Loop(recogniser, frames, rule, round(SECOND / options.hz), commands)
        be_punctual(options.fifo, options.lock)
        loop.run(virtual=options.virtual)
    except (AdaSGNError, OSError) as error:
        print(f"robot_loop: {error}", file=sys.stderr)
        return 2
    if frames.error is not None:
        print(f"robot_loop: {frames.error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
