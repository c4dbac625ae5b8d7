"""The kernels' resource report: `python -m bench.kernel_report` (no GPU is needed, nvcc is).

Compiles kernels/*.cu for every default architecture, lists every launch that the kernels' own launchers make
(inventory.cpp) and computes occupancy with NVIDIA's calculator (occupancy.cpp). Status 1 on a finding: a spill, a
stack, a launch beyond an architecture's shared memory, a kernel without a launch or a launch without a kernel; 2 where
the report cannot be made. With --counts, what the machine code consists of (machine_code.py).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from . import machine_code
from .compiler import ROOT, Compiled, KernelUse, ToolError, compile_all, compiler_version, find_toolkit, run_tool
from .names import readable_names

HERE = Path(__file__).parent
REPORTED = (87, 90)


@dataclass(frozen=True)
class Multiprocessor:
    """Limits of an architecture, from the CUDA programming guide's table of compute capabilities."""

    threads: int
    shared: int  # bytes
    shared_per_block: int  # bytes, by opt-in


KB = 1024
MULTIPROCESSORS = {
    80: Multiprocessor(2048, 164 * KB, 163 * KB),
    86: Multiprocessor(1536, 100 * KB, 99 * KB),
    87: Multiprocessor(1536, 164 * KB, 163 * KB),
    89: Multiprocessor(1536, 100 * KB, 99 * KB),
    90: Multiprocessor(2048, 228 * KB, 227 * KB),
    100: Multiprocessor(2048, 228 * KB, 227 * KB),
    110: Multiprocessor(1536, 228 * KB, 227 * KB),
    120: Multiprocessor(1536, 100 * KB, 99 * KB),
}


@dataclass
class Launch:
    """A kernel as it is launched on one architecture."""

    kernel: str  # readable
    architecture: int
    threads: int
    dynamic_shared: int
    use: KernelUse
    blocks: int = 0  # that fit on a multiprocessor
    limited_by: str = ""

    @property
    def warps(self) -> int:
        """That fit on a multiprocessor."""
        return self.blocks * self.threads // 32


def default_architectures(toolkit: Path) -> list[int]:
    """Those of MULTIPROCESSORS that this nvcc compiles for."""
    known = {
        int(name) for name in re.findall(r"compute_(\d+)", run_tool([toolkit / "bin" / "nvcc", "--list-gpu-arch"]))
    }
    return [architecture for architecture in MULTIPROCESSORS if architecture in known]


def build_helper(toolkit: Path, name: str, objects: list[Path], folder: Path) -> Path:
    """Compile inventory.cpp or occupancy.cpp, with the objects, by the host compiler."""
    include = [f"-I{toolkit / 'include'}", f"-I{ROOT / 'kernels'}", f"-I{ROOT / 'csrc'}"]
    to = folder / name
    run_tool(["c++", "-std=c++17", "-O1", *include, HERE / f"{name}.cpp", *objects, "-o", to])
    return to


def list_launches(toolkit: Path, compiled: list[Compiled], folder: Path) -> tuple[list[Launch], list[str]]:
    """Launches on every architecture, and what is wrong with the two lists of kernels."""
    architectures = sorted({c.architecture for c in compiled})
    objects = [
        folder / f"{Path(c.source).stem}.{c.architecture}.o" for c in compiled if c.architecture == architectures[0]
    ]
    inventory = build_helper(toolkit, "inventory", objects, folder)
    limits = sorted({MULTIPROCESSORS[a].shared_per_block for a in architectures})
    rows = [line.split("\t") for line in run_tool([inventory, *map(str, limits)]).splitlines()]
    mangled = sorted({name for c in compiled for name in c.kernels} | {row[1] for row in rows})
    names = readable_names(mangled)
    uses = {(c.architecture, names[name]): use for c in compiled for name, use in c.kernels.items()}
    launches: dict[tuple[int, str, int, int], Launch] = {}
    findings = []
    for architecture in architectures:
        for limit, name, threads, dynamic in rows:
            if int(limit) != MULTIPROCESSORS[architecture].shared_per_block:
                continue
            kernel = names[name]
            if (architecture, kernel) not in uses:
                findings.append(f"sm_{architecture}: {kernel} is launched but was not compiled")
                continue
            key = (architecture, kernel, int(threads), int(dynamic))
            launches[key] = Launch(kernel, architecture, key[2], key[3], uses[architecture, kernel])
    reached = {launch.kernel for launch in launches.values()}
    idle = sorted({kernel for _, kernel in uses} - reached)
    findings += [f"{kernel} was compiled but no launcher reaches it on any architecture" for kernel in idle]
    return list(launches.values()), findings


