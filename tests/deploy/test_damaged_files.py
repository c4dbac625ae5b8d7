"""Every damaged or hostile file is a ModelFileError and nothing else.

The architecture's widths are made tiny here, so that a whole file is a few kilobytes and every byte can be tried.
"""

import contextlib
import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adasgn_edge.deploy import folded_network
from adasgn_edge.deploy.folded_network import FoldedModel
from adasgn_edge.deploy.model_file import ModelFile, read_model_file
from adasgn_edge.errors import ModelFileError
from adasgn_edge.model.config import ModelConfig, branch_grid
from adasgn_edge.skeletons import SkeletonLayout

DIGEST = slice(44, 108)
LAYOUT = SkeletonLayout(
    "two", ("a", "b"), (("b", "a"),), ("a",), ("a", "b"), (0.0, 1.0, 0.0), {1: (("a", "b"),), 2: (("a",), ("b",))}
)
CONFIG = ModelConfig(2, 2, branch_grid((1, 2), ("small",)), frames=2)


@pytest.fixture(autouse=True, scope="module")
def tiny_widths():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folded_network, "EMBEDDING", 2)
        patch.setattr(folded_network, "FEATURE", 3)
        patch.setattr(folded_network, "TEMPORAL", 4)
        patch.setattr(folded_network, "GRAPH_WIDTHS", {"small": (4, 3), "big": (4, 4, 3, 3)})
        yield


def make(precision="f32") -> bytes:
    generator = np.random.default_rng(0)
    model = FoldedModel.build(CONFIG, lambda name, shape: generator.normal(size=shape))
    return ModelFile(model, LAYOUT, ("yes", "no"), "joint", 2.0, precision, {"seed": 1}, (0.75, 0.25)).to_bytes()


@pytest.fixture(scope="module")
def content(tiny_widths) -> bytes:
    return make()


def sealed(content: bytes) -> bytes:
    """The same bytes with a checksum that fits, so that what lies behind it is reached."""
    digest = hashlib.sha256(content[: DIGEST.start] + content[DIGEST.stop :]).hexdigest().encode()
    return content[: DIGEST.start] + digest + content[DIGEST.stop :]


def split(content: bytes) -> tuple[dict, bytes]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header: dict | str, data: bytes) -> bytes:
    text = header if isinstance(header, str) else json.dumps(header, separators=(",", ":"))
    raw = text.encode()
    raw += b" " * (-(8 + len(raw)) % 64)
    return sealed(len(raw).to_bytes(8, "little") + raw + data)


def refused(content: bytes) -> str:
    with pytest.raises(ModelFileError) as caught:
        ModelFile.from_bytes(content)
    return str(caught.value)


def refused_or_sound(content: bytes) -> None:
    """A file may survive a change that makes another sound file; it may not fail in any other way."""
    with contextlib.suppress(ModelFileError):
        model = ModelFile.from_bytes(content)
        assert all(np.isfinite(array).all() for array in model.folded.tensors().values())
        with np.errstate(all="ignore"):  # a flipped exponent may overflow
            assert model.folded.forward(np.ones((1, model.config.frames, model.config.joints, 3), np.float32))


def test_the_undamaged_file_is_sound(content):
    assert len(content) < 8192
    assert joined(*split(content)) == content
    assert ModelFile.from_bytes(content).to_bytes() == content


@pytest.mark.parametrize("precision", ["f32", "f16"])
def test_every_truncation(precision):
    whole = make(precision)
    for length in range(len(whole)):
        refused(whole[:length])


def test_every_truncation_with_a_fitting_checksum(content):
    for length in range(DIGEST.stop, len(content)):
        refused(sealed(content[:length]))


def test_additional_bytes(content):
    for more in (b"\0", b"x" * 64):
        refused(content + more)
        assert "expected" in refused(sealed(content + more))


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80])
def test_every_flipped_byte(content, mask):
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= mask
        refused(bytes(damaged))


