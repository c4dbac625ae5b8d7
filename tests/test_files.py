"""Writing files: never half of one, named errors, nothing left behind."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from adasgn_edge import files
from adasgn_edge.errors import OutputError
from adasgn_edge.files import atomic_path, check_output, locked, write_text
from tests.faults import largest_file, nth_call


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def umask():
    """Sets the process's umask for a test."""
    before = os.umask(0)
    os.umask(before)
    yield os.umask
    os.umask(before)


def test_a_new_file_has_the_rights_that_the_umask_leaves(tmp_path, umask):
    for mask, rights in ((0o077, 0o600), (0o022, 0o644), (0o002, 0o664)):
        umask(mask)
        path = tmp_path / f"{mask:o}.txt"
        write_text(path, "new")
        assert stat.S_IMODE(path.stat().st_mode) == rights


def test_a_file_that_is_replaced_keeps_its_rights_and_a_link_stays_one(tmp_path):
    path, link = tmp_path / "real.txt", tmp_path / "link.txt"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    write_text(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert names(tmp_path) == ["link.txt", "real.txt"]


def test_an_error_while_writing_leaves_the_old_content(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_name_as_long_as_names_can_be(tmp_path):
    path = tmp_path / ("ü" * 127)  # 254 bytes
    write_text(path, "new")
    assert names(tmp_path) == [path.name]
    with pytest.raises(OutputError, match=r"cannot be written .*name too long"):
        write_text(tmp_path / ("x" * 300), "new")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"), "No space left on device"),
        (Exception("I/O error: No space left on device (os error 28)"), "No space left on device"),
        (OSError(5, "Input/output error"), "Input/output error"),
    ],
)
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path, error, said):
    """As the system, torch and safetensors say it."""
    with pytest.raises(OutputError, match=rf"model: cannot be written \({said}\)"), atomic_path(tmp_path / "model"):
        raise error
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_disk_that_is_really_full(tmp_path):
    with pytest.raises(OutputError, match="No space left"), atomic_path(tmp_path / "model") as temporary:  # noqa: PT012
        temporary.unlink()
        temporary.symlink_to("/dev/full")
        temporary.write_text("x")
    assert names(tmp_path) == []


def test_other_errors_pass(tmp_path):
    """A file that could not be read while another was written is not the other's fault."""
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "out"):
        (tmp_path / "in").read_text()
    with pytest.raises(RuntimeError, match="shapes"), atomic_path(tmp_path / "out"):
        raise RuntimeError("shapes differ")


