"""The speed benchmark in one command: ``python -m bench``; see docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.machine import QUIET, load_average
from bench.markdown import to_markdown
from bench.report import make_report, write_report

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
    load = load_average()[0]
    if load > QUIET:
        print(f"warning: load average {load}: the machine is not quiet, times will mislead", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.json"
        command = [sys.executable, "-m", "pytest", "bench", "--benchmark-enable", f"--benchmark-json={raw}", "-q", "-x"]
        command += ["-p", "no:cacheprovider", "--benchmark-columns=median,iqr,rounds", *(["--quick"] * options.quick)]
        command += [f"--only={pattern}" for pattern in options.only]
        # NumPy's matrix product stands for what one core can do.
        status = subprocess.run(command, cwd=ROOT, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}).returncode
        if status != 0:
            print("the benchmark failed: no report is written", file=sys.stderr)
            return status
        report = make_report(json.loads(raw.read_text()), shlex.join(["python", "-m", "bench", *sys.argv[1:]]))
    print("\n" + to_markdown(report))
    for path in write_report(report, out) if out else []:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