@pytest.mark.parametrize("mask", [0x01, 0x08, 0x20])
def test_every_flipped_header_byte_with_a_fitting_checksum(content, mask):
    for position in range(8 + int.from_bytes(content[:8], "little")):
        if not DIGEST.start <= position < DIGEST.stop:
            damaged = bytearray(content)
            damaged[position] ^= mask
            refused_or_sound(sealed(bytes(damaged)))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes(noise):
    refused(noise)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_several_changes_at_once(content, data):
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(damaged) - 1))
        stop = data.draw(st.integers(start, min(len(damaged), start + 20)))
        damaged[start:stop] = data.draw(st.binary(max_size=20))
        if not damaged:
            damaged = bytearray(b"\0")
    refused_or_sound(bytes(damaged))
    if len(damaged) > DIGEST.stop:
        refused_or_sound(sealed(bytes(damaged)))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def paths(node, path=()):
    """Every place in a JSON value."""
    yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from paths(child, (*path, key))


def replaced(root, path, value):
    """`root` with the value at `path` replaced; `root` itself is changed."""
    if not path:
        return value
    node = root
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return root


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_value_in_any_place_of_header_and_description(content, data):
    header, tensors = split(content)
    description = json.loads(header["__metadata__"]["model"])
    value = data.draw(JSON_VALUES)
    if data.draw(st.booleans()):
        path = data.draw(st.sampled_from(list(paths(description))))
        header["__metadata__"]["model"] = json.dumps(replaced(description, path, value))
    else:
        places = [p for p in paths(header) if p and p not in {("__metadata__",), ("__metadata__", "checksum")}]
        header = replaced(header, data.draw(st.sampled_from(places)), value)
    refused_or_sound(joined(header, tensors))


def test_flipped_bytes_in_a_file_on_disk_name_the_file(content, tmp_path):
    path = tmp_path / "model.adasgn"
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelFileError, match=r"model\.adasgn: expected checksum b'[0-9a-f]{64}', found .* damaged"):
        read_model_file(path)


# -- one fault at a time: the message says what was expected and what was found ---------------------------------------

NAME = "branches.1.layers.0.itself"  # (2, 3) F32


def edited(content, edit_header=None, edit_description=None, data=None) -> bytes:
    header, tensors = split(content)
    if edit_description:
        description = json.loads(header["__metadata__"]["model"])
        edit_description(description)
        header["__metadata__"]["model"] = json.dumps(description)
    if edit_header:
        edit_header(header)
    return joined(header, tensors if data is None else data)


def setting(*path_and_value):
    *path, value = path_and_value
    return lambda root: replaced(root, tuple(path), value)


def removing(name):
    return lambda root: root.pop(name)


