"""The command ``adasgn-edge``: one module per command in this folder, each with its function ``command``.

Modules import torch and other heavy packages inside their functions, so that ``--help`` answers at once.
"""

from __future__ import annotations

import atexit
import errno
import gc
import os
import signal
import sys
import warnings
from pathlib import Path

__all__ = ["main"]

_EXTRAS = {
    "click": "cli",
    "rich": "cli",
    "typer": "cli",
    "torch": "train",
    "pydantic": "train",
    "safetensors": "train",
    "tomli": "train",
    "matplotlib": "plot",
    "onnx": "onnx",
    "onnxscript": "onnx",
}
"""Which extra of the package brings an optional module."""


def main() -> None:
    """Entry point. Errors of this package and of the system become one line on standard error and exit status 2.

    Ctrl-C is 130; output that nobody reads any more (`| head`) is 1.
    """
    status = 130
    atexit.register(gc.freeze)  # else Python goes through all objects of torch once more at the end: up to a second
    try:
        from adasgn_edge.cli.stopping import interrupt
        from adasgn_edge.cli.terminal import finish_streams, prepare_streams

        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # in a shell's background it is ignored
            signal.signal(signal.SIGINT, interrupt)
        prepare_streams()
        warnings.formatwarning = _format_warning
        status = _run()
        status = finish_streams() or status
    except KeyboardInterrupt:
        print("adasgn-edge: interrupted", file=sys.stderr)
    sys.exit(status)


def _run() -> int:
    """Run the command; its exit status."""
    from adasgn_edge.cli.terminal import complain
    from adasgn_edge.errors import AdaSGNError

    try:
        if sys.argv[1:2] == ["doctor"]:  # does not rest on the packages that it looks for
            from adasgn_edge.cli import doctor

            return doctor.main(sys.argv[2:])
        from adasgn_edge.cli.app import app

        app()
    except SystemExit as end:
        if end.code == 130:  # so Typer ends at Ctrl-C
            complain("interrupted")
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        complain(end.code)
        return 1
    except BrokenPipeError:
        return 1  # finish_streams finds it too
    except AdaSGNError as error:
        complain(error)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "numpy":
            complain("needs NumPy, which is not installed: pip install 'numpy>=1.23'")
        elif package in _EXTRAS:
            complain(f"this needs {package!r}, which is not installed: pip install 'adasgn-edge[{_EXTRAS[package]}]'")
        else:
            raise
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package != "numpy" and package not in _EXTRAS:
            raise
        complain(f"{package} is installed but does not load ({error}); see `adasgn-edge doctor`")
    except UnicodeEncodeError as error:
        if error.encoding.lower().replace("-", "") == "utf8":
            raise
        complain(f"a name has characters that this locale ({error.encoding}) lacks: {error}; set LC_ALL=C.UTF-8")
    except OSError as error:
        if error.errno is None:
            raise
        if error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT):  # of a file the name is known
            complain(f"standard output: cannot be written ({error.strerror})")
        else:
            named = error.filename is not None and not isinstance(error.filename, int)
            complain(f"{os.fsdecode(error.filename)}: {error.strerror}" if named else error.strerror)
    return 2


def _format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """This package's warnings are for the user, on one line; those of others are for developers."""
    from adasgn_edge.cli.terminal import printable
    from adasgn_edge.errors import LONGEST_MESSAGE

    said = printable(message, LONGEST_MESSAGE)
    if Path(filename).is_relative_to(Path(__file__).parents[1]) and issubclass(category, UserWarning):
        return f"adasgn-edge: warning: {said}\n"
    return f"{printable(filename)}:{lineno}: {category.__name__}: {said}\n"
