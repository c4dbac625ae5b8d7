"""JSON files: frames of persons of joints in the nestings that trackers and scripts write."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adasgn_edge.data.clips import read_bodies
from adasgn_edge.errors import AdaSGNError, ClipError, DatasetError
from adasgn_edge.hands import animate
from adasgn_edge.skeletons import load_layout

LAYOUT = load_layout("shrec22")
CLIP = np.round(animate("Swipe Up", seed=3)[:12], 5)
OTHER = CLIP + np.float32([0.5, 0, 0.25])
NAMES = LAYOUT.joints


def save(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def points(pose: np.ndarray) -> list[dict[str, float]]:
    return [dict(zip("xyz", map(float, joint), strict=True)) for joint in pose]


def named(pose: np.ndarray) -> dict[str, Any]:
    return dict(zip(NAMES, pose.tolist(), strict=True))


NESTINGS: dict[str, Callable[[np.ndarray], Any]] = {
    "lists": lambda clip: clip.tolist(),
    "flat lists": lambda clip: clip.reshape(len(clip), -1).tolist(),
    "below a key": lambda clip: {"file_name": "a12", "skeletons": clip.tolist(), "label": 3},
    "below two keys": lambda clip: {"data": {"version": 1, "frames": clip.tolist()}, "meta": {"by": "anna"}},
    "points": lambda clip: [points(pose) for pose in clip],
    "landmarks": lambda clip: [{"frame": n, "landmarks": points(pose)} for n, pose in enumerate(clip)],
    "one hand": lambda clip: [{"time": n / 30, "hands": [{"landmarks": points(pose)}]} for n, pose in enumerate(clip)],
    "names": lambda clip: [named(pose) for pose in clip],
    "names below a key": lambda clip: {"frames": [{"frame_id": n, "joints": named(p)} for n, p in enumerate(clip)]},
    "names and positions": lambda clip: [
        {name.upper(): {"Position": dict(zip("XYZ", joint, strict=True))} for name, joint in named(pose).items()}
        for pose in clip
    ],
}  # fmt: skip


@pytest.mark.parametrize("nesting", NESTINGS)
def test_nestings(tmp_path: Path, nesting: str) -> None:
    document = NESTINGS[nesting](CLIP.astype(np.float64).round(5))
    (body,) = read_bodies(save(tmp_path / "clip.json", document), LAYOUT)
    np.testing.assert_allclose(body.positions, CLIP, atol=1e-6)
    assert body.frames.tolist() == list(range(len(CLIP)))
    if isinstance(document, list):
        lines = "\n".join(json.dumps(frame) for frame in document)
        for ending in (".jsonl", ".ndjson"):
            (tmp_path / f"clip{ending}").write_text(lines + "\n\n")
            (body,) = read_bodies(tmp_path / f"clip{ending}", LAYOUT)
            np.testing.assert_allclose(body.positions, CLIP, atol=1e-6)
        (tmp_path / "clip.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
        assert len(read_bodies(tmp_path / "clip.jsonl.gz", LAYOUT)) == 1


def test_persons_gaps_and_missing_joints(tmp_path: Path) -> None:
    frames: list[Any] = []
    for number, (one, two) in enumerate(zip(CLIP, OTHER, strict=True)):
        people = [{"id": 7, "landmarks": points(one)}, {"id": "b", "landmarks": points(two)}]
        frames.append({"frame": 2 * number, "people": people if number != 3 else people[1:]})
    frames[5]["people"].reverse()
    frames[6]["people"][0]["landmarks"][2] = None
    frames[7]["people"][1]["landmarks"][4]["z"] = None
    frames[8]["people"][1]["landmarks"][5]["visibility"] = 0
    first, second = read_bodies(save(tmp_path / "clip.json", frames), LAYOUT)
    assert first.frames.tolist() == [number for number in range(0, 24, 2) if number != 6]
    assert second.frames.tolist() == list(range(0, 24, 2))
    expected, other = np.delete(CLIP, 3, axis=0), OTHER.copy()
    expected[5, 2], other[7, 4], other[8, 5] = np.nan, np.nan, np.nan
    np.testing.assert_allclose(first.positions, expected, atol=1e-6)
    np.testing.assert_allclose(second.positions, other, atol=1e-6)


def test_a_visibility_that_nobody_filled_in(tmp_path: Path) -> None:
    """MediaPipe gives every landmark of a hand the visibility 0."""
    frames = [[{**point, "visibility": 0.0, "presence": 0.0} for point in points(pose)] for pose in CLIP]
    (body,) = read_bodies(save(tmp_path / "clip.json", frames), LAYOUT)
    np.testing.assert_allclose(body.positions, CLIP, atol=1e-6)


def test_frames_without_anybody(tmp_path: Path) -> None:
    frames: list[Any] = CLIP.tolist()
    frames[2], frames[4], frames[6] = None, [], {"hands": []}
    (body,) = read_bodies(save(tmp_path / "clip.json", frames), LAYOUT)
    assert body.frames.tolist() == [0, 1, 3, 5, 7, 8, 9, 10, 11]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (CLIP[:, :21].tolist(), "frame 0: expected the 22 joints of .*, found 21 joints; 21 joints: perhaps"),
        (CLIP[:, :21].reshape(12, 63).tolist(), "expected the 22 joints .* found .*; 21 joints: perhaps read with"),
        ([points(CLIP[0])[:5]], "expected the 22 joints of layout 'shrec22', found 5 joints"),
        (points(CLIP[0]), "expected a list of frames, found 22 joints of a single one"),
        (CLIP[..., :2].tolist(), "expected one list of frames|expected the 22 joints"),
        ([{**named(CLIP[0]), "palm": None, "wrist": None}], None),
        ([{f"foo{n}": [1, 2, 3] for n in range(22)}], "found none called wrist, palm"),
        ({"a": CLIP.tolist(), "b": CLIP.tolist()}, "expected one list of frames, found 2 below the keys a, b"),
        ({"a": 1}, "expected one list of frames, found 0 below the keys a"),
        (3, "expected a list of frames of joints with x, y and z, found '3'"),
        ("text", "expected a list of frames"),
        ([1, 2, 3], "expected the 22 joints|expected a list of frames"),
        ([["a"] * 22], "expected the 22 joints"),
        ([{"frame": 0.5, "landmarks": points(CLIP[0])}], "expected a whole number as 'frame', found '0.5'"),
        ([{"frame": 1, "landmarks": points(CLIP[0])}] * 2, "frame 1: .* found frame 1 again"),
        ([points(CLIP[0] + np.inf)] * 2, "frame 0: expected finite coordinates, found infinity in wrist"),
        ([[[10**400, 0, 0]] * 22], "expected finite coordinates, found infinity in wrist"),
    ],
)  # fmt: skip
def test_what_is_no_clip(tmp_path: Path, document: Any, message: str | None) -> None:
    path = save(tmp_path / "clip.json", document)
    if message is None:
        (body,) = read_bodies(path, LAYOUT)
        assert np.isnan(body.positions[:, :2]).all()
        return
    with pytest.raises(ClipError, match=message) as caught:
        read_bodies(path, LAYOUT)
    assert len(str(caught.value).replace(str(path), "")) < 500


@pytest.mark.parametrize("text", ["", "{", "[1,", "nope", "[" * 100_000, '{"a": 1} {"b": 2}', '"\\ud800', "1" * 5000])
def test_what_is_no_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "clip.json").write_text(text)
    with pytest.raises((ClipError, DatasetError), match="expected") as caught:
        read_bodies(tmp_path / "clip.json", LAYOUT)
    assert len(str(caught.value)) < 500


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    for text in ("[" * 900 + "1" + "]" * 900, '[{"position":' * 400 + "1" + "}]" * 400):
        (tmp_path / "clip.json").write_text(text)
        with pytest.raises((ClipError, DatasetError), match="expected"):
            read_bodies(tmp_path / "clip.json", LAYOUT)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["x", "y", "z", "frame", "id", "wrist", "landmarks", "position"]), inner, max_size=4
        )
    ),
    max_leaves=30,
)


@settings(max_examples=300, deadline=None)
@given(tree=TREES)
def test_any_document_is_read_or_refused_by_name(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    path = save(tmp_path_factory.getbasetemp() / "tree.json", tree)
    try:
        found = read_bodies(path, LAYOUT)
    except AdaSGNError:
        return
    assert all(body.positions.shape[1:] == (22, 3) for body in found)


def test_hands_below_keys_of_their_own(tmp_path: Path) -> None:
    frames: list[Any] = [
        {"leftHand": points(one), "rightHand": points(two)} for one, two in zip(CLIP, OTHER, strict=True)
    ]
    del frames[4]["leftHand"]  # the right hand stays the right hand
    frames[5]["handedness"] = [{"label": "Left", "score": 0.9}]
    left, right = read_bodies(save(tmp_path / "clip.json", frames), LAYOUT)
    np.testing.assert_allclose(right.positions, OTHER, atol=1e-6)
    np.testing.assert_allclose(left.positions, np.delete(CLIP, 4, axis=0), atol=1e-6)


def test_the_same_hand_twice_is_no_pair_of_hands(tmp_path: Path) -> None:
    frames = [{"hand_landmarks": [points(pose)], "hand_world_landmarks": [points(pose)]} for pose in CLIP]
    with pytest.raises(
        ClipError, match="frame 0: expected one set of joints, found hand_landmarks, hand_world_landmarks"
    ):
        read_bodies(save(tmp_path / "clip.json", frames), LAYOUT)
