"""``adasgn-edge classify``: labels for clips of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from adasgn_edge.replay import Replay, Update

__all__ = ["command"]


def command(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Clips: .txt, .csv or .npz.", show_default=False)
    ],
    model: Annotated[
        Path | None,
        typer.Option(help="Model file (.adasgn) or weights.  [default: the shipped model file]", show_default=False),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many labels to give for a clip.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line in place of a table.")] = False,
) -> None:
    """Label clips: a line a frame with x y z of every joint (.txt, .csv), or an array `positions` (.npz).

    The scores of several persons in a clip are averaged. A file that cannot be used is named on standard error, the
    others are still labelled, and the exit status is 1.

    Example: `adasgn-edge classify wave.csv --json`
    """
    from adasgn_edge.cli.terminal import complain, json_line
    from adasgn_edge.data.clips import read_clip
    from adasgn_edge.errors import ClipError, DatasetError
    from adasgn_edge.replay import Replay

    if model is None:
        from adasgn_edge.model_file import shipped_model

        model = shipped_model()
    replay = Replay.load(model, threads=1)
    rows = []
    failed = False
    for path in files:
        try:
            tracks = read_clip(path, replay.layout)
            row = _row(path, len(tracks), replay.classify(tracks), replay, top)
        except (ClipError, DatasetError) as error:
            message = str(error) if str(path) in str(error) else f"{path}: {error}"
            complain(message)
            failed = True
            continue
        rows.append(row)
        if as_json:
            print(json_line(row), flush=True)
    if rows and not as_json:
        _print_table(rows)
    if failed:
        raise typer.Exit(1)


def _row(path: Path, persons: int, update: Update, replay: Replay, top: int) -> dict[str, Any]:
    """One clip's result as plain values; cost in MACs."""
    names, cost = replay.class_names, update.cost
    shares = dict(zip(replay.branch_names, replay.shares(update.actions).tolist(), strict=True))
    return {
        "file": str(path),
        "label": names[update.label],
        "confidence": round(update.confidence, 6),
        "top": [{"label": names[label], "confidence": round(value, 6)} for label, value in update.top(top)],
        "persons": persons,
        "frames": update.frames,
        "action_shares": shares,
        "cost": {
            "paper": cost.paper,
            "full": cost.full,
            "dense_paper": cost.dense_paper,
            "dense_full": cost.dense_full,
        },
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from adasgn_edge.cli.console import SafeConsole

    table = Table(show_lines=True)
    table.add_column("file", overflow="fold")
    table.add_column("label", no_wrap=True)
    table.add_column("frames by branch; cost, share of dense SGN's")
    for row in rows:
        cost = row["cost"]
        labels = Text("\n").join(
            Text(f"{entry['confidence']:6.1%}  {entry['label']}", "" if place else "bold")
            for place, entry in enumerate(row["top"])
        )
        shares = "  ".join(f"{name} {share:.0%}" for name, share in row["action_shares"].items() if share > 0)
        persons = f", {row['persons']} persons" if row["persons"] > 1 else ""
        table.add_row(
            Text(f"{row['file']}\n{row['frames']} frames{persons}"),
            labels,
            f"{shares}\n"
            f"paper's count {cost['paper'] / 1e9:.4f} GMAC, {cost['paper'] / cost['dense_paper']:.0%}\n"
            f"full count    {cost['full'] / 1e9:.4f} GMAC, {cost['full'] / cost['dense_full']:.0%}",
        )
    SafeConsole().print(table)
