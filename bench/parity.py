"""An engine against the reference in float64, clip by clip: errors of features and logits, actions, accuracy.

Run: ``python -m bench.parity`` for the shipped model on every instruction set of this processor, on all recorded test
clips; ``--device cuda`` for both precisions of a GPU (``--help`` for other models and data). Anything with the `run` of
adasgn_edge/engine.py can be compared: :func:`compare`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

import adasgn_edge
from adasgn_edge.engine import DEVICES, PRECISIONS, Engine, Result, instruction_sets
from adasgn_edge.errors import EngineError
from adasgn_edge.files import write_text
from bench.clips import Clips, default_clips, recorded
from bench.markdown import table
from bench.reference import MARGIN, Reference, load_reference

__all__ = ["MARGIN", "TOLERANCE", "Expected", "Parity", "Runs", "compare", "expect", "to_markdown"]

TOLERANCE = 1e-5
"""Most that a float32 engine's features and logits may differ from the reference, as a share of their norm."""
CHUNK = 60  # clips at a time


class Runs(Protocol):
    """What is asked of an engine."""

    def run(self, clips: ArrayLike, actions: ArrayLike | None = None, *, features: bool = False) -> Result:
        """As :meth:`adasgn_edge.engine.Engine.run`."""


@dataclass(frozen=True)
class Expected:
    """What the reference makes of clips, the same for every engine.

    actions: (N, T); margin: (N, T) by which each was decided, infinite where there is nothing to decide; features:
    (N, T, 256) and logits: (N, K) with these actions.
    """

    reference: Reference
    clips: Clips
    actions: NDArray[np.int64]
    margin: NDArray[np.float64]
    features: NDArray[np.float64]
    logits: NDArray[np.float64]


@dataclass(frozen=True)
class Parity:
    """How one engine compares.

    Errors are those of a row (a frame's feature, a clip's logits) as a share of its norm, against the reference on the
    actions that the engine chose. undecided: frames whose margin is at most MARGIN; accuracies None without labels.
    """

    engine: str
    clips: int
    frames: int
    undecided: int
    other_actions_decided: int
    other_actions_undecided: int
    feature_error: float
    feature_error_median: float
    logit_error: float
    logit_error_median: float
    other_labels: int
    accuracy: float | None
    reference_accuracy: float | None

    def holds(self, tolerance: float = TOLERANCE) -> bool:
        """Whether errors are within `tolerance` and every decided frame took the reference's branch."""
        return max(self.feature_error, self.logit_error) <= tolerance and self.other_actions_decided == 0


def expect(reference: Reference, clips: Clips) -> Expected:
    """Run the reference on clips."""
    actions, margins, features, logits = [], [], [], []
    for part in _chunks(clips.arrays):
        chosen, margin = reference.decide(part)
        pooled = reference.features(part, chosen)
        actions.append(chosen)
        margins.append(margin)
        features.append(pooled)
        logits.append(reference.scores(part, chosen, pooled))
    joined = (np.concatenate(parts) for parts in (actions, margins, features, logits))
    return Expected(reference, clips, *joined)


def compare(name: str, engine: Runs, expected: Expected) -> Parity:
    """Run an engine on the same clips, CHUNK at a time, and compare."""
    clips = expected.clips
    results = [engine.run(part, features=True) for part in _chunks(clips.arrays)]
    actions = np.concatenate([_present(result.actions) for result in results])
    other = actions != expected.actions
    features, logits = expected.features.copy(), expected.logits.copy()
    for clip in np.flatnonzero(other.any(axis=1)):  # what the reference makes of the branches that the engine chose
        alone, taken = clips.arrays[clip : clip + 1], actions[clip : clip + 1]
        features[clip] = expected.reference.features(alone, taken)[0]
        logits[clip] = expected.reference.scores(alone, taken, features[clip : clip + 1])[0]
    found = np.concatenate([result.logits for result in results])
    feature_errors = _errors(np.concatenate([_present(result.features) for result in results]), features)
    logit_errors = _errors(found, logits)
    decided = expected.margin > MARGIN
    labels, expected_labels = (_labels(scores, clips.persons) for scores in (found, expected.logits))
    return Parity(
        engine=name,
        clips=len(clips),
        frames=actions.size,
        undecided=int((~decided).sum()),
        other_actions_decided=int((other & decided).sum()),
        other_actions_undecided=int((other & ~decided).sum()),
        feature_error=float(feature_errors.max()),
        feature_error_median=float(np.median(feature_errors)),
        logit_error=float(logit_errors.max()),
        logit_error_median=float(np.median(logit_errors)),
        other_labels=int((labels != expected_labels).sum()),
        accuracy=None if clips.labels is None else float((labels == clips.labels).mean()),
        reference_accuracy=None if clips.labels is None else float((expected_labels == clips.labels).mean()),
    )


