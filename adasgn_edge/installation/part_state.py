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

__all__ = ["PartState", "try_statement"]

_TORCH_SECONDS = 300  # importing torch from a cold disk on a board


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
    options: dict[str, Any] = {"capture_output": True, "text": True, "encoding": "utf-8", "errors": "replace"}
    try:
        done = subprocess.run(command, timeout=_TORCH_SECONDS, env={**os.environ, "PYTHONUTF8": "1"}, **options)
    except subprocess.TimeoutExpired:
        return f"`{statement}` took more than {_TORCH_SECONDS} s", ""
    except OSError as error:
        return f"{sys.executable!r} cannot be started to try it ({error.strerror or error})", ""
    if done.returncode == 0:
        return "", done.stdout
    if done.returncode < 0:
        return f"`{statement}` ended with {signal.Signals(-done.returncode).name}: a file is damaged", ""
    # The exception is the last line that begins one: some messages (NumPy's) go on for a page.
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    named = [line for line in lines if _EXCEPTION.match(line)]
    return (named or lines or [f"exit status {done.returncode}"])[-1][:400], ""


_EXCEPTION = re.compile(r"[\w.]*(Error|Exception|NotFound|Interrupt|Exit)\b")
