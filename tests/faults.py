"""Systems that fail: the n-th call that changes a disk, or every file past so many bytes."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

CALLS = (
    (os, "open"), (os, "fsync"), (os, "ftruncate"), (os, "pwrite"),
    (Path, "mkdir"), (Path, "open"), (Path, "chmod"), (Path, "replace"),
)  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_DIRECTORY
"""Of os.open only calls with one of these are counted."""


def full() -> NoReturn:
    """What a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def nth_call(number: int, action: Callable[[], object] = full) -> Iterator[list[str]]:
    """Call `action` in place of the n-th call, counted from 1; gives the names of the calls so far."""
    seen: list[str] = []

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            if call is not real_open or arguments[1] & WRITING:
                seen.append(name)
                if len(seen) == number:
                    action()
            return call(*arguments, **options)

        return wrapper

    real_open = os.open
    with pytest.MonkeyPatch.context() as patch:
        for place, name in CALLS:
            patch.setattr(place, name, counted(name, getattr(place, name)))
        yield seen


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may become larger: writes fail as on a full disk, whoever makes them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
