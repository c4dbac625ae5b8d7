"""What the engine should reach, as ratios of times measured in one run, and whether it does."""

from __future__ import annotations

from typing import Any, NamedTuple

from adasgn_edge.bench.runtimes import GRAPHS, PEERS
from bench.models import AIM_SUBJECT, DEFAULT, MODELS

__all__ = ["default", "find_aims", "rate"]

Groups = dict[str, dict[str, Any]]


class TimeAim(NamedTuple):
    """One clip on one thread: `model` in our engine may take at most `limit` of what `other` takes.

    other: a runtime, for dense SGN, or one of our models; of: which figure of the times is compared.
    """

    model: str
    other: str
    limit: float
    subjects: tuple[str, ...] = (AIM_SUBJECT,)
    of: str = "median"


TIME_AIMS = (
    TimeAim("dense", "openvino", 0.67, tuple(MODELS)),
    TimeAim("adasgn", "openvino", 0.30),
    TimeAim("adasgn", "eager", 0.10),
    # What a clip takes is here a matter of the clip: most stay on the first branch, and a median knows only those.
    TimeAim(DEFAULT, "adasgn", 0.35, of="mean"),
    TimeAim(DEFAULT, "dense", 0.10, of="mean"),
    TimeAim(DEFAULT, "openvino", 0.08, of="mean"),
    TimeAim(DEFAULT, "eager", 0.05, of="mean"),
)
RATE_AIM = 0.8
"""A batch of 64 clips of dense SGN, against a large sgemm on the same core: share of its arithmetic rate."""


def default(group: dict[str, Any], model: str) -> str | None:
    """Our engine's side for a model as `load` runs it, on the best instruction set; None where the group has none."""
    return next((name for name in group["sides"] if name.startswith(f"{model} ")), None)


def rate(side: dict[str, Any], seconds: str = "median") -> float | None:
    """Floating-point operations a second, two for a multiply-accumulate; None where they are not counted."""
    return 2 * side["macs"] / side[seconds] if side["macs"] else None


def find_aims(groups: Groups) -> list[dict[str, Any]]:
    """Every aim with the ratio found and whether it is met, None where a side of the ratio was not measured."""
    aims = []
    for aim in TIME_AIMS:
        for subject in aim.subjects:
            group = groups.get(f"speed-{subject}-b1-t1", {"sides": {}})
            ours = default(group, aim.model)
            others, against = [default(group, aim.other) or aim.other], aim.other
            if aim.other in PEERS:
                others, against = [f"{aim.other} {graph}" for graph in GRAPHS], f"dense SGN in {aim.other}"
            for theirs in others:
                ratio = None
                if ours and theirs in group["sides"]:
                    ratio = group["sides"][ours][aim.of] / group["sides"][theirs][aim.of]
                aims.append(
                    {
                        "aim": f"one clip, one thread, {aim.of}: {aim.model} ≤ {aim.limit:g} × {against}",
                        "subject": subject,
                        "ours": ours,
                        "theirs": theirs,
                        "ratio": ratio,
                        "met": None if ratio is None else ratio <= aim.limit,
                    }
                )
    return aims + [_rate_aim(groups, subject) for subject in MODELS]


def _rate_aim(groups: Groups, subject: str) -> dict[str, Any]:
    group = groups.get(f"speed-{subject}-b64-t1", {"sides": {}})
    ours = default(group, "dense")
    products = [name for name in group["sides"] if name.startswith("sgemm ")]
    theirs = min(products, key=lambda name: group["sides"][name]["median"], default=None)
    ratio = None
    if ours and theirs:
        first, second = rate(group["sides"][ours]), rate(group["sides"][theirs])
        ratio = first / second if first and second else None
    return {
        "aim": f"64 clips, one thread: arithmetic rate of dense ≥ {RATE_AIM:g} × that of a large sgemm",
        "subject": subject,
        "ours": ours,
        "theirs": theirs or "sgemm",
        "ratio": ratio,
        "met": None if ratio is None else ratio >= RATE_AIM,
    }
