"""``adasgn-edge cost``: what each branch costs."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["command"]


def command(
    layout: Annotated[str, typer.Option(help="Skeleton layout: ntu25, shrec22, kinect20 or a .json file.")] = "shrec22",
    joint_sets: Annotated[
        str | None, typer.Option(help="Joint counts, e.g. `1,9,25`.  [default: the layout's]")
    ] = None,
    classes: Annotated[int, typer.Option(help="Number of classes.")] = 14,
    frames: Annotated[int, typer.Option(help="T, frames of a clip.")] = 20,
) -> None:
    """Print the cost table: MACs of every branch and of dense SGN for one clip, in two conventions.

    `paper` counts convolutions only (Table 1 of the paper calls these GFLOPs); `full` counts every multiplication that
    depends on the input, and for AdaSGN the policy on every frame too.
    """
    from rich.table import Table

    from adasgn_edge.cli.console import console
    from adasgn_edge.cli.option_values import numbers
    from adasgn_edge.model.config import POSE, Branch, ModelConfig, branch_grid
    from adasgn_edge.model.cost import CostTable
    from adasgn_edge.skeletons import load_layout

    skeleton = load_layout(layout)
    counts = numbers(joint_sets, int, "--joint-sets") if joint_sets else skeleton.joint_counts
    pose = Branch(skeleton.joint_count, POSE)
    adaptive = CostTable(ModelConfig(skeleton.joint_count, classes, branch_grid(counts), frames=frames))
    single = CostTable(ModelConfig(skeleton.joint_count, classes, (pose,), frames, adaptive=False))
    dense = CostTable(ModelConfig.dense(skeleton.joint_count, classes, frames))
    table = Table(title=f"{skeleton.name}, T = {frames}, {classes} classes: 1e6 MACs a clip")
    for column in ("frames all take", "paper", "full", "of dense (full)"):
        table.add_column(column, justify="left" if column == "frames all take" else "right")
    rows = [(f"{pose} (alone)", single.paper[0], single.full[0])]
    rows += list(zip(adaptive.config.branch_names, adaptive.paper, adaptive.full, strict=True))
    rows.append(("all branches (fuse)", adaptive.paper_fuse, adaptive.full_fuse))
    rows.append(("dense SGN", dense.paper[0], dense.full[0]))
    for name, paper, full in rows:
        table.add_row(name, f"{paper / 1e6:.2f}", f"{full / 1e6:.2f}", f"{full / dense.full[0]:.1%}")
    console.print(table)