HEADER_FAULTS = {
    "another format": (setting("__metadata__", "format", "gguf"), "expected format 'adasgn_edge.model', found 'gguf'"),
    "another version": (setting("__metadata__", "version", "4"), "expected version '1' to '3', found '4'"),
    "a number as version": (setting("__metadata__", "version", 2), "expected version '1' to '3', found 2"),
    "no version": (lambda root: root["__metadata__"].pop("version"), "metadata: expected the keys"),
    "more metadata": (setting("__metadata__", "license", "x"), "metadata: expected the keys .* besides"),
    "a tensor missing in the middle": (removing(NAME), "without gap or overlap"),
    "no description": (setting("__metadata__", "model", None), "expected the description as a string, found None"),
    "not JSON": (setting("__metadata__", "model", "{"), "description: expected JSON"),
    "a missing tensor": (removing("temporal.classify.bias"), r"expected \d+ bytes of data, found \d+"),
    "a renamed tensor": (
        lambda root: root.update({"more": root.pop(NAME)}),
        f"expected tensor '{NAME}', found none",
    ),
    "transposed": (setting(NAME, "shape", [3, 2]), rf"expected tensor {NAME} of shape \[2, 3\], found \[3, 2\]"),
    "flattened": (setting(NAME, "shape", [6]), rf"expected tensor {NAME} of shape \[2, 3\], found \[6\]"),
    "too large": (setting(NAME, "shape", [2, 4]), r"\[2, 4\] of 32 bytes, found 24"),
    "huge": (setting(NAME, "shape", [2**40, 2**40]), r"of \d+ bytes, found 24"),
    "an empty shape": (setting(NAME, "shape", []), "of a shape of 1 to 3 positive numbers"),
    "a zero": (setting(NAME, "shape", [2, 0]), "of a shape of 1 to 3 positive numbers"),
    "negative": (setting(NAME, "shape", [-2, -3]), "of a shape of 1 to 3 positive numbers"),
    "true as a number": (setting(NAME, "shape", [True, 6]), "of a shape of 1 to 3 positive numbers"),
    "fractional": (setting(NAME, "shape", [2.0, 3.0]), "of a shape of 1 to 3 positive numbers"),
    "half as wide": (setting(NAME, "dtype", "F16"), r"of 12 bytes, found 24"),
    "F64": (setting(NAME, "dtype", "F64"), "of dtype F32 or F16, found 'F64'"),
    "a list as dtype": (setting(NAME, "dtype", ["F32"]), "of dtype F32 or F16"),
    "more keys": (setting(NAME, "strides", [1]), f"tensor '{NAME}': expected the keys"),
    "not an object": (setting(NAME, 3), f"expected tensor '{NAME}' as an object, found 3"),
    "reversed": (setting(NAME, "data_offsets", [24, 0]), "at 0 <= begin <= end"),
    "before the data": (setting(NAME, "data_offsets", [-24, 0]), "at 0 <= begin <= end"),
    "behind the data": (
        setting(NAME, "data_offsets", [2**63, 2**63 + 24]),
        "found .* cut short",
    ),
    "overlapping": (setting(NAME, "data_offsets", [0, 24]), "without gap or overlap"),
    "unaligned": (setting(NAME, "data_offsets", [2, 26]), "at a multiple of 4 bytes, found 2"),
    "three offsets": (setting(NAME, "data_offsets", [0, 24, 48]), "with two data_offsets"),
}


@pytest.mark.parametrize(("edit", "message"), HEADER_FAULTS.values(), ids=HEADER_FAULTS)
def test_header_faults(content, edit, message):
    with pytest.raises(ModelFileError, match=message):
        ModelFile.from_bytes(edited(content, edit))


