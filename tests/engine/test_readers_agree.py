"""The C++ and the Python reader of model files accept the same files and refuse the same ones, by the same error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import adasgn_edge
from adasgn_edge.errors import ModelFileError
from adasgn_edge.model_container import DIGEST
from adasgn_edge.model_file import _checksum, read_model_file
from tests.engine.conftest import Pair

JOINTS = [f"joint {index}" for index in range(25)]
BONES = [[JOINTS[index], JOINTS[index - 1]] for index in range(1, 25)]
HALVES = [JOINTS[:12], JOINTS[12:]]
CHAIN = {
    "name": "chain", "joints": JOINTS, "bones": BONES, "origin": "joint 0", "scale_bone": ["joint 0", "joint 1"],
    "up": [0.0, 1.0, 0.0], "joint_sets": {"2": HALVES},
}  # fmt: skip
CHIRALITY = {"plane": JOINTS[:3], "towards": [JOINTS[3:5], JOINTS[5:7]]}
CONVENTIONS = {
    "axes": "y up", "units": "m", "side": "both", "upright": ["joint 0", "joint 9"], "extent": [0.3, 3.0],
    "chirality": CHIRALITY,
}  # fmt: skip
RULES = {"origin": 0, "scale_bone": [0, 1], "parents": [0, *range(24)]}

SOUND: dict[str, dict[str, Any]] = {
    "as it is": {},
    "another name": {"layout": {"name": "é ✋ \U0001f600"}},
    "no joint sets": {"layout": {"joint_sets": {}}},
    "up by exponents": {"layout": {"up": [1e29, -0.0, 5e-324]}},
    "no bones": {"layout": {"bones": []}, "preprocessing": {"parents": list(range(25))}},
    "a joint as its own scale": {
        "layout": {"scale_bone": ["joint 3", "joint 3"]},
        "preprocessing": {"scale_bone": [3, 3]},
    },
    "conventions": {"layout": {"conventions": CONVENTIONS}},
    "conventions left open": {
        "layout": {"conventions": {**CONVENTIONS, "upright": None, "extent": None, "chirality": None}}
    },
    "most cost": {"cost": {"paper": [2**62]}},
    "a large number": {"provenance": {"seed": 10**300}},
    "32 levels": {"provenance": {"a": json.loads("[" * 30 + "0" + "]" * 30)}},
}
HOSTILE: dict[str, dict[str, Any]] = {
    "layout null": {"layout": None},
    "layout a list": {"layout": []},
    "bone out of range": {"layout": {"bones": [*BONES[1:], ["joint 1", "joint 25"]]}},
    "bones as numbers": {"layout": {"bones": [[1, 0], *BONES[1:]]}},
    "a huge bone": {"layout": {"bones": [[10**30, -1], *BONES[1:]]}},
    "a bone of three": {"layout": {"bones": [["joint 1", "joint 0", "joint 2"], *BONES[1:]]}},
    "a bone as an object": {"layout": {"bones": [{"joint 1": 1, "joint 0": 2}, *BONES[1:]]}},
    "bones as an object": {"layout": {"bones": {}}},
    "bones null": {"layout": {"bones": None}},
    "too few bones": {"layout": {"bones": BONES[1:]}},
    "a bone twice": {"layout": {"bones": [BONES[0], *BONES[:23]]}},
    "a bone to itself": {
        "layout": {"bones": [["joint 1", "joint 1"], *BONES[1:]]},
        "preprocessing": {"parents": [0, 1, *range(1, 24)]},
    },
    "a circle": {"layout": {"bones": [["joint 1", "joint 24"], *BONES[1:]]}},
    "joints repeat": {"layout": {"joints": ["joint 0", *JOINTS[:24]]}},
    "joints nested": {"layout": {"joints": [["joint 0"], *JOINTS[1:]]}},
    "joints as a text": {"layout": {"joints": "x" * 25}},
    "a joint too many": {"layout": {"joints": [*JOINTS, "more"]}},
    "origin as a number": {"layout": {"origin": 0}},
    "origin as a list": {"layout": {"origin": ["joint 0"]}},
    "origin unknown": {"layout": {"origin": "joint 25"}},
    "scale bone false": {"layout": {"scale_bone": False}, "preprocessing": {"scale_bone": None}},
    "scale bone empty": {"layout": {"scale_bone": []}, "preprocessing": {"scale_bone": None}},
    "scale bone of one": {"layout": {"scale_bone": ["joint 0"]}},
    "scale bone unknown": {"layout": {"scale_bone": ["joint 0", "joint 99"]}},
    "up of two": {"layout": {"up": [0.0, 1.0]}},
    "up as whole numbers": {"layout": {"up": [0, 1, 0]}},
    "up as texts": {"layout": {"up": ["0", "1", "0"]}},
    "up true": {"layout": {"up": [True, 0.0, 0.0]}},
    "name as a number": {"layout": {"name": 7}},
    "more keys": {"layout": {"colour": "red"}},
    "up of zeros": {"layout": {"up": [0.0, -0.0, 0.0]}},
    "up beyond measure": {"layout": {"up": [0.0, 1e30, 0.0]}},
    "no name": {"layout": {"name": ""}},
    "a joint without a name": {"layout": {"joints": ["", *JOINTS[1:]]}},
    "conventions null": {"layout": {"conventions": None}},
    "conventions a list": {"layout": {"conventions": []}},
    "a convention missing": {"layout": {"conventions": {"axes": "y up"}}},
    "a convention too many": {"layout": {"conventions": {**CONVENTIONS, "rate": 30}}},
    "units as a number": {"layout": {"conventions": {**CONVENTIONS, "units": 1}}},
    "axes without a word": {"layout": {"conventions": {**CONVENTIONS, "axes": ""}}},
    "upright of one": {"layout": {"conventions": {**CONVENTIONS, "upright": ["joint 0"]}}},
    "upright of an unknown joint": {"layout": {"conventions": {**CONVENTIONS, "upright": ["joint 0", "top"]}}},
    "extent as whole numbers": {"layout": {"conventions": {**CONVENTIONS, "extent": [1, 2]}}},
    "extent the wrong way": {"layout": {"conventions": {**CONVENTIONS, "extent": [3.0, 0.3]}}},
    "extent from zero": {"layout": {"conventions": {**CONVENTIONS, "extent": [0.0, 0.3]}}},
    "extent beyond measure": {"layout": {"conventions": {**CONVENTIONS, "extent": [0.3, 1e30]}}},
    "extent as texts": {"layout": {"conventions": {**CONVENTIONS, "extent": ["0.3", "3"]}}},
    "a plane of two": {"layout": {"conventions": {**CONVENTIONS, "chirality": {**CHIRALITY, "plane": JOINTS[:2]}}}},
    "a plane as a text": {"layout": {"conventions": {**CONVENTIONS, "chirality": {**CHIRALITY, "plane": "abc"}}}},
    "no vectors": {"layout": {"conventions": {**CONVENTIONS, "chirality": {**CHIRALITY, "towards": []}}}},
    "a vector of one": {
        "layout": {"conventions": {**CONVENTIONS, "chirality": {**CHIRALITY, "towards": [JOINTS[:1]]}}}
    },
    "a vector to nowhere": {
        "layout": {"conventions": {**CONVENTIONS, "chirality": {**CHIRALITY, "towards": [["joint 1", "top"]]}}}
    },
    "chirality a list": {"layout": {"conventions": {**CONVENTIONS, "chirality": []}}},
    "no groups": {"layout": {"joint_sets": {"0": []}}},
    "negative count": {"layout": {"joint_sets": {"-1": []}}},
    "another count": {"layout": {"joint_sets": {"3": HALVES}}},
    "count with zeros": {"layout": {"joint_sets": {"02": HALVES}}},
    "count with an underscore": {"layout": {"joint_sets": {"1_0": [[joint] for joint in JOINTS[:10]]}}},
    "count in other digits": {"layout": {"joint_sets": {"٢": HALVES}}},
    "empty group": {"layout": {"joint_sets": {"2": [JOINTS, []]}}},
    "overlapping groups": {"layout": {"joint_sets": {"2": [JOINTS[:13], JOINTS[12:]]}}},
    "unknown joint in a group": {"layout": {"joint_sets": {"1": [["elbow"]]}}},
    "group as a text": {"layout": {"joint_sets": {"1": ["joint 0"]}}},
    "joint sets as a list": {"layout": {"joint_sets": []}},
    "rules of another layout": {"preprocessing": {"parents": [0, 0, 0, *range(2, 24)]}},
    "rules of another origin": {"preprocessing": {"origin": 1}},
    "rules without a scale": {"preprocessing": {"scale_bone": None}},
    "cost beyond 62 bits": {"cost": {"paper": [2**62 + 1]}},
    "cost of 64 bits": {"cost": {"paper": [2**64 - 1]}},
    "33 levels": {"provenance": {"a": json.loads("[" * 31 + "0" + "]" * 31)}},
    "half a character": {"provenance": {"author": "\ud800"}},
    "a number beyond double precision": {"provenance": {"seed": 10**310}},
}


@pytest.fixture
def template(pairs: dict[str, Pair]) -> bytes:
    """A dense model on 25 joints."""
    return pairs["dense25"].path.read_bytes()


def sealed(header: dict[str, Any], model: str, data: bytes) -> bytes:
    text = json.dumps({**header, "__metadata__": {**header["__metadata__"], "model": model}}, separators=(",", ":"))
    raw = text.encode()
    raw += b" " * (-(8 + len(raw)) % 64)
    file = bytearray(len(raw).to_bytes(8, "little") + raw + data)
    file[DIGEST] = _checksum(file)
    return bytes(file)


def opened(content: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Header, description (with a chain of 25 joints as its layout) and data."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    description = json.loads(header["__metadata__"]["model"])
    return header, {**description, "layout": CHAIN, "preprocessing": RULES}, content[start:]


def verdicts(folder: Path, content: bytes) -> list[str]:
    """What the Python and the C++ reader say: "sound" or the error's message."""
    path = folder / "model.adasgn"
    path.write_bytes(content)
    found = []
    for read in (read_model_file, adasgn_edge.load):
        try:
            read(path)
            found.append("sound")
        except ModelFileError as error:
            found.append(str(error))
    return found


