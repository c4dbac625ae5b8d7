"""Whether there is a file, and which files lie in and below a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["files_below", "is_folder", "is_there"]


def files_below(folder: Path, wanted: Callable[[str], bool]) -> Iterator[str]:
    """Names, relative to the folder and with slashes, of the files whose own name is wanted, in a fixed order.

    Hidden files and folders are passed over. Links to folders are followed, each folder being entered once, so that
    links in a circle do no harm.
    """
    entered = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = "" if place == str(folder) else os.path.relpath(place, folder).replace(os.sep, "/") + "/"
        for name in sorted(names):
            if not name.startswith(".") and wanted(name):
                yield below + name


def is_folder(path: Path) -> bool:
    """Whether there is a folder of that name; no for a name that nothing can have, which ``is_dir`` raises for."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_there(path: Path) -> bool:
    """Whether there is something of that name; no for a name that nothing can have, which ``exists`` raises for."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
