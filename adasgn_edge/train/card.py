"""The model card: what was trained, on what, and how good it is on whom; facts for programs, a page for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge import __version__
from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.data.folds import Fold, natural
from adasgn_edge.model.cost import CostTable
from adasgn_edge.model.weights import TrainedModel
from adasgn_edge.train.report import Model
from adasgn_edge.train.stages import Stage
from adasgn_edge.train.statistics import accuracy_interval

__all__ = ["Card", "balanced_accuracy", "card_of", "page"]

MOST_MISTAKES = 8
"""Pairs of classes that a card names."""


Card = dict[str, Any]
"""Plain values, as they lie in the provenance of weights and model file."""


def balanced_accuracy(confusion: NDArray[np.int64]) -> float:
    """Mean over the classes of how many of a class's clips were recognised; confusion: rows the true label."""
    counts = confusion.sum(axis=1)
    return float((np.diag(confusion)[counts > 0] / counts[counts > 0]).mean())


def card_of(
    stage: Stage,
    whole: SkeletonDataset,
    folds: Sequence[Fold],
    measured: Model,
    tested: bool,
    kept: TrainedModel,
    commands: Sequence[str],
) -> Card:
    """The card of a stage.

    whole: what the kept model was trained on; measured: what tells how good it is: itself on the test split (tested),
    or the models of folds, each on the clips that it was trained without.
    """
    provenance, names = kept.provenance, whole.class_names
    train = whole.indices("train")
    subjects = [whole.groups[sample] for sample in train] if whole.groups else []
    return {
        "model": {
            "stage": stage.name,
            "branches": list(stage.config.branch_names),
            "layout": whole.layout.name,
            "stream": kept.stream,
            "classes": list(names),
            "window": provenance.get("window"),
            "effort": None if kept.effort is None else kept.effort.default,
            "macs": _macs(kept),
        },
        "training": {
            "adasgn_edge": __version__,
            "recipe": provenance["recipe"]["name"],
            "seeds": [run[0].seed for run in measured.runs],
            "epochs": provenance["epochs"],
            "batch": provenance["batch"],
            "balance": provenance["recipe"]["balance"],
            "seconds": provenance["seconds"],
            "hardware": provenance["hardware"],
        },
        "data": {
            "name": whole.name,
            "digest": whole.digest,
            "clips": len(train),
            "rate": whole.rate,
            "classes": _counts((names[label] for label in whole.labels[train]), names),
            "subjects": _counts(subjects, sorted(set(subjects), key=natural)),
            "made_good": str(whole.cleaning),
            "left_out": list(whole.left_out),
        },
        "accuracy": _accuracy(measured, names, folds, tested),
        "commands": list(commands),
    }


def _macs(kept: TrainedModel) -> int | None:
    """Mean full count of a clip, of models whose cost does not rest on frames; None of others."""
    if kept.effort is not None:
        efforts, _, macs, _ = zip(*kept.effort.points, strict=True)
        return round(float(np.interp(kept.effort.default, efforts, macs)))
    costs = CostTable(kept.model.config).full
    return round(float(costs[0])) if len(costs) == 1 else None


def _counts(found: Iterable[str], names: Sequence[str]) -> dict[str, int]:
    counted = Counter(found)
    return {name: counted[name] for name in names}


