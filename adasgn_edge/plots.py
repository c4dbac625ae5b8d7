"""Pictures of results: accuracy against cost, action shares, a clip's filmstrip, training curves. Needs matplotlib.

Every function returns a matplotlib Figure; :func:`save` writes it atomically. Figures are made without pyplot, so that
no backend is chosen and none is left open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from adasgn_edge.files import atomic_path, check_output
from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["accuracy_against_cost", "action_shares", "check_picture", "filmstrip", "save", "training_curves"]

PICTURES = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp")
"""Endings of the kinds of picture that can be written."""


def branch_colours(names: Sequence[str]) -> list[Any]:
    """A colour per branch, light for cheap and dark for costly."""
    return [colormaps["viridis_r"](0.08 + 0.9 * i / max(1, len(names) - 1)) for i in range(len(names))]


def check_picture(path: Path) -> None:
    """Raise OutputError for a name without the ending of a kind of picture, or a place that cannot be written."""
    known = path.suffix.lower() in PICTURES
    check_output(path, (path.suffix,) if known else PICTURES, "picture")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as the kind of file its ending names (PICTURES), atomically; OutputError as check_picture."""
    check_picture(path)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lower().lstrip("."), dpi=140)


CROWDED = 0.1
"""Part of the axis within which a second effort gets no name."""


def accuracy_against_cost(models: Sequence[Mapping[str, Any]], title: str, convention: str = "paper") -> Figure:
    """The paper's Figure 3: one point a model, the adaptive ones joined in order of cost, and so the efforts of one
    that escalates.

    models: rows with name, stage, accuracy, accuracy_deviation (or None), paper_gflops, full_gflops.
    """
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    axes = figure.subplots()
    widest = max(model[f"{convention}_gflops"] for model in models)
    kinds: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for model in models:
        kinds.setdefault(_kind(model["stage"]), []).append(model)
    for (label, marker), unordered in kinds.items():
        chosen = sorted(unordered, key=lambda m: m[f"{convention}_gflops"])
        x = [m[f"{convention}_gflops"] for m in chosen]
        y = [100 * m["accuracy"] for m in chosen]
        spread = [100 * (m.get("accuracy_deviation") or 0.0) for m in chosen]
        axes.errorbar(x, y, yerr=spread if any(spread) else None, fmt=marker, label=label, markersize=8, capsize=3)
        named = float("-inf")
        for m, at_x, at_y in zip(chosen, x, y, strict=True):
            if at_x - named < CROWDED * widest and m["stage"] == "adasgn-shared":
                continue  # efforts lie close together where accuracy rises
            named = at_x
            text = "" if m["name"] == "sgn" else m["name"].replace("adasgn-shared at", "effort")
            text = text.replace("adasgn-a", "α = ")
            axes.annotate(text, (at_x, at_y), textcoords="offset points", xytext=(7, -12), fontsize=9)
    counted = "convolutions only" if convention == "paper" else "all multiplications, policy included"
    axes.set(xlabel=f"1e9 MACs a clip ({counted})", ylabel="accuracy on the test split, last epoch (%)", title=title)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def _kind(stage: str) -> tuple[str, str]:
    """Label and marker of a kind of model."""
    if stage == "adasgn-shared":
        return "branches trained together, escalating", "^-"
    if stage.startswith("adasgn"):
        return "AdaSGN, a policy for each frame", "o-"
    if stage.startswith(("P-", "S-", "B-")):
        return "one branch on every frame", "s"
    return ("dense SGN", "*") if stage == "sgn" else ("others", "D")


def action_shares(
    class_names: Sequence[str], shares: NDArray[np.float64], branch_names: Sequence[str], title: str
) -> Figure:
    """Share of frames that took each branch, a bar per class; shares (classes, A), NaN for a class without samples."""
    shown = [
        f"{name}{' (no samples)' if np.isnan(row).any() else ''}" for name, row in zip(class_names, shares, strict=True)
    ]
    shares = np.nan_to_num(shares)
    figure = Figure(figsize=(8, 1.4 + 0.3 * len(class_names)), layout="constrained")
    axes = figure.subplots()
    left = np.zeros(len(class_names))
    for name, colour, share in zip(branch_names, branch_colours(branch_names), shares.T, strict=True):
        axes.barh(shown, 100 * share, left=left, color=colour, label=name)
        left += 100 * share
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="frames (%)", title=title)
    axes.legend(
        ncols=len(branch_names), loc="upper center", bbox_to_anchor=(0.5, -0.5 / figure.get_figheight()), fontsize=8
    )
    return figure


