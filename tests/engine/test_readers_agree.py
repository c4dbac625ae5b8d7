"""The C++ and the Python reader of model files accept the same files and refuse the same ones, by the same error."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adasgn_edge
from adasgn_edge.deploy.model_container import DIGEST
from adasgn_edge.deploy.model_file import _checksum, read_model_file
from adasgn_edge.errors import ModelFileError
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
    "several joints as the origin": {
        "layout": {"origin": ["joint 7", "joint 3"]},
        "preprocessing": {"origin": [7, 3]},
    },
    "all joints as the origin": {"layout": {"origin": JOINTS}, "preprocessing": {"origin": list(range(25))}},
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
    "no origin": {"layout": {"origin": []}, "preprocessing": {"origin": []}},
    "an origin of one as a list": {"layout": {"origin": ["joint 0"]}, "preprocessing": {"origin": [0]}},
    "an origin twice": {"layout": {"origin": ["joint 0"] * 2}, "preprocessing": {"origin": [0, 0]}},
    "an origin too many": {"layout": {"origin": [*JOINTS, "joint 0"]}, "preprocessing": {"origin": [*range(25), 0]}},
    "an unknown origin among others": {"layout": {"origin": ["joint 0", "joint 25"]}},
    "origins in a list within a list": {"layout": {"origin": [["joint 0", "joint 1"]]}},
    "origins in another order": {
        "layout": {"origin": ["joint 1", "joint 0"]},
        "preprocessing": {"origin": [0, 1]},
    },
    "origins out of range": {"layout": {"origin": ["joint 1", "joint 0"]}, "preprocessing": {"origin": [1, 25]}},
    "origins as fractions": {"layout": {"origin": ["joint 1", "joint 0"]}, "preprocessing": {"origin": [1.0, 0]}},
    "origins with false": {"layout": {"origin": ["joint 1", "joint 0"]}, "preprocessing": {"origin": [1, False]}},
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
    """Header, description and data of a model file."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    return header, json.loads(header["__metadata__"]["model"]), content[start:]


def chained(content: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """The same with a chain of 25 joints as its layout."""
    header, description, data = opened(content)
    return header, {**description, "layout": CHAIN, "preprocessing": RULES}, data


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
    header, description, data = chained(template)
    assert verdicts(tmp_path, sealed(header, changed(description, changes), data)) == ["sound", "sound"]


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE)
def test_both_refuse(template, tmp_path, changes):
    header, description, data = chained(template)
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
    header, description, data = opened(pairs["shrec22"].path.read_bytes())
    text = json.dumps({**description, "action_shares": shares})
    for verdict in verdicts(tmp_path, sealed(header, text, data)):
        assert verdict == "sound" if sound else "action_shares" in verdict or "expected JSON" in verdict
    if sound:
        assert adasgn_edge.load(tmp_path / "model.adasgn").description.action_shares == tuple(shares)


@pytest.mark.parametrize("name", ["dense25", "single", "pose25"])
def test_action_shares_of_a_model_without_policy(pairs, tmp_path, name):
    header, description, data = opened(pairs[name].path.read_bytes())
    text = json.dumps({**description, "action_shares": [1.0]})
    for verdict in verdicts(tmp_path, sealed(header, text, data)):
        assert "action_shares" in verdict
        assert "policy" in verdict


