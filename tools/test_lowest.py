"""Every dependency at the lowest version that pyproject.toml allows: install it and run what rests on it.

    python tools/test_lowest.py [--python PYTHON] [--torch torch==2.13.0] [--stages core,cli]     (make test-lowest)

A fresh virtual environment grows stage by stage (:data:`STAGES`), from NumPy alone to everything; after each stage
its tests run against the *installed* package, which is built from a source distribution. Of a bound for which there is
no wheel on this Python (NumPy 1.23 on Python 3.12), the next release that has one stands in; what these packages
need themselves is as new as they allow, as pip would choose it.

Three are not installed at their bounds. torch: its wheels of 2.5 on PyPI bring gigabytes of CUDA packages, so the
pinned one is taken. The tools of the extra `lint` are pinned exactly, and `make lint` runs these; so are MediaPipe of
the extra `camera`, with which `make test-camera` runs, and the fuzzer of the extra `fuzz`, of `make fuzz-parsers`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "lowest"
EXCEPTED = ("torch",)  # see above
PINNED_EXTRAS = ("lint", "camera", "fuzz")
PYTEST = ("pytest", "pytest-benchmark", "hypothesis")


class BoundError(Exception):
    """A requirement that this script does not cover."""


@dataclass(frozen=True)
class Requirement:
    """`numpy>=1.23`: operator is ">=" or "=="; marker: what follows the semicolon."""

    name: str
    operator: str
    version: str
    marker: str = ""

    @classmethod
    def parse(cls, text: str) -> Requirement:
        """From one line of pyproject.toml; BoundError for one without exactly one lower bound."""
        wanted, _, marker = text.partition(";")
        match = re.fullmatch(r"\s*([A-Za-z0-9._-]+)\s*(>=|==)\s*(\d+(?:\.\d+)*)\s*", wanted)
        if match is None:
            raise BoundError(f"requirement: expected NAME>=VERSION or NAME==VERSION, found {text!r}")
        return cls(match[1], match[2], match[3], marker.strip())


@dataclass(frozen=True)
class Stage:
    """Groups of pyproject.toml to install ("build", "core", or an extra), single packages, then what to run.

    programs: arguments for the environment's Python; tests: arguments for pytest. newest: packages that are brought
    to their newest release first, for what must not only work beside the lowest.
    """

    name: str
    groups: tuple[str, ...]
    packages: tuple[str, ...] = ()
    programs: tuple[tuple[str, ...], ...] = ()
    tests: tuple[str, ...] = ()
    newest: tuple[str, ...] = ()


CORE_PROGRAM = """
import numpy, adasgn_edge
engine = adasgn_edge.load(adasgn_edge.shipped_model())
d = engine.description
result = engine.run(numpy.random.default_rng(0).normal(size=(2, d.frames, d.joints, 3)))
assert result.logits.shape == (2, d.classes) and numpy.isfinite(result.logits).all()
print("NumPy", numpy.__version__, "engine:", engine.instruction_set)
"""
OPENVINO_PROGRAM = """
import tempfile, numpy, torch
from pathlib import Path
from adasgn_edge.model.adasgn import SGN
from adasgn_edge.model.config import ModelConfig
from adasgn_edge.bench.peers import Peers
torch.manual_seed(0)
model = SGN(ModelConfig.dense(22, 14)).eval()
clips = numpy.random.default_rng(0).normal(size=(1, 20, 22, 3)).astype(numpy.float32)
with tempfile.TemporaryDirectory() as folder:
    peers = Peers(model, Path(folder))
    expected = peers.call("eager", "identities", 1, 1)(clips)
    found = peers.call("openvino", "identities", 1, 1)(clips)
