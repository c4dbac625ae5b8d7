"""Writing files: never half of one, named errors, nothing left behind."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adasgn_edge import files
from adasgn_edge.errors import OutputError
from adasgn_edge.files import atomic_path, check_output, write_text


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
