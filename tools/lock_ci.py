"""Renews requirements/ci.txt: what pip would install today for the tests and the lint tools, each at its version.

    python tools/lock_ci.py [--torch torch==2.13.0]      (make lock; needs setuptools and pybind11 beside pip)

CI gives the file to pip as a constraint, so that it installs what it did yesterday; users are not bound by it. It has
no hashes: with some in a constraint pip demands one of all it installs, and a source tree has none.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "ci.txt"
BUILD = ("setuptools", "wheel", "pybind11")
HEADER = """\
# What CI installs, by `make lock` (Python {python}). A constraint of pip in .ci/run; users need not heed it.
"""


def lines(installs: Iterable[Mapping[str, Any]]) -> list[str]:
    """`name==version` of what pip's report would install, but the project; local versions (+cpu) are the index's."""
    found = {}
    for install in installs:
        metadata = install["metadata"]
        name = re.sub(r"[-_.]+", "-", metadata["name"]).lower()
        if name != "adasgn-edge":
            found[name] = metadata["version"].partition("+")[0]
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", default="torch==2.13.0", help="the torch that CI installs")
    options = parser.parse_args(arguments)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run"]
    command += ["--ignore-installed", "--no-build-isolation", "--report", "-"]
    command += [options.torch, f"{ROOT}[test,lint]", *BUILD]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    text = HEADER.format(python="{}.{}".format(*sys.version_info)) + "\n".join(
        lines(json.loads(done.stdout)["install"])
    )
    LOCK.parent.mkdir(exist_ok=True)
    LOCK.write_text(text + "\n", encoding="utf-8")
    print(f"{LOCK.relative_to(ROOT)}: {text.count('==')} packages")


if __name__ == "__main__":
    main()
