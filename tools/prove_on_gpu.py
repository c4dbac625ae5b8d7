"""Everything that only a GPU can show, in one command and within ten minutes: ``make gpu``, or
``python3 tools/prove_on_gpu.py`` with the python3 at hand; nothing is downloaded.

Builds the package (in place) and a C++ program for this GPU's architecture; then runs the GPU's tests, those of
TensorRT (skipped where that is not, and the log says so), the parity of every test clip in both precisions, the program
under each tool of compute-sanitizer, and the benchmark. A step that fails is reported and the others still run. $OUT
(by default build/gpu) gets summary.md, log.txt with the whole output of every step, parity/ and the benchmark's
gpu.json and gpu.md.

Recorded clips: --data, else the newest shrec14-*.skeletons in $ADASGN_CACHE (docs/data.md), else SHREC'17 in
$ADASGN_DATA, else animated hands. Exit status: 0 all steps succeeded, 1 one failed, 2 there is no GPU.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from build_support.cuda import find_nvcc  # noqa: E402
from build_support.parts import Absent  # noqa: E402

SANITIZERS = ("memcheck", "initcheck", "synccheck")
STREAM_STEPS = "-m adasgn_edge bench --device cuda --only streams --quick --json"
RACES = ("f16, a block per frame", "f16, whole clips", "f16, tiles of 32", "f16, tiles of 64", "f16, tiles of 128")
"""Modes that racecheck looks at, each by itself, on clips of one frame: it takes a hundred times as long as the others,
and longer yet for the products of f32, which the emulator's own check sees (docs/emulator.md)."""
PROGRAM = Path("build", "on_gpu", "run_all_modes")
FOR_BENCHMARK = 210.0
"""Seconds that the steps before the benchmark must leave for it."""
SHOWN = 25  # lines of a failed step's output


