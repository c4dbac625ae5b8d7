"""The torch ops use torch's copy of the C++ library: linked so, and checked when they are built."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

import adasgn_edge
from build_support.libstdcxx import LIBRARY, expect_shared, link_options, read_module, sharing_is_known
from build_support.parts import BuildError

SOURCE = """\
#include <fstream>
#include <locale>
std::string text(double x) {
    std::ofstream file("nothing");
    file.imbue(std::locale::classic());
    file << x;
    return file ? "good" : "bad";
}
"""

pytestmark = pytest.mark.skipif(not sharing_is_known(), reason="torch's C++ library has this name on glibc alone")


@pytest.fixture(params=["g++", "clang++", "aarch64-linux-gnu-g++"])
def compiler(request: pytest.FixtureRequest) -> str:
    found = shutil.which(request.param)
    if found is None:
        pytest.skip(f"no {request.param}")
    return found


def link(compiler: str, folder: Path, *options: str) -> Path:
    source, module = folder / "text.cpp", folder / "text.so"
    source.write_text(SOURCE)
    subprocess.run([compiler, "-shared", "-fPIC", str(source), "-o", str(module), *options], check=True)
    return module


def test_a_static_copy_is_found(compiler: str, tmp_path: Path) -> None:
    expect_shared(link(compiler, tmp_path))
    with pytest.raises(BuildError, match=r"text\.so: expected the C\+\+ library of libstdc\+\+\.so\.6, .* a copy in "):
        expect_shared(link(compiler, tmp_path, "-static-libstdc++"))


def test_the_link_options_leave_nothing_to_a_static_copy(compiler: str, tmp_path: Path) -> None:
    """-static-libstdc++ stands for a compiler that links its own copy whatever it is told."""
    expect_shared(link(compiler, tmp_path, *link_options([compiler]), "-static-libstdc++"))


def test_a_hidden_copy_is_found(tmp_path: Path) -> None:
    compiler = shutil.which("g++") or pytest.skip("no g++")
    with pytest.raises(BuildError, match=r"found it to need libm\.so|found it to need libc|found it to need libgcc"):
        expect_shared(link(compiler, tmp_path, "-static-libstdc++", "-Wl,--exclude-libs,ALL"))


def test_a_compiler_without_a_shared_library(tmp_path: Path) -> None:
    compiler = tmp_path / "c++"
    compiler.write_text(f"#!/bin/sh\necho {LIBRARY}\n")  # so gcc says that it has none
    compiler.chmod(0o755)
    assert link_options([str(compiler)]) == []


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for platform, libc in (("darwin", ""), ("linux", "musl"), ("linux", "")):
        monkeypatch.setattr("sys.platform", platform)
        monkeypatch.setattr("platform.libc_ver", lambda libc=libc: (libc, ""))
        assert link_options(["no-such-compiler"]) == []
        expect_shared(tmp_path / "nothing")


def test_what_is_no_module(tmp_path: Path) -> None:
    (tmp_path / "module.so").write_bytes(b"\xcf\xfa\xed\xfe" * 20)
    with pytest.raises(BuildError, match="expected an ELF file"):
        expect_shared(tmp_path / "module.so")


def test_the_modules_as_readelf_has_them() -> None:
    """The built torch ops: their streams are the shared library's, and the reader finds what readelf finds."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    module = Path(adasgn_edge.__file__).with_name(f"_torch_ops{suffix}")
    if not module.is_file():
        pytest.skip("the torch ops are not built")
    expect_shared(module)
    linked = read_module(module)
    assert any(name.startswith("_ZNSt8ios_base") for name in linked.taken)
    if (readelf := shutil.which("readelf")) is None:
        return
    said = subprocess.run([readelf, "--wide", "-d", "--dyn-syms", str(module)], capture_output=True, text=True).stdout
    assert tuple(re.findall(r"\(NEEDED\).*\[(.+)\]", said)) == linked.needed
    symbols = re.findall(r"^ +\d+: \w+ +\w+ +\w+ +\w+ +\w+ +(\w+) (\S+)", said, re.MULTILINE)
    assert {name.partition("@")[0] for section, name in symbols if section == "UND"} == set(linked.taken) - {""}
    assert {name.partition("@")[0] for section, name in symbols if section != "UND"} == set(linked.offered)
