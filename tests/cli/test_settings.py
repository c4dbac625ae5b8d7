"""Numbers that no setting can have, and names that lead elsewhere: refused by every command before any work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")

from adasgn_edge.hands import animate

RECIPE = 'name = "mine"\n[data]\ndataset = "shrec14"\n'
ONLINE = 'name = "mine"\nkind = "online"\ndataset = "shrec21"\n'


@pytest.fixture
def clip(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.savez("clip.npz", positions=animate("Swipe V", seed=4))
    return Path("clip.npz")


@pytest.mark.parametrize(
    "arguments",
    [
        *(("classify", "clip.npz", "--scale", value) for value in ("nan", "inf", "0", "-1", "1e300")),
        ("classify", "clip.npz", "--effort", "nan"),
        ("classify", "clip.npz", "--device", "mps"),
        ("classify", "clip.npz", "--units", "inf"),
        *(("replay", "clip.npz", "--speed", value) for value in ("nan", "0", "-1", "inf")),
        *(("replay", "clip.npz", "--fps", value) for value in ("nan", "0", "inf", "1e300")),
        *(("demo", "--no-live", "--speed", value) for value in ("nan", "0", "inf")),
        ("demo", "--no-live", "--count", "99999999999"),
        ("demo", "--no-live", "--seed", "9" * 30),
        *(("stream", "clip.npz", "--source", "model", "--fps", value) for value in ("nan", "0", "inf")),
        *(("record", "out", "--seconds", value) for value in ("nan", "inf", "0")),
        *(("record", "out", "--pause", value) for value in ("nan", "inf", "-1")),
        *(("bench", "--seconds", value) for value in ("nan", "inf", "1e300")),
        *(("bench", "--loop", value) for value in ("nanHz", "infHz", "1e300")),
        *(("bench", "--threads", value) for value in ("0", "9999999999")),
        ("bench", "--loop-seconds", "nan"),
        ("cost", "--frames", "10000000"),
        ("cost", "--classes", "99999999999"),
    ],
    ids=" ".join,
)
def test_options(run, clip, arguments):
    status, said = run(*arguments)
    assert status == 2, said
    assert len(said) < 800


@pytest.mark.parametrize(
    "arguments",
    [
        *(("train", "shrec14", "--threads", value) for value in ("0", "-1", "99999999999")),
        ("train", "shrec14", "--device", "mps"),
        ("eval", "--device", "mps"),
        ("train", "shrec14", "--epochs", "0"),
        ("train", "shrec14", "--epochs", "99999999999999"),
        *(("train", "shrec14", "--only", "all", "--alpha", value) for value in ("nan", "inf", "-1", "1e300")),
        *(("train", "shrec14", "--seeds", value) for value in ("x", "9" * 30, "9" * 5000, "-1")),
        ("train", "shrec21", "--epochs", "99999999999999"),
    ],
    ids=lambda arguments: " ".join(arguments)[:60],
)
def test_options_of_training(run, clip, monkeypatch, arguments):
    """Before any data set is looked for."""
    pytest.importorskip("pydantic")
    pytest.importorskip("torch")
    monkeypatch.setenv("ADASGN_DATA", "none")
    status, said = run(*arguments)
    assert status == 2, said
    assert arguments[-2].removeprefix("--") in said
    assert "expected its files" not in said
    assert len(said) < 800
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        *((RECIPE.replace("mine", name), "name") for name in ("../../evil", "/etc", "..", "a/b", ".x", "", "x" * 200)),
        (RECIPE.replace('"mine"', '"\\u001b[31m"'), "name"),
        (ONLINE.replace("mine", "../evil"), "name"),
        (RECIPE + "[single]\nlearning_rate = nan\n", "single.learning_rate"),
        (RECIPE + "[single]\nlearning_rate = 1e300\n", "single.learning_rate"),
        (RECIPE + "[single]\nepochs = 99999999999999999999\n", "single.epochs"),
        (RECIPE + "[single]\nbatch = 99999999999\n", "single.batch"),
        (RECIPE + "[single]\nmilestones = [1, -1]\n", "single.milestones"),
        (RECIPE + "[augment]\nrotation = [inf, 0, 0]\n", "augment.rotation"),
        (RECIPE + "[augment]\njitter = 1e300\n", "augment.jitter"),
        (RECIPE + "[adaptive]\nalpha = [inf]\n", "adaptive.alpha"),
        (RECIPE + "[adaptive]\ntemperature_decay = 1e3\n", "adaptive.temperature_decay"),
        (RECIPE + "[model]\nframes = 10000000\n", "model.frames"),
        (ONLINE + "[grid]\nstep = 1e-300\n", "grid.step"),
        (ONLINE + "[schedule]\nsteps = 99999999999\n", "schedule.steps"),
        (ONLINE + "[model]\ndilations = [99999999999]\n", "model.dilations"),
    ],
    ids=lambda text: text.replace("\n", " ")[-40:],
)
def test_recipes(tmp_path, text, key):
    pytest.importorskip("pydantic")
    from adasgn_edge.errors import RecipeError
    from adasgn_edge.train.online.recipe import load_online_recipe
    from adasgn_edge.train.recipe import load_recipe

    path = tmp_path / "recipe.toml"
    path.write_text(text)
    load = load_online_recipe if "online" in text else load_recipe
    with pytest.raises(RecipeError, match=f"recipe.toml: {key}") as raised:
        load(str(path))
    assert len(str(raised.value)) < 400
