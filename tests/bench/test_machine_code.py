"""Counting machine code: what a listing's loops are, what is kept, and what a real kernel has."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from bench.kernel_report import machine_code
from bench.kernel_report.compiler import ROOT, ToolError, find_toolkit
from bench.kernel_report.machine_code import (
    Code,
    Loop,
    count_all,
    counted_sources,
    find_disassembler,
    read,
    read_listing,
    sources_digest,
    table,
    write,
)
from bench.predict.instructions import FILE

LISTING = """\
	.section	.nv.info._Z3onePf,"",@"SHT_CUDA_INFO"
	.section	.text._Z3onePf,"ax",@progbits
.text._Z3onePf:
        /*0000*/                   IMAD.MOV.U32 R1, RZ, RZ, c[0x0][0x28] ;
        /*0010*/              @!P0 BRA `(.L_x_2) ;
.L_x_0:
        /*0020*/                   LDG.E.CONSTANT R2, [R4.64] ;
.L_x_1:
        /*0030*/                   LDS.128 R8, [R3] ;
        /*0040*/              @!PT LDS RZ, [RZ] ;
        /*0050*/              @P2  LDGSTS.E.BYPASS.128 [R57+0x9000], [R10.64] ;
        /*0060*/                   LDSM.16.M88.4 R56, [R51+0x4200] ;
        /*0070*/                   HMMA.16816.F32 R44, R56.reuse, R52, R44 ;
        /*0080*/                   HMMA.16816.F32 R16, R56, R54, R16 ;
        /*0090*/             @!UP0 BRA `(.L_x_1) ;
        /*00a0*/                   LDG.E.128.CONSTANT R12, desc[UR6][R4.64] ;
        /*00b0*/               @P1 BRA `(.L_x_0) ;
.L_x_2:
        /*00c0*/                   EXIT ;
.L_x_3:
        /*00d0*/                   BRA `(.L_x_3);
	.section	.text._Z3twov,"ax",@progbits
.text._Z3twov:
        /*0000*/                   EXIT ;
