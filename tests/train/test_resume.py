"""A stage goes on where it was whatever happened to its files: with the same weights, or an error that says why not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from adasgn_edge.errors import AdaSGNError, CheckpointError, OutputError
from adasgn_edge.model.adasgn import build_model
from adasgn_edge.model.config import Branch, ModelConfig
from adasgn_edge.model.tensor_file import write_tensors
from adasgn_edge.model.weights import WEIGHTS, TrainedModel, load_weights
from adasgn_edge.train.checkpoint import FORMAT, STATE, Origin, load_state, save_state
from adasgn_edge.train.course import Course, Reporter, Silent, run_course
from adasgn_edge.train.log import LOG, read_log
from tests.faults import largest_file, nth_call
from tests.train.conftest import STICK
from tests.train.test_loop import Stopping

ORIGIN, OTHER = Origin("abc", "1234"), Origin("xyz", "1234")
EPOCHS = 3
CONFIG = ModelConfig(joints=3, classes=3, branches=(Branch(1, "small"),), frames=2).single(Branch(1, "small"))


class Small(Course):
    """A small course: a step an epoch, on numbers that follow from the seed and the epoch, as in the real ones."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        model = build_model(CONFIG, STICK, 0.1)
        super().__init__(model, torch.optim.Adam(model.parameters(), lr=0.01), ema=0.5)
        self.seed = seed

    def epoch(self, epoch: int) -> dict[str, Any]:
        torch.manual_seed(1000 * self.seed + epoch)
        self.model.train()
        loss = F.cross_entropy(self.model(torch.rand(4, 2, 3, 3)).logits, torch.tensor([0, 1, 2, 0]))  # type: ignore[operator]
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        assert self.average is not None
        self.average.update(self.model)
        return {"epoch": epoch + 1, "loss": loss.item(), "seconds": 0.0}


def train(folder: Path, origin: Origin = ORIGIN, reporter: Reporter | None = None, epochs: int = EPOCHS) -> Path:
    """Train the small course as the run that `origin` describes."""
    torch.manual_seed(99)  # a process that goes on has other random numbers behind it
    seed = 1 if origin.settings == ORIGIN.settings else 2

    def end(course: Small, _: list[dict[str, Any]]) -> TrainedModel:
        provenance = {"fingerprint": origin.settings, "dataset_digest": origin.data}
        assert course.average is not None
        return TrainedModel(course.average.module, STICK, "joint", ("x", "y", "z"), provenance)

    return run_course(folder, origin, "small", epochs, lambda: Small(seed), end, reporter or Silent())


