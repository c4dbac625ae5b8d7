"""Reading and writing ``.adasgn`` model files (docs/model_file.md); needs NumPy alone.

A reader trusts nothing: a file is either a complete model whose every number is finite, or a ModelFileError that says
what was expected and what was found.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from adasgn_edge.data.streams import STREAMS
from adasgn_edge.deploy.folded_network import Array, FoldedModel, folded_cost
from adasgn_edge.deploy.model_container import (
    ALIGNMENT,
    DIGEST,
    MAX_HEADER,
    SUFFIX,
    header_length,
    read_model_bytes,
)
from adasgn_edge.effort import EffortTable
from adasgn_edge.errors import AdaSGNError, EffortError, ModelFileError, RecognitionError
from adasgn_edge.files import atomic_path
from adasgn_edge.model.config import MAX_BRANCHES, ModelConfig
from adasgn_edge.model.cost import CostTable
from adasgn_edge.recognition import Recognition
from adasgn_edge.regular_file import shown_path
from adasgn_edge.shipped import SHIPPED, shipped_file
from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["ModelFile", "model_called", "read_model_file", "shipped_model", "write_model_file"]

FORMAT = "adasgn_edge.model"
VERSION = "2"
FIRST_VERSION = "1"
"""Files of this version are read too: they say joint_sets and sizes where version 2 says branches."""
CAUSAL_VERSION = "3"
"""Of causal models, whose config has one key more, and only of them."""
PRECISIONS = ("f32", "f16")
COST_CONVENTIONS = ("paper", "full", "folded")

MAX_WINDOW = 3600
MAX_COST = 1 << 62
SHARE_TOLERANCE = 1e-3
"""What action shares may add up to beside 1."""

MAX_DEPTH = 32

_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2")}
_DESCRIPTION_KEYS = (
    "kind", "config", "layout", "class_names", "stream", "window", "preprocessing", "precision", "cost", "provenance",
)  # fmt: skip
"""And "action_shares", which is absent where it is not known; "effort" of models that escalate; "recognition" of
causal models; in version 1 "branches"."""


@dataclass(frozen=True)
class ModelFile:
    """A model and all that is needed to run it.

    folded: the weights; layout: what the V joints are; class_names: K names; stream: "joint", "bone" or "velocity";
    window: seconds that the frames of a clip span; precision: "f32" or "f16", how the matrices are stored;
    provenance: free-form facts of training and export; action_shares: (A,) share of frames that the policy gives to
    each branch, on training clips, None where it is not known or there is no policy; effort: of models that escalate,
    and of no others; recognition: of causal models, and of no others. Raises ModelFileError when these do not fit each
    other.
    """

    folded: FoldedModel
    layout: SkeletonLayout
    class_names: tuple[str, ...]
    stream: str
    window: float
    precision: str = "f32"
    provenance: dict[str, Any] = field(default_factory=dict)
    action_shares: tuple[float, ...] | None = None
    effort: EffortTable | None = None
    recognition: Recognition | None = None

    def __post_init__(self) -> None:
        config = self.config
        joints = self.layout.joint_count
        _expect(joints == config.recorded_joints, f"a layout of {config.recorded_joints} joints", joints)
        _expect(len(self.class_names) == config.classes, f"{config.classes} class names", len(self.class_names))
        _expect(self.stream in STREAMS, f"a stream among {', '.join(STREAMS)}", _shown(self.stream))
        _expect(0 < self.window <= MAX_WINDOW, f"a window above 0 and up to {MAX_WINDOW} seconds", self.window)
        _expect(self.precision in PRECISIONS, f"a precision among {', '.join(PRECISIONS)}", repr(self.precision))
        if self.action_shares is not None:
            _check_action_shares(list(self.action_shares), config)
        expected = "an effort table" if config.escalates else "no effort table of a model that does not escalate"
        _expect(config.escalates == (self.effort is not None), expected, "none" if self.effort is None else "one")
        causal, found = config.causal is not None, self.recognition
        expected = "recognition of a causal model" if causal else "no recognition of a model that is not causal"
        _expect(causal == (found is not None), expected, "none" if found is None else "some")
        if found is not None:
            expected = f"a class without gesture from 0 to {config.classes - 1}"
            _expect(found.none < config.classes, expected, found.none)
            longest = (config.clip_frames - 1) * found.step
            _expect(found.delay <= longest, f"a delay within the window, at most {longest} ns", found.delay)
            _expect(self.stream == "joint", "the stream joint of a causal model", repr(self.stream))

    @property
    def config(self) -> ModelConfig:
        """The model's shape."""
        return self.folded.config

    @property
    def kind(self) -> str:
        """ "adasgn" (with a policy, or escalating), "sgn" (dense, no transform) or "single" (one branch)."""
        return _kind(self.config)

    @property
    def costs(self) -> dict[str, list[int]]:
        """MACs of a clip whose frames all take one branch, or that ends at it where clips escalate, (A,), by
        convention: paper, full, folded."""
        table = CostTable(self.config)
        columns = (table.paper, table.full, folded_cost(self.config))
        return {name: column.tolist() for name, column in zip(COST_CONVENTIONS, columns, strict=True)}

    # -- writing --------------------------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """The content of the file; raises ModelFileError for weights that cannot be stored."""
        config = self.config
        dtypes = _stored_dtypes(config, self.precision)
        tensors = self.folded.tensors()
        order = sorted(tensors, key=lambda name: dtypes[name] == "F16")  # stable: F32 first keeps F32 aligned
        header: dict[str, Any] = {"__metadata__": {"checksum": f"sha256:{'0' * 64}"}}
        chunks, position = [], 0
        for name in order:
            content = _stored(name, tensors[name], dtypes[name]).tobytes()
            shape = list(tensors[name].shape)
            offsets = [position, position + len(content)]
            header[name] = {"dtype": dtypes[name], "shape": shape, "data_offsets": offsets}
            chunks.append(content)
            position += len(content)
        description = _to_json(self._description())
        version = VERSION if config.causal is None else CAUSAL_VERSION
        header["__metadata__"].update({"format": FORMAT, "version": version, "model": description})
        text = _to_json(header).encode()
        text += b" " * (-(8 + len(text)) % ALIGNMENT)
        _expect(len(text) <= MAX_HEADER, f"layout, names and provenance of at most {MAX_HEADER} bytes", len(text))
        file = bytearray(len(text).to_bytes(8, "little") + text + b"".join(chunks))
        file[DIGEST] = _checksum(file)
        return bytes(file)

    def _description(self) -> dict[str, Any]:
        description = {
            "kind": self.kind,
            "config": self.config.to_dict(),
            "layout": self.layout.to_dict(),
            "class_names": list(self.class_names),
            "stream": self.stream,
            "window": self.window,
            "preprocessing": _preprocessing(self.layout),
            "precision": self.precision,
            "cost": self.costs,
        }
        if self.action_shares is not None:
            description["action_shares"] = list(self.action_shares)
        if self.effort is not None:
            description["effort"] = self.effort.to_json()
        if self.recognition is not None:
            description["recognition"] = self.recognition.to_json()
        return {**description, "provenance": self.provenance}

    # -- reading --------------------------------------------------------------------------------------------------

    @classmethod
    def from_bytes(cls, content: bytes) -> ModelFile:
        """Inverse of :meth:`to_bytes`; raises ModelFileError for anything that is not such a file, whole and sound."""
        try:
            return cls._from_bytes(content)
        except RecursionError:
            raise ModelFileError("expected a header of few levels, found it nested too deeply") from None

    @classmethod
    def _from_bytes(cls, content: bytes) -> ModelFile:
        header, start = _read_header(content)
        metadata = header.pop("__metadata__")
        _check_keys("metadata", metadata, ("checksum", "format", "version", "model"))
        _expect(metadata["format"] == FORMAT, f"format {FORMAT!r}", _shown(metadata["format"]))
        version = metadata["version"]
        versions = (FIRST_VERSION, VERSION, CAUSAL_VERSION)
        _expect(version in versions, f"version {FIRST_VERSION!r} to {CAUSAL_VERSION!r}", _shown(version))
        _check_ranges(header, len(content) - start)
        found, computed = content[DIGEST], _checksum(content)
        _expect(found == computed, f"checksum {computed!r}", f"{found!r}: the file is damaged")
        _expect(isinstance(metadata["model"], str), "the description as a string", _shown(metadata["model"]))
        description = _parse(metadata["model"], "description")
        return cls._from_description(description, version, header, content, start)

    @classmethod
    def _from_description(
        cls, description: Any, version: str, entries: dict[str, Any], content: bytes, start: int
    ) -> ModelFile:
        first, causal = version == FIRST_VERSION, version == CAUSAL_VERSION
        optional = ("action_shares", *(() if first else ("effort",)))
        present = [key for key in optional if isinstance(description, dict) and key in description]
        known = "action_shares" in present
        more = ("branches",) if first else ("recognition",) if causal else ()
        _check_keys("description", description, (*_DESCRIPTION_KEYS, *more, *present))
        config = _read_config(description["config"], version)
        layout = _read_layout(description["layout"], config.recorded_joints)
        names, window = description["class_names"], description["window"]
        _expect(_all_are(names, str), "class names as a list of strings", _shown(names))
        _expect(type(window) in (int, float), "a window in seconds", _shown(window))
        precision, provenance = description["precision"], description["provenance"]
        _expect(precision in PRECISIONS, f"a precision among {', '.join(PRECISIONS)}", _shown(precision))
        _expect(isinstance(provenance, dict), "provenance as an object", _shown(provenance))
        derived: dict[str, Any] = {"kind": _kind(config), "preprocessing": _preprocessing(layout)}
        if first:
            derived["branches"] = list(config.branch_names)
        for key, expected in derived.items():
            _expect(_same(description[key], expected), f"{key} {_shown(expected)}", _shown(description[key]))
        _check_cost(description["cost"], len(config.branches))
        if known:
            _check_action_shares(description["action_shares"], config)
        return cls(
            folded=_read_tensors(config, precision, entries, content, start),
            layout=layout,
            class_names=tuple(names),
            stream=description["stream"],
            window=window,
            precision=precision,
            provenance=provenance,
            action_shares=tuple(map(float, description["action_shares"])) if known else None,
            effort=_read_effort(description["effort"]) if "effort" in present else None,
            recognition=_read_recognition(description["recognition"]) if causal else None,
        )


