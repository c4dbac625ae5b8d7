"""tools/audit_wheel.py finds what it says it finds: each fault is planted in a wheel that has no other."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
NAME = "adasgn_edge-1.2.3-cp311-cp311-linux_x86_64.whl"
MODULE = "adasgn_edge/_native.cpython-311-x86_64-linux-gnu.so"

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None or not sys.platform.startswith("linux"), reason="needs a C compiler for ELF files"
)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit_wheel", ROOT / "tools" / "audit_wheel.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    """Factory: a shared library, linked with these options."""
    folder = tmp_path_factory.mktemp("modules")

    def make(*options: str, text: str = "") -> bytes:
        source, library = folder / "module.c", folder / "module.so"
        source.write_text(
            "#include <stdio.h>\n"
            f'const char* value(void) {{ return "{text}"; }}\n'
            'void number(int x, void (*take)(char*)) { char s[9]; snprintf(s, sizeof s, "%d", x); take(s); }\n'
        )
        hardened = [
            "-O2",
            "-U_FORTIFY_SOURCE",
            "-D_FORTIFY_SOURCE=2",
            "-fstack-protector-strong",
            "-Wl,-z,relro,-z,now",
        ]
        command = ["cc", "-shared", "-fPIC", "-o", library, source, *hardened, *options]
        subprocess.run(list(map(str, command)), check=True, cwd=folder)
        return library.read_bytes()

    return make


@pytest.fixture(scope="module")
def contents(module: Callable[..., bytes]) -> dict[str, bytes]:
    """Of a wheel that has no fault."""
    files = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in (ROOT / "adasgn_edge").rglob("*.py")}
    for name in ("adasgn_edge/py.typed", "adasgn_edge/layouts/shrec22.json", "LICENSE"):
        files[name] = (ROOT / name).read_bytes()
    files["adasgn_edge/_build.json"] = b'{"compiler": "g++ 12"}'
    files["adasgn_edge/weights/a.adasgn"] = b"a model"
    files[MODULE] = module()
    info = "adasgn_edge-1.2.3.dist-info"
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nTag: cp311-cp311-linux_x86_64\n"
    files[f"{info}/licenses/LICENSE"] = files.pop("LICENSE")
    for name in ("nlohmann/LICENSE.MIT", "pybind11/LICENSE"):
        files[f"{info}/licenses/third_party/{name}"] = (ROOT / "third_party" / name).read_bytes()
    return files


@pytest.fixture
def findings(script: ModuleType, contents: dict[str, bytes], tmp_path: Path) -> Callable[..., str]:
    """Factory: what is found in a wheel with these files changed; None: left out."""

    def audit(changes: dict[str, bytes | None] | None = None, name: str = NAME) -> str:
        files = {**contents, **(changes or {})}
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for path, data in files.items():
                if data is not None:
                    archive.writestr(path, data)
        return "\n".join(script.audit(tmp_path / name))

    return audit


def test_a_wheel_without_a_fault(findings, module):
    assert findings() == ""
    assert findings({"adasgn_edge/libadasgn_tensorrt.so": module()}) == ""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("-Wl,-rpath,/home/me/lib",), "(RPATH), found one"),
        (("-Wl,--disable-new-dtags,-rpath,/home/me/lib",), "(RPATH), found one"),
        (("-Wl,-z,norelro",), "(RELRO), found none"),
        (("-Wl,-z,lazy",), "full RELRO"),
        (("-fno-stack-protector",), "-fstack-protector-strong"),
        (("-U_FORTIFY_SOURCE",), "-D_FORTIFY_SOURCE=2"),
        (("-z", "execstack"), "stack that is not executable"),
        (("-Wl,--no-as-needed", "-lutil_of_this_test", "-L."), "expected to need only"),
    ],
)
def test_how_a_module_is_linked(options, expected, findings, module, tmp_path):
    if any("util_of_this_test" in option for option in options):
        (tmp_path / "empty.c").touch()
        library = tmp_path / "libutil_of_this_test.so"
        subprocess.run(["cc", "-shared", "-o", str(library), str(tmp_path / "empty.c")], check=True)
        options = (*options[:-1], f"-L{tmp_path}")
    assert expected in findings({MODULE: module(*options)})


def test_a_path_of_the_building_machine_is_found(findings, module):
    told = findings({MODULE: module(text="/home/me/project/csrc/engine.cpp")})
    assert told == f"{MODULE}: expected no path of the building machine, found /home/me/project/csrc/engine.cpp"
    assert "/root/cuda/bin/nvcc" in findings({"adasgn_edge/_build.json": b'{"reason": "/root/cuda/bin/nvcc is old"}'})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({MODULE: None}, "expected the native engine, found none"),
        ({MODULE: None, MODULE.replace("311", "312"): b"\x7fELF"}, "expected the ABI cp311 of the wheel"),
        ({"adasgn_edge/_other.cpython-311-x86_64-linux-gnu.so": b"\x7fELF"}, "expected no module but"),
        ({"adasgn_edge/libadasgn_tensorrt.so.10": b"\x7fELF"}, "expected files of"),
        ({"adasgn_edge/libadasgn_tensorrt.cpython-311-x86_64-linux-gnu.so": b"\x7fELF"}, "libadasgn_tensorrt.so"),
        ({"adasgn_edge.libs/libgomp.so.1": b""}, "found another folder"),
        ({"adasgn_edge/engine.o": b""}, "engine.o: expected files of"),
        ({"adasgn_edge/engine.py": None}, "adasgn_edge/engine.py: expected in the wheel"),
        ({"adasgn_edge/layouts/shrec22.json": None}, "shrec22.json: expected in the wheel"),
        ({"adasgn_edge/weights/a.adasgn": None}, "expected a trained model"),
        ({"adasgn_edge-1.2.3.dist-info/licenses/third_party/pybind11/LICENSE": None}, "one that says 'Wenzel Jakob'"),
        ({"adasgn_edge-1.2.3.dist-info/WHEEL": b"Tag: py3-none-any\n"}, "expected those of the name in WHEEL"),
    ],
)
def test_what_is_in_a_wheel(changes, expected, findings):
    assert expected in findings(changes)


@pytest.mark.parametrize("name", ["adasgn_edge-1.2.3-py3-none-any.whl", "other-1.2.3-cp311-cp311-linux_x86_64.whl"])
def test_a_wheel_of_another_kind(name, findings):
    assert "expected a name like" in findings(name=name)


def test_tags_that_disagree(findings):
    assert "expected one ABI, found Python cp311 and ABI cp312" in findings(name=NAME.replace("-cp311-l", "-cp312-l"))
