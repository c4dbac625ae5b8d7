"""Doctor on installations of several kinds: copies of this one whose parts or notes are changed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import adasgn_edge
from adasgn_edge.errors import EngineError
from adasgn_edge.installation import diagnosis
from adasgn_edge.installation.build_info import BuildInfo, Part, fits_gpu, read_build, same_torch
from adasgn_edge.installation.cuda_driver import Driver, Gpu, query_driver

pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")


BIG = ("torch", "safetensors", "pydantic", "matplotlib", "onnx", "onnxscript")
"""Packages that take seconds to load."""


class Installation:
    """A copy of the package in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "adasgn_edge"
        source = Path(adasgn_edge.__file__).parent
        shutil.copytree(source, self.package, ignore=shutil.ignore_patterns("__pycache__", "weights"))
        # An editable installation's finder would bring back, from the source tree, what is removed here.
        (folder / "sitecustomize.py").write_text(
            "import sys\nsys.meta_path[:] = [f for f in sys.meta_path if '__editable__' not in repr(f)]\n"
        )

    def python(self, *arguments: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        return subprocess.run(
            [sys.executable, *arguments], env=environment, cwd=self.folder, capture_output=True, text=True, check=check
        )

    def doctor(self) -> tuple[dict, int]:
        done = self.python("-m", "adasgn_edge", "doctor", "--json")
        facts = json.loads(done.stdout)
        assert facts["machine"]["folder"] == str(self.package)
        return facts["parts"], done.returncode

    def hide(self, *modules: str) -> None:
        """Packages that shall look as if they were not installed."""
        for module in modules:
            (self.folder / f"{module}.py").write_text(f"raise ModuleNotFoundError({module!r}, name={module!r})\n")

    def note(self, part: str, **facts: object) -> None:
        path = self.package / "_build.json"
        record = json.loads(path.read_text())
        record[part] = {**record[part], **facts}
        path.write_text(json.dumps(record))

    def remove(self, module: str) -> None:
        for path in self.package.glob(f"{module}.*.so"):
            path.unlink()


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    made = Installation(tmp_path)
    made.hide("matplotlib", "onnx", "onnxscript")  # not the subject, and doctor tries to load what it finds
    return made


@pytest.fixture
def with_torch(installation: Installation) -> Installation:
    pytest.importorskip("torch")
    if not read_build().torch.built:
        pytest.skip("the torch ops are not built")
    return installation


@pytest.mark.slow
def test_what_works_is_said_to_work(with_torch):
    parts, status = with_torch.doctor()
    assert status == 0
    assert parts["core"]["works"]
    assert set(parts["core"]["facts"]["usable"]) <= set(parts["core"]["facts"]["built"])
    assert parts["torch ops"]["works"], parts["torch ops"]
    assert parts["extra train"]["works"]


@pytest.mark.slow
def test_another_torch_is_found_out_before_the_library_is_loaded(with_torch):
    with_torch.note("torch", version="2.5.1+cu124")
    with_torch.hide("foxglove")
    part = with_torch.doctor()[0]["torch ops"]
    assert not part["works"]
    assert part["summary"].startswith("built against torch 2.5.1+cu124")
    assert "is installed" in part["reason"]
    assert "--no-build-isolation" in part["remedy"]
    assert "--no-cache-dir" in part["remedy"]
    code = (
        "import torch, adasgn_edge.errors\n"
        "try:\n    import adasgn_edge.torch_ops\n"
        "except adasgn_edge.errors.EngineError as error:\n    print(error)\n"
        "print(hasattr(torch.ops.adasgn_edge, 'run'))"
    )
    said = with_torch.python("-c", code, check=True).stdout
    assert "expected torch 2.5.1+cu124, against which they were built, found torch" in said
    assert said.endswith("False\n")


@pytest.mark.slow
def test_a_library_that_does_not_load(with_torch):
    (library,) = with_torch.package.glob("_torch_ops.*.so")
    library.write_bytes(b"no library")
    part = with_torch.doctor()[0]["torch ops"]
    assert not part["works"]
    assert "expected a library that loads" in part["reason"]
    with_torch.remove("_torch_ops")
    assert "expected the library" in with_torch.doctor()[0]["torch ops"]["reason"]


@pytest.mark.slow
def test_a_build_without_torch(installation):
    installation.remove("_torch_ops")
    installation.note("torch", built=False, reason="torch was hidden", remedy="do not hide it")
    parts, status = installation.doctor()
    assert status == 0
    assert parts["core"]["works"]
    part = parts["torch ops"]
    assert (part["works"], part["reason"], part["remedy"]) == (False, "torch was hidden", "do not hide it")
    if parts["extra train"]["works"]:
        code = "from adasgn_edge.errors import EngineError\ntry:\n    import adasgn_edge.torch_ops\n"
        said = installation.python("-c", code + "except EngineError as error:\n    print(error)", check=True).stdout
        assert "expected them to be built, found that torch was hidden; do not hide it" in said


def test_numpy_alone_is_enough(installation):
    installation.hide("typer", "rich", "click", "torch", "safetensors", "pydantic", "matplotlib", "onnx", "onnxscript")
    done = installation.python("-m", "adasgn_edge", "doctor")
    assert done.returncode == 0, done.stderr
    assert ["core", "works"] in [line.split()[:2] for line in done.stdout.splitlines()]
    code = "import numpy, adasgn_edge.hands as hands; numpy.savez('hand.npz', positions=1000 * hands.animate('Tap'))"
    installation.python("-c", code, check=True)
    looked = installation.python("-m", "adasgn_edge", "doctor", "--source", "hand.npz")
    assert looked.returncode == 1, looked.stderr
    assert "if so write: --units mm" in looked.stdout
    assert installation.python("-m", "adasgn_edge", "doctor", "--source", "none.npz").returncode == 2
    ops = installation.python("-c", "import adasgn_edge.torch_ops")
    assert "MissingDependencyError: torch ops: expected torch, found none" in ops.stderr
    other = installation.python("-m", "adasgn_edge", "cost")
    assert other.returncode != 0
    assert "pip install 'adasgn-edge[cli]'" in other.stderr


def test_without_its_core_an_installation_is_broken(installation):
    installation.hide(*BIG)
    installation.remove("_native")
    parts, status = installation.doctor()
    assert status == 1
    assert "native engine: expected the compiled module" in parts["core"]["reason"]


@pytest.mark.parametrize("content", [None, "{", "[]", '{"version": 9}', '{"version": 1}'])
def test_notes_of_the_build_that_cannot_be_read(installation, content):
    path = installation.package / "_build.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(EngineError, match=r"expected .*, found"):
        read_build(installation.package)
    installation.hide(*BIG)
    parts, status = installation.doctor()
    assert status == 0  # models run all the same
    assert "how it was built is not known" in parts["core"]["reason"]


def test_doctor_is_a_command_like_the_others(capsys, monkeypatch):
    typer = pytest.importorskip("typer")
    from adasgn_edge.cli.app import app

    parts = {name: diagnosis.PartState(True, f"{name} is there") for name in ("core", "torch ops")}
    monkeypatch.setattr("adasgn_edge.cli.doctor.diagnose", lambda: diagnosis.Diagnosis({"folder": "here"}, parts))
    for options in ("--json",), ():
        monkeypatch.setattr(sys, "argv", ["adasgn-edge", "doctor", *options])
        with pytest.raises((SystemExit, typer.Exit)) as ended:
            app()
        assert ended.value.code == 0
        printed = capsys.readouterr().out
        if options:
            assert json.loads(printed)["parts"]["core"]["works"]
        else:
            assert "torch ops   works    torch ops is there" in printed


def test_extras_are_those_of_the_project():
    tomllib = pytest.importorskip("tomllib")
    project = Path(__file__).parents[2] / "pyproject.toml"
    stated = tomllib.loads(project.read_text())["project"]["optional-dependencies"]
    for extra, modules in diagnosis.EXTRAS.items():
        wanted = {re.split("[;>=]", entry)[0].strip() for entry in stated[extra]} - {"tomli"}
        assert {name for name in wanted if not name.startswith("adasgn-edge")} == set(modules)


# -- facts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("built", "found", "same"),
    [
        ("2.13.0+cpu", "2.13.0+cpu", True),
        ("2.13.0", "2.13.0+cu130", True),
        ("2.13.0", "2.13.1", False),
        ("2.13.0", "2.14.0", False),
        ("2.5.0a0+872d972e41.nv24.08", "2.5.0a0+872d972e41.nv24.08", True),
        ("2.5.0a0+872d972e41.nv24.08", "2.5.0a0+b465a5843b.nv24.09", False),
        ("2.5.0a0+872d972e41.nv24.08", "2.5.0", False),
    ],
)
def test_which_torch_is_the_same(built, found, same):
    assert same_torch(built, found) is same


