"""The end of `train FOLDER`: the run's card, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adasgn_edge.train.own import OwnPlan
    from adasgn_edge.train.stages import Stage

__all__ = ["finish_run"]

CARD = "card.md"


def finish_run(
    folder: Path,
    plan: OwnPlan,
    stages: Sequence[Stage],
    seeds: Sequence[int],
    data: str,
    given: Mapping[str, object],
    device: str,
) -> None:
    """Measure a finished run, write its card and say in a few lines what is in it; given: options of the command."""
    from adasgn_edge.cli.console import console
    from adasgn_edge.files import write_text
    from adasgn_edge.model.weights import WEIGHTS
    from adasgn_edge.progress import RichProgress
    from adasgn_edge.train.card import page
    from adasgn_edge.train.own import finish
    from adasgn_edge.train.stages import stage_folder

    shown_data = _shorter(data)
    options = [word for option, value in given.items() if value is not None for word in (option, str(value))]
    model_file = f"{Path(data).name.removesuffix('.skeletons')}.adasgn"
    weights = stage_folder(folder, seeds[0], stages[-1].name) / WEIGHTS
    next_steps = [
        shlex.join(["adasgn-edge", "export", str(weights), "-o", model_file]),
        shlex.join(["adasgn-edge", "replay", _a_clip(plan, shown_data), "--model", model_file]),
    ]
    commands = [shlex.join(["adasgn-edge", "train", shown_data, *options]), *next_steps]
    cards = finish(folder, plan, stages, seeds, commands, device, RichProgress())
    write_text(folder / CARD, page(cards))
    for card in cards:
        console.print(_line(card), markup=False, highlight=False)
    console.print(f"The whole card: {folder / CARD}. Then:", markup=False)
    for line in next_steps:
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _line(facts: Mapping[str, Any]) -> str:
    """How good a stage is, and on whom."""
    from adasgn_edge.wording import listed

    accuracy = facts["accuracy"]
    text = (
        f"{facts['model']['stage']}: {accuracy['accuracy']:.1%} of {accuracy['clips']} clips recognised "
        f"({accuracy['on']}), {accuracy['balanced_accuracy']:.1%} with every class alike"
    )
    if accuracy["subjects"]:
        each = sorted(accuracy["subjects"].items(), key=lambda pair: pair[1]["recognised"])
        text += "; " + listed([f"{name} {found['recognised']:.0%}" for name, found in each])
    return text


def _shorter(data: str) -> str:
    """A path as people would type it here."""
    path = Path(data)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else data


def _a_clip(plan: OwnPlan, data: str) -> str:
    """A clip to look at: the first of a folder, of a converted file none that lies anywhere."""
    return str(Path(data) / plan.dataset.names[0]) if Path(data).is_dir() else "CLIP"
