"""Commands run in this very process."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest


def status_of(*arguments: object) -> int:
    """Run a command; its exit status."""
    from adasgn_edge.cli import main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["adasgn-edge", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
    return int(end.value.code or 0)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs a command; gives its status and what it printed, output and errors together, in one line without borders."""

    def printed(*arguments: object) -> tuple[int, str]:
        status = status_of(*arguments)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return status, " ".join((captured.out + captured.err).replace("│", " ").split())

    return printed