DESCRIPTION_FAULTS = {
    "missing key": (removing("stream"), "description: expected the keys .* stream missing"),
    "another kind": (setting("kind", "sgn"), "expected kind 'adasgn', found 'sgn'"),
    "branches of version 1": (setting("branches", ["S-1", "S-2"]), "found none missing, \\['branches'\\] besides"),
    "other branches": (setting("config", "branches", ["S-1", "B-2"]), "expected tensor"),
    "branches out of order": (setting("config", "branches", ["S-2", "S-1"]), "ascending order of cost"),
    "a branch twice": (setting("config", "branches", ["S-1", "S-1"]), "none twice"),
    "a pose branch at the end": (setting("config", "branches", ["S-1", "P-2"]), "ascending order of cost"),
    "a pose branch of one joint": (setting("config", "branches", ["P-1", "S-2"]), "a pose branch of 2 joints"),
    "more classes": (setting("config", "classes", 3), r"temporal.classify.weight of shape \[4, 3\], found \[4, 2\]"),
    "classes beyond the limit": (setting("config", "classes", 10**9), "expected at most 65536 classes"),
    "frames beyond the limit": (setting("config", "frames", 10**18), "expected at most 1024 frames"),
    "no frames": (setting("config", "frames", 0), "at least one frame"),
    "a text as joints": (setting("config", "joints", "2"), "config joints of type int, found '2'"),
    "true as joints": (setting("config", "joints", True), "config joints of type int, found True"),
    "joints beyond the limit": (setting("config", "branches", ["S-1", "S-1000"]), "branches of at most 256"),
    "many branches": (setting("config", "branches", [f"S-{n}" for n in range(1, 100)]), "branches of 1 to 32"),
    "no branches": (setting("config", "branches", []), "branches of 1 to 32"),
    "a branch as a number": (setting("config", "branches", ["S-1", 2]), "config branches as strings"),
    "a name of no branch": (setting("config", "branches", ["S-1", "X-2"]), "names such as S-11"),
    "a name in small letters": (setting("config", "branches", ["s-1", "S-2"]), "names such as S-11"),
    "a name with a zero": (setting("config", "branches", ["S-1", "S-02"]), "names such as S-11"),
    "a name in other digits": (setting("config", "branches", ["S-1", "S-٢"]), "names such as S-11"),
    "more joints than the layout": (setting("config", "joints", 3), "expected layout of 3 joints, found 2"),
    "layout without joints": (setting("layout", {}), "expected layout with joint names"),
    "layout in a circle": (setting("layout", "bones", [["a", "b"], ["b", "a"]]), "layout: expected a sound one"),
    "layout with numbers": (setting("layout", "origin", 0), "layout: expected a sound one"),
    "a bone from a joint to itself": (setting("layout", "bones", [["b", "b"]]), "layout: expected a sound one"),
    "a bone of numbers": (setting("layout", "bones", [[1, 0]]), "layout: expected a sound one"),
    "a bone of an unknown joint": (setting("layout", "bones", [["b", "c"]]), "layout: expected a sound one"),
    "a joint set of none": (setting("layout", "joint_sets", {"0": []}), "layout: expected a sound one"),
    "whole numbers as up": (setting("layout", "up", [0, 1, 0]), "expected layout as"),
    "layout with more": (setting("layout", "colour", "red"), "found also .*colour"),
    "names as a text": (setting("class_names", "yn"), "class names as a list of strings"),
    "a number as a name": (setting("class_names", ["yes", 0]), "class names as a list of strings"),
    "too few names": (setting("class_names", ["yes"]), "expected 2 class names, found 1"),
    "an unknown stream": (setting("stream", "depth"), "expected a stream among joint, bone, velocity"),
    "no window": (setting("window", None), "expected a window in seconds, found None"),
    "a window of zero": (setting("window", 0), "expected a window above 0"),
    "an endless window": (setting("window", 10**300), "expected a window above 0"),
    "another origin": (setting("preprocessing", "origin", 1), "expected preprocessing .*'origin': 0"),
    "false for zero": (setting("preprocessing", "origin", False), "expected preprocessing"),
    "another precision": (setting("precision", "f16"), r"of dtype F16, found F32"),
    "no cost": (setting("cost", {}), "cost: expected the keys"),
    "a fraction as cost": (setting("cost", "paper", [1.5, 2]), "cost paper as 2 whole numbers"),
    "too much cost": (setting("cost", "paper", [2**62 + 1, 2]), "whole numbers from 0 to 2"),
    "shares of too few branches": (setting("action_shares", [1.0]), r"action_shares as 2 numbers, .* found \[1.0\]"),
    "a negative share": (setting("action_shares", [1.25, -0.25]), "action_shares as 2 numbers, at least 0, found"),
    "no shares": (setting("action_shares", None), "action_shares as 2 numbers, at least 0, found None"),
    "shares as an object": (setting("action_shares", {"0": 1, "1": 0}), "action_shares as 2 numbers"),
    "shares as texts": (setting("action_shares", ["0.5", "0.5"]), "action_shares as 2 numbers"),
    "NaN as a text": (setting("action_shares", ["NaN", 1.0]), "action_shares as 2 numbers"),
    "NaN as a share": (setting("action_shares", [float("nan"), 1.0]), "expected JSON, found 'NaN'"),
    "an infinite share": (setting("action_shares", [float("inf"), 0.0]), "expected JSON, found 'Infinity'"),
    "true as a share": (setting("action_shares", [True, 0]), "action_shares as 2 numbers"),
    "shares in per cent": (setting("action_shares", [75, 25]), r"action_shares that add up to 1, found \[75, 25\]"),
    "too small a sum": (setting("action_shares", [0.75, 0.2489]), "action_shares that add up to 1"),
    "shares beyond any sum": (setting("action_shares", [1.7e308, 1.7e308]), "action_shares that add up to 1"),
    "half a character": (setting("provenance", "by", "\ud800"), "description: expected JSON"),
    "deep provenance": (setting("provenance", "a", json.loads("[" * 31 + "0" + "]" * 31)), "at most 32 levels"),
    "provenance as a text": (setting("provenance", ""), "expected provenance as an object"),
}


