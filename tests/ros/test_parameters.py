"""What must be stated, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from adasgn_edge_ros.health import ERROR, OK, WARN, Health
from adasgn_edge_ros.parameters import PARAMETERS, Settings

from adasgn_edge.errors import EngineError, SourceError
from adasgn_edge.recogniser import Stats
from tests.ros.conftest import PACKAGE
from tests.ros.support import STATED, settings, values

REQUIRED = [known.name for known in PARAMETERS if known.required]


def test_what_is_required_has_no_default():
    assert set(REQUIRED) == set(STATED)
    assert all(known.default is None for known in PARAMETERS if known.required)
    with pytest.raises(SourceError) as caught:
        Settings.of({known.name: known.default for known in PARAMETERS})
    assert all(f"{name}: " in str(caught.value) for name in REQUIRED)


@pytest.mark.parametrize("name", REQUIRED)
def test_the_one_that_is_missing_is_named(name):
    with pytest.raises(SourceError, match=f"parameters: expected also {name}: ") as caught:
        settings(**{name: None})
    assert not any(f" {other}: " in str(caught.value) for other in REQUIRED if other != name)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"input_type": "poses"}, SourceError, "input_type: expected one of pose_array, zed_objects, hri_skeleton_2d"),
        ({"axes": "sideways"}, SourceError, "axes: "),
        ({"units": "yards"}, SourceError, "units: "),
        ({"gravity": "down"}, SourceError, "gravity: expected 'level' or three numbers"),
        ({"gravity": "0 -1"}, SourceError, "gravity: "),
        ({"side": "top"}, SourceError, "side: "),
        ({"side": "track"}, SourceError, "as pose_array tells none"),
        ({"mode": "fast"}, EngineError, "mode: expected continual or exact"),
        ({"input_type": "hri_skeleton_2d"}, SourceError, "has no depth, .* expected 'depth: true'"),
        ({"input_type": "hri_skeleton_2d", "depth": True}, SourceError, "expected also rectified: true or false"),
        (
            {"input_type": "hri_skeleton_2d", "depth": True, "rectified": True, "axes": "ros"},
            SourceError,
            "expected axes 'optical' and units 'm'",
        ),
        ({"depth": True, "rectified": True}, SourceError, "pose_array has positions already"),
    ],
)
def test_what_cannot_be_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        settings(**changes)


def test_what_is_stated_describes_the_source():
    told = settings(
        source="mediapipe-hand-21", axes="left down back", units="0.001", gravity="0, 0.9, 0.4", side="left"
    )
    assert told.description.axes == ("left", "down", "back")
    assert told.description.units == 0.001
    assert told.description.gravity == (0, 0.9, 0.4)
    assert settings(gravity="level").description.gravity is None


def test_ranges_hold_their_defaults():
    for known in PARAMETERS:
        assert (known.low is None) == (known.high is None)
        if known.low is not None and known.default is not None:
            assert known.low <= known.default <= known.high
        assert known.description
        assert known.default is not None or known.may_be or known.low is not None


def test_the_example_file_states_all_that_is_required():
    yaml = pytest.importorskip("yaml", reason="PyYAML, which comes with rclpy, is not installed")
    told = yaml.safe_load((PACKAGE / "config" / "params.yaml").read_text())["/**"]["ros__parameters"]
    assert set(told) <= {known.name for known in PARAMETERS}
    found = Settings.of(values() | told)
    assert (found.input_type, found.description.joints) == ("pose_array", "mediapipe-hand-21")


def test_every_parameter_is_in_the_docs():
    text = (Path(__file__).parents[2] / "docs" / "ros2.md").read_text()
    assert [known.name for known in PARAMETERS if f"`{known.name}`" not in text] == []


# -- health -----------------------------------------------------------------------------------------------------------


class Now:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def stats(**counts: int) -> Stats:
    return Stats(**(dict.fromkeys(Stats.__dataclass_fields__, 0) | counts))


def test_rates_times_and_misses():
    now = Now()
    health = Health(deadline=0.02, silence=1.0, clock=now)
    for number in range(100):
        now.seconds += 0.01
        health.pushed(0.001 if number else 0.015)
        health.handled(0.030 if number < 3 else 0.002)
    report = health.report("active", stats())
    told = dict(report.values)
    assert (told["rate (Hz)"], told["messages"], told["deadline misses"]) == ("100.0", "100", "3")
    assert told["push time p50 (ms)"] == "1.000"
    assert 1 < float(told["push time p99 (ms)"]) <= 15
    assert (report.level, report.message) == (WARN, "deadline misses 3")
    now.seconds += 0.5
    assert health.report("active", stats()).level == OK  # none since


def test_counts_that_grow_are_warned_of_once():
    now = Now()
    health = Health(deadline=1, silence=10, clock=now)
    assert health.report("active", stats(late=2, clock_jumps=1)).message == "late 2, clock jumps 1"
    assert health.report("active", stats(late=2, clock_jumps=1)).level == OK
    assert health.report("active", stats(late=5, clock_jumps=1)).message == "late 3"


def test_silence_is_warned_of_while_active_alone():
    now = Now()
    health = Health(deadline=1, silence=1, clock=now)
    now.seconds += 5
    assert health.report("inactive", stats()).level == OK
    report = health.report("active", stats())
    assert (report.level, report.message) == (WARN, "no message for 5.0 s")
    health.awake()
    assert health.report("active", stats()).level == OK


def test_an_input_of_which_nothing_is_usable_is_an_error():
    health = Health(deadline=1, silence=10)
    for usable in (False, False, True):
        if not usable:
            health.refuse("malformed", "poses: expected 22")
        health.handled(0.001)
    assert health.report("active", stats()).level == WARN
    health.refuse("malformed", "poses: expected 22")
    health.handled(0.001)
    report = health.report("active", stats())
    assert (report.level, report.message) == (ERROR, "nothing usable comes in: poses: expected 22")


def test_gaps_in_the_numbers_of_messages_are_drops():
    health = Health(deadline=1, silence=10)
    assert dict(health.report("active", stats()).values)["messages dropped"] == "unknown"
    for number in (7, 8, 11, 12, 3, 4):  # the publisher began anew at 3
        health.sequence(number)
    health.lost(5)  # the same drops, told in another way
    assert dict(health.report("active", stats()).values)["messages dropped"] == "2"
    untold = Health(deadline=1, silence=10)
    untold.lost(5)
    assert dict(untold.report("active", stats()).values)["messages dropped"] == "5"


def test_two_publishers_are_warned_of_and_their_numbers_not_mixed():
    health = Health(deadline=1, silence=10, publishers=2)
    for number in (1, 90, 2, 91):
        health.sequence(number)
    report = health.report("active", stats())
    assert "found 2" in report.message
    assert dict(report.values)["messages dropped"] == "0"
