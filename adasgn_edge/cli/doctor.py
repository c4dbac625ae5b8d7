"""``adasgn-edge doctor``: what is installed, what works here, and what brings the rest.

Reads its own arguments, so that ``python -m adasgn_edge doctor`` also works where the packages of the command line are
among the things that are missing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from adasgn_edge.diagnosis import Diagnosis, diagnose

__all__ = ["SUMMARY", "main"]

SUMMARY = "Say which parts are installed, which work on this machine, and why and how for the rest."


def main(arguments: Sequence[str]) -> int:
    """Print the table, or JSON; 0 where the core works, else 1."""
    parser = argparse.ArgumentParser(prog="adasgn-edge doctor", description=SUMMARY)
    parser.add_argument("--json", action="store_true", help="all facts as JSON")
    as_json = parser.parse_args(arguments).json
    found = diagnose()
    if as_json:
        facts = {"machine": found.machine, "parts": {name: asdict(part) for name, part in found.parts.items()}}
        print(json.dumps(facts, indent=2))
    else:
        print(_table(found))
    return 0 if found.core_works else 1


def _table(found: Diagnosis) -> str:
    lines = [", ".join(f"{name} {value}" for name, value in found.machine.items()), ""]
    for name, part in found.parts.items():
        state = "works" if part.works else "unusable" if part.facts.get("built") else "missing"
        lines.append(f"{name:12s}{state:9s}{part.summary}")
        if part.reason:
            lines.append(f"{'':21s}{'why' if not part.works else 'note'}: {part.reason}")
        if part.remedy:
            lines.append(f"{'':21s}{'for it' if not part.works else 'better'}: {part.remedy}")
    if any("adasgn-edge" in part.remedy for part in found.parts.values()):
        lines += ["", "In a source tree write `.` in place of adasgn-edge."]
    return "\n".join(lines)
