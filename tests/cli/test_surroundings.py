"""The commands where the system is not as developers have it: locales, pipes, full disks, names, missing packages."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")

import adasgn_edge
import adasgn_edge.errors
from adasgn_edge.cli.terminal import json_line, printable
from adasgn_edge.hands import animate

PACKAGE = Path(adasgn_edge.__file__).parent
ASCII = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
ESCAPE = "\x1b[31m"


def run(
    *arguments: object, path: Path | None = None, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """The command in a Python of its own; path: a folder before the package's own in Python's path."""
    places = [str(place) for place in (path, PACKAGE.parent) if place is not None]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places), **variables}
    command = [sys.executable, "-m", "adasgn_edge", *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True)


def expect_one_line(done: subprocess.CompletedProcess[bytes], said: str, status: int = 2) -> None:
    error = done.stderr.decode(errors="replace")
    assert done.returncode == status, error
    assert said in error
    assert "Traceback" not in error
    assert error.startswith("adasgn-edge: ")
    assert error.count("\n") == 1


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.npz"
    np.savez(path, positions=animate("Swipe V", seed=4))
    return path


# -- encodings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
def test_help_in_any_encoding(encoding):
    """The help of `train` has an alpha, boxes surround it."""
    done = run("train", "--help", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    shown = done.stdout.decode(encoding)
    assert ("α" if encoding in ("cp437", "utf-8") else "alpha") in shown


@pytest.mark.parametrize("command", [("convert", "--list"), ("cost",), ("demo", "--count", "1", "--no-live")])
def test_tables_and_pictures_in_ascii(command):
    done = run(*command, **ASCII)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert done.stdout.decode("ascii")


@pytest.mark.parametrize("locale", [ASCII, {}], ids=["ascii", "as it is"])
def test_a_package_a_model_and_a_clip_behind_a_name_with_an_umlaut(tmp_path, clip, locale):
    folder = tmp_path / "für Zürich"
    shutil.copytree(PACKAGE, folder / "adasgn_edge", ignore=shutil.ignore_patterns("__pycache__"))
    model = folder / "modèle.adasgn"
    shutil.copy(adasgn_edge.shipped_model(), model)
    code = "import adasgn_edge, sys; print(ascii(adasgn_edge.__file__))"
    environment = {**os.environ, **locale, "PYTHONPATH": str(folder)}
    for program in (("-c", code), ("-m", "adasgn_edge", "classify", clip.rename(folder / "ü.npz"), "--json")):
        done = subprocess.run([sys.executable, *program], env=environment, cwd=folder, capture_output=True)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
    row = json.loads(done.stdout)
    assert os.fsencode(row["file"]).endswith("ü.npz".encode()) or row["file"].endswith("ü.npz")
    done = run("classify", folder / "ü.npz", "--model", model, **locale)
    assert done.returncode == 0, done.stderr.decode(errors="replace")


def test_an_engine_from_a_path_that_is_no_text(tmp_path):
    """Linux takes any bytes as a name. What the engine says of it comes back as Python would write it."""
    model = os.fsencode(tmp_path) + b"/gr\xfc\xdfe.adasgn"
    shutil.copy(adasgn_edge.shipped_model(), model)
    text = os.fsdecode(model)
    assert adasgn_edge.load(text).description.kind == adasgn_edge.load(Path(text)).description.kind == "adasgn"
    Path(text).write_bytes(b"no model")
    with pytest.raises(adasgn_edge.errors.ModelFileError) as raised:
        adasgn_edge.load(text)
    assert r"gr\udcfc\udcdfe.adasgn: expected" in str(raised.value)
    with pytest.raises(adasgn_edge.errors.ModelFileError, match="NUL character"):
        adasgn_edge.load(str(adasgn_edge.shipped_model()) + "\0.adasgn")
    done = run("classify", "clip.npz", "--model", os.fsdecode(model))
    expect_one_line(done, r"gr\udcfc\udcdfe.adasgn")


def test_json_stays_json(monkeypatch, capsys):
    row = {"file": "für\udcff", "label": ESCAPE, "ü": "\x9b31m"}
    assert json.loads(json_line(row)) == row
    assert json_line(row).isascii()
    assert json_line({"label": "Grüße"}) == '{"label": "Grüße"}'


# -- what acts on terminals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, Grüße, 日本, 👍", "plain, Grüße, 日本, 👍"),
        (f"{ESCAPE}red", "\\x1b[31mred"),
        ("a\nb\r\tc\x00", "a\\x0ab\\x0d\\x09c\\x00"),
        ("\x9b31m", "\\x9b31m"),
        ("right\u202eleft", "right\\u202eleft"),
        ("\udcff", "\\xff"),
        ("می‌خواهم", "می‌خواهم"),
    ],
)
def test_printable(text, shown):
    assert printable(text) == shown


def test_long_messages_lose_their_middle():
    text = printable("begin " + "x" * 20_000 + " end", 600)
    assert len(text) == 600
    assert text.startswith("begin x")
    assert text.endswith("x end")
    assert "…" in text


@pytest.mark.parametrize(
    "arguments",
    [
        (f"no{ESCAPE}such",),
        ("cost", f"--no{ESCAPE}such"),
        ("cost", "--classes", f"{ESCAPE}1"),
        ("cost", "--layout", f"{ESCAPE}{'x' * 9000}"),
        ("classify", f"{ESCAPE}.npz"),
        ("train", f"{ESCAPE}recipe"),
        ("convert", f"{ESCAPE}data"),
        ("export", f"{ESCAPE}weights"),
    ],
)
def test_arguments_do_nothing_to_a_terminal(arguments, tmp_path):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert b"\x1b" not in done.stderr + done.stdout
    assert len(done.stderr) < 2500  # a box of usage has borders
    assert b"Traceback" not in done.stderr


def test_names_in_tables_do_nothing_to_a_terminal(tmp_path, clip):
    named = clip.rename(tmp_path / f"clip{ESCAPE}.npz")
    done = run("classify", named.name, cwd=tmp_path)  # a name that fits into a line of its cell
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout
    assert b"clip\\x1b" in done.stdout.replace(b"\n", b"")


# -- pipes and disks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("convert", "--list"), ("--help",), ("doctor",), ("demo", "--no-live")])
def test_a_reader_that_goes_away(arguments):
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "adasgn_edge", *arguments]
    done = subprocess.run(command, env=environment, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("arguments", [("convert", "--list"), ("export", "--help"), ("--version",)])
def test_output_that_does_not_fit(arguments):
    with Path("/dev/full").open("wb") as full:
        environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
        command = [sys.executable, "-m", "adasgn_edge", *arguments]
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode in (1, 2)
    assert b"standard output: cannot be written (No space left on device)" in done.stderr
    assert b"Traceback" not in done.stderr


def test_standard_streams_that_are_closed(tmp_path):
    command = f'"{sys.executable}" -m adasgn_edge cost >&- 2>&-; echo $?'
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("export", "w.safetensors", "-o", "model.onnx"),
            "expected a name ending in .adasgn, found 'model.onnx'",
        ),
        (
            ("export", "w.safetensors", "-o", "model"),
            "found 'model'; ONNX is written by --onnx",
        ),
        (("export", "w.safetensors", "-o", "file/model.adasgn"), "cannot be written (Not a directory)"),
        (
            ("export", "w.safetensors", "-o", "folder.adasgn"),
            "folder.adasgn: expected the name of a file, found a folder",
        ),
        (("export", "w.adasgn", "-o", "w.adasgn"), "expected another file than the weights that are read"),
        (("export", "w.safetensors", "--onnx", "model.pb"), "--onnx: expected a file ending in .onnx or a folder"),
        (("export", "w.safetensors", "--onnx", "file/model.onnx"), "--onnx: file/model.onnx: cannot be written"),
        (("eval", "--json", "folder.adasgn"), "--json: folder.adasgn: expected the name of a file, found a folder"),
        (("eval", "--json", "file/eval.json"), "cannot be written (Not a directory)"),
        (("convert", "shrec14", "--out", "file/a.skeletons"), "cannot be written (Not a directory)"),
        (("plot", "curves", "-o", "curves.gif"), "picture: expected a name ending in .png or .svg"),
        (("plot", "curves", "-o", "curves"), "picture: expected a name ending in .png or .svg"),
    ],
)
def test_outputs_are_checked_before_the_work(tmp_path, arguments, said):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.adasgn").mkdir()
    (tmp_path / "w.adasgn").write_text("weights")
    if arguments[0] in ("eval", "export"):
        pytest.importorskip("torch")
    if arguments[0] == "plot":
        pytest.importorskip("matplotlib")
    expect_one_line(run(*arguments, cwd=tmp_path), said)
    assert (tmp_path / "w.adasgn").read_text() == "weights"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.adasgn", "w.adasgn"]


# -- packages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "arguments", "said"),
    [
        ("numpy", ("classify", "clip.npz"), "needs NumPy, which is not installed: pip install"),
        ("typer", ("cost",), "pip install 'adasgn-edge[cli]'"),
        ("torch", ("train", "shrec14"), "pip install 'adasgn-edge[train]'"),
        ("pydantic", ("train", "shrec14"), "pip install 'adasgn-edge[train]'"),
        ("matplotlib", ("plot", "curves"), "pip install 'adasgn-edge[plot]'"),
    ],
)
def test_a_package_that_is_missing_or_broken(tmp_path, package, arguments, said):
    stub = tmp_path / f"{package}.py"
    stub.write_text(f"raise ModuleNotFoundError('No module named {package}', name={package!r})\n")
    expect_one_line(run(*arguments, path=tmp_path), said)
    stub.write_text(f"raise ImportError('lib{package}.so: undefined symbol', name={package!r})\n")
    expect_one_line(run(*arguments, path=tmp_path), f"{package} is installed but does not load")


@pytest.mark.parametrize("moment", ["numpy", "typer"])
def test_ctrl_c_while_packages_are_loaded(tmp_path, moment):
    (tmp_path / f"{moment}.py").write_text("raise KeyboardInterrupt\n")
    expect_one_line(run("cost", path=tmp_path), "interrupted", 130)


def test_sigterm_ends_it_as_any_program(tmp_path):
    (tmp_path / "typer.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n")
    assert run("cost", path=tmp_path).returncode == -signal.SIGTERM


def test_usage_errors_are_unchanged():
    done = run("cost", "--classes", "many")
    assert done.returncode == 2
    assert "Invalid value for '--classes'" in done.stderr.decode()
