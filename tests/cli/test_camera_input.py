"""`adasgn-edge stream --camera` before a camera is opened: what must be said, what must not, what must be installed."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

pytest.importorskip("typer")
pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")

Run = Callable[..., tuple[int, str]]


def test_everything_that_is_missing_is_named(run: Run) -> None:
    status, said = run("stream", "--camera", "0")
    assert status != 0
    for option in ("--fov DEGREES", "--calibration FILE", "--mirrored or --not-mirrored"):
        assert option in said
    status, said = run("stream", "--camera", "0", "--fov", 60)
    assert status != 0
    assert "--fov" not in said
    assert "--not-mirrored" in said
    status, said = run("stream", "--camera", "0", "--fov", 60, "--calibration", "c.yaml", "--not-mirrored")
    assert status != 0
    assert "either --fov DEGREES or --calibration FILE" in said


def test_what_the_camera_itself_says_is_refused(run: Run) -> None:
    for more, name in (
        (["--source", "model"], "--source"), (["--axes", "ros"], "--axes"), (["--units", "m"], "--units"),
        (["--side", "left"], "--side"), (["--flip", "y"], "--flip"), (["--mirror"], "--mirror"),
        (["--scale", "2"], "--scale"), (["hand.csv"], "FILE"),
    ):  # fmt: skip
        status, said = run("stream", "--camera", "0", "--fov", 60, "--not-mirrored", *more)
        assert status == 2
        assert f"expected nothing that the camera itself says, found {name}" in said
    status, said = run("stream", "--fov", 60, "hand.csv")
    assert status == 2
    assert "expected --camera with --fov and --calibration" in said


def test_without_the_extra_it_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    status, said = run("stream", "--camera", "0", "--fov", 60, "--not-mirrored")
    assert status != 0
    assert "pip install 'adasgn-edge[camera]'" in said
