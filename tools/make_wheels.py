"""A source distribution and, made of it, a wheel for each Python, in dist; then the audit of tools/audit_wheel.py.

    python tools/make_wheels.py python3.10 python3.11 python3.12         (make wheels PYTHONS="python3.10 python3.11 …")

What does not depend on Python is compiled once for all. The CUDA engine is in the wheels where nvcc is found
(ADASGN_BUILD_CUDA, TORCH_CUDA_ARCH_LIST and CUDAARCHS as for any build). The torch ops are not: they fit one version of
torch, so whoever wants them builds them beside their own (docs/install.md).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
BUILD = ROOT / "build" / "wheels"
SDIST = "from setuptools.build_meta import build_sdist; import sys; build_sdist(sys.argv[1])"


def environment_for(python: str) -> Path:
    """The Python of a fresh environment that has what a build needs, and nothing else."""
    said = subprocess.run([python, "-c", "import sys; print(*sys.version_info[:2], sep='.')"], capture_output=True)
    if said.returncode:
        raise SystemExit(f"make_wheels: expected a Python, found that {python} does not run")
    folder = BUILD / said.stdout.decode().strip()
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    needed = re.findall(r'"([^"]+)"', re.search(r"^requires = \[(.*)\]$", project, re.MULTILINE)[1])
    made = folder / "bin" / "python"
    subprocess.run([str(made), "-m", "pip", "install", "--quiet", *needed, "wheel"], check=True)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pythons", nargs="*", default=[sys.executable], help="by default the one that runs this")
    options = parser.parse_args(arguments)
    shutil.rmtree(DIST, ignore_errors=True)
    pythons = [environment_for(python) for python in options.pythons]
    environment = {**os.environ, "ADASGN_BUILD_TORCH": "off", "ADASGN_OBJECTS": str(ROOT / "build" / "objects")}
    without = {**environment, "ADASGN_BUILD_CUDA": "off"}  # the archive is the same, and nothing is looked for
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    done = subprocess.run([str(pythons[0]), "-c", SDIST, str(DIST)], cwd=ROOT, env=without, **quiet)
    if done.returncode:
        raise SystemExit(f"make_wheels: the source distribution failed:\n{done.stderr}")
    (archive,) = DIST.glob("*.tar.gz")
    for python in pythons:
        print(f"a wheel of {archive.name} for {python.parents[1].name}", flush=True)
        how = ("--quiet", "--no-deps", "--no-build-isolation", "--no-cache-dir", "--wheel-dir", str(DIST))
        subprocess.run([str(python), "-m", "pip", "wheel", *how, str(archive)], env=environment, check=True)
    wheels = sorted(map(str, DIST.glob("*.whl")))
    return subprocess.run([sys.executable, str(ROOT / "tools" / "audit_wheel.py"), *wheels]).returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"make_wheels: this failed: {subprocess.list2cmdline(map(str, error.cmd))}")
