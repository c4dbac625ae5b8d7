"""The tutorial docs/own_gestures.md: every command in it, one after another, in a fresh folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "own_gestures.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
QUICKER = {"--speed 20": "--speed 1000", "train my-gestures\n": "train my-gestures --epochs 8 --threads 1\n"}
"""What the test does not wait for."""


@pytest.mark.slow
def test_the_tutorial_works_as_it_stands(tmp_path: Path) -> None:
    commands = "".join(text for language, text in BLOCKS if not language)
    for slow, quick in QUICKER.items():
        assert slow in commands
        commands = commands.replace(slow, quick)
    python = shlex.quote(sys.executable)
    script = f'set -eo pipefail\nadasgn-edge() {{ {python} -m adasgn_edge "$@"; }}\n{commands}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "not kept" not in done.stdout
    assert "my-gestures holds 72 clips by 3 subjects: Grab 24, Swipe Right 24, Tap 24" in done.stdout
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"file"')]
    assert len(rows) == 24
    assert sum(row["label"] == "Tap" for row in rows) >= 20, "clips that it was trained on"
    card = (tmp_path / "runs" / "my-gestures-joint" / "card.md").read_text(encoding="utf-8")
    assert "| a clip spans | 2 s" in card
    assert "person 3" in card

    (program,) = [text for language, text in BLOCKS if language == "python"]
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert said.stdout.strip() in ("Grab", "Swipe Right", "Tap"), said.stderr


def test_what_the_tutorial_shows_is_in_a_block_that_says_so() -> None:
    """A block without a language is run; none of them needs a sensor."""
    for language, text in BLOCKS:
        assert language in ("", "text", "python")
        if not language:
            assert "my-tracker" not in text
            assert "--camera" not in text