def changed(description: dict[str, Any], changes: dict[str, Any]) -> str:
    for key, change in changes.items():
        kept = description[key]
        whole = not isinstance(change, dict) or not isinstance(kept, dict)
        description = {**description, key: change if whole else {**kept, **change}}
    return json.dumps(description)


@pytest.mark.parametrize("changes", SOUND.values(), ids=SOUND)
def test_both_accept(template, tmp_path, changes):
    header, description, data = opened(template)
    assert verdicts(tmp_path, sealed(header, changed(description, changes), data)) == ["sound", "sound"]


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE)
def test_both_refuse(template, tmp_path, changes):
    header, description, data = opened(template)
    for message in verdicts(tmp_path, sealed(header, changed(description, changes), data)):
        assert "expected" in message or "no joint" in message
        assert len(message) < 1500


SHARES: dict[str, tuple[Any, bool]] = {
    "thirds": ([0.2, 0.1, 0.4, 0.3, 0.0, 0.0], True),
    "whole numbers": ([0, 0, 1, 0, -0.0, 0], True),
    "the most": ([0.501, 0.5, 0, 0, 0, 5e-324], True),
    "too much": ([0.5011, 0.5, 0, 0, 0, 0], False),
    "too little": ([0.4989, 0.5, 0, 0, 0, 0], False),
    "nothing": ([0] * 6, False),
    "negative": ([1.5, -0.5, 0, 0, 0, 0], False),
    "barely negative": ([1.0, -5e-324, 0, 0, 0, 0], False),
    "too few": ([0.5, 0.5], False),
    "too many": ([0.5, 0.5, 0, 0, 0, 0, 0], False),
    "huge": ([10**300, 0.5, 0, 0, 0, 0], False),
    "beyond any sum": ([10**308, 1.7e308, 10**308, 0, 0, 0], False),
    "true": ([True, 0, 0, 0, 0, 0], False),
    "a text": (["1", 0, 0, 0, 0, 0], False),
    "nested": ([[1], 0, 0, 0, 0, 0], False),
    "null": (None, False),
    "an object": ({"S-1": 1}, False),
    "a number": (1, False),
    "NaN": ([float("nan"), 1, 0, 0, 0, 0], False),
    "infinity": ([float("inf"), 0, 0, 0, 0, 0], False),
}


