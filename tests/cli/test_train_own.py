"""``train FOLDER``: recordings of one's own without a recipe, and what is said where that cannot work."""

import json
import re

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("rich")

from adasgn_edge.data.cache import save_dataset
from adasgn_edge.model.weights import load_weights
from tests.train.conftest import stick_dataset, write_recordings


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_recordings(tmp_path / "my gestures", stick_dataset(80))


def test_a_folder_is_trained_measured_and_known_from_anywhere(recordings, run, tmp_path, monkeypatch):
    status, printed = run("train", "my gestures", "--only", "S-1", "--epochs", 12, "--threads", 1)
    assert status == 0
    assert "my gestures: 60 training and 20 test clips of 3 classes" in printed
    path = tmp_path / "runs" / "my gestures-joint" / "seed-1" / "S-1" / "model.safetensors"
    provenance = load_weights(path).provenance
    assert provenance["dataset"] == str(recordings)
    assert provenance["clips"] == {"train": 60, "test": 20}
    assert provenance["recipe"]["augment"]["rotation"] == [15, 15, 15], "single models see augmented clips as well"
    assert "window" not in provenance, "the frame rate is not known"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    status, printed = run("eval", path, "--json", "eval.json")
    assert status == 0, printed
    (model,) = json.loads((tmp_path / "elsewhere" / "eval.json").read_text())["models"]
    rows = [json.loads(line) for line in path.with_name("log.jsonl").read_text().splitlines()]
    assert model["accuracy"] == rows[-1]["test_accuracy"] > 0.9


def test_changed_recordings_are_noticed(recordings, run):
    command = ("train", recordings, "--only", "S-1", "--epochs", 1, "--threads", 1)
    assert run(*command)[0] == 0
    assert run(*command)[0] == 0
    track = np.load(recordings / "sample1.npz")["positions"]
    np.savez(recordings / "sample1.npz", positions=track[1:])
    status, printed = run(*command)
    assert status == 2
    assert "S-1/model.safetensors: trained on other data" in printed


def test_the_course_fits_the_number_of_clips(recordings, run, tmp_path):
    status, printed = run("train", recordings, "--list-stages")
    assert status == 0
    assert "fold 4 of 4: trained on 45 clips; held out 15, a run of each class" in printed
    assert "S-3 " not in printed
    status, printed = run("train", recordings, "--list-stages", "--only", "all")
    assert "S-3 250 epochs in batches of 16" in printed
    assert "adasgn-a1 200 epochs in batches of 16" in printed
    assert (
        "S-3 7 epochs in batches of 64" in run("train", recordings, "--only", "all", "--list-stages", "--epochs", 7)[1]
    )
    converted = tmp_path / "more.skeletons"
    save_dataset(converted, stick_dataset(800))
    assert "S-3 100 epochs in batches of 64" in run("train", converted, "--only", "all", "--list-stages")[1]
    assert (
        "S-3 100 epochs in batches of 64"
        in run("train", "own", "--data", converted, "--only", "S-3", "--list-stages")[1]
    )
    listed = run("train", "shrec14", "--data", converted, "--only", "all", "--list-stages")[1]
    assert "S-3 50 epochs in batches of 64" in listed


def test_a_broken_recording_is_left_out_by_choice(recordings, run):
    (recordings / "sample3.npz").write_bytes(b"broken")
    command = ("train", recordings, "--only", "S-1", "--epochs", 1, "--threads", 1)
    status, printed = run(*command)
    assert status == 2
    assert "sample3.npz" in printed
    status, printed = run(*command, "--on-bad-sample", "skip")
    assert status == 0
    assert "59 training and 20 test clips" in printed
    assert re.search(r"warning: .*my gestures: 1 broken samples left out: \S.*sample3\.npz", printed)
    status, printed = run("eval", "runs/my gestures-joint", "--on-bad-sample", "skip")
    assert (status, "1 broken samples left out" in printed) == (0, True)
    assert run("eval", "runs/my gestures-joint")[0] == 2