BRANCHES: dict[str, Any] = {
    "a pose branch last": ["S-11", "S-22", "B-22", "P-22"],
    "large before small": ["P-22", "S-11", "B-22", "S-22"],
    "a branch twice": ["P-22", "P-22", "S-11", "S-22"],
    "one missing": ["P-22", "S-11", "S-22"],
    "one too many": ["P-22", "S-11", "B-11", "S-22", "B-22"],
    "another size": ["P-22", "B-11", "S-22", "B-22"],
    "no pose branch": ["S-1", "S-11", "S-22", "B-22"],
    "a pose branch of fewer joints": ["P-11", "S-11", "S-22", "B-22"],
    "a pose branch of more joints": ["P-25", "S-11", "S-22", "B-22"],
    "other letters": ["p-22", "S-11", "S-22", "B-22"],
    "other sizes": ["M-22", "S-11", "S-22", "B-22"],
    "whole words": ["pose-22", "small-11", "small-22", "big-22"],
    "zeros before": ["P-22", "S-011", "S-22", "B-22"],
    "spaces": ["P-22", " S-11", "S-22", "B-22"],
    "a line's end": ["P-22", "S-11\n", "S-22", "B-22"],
    "a zero byte": ["P-22", "S-11\0", "S-22", "B-22"],
    "no hyphen": ["P22", "S11", "S22", "B22"],
    "two hyphens": ["P-22", "S--11", "S-22", "B-22"],
    "a plus": ["P-22", "S-+11", "S-22", "B-22"],
    "other digits": ["P-22", "S-١١", "S-22", "B-22"],
    "a fraction": ["P-22", "S-11.0", "S-22", "B-22"],
    "no joints": ["P-22", "S-0", "S-22", "B-22"],
    "too many joints": ["P-22", "S-11", "S-22", "B-257"],
    "many digits": ["P-22", "S-11", "S-22", "B-" + "9" * 30],
    "no names": ["", "", "", ""],
    "numbers": [1, 2, 3, 4],
    "lists": [["P-22"], ["S-11"], ["S-22"], ["B-22"]],
    "none": [],
    "too many": [f"S-{joints}" for joints in range(1, 34)],
    "null": None,
    "a text": "P-22",
    "an object": {"P-22": 0},
}


@pytest.mark.parametrize("branches", BRANCHES.values(), ids=BRANCHES)
def test_branches(pairs, tmp_path, branches):
    header, description, data = opened(pairs["pose22"].path.read_bytes())
    assert description["config"]["branches"] == ["P-22", "S-11", "S-22", "B-22"]
    text = changed(description, {"config": {"branches": branches}})
    for verdict in verdicts(tmp_path, sealed(header, text, data)):
        assert "expected" in verdict
        assert len(verdict) < 1500