@pytest.mark.parametrize(("shares", "sound"), SHARES.values(), ids=SHARES)
def test_action_shares(pairs, tmp_path, shares, sound):
    content = pairs["shrec22"].path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    description = json.loads(header["__metadata__"]["model"])
    text = json.dumps({**description, "action_shares": shares})
    for verdict in verdicts(tmp_path, sealed(header, text, content[start:])):
        assert verdict == "sound" if sound else "action_shares" in verdict or "expected JSON" in verdict
    if sound:
        assert adasgn_edge.load(tmp_path / "model.adasgn").description.action_shares == tuple(shares)


@pytest.mark.parametrize("name", ["dense25", "single"])
def test_action_shares_of_a_model_without_policy(pairs, tmp_path, name):
    content = pairs[name].path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    description = json.loads(header["__metadata__"]["model"])
    text = json.dumps({**description, "action_shares": [1.0]})
    for verdict in verdicts(tmp_path, sealed(header, text, content[start:])):
        assert "action_shares" in verdict
        assert "policy" in verdict


@pytest.mark.parametrize(
    "spoil",
    [lambda text: "\ufeff" + text, lambda text: text + "\0", lambda text: text + "x", lambda text: "\0" + text],
    ids=["byte order mark", "zero byte", "more text", "zero byte first"],
)
def test_text_around_the_description(template, tmp_path, spoil):
    header, description, data = opened(template)
    for message in verdicts(tmp_path, sealed(header, spoil(changed(description, {})), data)):
        assert "description: expected JSON" in message


@pytest.mark.parametrize("padding", [b"\0" * 64, b"\xff" * 64, b"\xc3" * 64])
def test_bytes_after_the_header(template, tmp_path, padding):
    start = 8 + int.from_bytes(template[:8], "little")
    file = bytearray((start + 56).to_bytes(8, "little") + template[8:start] + padding + template[start:])
    file[DIGEST] = _checksum(file)
    for message in verdicts(tmp_path, bytes(file)):
        assert "header: expected" in message