def stopped(folder: Path, after: int = 2, origin: Origin = ORIGIN) -> Path:
    """The folder of a stage that was stopped after some epochs."""
    with pytest.raises(KeyboardInterrupt):
        train(folder, origin, Stopping(after))
    (folder / ".lock").write_text("1 elsewhere\n")  # as a kill leaves it
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small course: never interrupted, stopped, stopped earlier; and a run of other settings, one of other data."""
    out = tmp_path_factory.mktemp("runs")
    train(out / "done")
    train(out / "done, short", epochs=1)
    train(out / "done, other", OTHER)
    train(out / "done, other data", Origin(ORIGIN.settings, "5678"))
    stopped(out / "stopped")
    stopped(out / "stopped after the last epoch", after=EPOCHS)
    stopped(out / "stopped, stale", after=1)
    stopped(out / "stopped, other", origin=OTHER)
    return out


def expect_done(folder: Path, runs: Path, name: str = "done") -> None:
    """The stage has the weights and the log of one that was never interrupted, and nothing else."""
    assert sorted(path.name for path in folder.iterdir()) == [LOG, WEIGHTS]
    assert read_log(folder / LOG) == read_log(runs / name / LOG)
    expected, found = (load_weights(run / WEIGHTS).model.state_dict() for run in (runs / name, folder))
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 8
    path.write_bytes(content)


HARM: dict[str, Callable[[Path], object]] = {
    "lost": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "cut": cut,
    "flipped": flip,
    "stale": lambda path: shutil.copy(path.parents[1] / "stale" / path.name, path),
    "another run's": lambda path: shutil.copy(path.parents[1] / "other" / path.name, path),
}
DAMAGED = "found a damaged one .*; delete it to start this stage again"
REFUSED = {
    ("stopped", STATE, "emptied"): DAMAGED,
    ("stopped", STATE, "cut"): DAMAGED,
    ("stopped", STATE, "flipped"): DAMAGED,
    ("stopped", STATE, "another run's"): "other settings .*; use another --out folder, or delete it to start this",
    ("done", WEIGHTS, "emptied"): "found a damaged one .*; delete it to train this stage again",
    ("done", WEIGHTS, "cut"): "found a damaged one .*; delete it to train this stage again",
    (
        "done",
        WEIGHTS,
        "flipped",
    ): "found a damaged one .*its checksum is another.*; delete it to train this stage again",
    ("done", WEIGHTS, "stale"): "other data: .*; use another --out folder, or delete it",
    ("done", WEIGHTS, "another run's"): "other settings .*; use another --out folder, or delete it",
}
"""What else was harmed makes no difference."""


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize(
    ("moment", "file"),
    [
        ("stopped", STATE),
        ("stopped", ".lock"),
        ("stopped", LOG),
        ("stopped after the last epoch", LOG),
        ("done", WEIGHTS),
    ],
)
def test_each_file_harmed(runs: Path, tmp_path: Path, moment: str, file: str, harm: str) -> None:
    folder = shutil.copytree(runs / moment, tmp_path / "run")
    shutil.copytree(runs / ("done, other data" if moment == "done" else "stopped, stale"), tmp_path / "stale")
    shutil.copytree(runs / ("done, other" if moment == "done" else "stopped, other"), tmp_path / "other")
    HARM[harm](folder / file)
    if said := REFUSED.get((moment, file, harm)):
        before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}
        with pytest.raises(CheckpointError, match=rf"{file}: .*{said}"):
            train(folder)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before, "nothing was touched"
        (folder / file).unlink()  # as the message says
    train(folder)
    expect_done(folder, runs)


def test_every_flipped_bit_is_noticed(runs: Path, tmp_path: Path) -> None:
    path = tmp_path / STATE
    whole = (runs / "stopped" / STATE).read_bytes()
    head = 8 + int.from_bytes(whole[:8], "little")
    random = np.random.default_rng(1)
    for place in [*random.integers(head, size=40), *random.integers(head, len(whole), size=40)]:
        content = bytearray(whole)
        content[place] ^= 1 << int(random.integers(8))
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"state\.safetensors: .*delete it to start this stage again"):
            load_state(path, ORIGIN)


def test_a_state_without_a_checksum_or_of_another_form_is_named(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / STATE
    for metadata, said in (
        ({FORMAT: json.dumps({"version": 3, "settings": "abc", "data": "1234", "rows": []})}, "one without"),
        ({FORMAT: json.dumps({"version": 2})}, "expected version 3 of the training state, found '2'"),
        ({FORMAT: "[" * 100_000}, "another safetensors file"),
        ({FORMAT: "[]"}, "another safetensors file"),
        ({}, "another safetensors file"),
    ):
        save_file({"w": torch.zeros(2)}, path, metadata=metadata)
        with pytest.raises(CheckpointError, match=rf"{said}.*; delete it to start this stage again"):
            load_state(path, ORIGIN)
    for rows in (None, [None], [{"epoch": 2}], [{"epoch": 1}, {"epoch": 1}]):
        about = {"version": 3, "settings": "abc", "data": "1234", "rows": rows}
        write_tensors(path, {}, {FORMAT: json.dumps(about)})
        with pytest.raises(CheckpointError, match="expected a row of the log for each epoch"):
            load_state(path, ORIGIN)


def test_a_state_that_does_not_fit_the_stage_is_named(tmp_path: Path) -> None:
    course = Small(1)
    rows = [course.epoch(0)]
    whole = course.state()
    shapes = {name: value[None] for name, value in whole.items() if name.startswith("optimiser.0.") and value.dim()}
    for rows_of, tensors in (
        (rows, {}),
        (rows, {name: tensor for name, tensor in whole.items() if name != "updates"}),
        (rows, {**whole, "model.more": torch.zeros(1)}),
        (rows, {**whole, "optimiser.999.step": torch.zeros(())}),
        (rows, {**whole, **shapes}),
        ([{**rows[0], "epoch": number} for number in range(1, EPOCHS + 2)], whole),
    ):
        save_state(tmp_path / STATE, ORIGIN, rows_of, tensors)
        with pytest.raises(CheckpointError, match=r"expected the state of this stage, found another .*; delete it"):
            train(tmp_path)


def test_the_state_of_an_earlier_version_is_never_loaded(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(b"\x80\x04cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(CheckpointError, match=r"state\.pt: .*earlier version, which is not read; delete it to start"):
        train(tmp_path)
    (tmp_path / "state.pt").unlink()
    train(tmp_path)
    expect_done(tmp_path, runs)


def test_a_stage_is_trained_by_one_process_at_a_time(runs: Path, tmp_path: Path) -> None:
    class Second(Silent):
        refused = 0

        def epoch(self, row: dict[str, Any]) -> None:
            with pytest.raises(OutputError, match=r"taken by process \d+; wait until it ends"):
                train(tmp_path)
            self.refused += 1

    second = Second()
    train(tmp_path, reporter=second)
    assert second.refused == EPOCHS
    expect_done(tmp_path, runs)


def test_a_kill_between_the_weights_and_the_end(runs: Path, tmp_path: Path) -> None:
    """The state is still there, beside the weights: it goes, and nothing is trained."""
    folder = shutil.copytree(runs / "stopped", tmp_path / "run")
    shutil.copy(runs / "done" / WEIGHTS, folder)
    shutil.copy(runs / "done" / LOG, folder)
    before = (folder / WEIGHTS).read_bytes()
    train(folder)
    assert (folder / WEIGHTS).read_bytes() == before
    expect_done(folder, runs)


def whole(folder: Path) -> set[str]:
    """The names in a folder, whose files are read: none is half-written."""
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if STATE in names:
        load_state(folder / STATE, ORIGIN)
    if WEIGHTS in names:
        load_weights(folder / WEIGHTS)
    read_log(folder / LOG)
    return names


def test_each_call_of_a_run_fails(runs: Path, tmp_path: Path) -> None:
    """The n-th call that changes the disk fails, for every n: a named error, whole files, and the run goes on."""
    number, named = 1, 0
    while True:
        folder = tmp_path / str(number)
        with nth_call(number) as seen:
            try:
                train(folder, epochs=1)
            except AdaSGNError as error:
                assert "cannot be written (No space left on device)" in str(error)  # noqa: PT017
                named += 1
        assert whole(folder) <= {STATE, LOG, WEIGHTS}, seen[-1]
        if len(seen) < number:
            break
        train(folder, epochs=1)
        expect_done(folder, runs, "done, short")
        number += 1
    assert named == number - 1 > 20


def test_a_disk_that_is_full_at_some_byte(runs: Path, tmp_path: Path) -> None:
    state = (runs / "stopped" / STATE).stat().st_size
    for size in (0, 1, 10, 100, state // 2, state - 1):
        with largest_file(size), pytest.raises(OutputError, match=r"cannot be written \(File too large\)"):
            train(tmp_path)
        assert whole(tmp_path) <= {STATE, LOG}
    train(tmp_path)
    expect_done(tmp_path, runs)
