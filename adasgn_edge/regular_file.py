"""Reading one file, once: opened without waiting, only if it is a regular file, at most so many bytes."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Any

__all__ = ["read_regular_file", "shown_path"]

_LONGEST = 200
_HEAD = 64


def shown_path(path: Any) -> str:
    """A path as error messages name it: of bounded length, printable, whatever its bytes."""
    try:
        text = os.fsdecode(path)
    except TypeError:
        return f"<{type(path).__name__}>"
    text = text if text.isprintable() else text.encode("unicode_escape", "backslashreplace").decode()
    return text if len(text) <= _LONGEST else f"…{text[-_LONGEST:]}"


def read_regular_file(
    path: str | bytes | os.PathLike[Any],
    what: str,
    most: int,
    error: Callable[[str], Exception],
    check_head: Callable[[bytes], None] | None = None,
) -> bytes:
    """The content of a file that must be a regular one of at most `most` bytes.

    what: what messages expect it to be; error: makes the exception for anything else: no such file, a folder, a pipe, a
    device, one that is too large, a value that is no path. check_head: is given the first 64 bytes before more is read,
    and raises what it thinks of them.
    """
    name = shown_path(path)

    def refuse(found: str) -> Exception:
        return error(f"{name}: expected {what}, found {found}")

    try:
        location = os.fsencode(path)
    except TypeError:
        raise error(f"path: expected one of {what}, found {type(path).__name__}") from None
    except ValueError:  # characters that no file name can hold
        raise refuse("a path that cannot be one") from None
    if b"\0" in location:
        raise refuse("a path with a NUL character")
    try:
        # Without O_NONBLOCK, opening a pipe would wait for somebody to write into it.
        descriptor = os.open(location, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise refuse(_kind(facts.st_mode))
            if facts.st_size > most:
                raise refuse(f"{facts.st_size} bytes, expected at most {most}")
            head = os.read(descriptor, min(_HEAD, facts.st_size))
            if check_head is not None:
                check_head(head)
            content = bytearray(facts.st_size)
            content[: len(head)] = head
            position = len(head)
            while position < len(content):
                count = os.readv(descriptor, [memoryview(content)[position:]])
                if count == 0:
                    raise refuse("one that became shorter while it was read")
                position += count
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise refuse("nothing: No such file") from None
    except OSError as problem:
        raise refuse(problem.strerror or str(problem)) from None
    except MemoryError:
        raise refuse("more than there is memory for") from None
    return bytes(content)


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((name for is_one, name in kinds if is_one(mode)), "a device")
