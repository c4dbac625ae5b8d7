"""One row of doctor's table, and trying a statement in a second Python, which may break there."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

__all__ = ["PartState", "end_tries", "try_statement"]

_MOST_SECONDS = 300  # importing torch from a cold disk on a board
_EXCEPTION = re.compile(r"[\w.]*(Error|Exception|NotFound|Interrupt|Exit)\b")
_tries: set[subprocess.Popen[str]] = set()
"""The other Pythons at work."""


@dataclass
class PartState:
    """One row of the table; facts: what is worth knowing of the part, ready for JSON."""

    works: bool
    summary: str
    reason: str = ""
    remedy: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def try_statement(statement: str) -> tuple[str, str]:
    """What goes wrong when another Python, with the same path, runs a statement, empty if nothing; what it printed."""
    program = f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); {statement}"
    command = [sys.executable, "-c", program, json.dumps(sys.path)]
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    options |= {"errors": "replace", "env": {**os.environ, "PYTHONUTF8": "1"}}
    try:
        with subprocess.Popen(command, **options) as python:
            _tries.add(python)
            try:
                printed, said = python.communicate(timeout=_MOST_SECONDS)
            finally:
                _tries.discard(python)
                python.kill()  # nothing where it has ended
    except subprocess.TimeoutExpired:
        return f"`{statement}` took more than {_MOST_SECONDS} s", ""
    except OSError as error:
        return f"{sys.executable!r} cannot be started to try it ({error.strerror or error})", ""
    if python.returncode == 0:
        return "", printed
    if python.returncode < 0:
        return f"`{statement}` ended with {signal.Signals(-python.returncode).name}: a file is damaged", ""
    # The exception is the last line that begins one: some messages (NumPy's) go on for a page.
    lines = [line for line in said.splitlines() if line.strip()]
    named = [line for line in lines if _EXCEPTION.match(line)]
    return (named or lines or [f"exit status {python.returncode}"])[-1][:400], ""


def end_tries() -> None:
    """End the other Pythons at work, so that nobody waits for what they import."""
    for python in list(_tries):
        python.kill()