def write_model_file(path: str | Path, model: ModelFile) -> None:
    """Write a ``.adasgn`` file atomically.

    Raises ModelFileError for weights that cannot be stored, OutputError for a place that cannot be written.
    """
    path = Path(path)
    try:
        content = model.to_bytes()
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def read_model_file(path: str | bytes | os.PathLike[Any]) -> ModelFile:
    """Read a ``.adasgn`` file; raises ModelFileError that names the file, what was expected and what was found."""
    content = read_model_bytes(path)
    try:
        return ModelFile.from_bytes(content)
    except ModelFileError as error:
        raise ModelFileError(f"{shown_path(path)}: {error}") from None


# -- small helpers ----------------------------------------------------------------------------------------------------


def shipped_model(kind: str = "clips") -> Path:
    """Path of a model file that comes with the package: for "clips", for a "stream", or for "hands".

    That for clips escalates and knows the 14 gestures of SHREC'17; it is what ``adasgn-edge export`` makes of the
    trained weights beside it. The others are causal (docs/streaming.md): "stream" knows 17 gestures of hands that lie
    flat over a Leap, "hands" 23 of those and of hands that are held up before a camera. Raises ModelFileError for
    another kind, or where the package has none of it.
    """
    _expect(kind in SHIPPED, f"a shipped model for one of {', '.join(SHIPPED)}", repr(kind))
    path = shipped_file(kind, ".adasgn")
    _expect(
        path.is_file(), f"{path.name} in {path.parent}, the model for {kind} that ships", "none; name one by --model"
    )
    return path


