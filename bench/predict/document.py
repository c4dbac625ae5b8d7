"""Writes the outputs of its commands into docs/performance.md: `python -m bench.predict.document`.

What follows a line with a command of bench.predict and the mark "<!-- output -->", up to "<!-- end of output -->", is
that command's output. With --check nothing is written, and the status is 1 where an output is not what the command
prints.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import sys
from collections.abc import Callable

from bench.predict.__main__ import main as predict
from bench.predict.boards import ROOT

__all__ = ["refresh"]

DOCUMENT = ROOT / "docs" / "performance.md"
OUTPUT = re.compile(
    r"(`python -m bench\.predict ?(?P<arguments>[^`\n]*)`\n<!-- output -->\n).*?(<!-- end of output -->)", re.DOTALL
)


def printed(arguments: list[str]) -> str:
    """What bench.predict prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        predict(arguments)
    return out.getvalue()


def refresh(text: str, run: Callable[[list[str]], str] = printed) -> str:
    """The document with every command's output anew."""

    def output(match: re.Match[str]) -> str:
        return f"{match[1]}\n{run(match['arguments'].split()).strip()}\n\n{match[3]}"

    return OUTPUT.sub(output, text)


def main(arguments: list[str] | None = None) -> int:
    """Write, or check."""
    parser = argparse.ArgumentParser(prog="python -m bench.predict.document", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 where an output is old")
    options = parser.parse_args(arguments)
    before = DOCUMENT.read_text()
    after = refresh(before)
    if options.check:
        if after != before:
            print(f"{DOCUMENT.name} is old: expected the output of `python -m bench.predict.document`", file=sys.stderr)
        return int(after != before)
    DOCUMENT.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
