"""The command tree."""

from __future__ import annotations

import contextlib
from typing import Any

import typer
from typer.core import TyperGroup

from adasgn_edge import __version__
from adasgn_edge.cli import (
    bench,
    calibrate,
    classify,
    convert,
    cost,
    demo,
    doctor,
    eval_stream,
    evaluate,
    export,
    plot,
    record,
    replay,
    stream,
    tensorrt,
    train,
)
from adasgn_edge.cli.terminal import printable
from adasgn_edge.errors import LONGEST_MESSAGE

__all__ = ["app"]


class _Group(TyperGroup):
    """Commands whose usage errors, which quote the arguments, do nothing to a terminal."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().make_context(*arguments, **options)
        except Exception as error:
            _make_harmless(error)
            raise

    def invoke(self, *arguments: Any, **options: Any) -> Any:
        # Where torch is the first to load NumPy, it goes on without when Ctrl-C interrupts that, and nobody is told.
        with contextlib.suppress(ImportError):  # the command says what it needs it for
            import numpy  # noqa: F401
        try:
            return super().invoke(*arguments, **options)
        except Exception as error:
            _make_harmless(error)
            raise


def _make_harmless(error: Exception) -> None:
    """Make what a usage error says printable; known by its looks, since Typer may bring its own copy of click."""
    if hasattr(error, "format_message") and isinstance(getattr(error, "message", None), str):
        error.message = printable(error.message, LONGEST_MESSAGE)  # type: ignore[attr-defined]


_typer = typer.Typer(
    name="adasgn-edge",
    cls=_Group,
    help="Real-time recognition of actions and hand gestures from skeleton streams (AdaSGN).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"adasgn-edge {__version__}")
        raise typer.Exit


@_typer.callback()
def _main(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version."),
) -> None:
    pass


for _name, _module in (
    ("demo", demo),
    ("classify", classify),
    ("stream", stream),
    ("record", record),
    ("train", train),
    ("eval", evaluate),
    ("eval-stream", eval_stream),
    ("calibrate", calibrate),
    ("replay", replay),
    ("plot", plot),
    ("convert", convert),
    ("cost", cost),
    ("export", export),
):
    _typer.command(_name)(_module.command)
_typer.add_typer(bench.app, name="bench")
_typer.add_typer(tensorrt.app, name="tensorrt")


@_typer.command(
    "doctor",
    help=doctor.SUMMARY,
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
def _doctor(context: typer.Context) -> None:
    raise typer.Exit(doctor.main(context.args))


def app() -> None:
    """Run the command line; usage errors are printed and exit with status 2, Ctrl-C with 130, others are raised."""
    _typer(prog_name="adasgn-edge")
