"""Two reports side by side: what differs, and ratios of times with intervals."""

from __future__ import annotations

from typing import Any

from adasgn_edge.bench.timing import ratio
from adasgn_edge.errors import BenchError
from adasgn_edge.wording import shown

__all__ = ["FORMAT", "compare", "differences"]

FORMAT = "adasgn_edge.bench_comparison.1"
MACHINE = ("processor", "architecture", "cores", "instruction_sets")
SETTINGS = ("device", "threads", "batches", "clips", "models", "data", "loop")
BOARD = ("model", "power_mode")
PARTS = {"cold_start": ("import", "load", "first", "total"), "memory": ("loaded", "peak")}


UNUSABLE = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, ArithmeticError, RecursionError)
"""What comes of reports whose values are not those that a run writes."""


def compare(first: dict[str, Any], second: dict[str, Any], *, anyway: bool = False) -> dict[str, Any]:
    """Times of the second report over those of the first, as plain values.

    slower: whether the interval lies above 1, or below (False); None where it holds 1. Raises BenchError for reports of
    different machines or settings, unless `anyway`, for reports that have nothing in common, and for such that no run
    writes.
    """
    try:
        return _compare(first, second, anyway)
    except BenchError:
        raise
    except UNUSABLE as error:
        raise BenchError(f"expected reports as a run writes them, found others ({shown(error)})") from None


def _compare(first: dict[str, Any], second: dict[str, Any], anyway: bool) -> dict[str, Any]:
    different = differences(first, second)
    decisive = [one for one in different if one["decisive"]]
    if decisive and not anyway:
        found = "; ".join(f"{one['what']} {one['first']} and {one['second']}" for one in decisive)
        raise BenchError(f"expected reports of one machine and the same settings, found {found}; --anyway compares all")
    groups: dict[str, list[dict[str, Any]]] = {}
    for name in first["groups"]:
        if name in second["groups"]:
            groups[name] = _compare_group(first["groups"][name], second["groups"][name])
    parts = {what: _compare_parts(first[what], second[what], names) for what, names in PARTS.items()}
    if not any(groups.values()) and not any(parts.values()):
        raise BenchError("expected reports with a contender in common, found none")
    sides = [
        {f"{name}: {side}" for name, group in report["groups"].items() for side in group["sides"]}
        for report in (first, second)
    ]
    return {
        "format": FORMAT,
        "differences": different,
        "groups": groups,
        **parts,
        "parts": {what: list(of) for what, of in PARTS.items()},
        "only_in": {"first": sorted(sides[0] - sides[1]), "second": sorted(sides[1] - sides[0])},
    }


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
    """What is not the same in two reports; decisive: whether their times cannot be compared for it. Versions are not:
    to compare them is what reports are compared for."""
    found = []

    def look(what: str, one: Any, other: Any, decisive: bool) -> None:
        if one != other:
            found.append({"what": what, "first": _said(one), "second": _said(other), "decisive": decisive})

    for key in MACHINE:
        look(key.replace("_", " "), first["machine"][key], second["machine"][key], True)
    for key in SETTINGS:
        look(key, first["settings"].get(key), second["settings"].get(key), True)
    boards = [report["machine"]["board"]["start"] for report in (first, second)]
    for key in BOARD:
        look(f"board {key.replace('_', ' ')}", boards[0][key], boards[1][key], True)
    versions = [report["machine"]["versions"] for report in (first, second)]
    for name in sorted({*versions[0], *versions[1]}):
        look(f"version of {name}", versions[0].get(name), versions[1].get(name), False)
    for key in ("seconds", "quick"):
        look(key, first["settings"].get(key), second["settings"].get(key), False)
    look("complete", first["complete"], second["complete"], False)
    return found


def _compare_group(first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
    """Of means where the report's own ratios of that side are, else of medians."""
    means = {row["of"] for row in first["ratios"] if row["statistic"] == "mean"}
    rows = []
    for name, one in first["sides"].items():
        other = second["sides"].get(name)
        if other is None:
            continue
        of = "mean" if name in means else "median"
        key = "mean" if of == "mean" else "p50"
        found = ratio(other["rounds"], one["rounds"], of=of, paired=False)
        slower = True if found["low"] > 1 else False if found["high"] < 1 else None
        rows.append({"name": name, "statistic": of, "first": one[key], "second": other[key], **found, "slower": slower})
    return rows


def _compare_parts(first: dict[str, Any], second: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {
        name: {part: second[name][part] / row[part] for part in names if row[part] > 0}
        for name, row in first.items()
        if name in second
    }


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