def model_called(name: str | Path | None, default: str = "clips") -> Path:
    """The path that a user gave for a model; of a name in SHIPPED that is no file, :func:`shipped_model`'s.

    None: the shipped one for `default`, whatever lies in the folder by that name.
    """
    if name is None:
        return shipped_model(default)
    path = Path(name)
    return shipped_model(str(name)) if str(name) in SHIPPED and not path.exists() else path


def _expect(ok: bool, expected: str, found: object) -> None:
    if not ok:
        raise ModelFileError(f"expected {expected}, found {found}")


def _shown(value: Any) -> str:
    """A value of a hostile file, short enough for a message."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _all_are(values: Any, kind: type) -> bool:
    """Whether `values` is a list of exactly this type (True is not an int here)."""
    return isinstance(values, list) and all(type(value) is kind for value in values)


def _same(found: Any, expected: Any) -> bool:
    """Equality in which 1, 1.0 and true differ, as they do in JSON."""
    return json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)


def _check_keys(what: str, found: Any, expected: tuple[str, ...]) -> None:
    _expect(isinstance(found, dict), f"{what} as an object", _shown(found))
    if set(found) != set(expected):
        missing = ", ".join(sorted(set(expected) - set(found))) or "none"
        additional = _shown(sorted(set(found) - set(expected)))
        names = ", ".join(expected)
        raise ModelFileError(f"{what}: expected the keys {names}; found {missing} missing, {additional} besides")


def _checksum(content: bytes | bytearray) -> bytes:
    """Hexadecimal SHA-256 of everything but the digits themselves."""
    view = memoryview(content)
    digest = hashlib.sha256(view[: DIGEST.start])
    digest.update(view[DIGEST.stop :])
    return digest.hexdigest().encode()


def _to_json(value: Any) -> str:
    try:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
        raise ModelFileError(f"expected names and provenance that JSON can hold, found others ({error})") from None
    return text


def _parse(text: str, what: str) -> Any:
    """JSON with every key once and only numbers that JSON has."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
            raise ModelFileError(f"{what}: expected every key once, found {_shown(twice)} repeated")
        return result

    def finite(text: str) -> float:
        number = float(text)
        return number if math.isfinite(number) else refuse(text)

    def whole(text: str) -> int:
        finite(text)
        return int(text)

    def refuse(constant: str) -> Any:
        raise ModelFileError(f"{what}: expected JSON, found {_shown(constant)}")

    try:
        value = json.loads(text, object_pairs_hook=once, parse_float=finite, parse_int=whole, parse_constant=refuse)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except ModelFileError:
        raise
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{what}: expected JSON, found {_shown(str(error))}") from None
    _expect_depth(what, value)
    return value


