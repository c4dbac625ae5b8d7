"""Training: it learns, it is deterministic, and a kill at any moment loses at most an epoch."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from adasgn_edge.errors import CheckpointError, OutputError, RecipeError
from adasgn_edge.model.weights import load_weights
from adasgn_edge.train.course import Silent
from adasgn_edge.train.devices import choose_device
from adasgn_edge.train.evaluate import evaluate
from adasgn_edge.train.log import read_log
from adasgn_edge.train.loop import Trainer
from adasgn_edge.train.recipe import Recipe
from adasgn_edge.train.sampler import ClipSampler
from adasgn_edge.train.stage_run import StageRun
from adasgn_edge.train.stages import plan_stages
from tests.train.conftest import stick_dataset


def recipe(**changes) -> Recipe:
    schedule = {"epochs": 4, "batch": 16, "milestones": [3], "frozen_epochs": 1}
    data = {
        "name": "stick",
        "data": {"dataset": "stick"},
        "model": {"frames": 6, "dropout": 0.1},
        "augment": {"rotation": [5, 5, 5], "jitter": 0.01},
        "single": {**schedule, "learning_rate": 3e-3, "ema": 0.5},
        "adaptive": {**schedule, "alpha": [2.0]},
        "shared": {**schedule, "learning_rate": 3e-3, "ema": 0.5},
        "precision": "float32",
        "evaluate_every": 2,
    }
    return Recipe.model_validate({**data, **changes})


def trainer(out: Path, seed: int = 1, changes: dict | None = None) -> Trainer:
    return Trainer(recipe(**(changes or {})), stick_dataset(), out, seed)


def stages(t: Trainer):
    return plan_stages(t.recipe, t.dataset.layout, len(t.dataset.class_names), len(t.train_clips))


def tensors(path: Path) -> dict[str, torch.Tensor]:
    return load_weights(path).model.state_dict()


def assert_equal_weights(first: Path, second: Path) -> None:
    a, b = tensors(first), tensors(second)
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def stage_of(t: Trainer, name: str):
    return next(stage for stage in stages(t) if stage.name == name)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """All stages of the tiny recipe trained once."""
    out = tmp_path_factory.mktemp("run")
    t = trainer(out)
    for stage in stages(t):
        t.train(stage)
    return out


def test_all_stages_learn(finished):
    folders = sorted(p.parent.name for p in finished.glob("seed-1/*/model.safetensors"))
    assert folders == ["B-1", "B-3", "P-3", "S-1", "S-3", "adasgn-a2", "adasgn-shared", "sgn"]
    for folder in folders:
        rows = read_log(finished / "seed-1" / folder / "log.jsonl")
        assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
        assert rows[-1]["loss"] < rows[0]["loss"]
        assert rows[-1]["test_accuracy"] > 0.5, folder  # chance is 1 in 3
        assert not (finished / "seed-1" / folder / "state.safetensors").exists()
    row = read_log(finished / "seed-1" / "adasgn-shared" / "log.jsonl")[-1]
    assert row["test_branch_accuracies"][0] == row["test_accuracy"]
    assert min(row["test_branch_accuracies"]) > 0.5, "each branch alone, in the same space of features"
    row = read_log(finished / "seed-1" / "adasgn-a2" / "log.jsonl")[-1]
    assert sum(row["test_shares"]) == pytest.approx(1)
    assert row["alpha"] == pytest.approx(2.0 * 4 / 6)


def test_weights_know_how_often_their_policy_picks_each_branch(finished):
    sampler = ClipSampler(stick_dataset(), "train", 6, "joint", "cpu")
    for stage, adaptive in (("adasgn-a2", True), ("sgn", False), ("S-1", False)):
        trained = load_weights(finished / "seed-1" / stage / "model.safetensors")
        expected = pytest.approx(evaluate(trained.model, sampler).shares.tolist(), abs=1e-6) if adaptive else None
        assert trained.action_shares == expected


def test_adasgn_starts_from_the_single_models(finished):
    t = trainer(finished)
    stage = stage_of(t, "adasgn-a2")
    model = t.build(stage)
    for branch, name in zip(model.branches, model.config.branch_names, strict=True):
        single = load_weights(finished / "seed-1" / name / "model.safetensors").model
        for key, tensor in single.spatial.state_dict().items():
            assert torch.equal(branch.state_dict()[key], tensor), (name, key)


def test_adasgn_without_single_models_says_what_is_missing(tmp_path):
    t = trainer(tmp_path)
    with pytest.raises(RecipeError, match="needs the single model S-1 first"):
        t.train(stage_of(t, "adasgn-a2"))


def test_same_seed_same_weights_other_seed_others(finished, tmp_path):
    for seed in (1, 2):
        t = trainer(tmp_path, seed)
        t.train(stage_of(t, "S-1"))
    first = finished / "seed-1" / "S-1" / "model.safetensors"
    assert_equal_weights(first, tmp_path / "seed-1" / "S-1" / "model.safetensors")
    other = tensors(tmp_path / "seed-2" / "S-1" / "model.safetensors")
    assert any(not torch.equal(tensor, other[name]) for name, tensor in tensors(first).items())


def test_transform_is_fixed_at_first(tmp_path):
    t = trainer(tmp_path, changes={"single": {"epochs": 2, "batch": 16, "frozen_epochs": 2}})
    stage = stage_of(t, "S-1")
    t.train(stage)
    kept = tensors(tmp_path / "seed-1" / "S-1" / "model.safetensors")["spatial.transform"]
    torch.testing.assert_close(kept, torch.full((1, 3), 1 / 3))


@pytest.mark.parametrize("batch_norm", ["frozen", "batch"])
def test_adasgn_keeps_the_branches_while_frozen(finished, tmp_path, batch_norm):
    schedule = {"epochs": 1, "batch": 16, "frozen_epochs": 1, "alpha": [1.0], "batch_norm": batch_norm}
    t = Trainer(recipe(adaptive=schedule), stick_dataset(), tmp_path, 1)
    stage = stage_of(t, "adasgn-a1")
    for branch in stage.config.branch_names:
        target = tmp_path / "seed-1" / branch
        target.mkdir(parents=True)
        (target / "model.safetensors").write_bytes((finished / "seed-1" / branch / "model.safetensors").read_bytes())
    before = t.build(stage).branches.state_dict()
    after = load_weights(t.train(stage)).model.branches.state_dict()
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]), name


class Stopping(Silent):
    """Stops after an epoch."""

    def __init__(self, after: int) -> None:
        self.after = after

    def epoch(self, row):
        if row["epoch"] == self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize(("name", "after"), [("sgn", 3), ("P-3", 1), ("adasgn-a2", 1), ("adasgn-shared", 4)])
def test_every_kind_of_stage_that_was_stopped_ends_as_one_that_was_not(finished, tmp_path, name, after):
    """Stopped within and after the frozen epochs, and after the last; the process that goes on has drawn other random
    numbers before."""
    for single in ("S-1", "S-3", "B-1", "B-3"):
        shutil.copytree(finished / "seed-1" / single, tmp_path / "seed-1" / single)
    t = trainer(tmp_path)
    t.reporter = Stopping(after)
    with pytest.raises(KeyboardInterrupt):
        t.train(stage_of(t, name))
    assert len(read_log(tmp_path / "seed-1" / name / "log.jsonl")) == after
    torch.manual_seed(99)
    t = trainer(tmp_path)
    weights = t.train(stage_of(t, name))
    assert_equal_weights(finished / "seed-1" / name / "model.safetensors", weights)
    assert weights.parent == tmp_path / "seed-1" / name
    rows, expected = (read_log(out / "seed-1" / name / "log.jsonl") for out in (tmp_path, finished))
    assert [{**row, "seconds": 0} for row in rows] == [{**row, "seconds": 0} for row in expected]


# A child process that trains one stage, and is killed. The pause makes the kill hit the middle.
CHILD = """
import sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from tests.train.test_loop import trainer, stage_of
class Slow:
    def start(self, *a): print("started", flush=True)
    def step(self, f): time.sleep(0.1)  # an epoch of five batches takes half a second at least
    def epoch(self, row): print("epoch", row["epoch"], flush=True)
