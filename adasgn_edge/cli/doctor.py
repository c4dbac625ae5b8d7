"""``adasgn-edge doctor``: what is installed, what works here, and what brings the rest; what a recording looks like.

Reads its own arguments, so that ``python -m adasgn_edge doctor`` also works where the packages of the command line are
among the things that are missing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from adasgn_edge.installation.diagnosis import Diagnosis, diagnose
from adasgn_edge.wording import printable

if TYPE_CHECKING:
    from adasgn_edge.data.source_file import SourceReport

__all__ = ["SUMMARY", "main"]

SUMMARY = (
    "Say which parts are installed, which work on this machine, and why and how for the rest; or, with --source, what "
    "looks odd about a recording."
)
EPILOG = """
With --source the exit status is 0 where nothing is odd, 1 where something is, 2 for a file that cannot be read.
Findings are doubts: what a recording looks like, beside the recordings that models were trained on.
"""


def main(arguments: Sequence[str]) -> int:
    """Print the table, or JSON; 0 where the core works, or the recording looks right, else 1."""
    options = _parser().parse_args(arguments)
    if options.source is None:
        return _diagnose(options.json)
    return _examine(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="adasgn-edge doctor", description=SUMMARY, epilog=EPILOG)
    parser.add_argument("--json", action="store_true", help="all facts as JSON")
    parser.add_argument("--source", metavar="FILE", help="look at this recording, or JSON lines of a stream")
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--layout", metavar="NAME", help="for models of this layout (default: the built-in one that fits)"
    )
    target.add_argument("--model", metavar="FILE", help="for this model file's layout")
    stated = parser.add_argument_group("what is known of the recording (default: as the layout has it)")
    stated.add_argument("--source-name", metavar="NAME", help="whose joints it has, such as mediapipe-hand-21")
    stated.add_argument("--axes", metavar="AXES", help='model, optical, ros or where x, y, z point: "left down back"')
    stated.add_argument("--units", metavar="UNITS", help="m, cm, mm, in, ft or metres of one unit")
    stated.add_argument("--mirrored", action="store_true", default=None, help="the picture was mirrored")
    stated.add_argument("--gravity", metavar="X,Y,Z", help="which way things fall, in its axes")
    stated.add_argument("--side", choices=("left", "right"), help="of a hand")
    return parser


def _diagnose(as_json: bool) -> int:
    found = diagnose()
    if as_json:
        facts = {"machine": found.machine, "parts": {name: asdict(part) for name, part in found.parts.items()}}
        print(json.dumps(facts, indent=2))
    else:
        _print(_table(found))
    return 0 if found.core_works else 1


def _print(text: str) -> None:
    """Lines, whatever is called what in them."""
    print("\n".join(map(printable, text.split("\n"))))


def _table(found: Diagnosis) -> str:
    lines = [", ".join(f"{name} {value}" for name, value in found.machine.items()), ""]
    width = max(12, *(len(name) + 2 for name in found.parts))
    for name, part in found.parts.items():
        state = "works" if part.works else "unusable" if part.facts.get("built") else "missing"
        lines.append(f"{name:{width}s}{state:9s}{part.summary}")
        if part.reason:
            lines.append(f"{'':{width + 9}s}{'why' if not part.works else 'note'}: {part.reason}")
        if part.remedy:
            lines.append(f"{'':{width + 9}s}{'for it' if not part.works else 'better'}: {part.remedy}")
    if any("adasgn-edge" in part.remedy for part in found.parts.values()):
        lines += ["", "In a source tree write `.` in place of adasgn-edge."]
    return "\n".join(lines)


# -- a recording ----------------------------------------------------------------------------------------------------


def _examine(options: argparse.Namespace) -> int:
    from adasgn_edge.data.source_file import examine

    layout: Any = options.layout
    if options.model is not None:
        from adasgn_edge.deploy.model_file import read_model_file

        layout = read_model_file(options.model).layout
    report = examine(options.source, layout, _stated(options))
    _print(json.dumps(_facts(report), indent=2, allow_nan=False) if options.json else _text(report))
    return 1 if report.findings else 0


def _stated(options: argparse.Namespace) -> dict[str, Any]:
    """Keys of a description that options state."""
    stated = {"joints": options.source_name, "axes": options.axes, "units": options.units, "gravity": options.gravity}
    stated |= {"mirrored": options.mirrored, "side": options.side}
    return {key: value for key, value in stated.items() if value is not None}


def _facts(report: SourceReport) -> dict[str, Any]:
    findings = [
        {"kind": found.kind, "value": found.value, "shown": found.shown, "looks_like": found.says, "write": found.write}
        for found in report.findings
    ]
    return {**asdict(report), "stated": report.stated.to_dict(), "findings": findings}


def _text(report: SourceReport) -> str:
    stated = report.stated.to_dict()
    rate = "no stamps" if report.rate is None else f"{report.rate:.1f} frames a second"
    lines = [
        f"{report.path}: {report.bodies} {'body' if report.bodies == 1 else 'bodies'}, {report.frames} frames, {rate}",
        f"taken for layout {report.layout}, joints {stated['joints']}, axes {stated['axes']}, units {stated['units']}",
    ]
    if not report.findings:
        return "\n".join([*lines, "nothing looks odd"])
    options = any("--axes" in found.write or "--units" in found.write for found in report.findings)
    for finding in report.findings:
        lines += ["", f"{finding.kind}: {finding.shown}"]
        lines.append(f"    looks like: {finding.says}")
        if finding.write:
            lines.append(f"    if so write: {finding.write}")
    if options and report.stated.joints == "model":
        lines += ["", "`stream` takes --axes, --units and --gravity together with --source, here --source model."]
    return "\n".join(lines)
