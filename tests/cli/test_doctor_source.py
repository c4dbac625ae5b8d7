"""``doctor --source`` as a command: text, JSON, exit status, and what is stated by options."""

from __future__ import annotations

import json

import numpy as np
import pytest

from adasgn_edge import shipped_model
from adasgn_edge.cli import doctor
from adasgn_edge.errors import ClipError, DatasetError, LayoutError, SourceError
from adasgn_edge.hands import animate


@pytest.fixture
def hand(tmp_path):
    """Writes a hand that swipes, changed by a factor for each axis."""

    def write(*factors: float) -> str:
        path = tmp_path / "hand.npz"
        np.savez(path, positions=animate("Swipe Left", seed=1) * np.float32(factors))
        return str(path)

    return write


def test_nothing_odd(hand, capsys):
    path = hand(1, 1, 1)
    assert doctor.main(["--source", path]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{path}: 1 body, 62 frames, no stamps\n")
    assert said.endswith("nothing looks odd\n")
    assert doctor.main(["--source", path, "--model", str(shipped_model("stream"))]) == 0


def test_doubts_in_words_and_as_json(hand, capsys):
    path = hand(-1000, -1000, 1000)
    assert doctor.main(["--source", path]) == 1
    said = capsys.readouterr().out
    assert "units: from the wrist to the middle finger's base it is 111\n    looks like: millimetres" in said
    assert "    if so write: --units mm\n" in said
    assert "    if so write: --axes optical\n" in said
    assert "--source model" in said
    assert doctor.main(["--json", "--source", path]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert [found["kind"] for found in facts["findings"]] == ["units", "upside down"]
    assert [found["write"] for found in facts["findings"]] == ["--units mm", "--axes optical"]
    assert facts["findings"][1]["value"] == 1
    assert (facts["joints"], facts["bodies"], facts["rate"]) == ("model", 1, None)


def test_what_is_written_sets_it_right(hand, capsys):
    path = hand(-1000, -1000, 1000)
    assert doctor.main(["--source", path, "--units", "mm", "--axes", "optical"]) == 0
    assert "axes optical, units mm" in capsys.readouterr().out
    assert doctor.main(["--source", hand(-1, 1, 1), "--side", "left"]) == 0
    assert doctor.main(["--source", hand(1, 1, 1), "--side", "left"]) == 1
    assert "mirrored: 100% of the frames" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        (["--layout", "kinect20"], ClipError, "22 joints: perhaps those of the layout shrec22"),
        (["--layout", "hands"], LayoutError, "hands"),
        (["--axes", "up up up"], SourceError, "axes"),
        (["--source-name", "wiimote"], LayoutError, "wiimote"),
    ],
)
def test_what_cannot_be_read_is_an_error(hand, options, error, said):
    with pytest.raises(error, match=said):
        doctor.main(["--source", hand(1, 1, 1), *options])


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DatasetError, match=r"[Nn]o such file"):
        doctor.main(["--source", str(tmp_path / "none.npz")])
