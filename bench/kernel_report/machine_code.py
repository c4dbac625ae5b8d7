"""What the machine code of the kernels consists of: instructions by kind, and of every innermost loop.

Each source is compiled to a cubin, nvdisasm lists it, and a loop is what a backward branch encloses. What is kept names
the sources that it was counted of by a digest, so that a test finds counts that are older than the kernels.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from .compiler import FLAGS, ROOT, KernelUse, ToolError, digest, parse_ptxas, run_tool
from .names import readable_names

__all__ = [
    "MULTIPLIES", "Code", "Loop", "count_all", "counted_sources", "find_disassembler", "read", "read_listing",
    "sources_digest", "table", "write",
]  # fmt: skip

FORMAT = "adasgn_edge.machine_code.2"
KINDS = ("HMMA", "FFMA", "LDSM", "LDS", "STS", "LDG", "LDG.128", "LDGSTS", "STG", "SHFL", "MUFU", "BAR")
"""Kinds that are told apart. LDG.128 are those of 16 bytes a lane."""
MULTIPLIES = 64
"""A loop with so many FFMA multiplies matrices; fewer are sums over coordinates."""


@dataclass(frozen=True)
class Loop:
    """An innermost loop that multiplies: its instructions, how many are of a kind, and how often the kernel has it."""

    instructions: int
    kinds: dict[str, int]
    times: int = 1

    def __getitem__(self, kind: str) -> int:
        return self.kinds.get(kind, 0)


@dataclass(frozen=True)
class Code:
    """A kernel. Instructions that never run (predicated on not-true, by which ptxas pads) count like others: they are
    issued."""

    instructions: int
    outside: int  # of all innermost loops
    registers: int
    kinds: dict[str, int]
    loops: list[Loop] = field(default_factory=list)  # those that multiply


def find_disassembler(toolkit: Path) -> Path:
    """nvdisasm: the toolkit's, that on PATH, or that of the Python package nvidia-cuda-nvdisasm."""
    spec = importlib.util.find_spec("nvidia")
    packages = [Path(place) for place in spec.submodule_search_locations or []] if spec else []
    beside = [path for place in packages for path in sorted(place.glob("*/bin/nvdisasm"))]
    on_path = shutil.which("nvdisasm")
    for path in [toolkit / "bin" / "nvdisasm", *([Path(on_path)] if on_path else []), *beside]:
        if path.is_file():
            return path
    raise ToolError(
        "nvdisasm: expected in the CUDA toolkit, on PATH or installed by pip (nvidia-cuda-nvdisasm), found none"
    )


def read_listing(text: str) -> dict[str, Code]:
    """Kernels by mangled name, of the output of `nvdisasm -c`; registers are left at 0."""
    found: dict[str, Code] = {}
    name = ""
    instructions: list[tuple[str, str]] = []
    labels: dict[str, int] = {}

    def finish() -> None:
        if name:
            found[name] = _code(instructions, labels)

    for line in text.splitlines():
        if match := re.match(r"\s*\.section\s+\.text\.(\S+?),", line):
            finish()
            name, instructions, labels = match[1], [], {}
        elif match := re.match(r"(\.L_x_\w+):", line):
            labels[match[1]] = len(instructions)
        elif match := re.match(r"\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)(.*);", line):
            instructions.append((match[1], match[2]))
    finish()
    return found


def _code(instructions: list[tuple[str, str]], labels: dict[str, int]) -> Code:
    spans = []
    for last, (opcode, operands) in enumerate(instructions):
        target = re.search(r"\.L_x_\w+", operands)
        if opcode.split(".")[0] == "BRA" and target and labels.get(target[0], last + 1) < last:
            spans.append((labels[target[0]], last))
    innermost = [a for a in set(spans) if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in spans)]
    loops = [Loop(last + 1 - first, _kinds(instructions[first : last + 1])) for first, last in sorted(innermost)]
    outside = len(instructions) - sum(loop.instructions for loop in loops)
    multiplying = [loop for loop in loops if loop["HMMA"] or loop["FFMA"] >= MULTIPLIES]
    kept: list[Loop] = []
    for loop in multiplying:
        if not any(replace(loop, times=other.times) == other for other in kept):
            kept.append(replace(loop, times=multiplying.count(loop)))
    return Code(len(instructions), outside, 0, _kinds(instructions), kept)


def _kinds(instructions: list[tuple[str, str]]) -> dict[str, int]:
    counted = Counter(kind for opcode, _ in instructions if (kind := _kind(opcode)))
    return {kind: counted[kind] for kind in KINDS if counted[kind]}


def _kind(opcode: str) -> str:
    parts = opcode.split(".")
    if parts[0] == "LDG" and "128" in parts:
        return "LDG.128"
    return parts[0] if parts[0] in KINDS else ""


