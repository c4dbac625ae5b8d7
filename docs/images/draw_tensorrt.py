"""Draw docs/images/tensorrt.svg: what `adasgn-edge tensorrt build --help` and a refused build look like on a terminal.

    python docs/images/draw_tensorrt.py

The build is refused for what this machine lacks.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[2]
WIDTH = 100


def said(*arguments: str) -> str:
    """What the command prints on a terminal with colours."""
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "adasgn_edge", *arguments]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [line.rstrip() for line in (done.stdout + done.stderr).splitlines()]
    return "\n".join(lines).strip("\n")


def main() -> None:
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere)
        for arguments in (
            ("tensorrt", "build", "--help"),
            ("tensorrt", "build", "adasgn_edge/weights/shrec14.adasgn"),
        ):
            console.print(f"[bold green]$[/] adasgn-edge {' '.join(arguments).replace('adasgn_edge/weights/', '')}")
            console.print(Text.from_ansi(said(*arguments)))
            console.print()
        drawn = console.export_svg(title="adasgn-edge tensorrt build")
    # Without fonts of another site (the reader's own will do) and the note of the library that drew it.
    drawn = re.sub(r"@font-face\s*\{[^}]*\}|<!--.*?-->", "", drawn, flags=re.DOTALL)
    Path(__file__).with_name("tensorrt.svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
