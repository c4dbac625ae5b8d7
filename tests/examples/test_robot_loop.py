"""The control loop of the examples: its commands, the dead man's rule, the monitor's arithmetic.

Whether deadlines are met is the machine's business and not tested; robot_loop.cpp is held to the same commands where it
is built: tests/cpp/check_package.py.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")

import itertools

from adasgn_edge.recogniser import GestureEvent
from tests.examples.recorded_stream import COMMANDS, write_recording

PROGRAM = Path(__file__).parents[2] / "examples" / "robot_loop.py"
PERIOD = 10_000_000
MS = 1_000_000


@pytest.fixture(scope="module")
def loop():
    spec = importlib.util.spec_from_file_location("robot_loop", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    sys.modules["robot_loop"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["robot_loop"]


def event(kind: str, label: int = 1, track: int = 7, confidence: float = 0.9) -> GestureEvent:
    return GestureEvent(kind, 1, track, label, confidence, 0, 0, 0, False)


class Driver:
    """A dead man's rule with commands for labels 1 and 2, cycle after cycle; a frame every cycle unless told not."""

    def __init__(self, loop):
        self.rule = loop.Rule(life=0.35, stale=0.2, stop_within=0.3, start_within=0.6)
        self.dead_man = loop.DeadMan(self.rule, PERIOD, {1: (0.4, 0.0), 2: (-0.4, 0.6)})
        self.now = 10**12

    def cycles(self, count, *, events=(), tracks=(7,), frames=True):
        """Commands of so many cycles; the events come in the first one."""
        commands = []
        for cycle in range(count):
            self.now += PERIOD
            if frames:
                self.dead_man.see(self.now, tracks, events if cycle == 0 else ())
            commands.append(self.dead_man.command(self.now))
        return commands

    def drive(self, cycles=100):
        """Held long enough for full speed."""
        for start in range(0, cycles, 10):
            last = self.cycles(10, events=[event("held" if start else "started")])[-1]
        return last


def stops_after(commands) -> int:
    """Cycles until zero, from when driving ended; speeds fall steadily."""
    speeds = [command.forward for command in commands]
    assert all(next_ <= speed for speed, next_ in itertools.pairwise(speeds))
    return next(number for number, command in enumerate(commands) if command.state == "stopped")


def test_it_begins_with_zero_and_speeds_up_within_the_time(loop):
    driver = Driver(loop)
    assert set(driver.cycles(20)) == {loop.Command(0.0, 0.0, "stopped")}
    commands = driver.cycles(10, events=[event("started")])
    assert [round(command.forward, 6) for command in commands[:2]] == [round(0.4 / 60, 6), round(0.8 / 60, 6)]
    assert driver.drive() == loop.Command(0.4, 0.0, "driving")


def test_a_confirmation_that_does_not_come_again_stops_it(loop):
    driver = Driver(loop)
    driver.drive()
    commands = driver.cycles(80)  # frames go on
    driving = [command.state for command in commands].count("driving")
    assert driving == 35 - 9  # 0.35 s from the last confirmation, 9 cycles ago
    assert stops_after(commands[driving:]) == 29  # the 30th cycle of 0.3 s is the first with zero


def test_a_gesture_that_goes_on_with_a_low_probability_confirms_nothing(loop):
    """Models that ship end a gesture at 0.02: that long it is held."""
    driver = Driver(loop)
    driver.drive()
    commands = [command for _ in range(8) for command in driver.cycles(10, events=[event("held", confidence=0.49)])]
    assert [command.state for command in commands].count("driving") == 35 - 9
    assert driver.cycles(1, events=[event("held", confidence=0.5)])[0].state == "driving"


def test_another_gesture_that_is_not_sure_stops_it(loop):
    driver = Driver(loop)
    driver.drive()
    assert driver.cycles(1, events=[event("started", label=2, confidence=0.3)])[0].state == "stopping"


def test_frames_that_do_not_come_stop_it(loop):
    driver = Driver(loop)
    driver.drive()
    commands = driver.cycles(80, frames=False)
    assert [command.state for command in commands].count("driving") == 20
    assert stops_after(commands[20:]) == 29


def test_frames_without_who_drives_are_none(loop):
    driver = Driver(loop)
    driver.drive()
    commands = driver.cycles(80, tracks=(8,))
    assert [command.state for command in commands].count("driving") == 20


@pytest.mark.parametrize("last", ["ended", "another gesture"])
def test_the_end_of_the_gesture_stops_it_at_once(loop, last):
    driver = Driver(loop)
    driver.drive()
    commands = driver.cycles(40, events=[event("ended") if last == "ended" else event("held", label=3)])
    assert commands[0].state == "stopping"
    assert stops_after(commands) == 29


def test_nobody_else_takes_over_while_one_drives(loop):
    driver = Driver(loop)
    driver.drive()
    command = driver.cycles(1, events=[event("started", label=2, track=8)], tracks=(7, 8))[0]
    assert command == loop.Command(0.4, 0.0, "driving")
    driver.cycles(100, events=[event("ended")], tracks=(7, 8))
    assert driver.cycles(1, events=[event("held", label=2, track=8)], tracks=(7, 8))[0].forward < 0


def test_the_other_way_goes_through_zero(loop):
    driver = Driver(loop)
    driver.drive()
    speeds = [command.forward for command in driver.cycles(35, events=[event("started", label=2)])]
    zero = speeds.index(0.0)
    assert zero == 29
    assert speeds[zero + 1] == pytest.approx(-0.4 / 60)