@pytest.mark.parametrize(
    ("architecture", "capability", "how"),
    [
        ("8.7", (8, 7), "binary"),
        ("8.6", (8, 7), "binary"),
        ("8.7", (8, 6), None),
        ("8.0", (9, 0), None),
        ("8.0+PTX", (9, 0), "ptx"),
        ("9.0+PTX", (8, 7), None),
        ("9.0 PTX only", (9, 0), "ptx"),
        ("9.0a", (9, 0), "binary"),
        ("9.0a", (9, 1), None),
        ("12.0+PTX", (12, 1), "binary"),
    ],
)
def test_which_code_runs_on_which_gpu(architecture, capability, how):
    assert fits_gpu(architecture, capability) == how


def build_with(*architectures: str) -> BuildInfo:
    absent = Part(False, reason="-", remedy="-")
    return BuildInfo("x86_64", "g++", "", {"sse2": ""}, Part(True, "13.0", architectures), absent, absent)


ORIN, H100 = Gpu("Orin", (8, 7)), Gpu("NVIDIA H100", (9, 0))


@pytest.mark.parametrize(
    ("architectures", "driver", "works", "said"),
    [
        (("8.6", "8.7"), Driver("12.6", (ORIN,)), True, ""),
        (("8.0+PTX",), Driver("13.0", (H100,)), True, "compiled from PTX at the first start"),
        (("8.7",), Driver("13.0", (H100,)), False, "none of the architectures fits NVIDIA H100 (9.0)"),
        (("8.7",), Driver("13.0", (H100, ORIN)), True, ""),
        (("8.7",), Driver(problem="no NVIDIA driver: libcuda.so.1 is not installed"), False, "no NVIDIA driver"),
    ],
)
def test_gpus_that_fit_and_that_do_not(architectures, driver, works, said):
    part = diagnosis._cuda(build_with(*architectures), driver)
    assert part.works is works
    assert said in part.reason
    assert bool(part.remedy) is bool(part.reason)