@pytest.mark.parametrize(("edit", "message"), DESCRIPTION_FAULTS.values(), ids=DESCRIPTION_FAULTS)
def test_description_faults(content, edit, message):
    with pytest.raises(ModelFileError, match=message):
        ModelFile.from_bytes(edited(content, edit_description=edit))


@pytest.mark.parametrize("shares", [[1, 0], [-0.0, 1.0], [0.5, 0.501], [0.75, 0.2491]])
def test_sound_action_shares(content, shares):
    found = ModelFile.from_bytes(edited(content, edit_description=setting("action_shares", shares)))
    assert found.action_shares == tuple(shares)


def test_action_shares_may_be_missing(content):
    found = ModelFile.from_bytes(edited(content, edit_description=removing("action_shares")))
    assert found.action_shares is None
    assert b"action_shares" not in found.to_bytes()


@pytest.mark.parametrize("length", [0, 1, 101, 102, 1 << 20, (1 << 20) + 1, 1 << 31, 1 << 32, 1 << 63, (1 << 64) - 1])
def test_hostile_header_lengths(content, length):
    assert "expected" in refused(sealed(length.to_bytes(8, "little") + content[8:]))


def test_unaligned_data(content):
    length = int.from_bytes(content[:8], "little")
    moved = (length + 4).to_bytes(8, "little") + content[8 : 8 + length] + b"    " + content[8 + length :]
    assert "expected data at a multiple of 64 bytes" in refused(sealed(moved))


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7F800000, 0xFF800000])
def test_weights_that_are_not_finite(content, bits):
    header, data = split(content)
    begin = header[NAME]["data_offsets"][0]
    damaged = data[:begin] + bits.to_bytes(4, "little") + data[begin + 4 :]
    with pytest.raises(ModelFileError, match=f"{NAME}: expected finite weights"):
        ModelFile.from_bytes(joined(header, damaged))


def test_repeated_keys(content):
    header, data = split(content)
    text = json.dumps(header, separators=(",", ":"))
    entry = json.dumps(header[NAME], separators=(",", ":"))
    assert "found 'branches.1.layers.0.itself' repeated" in refused(joined(f'{text[:-1]},"{NAME}":{entry}}}', data))
    description = header["__metadata__"]["model"]
    header["__metadata__"]["model"] = description[:-1] + ',"window":3.0}'
    assert "found 'window' repeated" in refused(joined(header, data))


def test_nesting_without_end(content):
    header, data = split(content)
    text = json.dumps(header, separators=(",", ":"))
    for depth in (900, 5000, 100_000):
        deep = "[" * depth + "]" * depth
        refused(joined(f'{text[:-1]},"x":{deep}}}', data))
        for key in ("preprocessing", "provenance", "layout", "window", "kind"):
            description = json.loads(header["__metadata__"]["model"])
            description[key] = "DEEP"
            hostile = json.dumps(description).replace('"DEEP"', deep)
            changed = {**header, "__metadata__": {**header["__metadata__"], "model": hostile}}
            refused(joined(changed, data))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "1" * 400, "1" * 5000])
def test_numbers_that_json_does_not_have(content, number):
    header, data = split(content)
    description = json.loads(header["__metadata__"]["model"])
    description["provenance"] = {"loss": "NUMBER"}
    header["__metadata__"]["model"] = json.dumps(description).replace('"NUMBER"', number)
    assert "description: expected JSON" in refused(joined(header, data))


def test_many_repeated_keys_take_no_time(content):
    header, data = split(content)
    text = json.dumps(header, separators=(",", ":"))
    many = ",".join(f'"{i}":0' for i in range(80_000))
    assert "repeated" in refused(joined(f'{text[:-1]},{many},"7":0}}', data))


def test_text_that_is_not_utf8(content):
    length = int.from_bytes(content[:8], "little")
    damaged = content[: 8 + length - 70] + b"\xff" + content[8 + length - 69 :]
    assert "header: expected UTF-8" in refused(sealed(damaged))