t = trainer(Path(sys.argv[1])); t.reporter = Slow()
t.train(stage_of(t, "S-1"))
"""


def test_kill_and_resume_gives_the_same_weights(finished, tmp_path):
    """SIGKILL in the middle of an epoch; the run that goes on ends with the weights of one never interrupted."""
    folder = tmp_path / "seed-1" / "S-1"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    while process.stdout.readline().startswith("epoch") is False:
        assert process.poll() is None, "the child ended on its own"
    t = trainer(tmp_path)
    with pytest.raises(OutputError, match=rf"S-1: taken by process {process.pid}; wait until it ends"):
        t.train(stage_of(t, "S-1"))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (folder / "model.safetensors").exists(), "the kill came too late to test anything"
    assert (folder / "state.safetensors").exists()
    t = trainer(tmp_path)
    assert_equal_weights(finished / "seed-1" / "S-1" / "model.safetensors", t.train(stage_of(t, "S-1")))
    assert [row["epoch"] for row in read_log(folder / "log.jsonl")] == [1, 2, 3, 4]
    assert sorted(path.name for path in folder.iterdir()) == ["log.jsonl", "model.safetensors"]


def test_finished_weights_of_other_settings_are_refused(finished):
    t = trainer(finished, changes={"precision": "float32", "augment": {"scale": 0.5}})
    with pytest.raises(CheckpointError, match="trained with other settings"):
        t.train(stage_of(t, "S-1"))


def test_half_written_weights_are_named(finished, tmp_path):
    whole = (finished / "seed-1" / "S-1" / "model.safetensors").read_bytes()
    path = tmp_path / "model.safetensors"
    for length in (0, 4, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="damaged"):
            load_weights(path)
    with pytest.raises(CheckpointError, match="found nothing"):
        load_weights(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="found a folder"):
        load_weights(tmp_path)


def test_diverging_loss_is_an_error(tmp_path):
    t = trainer(tmp_path, changes={"single": {"epochs": 3, "batch": 16}})
    t.recipe = t.recipe.model_copy(update={"single": t.recipe.single.model_copy(update={"learning_rate": 1e30})})
    with pytest.raises(RecipeError, match="lower learning_rate"):
        t.train(stages(t)[0])


def test_devices():
    assert choose_device("cpu") == torch.device("cpu")
    with pytest.raises(RecipeError, match="expected a device"):
        choose_device("abacus")
    if not torch.cuda.is_available():
        with pytest.raises(RecipeError, match="finds no GPU"):
            choose_device("cuda")


def test_step_compiles_as_one_graph(finished):
    """What a GPU captures: the whole step in one graph with fixed shapes, for single models and for AdaSGN, in every
    phase of training, and the same loss and gradients as the step that is not compiled."""
    plain, compiled = trainer(finished), trainer(finished)
    compiled.compile_step = True
    for stage in (stage_of(plain, name) for name in ("S-1", "P-3", "adasgn-a2", "adasgn-shared")):
        for epoch in (0, stage.schedule.frozen_epochs):
            results = []
            for t in (plain, compiled):
                run = StageRun(t, stage, t.build(stage))
                run.prepare(epoch)
                step = torch.compile(run._loss, backend="aot_eager", fullgraph=True) if t is compiled else run._loss
                clip = t.train_clips.clips(torch.arange(8), None)
                uniform = torch.rand(8, 6, len(stage.config.branches), generator=torch.Generator().manual_seed(0))
                torch.manual_seed(0)  # dropout
                loss, logits, _ = step(clip, t.train_clips.labels[:8], uniform, *torch.tensor([2.0, 1.0]))
                loss.backward()
                results.append((loss.detach(), logits, [p.grad for p in run.model.parameters() if p.grad is not None]))
            torch.testing.assert_close(results[0][0], results[1][0])
            torch.testing.assert_close(results[0][1], results[1][1])
            largest = [gradient.abs().max() for gradient in results[0][2]]
            assert max(largest) > 0
            for first, second in zip(*(r[2] for r in results), strict=False):
                torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-5)