def filmstrip(
    clip: NDArray[np.float32],
    actions: NDArray[np.int64],
    transforms: Sequence[NDArray[np.float32]],
    branch_names: Sequence[str],
    layout: SkeletonLayout,
    title: str,
    shown: int = 10,
) -> Figure:
    """The paper's Figure 4: evenly spaced frames of a clip, each with the joints its branch kept.

    clip: (T, V, 3) joint positions; actions: (T,); transforms: (V_i, V) per branch, the learned M_i.
    The frame's own joints are drawn faintly behind the transformed ones.
    """
    frames = np.unique(np.linspace(0, len(clip) - 1, min(shown, len(clip))).round().astype(int))
    colours = branch_colours(branch_names)
    flat = _flatten(clip, layout)
    low, high = flat.min(axis=(0, 1)), flat.max(axis=(0, 1))
    centre, reach = (low + high) / 2, (high - low).max() / 2 * 1.15 + 1e-6
    columns = min(5, len(frames))
    rows = -(-len(frames) // columns)
    figure = Figure(figsize=(2.3 * columns, 2.5 * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, frame in zip(grid.flat, frames, strict=False):
        action = int(actions[frame])
        transform = transforms[action]
        kept = _flatten(transform @ clip[frame], layout)
        _draw_bones(axes, flat[frame], [(i, int(p)) for i, p in enumerate(layout.parents)], "0.8", 1.0)
        _draw_bones(axes, kept, _edges_between_sets(transform.shape[0], layout), colours[action], 1.8)
        axes.scatter(*kept.T, color=colours[action], s=110 if len(kept) == 1 else 26, zorder=3)
        axes.set(
            xlim=(centre[0] - reach, centre[0] + reach), ylim=(centre[1] - reach, centre[1] + reach), aspect="equal"
        )
        axes.set_title(f"frame {frame + 1}: {branch_names[action]}", fontsize=9, color=colours[action])
    figure.suptitle(title)
    return figure


def _flatten(joints: NDArray[np.float32], layout: SkeletonLayout) -> NDArray[np.float64]:
    """Seen from the front and 20° to the side: (…, 3) → (…, 2) with the layout's "up" upwards."""
    up = np.asarray(layout.up, dtype=np.float64)
    up /= np.linalg.norm(up)
    across = np.array([np.cos(np.radians(20)), 0.0, np.sin(np.radians(20))])
    if abs(across @ up) > 0.9:
        across = np.array([0.0, 1.0, 0.0])
    across -= (across @ up) * up
    across /= np.linalg.norm(across)
    return np.stack([joints @ across, joints @ up], axis=-1)


def _edges_between_sets(count: int, layout: SkeletonLayout) -> list[tuple[int, int]]:
    """Edges of a reduced skeleton: joint groups that a bone of the full one connects."""
    if count == layout.joint_count:
        return [(i, int(p)) for i, p in enumerate(layout.parents) if i != p]
    if count not in layout.joint_sets:
        return []
    group = np.argmax(layout.group_averages(count) > 0, axis=0)
    pairs = {(int(group[i]), int(group[p])) for i, p in enumerate(layout.parents)}
    return sorted((a, b) for a, b in pairs if a != b)


def _draw_bones(
    axes: Axes, points: NDArray[np.float64], edges: Sequence[tuple[int, int]], colour: Any, width: float
) -> None:
    for first, second in edges:
        axes.plot(*points[[first, second]].T, color=colour, linewidth=width, solid_capstyle="round")


def training_curves(logs: Mapping[str, Sequence[Mapping[str, Any]]], title: str) -> Figure:
    """Loss and accuracy over the epochs; logs: rows of ``log.jsonl`` by name; what a row lacks is not drawn."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, rows in logs.items():
        measured = [r for r in rows if r.get("loss") is not None]
        (line,) = left.plot([r["epoch"] for r in measured], [r["loss"] for r in measured], label=name)
        tested = [r for r in rows if r.get("test_accuracy") is not None]
        epochs = [r["epoch"] for r in tested]
        right.plot(epochs, [100 * r["test_accuracy"] for r in tested], color=line.get_color(), label=name)
    left.set(xlabel="epoch", ylabel="training loss")
    right.set(xlabel="epoch", ylabel="accuracy on the test split (%)")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    right.legend(fontsize=8)
    figure.suptitle(title)
    return figure