def _accuracy(measured: Model, names: Sequence[str], folds: Sequence[Fold], tested: bool) -> dict[str, Any]:
    confusion = np.sum([m.evaluation.confusion for run in measured.runs for m in run], axis=0)
    seeds = len(measured.seeds)
    by_people = tested or folds[0].by == "group"
    on = "test split" if tested else f"{len(folds)} folds of {'subjects' if by_people else 'clips'}"
    right = measured.correct.mean(axis=0)  # (N,) over seeds
    by_subject: dict[str, list[float]] = {}
    if by_people:
        for group, share in zip(measured.groups, right.tolist(), strict=bool(measured.groups)):
            by_subject.setdefault(group, []).append(share)
    mistakes = [
        (int(confusion[true, said]), names[true], names[said])
        for true, said in zip(*np.nonzero(confusion), strict=True)
        if true != said
    ]
    clips = confusion.sum(axis=1)
    return {
        "on": on,
        "known_people": not by_people,
        "clips": measured.correct.shape[1],
        "accuracy": float(measured.correct.mean()),
        "balanced_accuracy": balanced_accuracy(confusion),
        "interval": accuracy_interval(measured.correct, measured.groups).to_dict(),
        "classes": {
            name: {"clips": int(count) // seeds, "recognised": float(confusion[label, label] / count)}
            for label, (name, count) in enumerate(zip(names, clips, strict=True))
            if count
        },
        "subjects": {
            group: {"clips": len(by_subject[group]), "recognised": float(np.mean(by_subject[group]))}
            for group in sorted(by_subject, key=natural)
        },
        "mistakes": [
            {"clips": count / seeds, "true": true, "said": said}
            for count, true, said in sorted(mistakes, key=lambda row: (-row[0], row[1:]))[:MOST_MISTAKES]
        ],
    }


# -- the page -------------------------------------------------------------------------------------------------------


def page(cards: Sequence[Card]) -> str:
    """Cards of one run as a page of Markdown."""
    return "\n".join(line for card in cards for line in (*_page(card), ""))


def _page(card: Card) -> list[str]:
    model, training, data, accuracy = (card[part] for part in ("model", "training", "data", "accuracy"))
    interval = accuracy["interval"]
    held = "; who performed is not said, so the same people may be in training: somebody new will see less"
    lines = [
        f"# {_cell(training['recipe'])}: {model['stage']}",
        "",
        f"{len(model['classes'])} classes of layout {_cell(model['layout'])}, {model['stream']} stream, branches "
        f"{', '.join(model['branches'])}.",
        "",
        "| | |",
        "|---|---|",
        f"| accuracy | {_percent(accuracy['accuracy'])} ({_percent(interval['low'])} to {_percent(interval['high'])}, "
        f"95 % for {interval['covers']}) |",
        f"| balanced accuracy | {_percent(accuracy['balanced_accuracy'])}, every class alike |",
        f"| measured on | {accuracy['clips']} clips: {accuracy['on']}{held if accuracy['known_people'] else ''} |",
    ]
    if model["macs"] is not None:
        effort = "" if model["effort"] is None else f" at effort {model['effort']:g}"
        lines.append(f"| cost | {model['macs'] / 1e6:.2f} million multiply-adds a clip{effort} |")
    if model["window"] is not None:
        lines.append(f"| a clip spans | {model['window']:g} s, the median training clip |")
    lines += [
        f"| trained on | {data['clips']} clips of {_cell(data['name'])}, digest `{data['digest'][:16]}` |",
        f"| trained by | adasgn_edge {training['adasgn_edge']}, {training['epochs']} epochs in batches of "
        f"{training['batch']}, seeds {', '.join(map(str, training['seeds']))}, {training['seconds']:.0f} s on "
        f"{_cell(training['hardware'])} |",
    ]
    if data["made_good"]:
        lines.append(f"| made good | {data['made_good']} |")
    if data["left_out"]:
        lines.append(f"| left out | {len(data['left_out'])} broken clips |")
    lines += ["", "| class | clips trained on | measured | recognised |", "|---|---|---|---|"]
    lines += _rows(data["classes"], accuracy["classes"])
    if accuracy["subjects"]:
        lines += ["", "| subject | clips trained on | measured | recognised |", "|---|---|---|---|"]
        lines += _rows(data["subjects"], accuracy["subjects"])
    if accuracy["mistakes"]:
        lines += ["", "Mistaken most often: "]
        lines[-1] += ", ".join(
            f"{_cell(row['true'])} for {_cell(row['said'])} ({row['clips']:g})" for row in accuracy["mistakes"]
        )
    return [*lines, "", "```", *card["commands"], "```"]


def _rows(trained: dict[str, int], measured: dict[str, dict[str, Any]]) -> list[str]:
    rows = []
    for name in dict.fromkeys([*trained, *measured]):
        found = measured.get(name)
        figures = "– | –" if found is None else f"{found['clips']} | {_percent(found['recognised'])}"
        rows.append(f"| {_cell(name)} | {trained.get(name, 0)} | {figures} |")
    return rows


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _cell(text: object) -> str:
    """A name that breaks no table and is no markup."""
    return "".join(f"\\{letter}" if letter in "|`*_<>[]\\" else letter for letter in str(text))
