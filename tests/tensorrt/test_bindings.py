"""What this package calls of TensorRT, against NVIDIA's own Python bindings: `make test-tensorrt-bindings`.

The bindings are compiled against libraries of gigabytes that only GPUs need; here they find a library that has their
nine functions and does nothing. So names, parameters and what is derived from their classes are real, and nothing runs.
"""

from __future__ import annotations

import enum
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tensorrt import fake_tensorrt

ROOT = Path(__file__).parents[2]
FOLDER = os.environ.get("ADASGN_TENSORRT_BINDINGS", "")
VERSIONS = ("10.3.0", "10.16.1.11", "11.4.0.106")

STUB = "\n".join(
    f"void *{name}(void) {{ return 0; }}"
    for name in (
        "createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL", "createInferRuntime_INTERNAL",
        "createNvOnnxParserRefitter_INTERNAL", "createNvOnnxParser_INTERNAL", "getBuilderPluginRegistry",
        "getNvOnnxParserVersion", "getPluginRegistry", "initLibNvInferPlugins",
    )
)  # fmt: skip
LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")

DESCRIBE = """
import json, sys
import tensorrt_bindings as trt

def lines(thing):
    return [line.strip() for line in (thing.__doc__ or "").splitlines() if "(" in line and "->" in line]

found = {"version": trt.__version__, "names": [name for name in dir(trt)], "classes": {}}
for name in json.loads(sys.argv[1]):
    kind = getattr(trt, name, None)
    if kind is not None:
        members = getattr(kind, "__members__", {})
        found["classes"][name] = {
            "attributes": {one: lines(getattr(kind, one)) for one in dir(kind)},
            "members": {one: int(value) for one, value in members.items()},
        }
print(json.dumps(found))
"""

DERIVE = """
import sys
import numpy as np
import tensorrt_bindings as trt
from adasgn_edge.tensorrt.plugin import fields
from adasgn_edge.tensorrt.runtime import expect_supported, make_logger, make_monitor

print(expect_supported(trt))
logger = make_logger(trt)
logger.log(trt.ILogger.ERROR, "no  memory")
logger.log(trt.ILogger.INFO, "nothing")
print(list(logger.last))
seen = []
monitor = make_monitor(trt, lambda *step: seen.append(step), lambda: len(seen) < 3)
assert isinstance(logger, trt.ILogger) and isinstance(monitor, trt.IProgressMonitor)
monitor.phase_start("build", None, 2)
print([monitor.step_complete("build", 0), monitor.step_complete("build", 1)])
monitor.phase_finish("build")
print(seen)
array = np.zeros(1, np.int32)
before = sys.getrefcount(array)
field = trt.PluginField("one", array, trt.PluginFieldType.INT32)
kept = sys.getrefcount(array) - before
before = sys.getrefcount(field)
held = trt.PluginFieldCollection([field])
print(kept, sys.getrefcount(field) - before)
given = fields(trt, b"model", "f16", 0.5)
print(len(trt.PluginFieldCollection(given)), [(field.name, field.type.name, field.size) for field in given])
from adasgn_edge.errors import TensorRTError
from adasgn_edge.tensorrt.runtime import make
for kind in (trt.Builder, trt.Runtime):
    try:
        make("builder", kind, logger)
    except TensorRTError as error:
        print(error)
"""


def api_classes() -> dict[str, type]:
    """The stand-in's classes that stand for TensorRT's own."""
    own = {"State", "FakeStaging", "Severity"}
    found = vars(fake_tensorrt).items()
    return {
        name: kind
        for name, kind in found
        if inspect.isclass(kind) and kind.__module__ == fake_tensorrt.__name__ and name not in own
    }


def parameters(line: str) -> list[tuple[str, bool]]:
    """Names of a signature as pybind11 writes it, "1. f(self: A, x: int = 0) -> B", without self; whether each may be
    left out."""
    inside = line[line.index("(") + 1 : line.rindex("->")].rstrip().removesuffix(")")
    parts, depth, start = [], 0, 0
    for index, character in enumerate(inside):
        depth += (character in "([<{") - (character in ")]>}")
        if character == "," and depth == 0:
            parts.append(inside[start:index])
            start = index + 1
    parts.append(inside[start:])
    named = [(part.split(":")[0].strip(), "=" in part) for part in parts if part.strip()]
    return [one for one in named if one[0] != "self"]


