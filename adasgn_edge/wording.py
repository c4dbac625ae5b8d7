"""Words for messages: whatever comes in, what is shown of it stays short, and nothing in it acts on a terminal."""

from __future__ import annotations

import reprlib
import unicodedata
import warnings
from collections.abc import Iterable, Sequence

__all__ = ["acts", "listed", "nearest", "printable", "shortened", "shown", "spelt", "warn"]

MOST_COMPARED = 2000
"""Names that a misspelt one is compared with at most: a message must not take seconds."""


def shortened(text: str, at_most: int) -> str:
    """The text, its middle left out when it is longer than `at_most` characters."""
    if len(text) <= at_most:
        return text
    head = (at_most - 3) * 2 // 3
    return f"{text[:head]} … {text[len(text) - (at_most - 3 - head) :]}"


def printable(text: object, longest: int | None = None) -> str:
    """Text on one line in which nothing acts on a terminal: control and direction characters appear as ``\\x1b``.

    longest: characters to keep; from a longer text the middle is left out.
    """
    shown = str(text)
    if not shown.isprintable():
        shown = "".join(spelt(character) if acts(character) else character for character in shown)
    return shown if longest is None else shortened(shown, longest)


def warn(text: str, stacklevel: int = 1) -> None:
    """A warning for users, nothing in whose lines acts on a terminal; stacklevel: as of ``warnings.warn``."""
    warnings.warn("\n".join(map(printable, text.split("\n"))), stacklevel=stacklevel + 1)


def acts(character: str) -> bool:
    """Whether a character moves, colours, reorders or is no character at all; joiners (Persian, emoji) are harmless."""
    if character in "\u200c\u200d":
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def spelt(character: str) -> str:
    """An escape in place of a character."""
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte of a file name that is no text (PEP 383)
        return f"\\x{number - 0xDC00:02x}"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def shown(value: object, at_most: int = 60) -> str:
    """A value as Python writes it, in quotes where it is text, at most so many characters long."""
    if isinstance(value, str):
        return shortened(repr(shortened(value, 2 * at_most)), at_most)
    try:
        return shortened(reprlib.repr(value), at_most)  # which looks at little of a large or deep value
    except ValueError:  # a number of thousands of digits
        return f"a very large {type(value).__name__}"
    except Exception:  # of whatever library the value is
        return f"a {type(value).__name__} that has no repr"


def listed(names: Sequence[object], at_most: int = 6) -> str:
    """``a, b, c``; of many names the first few and how many there are: ``a, b, … (57 in all)``."""
    texts = map(str, names[:at_most])
    text = ", ".join(shortened(name if name.isprintable() else repr(name)[1:-1], 40) for name in texts)
    return text if len(names) <= at_most else f"{text}, … ({len(names)} in all)"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name most like `word`, whatever its case; None when none is much like it."""
    import difflib  # for errors alone, and slow to import

    names = {name.lower(): name for name, _ in zip(known, range(MOST_COMPARED), strict=False)}
    found = difflib.get_close_matches(word[:200].lower(), names, n=1, cutoff=0.6)
    return names[found[0]] if found else None
