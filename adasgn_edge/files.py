"""Writing files: a kill at any moment leaves the old content or the new, never half of it; one process a folder."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import itertools
import os
import platform
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adasgn_edge.errors import OutputError
from adasgn_edge.wording import warn

__all__ = ["atomic_path", "check_output", "lines_to", "locked", "write_text"]

_ABANDONED_AFTER = 24 * 3600.0
"""Seconds after which a temporary file of another machine counts as left behind."""

_FULL = re.compile(r"no space left|os error (28|122)\b|disk quota|file write failed|failed writing file", re.IGNORECASE)
"""How libraries that do not raise OSError (safetensors, torch) say that a disk is full."""

_LOCK = ".lock"
_HELD = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES})
_NO_LOCKS = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL})
"""What file systems say that cannot lock."""

_counter = itertools.count()
_open_files: set[str] = set()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; on leaving without an error it takes the place of `path`.

    Folders on the way are made. Rights are those of the file that is replaced, else what the umask leaves. A symbolic
    link stays one. Content and name are on the disk at the end, also if the power goes then. What killed processes left
    behind of earlier writes to the same path is removed. Raises OutputError, which names `path`, where it cannot be
    written; nothing half-written is left then.
    """
    path = Path(path)
    _refuse_special(path)
    target = path.resolve() if path.is_symlink() else path
    with _named(path):
        made = _make_folders(target.parent)
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
        with _named(path):
            for folder in (target.parent, *(folder.parent for folder in made)):
                _sync(folder)
    finally:
        _open_files.discard(temporary.name)
        with suppress(OSError):  # the next write to the same path tries again
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, UTF-8; OutputError as of :func:`atomic_path`."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def lines_to(path: Path) -> Iterator[Callable[[str], None]]:
    """A function that adds a line to a new text file, UTF-8, at once and whole or not at all: what came before stays,
    whatever ends the process. A file that is there is written over; a pipe will do.

    Raises OutputError, and so does the function.
    """
    with _named(path):
        file = path.open("wb", buffering=0)

    def add(line: str) -> None:
        start = file.tell() if file.seekable() else None
        left = memoryview(f"{line}\n".encode())
        with _named(path):
            try:
                while left:
                    left = left[file.write(left) :]
            except OSError:
                if start is not None:
                    file.truncate(start)
                raise

    with file:
        yield add


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """A folder, made where it is not there, for this process alone while the context lasts.

    Raises OutputError, which names the process, where another one has it. A process that dies, however it does, has it
    no more: the lock is the kernel's, on a file in the folder. Warns where the file system has no locks, and goes on.
    """
    path = folder / _LOCK
    _refuse_special(path)
    with _named(folder):
        _make_folders(folder)
        descriptor = _open_lock(folder, path)
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()} {platform.node()}\n".encode(errors="replace"), 0)
        except OSError:
            _close_lock(descriptor, path)
            raise
    try:
        yield
    finally:
        _close_lock(descriptor, path)


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


def _open_lock(folder: Path, path: Path) -> int:
    """The locked file."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                warn(f"{folder}: cannot be locked ({error.strerror}); see to it that no other process writes to it")
                return descriptor
            try:
                if error.errno in _HELD:
                    raise OutputError(f"{folder}: taken by {_holder(descriptor)}; wait until it ends") from None
                raise
            finally:
                os.close(descriptor)
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor
        os.close(descriptor)  # of one that ended in between, and removed the file


def _close_lock(descriptor: int, path: Path) -> None:
    """Remove the file, then unlock it: also for children made by fork."""
    with suppress(OSError):
        path.unlink()
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def _holder(descriptor: int) -> str:
    """Who holds a lock, in words."""
    match = re.match(rb"(\d{1,20}) ([\w.-]{0,64})\n", os.pread(descriptor, 100, 0))
    if match is None:
        return "another process"
    process, machine = match[1].decode(), match[2].decode()
    return f"process {process}" + (f" of the machine {machine}" if machine != platform.node() else "")


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it; those that were not there."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _sync(folder: Path) -> None:
    """Put a folder's names on the disk."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # a folder that may be written but not read
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that does it by itself
            raise
    finally:
        os.close(descriptor)


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
