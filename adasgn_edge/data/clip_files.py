"""The files of a folder of recordings, found by what a table calls them.

A name is relative to the folder and stays in it; back-slashes, another case or Unicode form, and a missing ending are
understood where one file only can be meant.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from adasgn_edge.data.clips import is_clip_name
from adasgn_edge.data.label_table import LABEL_TABLE
from adasgn_edge.data.walking import files_below
from adasgn_edge.errors import DatasetError
from adasgn_edge.lazy import cached_property
from adasgn_edge.wording import listed, nearest, shown

__all__ = ["ClipFiles", "Suggestions"]

MOST_SUGGESTIONS = 10
"""Of so many missing files the nearest name is looked for."""
NO_CLIPS = ("readme", "license", "layout", "label", "classe")
"""Files of these names (or their plural) are about the clips."""


class ClipFiles:
    """The files of a folder, found by what a table calls them. Names are relative, with slashes."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._prefix = folder, f"{folder}{os.sep}"
        self._states: dict[str, os.stat_result | None] = {}
        self._alike: dict[str, list[str]] = {}
        self._names = list(_clip_files(folder))
        for name in self._names:
            self._alike.setdefault(_folded(name), []).append(name)
            stem = (name[:-3] if name.lower().endswith(".gz") else name).rsplit(".", 1)[0]
            self._alike.setdefault(_folded(stem), []).append(name)

    def find(self, written: str, where: str) -> str:
        """The file that is meant; what is written itself when there is none.

        Raises DatasetError for a path that leaves the folder, is a folder, or can mean several files.
        """
        name = self._relative(written, where)
        if state := self.state(name):
            if stat.S_ISDIR(state.st_mode):
                raise DatasetError(f"{where}: expected a clip, found the folder {shown(written)}")
            return name
        found = self._alike.get(_folded(name), [])
        if len(found) > 1:
            raise DatasetError(f"{where}: expected one file, but {shown(written)} may be {listed(found)}")
        return found[0] if found else name

    def state(self, name: str) -> os.stat_result | None:
        """What the system knows of a file, looked up once; None when there is none, or can be none of that name."""
        if name not in self._states:
            try:
                # A Path for each would take most of the time that a folder of 50,000 clips takes.
                self._states[name] = os.stat(self._prefix + name)  # noqa: PTH116
            except (OSError, ValueError):
                self._states[name] = None
        return self._states[name]

    def identity(self, name: str) -> object:
        """The same for two names of one file, links included."""
        state = self.state(name)
        if state is None:
            return name
        return (state.st_dev, state.st_ino) if state.st_ino else os.path.realpath(self._prefix + name)

    def unlisted(self, places: list[str]) -> list[str]:
        """A note that names the clips which the table does not list, if there are any."""
        listed_names, known = set(places), {self.identity(place) for place in places}
        rest = [name for name in self._names if name not in listed_names and self.identity(name) not in known]
        return [f"{self._folder}: clips that {LABEL_TABLE} does not list, not read: {listed(rest)}"] if rest else []

    def _relative(self, written: str, where: str) -> str:
        """A path with slashes and without detours; raises DatasetError when it leaves the folder."""
        name = written
        if "\\" in written and self.state(written) is None:
            name = written.replace("\\", "/")
        inside = os.path.normpath(name).replace(os.sep, "/")
        windows = ":" in written and PureWindowsPath(written).anchor and self.state(inside) is None
        if windows or inside.startswith("/") or inside.split("/")[0] in ("..", "~"):
            own = os.path.relpath(inside, self._folder.resolve()) if inside.startswith("/") else ""
            hint = f"; write {shown(own)}" if own and not own.startswith("..") else ""
            raise DatasetError(
                f"{where}: expected a path relative to {self._folder} that stays in that folder, found {shown(written)}"
                f"{hint}"
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
    """The same for names that look alike, or that a file system without regard to case takes for one."""
    if not name.isascii():
        name = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")  # invisible ones
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).lower())