def count_all(
    toolkit: Path, sources: list[Path], architectures: list[int], folder: Path, jobs: int
) -> dict[str, dict[str, Code]]:
    """By architecture (such as sm_87), then by readable name."""
    disassembler = find_disassembler(toolkit)
    folder.mkdir(parents=True, exist_ok=True)
    work = [(source, architecture) for architecture in architectures for source in sources]
    with ThreadPoolExecutor(jobs) as pool:
        compiled = list(pool.map(lambda item: _compile(toolkit, item[0], item[1], folder), work))
    found: dict[str, dict[str, Code]] = {f"sm_{architecture}": {} for architecture in architectures}
    for (_, architecture), (cubin, uses) in zip(work, compiled, strict=True):
        codes = read_listing(run_tool([disassembler, "-c", cubin]))
        names = readable_names(sorted(codes))
        for mangled, code in codes.items():
            registers = uses[mangled].registers if mangled in uses else 0
            found[f"sm_{architecture}"][names[mangled]] = replace(code, registers=registers)
    return found


def _compile(toolkit: Path, source: Path, architecture: int, folder: Path) -> tuple[Path, dict[str, KernelUse]]:
    """A cubin, unless it is there already and from the same input, and what ptxas said of it."""
    cubin = folder / f"{source.stem}.{architecture}.cubin"
    command = [
        *(str(toolkit / "bin" / "nvcc"), *FLAGS, f"-arch=sm_{architecture}", "--resource-usage"),
        *("-cubin", str(source), "-o", str(cubin)),
    ]
    note = cubin.with_suffix(".cubin.json")
    key = digest(toolkit, source, command)
    if cubin.exists() and note.exists() and (kept := json.loads(note.read_text()))["key"] == key:
        return cubin, {name: KernelUse(**use) for name, use in kept["uses"].items()}
    uses = parse_ptxas(run_tool(command, with_errors=True))
    note.write_text(json.dumps({"key": key, "uses": {name: asdict(use) for name, use in uses.items()}}))
    return cubin, uses


def write(counts: dict[str, dict[str, Code]], compiler: str, path: Path) -> None:
    """As JSON, kernels in the order of their names, a loop a line."""
    kernels = {
        architecture: {name: asdict(code) for name, code in sorted(codes.items())}
        for architecture, codes in counts.items()
    }
    report = {"format": FORMAT, "compiler": compiler, "sources": sources_digest(), "kernels": kernels}
    text = json.dumps(report, indent=1)
    for bracketed in (r"\{[^{}\[\]]*\}", r"\{[^{}\[\]]*\{[^{}\[\]]*\}[^{}\[\]]*\}"):  # what holds numbers alone
        text = re.sub(bracketed, lambda match: " ".join(match[0].split()), text)
    path.write_text(text + "\n")


def sources_digest(root: Path = ROOT) -> str:
    """Of the kernels' sources, whatever their comments and line breaks are."""
    digest = hashlib.sha256()
    for file in [*sorted((root / "kernels").glob("*.*")), root / "csrc" / "adasgn" / "constants.h"]:
        code = re.sub(r"//.*", "", file.read_text(encoding="utf-8"))
        digest.update("\0".join([file.name, *code.split()]).encode())
    return digest.hexdigest()


def counted_sources(path: Path) -> str:
    """The digest of the sources that a file of `write` was counted of."""
    return str(json.loads(path.read_text())["sources"])


def read(path: Path) -> dict[str, dict[str, Code]]:
    """Of `write`; raises ToolError for another file."""
    report = json.loads(path.read_text())
    if report.get("format") != FORMAT:
        raise ToolError(f"{path}: expected {FORMAT}, found {report.get('format')!r}")
    return {
        architecture: {
            name: Code(**{**code, "loops": [Loop(**one) for one in code["loops"]]}) for name, code in codes.items()
        }
        for architecture, codes in report["kernels"].items()
    }


def table(counts: dict[str, dict[str, Code]]) -> Iterable[str]:
    """Markdown: of each kernel all instructions, then its loops of products."""
    shown = ("HMMA", "FFMA", "LDSM", "LDS", "LDG", "LDG.128", "LDGSTS", "MUFU")
    for architecture, codes in counts.items():
        yield f"## {architecture}"
        yield ""
        yield f"| kernel, and its loops that multiply | instructions | {' | '.join(shown)} |"
        yield f"|---|---|{'---|' * len(shown)}"
        for name, code in sorted(codes.items()):
            cells = " | ".join(str(code.kinds.get(kind, 0)) for kind in shown)
            yield f"| `{name}`, {code.outside} outside of loops | {code.instructions} | {cells} |"
            for loop in code.loops:
                cells = " | ".join(str(loop[kind]) for kind in shown)
                yield f"| {loop.times} x | {loop.instructions} | {cells} |"
        yield ""
