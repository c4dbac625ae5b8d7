"""What Foxglove is shown, read back from the file: without a screen, and without the app."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from adasgn_edge.errors import MissingDependencyError, OutputError
from adasgn_edge.foxglove_view import FoxgloveView
from adasgn_edge.hands import animate
from adasgn_edge.skeletons import load_layout

HAND = load_layout("shrec22")
MS = 1_000_000


def need_foxglove() -> None:
    pytest.importorskip("foxglove", reason="foxglove-sdk, the extra view, is not installed")


def messages(path: Path) -> dict[str, list]:
    """Messages of an MCAP file by topic, each with its log time."""
    reader = pytest.importorskip("mcap.reader", reason="mcap, which reads the files back, is not installed")
    decoder = pytest.importorskip("mcap_protobuf.decoder", reason="mcap-protobuf-support is not installed")
    found: dict[str, list] = {}
    with path.open("rb") as file:
        made = reader.make_reader(file, decoder_factories=[decoder.DecoderFactory()])
        for _, channel, message in made.iter_messages(topics=["/steps", "/events"]):
            found.setdefault(channel.topic, []).append((message.log_time, json.loads(message.data)))
        for entry in made.iter_decoded_messages(topics=["/skeletons"]):
            found.setdefault("/skeletons", []).append((entry.message.log_time, entry.decoded_message))
    return found


def event(kind: str, track: str, label: str = "TAP") -> dict:
    return {"type": kind, "id": 1, "track": track, "label": label, "confidence": 0.93}


def test_skeletons_labels_and_events_are_in_the_file(tmp_path):
    need_foxglove()
    hand = animate("Tap", seed=1)[:12].copy()
    tip = HAND.index("index_tip")
    hand[4, tip] = np.nan
    events = {2: [event("started", "left")], 6: [event("held", "left")], 9: [event("ended", "left")]}
    path = tmp_path / "hands.mcap"
    with FoxgloveView(HAND, mcap=path) as view:
        assert view.port is None
        for number, joints in enumerate(hand):
            tracks = {"left": joints} if number != 8 else {}
            step = {"type": "step", "track": "left", "ready": False, "top": []}
            view.show(10**9 + 33 * MS * number, tracks, [step] if number % 2 else [], events.get(number, []))
    found = messages(path)
    assert {topic: len(rows) for topic, rows in found.items()} == {"/skeletons": 12, "/steps": 6, "/events": 3}
    assert [row for _, row in found["/events"]] == [events[2][0], events[6][0], events[9][0]]
    assert [time for time, _ in found["/skeletons"]] == [10**9 + 33 * MS * number for number in range(12)]
    scenes = [scene for _, scene in found["/skeletons"]]
    (entity,) = scenes[0].entities
    assert (entity.id, entity.frame_id) == ("left", "sensor")
    assert entity.timestamp.seconds * 10**9 + entity.timestamp.nanos == 10**9
    places = [[sphere.pose.position.x, sphere.pose.position.y, sphere.pose.position.z] for sphere in entity.spheres]
    np.testing.assert_allclose(places, hand[0], atol=1e-6)
    (bones,) = entity.lines
    ends = np.array([[point.x, point.y, point.z] for point in bones.points]).reshape(-1, 2, 3)
    children = [joint for joint, parent in enumerate(HAND.parents) if joint != parent]
    np.testing.assert_allclose(ends[:, 0], hand[0, children], atol=1e-6)
    np.testing.assert_allclose(ends[:, 1], hand[0, HAND.parents[children]], atol=1e-6)
    assert len(scenes[4].entities[0].spheres) == 21  # a joint that was not seen is not shown, nor its bone
    assert len(scenes[4].entities[0].lines[0].points) == 2 * 20
    assert len(scenes[8].entities) == 0
    texts = [[text.text for entity in scene.entities for text in entity.texts] for scene in scenes]
    assert texts == [[]] * 2 + [["TAP 93%"]] * 6 + [[]] * 4


def test_a_file_that_is_there_and_a_port_that_is_taken(tmp_path):
    need_foxglove()
    path = tmp_path / "hands.mcap"
    path.write_text("mine")
    with pytest.raises(OutputError, match="expected a new file"):
        FoxgloveView(HAND, mcap=path)
    assert path.read_text() == "mine"
    with FoxgloveView(HAND, port=0) as view:
        assert view.port
        with pytest.raises(OutputError, match="expected a port that is free"):
            FoxgloveView(HAND, port=view.port)
        view.show(0, {"7": animate("Tap", seed=1)[0], "8": np.full((22, 3), np.nan, np.float32)}, [], [])
    with pytest.raises(OutputError, match="found neither"):
        FoxgloveView(HAND)


def test_the_command_shows_a_stream(tmp_path):
    need_foxglove()
    pytest.importorskip("typer")
    pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")
    import subprocess

    from tests.examples.recorded_stream import write_recording

    recording, path = write_recording(tmp_path / "hands.jsonl"), tmp_path / "hands.mcap"
    command = [sys.executable, "-m", "adasgn_edge", "stream", recording, "--fast", "--json", "--mcap", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = messages(path)
    assert [row for _, row in found["/events"]] == [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found["/skeletons"]) == len(recording.read_text().splitlines()) - 1


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "foxglove", None)
    with pytest.raises(MissingDependencyError, match=r"adasgn-edge\[view\]"):
        FoxgloveView(HAND, port=0)
