"""Doctor's row of TensorRT: every part that is missing, and what brings it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from adasgn_edge.errors import TensorRTError
from adasgn_edge.installation.build_info import PACKAGE, REBUILD, Part
from adasgn_edge.installation.cuda_driver import Driver
from adasgn_edge.installation.part_state import PartState, try_statement
from adasgn_edge.tensorrt.runtime import MAJORS, Version, unfit

__all__ = ["tensorrt_state"]

PROBE = "from adasgn_edge.tensorrt.plugin import probe; print(probe())"


def tensorrt_state(
    part: Part,
    driver: Driver,
    attempt: Callable[[str], tuple[str, str]] = try_statement,
    plugin_there: bool | None = None,
) -> PartState:
    """What works of TensorRT here.

    part: what the build noted of the plugin; attempt: runs a statement in a Python of its own; plugin_there: whether
    the plugin's library is, by default as it is.
    """
    if plugin_there is None:
        plugin_there = (PACKAGE / "libadasgn_tensorrt.so").is_file()
    lacks: list[tuple[str, str]] = []  # why, and what brings it
    problem, said = attempt(PROBE)
    found = {"reason": problem, "remedy": ""} if problem else _last_line(said)
    version = _version(found.get("version"))
    if "reason" in found:
        lacks.append((f"TensorRT: {found['reason']}", found["remedy"]))
    elif version is None or version.major not in MAJORS:
        known = " or ".join(map(str, MAJORS))
        lacks.append((f"TensorRT {found.get('version')} is none of {known}", f"install TensorRT {known}"))
    if not part.built:
        lacks.append((f"the plugin was not built, as {part.reason}", part.remedy))
    elif not plugin_there:
        lacks.append(("the plugin's library adasgn_edge/libadasgn_tensorrt.so is not there", REBUILD))
    elif version is not None and (made := Version.parse(part.version)).major != version.major:
        remedy = f"sudo apt install libnvinfer-dev={version}*, then {REBUILD}"
        lacks.append((f"the plugin was built for TensorRT {made.major} and {version} is installed", remedy))
    elif "problem" in found:
        lacks.append((found["problem"], REBUILD))
    if driver.problem:
        lacks.append((driver.problem, "install NVIDIA's driver, or let this container see the GPU"))
    elif version is not None and (why := unfit(version, driver.gpus[0].capability)):
        lacks.append((why, "install another TensorRT, or use the device cuda, which needs none"))
    summary = f"TensorRT {version or 'missing'}, plugin {f'for {part.version}' if part.built else 'not built'}"
    facts: dict[str, Any] = {"built": part.built, "version": part.version, "tensorrt": found}
    reason = "; ".join(why for why, _ in lacks)
    remedy = "; ".join(dict.fromkeys(what for _, what in lacks if what))
    return PartState(not lacks, summary, reason, remedy, facts)


def _last_line(said: str) -> dict[str, str]:
    """What the probe printed, after whatever libraries printed while they were loaded."""
    try:
        found: dict[str, str] = json.loads(said.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {"reason": "looking for it printed no answer", "remedy": ""}
    return found


def _version(text: str | None) -> Version | None:
    try:
        return None if text is None else Version.parse(text)
    except TensorRTError:
        return None
