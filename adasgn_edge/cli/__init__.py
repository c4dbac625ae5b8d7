"""The command ``adasgn-edge``: one module per command in this folder, each with its function ``command``.

Modules import torch and other heavy packages inside their functions, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys

__all__ = ["main"]

_EXTRAS = {"torch": "train", "pydantic": "train", "safetensors": "train", "matplotlib": "plot"}
"""Which extra of the package brings an optional module."""


def main() -> None:
    """Entry point: errors of this package become one line on standard error and exit status 2; Ctrl-C is 130."""
    from adasgn_edge.errors import AdaSGNError

    try:
        from adasgn_edge.cli.app import app
    except ModuleNotFoundError as error:
        if error.name in ("typer", "rich", "click"):
            if sys.argv[1:2] == ["doctor"]:
                from adasgn_edge.cli import doctor

                sys.exit(doctor.main(sys.argv[2:]))
            sys.exit(f"adasgn-edge: the command line needs {error.name!r}: pip install 'adasgn-edge[cli]'")
        raise
    try:
        app()
    except AdaSGNError as error:
        print(f"adasgn-edge: {error}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(error.name or "")
        if extra is None:
            raise
        hint = f"pip install 'adasgn-edge[{extra}]'"
        print(f"adasgn-edge: this command needs {error.name!r}, which is not installed: {hint}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("adasgn-edge: interrupted", file=sys.stderr)
        sys.exit(130)