DRIVER = """
#include <string.h>
int cuDriverGetVersion(int* version) { *version = 12060; return 0; }
int cuInit(unsigned flags) { return INIT; }
int cuDeviceGetCount(int* count) { *count = 2; return 0; }
int cuDeviceGet(int* device, int index) { *device = index + 5; return 0; }
int cuDeviceGetName(char* name, int size, int device) { strncpy(name, device == 5 ? "Orin" : "H100", size); return 0; }
int cuDeviceGetAttribute(int* value, int attribute, int device) {
    *value = attribute == 75 ? (device == 5 ? 8 : 9) : attribute == 76 ? (device == 5 ? 7 : 0) : -1;
    return 0;
}
int cuGetErrorName(int code, const char** name) { *name = "CUDA_ERROR_NO_DEVICE"; return code != 100; }
"""


def test_what_the_driver_says(tmp_path):
    """A library that answers like a driver: no machine of the tests has one."""
    (tmp_path / "driver.c").write_text(DRIVER)
    for name, code in (("works", 0), ("none", 100)):
        source, library = str(tmp_path / "driver.c"), str(tmp_path / f"{name}.so")
        subprocess.run(["cc", "-shared", "-fPIC", f"-DINIT={code}", source, "-o", library], check=True)
    assert query_driver(str(tmp_path / "works.so")) == Driver("12.6", (Gpu("Orin", (8, 7)), Gpu("H100", (9, 0))))
    assert query_driver(str(tmp_path / "none.so")).problem == "the NVIDIA driver shows no GPU (CUDA_ERROR_NO_DEVICE)"
    assert "no NVIDIA driver" in query_driver(str(tmp_path / "missing.so")).problem