def test_places_that_are_none(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for path, said in (
        (tmp_path / "file" / "out.json", "file"),
        (tmp_path / "folder", "expected the name of a file, found a folder"),
        (tmp_path / "pipe", "expected the name of a file, found a device or pipe"),
        (Path("/dev/null"), "expected the name of a file, found a device or pipe"),
        (tmp_path / "null\0character", "embedded null"),
    ):
        for refuse in (check_output, lambda path: write_text(path, "x")):
            with pytest.raises(OutputError, match=said) as raised:
                refuse(path)
            assert str(path).partition("\0")[0] in str(raised.value)
    with pytest.raises(OutputError, match=r"/proc/none/out.json: cannot be written"):  # not even root may
        write_text(Path("/proc/none/out.json"), "x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert names(tmp_path) == ["file", "folder", "pipe"]


def test_check_makes_nothing(tmp_path):
    check_output(tmp_path / "a" / "b" / "out.json")
    assert names(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_without_the_right_to_write(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o555)
    for refuse in (check_output, lambda path: write_text(path, "x")):
        with pytest.raises(OutputError, match="Permission denied"):
            refuse(tmp_path / "closed" / "out.json")


@pytest.mark.parametrize("name", ["model.onnx", "model", "model.ADASGN", "adasgn"])
def test_endings(tmp_path, name):
    with pytest.raises(OutputError, match=r"--out: expected a name ending in \.adasgn, found '.*'; take --onnx"):
        check_output(tmp_path / name, (".adasgn",), "--out", "take --onnx")


def test_what_a_killed_process_left_is_removed_by_the_next_write(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from adasgn_edge.files import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as path:\n    print('open', flush=True); time.sleep(60)"
    )
    path, other = tmp_path / "state.pt", tmp_path / "other.pt"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]
        )
        for target in (path, path, other)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"open\n"
    try:
        writers[0].send_signal(signal.SIGKILL)
        writers[2].send_signal(signal.SIGKILL)
        writers[0].wait()
        writers[2].wait()
        assert len(names(tmp_path)) == 3
        write_text(path, "new")
        left = names(tmp_path)
        assert "state.pt" in left
        assert len(left) == 3, "that of the living writer, and that of the other file"
        assert sum(f"-{writers[1].pid}-" in name for name in left) == 1
        assert sum(name.startswith(".other.pt.") for name in left) == 1
    finally:
        writers[1].kill()
        for writer in writers:
            writer.communicate()


def test_what_another_machine_left_is_removed_after_a_day(tmp_path):
    fresh, old = tmp_path / ".model.00000000-1-0.tmp", tmp_path / ".model.00000000-2-0.tmp"
    unlike = tmp_path / ".model.backup.tmp"
    for path in (fresh, old, unlike):
        path.write_text("")
    os.utime(old, (time.time() - 25 * 3600,) * 2)
    os.utime(unlike, (0, 0))
    write_text(tmp_path / "model", "new")
    assert names(tmp_path) == [".model.00000000-1-0.tmp", ".model.backup.tmp", "model"]


def test_a_write_within_a_write_of_the_same_file(tmp_path):
    with atomic_path(tmp_path / "model") as outer:
        outer.write_text("outer")
        write_text(tmp_path / "model", "inner")
        assert outer.exists()
    assert (tmp_path / "model").read_text() == "outer"
    assert not files._open_files


def in_a_child(action: Callable[[], object]) -> int:
    """The status of a process that did this and ended, or was killed at it."""
    child = os.fork()
    if child == 0:
        try:
            action()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("place", ["old.txt", "new/folder/new.txt"])
def test_each_call_of_a_write_fails(tmp_path, place):
    """The n-th call fails, for every n: a named error, the old content or the new, and nothing beside it."""
    number = 1
    while True:
        path = tmp_path / str(number) / place
        path.parents[place.count("/")].mkdir()
        if place == "old.txt":
            path.write_text("old")
        with nth_call(number) as seen:
            try:
                write_text(path, "new")
            except OutputError as error:
                assert f"{path}: cannot be written (No space left on device)" == str(error)  # noqa: PT017
            else:
                assert len(seen) < number
        found = path.read_text() if path.exists() else "old"
        # Once it has its name, the new content stays: what failed is to put the name on the disk.
        assert found == ("new" if "replace" in seen[:-1] or len(seen) < number else "old"), seen
        assert not path.parent.exists() or names(path.parent) in ([], [path.name])
        if len(seen) < number:
            assert seen.count("fsync") == 1 + 1 + 2 * (place != "old.txt"), "the file, and each folder that has changed"
            break
        number += 1
    assert number > 6


def test_a_kill_at_each_call_of_a_write(tmp_path):
    """SIGKILL at the n-th call, for every n: the old content or the new, and the next write removes what is left."""
    path, number, killed = tmp_path / "file.txt", 1, True
    path.write_text("old")
    left = 0
    while killed:

        def write(number: int = number) -> None:
            with nth_call(number, die):
                write_text(path, "new")

        killed = in_a_child(write) == signal.SIGKILL
        assert path.read_text() in ("old", "new")
        left += len(names(tmp_path)) > 1
        write_text(path, "old")
        assert names(tmp_path) == ["file.txt"]
        number += 1
    assert number > 6
    assert left > 2


@pytest.mark.parametrize("size", [0, 1, 4095, 9999])
def test_a_disk_that_is_full_at_some_byte(tmp_path, size):
    (tmp_path / "file.txt").write_text("old")
    with largest_file(size), pytest.raises(OutputError, match=r"file\.txt: cannot be written \(File too large\)"):
        write_text(tmp_path / "file.txt", 10_000 * "x")
    assert names(tmp_path) == ["file.txt"]
    assert (tmp_path / "file.txt").read_text() == "old"


# -- locks ----------------------------------------------------------------------------------------------------------


def test_a_folder_is_for_one_at_a_time(tmp_path):
    folder = tmp_path / "a" / "b"
    with locked(folder):
        with (
            pytest.raises(OutputError, match=rf"b: taken by process {os.getpid()}; wait until it ends"),
            locked(folder),
        ):
            pass
        assert names(folder) == [".lock"]
    assert names(folder) == []
    with locked(folder):
        pass


def test_a_killed_process_holds_no_lock(tmp_path):
    def hold() -> None:
        with locked(tmp_path):
            die()

    assert in_a_child(hold) == signal.SIGKILL
    assert names(tmp_path) == [".lock"]
    with locked(tmp_path):
        assert (tmp_path / ".lock").read_text().startswith(f"{os.getpid()} ")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"12 far-away\n", "process 12 of the machine far-away"),
        (b"", "another process"),
        (b"12 \x1b[31m\n", "another process"),
        (b"\xff" * 1000, "another process"),
    ],
)
def test_what_a_lock_says_of_its_process(tmp_path, content, said):
    with locked(tmp_path):
        (tmp_path / ".lock").write_bytes(content)
        with pytest.raises(OutputError, match=f"taken by {said}; wait"), locked(tmp_path):
            pass


def test_a_lock_whose_file_is_removed_in_between(tmp_path, monkeypatch):
    """By the process that held it: the lock on what was the file is none."""
    real, calls = fcntl.flock, []

    def flock(descriptor: int, operation: int) -> None:
        calls.append(operation)
        if len(calls) == 1:
            (tmp_path / ".lock").unlink()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked(tmp_path):
        assert len(calls) == 2
        with pytest.raises(OutputError, match="taken by"), locked(tmp_path):
            pass


@pytest.mark.parametrize(("number", "works"), [(errno.ENOTSUP, True), (errno.ENOLCK, True), (errno.EIO, False)])
def test_a_file_system_without_locks(tmp_path, monkeypatch, number, works):
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    if works:
        with pytest.warns(UserWarning, match=r"cannot be locked \(.*\); see to it that no other"), locked(tmp_path):
            pass
    else:
        with pytest.raises(OutputError, match="cannot be written"), locked(tmp_path):
            pass


def test_each_call_of_a_lock_fails(tmp_path):
    number = 1
    while True:
        with nth_call(number) as seen:
            try:
                with locked(tmp_path / "folder"):
                    pass
            except OutputError as error:
                assert str(error).endswith("folder: cannot be written (No space left on device)")  # noqa: PT017
        if len(seen) < number:
            break
        assert not (tmp_path / "folder").exists() or names(tmp_path / "folder") == []
        number += 1
    assert number > 4