def mismatch(signatures: list[str], wanted: list[str]) -> str | None:
    """Why none of several overloads takes positional arguments of these names; None where one does."""
    overloads = [parameters(line) for line in signatures]
    for found in overloads:
        names = [name for name, _ in found]
        if names[: len(wanted)] == wanted and all(optional for _, optional in found[len(wanted) :]):
            return None
    return f"expected parameters {wanted}, found {overloads}"


@pytest.fixture(scope="module", params=VERSIONS)
def bindings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment in which `import tensorrt_bindings` finds the bindings of one version over the stub."""
    package = Path(FOLDER) / request.param
    if not FOLDER or not (package / "tensorrt_bindings").is_dir():
        pytest.skip(f"NVIDIA's bindings {request.param} are not here: make test-tensorrt-bindings downloads them")
    folder = tmp_path_factory.mktemp("stub")
    (folder / "stub.c").write_text(STUB)
    major = request.param.partition(".")[0]
    for name in LIBRARIES:
        file = f"lib{name}.so.{major}"
        command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{file}", str(folder / "stub.c"), "-o", str(folder / file)]
        subprocess.run(command, check=True)
    paths = os.pathsep.join([str(package), str(ROOT)])
    return {**os.environ, "LD_LIBRARY_PATH": str(folder), "PYTHONPATH": paths, "VERSION": request.param}


def ask(environment: dict[str, str], program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def real(bindings: dict[str, str]) -> dict[str, Any]:
    return json.loads(ask(bindings, DESCRIBE, json.dumps(sorted(api_classes()))))  # type: ignore[no-any-return]


def test_every_name_and_parameter_is_there(real, bindings):
    assert real["version"] == bindings["VERSION"]
    wrong = [name for name in ("float32", "get_plugin_registry") if name not in real["names"]]
    for name, kind in api_classes().items():
        if (found := real["classes"].get(name)) is None:
            wrong.append(name)
            continue
        if issubclass(kind, enum.Enum):
            wrong += [f"{name}.{member}" for member in kind.__members__ if member not in found["members"]]
            continue
        attributes = found["attributes"]
        wrong += [f"{name}.{one}" for one in inspect.get_annotations(kind) if one not in attributes]
        for one, method in vars(kind).items():
            public = one == "__init__" or not one.startswith("_")
            if not public:
                continue
            if not inspect.isfunction(method):
                wrong += [f"{name}.{one}"] * (one not in attributes)
            elif one in attributes:
                # Classes that only TensorRT makes have no constructor to be called.
                if one != "__init__" or attributes[one]:
                    problem = mismatch(attributes[one], list(inspect.signature(method).parameters)[1:])
                    wrong += [f"{name}.{one}: {problem}"] * (problem is not None)
            else:
                wrong.append(f"{name}.{one}")
    assert wrong == []


def test_the_flag_of_strong_typing_has_another_number_in_11(real):
    number = real["classes"]["NetworkDefinitionCreationFlag"]["members"]["STRONGLY_TYPED"]
    assert number == (0 if real["version"].startswith("11.") else 1)


def test_loggers_monitors_and_fields_are_made_of_their_classes(bindings):
    version, last, goes_on, seen, kept, given, *null = ask(bindings, DERIVE).splitlines()
    assert version == bindings["VERSION"]
    assert last == "['no memory']"
    assert goes_on == "[True, False]"
    assert seen == "[('build', 0, 2), ('build', 1, 2), ('build', 2, 2), ('build', 2, 2)]"
    assert null == ["TensorRT: making a builder failed; it said: no memory"] * 2
    assert kept == "1 0"  # a field keeps its array, a collection keeps no field
    assert given == "3 [('model', 'INT8', 5), ('precision', 'INT32', 1), ('effort', 'FLOAT32', 1)]"


def test_signatures_are_read_as_pybind11_writes_them():
    line = "2. run(self: a.B, name: str, shape: tuple[int, ...], kind: K = <K.A: 0>) -> list[a.C]"
    assert parameters(line) == [("name", False), ("shape", False), ("kind", True)]
    assert mismatch([line], ["name", "shape"]) is None
    assert mismatch([line], ["shape", "name"]) is not None
    assert mismatch([line], ["name"]) is not None
