"""Doctor where something is broken: it says what, and never ends in a traceback."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.installation.test_doctor import BIG, Installation

pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """Without the big packages, which are not the subject and take seconds to load."""
    made = Installation(tmp_path)
    made.hide(*BIG)
    made.remove("_torch_ops")
    made.note("torch", built=False, reason="-", remedy="-")
    return made


def native(installation: Installation) -> Path:
    (library,) = installation.package.glob("_native.*.so")
    return library


@pytest.mark.parametrize("kept", [0, 100, 5000, 200_000])
def test_an_engine_that_is_cut_off(installation, kept):
    """A disk that was full while installing; the loader may end the process that tries it."""
    content = native(installation).read_bytes()
    native(installation).write_bytes(content[:kept])
    parts, status = installation.doctor()
    assert status == 1
    assert not parts["core"]["works"]
    assert parts["core"]["reason"]
    assert "--force-reinstall" in parts["core"]["remedy"]


def test_an_engine_for_another_python(installation):
    library = native(installation)
    library.rename(library.with_name("_native.cpython-38-x86_64-linux-gnu.so"))
    parts, status = installation.doctor()
    assert status == 1
    assert "found _native.cpython-38-x86_64-linux-gnu.so, made for another Python" in parts["core"]["reason"]


@pytest.mark.parametrize(
    ("raised", "remedy"),
    [
        ("ModuleNotFoundError('No module named numpy', name='numpy')", "pip install"),
        ("ImportError('numpy.core.multiarray failed to import')", "pip install"),
        ("RuntimeError('CPU lacks SSE4')", "pip install"),
    ],
)
def test_numpy_that_is_missing_or_broken(installation, raised, remedy):
    (installation.folder / "numpy.py").write_text(f"raise {raised}\n")
    parts, status = installation.doctor()
    assert status == 1
    assert parts["core"]["summary"] == "does not load: no NumPy"
    assert parts["core"]["remedy"].startswith(remedy)
    assert raised.partition("(")[0] in parts["core"]["reason"]


@pytest.mark.parametrize(
    "raised",
    [
        "OSError('libcudart.so.12: cannot open shared object file')",
        "ImportError('undefined symbol: ncclCommInit')",
        "RuntimeError('NVRTC was not found')",
    ],
)
def test_torch_that_does_not_load(installation, raised):
    (installation.folder / "torch.py").write_text(f"raise {raised}\n")
    for module in ("safetensors", "pydantic"):
        (installation.folder / f"{module}.py").write_text("")
    parts, status = installation.doctor()
    assert status == 0
    assert parts["core"]["works"]
    part = parts["extra train"]
    assert not part["works"]
    assert raised.partition("'")[2].partition("'")[0] in part["reason"]


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00",
        b'{"version": 1, "machine": 3, "compiler": "g++", "flags": "", "instruction_sets": {}, "cuda": {"built": true, '
        b'"architectures": [1]}, "torch": {"built": false}}',
        b"[" * 100_000,
    ],
    ids=["no text", "wrong types", "deep"],
)
def test_notes_of_the_build_that_are_damaged(installation, content):
    (installation.package / "_build.json").write_bytes(content)
    parts, status = installation.doctor()
    assert status == 0
    assert parts["core"]["works"]


def test_with_nothing_at_all(installation):
    """No packages, no engine, no notes, no home, no locale."""
    installation.hide("numpy", "typer", "rich", "click", *BIG)
    installation.remove("_native")
    (installation.package / "_build.json").unlink()
    code = (
        "import os, sys; os.environ.update(HOME='/nowhere', LC_ALL='C', PYTHONUTF8='0')\n"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    done = installation.python("-c", code, sys.executable, "-m", "adasgn_edge", "doctor")
    assert done.returncode == 1
    assert done.stderr == ""
    assert "does not load: no NumPy" in next(line for line in done.stdout.splitlines() if line.startswith("core "))
    assert "pip install --force-reinstall 'adasgn-edge[cli]'" in done.stdout