def _expect_depth(what: str, value: Any) -> None:
    """No value inside more than MAX_DEPTH objects and lists."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        containers = (child for child in level if isinstance(child, dict | list))
        level = [child for item in containers for child in (item.values() if isinstance(item, dict) else item)]
    _expect(not level, f"{what} of at most {MAX_DEPTH} levels of nesting", "more")


# -- the container ----------------------------------------------------------------------------------------------------


def _read_header(content: bytes) -> tuple[dict[str, Any], int]:
    """The header, its "__metadata__" an object, and where the data starts."""
    start = 8 + header_length(content)
    _expect(start <= len(content), f"a header of {start - 8} bytes", f"{len(content) - 8}: the file is cut short")
    closing = content[DIGEST.stop : DIGEST.stop + len(SUFFIX)]
    _expect(closing == SUFFIX, f"{SUFFIX!r} after the checksum", _shown(closing))
    try:
        text = content[8:start].decode()
    except UnicodeDecodeError as error:
        raise ModelFileError(f"header: expected UTF-8, found other bytes ({error.reason})") from None
    header = _parse(text, "header")
    _expect(isinstance(header, dict), "header as an object", _shown(header))
    return header, start


def _check_ranges(entries: dict[str, Any], size: int) -> None:
    """Tensor entries are well-formed and cover the `size` bytes of data exactly."""
    ranges = []
    for name, entry in entries.items():
        what = f"tensor {_shown(name)}"
        _check_keys(what, entry, ("dtype", "shape", "data_offsets"))
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        _expect(isinstance(dtype, str) and dtype in _DTYPES, f"{what} of dtype {' or '.join(_DTYPES)}", _shown(dtype))
        ok = _all_are(shape, int) and 1 <= len(shape) <= 3 and all(count >= 1 for count in shape)
        _expect(ok, f"{what} of a shape of 1 to 3 positive numbers", _shown(shape))
        ok = _all_are(offsets, int) and len(offsets) == 2
        _expect(ok, f"{what} with two data_offsets", _shown(offsets))
        begin, end = offsets
        itemsize = _DTYPES[dtype].itemsize
        _expect(0 <= begin <= end, f"{what} at 0 <= begin <= end", _shown(offsets))
        _expect(end <= size, f"{what} within {size} bytes of data", f"{_shown(offsets)}: the file is cut short")
        _expect(begin % itemsize == 0, f"{what} at a multiple of {itemsize} bytes", begin)
        expected = math.prod(shape) * itemsize
        _expect(end - begin == expected, f"{what} {_shown(shape)} of {_shown(expected)} bytes", end - begin)
        ranges.append((begin, end, what))
    position = 0
    for begin, end, what in sorted(ranges):
        _expect(begin == position, f"{what} to begin at {position}, without gap or overlap", begin)
        position = end
    _expect(position == size, f"{position} bytes of data", size)


def _stored_dtypes(config: ModelConfig, precision: str) -> dict[str, str]:
    """The dtype each tensor is stored in: matrices may be halved, but not those that decide the actions."""
    fixed = ("policy.", "branches.0.") if config.adaptive else ()

    def halved(name: str) -> bool:
        return name.rpartition(".")[2] in ("weight", "neighbours", "itself") and not name.startswith(fixed)

    return {name: "F16" if precision == "f16" and halved(name) else "F32" for name in FoldedModel.shapes(config)}


def _stored(name: str, array: Array, dtype: str) -> Array:
    with np.errstate(over="ignore"):
        stored = array.astype(_DTYPES[dtype])
    if not np.isfinite(stored).all():
        found = array.ravel()[np.argmin(np.isfinite(stored.ravel()))]
        raise ModelFileError(f"tensor {name}: expected finite {dtype} weights, found {found:g}")
    return stored


def _read_tensors(
    config: ModelConfig, precision: str, entries: dict[str, Any], content: bytes, start: int
) -> FoldedModel:
    """The tensors that the configuration asks for, and no others, widened to float32."""
    dtypes = _stored_dtypes(config, precision)
    missing, additional = sorted(set(dtypes) - set(entries)), sorted(set(entries) - set(dtypes))
    _expect(not missing, f"tensor {_shown(missing[0] if missing else '')}", "none")
    _expect(not additional, f"{len(dtypes)} tensors", f"{_shown(additional[0] if additional else '')} besides")

    def read(name: str, shape: tuple[int, ...]) -> Array:
        entry = entries[name]
        _expect(entry["shape"] == list(shape), f"tensor {name} of shape {list(shape)}", _shown(entry["shape"]))
        _expect(entry["dtype"] == dtypes[name], f"tensor {name} of dtype {dtypes[name]}", entry["dtype"])
        stored = np.frombuffer(content, _DTYPES[entry["dtype"]], math.prod(shape), start + entry["data_offsets"][0])
        if not np.isfinite(stored).all():
            raise ModelFileError(f"tensor {name}: expected finite weights, found NaN or infinity")
        return stored.reshape(shape).astype(np.float32)

    return FoldedModel.build(config, read)


# -- the description --------------------------------------------------------------------------------------------------


def _kind(config: ModelConfig) -> str:
    if config.routes:
        return "adasgn"
    return "single" if config.transform else "sgn"


def _read_config(data: Any, version: str) -> ModelConfig:
    """The configuration as a file of this version has it."""
    first, causal = version == FIRST_VERSION, version == CAUSAL_VERSION
    types = {"joints": int, "classes": int, "frames": int, "transform": bool, "adaptive": bool}
    lists = {"joint_sets": int, "sizes": str} if first else {"branches": str}
    if not first:
        types |= {"escalates": bool, "stride": int}
    _check_keys("config", data, (*types, *lists, *(("causal",) if causal else ())))
    for key, kind in types.items():
        _expect(type(data[key]) is kind, f"config {key} of type {kind.__name__}", _shown(data[key]))
    for key, kind in lists.items():
        expected = "whole numbers" if kind is int else "strings"
        _expect(_all_are(data[key], kind), f"config {key} as {expected}", _shown(data[key]))
        _expect(1 <= len(data[key]) <= MAX_BRANCHES, f"config {key} of 1 to {MAX_BRANCHES}", _shown(data[key]))
    if first:
        sizes = data["sizes"]
        _expect(sizes in ([["small"], ["big"], ["small", "big"]]), "sizes small, big or both", _shown(sizes))
    else:
        names = data["branches"]
        _expect(all(map(_canonical, names)), "config branches as names such as S-11", _shown(names))
    try:
        config = ModelConfig.from_dict(data)
    except AdaSGNError as error:
        raise ModelFileError(_shown(str(error))) from None
    return config


def _canonical(name: str) -> bool:
    """Whether a branch is written as its name is; `s-011` is not."""
    return re.fullmatch(r"[PSB]-[1-9][0-9]{0,5}", name) is not None


def _read_layout(data: Any, joints: int) -> SkeletonLayout:
    """The layout, in the very form in which it is written."""
    _expect(isinstance(data, dict) and _all_are(data.get("joints"), str), "layout with joint names", _shown(data))
    _expect(len(data["joints"]) == joints, f"layout of {joints} joints", len(data["joints"]))
    try:
        layout = SkeletonLayout.from_dict(data)
        ok = _same(data, layout.to_dict())
    except (AdaSGNError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelFileError(f"layout: expected a sound one, found {_shown(str(error))}") from None
    _expect(ok, f"layout as {_shown(layout.to_dict())}", _shown(data))
    return layout


def _preprocessing(layout: SkeletonLayout) -> dict[str, Any]:
    """The layout's rules as joint indices."""
    bone, origin = layout.scale_bone, layout.origin_indices
    return {
        "origin": origin[0] if len(origin) == 1 else list(origin),
        "scale_bone": None if bone is None else [layout.index(joint) for joint in bone],
        "parents": layout.parents.tolist(),
    }