@dataclass(frozen=True)
class Step:
    """A command and the most seconds that it may take."""

    name: str
    command: Sequence[str]
    limit: float
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a step went. status: its exit status; None: it ran out of time, or could not be started."""

    step: Step
    status: int | None
    seconds: float
    output: str

    @property
    def text(self) -> str:
        """For people."""
        if self.status is None:
            return "**did not end**"
        return "ok" if self.status == 0 else f"**failed** ({self.status})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", help='what to compile for, as "9.0"  [default: what nvidia-smi says]')
    parser.add_argument("--data", help="a converted data set (.skeletons) with recorded clips")
    parser.add_argument("--limit", type=float, default=540.0, help="seconds for everything  [default: 540]")
    parser.add_argument(
        "--skip", metavar="STEP", action="append", default=[], help="leave out a step, such as benchmark"
    )
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT") or ROOT / "build" / "gpu"))
    options = parser.parse_args()
    architecture = options.architecture or compute_capability()
    if architecture is None:
        print("no CUDA device: nvidia-smi names none (--architecture 8.7 tries all the same)", file=sys.stderr)
        return 2
    out, deadline = options.out.resolve(), time.monotonic() + options.limit
    out.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    log = out / "log.txt"
    log.write_text("")
    steps = plan(architecture, out, options.data or recorded_clips())
    if unknown := set(options.skip) - {step.name for together in steps for step in together}:
        names = ", ".join(step.name for together in steps for step in together)
        parser.error(f"--skip: expected steps of {names}; found {', '.join(sorted(unknown))}")
    reserved = 0.0 if "benchmark" in options.skip else FOR_BENCHMARK
    for every in steps:
        together = [step for step in every if step.name not in options.skip]
        if not together:
            continue
        is_last = together[0].name == "benchmark"
        left = deadline - time.monotonic() - (0 if is_last else reserved)
        with ThreadPoolExecutor(len(together)) as pool:
            for outcome in pool.map(lambda step, left=left: run(step, left), together):
                outcomes.append(outcome)
                report(outcome, log)
        (out / "summary.md").write_text(summary(outcomes))
    print(f"\n{summary(outcomes)}\n{out}")
    return 0 if all(outcome.status == 0 for outcome in outcomes) else 1


def plan(architecture: str, out: Path, data: str | None) -> list[list[Step]]:
    """The steps in order; those of one list run at the same time."""
    build = {"TORCH_CUDA_ARCH_LIST": architecture, "ADASGN_BUILD_CUDA": "on"}
    clips = ["--data", data] if data else []
    python = sys.executable
    sanitizer = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    return [
        [Step("machine", ["nvidia-smi"], 20)],
        [
            Step("build of the package", [python, "setup.py", "build_ext", "--inplace"], 300, build),
            Step("build of the C++ program", ["sh", "-ec", program_build(architecture)], 300),
        ],
        [Step("C++ program: every mode", [str(PROGRAM)], 30)],
        [Step("tests", [python, "-m", "pytest", "-m", "gpu", "tests/gpu", "-p", "no:cacheprovider"], 120)],
        [Step("tensorrt", [python, "-m", "pytest", "-m", "tensorrt", "tests/tensorrt", "-p", "no:cacheprovider"], 150)],
        [
            Step(
                "parity of every clip",
                [python, "-m", "bench.parity", "--device", "cuda", "--out", str(out / "parity"), *clips],
                90,
            )
        ],
        [
            Step(f"compute-sanitizer: {tool}", [sanitizer, f"--tool={tool}", "--error-exitcode=3", str(PROGRAM)], 120)
            for tool in SANITIZERS
        ]
        + [
            Step(
                f"compute-sanitizer: racecheck of {mode}",
                [sanitizer, "--tool=racecheck", "--error-exitcode=3", str(PROGRAM), "1", mode],
                150,
            )
            for mode in RACES
        ],
        [Step("steps of a stream", [python, *STREAM_STEPS.split(), str(out / "streams.json")], 60)],
        [Step("benchmark", [python, "-m", "bench.gpu", "--out", str(out), "--limit={left:.0f}", *clips], 600)],
    ]


def program_build(architecture: str) -> str:
    nvcc = find_nvcc(os.environ)
    compiler = "" if isinstance(nvcc, Absent) else f"-DCMAKE_CUDA_COMPILER={shlex.quote(str(nvcc))}"
    number = architecture.replace(".", "")
    return (
        f"cmake -S tests/cuda/on_gpu -B {PROGRAM.parent} -DCMAKE_CUDA_ARCHITECTURES={number} {compiler}\n"
        f"cmake --build {PROGRAM.parent} --parallel {max(1, (os.cpu_count() or 2) // 2)} --target run_all_modes"
    )


def run(step: Step, left: float) -> Outcome:
    """Run a step to its end, or until its limit or what is `left` of all time."""
    started, limit = time.monotonic(), max(1.0, min(step.limit, left))
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **step.environment}
    command = [part.format(left=limit - 30) if part.startswith("--limit=") else part for part in step.command]
    with tempfile.TemporaryFile() as said:
        status = None
        try:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
            )
            status = process.wait(limit)
        except OSError as error:
            said.write(f"{error}\n".encode())
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with all that it has started
            process.wait()
            said.seek(0, os.SEEK_END)
            said.write(f"\nstopped after {limit:.0f} s\n".encode())
        said.seek(0)
        output = said.read().decode(errors="replace")
    return Outcome(step, status, time.monotonic() - started, output)


def report(outcome: Outcome, log: Path) -> None:
    """Say how a step went, and keep its output."""
    head = f"{outcome.step.name}: {outcome.text}, {outcome.seconds:.0f} s"
    print(head, flush=True)
    if outcome.status != 0:
        print("\n".join(f"    {line}" for line in outcome.output.splitlines()[-SHOWN:]), flush=True)
    with log.open("a") as file:
        file.write(f"\n==== {head}\n$ {shlex.join(outcome.step.command)}\n{outcome.output}\n")


def summary(outcomes: list[Outcome]) -> str:
    """A table of the steps so far."""
    rows = [f"| {one.step.name} | {one.text} | {one.seconds:.0f} |" for one in outcomes]
    return "\n".join(["| step | outcome | s |", "| --- | --- | --- |", *rows]) + "\n"


def compute_capability() -> str | None:
    """Of the first GPU, "9.0"; None where there is none."""
    try:
        said = subprocess.run(
            ["nvidia-smi", "--id=0", "--query-gpu=compute_cap", "--format=csv,noheader"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return said if said.replace(".", "", 1).isdecimal() else None


def recorded_clips() -> str | None:
    """The newest conversion of SHREC'17 in $ADASGN_CACHE."""
    folder = os.environ.get("ADASGN_CACHE")
    found = sorted(Path(folder).glob("shrec14-*.skeletons"), key=lambda path: path.stat().st_mtime) if folder else []
    return str(found[-1].resolve()) if found else None


if __name__ == "__main__":
    sys.exit(main())
