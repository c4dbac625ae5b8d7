"""``train``, ``calibrate``, ``eval --effort`` and ``export`` of a model that escalates, on recordings of one's own."""

import json
import shutil

import pytest

pytest.importorskip("torch")
pytest.importorskip("rich")

from adasgn_edge.deploy.model_file import read_model_file
from adasgn_edge.effort import EFFORTS, EffortTable
from adasgn_edge.model.weights import load_weights
from tests.cli.conftest import status_of
from tests.train.conftest import stick_subjects, write_recordings

SHARED = ("--only", "adasgn-shared", "--epochs", 12, "--threads", 1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two folds of a model that escalates, the model of all clips, and a single one."""
    folder = tmp_path_factory.mktemp("calibrate")
    write_recordings(folder / "sticks", stick_subjects(72))
    recipe = folder / "sticks.toml"
    recipe.write_text('[data]\ndataset = "sticks"\n[model]\nframes = 6\n[shared]\nlearning_rate = 3e-3\nstride = 2\n')
    assert status_of("train", recipe, "--folds", 2, "--out", folder / "folds", *SHARED) == 0
    assert status_of("train", recipe, "--out", folder / "whole", *SHARED) == 0
    assert status_of("train", recipe, "--out", folder / "single", "--only", "S-1", "--epochs", 1, "--threads", 1) == 0
    return folder


def test_from_folds_to_a_model_file(trained, run, tmp_path):
    whole = tmp_path / "whole"
    shutil.copytree(trained / "whole", whole)
    (weights,) = whole.glob("**/model.safetensors")
    status, printed = run("export", weights, "-o", tmp_path / "model.adasgn")
    assert status == 2
    assert "to have an effort table, found none; make one by `adasgn-edge train RECIPE --folds 4`" in printed
    status, printed = run("eval", whole, "--effort", "0.5")
    assert status == 2
    assert "effort 0.5: expected weights with an effort table, found none" in printed

    report = tmp_path / "effort.json"
    status, printed = run("calibrate", trained / "folds", "--into", whole, "--default", 0.3, "--json", report)
    assert status == 0, printed
    assert "54 clips held out, judged by 2 models" in printed
    kept = load_weights(weights)
    table = kept.effort
    assert table == EffortTable.from_json(json.loads(report.read_text()))
    assert table.default == 0.3
    assert tuple(point.effort for point in table.points) == EFFORTS

    status, printed = run("eval", whole, "--effort", "0,0.3,1", "--json", tmp_path / "eval.json")
    assert status == 0, printed
    models = json.loads((tmp_path / "eval.json").read_text())["models"]
    assert [model["name"] for model in models] == [f"adasgn-shared at {effort}" for effort in ("0", "0.3", "1")]
    assert models[0]["shares"] == [1, 0]
    assert models[2]["shares"] == [0, 1]
    assert models[0]["full_gflops"] < models[2]["full_gflops"]
    own = run("eval", whole)[1]
    assert "adasgn-shared at 0.3" in own

    assert run("export", weights, "-o", tmp_path / "model.adasgn")[0] == 0
    assert read_model_file(tmp_path / "model.adasgn").effort == table


def test_what_no_table_can_be_made_of(trained, run, tmp_path):
    status, printed = run("calibrate", trained / "whole")
    assert status == 2
    assert "expected a model of a fold (train --folds K), found one of all clips" in printed
    status, printed = run("calibrate", trained / "single")
    assert status == 2
    assert "expected models that escalate (stage adasgn-shared), found none" in printed
    part = tmp_path / "part"
    shutil.copytree(trained / "folds", part)
    shutil.rmtree(part / "fold-2-of-2")
    status, printed = run("calibrate", part)
    assert status == 2
    assert "expected all 2 folds of seed 1, found none for 2" in printed
    status, printed = run("calibrate", trained / "folds", "--into", trained / "single")
    assert status == 2
    assert "expected a model that escalates" in printed
    status, printed = run("calibrate", trained / "folds", "--default", 1.5)
    assert status == 2
    assert "--default: expected an effort from 0 to 1, found 1.5" in printed
