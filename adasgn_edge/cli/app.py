"""The command tree."""

from __future__ import annotations

import sys

import click
import typer

from adasgn_edge import __version__
from adasgn_edge.cli import train

__all__ = ["app"]

_typer = typer.Typer(
    name="adasgn-edge",
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


for _name, _module in (("train", train),):
    _typer.command(_name)(_module.command)


def app(standalone_mode: bool = True) -> None:
    """Run the command line; usage errors are printed and exit with status 2."""
    command = typer.main.get_command(_typer)
    try:
        status = command.main(prog_name="adasgn-edge", standalone_mode=standalone_mode)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        raise KeyboardInterrupt from None
    if isinstance(status, int) and status:
        sys.exit(status)