assert numpy.abs(found - expected).max() < 1e-3, numpy.abs(found - expected).max()
"""
COMMANDS = (
    "demo", "classify", "stream", "record", "train", "eval", "eval-stream", "calibrate", "replay", "plot", "convert",
    "cost", "export", "bench", "tensorrt", "doctor",
)  # fmt: skip

STAGES = (
    Stage(
        "core",
        ("build", "core"),
        PYTEST,
        (("-c", CORE_PROGRAM), ("-m", "adasgn_edge", "doctor")),
        ("tests/data", "tests/test_skeletons.py"),
    ),
    Stage(
        "cli",
        ("cli",),
        (),
        (
            ("-m", "adasgn_edge", "--help"),
            *(("-m", "adasgn_edge", command, "--help") for command in COMMANDS),
            ("-m", "adasgn_edge", "convert", "--list"),
            ("-m", "adasgn_edge", "cost", "--layout", "ntu25"),
        ),
        ("tests/cli/test_convert.py", "tests/test_import.py"),
    ),
    Stage("view", ("view",), ("mcap", "mcap-protobuf-support"), tests=("tests/test_foxglove_view.py",)),
    Stage(
        "train",
        ("train", "plot"),
        tests=(
            "tests/cli/test_train_eval_plot.py",
            "tests/cli/test_classify.py",
            "tests/train/test_recipe.py",
            "tests/deploy/test_damaged_files.py",
        ),
    ),
    # Wheels of compiled packages may be bound to the NumPy they were made with, so these are tried beside the newest.
    Stage(
        "onnx",
        ("onnx", "test"),
        (),
        (("-c", CORE_PROGRAM), ("-c", "import matplotlib.pyplot")),
        ("tests/deploy/test_export.py",),
        newest=("numpy",),
    ),
    Stage("bench", ("bench",), (), (("-c", OPENVINO_PROGRAM),)),
)


def read_groups(project: Mapping[str, Any]) -> dict[str, list[Requirement]]:
    """Requirements by group, without those on extras of the package itself."""
    name = project["project"]["name"]
    groups = {"build": project["build-system"]["requires"], "core": project["project"]["dependencies"]}
    groups |= project["project"].get("optional-dependencies", {})
    return {
        group: [Requirement.parse(line) for line in lines if not line.startswith(f"{name}[")]
        for group, lines in groups.items()
    }


def check_covered(groups: Mapping[str, Sequence[Requirement]]) -> None:
    """BoundError for a group that no stage installs, bounds that differ, and tools that are not pinned."""
    installed = {group for stage in STAGES for group in stage.groups}
    bounds: dict[str, Requirement] = {}
    for group, requirements in groups.items():
        if group in PINNED_EXTRAS:
            loose = [one.name for one in requirements if one.operator != "=="]
            if loose:
                raise BoundError(f"extra {group}: expected exact versions, found a bound for {', '.join(loose)}")
            continue
        if group not in installed:
            raise BoundError(f"{group}: expected a stage of tools/test_lowest.py that installs it, found none")
        for one in requirements:
            if bounds.setdefault(one.name, one) != one:
                raise BoundError(f"{one.name}: expected one bound, found {bounds[one.name].version}, {one.version}")


def lowest(requirement: Requirement, released: Iterable[str]) -> str:
    """The lowest of the released versions that a requirement allows; BoundError if there is none."""

    def key(version: str) -> tuple[int, ...]:
        numbers = [int(number) for number in version.split(".")]
        while numbers and numbers[-1] == 0:  # 2.0 and 2 are the same
            numbers.pop()
        return tuple(numbers)

    final = [version for version in released if re.fullmatch(r"\d+(\.\d+)*", version)]
    allowed = [version for version in final if key(version) >= key(requirement.version)]
    if not allowed:
        raise BoundError(f"{requirement.name}: expected a wheel of {requirement.version} or later, found {final[:3]}")
    found = min(allowed, key=key)
    if requirement.operator == "==" and key(found) != key(requirement.version):
        raise BoundError(f"{requirement.name}: expected a wheel of {requirement.version}, found {found}")
    return found


class Environment:
    """The virtual environment, its pip, and what runs in it."""

    def __init__(self, python: str) -> None:
        shutil.rmtree(FOLDER, ignore_errors=True)
        self.work = FOLDER / "work"  # not the source tree, whose package would hide the installed one
        self.work.mkdir(parents=True)
        subprocess.run([python, "-m", "venv", str(FOLDER / "venv")], check=True)
        self.python = str(FOLDER / "venv" / "bin" / "python")
        self.pins: dict[str, str] = {}

    def run(self, *arguments: str, **variables: str) -> None:
        """Run the environment's Python; CalledProcessError if it fails, after its output."""
        done = subprocess.run(
            [self.python, *arguments],
            cwd=self.work,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if done.returncode:
            print(done.stdout, flush=True)
            done.check_returncode()

    def released(self, name: str) -> list[str]:
        """Versions with wheels for this Python: pip lists them when asked for one that nobody released."""
        options = ("--dry-run", "--no-deps", "--only-binary", ":all:")
        command = [self.python, "-m", "pip", "install", *options, f"{name}==0.0.0.dev0"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.work)
        match = re.search(r"\(from versions: (.*?)\)", done.stderr)
        if match is None:
            raise BoundError(f"{name}: expected pip to list its versions, found {done.stderr.strip()[-300:]}")
        return match[1].split(", ")

    def install(self, requirements: Sequence[Requirement], torch: str, newest: Sequence[str]) -> None:
        """Install these at their lowest, beside all that is there already at its own."""
        open_ones = [one for one in requirements if one.name not in self.pins and one.name not in EXCEPTED]
        with ThreadPoolExecutor(2) as pool:
            versions = pool.map(lambda one: lowest(one, self.released(one.name)), open_ones)
            for one, version in zip(open_ones, versions, strict=True):
                self.pins[one.name] = f"{one.name}=={version}" + (f"; {one.marker}" if one.marker else "")
                print(f"    {one.name}{one.operator}{one.version}: {version}", flush=True)
        for name in newest:
            self.pins[name] = name
        wanted = list(self.pins.values())
        if any(one.name == "torch" for one in requirements):
            self.pins["torch"] = torch
            wanted.append(torch)
        upgrade = ["--upgrade", *newest] if newest else []
        self.run("-m", "pip", "install", "--quiet", "--no-compile", "--only-binary", ":all:", *upgrade, *wanted)

    def unpin(self, requirements: Sequence[Requirement]) -> None:
        """What was needed to build the package is done with: torch wants a newer setuptools than that."""
        for one in requirements:
            self.pins.pop(one.name, None)

    def install_package(self) -> None:
        """The package itself, from a source distribution, with the lowest setuptools and pybind11."""
        self.run("-m", "pip", "install", "--quiet", "wheel")
        archives = FOLDER / "dist"
        subprocess.run(
            [self.python, "setup.py", "--quiet", "sdist", "--dist-dir", str(archives)],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "ADASGN_BUILD_TORCH": "off", "ADASGN_BUILD_CUDA": "off"},
        )
        (archive,) = archives.glob("*.tar.gz")
        options = ("--quiet", "--no-build-isolation", "--no-deps", "--no-cache-dir")
        build = {"ADASGN_BUILD_TORCH": "off", "ADASGN_BUILD_CUDA": "off", "ADASGN_OBJECTS": str(ROOT / "build/objects")}
        self.run("-m", "pip", "install", *options, str(archive), **build)

    def test(self, stage: Stage) -> None:
        """What a stage runs. The folder of the tests comes last in the path, after the installed package."""
        for program in stage.programs:
            self.run(*program, PYTHONPATH=str(self._without_package()))
        if stage.tests:
            paths = [str(ROOT / path) for path in stage.tests]
            options = ("-q", "-x", "-p", "no:cacheprovider", "--import-mode=append", f"--rootdir={ROOT}")
            self.run("-m", "pytest", *options, "-c", str(ROOT / "pyproject.toml"), *paths)

    def _without_package(self) -> Path:
        """A folder that offers the source tree's `bench` and not its package."""
        folder = FOLDER / "beside"
        folder.mkdir(exist_ok=True)
        if not (folder / "bench").exists():
            (folder / "bench").symlink_to(ROOT / "bench")
        return folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the stages; the first failure ends it with what was printed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="the Python to test with")
    parser.add_argument("--torch", default="torch==2.13.0", help="the torch to install")
    parser.add_argument("--stages", default=",".join(stage.name for stage in STAGES), help="only these, in this order")
    options = parser.parse_args(arguments)
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    groups = read_groups(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    check_covered(groups)
    tools = {one.name: one for group in groups.values() for one in group}
    environment = Environment(options.python)
    for stage in STAGES:
        if stage.name not in options.stages.split(","):
            continue
        start = time.monotonic()
        print(f"lowest versions, {stage.name}:", flush=True)
        requirements = [one for group in stage.groups for one in groups[group]]
        environment.install([*requirements, *(tools[name] for name in stage.packages)], options.torch, stage.newest)
        if "build" in stage.groups:
            environment.install_package()
            environment.unpin(groups["build"])
        installed = time.monotonic()
        environment.test(stage)
        print(f"    installed in {installed - start:.0f} s, tested in {time.monotonic() - installed:.0f} s", flush=True)


if __name__ == "__main__":
    try:
        main()
    except BoundError as error:
        sys.exit(f"test_lowest: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"test_lowest: this failed: {subprocess.list2cmdline(map(str, error.cmd))[:600]}")
