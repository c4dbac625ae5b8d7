"""Recipes that name their branches, and runs from before they could."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from adasgn_edge.errors import ModelConfigError, RecipeError
from adasgn_edge.model.adasgn import AdaSGN
from adasgn_edge.model.config import ModelConfig
from adasgn_edge.model.spatial import PoseBranch
from adasgn_edge.model.weights import load_weights
from adasgn_edge.skeletons import load_layout
from adasgn_edge.train.loop import Trainer
from adasgn_edge.train.recipe import Recipe, load_recipe
from adasgn_edge.train.stages import fingerprint, plan_stages
from tests.train.conftest import stick_dataset
from tests.train.test_loop import recipe as stick_recipe

LAYOUT = load_layout("shrec22")
RUN = Path(__file__).parents[2] / "bench" / "results" / "shrec14-joint" / "seed-1"


def with_branches(*names: str) -> Recipe:
    return load_recipe("shrec14", None, {"model": {"branches": names}, "adaptive": {"alpha": [1.0]}})


def test_stages_of_named_branches():
    *stages, last = plan_stages(with_branches("P", "S-11"), LAYOUT, 14, 1000, ("all",))
    assert [stage.name for stage in stages] == ["sgn", "P-22", "S-11", "adasgn-a1"]
    assert last.name == "adasgn-shared"
    assert [stage.config.branch_names for stage in stages] == [("B-22",), ("P-22",), ("S-11",), ("P-22", "S-11")]
    assert [stage.config.adaptive for stage in stages] == [False, False, False, True]
    assert [str(stage.branch) for stage in stages] == ["None", "P-22", "S-11", "None"]
    assert stages[1].config.joint_sets == ()


def test_branches_decide_a_fingerprint():
    found = set()
    for names in (("P", "S-11"), ("P", "S"), ("P", "S-11", "B"), ("S-1", "S-11")):
        recipe = with_branches(*names)
        found.add(fingerprint(recipe, plan_stages(recipe, LAYOUT, 14, 1000, ("adasgn-a1",))[0], 1))
    assert len(found) == 4
    by_names, by_joints = with_branches("S-1", "B-1"), load_recipe("shrec14", None, {"model": {"joint_sets": [1]}})
    for name in ("sgn", "S-1", "adasgn-a1"):
        first, second = (
            fingerprint(recipe, plan_stages(recipe, LAYOUT, 14, 1000, (name,))[0], 1)
            for recipe in (by_names, by_joints)
        )
        assert first == second, "the same branches, whichever way they are named"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("S-11", "P"), "ascending order"),
        (("P", "P-22"), "none twice"),
        (("P-11", "S-11"), "a pose branch of 22 joints"),
        (("X",), "expected a branch"),
        (("P", "small"), "expected a branch"),
    ],
)
def test_branches_that_make_no_sense(names, message):
    with pytest.raises(ModelConfigError, match=message):
        plan_stages(with_branches(*names), LAYOUT, 14, 1000)


def test_branches_or_joint_sets():
    with pytest.raises(RecipeError, match="expected branches, or joint_sets and sizes, found both"):
        load_recipe("shrec14", None, {"model": {"branches": ["P"], "joint_sets": [1]}})


@pytest.mark.parametrize("stage", ["S-1", "B-1", "S-11", "B-11", "S-22", "B-22", "adasgn-a0.5"])
def test_a_run_from_before_there_were_pose_branches_is_still_finished(stage):
    """What its weights said of themselves: their settings, and which fingerprint those had then."""
    said = json.loads((RUN / stage / "settings.json").read_text())
    recipe = Recipe.model_validate(said["provenance"]["recipe"])
    config = ModelConfig.from_dict(said["config"])
    (planned,) = plan_stages(recipe, LAYOUT, config.classes, 1960, (stage,))
    assert planned.config == config
    assert fingerprint(recipe, planned, said["provenance"]["seed"]) == said["provenance"]["fingerprint"]


def test_training_of_a_pose_branch_and_of_what_stands_on_it(tmp_path):
    recipe = stick_recipe(model={"branches": ["P", "S-1"], "frames": 4})
    trainer = Trainer(recipe, stick_dataset(), tmp_path, seed=1, device="cpu")
    stages = plan_stages(recipe, trainer.dataset.layout, 3, 72, ("P-3", "S-1", "adasgn-a2"))
    for stage in stages:
        assert not trainer.finished(stage)
        trainer.train(stage)
        assert trainer.finished(stage)
    single, adaptive = (load_weights(tmp_path / "seed-1" / name / "model.safetensors") for name in ("P-3", "adasgn-a2"))
    assert isinstance(single.model.spatial, PoseBranch)
    assert isinstance(adaptive.model, AdaSGN)
    assert adaptive.model.config.branch_names == ("P-3", "S-1")
    assert len(adaptive.action_shares) == 2
