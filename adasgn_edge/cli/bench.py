"""``adasgn-edge bench``: how fast the engine is here, beside other runtimes; ``bench compare``: two such reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adasgn_edge.cli.device import DeviceOption

if TYPE_CHECKING:
    from adasgn_edge.bench.settings import Settings

__all__ = ["app"]

MOST_SECONDS = 86_400.0

app = typer.Typer(no_args_is_help=False, rich_markup_mode="markdown", pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def command(
    context: typer.Context,
    device: DeviceOption = "cpu",
    model: Annotated[
        list[Path] | None,
        typer.Option(
            help="Model file of your own in place of the shipped one; may be repeated. A causal one takes the place of "
            "the shipped model for streams.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Recorded test clips of this data set (name or path; needs torch), which give accuracies too.  "
            "[default: clips made by code, the same everywhere]",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[str, typer.Option(help="Clips at a time.")] = "1,8",
    threads: Annotated[int, typer.Option(min=1, max=4096, help="Threads of every side, on the CPU.")] = 1,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long the sides of each group take turns.")] = 20.0,
    quick: Annotated[bool, typer.Option("--quick", help="Shorter turns, one graph a runtime.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A part (clips, streams, cold-start, memory, loop) or contenders ('shrec14@*'); may be repeated.",
            show_default=False,
        ),
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="torch.compile as well, 20 s a graph.")] = False,
    loop: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="A loop with absolute deadlines too, e.g. 100Hz.", show_default=False),
    ] = None,
    loop_seconds: Annotated[float, typer.Option(min=0.1, help="How long the loop runs.")] = 10.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report here.", show_default=False)] = None,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="Write it as a page, in one file.", show_default=False)
    ] = None,
    sysfs_root: Annotated[
        Path, typer.Option(help="Where /sys, /proc and /etc of the board are found: power, clocks, temperature.")
    ] = Path("/"),
) -> None:
    """Time the engine beside other runtimes on this machine.

    Every contender is first shown to compute what it should; the sides of a ratio take turns. Ctrl-C ends it and keeps
    what was measured; the exit status is then 130. It is 1 where a contender was wrong. `bench compare A.json B.json`
    puts two reports side by side.

    Example: `adasgn-edge bench --quick --html bench.html`
    """
    if context.invoked_subcommand is not None:
        return
    from adasgn_edge.bench.settings import LoopSettings, Settings, parse_rate
    from adasgn_edge.cli.option_values import numbers
    from adasgn_edge.files import check_output

    for option, file, ending in (("--json", json_file, ".json"), ("--html", html_file, ".html")):
        if file is not None:
            check_output(file, (ending,), option)
    batches = tuple(dict.fromkeys(numbers(batch, int, "--batch")))
    if min(batches) < 1:
        raise typer.BadParameter(f"--batch: expected numbers of at least 1, found {batch!r}")
    for option, value in (("--seconds", seconds), ("--loop-seconds", loop_seconds)):
        if not 0.1 <= value <= MOST_SECONDS:  # infinity and NaN too
            raise typer.BadParameter(f"expected 0.1 to {MOST_SECONDS:g} seconds, found {value:g}", param_hint=option)
    settings = Settings(
        device=device,
        models=tuple(model or ()),
        data=data,
        batches=batches,
        threads=threads,
        seconds=seconds,
        quick=quick,
        only=tuple(only or ()),
        compiled=compiled,
        loop=None if loop is None else LoopSettings(parse_rate(loop), loop_seconds),
        sysfs_root=sysfs_root,
    )
    raise typer.Exit(_run(settings, json_file, html_file))


def _run(settings: Settings, json_file: Path | None, html_file: Path | None) -> int:
    """Measure, show and write; the exit status."""
    from adasgn_edge.bench.measurement import measure
    from adasgn_edge.bench.report import write_report
    from adasgn_edge.cli.bench_view import BenchView, show
    from adasgn_edge.cli.console import console, plain_warnings
    from adasgn_edge.cli.stopping import Stopping

    with Stopping() as stopping, plain_warnings(), BenchView(stopping) as view:
        report = measure(settings, view)
    show(report)
    if json_file is not None:
        write_report(report, json_file)
        console.print(f"wrote {json_file}")
    if html_file is not None:
        from adasgn_edge.bench.page import write_page

        write_page(report, html_file)
        console.print(f"wrote {html_file}")
    wrong = any(row["status"] == "wrong" for row in report["contenders"])
    return stopping.status or int(wrong)


@app.command("compare")
def compare_command(
    first: Annotated[Path, typer.Argument(help="A report of `bench --json`.")],
    second: Annotated[Path, typer.Argument(help="Another one.")],
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Compare reports of different machines or settings, too.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the comparison here.", show_default=False)
    ] = None,
) -> None:
    """Put two reports side by side: times of the second over those of the first, with 95 % intervals.

    An interval is that of the rounds within each run; what differed from run to run (heat, other programs) is not in
    it.
    """
    from adasgn_edge.bench.comparison import compare
    from adasgn_edge.bench.report import read_report, write_report
    from adasgn_edge.cli.bench_view import show_comparison
    from adasgn_edge.cli.console import console
    from adasgn_edge.files import check_output

    if json_file is not None:
        check_output(json_file, (".json",), "--json")
    comparison: dict[str, Any] = compare(read_report(first), read_report(second), anyway=anyway)
    show_comparison(comparison, str(first), str(second))
    if json_file is not None:
        write_report(comparison, json_file)
        console.print(f"wrote {json_file}")
