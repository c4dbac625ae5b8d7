"""What the CUDA engine should reach on a GPU of the H100's class, and whether it does."""

from __future__ import annotations

from typing import Any

__all__ = ["WAYS", "find_aims", "floor"]

H100_CLASS = (90, 114)
"""Architecture, and the fewest multiprocessors of the boards so called."""
TIMES = {"adasgn": 20e-6, "escalating": 20e-6, "dense": 30e-6}
"""Seconds that one clip in f16 may take on the device."""
SPEEDUPS = {1: 4.0, 1024: 5.0}
"""By batch size: AdaSGN in f16 against the compiled dense SGN."""
ADAPTIVE = {"adasgn": "AdaSGN", "escalating": "AdaSGN that escalates"}
AVERAGES = {"escalating": "mean"}
"""Which of a model's times is judged, of others the median. Most clips stay on the first branch, and a median would not
see what the others cost."""
WAYS = {"device": "on the device", "idle": "on the device, launch included", "whole": "array in, array out"}


def find_aims(groups: list[dict[str, Any]], facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Every aim with what was found (a ratio, or microseconds) and whether it is met; None: not measured, or not to be
    judged by this device."""
    by_batch = {group["batch"]: group for group in groups}
    judged = facts["architecture"] == H100_CLASS[0] and facts["multiprocessors"] >= H100_CLASS[1]
    aims = []
    for model, limit in TIMES.items():
        for way in ("device", "idle"):
            found = _seconds(by_batch.get(1), way, f"{model} f16")
            aims.append(
                {
                    "aim": f"1 clip, {WAYS[way]}: {model} f16 ≤ {1e6 * limit:g} µs on an H100",
                    "ours": f"{model} f16",
                    "against": "–",
                    "found": None if found is None else 1e6 * found,
                    "unit": "µs",
                    "met": found <= limit if judged and found is not None else None,
                }
            )
    for batch, least in SPEEDUPS.items():
        for way in ("device", "whole"):
            for model, name in ADAPTIVE.items():
                aim = f"{_clips(batch)}, {WAYS[way]}: {name} f16 ≥ {least:g} × the speed of the compiled dense SGN"
                aims.append(_ratio(aim, by_batch.get(batch), way, "compile", f"{model} f16", least))
    for group in groups:
        for way in ("device", "whole"):
            for precision in sorted({side.split()[-1] for side in group["work"]}):
                for model, name in ADAPTIVE.items():
                    aim = f"{_clips(group['batch'])}, {WAYS[way]}: {name} never slower than our dense SGN, {precision}"
                    aims.append(_ratio(aim, group, way, f"dense {precision}", f"{model} {precision}", 1.0))
    return aims


def floor(work: dict[str, float], ceilings: dict[str, Any]) -> float | None:
    """Seconds that nothing can be below: all bytes once from the second-level cache, where replays find them, or all
    operations on the tensor cores, whichever takes longer; None where no ceiling is known."""
    parts = []
    if ceilings["l2"]:
        parts.append(work["bytes"] / max(ceilings["l2"], ceilings["dram"]))
    if ceilings["fp16"]:
        parts.append(2 * work["macs"] / ceilings["fp16"])
    return max(parts, default=None)


def _ratio(aim: str, group: dict[str, Any] | None, way: str, slower: str, faster: str, least: float) -> dict[str, Any]:
    theirs, ours = _seconds(group, way, slower), _seconds(group, way, faster)
    found = theirs / ours if theirs is not None and ours is not None else None
    met = None if found is None else found >= least
    return {"aim": aim, "ours": faster, "against": slower, "found": found, "unit": "×", "met": met}


def _seconds(group: dict[str, Any] | None, way: str, side: str) -> float | None:
    average = AVERAGES.get(side.split()[0], "median")
    return group[way][side][average] if group is not None and side in group[way] else None


def _clips(batch: int) -> str:
    return "1 clip" if batch == 1 else f"{batch} clips"
