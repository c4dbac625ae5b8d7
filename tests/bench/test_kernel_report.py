"""The kernels' resource report: what it reads, what it calls a finding, what it computes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.kernel_report import __main__ as report
from bench.kernel_report import compiler
from bench.kernel_report.__main__ import KB, Launch, add_occupancy, check, markdown
from bench.kernel_report.compiler import Compiled, KernelUse, ToolError, compile_source, parse_ptxas
from bench.kernel_report.names import readable

PTXAS = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z4wideP1A' for 'sm_87'
ptxas info    : Function properties for _Z4wideP1A
    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 128 bytes smem, 1712 bytes cmem[0], 8 bytes cmem[2]
ptxas info    : Compiling entry function '_Z4thinP1A' for 'sm_87'
ptxas info    : Function properties for _Z4thinP1A
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 1712 bytes cmem[0]
"""

SPILLING = """\
__global__ void __launch_bounds__(1024) spilling(const float* from, float* to) {
    float kept[100];
#pragma unroll
    for (int i = 0; i < 100; ++i) {
        kept[i] = from[i * 1024 + threadIdx.x];
        asm volatile("" : "+f"(kept[i]));  // in a register here, not loaded again later
    }
#pragma unroll
    for (int i = 0; i < 100; ++i) to[i * 1024 + threadIdx.x] = kept[99 - i];
}
"""


def toolkit() -> Path:
    try:
        return compiler.find_toolkit()
    except ToolError as error:
        pytest.skip(str(error))


def test_reads_ptxas() -> None:
    assert parse_ptxas(PTXAS) == {
        "_Z4wideP1A": KernelUse(registers=255, static_shared=128, stack=8, spill_stores=4, spill_loads=12),
        "_Z4thinP1A": KernelUse(registers=40),
    }


def test_names_are_readable() -> None:
    space = "adasgn::cuda::"
    hidden = space + "(anonymous namespace)::"
    low, high = (f"{space}Tile<{space}Binary16, {tiles}, 16, true>" for tiles in (1, 2))
    assert readable(f"void {hidden}branch_tiles<{space}Tile<{space}Binary16, 8, 4, false> >({space}P)") == (
        "branch_tiles<f16, 128 rows>"
    )
    assert readable(f"void {hidden}frame_blocks<{hidden}FrameBlock<{low}, {high} > >({space}P)") == (
        "frame_blocks<f16, 16 or 32 rows>"
    )
    assert readable(f"void {hidden}across_frames<{hidden}TemporalTile<{space}Binary32, 4, 3, 8, 1>, 2>({space}P)") == (
        "across_frames<f32, 64 rows x 128 columns, 2>"
    )
    assert readable(f"void {hidden}widen_split<{space}Binary16, 1>({space}P)") == "widen_split<f16, 1>"
    assert readable(f"void {hidden}hidden_split<{space}Binary16>({space}P)") == "hidden_split<f16>"
    assert readable(f"void {hidden}policy_frames<8>({space}P)") == "policy_frames<8>"
    assert readable(f"{hidden}route_frames({space}P)") == "route_frames"


def launch(dynamic: int = 0, architecture: int = 87, threads: int = 256, **use: int) -> Launch:
    return Launch("kernel", architecture, threads, dynamic, KernelUse(**use))


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (launch(registers=255, spill_stores=4), "spills: 4 bytes stored"),
        (launch(registers=255, spill_loads=4), "spills: 0 bytes stored, 4 loaded"),
        (launch(registers=20, stack=16), "stack frame of 16 bytes"),
        (launch(163 * KB + 16), "takes 166928 bytes of shared memory a block, of 166912"),
        (launch(163 * KB, static_shared=1), "of 166912"),
        (launch(100 * KB, architecture=86), "of 101376"),
    ],
)
def test_finds(bad: Launch, words: str) -> None:
    (finding,) = check([bad])
    assert words in finding
    assert finding.startswith(f"sm_{bad.architecture}: kernel ")


def test_a_kernel_at_the_limits_is_no_finding() -> None:
    assert check([launch(163 * KB, registers=255), launch(99 * KB, architecture=86)]) == []


def test_occupancy(tmp_path: Path) -> None:
    # By hand: 65,536 registers in units of 256 a warp; 164 KB (228 KB) shared with 1 KB more for each block.
    launches = [
        launch(80 * KB, registers=128),  # 8 warps x 128 x 32: two blocks; 2 x 81 KB
        launch(81 * KB, registers=129),  # 129 -> 136 registers: one block
        launch(72 * KB, architecture=90, registers=64),  # 3 x 73 KB
        launch(0, registers=16),  # 1536 threads
        launch(0, registers=16, threads=32),  # 16 blocks
    ]
    add_occupancy(toolkit(), launches, tmp_path)
    assert [item.blocks for item in launches] == [2, 1, 3, 6, 16]
    assert launches[0].limited_by == "registers+shared memory"
    assert [item.limited_by for item in launches[1:]] == ["registers", "shared memory", "threads", "blocks"]
    assert launches[2].warps == 24


def test_compiler_reports_a_spill_once_compiled_and_from_the_cache(tmp_path: Path) -> None:
    source = tmp_path / "spilling.cu"
    source.write_text(SPILLING)
    first = compile_source(toolkit(), source, 87, False, tmp_path)
    (use,) = first.kernels.values()
    assert use.registers <= 64
    assert use.spill_stores > 0
    assert first.cpu_seconds > 0
    assert first.peak_mebibytes > 10
    assert compile_source(toolkit(), source, 87, False, tmp_path) == first
    source.write_text(SPILLING.replace("100", "4"))
    (use,) = compile_source(toolkit(), source, 87, False, tmp_path).kernels.values()
    assert use.spill_stores == 0


def test_compiler_reports_an_error(tmp_path: Path) -> None:
    source = tmp_path / "broken.cu"
    source.write_text("__global__ void broken() { undeclared(); }\n")
    with pytest.raises(ToolError, match=r"(?s)nvcc failed on broken.cu for sm_87.*undeclared"):
        compile_source(toolkit(), source, 87, False, tmp_path)


def test_without_nvcc_the_status_is_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def none() -> Path:
        raise ToolError("nvcc: expected a toolkit")

    monkeypatch.setattr(report, "find_toolkit", none)
    assert report.main([]) == 2
    assert "nvcc: expected a toolkit" in capsys.readouterr().err


def test_markdown_names_kernels_slow_files_and_findings() -> None:
    text = markdown([launch(registers=99)], [Compiled("branch_tiles.cu", 87, {}, 60, 55, 500)], ["it spills"])
    assert "| `kernel` | 256 | 99 | 0 + 0 | 0, 0 |" in text
    assert "| branch_tiles.cu | sm_87 | 60 | 55 | 500 |" in text
    assert "- it spills" in text
