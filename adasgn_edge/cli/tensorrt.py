"""``adasgn-edge tensorrt``: engines for NVIDIA's TensorRT: build, check, and the plugin for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adasgn_edge.cli.terminal import printable

if TYPE_CHECKING:
    from adasgn_edge.tensorrt.build import Report

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False,
                  help="Engines for NVIDIA's TensorRT: build one, check one, use the plugin elsewhere.")  # fmt: skip

MaxBatch = Annotated[int, typer.Option(min=1, help="The most clips of one run, times persons.")]
PrecisionOption = Annotated[
    str,
    typer.Option(
        metavar="f16|f32",
        help="Arithmetic: f16 on tensor cores, or f32, which is exact. Of --graph, what it was exported with.",
    ),
]
EffortOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        help="Of a model that escalates, how much to spend; an engine has one effort.  [default: the model's own]",
        show_default=False,
    ),
]
PersonsOption = Annotated[
    int, typer.Option(min=1, help="Persons of a sample that a model which escalates decides for together.")
]
GraphOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.onnx",
        help="Let TensorRT compile this graph of the same dense model, of `export --onnx`, in place of the plugin.",
        show_default=False,
    ),
]


@app.command("build")
def build(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file (.adasgn).", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE.engine",
            help="Write the engine here, beside it FILE.json, which says what it is for.  [default: the cache, where "
            "`load(…, device='tensorrt')` finds it]",
            show_default=False,
        ),
    ] = None,
    max_batch: MaxBatch = 64,
    precision: PrecisionOption = "f16",
    effort: EffortOption = None,
    persons: PersonsOption = 1,
    graph: GraphOption = None,
    typical_batch: Annotated[int, typer.Option(min=1, help="Of --graph: the batch to choose kernels for.")] = 1,
    workspace: Annotated[int, typer.Option(min=1, metavar="MIB", help="Memory that TensorRT may use beside.")] = 256,
    force: Annotated[bool, typer.Option("--force", help="Build though little memory is free.")] = False,
) -> None:
    """Build an engine for this machine's GPU and TensorRT, and compare it with the CPU engine on clips made by code.

    An engine runs on the GPU model, the TensorRT and the driver that it was built with, and nowhere else: build on the
    board itself, once. Memory is looked at first; a build that fails, or does not agree with the CPU engine, leaves
    nothing behind. What is missing is said together with the command that brings it (`adasgn-edge doctor` says all at
    once).

    Examples: `adasgn-edge tensorrt build gestures.adasgn` ·
    `adasgn-edge tensorrt build gestures.adasgn -o gestures.engine --max-batch 8` ·
    `adasgn-edge tensorrt build dense.adasgn --graph dense-f16.onnx`
    """
    from adasgn_edge.files import check_output
    from adasgn_edge.tensorrt.cache import ENDING, EngineCache, write_engine
    from adasgn_edge.tensorrt.engine import build_engine

    if out is not None:
        check_output(out, (ENDING,), "--out")
    wanted = _model(
        model,
        max_batch=max_batch,
        precision=precision,
        effort=effort,
        persons=persons,
        typical_batch=typical_batch,
        graph=graph,
    )
    facts, cache = wanted.facts, EngineCache()
    if out is None:
        cache.check(facts)
    typer.echo(f"TensorRT {facts.tensorrt} on {printable(facts.gpu)} ({facts.capability}), {facts.precision}")
    with _Phases() as report:
        plan, engine = build_engine(wanted, workspace=workspace, force=force, report=report)
    typer.echo(f"checked: {engine.checked}")
    if out is not None:
        write_engine(out, plan, facts)
    else:
        out = cache.write(facts, plan)
    typer.echo(f"{printable(out)}: {len(plan) / 1e6:.2f} MB, up to {max_batch} clips")


@app.command("check")
def check(
    engine: Annotated[Path, typer.Argument(metavar="ENGINE", help="What build wrote.", show_default=False)],
    model: Annotated[
        Path,
        typer.Option(metavar="MODEL", help="The model file that it was built from.", show_default=False),
    ],
    graph: GraphOption = None,
) -> None:
    """Say whether an engine fits this machine and computes what its model file does on the CPU.

    Only engines that you wrote, in folders that only you can write to, are loaded: an engine file is a program.

    Example: `adasgn-edge tensorrt check gestures.engine --model gestures.adasgn`
    """
    from adasgn_edge.errors import TensorRTError
    from adasgn_edge.tensorrt.cache import read_engine
    from adasgn_edge.tensorrt.engine import run_plan
    from adasgn_edge.tensorrt.self_check import check_against

    plan, facts = read_engine(engine)
    wanted = _model(
        model,
        max_batch=facts.max_batch,
        precision=facts.precision,
        effort=facts.effort,
        persons=facts.persons,
        typical_batch=facts.typical_batch,
        graph=graph,
    )
    if different := wanted.facts.differences(facts):
        raise TensorRTError(
            f"{engine}: expected an engine for this machine and model, found one for {', '.join(different)}; "
            f"adasgn-edge tensorrt build {model} makes one"
        )
    loaded = run_plan(wanted, plan)
    batch = min(facts.max_batch // facts.persons, 16)
    found = check_against(wanted.cpu, loaded, facts.precision, batch, facts.persons, facts.effort)
    typer.echo(f"{printable(engine)}: TensorRT {facts.tensorrt} on {printable(facts.gpu)}, {facts.precision}; {found}")


@app.command("plugin")
def plugin(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="[MODEL]", help="A model file (.adasgn), for trtexec's commands.", show_default=False),
    ] = None,
    onnx: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.onnx",
            help="Write the model here as a graph of one node, the plugin (needs the package onnx).",
            show_default=False,
        ),
    ] = None,
    max_batch: MaxBatch = 64,
    precision: PrecisionOption = "f16",
    effort: EffortOption = None,
) -> None:
    """Print where the plugin's library lies and, for a model, the commands of NVIDIA's trtexec that build and time it.

    Example: `adasgn-edge tensorrt plugin gestures.adasgn --onnx gestures.onnx`
    """
    from adasgn_edge.errors import OutputError
    from adasgn_edge.files import check_output
    from adasgn_edge.installation.build_info import read_build
    from adasgn_edge.tensorrt.plugin import expect_library, trtexec_lines

    if onnx is not None:
        check_output(onnx, (".onnx",), "--onnx")
        if model is None:
            raise OutputError("--onnx: expected a model file to write, found none")
    if model is not None:
        from adasgn_edge.deploy.model_file import read_model_file

        file = read_model_file(model)
        if onnx is not None:
            from adasgn_edge.tensorrt.plugin_graph import write_plugin_graph

            write_plugin_graph(file, onnx, precision, effort)
            typer.echo(f"{printable(onnx)}: {onnx.stat().st_size / 1e6:.2f} MB")
    part = read_build().tensorrt
    library = expect_library(part)
    typer.echo(f"{printable(library)}: for TensorRT {part.version}")
    if model is not None:
        graph, engine = str(onnx or model.with_suffix(".onnx")), str(model.with_suffix(".engine"))
        for line in trtexec_lines(library, (file.config.frames, file.config.joints, 3), max_batch, graph, engine):
            typer.echo(line)


def _model(path: Path, **options: Any) -> Any:
    from adasgn_edge.deploy.model_container import read_model_bytes
    from adasgn_edge.regular_file import shown_path
    from adasgn_edge.tensorrt.engine import Model

    return Model(read_model_bytes(path), shown_path(path), **options)


class _Phases:
    """A bar for each phase of TensorRT's builder on a terminal; nothing elsewhere."""

    def __enter__(self) -> Report:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
        self._bars = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._tasks: dict[str, Any] = {}
        self._bars.start()
        return self._step

    def _step(self, phase: str, done: int, steps: int) -> None:
        if phase not in self._tasks:
            self._tasks[phase] = self._bars.add_task(printable(phase, 60), total=max(1, steps))
        self._bars.update(self._tasks[phase], completed=done)
        if done >= steps:
            self._bars.remove_task(self._tasks.pop(phase))

    def __exit__(self, *_: object) -> None:
        self._bars.stop()
