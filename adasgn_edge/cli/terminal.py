"""What reaches a terminal: text that every encoding can show, without control characters, and never too long.

Needs nothing beyond Python, so that errors are told where everything else is broken.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
import unicodedata
from typing import Any

from adasgn_edge.errors import LONGEST_MESSAGE
from adasgn_edge.wording import acts, printable, spelt

__all__ = ["complain", "finish_streams", "json_line", "prepare_streams", "printable"]

_PLAIN = {
    "α": "alpha",
    "±": "+-",
    "×": "x",
    "·": ".",
    "…": "...",
    "–": "-",
    "—": "-",
    "→": "->",
    "≥": ">=",
    "≤": "<=",
    "°": " degrees",
    "•": "*",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "⠀": " ",  # braille, nothing raised
    "█": "#",
    "━": "-",
    "─": "-",
    "│": "|",
    "┃": "|",
}
"""Characters of this program's own output, for encodings that lack them."""


def complain(message: object) -> None:
    """One line on standard error, with the program's name before it."""
    print(f"adasgn-edge: {printable(message, LONGEST_MESSAGE)}", file=sys.stderr)


def json_line(value: Any) -> str:
    """JSON on one line; characters that standard output cannot encode or a terminal would obey as ``\\u00fc``."""
    text = json.dumps(value, ensure_ascii=False)
    if any(map(acts, text)):
        return json.dumps(value)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return json.dumps(value)
    return text


def prepare_streams() -> None:
    """Let standard output and error take any character: what they cannot encode is spelled out or replaced."""
    codecs.register_error("adasgn-edge", _spell_out)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="adasgn-edge")


def finish_streams() -> int:
    """Write what is still buffered; the exit status: 0, or 1 where a reader is gone or a disk full."""
    status = 0
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            status = 1
            if stream is sys.stdout and not isinstance(error, (BrokenPipeError, ValueError)):
                complain(f"standard output: cannot be written ({error.strerror or error})")
            _discard(stream)
    return status


def _discard(stream: Any) -> None:
    """What is buffered goes nowhere, else Python would try once more at its end and complain."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass


def _spell_out(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_substitute, error.object[error.start : error.end])), error.end


def _substitute(character: str) -> str:
    """ASCII for one character."""
    if character in _PLAIN:
        return _PLAIN[character]
    number = ord(character)
    if 0x2500 <= number <= 0x257F:  # boxes
        return "+"
    if 0x2800 <= number <= 0x28FF:  # braille: pictures
        return "#" if (number - 0x2800).bit_count() > 3 else ":" if (number - 0x2800).bit_count() > 1 else "."
    if 0xD800 <= number <= 0xDFFF:
        return spelt(character)
    base = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return base or "?"
