from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from adasgn_edge.data.cache import save_dataset
from adasgn_edge.data.cleaning import Cleaning
from adasgn_edge.data.registry import DATASETS, cached_path, open_dataset, user_cache_folder
from adasgn_edge.errors import DatasetError
from adasgn_edge.skeletons import load_layout
from tests.data.ntu_files import FIRST, body_track, frames_of, write_skeleton
from tests.data.recording_folders import track, write_folder
from tests.data.test_nw_ucla import write_file

TABLE = "file,label,split\na.npz,wave,train\nb.npz,clap,train\nc.npz,wave,test\nd.npz,clap,test\n"
CLIPS = ["a.npz", "b.npz", "c.npz", "d.npz"]
NOT_PUBLISHED = "ignore:nw-ucla. expected 1020 training:UserWarning"


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "sets" / "NW-UCLA" / "all_sqe"
    folder.mkdir(parents=True)
    write_file(folder, "a01_s01_e00_v01", 1)
    write_file(folder, "a12_s01_e00_v03", 10)
    return tmp_path / "sets"


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


def quietly(*arguments, **options):
    """open_dataset, where any warning but the one about the small number of samples fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "nw-ucla: expected 1020")
        return open_dataset(*arguments, **options)


def same(one, two) -> bool:
    return one.names == two.names and np.array_equal(one.positions, two.positions)


class TestCaching:
    def test_the_second_time_reads_the_converted_file(self, root, cache, monkeypatch):
        first = quietly("nw-ucla", root, cache)
        (path,) = cache.iterdir()
        assert path == cached_path("nw-ucla", root, cache)
        monkeypatch.setattr("adasgn_edge.data.nw_ucla.clean_recording", None)  # reading again would fail
        assert same(quietly("nw-ucla", root, cache), first)

    def test_changed_files_are_converted_again(self, root, cache):
        quietly("nw-ucla", root, cache)
        write_file(root / "NW-UCLA" / "all_sqe", "a02_s01_e00_v02", 2)
        assert len(quietly("nw-ucla", root, cache)) == 3
        path = root / "NW-UCLA" / "all_sqe" / "a02_s01_e00_v02.json"
        before = quietly("nw-ucla", root, cache)
        path.write_text(path.read_text().replace(".1", ".2"))
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 5_000_000_000))
        assert not same(quietly("nw-ucla", root, cache), before)

    @pytest.mark.parametrize("age", [-5_000_000_000, 5_000_000_000])
    def test_a_file_replaced_by_one_of_equal_size_is_noticed(self, root, cache, age):
        path = root / "NW-UCLA" / "all_sqe" / "a01_s01_e00_v01.json"
        before, status = quietly("nw-ucla", root, cache), path.stat()
        path.write_text(path.read_text().replace(".1", ".2"))
        os.utime(path, ns=(0, status.st_mtime_ns + age))  # as cp -p and rsync do with an older one
        assert path.stat().st_size == status.st_size
        assert not same(quietly("nw-ucla", root, cache), before)

    def test_a_renamed_file_is_noticed(self, root, cache):
        before = cached_path("nw-ucla", root, cache)
        path = root / "NW-UCLA" / "all_sqe" / "a01_s01_e00_v01.json"
        path.rename(path.with_name("a01_s02_e00_v01.json"))
        assert cached_path("nw-ucla", root, cache) != before

    @pytest.mark.filterwarnings(NOT_PUBLISHED)
    @pytest.mark.parametrize("damage", ["truncate", "flip", "version"])
    def test_a_damaged_cache_is_made_again_with_a_warning(self, root, cache, damage):
        first = quietly("nw-ucla", root, cache)
        path = cached_path("nw-ucla", root, cache)
        content = path.read_bytes()
        damaged = {
            "truncate": content[:-1],
            "flip": content[:-9] + bytes([content[-9] ^ 4]) + content[-8:],
            "version": content.replace(b"version 2", b"version 0"),
        }[damage]
        path.write_bytes(damaged)
        with pytest.warns(UserWarning, match=r"skeletons: .*expected .*converting the data set again"):
            assert same(open_dataset("nw-ucla", root, cache), first)
        assert path.read_bytes() == content
        quietly("nw-ucla", root, cache)

    @pytest.mark.filterwarnings(NOT_PUBLISHED)
    def test_skipped_samples_are_named_every_time_and_never_hidden(self, root, cache, monkeypatch):
        write_file(root / "NW-UCLA" / "all_sqe", "a01_s02_e00_v01", 2)
        for _ in range(2):
            with pytest.warns(UserWarning, match="1 broken samples left out:\n.*a01_s02_e00_v01"):
                assert len(open_dataset("nw-ucla", root, cache, on_bad_sample="skip")) == 2
            monkeypatch.setattr("adasgn_edge.data.nw_ucla._read_json", None)  # reading again would fail
        monkeypatch.undo()
        with pytest.raises(DatasetError, match=r"a01_s02_e00_v01.*label 1"):
            open_dataset("nw-ucla", root, cache)

    @pytest.mark.filterwarnings(NOT_PUBLISHED)
    def test_a_cache_that_cannot_be_written_is_no_obstacle(self, root, tmp_path):
        blocked = tmp_path / "file"
        blocked.write_text("")
        with pytest.warns(UserWarning, match="the converted data set cannot be kept"):
            assert len(open_dataset("nw-ucla", root, blocked)) == 2

    def test_where_caches_are(self, monkeypatch):
        monkeypatch.setenv("ADASGN_CACHE", "/some/where")
        assert user_cache_folder() == Path("/some/where")
        monkeypatch.delenv("ADASGN_CACHE")
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
        assert user_cache_folder() == Path("/xdg/adasgn-edge")


class TestFolders:
    def test_clips_are_read_once(self, tmp_path, cache, monkeypatch):
        folder = write_folder(tmp_path / "mine", TABLE, CLIPS)
        first = quietly(folder, cache_dir=cache)
        assert list(cache.iterdir()) == [cached_path(folder, cache_dir=cache)]
        monkeypatch.setattr("adasgn_edge.data.recordings.read_recording", None)  # reading again would fail
        monkeypatch.chdir(tmp_path)
        for same_folder in (folder, "mine", "./mine/"):
            assert quietly(same_folder, cache_dir=cache).digest == first.digest

    def test_what_changed_is_read_again_and_older_conversions_go(self, tmp_path, cache):
        folder = write_folder(tmp_path / "mine", TABLE, CLIPS)
        digests = [quietly(folder, cache_dir=cache).digest]
        np.savez(folder / "a.npz", positions=track(seed=99))
        digests.append(quietly(folder, cache_dir=cache).digest)
        (folder / "labels.csv").write_text(TABLE.replace("c.npz,wave,test", "c.npz,clap,test"))
        digests.append(quietly(folder, cache_dir=cache).digest)
        (folder / "classes.txt").write_text("wave\nclap\n")
        digests.append(quietly(folder, cache_dir=cache).digest)
        (folder / "layout.json").write_text(json.dumps({**load_layout("kinect20").to_dict(), "name": "mine"}))
        digests.append(quietly(folder, cache_dir=cache).digest)
        assert len(set(digests)) == 5
        assert list(cache.iterdir()) == [cached_path(folder, cache_dir=cache)]

    def test_folders_of_one_name_do_not_meet(self, tmp_path, cache):
        (tmp_path / "more").mkdir()
        one = write_folder(tmp_path / "mine", TABLE, CLIPS)
        two = write_folder(tmp_path / "more" / "mine", TABLE, CLIPS[::-1])
        assert not same(quietly(one, cache_dir=cache), quietly(two, cache_dir=cache))
        assert len(list(cache.iterdir())) == 2

    def test_what_is_wrong_is_said_every_time(self, tmp_path, cache):
        table = "file,label,split,subject\na.npz,wave,train,ann\nb.npz,clap,train,ann\nc.npz,wave,test,ann\n"
        folder = write_folder(tmp_path / "mine", table, CLIPS)
        for _ in range(2):
            with pytest.warns(UserWarning, match="subjects in both splits: ann") as caught:
                open_dataset(folder, cache_dir=cache)
            assert any("does not list, not read: d.npz" in str(warning.message) for warning in caught)

    def test_skipped_clips_are_named_every_time_and_never_hidden(self, tmp_path, cache):
        folder = write_folder(tmp_path / "mine", TABLE, CLIPS[1:])
        for _ in range(2):
            with pytest.warns(UserWarning, match="1 broken samples left out:\n.*a.npz"):
                assert len(open_dataset(folder, cache_dir=cache, on_bad_sample="skip")) == 3
        with pytest.raises(DatasetError, match=r"a.npz: expected a clip, found no such file"):
            open_dataset(folder, cache_dir=cache)

    def test_missing_joints_filled_and_refused_are_two_conversions(self, tmp_path, cache):
        folder = write_folder(tmp_path / "mine", TABLE, CLIPS)
        assert cached_path(folder, cache_dir=cache) != cached_path(folder, cache_dir=cache, missing="error")
        dataset = quietly(folder, cache_dir=cache)
        filled = dataclasses.replace(dataset, cleaning=Cleaning(filled_joints=3))
        save_dataset(tmp_path / "mine.skeletons", filled)
        assert quietly(tmp_path / "mine.skeletons").cleaning.filled_joints == 3
        with pytest.raises(DatasetError, match="expected no missing joints, found 3 that were filled"):
            open_dataset(tmp_path / "mine.skeletons", missing="error")


class TestFinding:
    def test_numbers_that_are_not_the_published_ones_are_warned_of(self, root, cache):
        message = "nw-ucla: expected 1020 training and 464 test samples as published, found 1 and 1"
        for _ in range(2):
            with pytest.warns(UserWarning, match=message):
                open_dataset("nw-ucla", root, cache)

    def test_root_then_environment_then_the_present_folder(self, root, cache, tmp_path, monkeypatch):
        monkeypatch.delenv("ADASGN_DATA", raising=False)
        here = tmp_path / "here"
        here.mkdir()
        monkeypatch.chdir(here)
        with pytest.raises(
            DatasetError, match=r"in data/NW-UCLA/all_sqe or \.\./shared/data/NW-UCLA/all_sqe, found no"
        ):
            open_dataset("nw-ucla", cache_dir=cache)
        (here / "data").mkdir()
        (tmp_path / "shared").mkdir()
        (tmp_path / "shared" / "data").symlink_to(root)
        assert len(quietly("nw-ucla", cache_dir=cache)) == 2
        monkeypatch.setenv("ADASGN_DATA", str(tmp_path / "nowhere"))
        with pytest.raises(DatasetError, match=r"nowhere/NW-UCLA/all_sqe, found no .*--root .*ADASGN_DATA"):
            open_dataset("nw-ucla", cache_dir=cache)
        monkeypatch.setenv("ADASGN_DATA", str(root))
        assert len(quietly("nw-ucla", cache_dir=cache)) == 2
        with pytest.raises(DatasetError, match="elsewhere/NW-UCLA"):
            open_dataset("nw-ucla", tmp_path / "elsewhere", cache)

    def test_ntu120_may_lie_in_one_folder_or_two(self, tmp_path, cache):
        frames = frames_of(20, one=(FIRST, 0, body_track(20)))
        write_skeleton(tmp_path / "nturgb+d_skeletons" / "S001C001P001R001A001.skeleton", frames)
        with pytest.warns(UserWarning, match="expected 63026 training .*found 1 and 0"):
            assert len(open_dataset("ntu120-csub", tmp_path, cache)) == 1
        write_skeleton(tmp_path / "nturgb+d_skeletons120" / "S018C001P041R001A061.skeleton", frames)
        with pytest.warns(UserWarning, match="found 1 and 1"):
            assert len(open_dataset("ntu120-csub", tmp_path, cache)) == 2
        with pytest.warns(UserWarning, match="ntu60-cs: expected 40091 training .*found 1 and 0"):
            assert len(open_dataset("ntu60-cs", tmp_path, cache)) == 1

    def test_folders_and_converted_files(self, root, cache, tmp_path):
        dataset = quietly(write_folder(tmp_path / "mine", TABLE, CLIPS), cache_dir=cache)
        assert dataset.class_names == ("clap", "wave")
        save_dataset(tmp_path / "mine.skeletons", dataset)
        assert same(quietly(str(tmp_path / "mine.skeletons")), dataset)
        save_dataset(tmp_path / "mine.skeletons", dataclasses.replace(dataset, left_out=("b.npz: empty",)))
        with pytest.warns(UserWarning, match=r"1 broken samples left out:\n  b.npz: empty"):
            open_dataset(tmp_path / "mine.skeletons")

    def test_unknown_names_and_choices(self, tmp_path):
        with pytest.raises(DatasetError, match="unknown data set 'shrec15': expected one of shrec14, shrec28, nw-ucla"):
            open_dataset("shrec15")
        with pytest.raises(DatasetError, match="on_bad_sample: expected one of error, skip, found 'ignore'"):
            open_dataset("shrec14", on_bad_sample="ignore")
        with pytest.raises(DatasetError, match="missing: expected one of fill, error, found 'zero'"):
            open_dataset("shrec14", missing="zero")
        with pytest.raises(DatasetError, match="unknown data set 'xxx") as caught:
            open_dataset("x" * 20_000)
        assert len(str(caught.value)) < 500

    def test_the_data_set_itself_as_root(self, root, cache):
        message = f"expected the folder that holds NW-UCLA/all_sqe, found that itself: --root {root}$"
        with pytest.raises(DatasetError, match=message):
            open_dataset("nw-ucla", root / "NW-UCLA" / "all_sqe", cache)

    def test_the_path_of_a_public_data_set(self, root):
        for path in (root, root / "NW-UCLA" / "all_sqe"):
            message = f"found the files of nw-ucla: write nw-ucla --root {root}$"
            with pytest.raises(DatasetError, match=message):
                open_dataset(path)


def test_names():
    assert list(DATASETS) == ["shrec14", "shrec28", "nw-ucla", "ntu60-cs", "ntu60-cv", "ntu120-csub", "ntu120-cset"]


@pytest.mark.parametrize("name", ["shrec14", "nw-ucla"])
def test_real_data_has_the_published_numbers(name, data_root, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        converted = open_dataset(name, data_root, tmp_path)
        assert same(open_dataset(name, data_root, tmp_path), converted)
    assert np.isfinite(converted.normalised_positions()).all()


def test_data_needs_numpy_alone():
    code = (
        "import sys, adasgn_edge.data.registry;"
        "print(sorted({'torch', 'pydantic', 'safetensors', 'rich', 'typer', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
