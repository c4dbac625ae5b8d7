"""The node as colcon installs it, and a hand that plays a recording, in processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ros.conftest import PACKAGE
from tests.ros.listening import SLOW, VISION, Listener, dict_of, needs_vision, spin_until
from tests.ros.support import HAND_FRAME, PERFORMED_LABELS, SECOND, START_NS, STATED, hand, stamp_at

pytestmark = pytest.mark.usefixtures("domain")

ROOT = Path(__file__).parents[2]
NAMESPACE = "/robot"
"""Nodes that other tests made and destroyed may still be known as /recogniser."""
RATE, LOOPS = 30, 2


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as colcon builds and installs it, without ROS's own packages beneath."""
    colcon = shutil.which("colcon", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if colcon is None:
        pytest.skip("no colcon: install it, or `make test-ros`, which does")
    folder = tmp_path_factory.mktemp("workspace")
    shutil.copytree(PACKAGE, folder / "src" / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    built = subprocess.run(
        [colcon, "--log-base", "log", "build", "--event-handlers", "console_direct+"],
        cwd=folder, env=os.environ | {"COLCON_HOME": str(folder)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout
    return folder


def test_what_colcon_installs(workspace):
    installed = workspace / "install" / PACKAGE.name
    share = installed / "share" / PACKAGE.name
    assert (installed / "share" / "ament_index" / "resource_index" / "packages" / PACKAGE.name).is_file()
    for folder in ("launch", "config"):
        assert sorted(path.name for path in (share / folder).iterdir()) == sorted(
            path.name for path in (PACKAGE / folder).iterdir() if path.name != "__pycache__"
        )
    assert (share / "package.xml").read_bytes() == (PACKAGE / "package.xml").read_bytes()


@pytest.fixture(scope="module")
def run(domain: None, workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listener]:
    """The installed node and a hand that plays a recording twice, processes of their own; what was heard of them."""
    from lifecycle_msgs.srv import ChangeState

    folder = tmp_path_factory.mktemp("node")
    file = folder / "params.yaml"
    rows = [f"    {name}: {json.dumps(value)}" for name, value in ({"detections": VISION} | STATED).items()]
    file.write_text("\n".join(["/**:", "  ros__parameters:", *rows, ""]))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    log = (folder / "node.log").open("w+")
    program = workspace / "install" / PACKAGE.name / "lib" / PACKAGE.name / "recogniser_node"
    node = subprocess.Popen(
        ["bash", "-c", 'source "$0/setup.bash" && exec "$@"', str(workspace / "install"), str(program), "--ros-args",
         "--params-file", str(file), "--remap", f"__ns:={NAMESPACE}"],
        env=environment, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    listener = Listener(NAMESPACE)
    player: subprocess.Popen[bytes] | None = None
    try:
        client = listener.node.create_client(ChangeState, f"{NAMESPACE}/recogniser/change_state")
        assert client.wait_for_service(SLOW)
        for transition in (1, 3):  # configure, activate
            request = ChangeState.Request()
            request.transition.id = transition
            answer = client.call_async(request)
            spin_until(answer.done, listener.node)
            assert answer.result().success, (folder / "node.log").read_text()
        spin_until(lambda: listener.node.count_publishers(f"{NAMESPACE}/recogniser/markers"), listener.node)
        player = subprocess.Popen(
            [sys.executable, "-m", "tests.ros.play_hand", str(RATE), str(LOOPS), "--ros-args", "--remap",
             f"__ns:={NAMESPACE}"],
            env=environment | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(PACKAGE)])},
        )  # fmt: skip
        spin_until(lambda: player.poll() is not None, listener.node)
        assert player.returncode == 0
        spin_until(lambda: listener.statuses()[-1].message.startswith("no message for"), listener.node)
        node.send_signal(2)  # SIGINT, as Ctrl-C and launch do
        assert node.wait(SLOW) == 0, (folder / "node.log").read_text()
        yield listener
    finally:
        for process in (node, player):
            if process is not None and process.poll() is None:
                process.kill()
        log.close()
        listener.node.destroy_node()


def stamp_of(message: Any) -> int:
    return int(message.header.stamp.sec) * SECOND + int(message.header.stamp.nanosec)


def test_gestures_of_another_process_are_told(run):
    rows = [json.loads(message.data) for message in run.heard["events"]]
    assert [row["label"] for row in rows if row["type"] == "started"] == LOOPS * PERFORMED_LABELS
    ends = [row for row in rows if row["type"] == "ended"]
    assert [row["label"] for row in ends] == LOOPS * PERFORMED_LABELS
    for row in rows:  # times are the recording's, not those of this day
        assert START_NS <= row["start_ns"] < row["decided_ns"] <= stamp_at(len(hand()))


def test_markers_carry_the_stamps_and_the_frame_of_the_input(run):
    messages = run.heard["markers"]
    assert len(messages) > 0.95 * LOOPS * len(hand())
    sent = {stamp_at(number) for number in range(len(hand()))}
    labels = set()
    for message in messages:
        joints, bones, label = message.markers
        assert stamp_of(joints) in sent
        assert joints.header.frame_id == HAND_FRAME
        assert (len(joints.points), len(bones.points)) == (22, 42)
        labels |= {label.text.split()[0]} if label.action == label.ADD else set()
    assert labels == set(PERFORMED_LABELS)
    joints = messages[0].markers[0]
    number = (stamp_of(joints) - START_NS + 1) * 30 // SECOND
    assert joints.points[3].x == pytest.approx(hand()[number][3][0], abs=1e-6)


@needs_vision
def test_detections_stand_between_the_events(run):
    messages = run.heard["detections"]
    assert len(messages) > 0.95 * LOOPS * len(hand())
    sent = {stamp_at(number) for number in range(len(hand()))}
    labels = []
    for message in messages:
        assert stamp_of(message) in sent
        found = [detection.results[0].hypothesis.class_id for detection in message.detections]
        if found != labels[-1:]:
            labels += found or [""]
    assert [label for label in labels if label] == LOOPS * PERFORMED_LABELS


def test_diagnostics_tell_how_it_went(run):
    active = [status for status in run.statuses() if dict_of(status)["state"] == "active"]
    busy = [told for told in map(dict_of, active) if told["push time p50 (ms)"] != "none"]
    assert all(0 < float(told["rate (Hz)"]) < 2 * RATE for told in busy)
    assert all(0 < float(told["push time p50 (ms)"]) <= float(told["push time p99 (ms)"]) for told in busy)
    last = dict_of(active[-1])
    assert int(last["messages"]) > 0.95 * LOOPS * len(hand())
    assert int(last["messages"]) + int(last["messages dropped"]) <= LOOPS * len(hand())
    assert (last["time jumps"], last["late"], last["duplicate"]) == (str(LOOPS - 1), "0", "0")
    assert int(last["deadline misses"]) <= int(last["messages"])
    assert not any(key.startswith("refused") for key in last)
    assert active[-1].name == "robot/recogniser"
    assert active[-1].level == b"\x01"  # nobody plays any more
