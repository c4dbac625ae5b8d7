"""An engine against the reference in float64, clip by clip: errors of features and logits, actions, accuracy.

Run: ``python -m bench.parity`` for the shipped model on every instruction set of this processor, on all recorded test
clips; ``--device cuda`` for both precisions of a GPU (``--help`` for other models and data).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import adasgn_edge
from adasgn_edge.bench.clips import default_clips, recorded
from adasgn_edge.bench.half import half_tolerance
from adasgn_edge.bench.parity import CHUNK, MARGIN, TOLERANCE, Expected, compare, expect
from adasgn_edge.bench.torch_reference import load_reference
from adasgn_edge.engine import DEVICES, PRECISIONS, Engine, instruction_sets
from adasgn_edge.errors import EngineError
from adasgn_edge.files import write_text
from bench.markdown import table

__all__ = ["to_markdown"]


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
    found = half_tolerance(expected)
    if found is None:
        raise SystemExit("--tolerance: expected one for f16, as the weights (--reference) are not at hand")
    return found


if __name__ == "__main__":
    sys.exit(main())