def _read_effort(data: Any) -> EffortTable:
    try:
        table = EffortTable.from_json(data)
    except EffortError as error:
        raise ModelFileError(_shown(str(error))) from None
    _expect(table.points[-1].macs <= MAX_COST, "an effort table of MACs up to 2^62", _shown(table.points[-1].macs))
    return table


def _read_recognition(data: Any) -> Recognition:
    try:
        return Recognition.from_json(data)
    except RecognitionError as error:
        raise ModelFileError(_shown(str(error))) from None


def _check_cost(data: Any, branches: int) -> None:
    _check_keys("cost", data, COST_CONVENTIONS)
    for name, column in data.items():
        ok = _all_are(column, int) and len(column) == branches and all(0 <= count <= MAX_COST for count in column)
        _expect(ok, f"cost {name} as {branches} whole numbers from 0 to 2^62", _shown(column))


def _check_action_shares(data: Any, config: ModelConfig) -> None:
    _expect(config.adaptive, "no action_shares of a model without policy", _shown(data))
    count = len(config.branches)
    ok = isinstance(data, list) and all(type(share) in (int, float) and share >= 0 for share in data)
    _expect(ok and len(data) == count, f"action_shares as {count} numbers, at least 0", _shown(data))
    total = 0.0
    for share in data:  # not sum(), which since Python 3.12 rounds otherwise than the C++ reader
        total += float(share)
    _expect(abs(total - 1) <= SHARE_TOLERANCE, "action_shares that add up to 1", _shown(data))
