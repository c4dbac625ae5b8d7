"""The files of a folder of recordings, found by what a table calls them.

A name is relative to the folder and stays in it; back-slashes, another case or Unicode form, and a missing ending are
understood where one file only can be meant.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PureWindowsPath

from adasgn_edge.data.clips import is_clip_name
from adasgn_edge.data.label_table import LABEL_TABLE
from adasgn_edge.data.walking import files_below, is_there
from adasgn_edge.errors import DatasetError
from adasgn_edge.wording import listed, nearest, shown

__all__ = ["ClipFiles", "Suggestions"]

MOST_SUGGESTIONS = 10
"""Of so many missing files the nearest name is looked for."""
NO_CLIPS = ("readme", "license", "layout", "label", "classe")
"""Files of these names (or their plural) are about the clips."""


class ClipFiles:
    """The files of a folder, found by what a table calls them. Names are relative, with slashes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._alike: dict[str, list[str]] = {}
        for name in _clip_files(folder):
            self._alike.setdefault(_folded(name), []).append(name)
            stem = re.sub(r"\.gz$", "", name, flags=re.IGNORECASE).rsplit(".", 1)[0]
            self._alike.setdefault(_folded(stem), []).append(name)

    def find(self, written: str, where: str) -> str:
        """The file that is meant; what is written itself when there is none.

        Raises DatasetError for a path that leaves the folder, is a folder, or can mean several files.
        """
        name = self._relative(written, where)
        if is_there(self._folder / name):
            if (self._folder / name).is_dir():
                raise DatasetError(f"{where}: expected a clip, found the folder {shown(written)}")
            return name
        found = self._alike.get(_folded(name), [])
        if len(found) > 1:
            raise DatasetError(f"{where}: expected one file, but {shown(written)} may be {listed(found)}")
        return found[0] if found else name

    def identity(self, name: str) -> object:
        """The same for two names of one file, links included."""
        try:
            status = (self._folder / name).stat()
        except (OSError, ValueError):
            return name
        return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(self._folder / name)

    def unlisted(self, places: list[str]) -> list[str]:
        """A note that names the clips which the table does not list, if there are any."""
        known = {self.identity(place) for place in places}
        names = {name for names in self._alike.values() for name in names}
        rest = sorted(name for name in names - set(places) if self.identity(name) not in known)
        return [f"{self._folder}: clips that {LABEL_TABLE} does not list, not read: {listed(rest)}"] if rest else []

    def _relative(self, written: str, where: str) -> str:
        """A path with slashes and without detours; raises DatasetError when it leaves the folder."""
        name = written
        if "\\" in written and not is_there(self._folder / written):
            name = written.replace("\\", "/")
        inside = os.path.normpath(name).replace(os.sep, "/")
        windows = PureWindowsPath(written).anchor and not is_there(self._folder / inside)
        if windows or inside.startswith("/") or inside.split("/")[0] in ("..", "~"):
            raise DatasetError(
                f"{where}: expected a path relative to {self._folder} that stays in that folder, found {shown(written)}"
            )
        return inside


class Suggestions:
    """Names that may have been meant by those of missing files; the folder is looked through once, when first asked."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._left = folder, MOST_SUGGESTIONS

    def nearest(self, name: str) -> str:
        """``; is 'NAME' meant?``, or nothing."""
        self._left -= 1
        if self._left < 0:
            return ""
        found = self._same_end(name) or nearest(name, self._names)
        return f"; is {shown(found)} meant? Paths are relative to the folder" if found else ""

    @cached_property
    def _names(self) -> list[str]:
        return list(_clip_files(self._folder))

    def _same_end(self, name: str) -> str | None:
        """A file of the same own name elsewhere in the folder."""
        last = name.rsplit("/", 1)[-1]
        return next((known for known in self._names if known.rsplit("/", 1)[-1] == last), None)


def _clip_files(folder: Path) -> Iterator[str]:
    """Every file in and below the folder that may be a clip by its name."""
    return files_below(
        folder, lambda name: is_clip_name(name) and name.lower().split(".")[0].rstrip("s") not in NO_CLIPS
    )


def _folded(name: str) -> str:
    """The same for names that a file system without regard to case or Unicode form takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).lower())
