"""What is said of TensorRT where it is missing, another, or does not load; versions; doctor's row."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from adasgn_edge.errors import EngineError, TensorRTError
from adasgn_edge.installation.build_info import Part
from adasgn_edge.installation.cuda_driver import Driver, Gpu
from adasgn_edge.installation.tensorrt_part import tensorrt_state
from adasgn_edge.tensorrt.runtime import Version, explain, find_tensorrt, unfit

ABSENT = ModuleNotFoundError("No module named 'tensorrt'", name="tensorrt")
ORIN = Driver("12.6", (Gpu("Orin", (8, 7)),))
BUILT = Part(True, "10.3.0")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("10.3.0", (10, 3, 0)),
        ("10.16.1.11", (10, 16, 1, 11)),
        ("11.4.0.106", (11, 4, 0, 106)),
        ("10.3.0.30-1+cuda12.5", (10, 3, 0, 30)),
        ("1:10.16.2.10-1+cuda13.2", (10, 16, 2, 10)),
        ("10.13.3.9.post1", (10, 13, 3, 9)),
    ],
)
def test_versions_are_read_in_every_form(text, numbers):
    assert Version.parse(text).numbers == numbers


@pytest.mark.parametrize("text", ["", "10", "ten", "10.3.0.30.5"])
def test_what_is_no_version_is_refused(text):
    with pytest.raises(TensorRTError, match=r"expected a version such as 10\.3\.0, found"):
        Version.parse(text)


def test_numbers_of_the_library_have_two_forms():
    assert Version.from_number(100300) == Version((10, 3, 0))
    assert Version.from_number(101602) == Version((10, 16, 2))
    assert Version.from_number(110401) == Version((11, 4, 1))
    assert Version.from_number(8601) == Version((8, 6, 1))
    assert Version((10, 3, 0)) < Version((10, 16, 1, 11)) < Version((11, 0, 0))


def system_package(root: Path, python: str) -> None:
    folder = root / "usr" / "lib" / python / "dist-packages" / "tensorrt"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()


def jetson(root: Path) -> None:
    (root / "proc" / "device-tree").mkdir(parents=True)
    (root / "proc" / "device-tree" / "compatible").write_bytes(b"nvidia,p3768\0nvidia,tegra234\0")


def test_a_board_is_never_told_to_use_pip(tmp_path):
    jetson(tmp_path)
    missing = explain(ABSENT, tmp_path)
    assert missing.remedy.startswith("sudo apt install python3-libnvinfer libnvinfer-dev")
    assert "pip install" not in missing.remedy


def test_a_package_of_the_system_that_the_environment_does_not_see(tmp_path):
    jetson(tmp_path)
    system_package(tmp_path, "python3.9")
    missing = explain(ABSENT, tmp_path)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    place = "/usr/lib/python3.9/dist-packages"
    assert missing.reason == f"it is installed in {place}, which this environment does not see (this is Python {here})"
    assert missing.remedy.startswith("/usr/bin/python3.9 -m venv --system-site-packages ENVIRONMENT")


def test_a_package_of_this_python(tmp_path):
    system_package(tmp_path, f"python{sys.version_info.major}.{sys.version_info.minor}")
    assert explain(ABSENT, tmp_path).reason.endswith("does not see")


@pytest.mark.parametrize(
    ("error", "reason", "remedy"),
    [
        (
            ImportError("libnvdla_compiler.so: cannot open shared object file: No such file or directory"),
            "libnvdla_compiler.so is missing",
            "sudo apt install nvidia-l4t-dla-compiler",
        ),
        (
            ImportError("libnvinfer.so.10: cannot open shared object file: No such file or directory"),
            "libnvinfer.so.10 is missing",
            "sudo apt install libnvinfer10 libnvonnxparsers10",
        ),
        (RuntimeError("something else"), "the module does not load ('something else')", "sudo apt install python3-"),
    ],
)
def test_a_library_that_is_missing_is_named_with_its_package(tmp_path, error, reason, remedy):
    jetson(tmp_path)
    missing = explain(error, tmp_path)
    assert reason in missing.reason
    assert remedy in missing.remedy


def test_tensorrt_that_is_not_there_is_a_named_error(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(TensorRTError, match=r"TensorRT: .*sudo apt install") as raised:
        find_tensorrt(tmp_path)
    assert isinstance(raised.value, EngineError)


def test_gpus_that_a_version_is_known_to_lack():
    assert "10.13.3" in str(unfit(Version((10, 13, 3)), (8, 7)))
    assert unfit(Version((10, 13, 3)), (11, 0)) is None
    assert "supports no JetPack" in str(unfit(Version((11, 4, 0, 106)), (8, 7)))
    for version in ((10, 3, 0), (10, 16, 2), (11, 4, 1)):
        assert unfit(Version(version), (8, 7)) is None


# -- doctor -----------------------------------------------------------------------------------------------------------


def state(found: dict[str, str] | str, part: Part = BUILT, driver: Driver = ORIN, there: bool = True):
    said = found if isinstance(found, str) else f"a warning of a library\n{json.dumps(found)}\n"
    return tensorrt_state(part, driver, lambda statement: ("", said), there)


def test_everything_is_there():
    row = state({"version": "10.3.0", "file": "/usr/lib/python3/dist-packages/tensorrt/__init__.py"})
    assert row.works
    assert (row.summary, row.reason, row.remedy) == ("TensorRT 10.3.0, plugin for 10.3.0", "", "")


@pytest.mark.parametrize(
    ("changes", "reason", "remedy"),
    [
        ({"found": {"reason": "no module", "remedy": "bring it"}}, "TensorRT: no module", "bring it"),
        ({"found": {"version": "8.6.1"}}, "TensorRT 8.6.1 is none of 10 or 11", "install TensorRT 10 or 11"),
        ({"found": {"version": "11.4.1"}}, "built for TensorRT 10 and 11.4.1 is installed", "libnvinfer-dev=11.4.1*"),
        ({"found": {"version": "10.13.3"}}, "has no code for GPUs of compute capability 8.7", "install another"),
        ({"found": {"version": "10.3.0", "problem": "no creator"}}, "no creator", "pip install"),
        ({"there": False}, "libadasgn_tensorrt.so is not there", "pip install"),
        (
            {"part": Part(False, reason="no NvInferRuntime.h was found", remedy="sudo apt install libnvinfer-dev")},
            "the plugin was not built, as no NvInferRuntime.h was found",
            "sudo apt install libnvinfer-dev",
        ),
        ({"driver": Driver(problem="no NVIDIA driver")}, "no NVIDIA driver", "install NVIDIA's driver"),
        ({"found": "no JSON"}, "printed no answer", ""),
    ],
)
def test_each_part_that_is_missing_is_named(changes, reason, remedy):
    row = state(**{"found": {"version": "10.3.0"}, **changes})
    assert not row.works
    assert reason in row.reason
    assert remedy in row.remedy
    assert row.reason.count(";") <= 1  # and nothing else is


def test_all_that_is_missing_is_named_at_once():
    absent = Part(False, reason="no headers", remedy="bring the headers")
    row = state({"reason": "no module", "remedy": "bring the module"}, absent, Driver(problem="no driver"))
    assert row.reason == "TensorRT: no module; the plugin was not built, as no headers; no driver"
    assert row.remedy.startswith("bring the module; bring the headers; install NVIDIA's driver")
    assert row.summary == "TensorRT missing, plugin not built"


def test_a_python_that_dies_of_it_is_said():
    died = "`import tensorrt` ended with SIGSEGV: a file is damaged"
    row = tensorrt_state(BUILT, ORIN, lambda statement: (died, ""), True)
    assert not row.works
    assert died in row.reason


def test_the_probe_of_this_machine(machine, capsys):
    from adasgn_edge.tensorrt.plugin import probe

    assert json.loads(probe(str(machine.library)))["version"] == "10.3.0"
    machine.state.offers = False
    found = json.loads(probe(str(machine.library)))
    assert "expected the creator adasgn_edge::AdaSGN, version 1" in found["problem"]