def test_train_takes_what_convert_kept(tmp_path, run, monkeypatch):
    """``convert --on-bad-sample skip`` reads once; ``train`` and ``eval`` with the same option take its result."""
    import adasgn_edge.data.registry as registry
    from tests.data.test_nw_ucla import write_file

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADASGN_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data" / "NW-UCLA" / "all_sqe"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for action in (1, 2):
        for view in (1, 3):
            for subject in (1, 2):
                name = f"a{action:02d}_s{subject:02d}_e01_v{view:02d}"
                write_file(folder, name, action, random.normal(size=(6, 20, 3)).tolist())
    (folder / "a01_s03_e01_v01.json").write_text("broken")
    common = ("--root", tmp_path / "data", "--on-bad-sample", "skip")
    assert run("convert", "nw-ucla", *common)[0] == 0

    def read(*_):
        raise AssertionError("read again")

    entry = registry.DATASETS["nw-ucla"]
    monkeypatch.setitem(registry.DATASETS, "nw-ucla", registry.DatasetEntry(**{**entry.__dict__, "read": read}))
    status, printed = run("train", "nw-ucla", *common, "--only", "S-1", "--epochs", 1, "--threads", 1)
    assert (status, "1 broken samples left out" in printed) == (0, True)
    assert run("eval", "runs/nw-ucla-joint", *common)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("empty",), "expected a recipe, or a folder of recordings with labels.csv (lines file,label)"),
        (("SHREC17",), "give adasgn-edge train shrec14 --root FOLDER"),
        (("public",), "give adasgn-edge train nw-ucla --root FOLDER"),
        (("nowhere",), "unknown recipe 'nowhere': expected one of"),
        (("own",), "give a folder of recordings with --data"),
        (("my gestures", "--data", "other"), "expected no --data beside"),
        (("shrec14", "--data", "nowhere"), "data.dataset 'nowhere'"),
        (("my gestures", "--stream", "smell"), "data.stream"),
        (("my gestures", "--epochs", "0"), "single.epochs"),
        (("my gestures", "--threads", "0"), "threads: expected 1 to 4096"),
        (("my gestures", "--on-bad-sample", "maybe"), "expected one of error, skip"),
    ],
)
def test_what_cannot_work_is_said(recordings, run, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "SHREC17").mkdir()
    (tmp_path / "public" / "NW-UCLA" / "all_sqe").mkdir(parents=True)
    status, printed = run("train", *arguments)
    assert status == 2
    assert message in printed
    assert len(printed) < 600


def test_one_clip_is_no_training_set(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = write_recordings(tmp_path / "one", stick_dataset(80))
    (folder / "labels.csv").write_text("file,label,split\nsample1.npz,x,train\nsample2.npz,y,test\n")
    for more in ((), ("--list-stages",)):
        status, printed = run("train", "one", *more)
        assert (status, "expected at least 2 training clips, found 1" in printed) == (2, True)
    (folder / "labels.csv").write_text("file,label\nsample1.npz,x\n")
    assert "expected at least 2 training clips, found 1" in run("train", "one")[1]


def test_training_notes_the_window_and_export_takes_it(tmp_path, run, monkeypatch):
    import dataclasses

    monkeypatch.chdir(tmp_path)
    dataset = stick_dataset(80)
    for rate, expected in ((None, "2 s (default)"), (25.0, f"{median(dataset) / 25:g} s (from training)")):
        save_dataset(tmp_path / "set.skeletons", dataclasses.replace(dataset, rate=rate))
        out = f"run-{rate}"
        assert run("train", "set.skeletons", "--only", "S-1", "--epochs", 1, "--threads", 1, "--out", out)[0] == 0
        weights = f"{out}/seed-1/S-1/model.safetensors"
        assert expected in run("export", weights, "-o", "a.adasgn")[1]
        assert "3.5 s (given)" in run("export", weights, "-o", "a.adasgn", "--window", 3.5)[1]


def median(dataset) -> float:
    return float(np.median(dataset.length[dataset.split == "train", 0]))
