"""The bounds of pyproject.toml are those that `make test-lowest` installs."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lowest_versions", ROOT / "tools" / "test_lowest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for their annotations
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_bound_is_installed_by_a_stage(script, project):
    groups = script.read_groups(project)
    script.check_covered(groups)
    assert {"build", "core", "cli", "train", "plot", "onnx", "test", "bench", "lint", "camera"} <= set(groups)
    assert "test-lowest" in (ROOT / ".ci" / "run").read_text(), "CI does not run it"


@pytest.mark.parametrize(
    ("extra", "lines", "message"),
    [
        ("robot", ["rospkg>=1.5"], "robot: expected a stage"),
        ("plot", ["matplotlib"], "expected NAME>=VERSION"),
        ("plot", ["matplotlib<4"], "expected NAME>=VERSION"),
        ("plot", ["matplotlib>=3.8,!=3.9"], "expected NAME>=VERSION"),
        ("bench", ["onnxruntime>=1.21"], "onnxruntime: expected one bound, found 1.19, 1.21"),
        ("camera", ["mediapipe>=0.10.21"], "expected exact versions, found a bound for mediapipe"),
        ("lint", ["ruff>=0.9"], "expected exact versions, found a bound for ruff"),
    ],
)
def test_what_it_would_not_install_is_refused(script, project, extra, lines, message):
    project["project"]["optional-dependencies"][extra] = lines
    with pytest.raises(script.BoundError, match=re.escape(message)):
        script.check_covered(script.read_groups(project))


@pytest.mark.parametrize(
    ("text", "released", "found"),
    [
        ("numpy>=1.23", ["2.0.0", "1.23.5", "1.23.2", "1.22.4"], "1.23.2"),
        ("numpy>=1.23", ["2.3.0rc1", "2.3.0", "2.10.0"], "2.3.0"),
        ("tomli>=2", ["2.0.1", "2.0.0", "1.2.3"], "2.0.0"),
        ("hypothesis>=6", ["6.9.0", "6.10.0"], "6.9.0"),
        ("clang-format==14.0.6", ["14.0.6", "22.1.0"], "14.0.6"),
    ],
)
def test_the_lowest_release_is_compared_by_number(script, text, released, found):
    assert script.lowest(script.Requirement.parse(text), released) == found


@pytest.mark.parametrize(("text", "released"), [("numpy>=3", ["2.0.0"]), ("ruff==0.9", ["0.9.1"]), ("a>=1", [])])
def test_a_bound_without_a_release(script, text, released):
    with pytest.raises(script.BoundError, match="expected a wheel of"):
        script.lowest(script.Requirement.parse(text), released)


def test_what_the_build_needs_is_stated_alike(project):
    """The page on installing and the Makefile install by hand what pip would in a build of its own."""
    for name in ("docs/install.md", "Makefile"):
        said = (ROOT / name).read_text(encoding="utf-8")
        for requirement in project["build-system"]["requires"]:
            package = requirement.partition(">")[0]
            bounds = set(re.findall(rf"{package}>=[\d.]+", said))
            assert bounds == {requirement}, (name, bounds)