def add_occupancy(toolkit: Path, launches: list[Launch], folder: Path) -> None:
    """Fill in blocks and what limits them."""
    calculator = build_helper(toolkit, "occupancy", [], folder)
    lines = []
    for launch in launches:
        limits = MULTIPROCESSORS[launch.architecture]
        lines.append(
            f"{launch.architecture // 10} {launch.architecture % 10} {limits.threads} {limits.shared} "
            f"{limits.shared_per_block} {launch.use.registers} {launch.use.static_shared} {launch.threads} "
            f"{launch.dynamic_shared}\n"
        )
    answers = run_tool([calculator], "".join(lines)).splitlines()
    for launch, answer in zip(launches, answers, strict=True):
        blocks, launch.limited_by = answer.split("\t")
        launch.blocks = int(blocks)


def check(launches: list[Launch]) -> list[str]:
    """What no kernel may do; the allowance for stack and spills is zero bytes."""
    findings = []
    for launch in launches:
        where = f"sm_{launch.architecture}: {launch.kernel}"
        use = launch.use
        if use.spill_stores or use.spill_loads:
            findings.append(f"{where} spills: {use.spill_stores} bytes stored, {use.spill_loads} loaded a thread")
        if use.stack:
            findings.append(f"{where} has a stack frame of {use.stack} bytes a thread")
        shared = use.static_shared + launch.dynamic_shared
        limit = MULTIPROCESSORS[launch.architecture].shared_per_block
        if shared > limit:
            findings.append(f"{where} takes {shared} bytes of shared memory a block, of {limit}")
        elif launch.blocks == 0 and launch.limited_by:
            findings.append(f"{where} fits no multiprocessor: {launch.limited_by}")
    return findings


def markdown(launches: list[Launch], compiled: list[Compiled], findings: list[str]) -> str:
    """The report for readers."""
    lines = ["# Kernels: resources", ""]
    for architecture in REPORTED:
        chosen = [launch for launch in launches if launch.architecture == architecture]
        if not chosen:
            continue
        most = MULTIPROCESSORS[architecture].threads // 32
        lines += [
            f"## sm_{architecture}",
            "",
            "| kernel | threads | registers | shared, bytes: static + dynamic | spills, stack | blocks/SM | warps/SM "
            "| limit |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for launch in sorted(chosen, key=lambda item: item.kernel):
            use = launch.use
            lines.append(
                f"| `{launch.kernel}` | {launch.threads} | {use.registers} | {use.static_shared} + "
                f"{launch.dynamic_shared} | {use.spill_stores + use.spill_loads}, {use.stack} | {launch.blocks} | "
                f"{launch.warps} of {most} ({100 * launch.warps // most} %) | {launch.limited_by} |"
            )
        lines.append("")
    lines += [
        "## Compilation",
        "",
        "| source | architecture | wall, s | processor, s | peak memory, MiB |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {c.source} | sm_{c.architecture} | {c.wall_seconds:.0f} | {c.cpu_seconds:.0f} | {c.peak_mebibytes:.0f} |"
        for c in sorted(compiled, key=lambda c: (c.source, c.architecture))
    ]
    lines += ["", "## Findings", "", *([f"- {finding}" for finding in findings] or ["None."]), ""]
    return "\n".join(lines)


def as_json(launches: list[Launch], compiled: list[Compiled], findings: list[str]) -> str:
    """The report for programs."""
    compilation = [{k: v for k, v in asdict(c).items() if k != "kernels"} for c in compiled]
    kernels = [{**asdict(launch), "warps": launch.warps} for launch in launches]
    return json.dumps({"findings": findings, "launches": kernels, "compilation": compilation}, indent=1) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write report.md and report.json to the folder; print the Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench.kernel_report", description=__doc__)
    parser.add_argument("--architectures", help="such as 87,90; default: all that this nvcc knows of 80 … 120")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "kernel_report", help="for objects and report")
    parser.add_argument("--jobs", type=int, default=2, help="nvcc at once, each up to half a GB (default 2)")
    parser.add_argument(
        "--counts",
        type=Path,
        metavar="FILE",
        help="instead count instructions: a table, and JSON in FILE",
    )
    options = parser.parse_args(arguments)
    try:
        toolkit = find_toolkit()
        known = default_architectures(toolkit)
        chosen = [int(text) for text in options.architectures.split(",")] if options.architectures else known
        if unknown := sorted(set(chosen) - set(known)):
            raise ToolError(f"--architectures: expected some of {known}, found {unknown}")
        sources = sorted((ROOT / "kernels").glob("*.cu"))
        if options.counts:
            counts = machine_code.count_all(toolkit, sources, chosen, options.folder, options.jobs)
            machine_code.write(counts, compiler_version(toolkit), options.counts)
            print("\n".join(machine_code.table(counts)))
            return 0
        compiled = compile_all(toolkit, sources, chosen, max(known), options.folder, options.jobs)
        launches, findings = list_launches(toolkit, compiled, options.folder)
        add_occupancy(toolkit, launches, options.folder)
    except ToolError as error:
        print(f"kernel_report: {error}", file=sys.stderr)
        return 2
    findings += check(launches)
    text = markdown(launches, compiled, findings)
    (options.folder / "report.md").write_text(text)
    (options.folder / "report.json").write_text(as_json(launches, compiled, findings))
    print(text)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
