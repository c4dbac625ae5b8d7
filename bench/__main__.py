"""The speed benchmark with the trained models of bench/results: ``python -m bench``; see docs/benchmarks.md.

Sides, turns, validation and runtimes are those of ``adasgn-edge bench`` (adasgn_edge/bench), which needs no checkout.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy's matrix product stands for what one core can do

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from adasgn_edge.bench.interleave import interleave
from adasgn_edge.bench.machine import QUIET, load_average
from bench.groups import Group, plan
from bench.markdown import to_markdown
from bench.report import group_report, make_report, write_report
from bench.workplace import ValidationError, Workplace

ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few groups, a second each: shows that it works")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="PATTERN",
        help="measure groups of such names alone: speed-SUBJECT-bCLIPS-tTHREADS, stages-SUBJECT-SET, with * and ?",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="folder for speed.json and speed.md  [default: bench/results/cpu; with --quick none: printed alone]",
    )
    options = parser.parse_args()
    out = options.out or (None if options.quick else ROOT / "bench" / "results" / "cpu")
    try:
        groups = plan(options.quick, options.only)
    except ValueError as error:
        parser.error(str(error))
    load = load_average()
    if load[0] > QUIET:
        print(f"warning: load average {load[0]}: the machine is not quiet, times will mislead", file=sys.stderr)
    place, measured = Workplace(), {}
    try:
        for group in groups:
            print(f"measuring {group.name}: {len(group.sides)} sides", file=sys.stderr, flush=True)
            measured[group.name] = measure(group, place)
    except ValidationError as error:
        print(f"the benchmark failed: no report is written: {error}", file=sys.stderr)
        return 1
    finally:
        place.close()
    command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
    report = make_report(measured, place.subjects, command, load, options.quick)
    print("\n" + to_markdown(report))
    for path in write_report(report, out) if out else []:
        print(path)
    return 0


def measure(group: Group, place: Workplace) -> dict[str, Any]:
    """A group's sides, validated and timed, for the report."""
    sides = place.sides(group)
    errors = place.validate(group, sides)
    times = interleave(sides, group.pace(len(place.subject(group.subject).clips)))
    return group_report(group, sides, errors, times)


if __name__ == "__main__":
    sys.exit(main())