def to_markdown(report: dict[str, Any]) -> str:
    """The report as a page with one table."""
    errors, actions = ["feature error: largest", "median"], ["other action, decided", "undecided", "undecided frames"]
    header = ["engine", *errors, "logit error: largest", "median", *actions, "other label", "accuracy", "reference's",
              "tolerance", "holds"]  # fmt: skip
    rows = []
    for row in report["engines"]:
        shown = ("feature_error", "feature_error_median", "logit_error", "logit_error_median")
        counts = ("other_actions_decided", "other_actions_undecided", "undecided", "other_labels")
        shares = ("accuracy", "reference_accuracy")
        rows.append(
            [
                row["engine"],
                *(f"{row[key]:.1e}" for key in shown),
                *(str(row[key]) for key in counts),
                *("–" if row[key] is None else f"{row[key]:.2%}" for key in shares),
                f"{row['tolerance']:.1e}",
                "yes" if row["holds"] else "**no**",
            ]
        )
    first = report["engines"][0]
    return (
        f"# Parity\n\n- command: `{report['command']}`\n- model: {report['model']}; reference: {report['reference']}\n"
        f"- clips: {report['clips']}, {first['frames']} frames; a frame is "
        "undecided where the two highest action logits, or of a model that escalates the confidence and the threshold, "
        f"are within {MARGIN:g}\n\n{table(header, rows)}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.parity", description=__doc__.split("\n\n")[0])
    parser.add_argument("model", type=Path, nargs="?", help=".adasgn or trained weights  [default: the shipped model]")
    parser.add_argument("--reference", type=Path, help="weights or model file to compare with  [default: the model]")
    parser.add_argument(
        "--data", help="a data set's name or path  [default: SHREC'17 where it is at hand, else clips made by code]"
    )
    parser.add_argument("--device", default="cpu", choices=DEVICES)
    parser.add_argument("--instruction-set", help="of the CPU  [default: each that this processor has]")
    parser.add_argument("--threads", type=int, help="of the CPU  [default: 1]")
    parser.add_argument("--precision", choices=PRECISIONS, help="of a GPU  [default: each]")
    parser.add_argument(
        "--tolerance", type=float, help=f"[default: {TOLERANCE:g}; of f16 twice the error of PyTorch in float16]"
    )
    parser.add_argument("--out", type=Path, help="folder for parity.json and parity.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, reference = load_reference(options.model, options.reference, Path(folder))
        try:
            engines = _engines(path, options)
        except EngineError as error:
            print(error, file=sys.stderr)
            return 2
    facts = next(iter(engines.values())).description
    clips = (
        recorded(options.data, facts.frames, facts.stream)
        if options.data
        else default_clips(facts.layout, facts.classes, facts.frames, facts.stream)
    )
    expected = expect(reference, clips)
    rows = [compare(name, engine, expected) for name, engine in engines.items()]
    tolerances = [_tolerance(engine, options.tolerance, expected) for engine in engines.values()]
    holds = [row.holds(tolerance) for row, tolerance in zip(rows, tolerances, strict=True)]
    report = {
        "format": "adasgn_edge.parity.2",
        "command": " ".join(["python -m bench.parity", *sys.argv[1:]]),
        "model": f"{(options.model or Path('the shipped model')).name} ({facts.kind}, {facts.precision})",
        "reference": reference.source,
        "clips": clips.source,
        "margin": MARGIN,
        "engines": [
            {**asdict(row), "tolerance": tolerance, "holds": held}
            for row, tolerance, held in zip(rows, tolerances, holds, strict=True)
        ],
    }
    print(to_markdown(report))
    if options.out:
        write_text(options.out / "parity.json", json.dumps(report, indent=1) + "\n")
        write_text(options.out / "parity.md", to_markdown(report))
    return 0 if all(holds) else 1


def _engines(path: Path, options: argparse.Namespace) -> dict[str, Engine]:
    """Those that are compared, by name: an instruction set each, or on a GPU a precision each."""
    if options.device != "cpu":
        return {
            f"{options.device} {precision}": adasgn_edge.load(
                path, options.device, max_batch=CHUNK, precision=precision, threads=options.threads,
                instruction_set=options.instruction_set,
            )
            for precision in ([options.precision] if options.precision else PRECISIONS)
        }  # fmt: skip
    sets: Sequence[str] = [options.instruction_set] if options.instruction_set else instruction_sets()
    return {
        f"cpu {isa}": adasgn_edge.load(
            path, max_batch=CHUNK, threads=options.threads, instruction_set=isa, precision=options.precision
        )
        for isa in sets
    }


def _tolerance(engine: Engine, given: float | None, expected: Expected) -> float:
    if given is not None:
        return given
    if engine.precision == "f32":
        return TOLERANCE
    from bench.half import half_tolerance  # which needs this file

    found = half_tolerance(expected)
    if found is None:
        raise SystemExit("--tolerance: expected one for f16, as the weights (--reference) are not at hand")
    return found


def _chunks(arrays: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [arrays[first : first + CHUNK] for first in range(0, len(arrays), CHUNK)]


def _present(array: Any) -> NDArray[Any]:
    assert array is not None  # a run that was asked for features gives features and actions
    return np.asarray(array)


def _errors(found: NDArray[np.floating], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Error of each row as a share of its norm; not-a-number, which compares as no error, counts as infinite."""
    errors = np.linalg.norm(found.astype(np.float64) - expected, axis=-1) / np.linalg.norm(expected, axis=-1)
    return np.where(np.isnan(errors), np.inf, errors)


def _labels(logits: NDArray[np.floating], persons: int) -> NDArray[np.int64]:
    """Labels (N,) of logits (N·persons, K), whose persons are averaged."""
    return logits.reshape(-1, persons, logits.shape[-1]).mean(axis=1).argmax(-1)


if __name__ == "__main__":
    sys.exit(main())
