"""What a parser of the package is to the property test and to the fuzzer (tools/fuzz_parsers.py).

A parser is opened in an empty folder, to which it may write what else its files need, and is then a call from bytes to
anything. Its corpus, ``tests/corpus/NAME``, holds small valid files and every one that ever broke it.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from adasgn_edge.errors import LONGEST_MESSAGE, AdaSGNError
from adasgn_edge.wording import printable

__all__ = ["CORPUS", "PIECES", "Parser", "Run", "every", "of_file", "of_json", "of_text", "outcome"]

CORPUS = Path(__file__).parents[1] / "corpus"
Run = Callable[[bytes], object]
LONGEST_WARNING = 10_000
"""Characters: those of broken samples name ten."""


PIECES = [
    b"", b"\n", b"\r", b" ", b",", b";", b"\t", b'"', b"'", b"\0", b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\\", b"/",
    b"../", b"0", b"-1", b"1", b"2", b"1.5", b"256", b"3000", b"10000000", b"9223372036854775808", b"9" * 5000,
    b"1e999", b"1e308", b"1e38", b"5e-324", b"nan", b"inf", b"-Infinity", b"NaN", b"null", b"true", b'""', b'"x"',
    b"[", b"]", b"[]", b"{", b"}", b"{}", b"[" * 2000, b"[" * 100_000, b'{"a":' * 2000, b"x" * 5000, b"x" * 140_000,
    b"\x1b[31m", b"\xc2\x9b", b"\xe2\x80\xa8", b"\xe2\x80\xae", b"\xed\xa0\x80", b"\\ud800", b"\\u001b", b"\xd9\xa1",
    b"PK\x03\x04", b"\x93NUMPY", b"\x1f\x8b",
]  # fmt: skip
"""What files are damaged with."""


@dataclass(frozen=True)
class Parser:
    """covers: the public functions that it stands for, MODULE.NAME below adasgn_edge; needs: packages."""

    name: str
    open: Callable[[Path], Run]
    covers: tuple[str, ...]
    needs: tuple[str, ...] = ()

    @property
    def corpus(self) -> list[Path]:
        return sorted((CORPUS / self.name).iterdir())


def outcome(run: Run, content: bytes) -> AdaSGNError | None:
    """What a parser makes of the bytes: nothing wrong, or an error as it must be. Any other one is a finding."""
    error = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            run(content)
        except AdaSGNError as found:
            error = found
    if error is not None:
        assert type(error) is not AdaSGNError, "an error without a name"
        assert 0 < len(str(error)) <= LONGEST_MESSAGE, f"a message of {len(str(error))} characters"
        assert printable(error) == str(error), f"a message that acts on terminals: {str(error)!r}"
    for warning in caught:
        text = str(warning.message)
        assert warning.category is UserWarning, f"a warning of another kind: {warning}"
        assert 0 < len(text) <= LONGEST_WARNING, f"a warning of {len(text)} characters"
        assert all(printable(line) == line for line in text.split("\n")), f"a warning that acts on terminals: {text!r}"
    return error


def every(calls: Iterable[Callable[[], object]]) -> None:
    """All of the calls, whatever the others raise of this package's errors; then the first of these errors."""
    first = None
    for call in calls:
        try:
            call()
        except AdaSGNError as error:
            first = first or error
    if first is not None:
        raise first


def of_file(name: str, *readers: Callable[[Path], object]) -> Callable[[Path], Run]:
    """A parser of one file of that name."""

    def start(folder: Path) -> Run:
        path = folder / name

        def run(content: bytes) -> None:
            path.write_bytes(content)
            every(partial(read, path) for read in readers)

        return run

    return start


def of_text(*readers: Callable[[str], object]) -> Callable[[Path], Run]:
    """A parser of text, as options and environment variables are: whatever the bytes, without NUL."""

    def run(content: bytes) -> None:
        text = content.replace(b"\0", b"").decode(errors="surrogateescape")
        every(partial(read, text) for read in readers)

    return lambda folder: run


def of_json(*readers: Callable[[Any], object]) -> Callable[[Path], Run]:
    """A parser of a value that stands in JSON which another one has read already; what is no JSON is passed over."""

    def run(content: bytes) -> None:
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            return
        every(partial(read, value) for read in readers)

    return lambda folder: run
