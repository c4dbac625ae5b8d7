from __future__ import annotations

import dataclasses

import numpy as np
import pytest

typer = pytest.importorskip("typer")
pytest.importorskip("rich")

from typer.testing import CliRunner  # noqa: E402

from adasgn_edge.cli import convert  # noqa: E402
from adasgn_edge.data.cache import load_dataset, read_checksum, save_dataset  # noqa: E402
from adasgn_edge.data.cleaning import Cleaning  # noqa: E402
from adasgn_edge.data.registry import open_dataset  # noqa: E402
from adasgn_edge.errors import DatasetError  # noqa: E402
from tests.data.recording_folders import track  # noqa: E402
from tests.data.test_nw_ucla import write_file  # noqa: E402

app = typer.Typer()
app.command()(convert.command)


def run(*arguments: object) -> str:
    """The command's output; its errors are raised."""
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ADASGN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for number, (name, length) in enumerate((("a", 3), ("b", 8), ("c", 5))):
        np.savez(folder / f"{name}.npz", positions=track(length, number))
    (folder / "labels.csv").write_text("file,label,split\na.npz,wave,train\nb.npz,clap,train\nc.npz,wave,test\n")
    (folder / "layout.json").write_text('"kinect20"')
    return folder


def cells(output: str, split: str) -> list[str]:
    """The cells of a split's row of the table."""
    (line,) = [line for line in output.splitlines() if f"│ {split}" in line]
    return [cell.strip() for cell in line.strip("│ ").split("│")]


def test_own_recordings_to_a_file(recordings, tmp_path, cache):
    out = tmp_path / "mine.skeletons"
    output = run(recordings, "--out", out)
    assert cells(output, "train") == ["train", "2", "2 of 2", "1", "3", "5", "8"]
    assert cells(output, "test") == ["test", "1", "1 of 2", "1", "5", "5", "5"]
    assert "20 joints (kinect20), 0 samples left out" in output
    assert read_checksum(out) in output
    assert load_dataset(out).class_names == ("clap", "wave")
    assert "groups" not in output
    assert "warning" not in output
    output = run(recordings)
    (path,) = cache.iterdir()
    assert f"{path}: " in output


def test_what_is_in_it_beside_the_table(recordings):
    rows = [f"{name}.npz,{label},{split},{who}" for name, label, split, who in (["a", "wave", "train", "ann"],)]
    for number in range(5):
        positions = track(4, 9 + number)
        np.savez(recordings / f"more{number}.npz", positions=positions)
        rows.append(f"more{number}.npz,[nod],test,{'ben' if number else 'cid'}")
    (recordings / "labels.csv").write_text("file,label,split,subject\n" + "\n".join(rows))
    output = run(recordings)
    assert "groups (subjects, views): 3, 1 in train, 2 in test" in output
    assert "uneven classes, in clips: largest [nod] 5; smallest wave 1, [nod] 5" in output
    assert "classes with test clips but no training clip: [nod]" in output
    assert "clips that labels.csv does not list, not read: b.npz, c.npz" in output
    assert "made good" not in output


def test_what_was_made_good_is_counted(recordings, tmp_path):
    dataset = dataclasses.replace(open_dataset(recordings), cleaning=Cleaning(filled_joints=7, strays=1))
    save_dataset(tmp_path / "a.skeletons", dataset)
    assert "made good: 7 missing joints filled, 1 stray detection left out" in run(tmp_path / "a.skeletons")
    with pytest.raises(DatasetError, match="expected no missing joints, found 7"):
        run(tmp_path / "a.skeletons", "--missing", "error")


def test_markup_in_names_is_text(recordings):
    folder = recordings.rename(recordings.with_name("my [bold]hands [red]"))
    (folder / "labels.csv").write_text("file,label,split,[/x]\na.npz,[/b],train,1\nb.npz,x,test,2\n")
    output = run(folder)
    assert "my [bold]hands [red]" in output
    assert "columns passed over: [/x]" in output


def test_a_public_data_set_is_kept_in_the_cache(tmp_path, cache):
    folder = tmp_path / "NW-UCLA" / "all_sqe"
    folder.mkdir(parents=True)
    write_file(folder, "a01_s01_e00_v01", 1)
    write_file(folder, "a02_s01_e00_v01", 1)
    with pytest.raises(DatasetError, match=r"a02_s01_e00_v01.*label 2"):
        run("nw-ucla", "--root", tmp_path)
    assert not cache.exists()
    output = run("nw-ucla", "--root", tmp_path, "--on-bad-sample", "skip")
    assert "warning: NW-UCLA: 1 broken samples left out:" in output
    assert "warning: nw-ucla: expected 1020 training and 464 test samples as published, found 1 and 0" in output
    assert cells(output, "test")[1] == "0"
    (path,) = cache.iterdir()
    assert str(path) in output
    assert read_checksum(path) in output


def test_list_shows_every_data_set_and_its_folder():
    output = run("--list")
    for word in ("shrec14", "shrec28", "SHREC17", "nw-ucla", "NW-UCLA/all_sqe", "ntu120-cset", "nturgb+d_skeletons120"):
        assert word in output


def test_refused():
    with pytest.raises(DatasetError, match="expected a data set: one of shrec14"):
        run()
    with pytest.raises(DatasetError, match="unknown data set 'shrec15'"):
        run("shrec15")
    with pytest.raises(DatasetError, match=r"--out: expected a name ending in \.skeletons, found 'x\.npz'"):
        run("shrec14", "--out", "x.npz")
    assert CliRunner().invoke(app, ["shrec14", "--on-bad-sample", "ignore"]).exit_code == 2