def test_braking_makes_up_for_missed_cycles_and_speeding_up_does_not(loop):
    driver = Driver(loop)
    driver.cycles(1)
    driver.now += 9 * PERIOD
    assert driver.cycles(1, events=[event("started")])[0].forward == pytest.approx(0.4 / 60)
    driver.drive()
    first = driver.cycles(1, events=[event("ended")])[0].forward
    driver.now += 9 * PERIOD
    assert driver.cycles(1)[0].forward == pytest.approx(first - 10 * 0.4 / 30)
    driver.now += 30 * PERIOD
    assert driver.cycles(1)[0] == loop.Command(0.0, 0.0, "stopped")


# -- the monitor ----------------------------------------------------------------------------------------------------


def test_the_monitor_counts_what_was_late_and_what_was_missed(loop):
    monitor = loop.Monitor(PERIOD)
    deadline = 0
    for _ in range(98):
        deadline = monitor.cycle(deadline, deadline + 50_000, deadline + 1_050_000)
    assert deadline == 98 * PERIOD
    deadline = monitor.cycle(deadline, deadline + 3 * MS, deadline + 9 * MS)  # late, but in time
    assert (monitor.misses, deadline) == (0, 99 * PERIOD)
    deadline = monitor.cycle(deadline, deadline, deadline + 25 * MS)  # two deadlines have passed
    assert (monitor.cycles, monitor.misses, monitor.skipped) == (100, 1, 2)
    assert deadline == 102 * PERIOD  # on the same grid, the next one that can be kept
    assert monitor.late.percentile(0.5) == pytest.approx(0.06)  # the upper end of its bin
    assert monitor.late.percentile(1.0) == pytest.approx(3.0)
    assert monitor.busy.percentile(0.98) == pytest.approx(1.01)
    assert monitor.busy.percentile(0.99) == pytest.approx(6.01)
    assert 1e-6 * monitor.busy.largest_ns == 25
    text = monitor.report()
    assert "100 cycles of 10.00 ms, 1 deadlines missed, 2 cycles skipped" in text
    assert "0.06 ms median" in text
    assert "page faults" in text


def test_a_histogram_of_all_lengths(loop):
    histogram = loop.Histogram()
    assert histogram.percentile(0.5) == 0
    rng = np.random.default_rng(0)
    durations = (rng.exponential(2e6, 5000)).astype(np.int64)
    for duration in durations.tolist():
        histogram.add(duration)
    for share in (0.5, 0.95, 0.99):
        exact = 1e-6 * float(np.quantile(durations, share))
        assert exact - 0.02 <= histogram.percentile(share) <= exact + 0.04
    histogram.add(10**9)
    assert histogram.percentile(1.0) == 100.0  # all beyond the last bin
    assert histogram.largest_ns == 10**9
    histogram.add(-5)  # woken early
    assert histogram.counts[0] >= 1


# -- frames ---------------------------------------------------------------------------------------------------------


def test_the_newest_frame_wins(loop):
    from adasgn_edge.data.stream_frames import StreamFrame

    frames = [StreamFrame(100 + MS * stamp, {}) for stamp in (0, 5, 12, 18, 40)]
    recorded = loop.Recorded(frames)
    assert recorded.take(10**9) is frames[0]
    assert recorded.take(10**9 + 20 * MS) is frames[3]
    assert recorded.skipped == 2
    assert recorded.take(10**9 + 30 * MS) is None
    assert not recorded.ended
    assert recorded.take(10**9 + 40 * MS) is frames[4]
    assert recorded.ended


def run(*arguments, text=None):
    return subprocess.run(
        [sys.executable, PROGRAM, *map(str, arguments)], capture_output=True, text=True, input=text, timeout=300
    )


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    return write_recording(tmp_path_factory.mktemp("stream") / "hands.jsonl")


def test_a_recorded_stream_drives_and_stops(recording):
    done = run(recording, "--virtual", *COMMANDS)
    assert done.returncode == 0, done.stderr
    commands = [json.loads(line) for line in done.stdout.splitlines()]
    assert [command["cycle"] for command in commands] == list(range(len(commands)))
    assert {command["state"] for command in commands} == {"stopped", "driving", "stopping"}
    assert commands[-1] == {"cycle": len(commands) - 1, "forward": 0.0, "turn": 0.0, "state": "stopped"}
    assert max(command["forward"] for command in commands) > 0.2
    for before, after in itertools.pairwise(commands):
        assert abs(after["forward"] - before["forward"]) <= 0.4 / 30 + 1e-4
    assert "deadlines missed" in done.stderr
    assert run(recording, "--virtual", *COMMANDS).stdout == done.stdout


def test_a_pipe_is_read_while_the_loop_runs(recording):
    done = run("-", "--hz", 200, text=recording.read_text())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["state"] == "stopped"
    taken, skipped = (int(word) for word in done.stderr.split("frames      ")[1].split() if word.isdigit())
    assert taken >= 1
    assert taken + skipped == len(recording.read_text().splitlines()) - 1  # but for the header


def test_what_cannot_be_driven_by_is_an_error(tmp_path, recording):
    lines = recording.read_text().splitlines()
    undescribed = tmp_path / "undescribed.jsonl"
    undescribed.write_text("\n".join(lines[1:20]))
    for arguments, said in (
        ((undescribed, "--virtual"), "source"),
        ((tmp_path / "none.jsonl",), "No such file"),
        ((recording, "--command", "Wave=0.1,0"), "found 'Wave'"),
        ((recording, "--command", "Grab=9,0"), "at most 0.4 m/s"),
        (("-", "--virtual"), "expected a recording"),
        ((recording, "--device", "tpu"), 'device: expected "cpu", "cuda"'),
    ):
        done = run(*arguments)
        assert done.returncode == 2
        assert said in done.stderr
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_text("\n".join([*lines[:30], "{", *lines[30:60]]))
    done = run(damaged, "--virtual")
    assert done.returncode == 0
    assert "line 31: expected a JSON object" in done.stderr