"""

PRODUCT = """\
#include <mma.h>
__global__ void product(const half* a, const half* b, float* c, int depth) {
    using namespace nvcuda::wmma;
    fragment<matrix_a, 16, 16, 16, half, row_major> left;
    fragment<matrix_b, 16, 16, 16, half, col_major> right;
    fragment<accumulator, 16, 16, 16, float> sum;
    fill_fragment(sum, 0.0f);
#pragma unroll 1
    for (int k = 0; k < depth; k += 16) {
        load_matrix_sync(left, a + k, depth);
        load_matrix_sync(right, b + k, depth);
        mma_sync(sum, left, right, sum);
    }
    store_matrix_sync(c, sum, 16, mem_row_major);
}
"""


def test_reads_instructions_and_innermost_loops() -> None:
    found = read_listing(LISTING)
    assert set(found) == {"_Z3onePf", "_Z3twov"}
    one = found["_Z3onePf"]
    assert one.instructions == 14
    assert one.outside == 14 - 7  # the outer loop is none, nor is a branch to itself
    assert one.kinds == {"HMMA": 2, "LDSM": 1, "LDS": 2, "LDG": 1, "LDG.128": 1, "LDGSTS": 1}
    assert one.loops == [Loop(7, {"HMMA": 2, "LDSM": 1, "LDS": 2, "LDGSTS": 1})]
    assert one.loops[0]["LDG"] == 0
    assert found["_Z3twov"] == Code(1, 1, 0, {}, [])


def test_equal_loops_are_counted_and_kept(tmp_path: Path) -> None:
    body = LISTING[LISTING.index(".L_x_1:") : LISTING.index("        /*00a0*/")]
    twice = LISTING.replace(body, body + body.replace(".L_x_1", ".L_x_9"))
    code = read_listing(twice)["_Z3onePf"]
    assert code.loops == [Loop(7, {"HMMA": 2, "LDSM": 1, "LDS": 2, "LDGSTS": 1}, times=2)]
    write({"sm_87": {"one": code}}, "nvcc 13.0", tmp_path / "code.json")
    assert read(tmp_path / "code.json") == {"sm_87": {"one": code}}
    lines = list(table({"sm_87": {"one": code}}))
    assert "| `one`, 7 outside of loops | 21 | 4 | 0 | 2 | 4 | 1 | 1 | 2 | 0 |" in lines
    assert "| 2 x | 7 | 2 | 0 | 1 | 2 | 0 | 0 | 1 | 0 |" in lines


def test_refuses_another_file(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ToolError, match=r"expected adasgn_edge.machine_code.2, found None"):
        read(tmp_path / "other.json")


def test_says_where_the_disassembler_may_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match="nvidia-cuda-nvdisasm"):
        find_disassembler(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nvdisasm").touch()
    assert find_disassembler(tmp_path) == tmp_path / "bin" / "nvdisasm"


def test_the_kept_counts_are_of_these_kernels() -> None:
    how = f"python -m bench.kernel_report --counts bench/predict/{FILE.name} --architectures 87,90"
    assert counted_sources(FILE) == sources_digest(), f"the kernels have changed since they were counted: {how}"


def test_a_digest_is_of_the_code_alone(tmp_path: Path) -> None:
    (tmp_path / "kernels").mkdir()
    (tmp_path / "csrc" / "adasgn").mkdir(parents=True)
    (tmp_path / "csrc" / "adasgn" / "constants.h").write_text("")
    source = tmp_path / "kernels" / "one.cu"
    digests = []
    for text in ("int a = 1;  // one\nint b;\n", "// two\nint a = 1;\n\n    int b;\n", "int a = 2;\nint b;\n"):
        source.write_text(text)
        digests.append(sources_digest(tmp_path))
    assert digests[0] == digests[1] != digests[2]


def test_counts_a_real_product(tmp_path: Path) -> None:
    try:
        toolkit = find_toolkit()
        find_disassembler(toolkit)
    except ToolError as error:
        pytest.skip(str(error))
    source = tmp_path / "product.cu"
    source.write_text(PRODUCT)
    found = count_all(toolkit, [source], [87], tmp_path, 1)
    ((name, code),) = found["sm_87"].items()
    assert "product" in name
    assert code.registers > 10
    (loop,) = code.loops
    assert loop["HMMA"] == 2
    assert code.kinds["HMMA"] == 2
    assert loop.instructions + code.outside <= code.instructions
    again = count_all(toolkit, [source], [87], tmp_path, 1)  # from what is kept
    assert again == found


def test_the_commands_option_reaches_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from bench.kernel_report import __main__ as report

    code = read_listing(LISTING)["_Z3onePf"]
    asked = []

    def count(*arguments: object) -> dict[str, dict[str, Code]]:
        asked.append(arguments[2])
        return {"sm_87": {"one": code}}

    monkeypatch.setattr(machine_code, "count_all", count)
    monkeypatch.setattr(report, "find_toolkit", lambda: tmp_path)
    monkeypatch.setattr(report, "default_architectures", lambda toolkit: [87, 90])
    monkeypatch.setattr(report, "compiler_version", lambda toolkit: "nvcc 13.0")
    to = tmp_path / "code.json"
    assert report.main(["--counts", str(to), "--architectures", "87", "--folder", str(tmp_path)]) == 0
    assert asked == [[87]]
    assert read(to) == {"sm_87": {"one": code}}


def test_the_committed_report_is_of_the_kernels_that_were_counted() -> None:
    """Names and registers of bench/results/gpu/kernel-report.md, by architecture."""
    text = (ROOT / "bench" / "results" / "gpu" / "kernel-report.md").read_text()
    for architecture, kernels in read(FILE).items():
        section = text.split(f"## {architecture}\n")[1].split("\n## ")[0]
        rows = re.findall(r"^\| `(.+?)` \| \d+ \| (\d+) \|", section, re.MULTILINE)
        assert {name: int(registers) for name, registers in rows} == {
            name: code.registers for name, code in kernels.items()
        }
