"""The container of a model file: how it begins, and reading it from disk. What is in it, model_file.py says.

Apart from that so that an engine, which hands the bytes to the native core, starts without what reads the rest.
"""

from __future__ import annotations

import os
from typing import Any

from adasgn_edge.errors import ModelFileError
from adasgn_edge.regular_file import read_regular_file, shown_path
from adasgn_edge.shipped import SHIPPED

__all__ = ["ALIGNMENT", "DIGEST", "MAX_FILE", "MAX_HEADER", "PREFIX", "SUFFIX", "header_length", "read_model_bytes"]

MAX_FILE, MAX_HEADER = 1 << 30, 1 << 20

PREFIX = b'{"__metadata__":{"checksum":"sha256:'
DIGEST = slice(8 + len(PREFIX), 8 + len(PREFIX) + 64)
"""Where the checksum's hexadecimal digits lie in the file; the checksum covers every other byte."""
SUFFIX = b'",'
MIN_HEADER = len(PREFIX) + 64 + len(SUFFIX)
ALIGNMENT = 64


def read_model_bytes(path: str | bytes | os.PathLike[Any]) -> bytes:
    """The content of a regular file that begins like a ``.adasgn`` file, else ModelFileError.

    What reads a file twice may get two models, so whoever needs its bytes for more than one thing reads them here once.
    """

    def check_head(head: bytes) -> None:
        try:
            header_length(head)
        except ModelFileError as error:
            raise ModelFileError(f"{shown_path(path)}: {error}") from None

    name = str(path)
    what = f"a model file (the one that ships is shipped_model({name!r}))" if name in SHIPPED else "a model file"
    return read_regular_file(path, what, MAX_FILE, ModelFileError, check_head)


def header_length(content: bytes) -> int:
    """The length of the header, from the first bytes of a file: 44 or as many as there are."""

    def expect(ok: bool, expected: str, found: object) -> None:
        if not ok:
            raise ModelFileError(f"expected {expected}, found {found}")

    expect(len(content) >= 8, "a file of at least 8 bytes", len(content))
    length = int.from_bytes(content[:8], "little")
    expect(MIN_HEADER <= length <= MAX_HEADER, f"a header of {MIN_HEADER} to {MAX_HEADER} bytes", length)
    expect((8 + length) % ALIGNMENT == 0, f"data at a multiple of {ALIGNMENT} bytes", 8 + length)
    opening = content[8 : 8 + len(PREFIX)]
    expect(PREFIX.startswith(opening), f"a header starting with {PREFIX!r}", repr(opening))
    return length
