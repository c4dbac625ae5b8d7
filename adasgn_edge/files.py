"""Writing files so that a kill at any moment leaves the old content or the new, never half of it."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import platform
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adasgn_edge.errors import OutputError

__all__ = ["atomic_path", "check_output", "write_text"]

_ABANDONED_AFTER = 24 * 3600.0
"""Seconds after which a temporary file of another machine counts as left behind."""

_FULL = re.compile(r"no space left|os error (28|122)\b|disk quota|file write failed|failed writing file", re.IGNORECASE)
"""How libraries that do not raise OSError (safetensors, torch) say that a disk is full."""

_counter = itertools.count()
_open_files: set[str] = set()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; on leaving without an error it takes the place of `path`.

    Folders on the way are made. Rights are those of the file that is replaced, else what the umask leaves. A symbolic
    link stays one. What killed processes left behind of earlier writes to the same path is removed. Raises OutputError,
    which names `path`, where it cannot be written; nothing is left of it then.
    """
    path = Path(path)
    _refuse_special(path)
    target = path.resolve() if path.is_symlink() else path
    with _named(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target)
        rights = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
        temporary = target.parent / f"{_prefix(target)}{_machine()}-{os.getpid()}-{next(_counter)}.tmp"
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    _open_files.add(temporary.name)
    try:
        with _named(path, temporary):
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            if rights is not None:
                temporary.chmod(rights)
            temporary.replace(target)
    finally:
        _open_files.discard(temporary.name)
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, UTF-8; OutputError as of :func:`atomic_path`."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_output(path: Path, endings: tuple[str, ...] = (), option: str = "", instead: str = "") -> None:
    """Raise OutputError now for a path that :func:`atomic_path` would refuse after hours of work. Writes nothing.

    endings: those that the name may have, ".png", any if empty; option: what the user gave it with; instead: what to
    say of another ending.
    """
    start = f"{option}: " if option else ""
    if endings and path.suffix not in endings:
        more = f"; {instead}" if instead else ""
        raise OutputError(f"{start}expected a name ending in {' or '.join(endings)}, found {str(path)!r}{more}")
    _refuse_special(path, start)
    target = path.resolve() if path.is_symlink() else path.absolute()
    for folder in target.parents:
        try:
            there = folder.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise OutputError(f"{start}{path}: cannot be written ({error.strerror})") from None
        if not stat.S_ISDIR(there.st_mode):
            raise OutputError(f"{start}{path}: expected a folder above it, found the file {folder}")
        if not os.access(folder, os.W_OK | os.X_OK):
            read_only = hasattr(os, "statvfs") and os.statvfs(folder).f_flag & os.ST_RDONLY
            reason = os.strerror(errno.EROFS if read_only else errno.EACCES)
            raise OutputError(f"{start}{path}: cannot be written into the folder {folder} ({reason})")
        return


def _refuse_special(path: Path, start: str = "") -> None:
    """Folders cannot be replaced by a file; devices and pipes must not be."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"{start}{path}: cannot be written ({error.strerror})") from None
    except ValueError as error:  # a null character
        raise OutputError(f"{start}{str(path)!r}: cannot be written ({error})") from None
    if not stat.S_ISREG(mode):
        found = "folder" if stat.S_ISDIR(mode) else "device or pipe"
        raise OutputError(f"{start}{path}: expected the name of a file, found a {found}")


@contextmanager
def _named(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Errors of writing as OutputError; errors of other files, of reading say, pass as they are."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        if temporary is not None and error.filename not in (None, str(temporary), os.fspath(temporary)):
            raise
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
    except Exception as error:
        if temporary is None or not _FULL.search(str(error)):
            raise
        raise OutputError(f"{path}: cannot be written ({os.strerror(errno.ENOSPC)})") from error


def _prefix(target: Path) -> str:
    """What the names of all temporary files of a target begin with; short, as its own name may be of full length."""
    name = target.name
    if len(os.fsencode(name)) > 150:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    return f".{name}."


def _machine() -> str:
    return hashlib.sha256(platform.node().encode(errors="surrogateescape")).hexdigest()[:8]


def _remove_abandoned(target: Path) -> None:
    """Remove temporary files of this target whose process is gone, or of other machines after a day."""
    start = _prefix(target)
    form = re.compile(rf"{re.escape(start)}([0-9a-f]{{8}})-(\d+)-\d+\.tmp")
    with suppress(OSError):  # a folder that may be written but not listed
        for left in target.parent.iterdir():
            match = form.fullmatch(left.name)
            if match is None or left.name in _open_files:
                continue
            with suppress(OSError):
                ours, process = match[1] == _machine(), int(match[2])
                gone = process == os.getpid() or not _alive(process) if ours else False
                if gone or time.time() - left.stat().st_mtime > _ABANDONED_AFTER:
                    left.unlink()


def _alive(process: int) -> bool:
    if os.name != "posix":  # elsewhere os.kill would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