def of_version_1(content: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Header, description and data of a file as it was before branches had names of their own."""
    header, description, data = opened(content)
    config = dict(description["config"])
    names = [config.pop(key) for key in ("escalates", "stride", "branches")][-1]
    config["joint_sets"] = sorted({int(name[2:]) for name in names})
    config["sizes"] = [size for size in ("small", "big") if any(name[0] == size[0].upper() for name in names)]
    metadata = {**header["__metadata__"], "version": "1"}
    return {**header, "__metadata__": metadata}, {**description, "config": config, "branches": names}, data


@pytest.mark.parametrize("name", ["shrec22", "dense25", "single", "short"])
def test_a_file_of_version_1_is_the_same_model(pairs, tmp_path, name):
    pair = pairs[name]
    header, description, data = of_version_1(pair.path.read_bytes())
    assert verdicts(tmp_path, sealed(header, json.dumps(description), data)) == ["sound", "sound"]
    path = tmp_path / "model.adasgn"
    assert read_model_file(path).config == pair.reference.config
    found, expected = (adasgn_edge.load(one, max_batch=2) for one in (path, pair.path))
    assert found.description == expected.description
    np.testing.assert_array_equal(found.run(pair.clips(2)).logits, expected.run(pair.clips(2)).logits)


VERSION_1: dict[str, dict[str, Any]] = {
    "names in another order": {"branches": ["B-1", "S-1", "S-11", "B-11", "S-22", "B-22"]},
    "too few names": {"branches": ["S-1", "B-1", "S-11", "B-11", "S-22"]},
    "no names": {"branches": None},
    "a pose branch": {"branches": ["P-22", "B-1", "S-11", "B-11", "S-22", "B-22"]},
    "a size of pose branches": {"config": {"sizes": ["pose"]}},
    "a size twice": {"config": {"sizes": ["small", "small"]}},
    "big before small": {"config": {"sizes": ["big", "small"]}},
    "no sizes": {"config": {"sizes": []}},
    "one size": {"config": {"sizes": ["small"]}},
    "sizes as a text": {"config": {"sizes": "small"}},
    "no joint sets": {"config": {"joint_sets": []}},
    "joint sets in another order": {"config": {"joint_sets": [1, 22, 11]}},
    "a joint set twice": {"config": {"joint_sets": [1, 11, 11]}},
    "a joint set missing": {"config": {"joint_sets": [1, 22]}},
    "no joints": {"config": {"joint_sets": [0, 11, 22]}},
    "too many joints": {"config": {"joint_sets": [1, 11, 257]}},
    "a huge joint set": {"config": {"joint_sets": [1, 11, 10**30]}},
    "true": {"config": {"joint_sets": [True, 11, 22]}},
    "fractions": {"config": {"joint_sets": [1.0, 11.0, 22.0]}},
    "joint sets as an object": {"config": {"joint_sets": {"1": 1}}},
    "branches in the configuration, too": {"config": {"branches": ["S-1", "B-1", "S-11", "B-11", "S-22", "B-22"]}},
    "too many branches": {"config": {"joint_sets": list(range(1, 18))}},
    "a stride": {"config": {"stride": 1}},
    "escalation": {"config": {"escalates": False}},
}


@pytest.mark.parametrize("changes", VERSION_1.values(), ids=VERSION_1)
def test_both_refuse_of_version_1(pairs, tmp_path, changes):
    header, description, data = of_version_1(pairs["shrec22"].path.read_bytes())
    for verdict in verdicts(tmp_path, sealed(header, changed(description, changes), data)):
        assert "expected" in verdict
        assert len(verdict) < 1500


def test_no_names_beside_the_configuration_of_version_1(pairs, tmp_path):
    header, description, data = of_version_1(pairs["shrec22"].path.read_bytes())
    del description["branches"]
    for verdict in verdicts(tmp_path, sealed(header, json.dumps(description), data)):
        assert "branches" in verdict
        assert "expected" in verdict


@pytest.mark.parametrize("version", ["1", "3", "4", "0", "", "02", "2.0", " 2", "12"])
def test_a_version_that_is_not_the_descriptions(pairs, tmp_path, version):
    header, description, data = opened(pairs["shrec22"].path.read_bytes())
    header["__metadata__"]["version"] = version
    for verdict in verdicts(tmp_path, sealed(header, json.dumps(description), data)):
        if version in ("1", "3"):
            assert ("branches" if version == "1" else "recognition") in verdict
        else:
            assert re.search("version.* '?1'? to '?3'?, found", verdict)


def test_the_words_of_version_1_in_a_file_of_version_2(pairs, tmp_path):
    header, description, data = of_version_1(pairs["shrec22"].path.read_bytes())
    header["__metadata__"]["version"] = "2"
    for verdict in verdicts(tmp_path, sealed(header, json.dumps(description), data)):
        assert "branches" in verdict


TABLE = [[0.0, 0.0, 5, None], [0.5, 0.75, 7, 0.5], [1.0, 2.0, 9, 1.0]]
STEPS = [[i / 65, 0.0, 5, None] for i in range(1, 64)]
EFFORTS: dict[str, tuple[Any, bool]] = {
    "as it is": ({"default": 0.25, "table": TABLE}, True),
    "two rows": ({"default": 1.0, "table": [TABLE[0], TABLE[2]]}, True),
    "64 rows": ({"default": 0.0, "table": [TABLE[0], *STEPS[:62], TABLE[2]]}, True),
    "equal thresholds": ({"default": 0.0, "table": [TABLE[0], [0.5, 0.0, 5, None], [1.0, 0.0, 5, None]]}, True),
    "65 rows": (
        {"default": 0.0, "table": [TABLE[0], *STEPS, TABLE[2]]},
        False,
    ),
    "one row": ({"default": 0.0, "table": [TABLE[0]]}, False),
    "no rows": ({"default": 0.0, "table": []}, False),
    "not from 0": ({"default": 0.5, "table": [[0.1, 0.0, 5, None], TABLE[2]]}, False),
    "not to 1": ({"default": 0.5, "table": TABLE[:2]}, False),
    "an effort twice": ({"default": 0.5, "table": [TABLE[0], TABLE[1], TABLE[1], TABLE[2]]}, False),
    "a threshold at 0": ({"default": 0.5, "table": [[0.0, 0.5, 5, None], TABLE[2]]}, False),
    "a threshold that falls": ({"default": 0.5, "table": [TABLE[0], TABLE[1], [1.0, 0.5, 9, None]]}, False),
    "a threshold above 2": ({"default": 0.5, "table": [TABLE[0], [1.0, 2.5, 9, None]]}, False),
    "cost that falls": ({"default": 0.5, "table": [TABLE[0], [1.0, 2.0, 4, None]]}, False),
    "a fraction as cost": ({"default": 0.5, "table": [TABLE[0], [1.0, 2.0, 9.0, None]]}, False),
    "cost beyond 62 bits": ({"default": 0.5, "table": [TABLE[0], [1.0, 2.0, 2**62 + 1, None]]}, False),
    "an accuracy above 1": ({"default": 0.5, "table": [TABLE[0], [1.0, 2.0, 9, 1.5]]}, False),
    "whole numbers": ({"default": 0.5, "table": [[0, 0, 5, None], TABLE[2]]}, False),
    "a whole default": ({"default": 1, "table": TABLE}, False),
    "a default above 1": ({"default": 1.5, "table": TABLE}, False),
    "rows of three": ({"default": 0.5, "table": [row[:3] for row in TABLE]}, False),
    "rows of five": ({"default": 0.5, "table": [[*row, 0.0] for row in TABLE]}, False),
    "a row as an object": ({"default": 0.5, "table": [TABLE[0], {"effort": 1.0}]}, False),
    "a table as an object": ({"default": 0.5, "table": {}}, False),
    "true": ({"default": 0.5, "table": [[False, 0.0, 5, None], TABLE[2]]}, False),
    "NaN": ({"default": 0.5, "table": [[0.0, float("nan"), 5, None], TABLE[2]]}, False),
    "no default": ({"table": TABLE}, False),
    "more keys": ({"default": 0.5, "table": TABLE, "more": 1}, False),
    "null": (None, False),
    "a list": ([], False),
}


@pytest.mark.parametrize(("effort", "sound"), EFFORTS.values(), ids=EFFORTS)
def test_effort(pairs, tmp_path, effort, sound):
    header, description, data = opened(pairs["escalating22"].path.read_bytes())
    text = json.dumps({**description, "effort": effort})
    for verdict in verdicts(tmp_path, sealed(header, text, data)):
        assert verdict == "sound" if sound else "effort" in verdict or "expected JSON" in verdict
        assert len(verdict) < 1500
    if sound:
        found = adasgn_edge.load(tmp_path / "model.adasgn").description.effort
        assert found == read_model_file(tmp_path / "model.adasgn").effort


@pytest.mark.parametrize("name", ["escalating22", "shrec22", "pose25"])
def test_effort_is_of_models_that_escalate(pairs, tmp_path, name):
    header, description, data = opened(pairs[name].path.read_bytes())
    if description.pop("effort", None) is None:
        description["effort"] = {"default": 0.5, "table": TABLE}
    for verdict in verdicts(tmp_path, sealed(header, json.dumps(description), data)):
        assert "effort" in verdict
        assert "expected" in verdict


ESCALATION: dict[str, dict[str, Any]] = {
    "a policy, too": {"adaptive": True},
    "neither": {"escalates": False},
    "as a number": {"escalates": 1},
    "as null": {"escalates": None},
    "one branch": {"branches": ["P-22"]},
    "a stride of 0": {"stride": 0},
    "a stride of 3": {"stride": 3},
    "a stride of 1": {"stride": 1},  # there are rows for 2
    "a stride with a fraction": {"stride": 2.0},
    "a stride as a text": {"stride": "2"},
    "true as a stride": {"stride": True},
}


@pytest.mark.parametrize("changes", ESCALATION.values(), ids=ESCALATION)
def test_escalation_and_stride_that_do_not_fit(pairs, tmp_path, changes):
    header, description, data = opened(pairs["escalating22"].path.read_bytes())
    for verdict in verdicts(tmp_path, sealed(header, changed(description, {"config": changes}), data)):
        assert "expected" in verdict
        assert len(verdict) < 1500


@pytest.mark.parametrize(
    "spoil",
    [lambda text: "\ufeff" + text, lambda text: text + "\0", lambda text: text + "x", lambda text: "\0" + text],
    ids=["byte order mark", "zero byte", "more text", "zero byte first"],
)
def test_text_around_the_description(template, tmp_path, spoil):
    header, description, data = chained(template)
    for message in verdicts(tmp_path, sealed(header, spoil(changed(description, {})), data)):
        assert "description: expected JSON" in message


@pytest.mark.parametrize("padding", [b"\0" * 64, b"\xff" * 64, b"\xc3" * 64])
def test_bytes_after_the_header(template, tmp_path, padding):
    start = 8 + int.from_bytes(template[:8], "little")
    file = bytearray((start + 56).to_bytes(8, "little") + template[8:start] + padding + template[start:])
    file[DIGEST] = _checksum(file)
    for message in verdicts(tmp_path, bytes(file)):
        assert "header: expected" in message
