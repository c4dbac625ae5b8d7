"""What the parts of this machine's GPU cost: `python -m bench.gpu.constants`; bench.predict builds its times of them.

Compiles constants.cu with nvcc for the GPU at hand, runs it, prints a table and writes constants.json. Takes a minute
or two, nearly all of it nvcc's; needs neither torch nor the built package.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench.kernel_report.compiler import ToolError, find_toolkit, run_tool

__all__ = ["Constants", "build", "parse", "read", "table", "write"]

FORMAT = "adasgn_edge.gpu_constants.1"
SOURCE = Path(__file__).with_suffix(".cu")
FLAGS = ["-std=c++17", "-O3", "-Werror", "all-warnings", "-Xcompiler", "-Wall,-Wextra"]
GRAPH_NODES = (1, 2, 3, 4, 6, 8)


@dataclass(frozen=True)
class Constants:
    """A GPU's name, how its values were found, and every value with its unit by the name that constants.cu gives."""

    device: str
    how: str
    values: dict[str, tuple[float, str]] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def __getitem__(self, name: str) -> float:
        return self.values[name][0]

    def get(self, name: str, otherwise: float) -> float:
        """A value that reports of earlier versions lack."""
        value, _ = self.values.get(name, (otherwise, ""))
        return value

    def graph(self, way: str, dependent: bool = False) -> tuple[float, float]:
        """Microseconds (of an empty graph, of each node), the line through the graphs of empty kernels that lies
        closest. way: idle, steady or wall; dependent: with programmatic dependent launch."""
        prefix = "graph/dependent/" if dependent else "graph/"
        known = [(count, f"{prefix}{count}/{way}") for count in GRAPH_NODES]
        points = [(count, self[name]) for count, name in known if name in self]
        count = len(points)
        mean_x, mean_y = (sum(point[axis] for point in points) / count for axis in (0, 1))
        slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
        return mean_y - slope * mean_x, slope


def build(toolkit: Path, architecture: str, folder: Path) -> Path:
    """The program, compiled. architecture: such as sm_87, or native."""
    program = folder / "constants"
    run_tool([toolkit / "bin" / "nvcc", *FLAGS, f"-arch={architecture}", SOURCE, "-o", program])
    return program


def parse(printed: str, how: str) -> Constants:
    """What the program printed. Raises ToolError for a line that it does not print."""
    device, values = "", {}
    for line in printed.splitlines():
        cells = line.split("\t")
        if len(cells) == 2 and cells[0] == "device":
            device = cells[1]
            continue
        try:
            name, text, unit = cells
            value = float(text)
        except ValueError:
            raise ToolError(f"constants: expected name, value and unit, found {line!r}") from None
        if not math.isfinite(value) or value < 0:
            raise ToolError(f"constants: {name}: expected a finite value, not below zero, found {text}")
        values[name] = (value, unit)
    if not device:
        raise ToolError("constants: expected the device's name, found none")
    return Constants(device, how, values)


def write(constants: Constants, path: Path) -> None:
    """As JSON."""
    rows = {name: {"value": value, "unit": unit} for name, (value, unit) in constants.values.items()}
    report = {"format": FORMAT, "device": constants.device, "how": constants.how, "values": rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


def read(path: Path) -> Constants:
    """Of `write`; raises ToolError for another file."""
    report = json.loads(path.read_text())
    if report.get("format") != FORMAT:
        raise ToolError(f"{path}: expected {FORMAT}, found {report.get('format')!r}")
    values = {name: (float(row["value"]), str(row["unit"])) for name, row in report["values"].items()}
    return Constants(report["device"], report["how"], values)


def table(constants: Constants) -> Iterable[str]:
    """Markdown: what follows from the graphs of several nodes, then everything as measured."""
    yield f"{constants.device}; {constants.how}"
    yield ""
    yield "| measurement | value | unit |"
    yield "|---|---|---|"
    for dependent in (False, True):
        for way in ("idle", "steady", "wall"):
            if f"graph/{'dependent/' if dependent else ''}1/{way}" in constants:
                empty, node = constants.graph(way, dependent)
                kind = "dependent launches" if dependent else "kernels"
                yield f"| *graph of {kind}, {way}: without a node* | {empty:.2f} | us |"
                yield f"| *each node* | {node:.2f} | us |"
    for name, (value, unit) in constants.values.items():
        yield f"| {name} | {value:g} | {unit} |"


def main(arguments: list[str] | None = None) -> int:
    """Compile, measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu.constants", description=__doc__)
    parser.add_argument("--architecture", default="native", help="such as sm_87  [default: that of the GPU at hand]")
    parser.add_argument("--out", type=Path, default=Path(), help="folder for constants.json  [default: this one]")
    options = parser.parse_args(arguments)
    try:
        toolkit = find_toolkit()
        with tempfile.TemporaryDirectory(prefix="adasgn-constants-") as name:
            printed = run_tool([build(toolkit, options.architecture, Path(name))])
        now = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        constants = parse(printed, f"python -m bench.gpu.constants, {now}")
    except ToolError as error:
        print(error, file=sys.stderr)
        return 2
    write(constants, options.out / "constants.json")
    print("\n".join(table(constants)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
