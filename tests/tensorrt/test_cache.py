"""Engines on disk: every part of the key, torn and foreign files, folders of others."""

from __future__ import annotations

import dataclasses
import json
import os
import stat

import pytest

from adasgn_edge.errors import TensorRTError
from adasgn_edge.tensorrt.cache import EngineCache, EngineFacts, read_engine, write_engine

FACTS = EngineFacts(
    model="a" * 64,
    graph="",
    precision="f16",
    effort=None,
    max_batch=64,
    typical_batch=1,
    persons=1,
    tensorrt="10.3.0",
    plugin="b" * 64,
    gpu="Orin",
    capability="8.7",
    driver="12.6",
)
OTHERS = {
    "model": "c" * 64, "graph": "d" * 64, "precision": "f32", "effort": 0.5, "max_batch": 8, "typical_batch": 8,
    "persons": 2, "tensorrt": "10.16.2", "plugin": "e" * 64, "gpu": "Orin NX", "capability": "11.0", "driver": "13.2",
}  # fmt: skip


@pytest.fixture
def cache(tmp_path):
    made = EngineCache(tmp_path / "engines")
    made.write(FACTS, b"the plan")
    return made


def test_what_was_kept_is_found(cache):
    assert cache.read(FACTS) == (b"the plan", "")
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(cache.path(FACTS).stat().st_mode) == 0o600


def test_a_umask_that_lets_a_group_write_does_not_matter(tmp_path):
    mask = os.umask(0o002)  # Ubuntu's
    try:
        cache = EngineCache(tmp_path / "engines")
        for _ in range(2):  # the second replaces the first
            cache.write(FACTS, b"the plan")
            assert cache.read(FACTS) == (b"the plan", "")
    finally:
        os.umask(mask)


def test_the_default_folder_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("ADASGN_CACHE", str(tmp_path))
    assert EngineCache().folder == tmp_path / "tensorrt"


def test_every_part_of_the_key_makes_another_engine(cache):
    assert set(OTHERS) == {field.name for field in dataclasses.fields(EngineFacts)}
    for name, value in OTHERS.items():
        other = dataclasses.replace(FACTS, **{name: value})
        assert other.key != FACTS.key, name
        assert cache.read(other) == (None, ""), name
        (said,) = FACTS.differences(other)
        assert said.startswith(f"{name} "), said
    assert dataclasses.replace(FACTS).key == FACTS.key


@pytest.mark.parametrize("length", [0, 1, 7])
def test_a_torn_engine_is_not_taken(cache, length):
    cache.path(FACTS).write_bytes(b"the plan"[:length])
    plan, why = cache.read(FACTS)
    assert plan is None
    assert "it is torn or was changed" in why


def test_a_changed_engine_is_not_taken(cache):
    cache.path(FACTS).write_bytes(b"The plan")
    assert "another checksum" in cache.read(FACTS)[1]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "damaged facts"),
        ("{", "damaged facts"),
        ("[]", "damaged facts"),
        ('{"format": "other"}', "format 'other'"),
        ('{"format": "adasgn_edge.tensorrt_engine.1"}', "damaged facts"),
        ('{"format": "adasgn_edge.tensorrt_engine.1", "facts": {"model": 1}, "sha256": ""}', "damaged facts"),
        ("[" * 30000, "damaged facts"),
    ],
)
def test_facts_that_are_none_are_not_taken(cache, text, found):
    cache.path(FACTS).with_suffix(".json").write_text(text)
    plan, why = cache.read(FACTS)
    assert plan is None
    assert found in why


def test_an_engine_without_facts_is_not_taken(cache):
    path = cache.path(FACTS)
    path.with_suffix(".json").unlink()  # as after a kill between the two files
    assert "found no file" in cache.read(FACTS)[1]


def test_facts_of_another_engine_under_this_name_are_not_taken(cache):
    other = dataclasses.replace(FACTS, gpu="H100", capability="9.0")
    write_engine(cache.path(FACTS), b"the plan", other)
    why = cache.read(FACTS)[1]
    assert "gpu 'H100' and not 'Orin'" in why
    assert "capability '9.0' and not '8.7'" in why


@pytest.mark.parametrize("values", [{"max_batch": "64"}, {"effort": 1}, {"gpu": None}])
def test_facts_of_other_types_are_refused(cache, values):
    path = cache.path(FACTS).with_suffix(".json")
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "facts": {**record["facts"], **values}}))
    assert "values of other types" in cache.read(FACTS)[1]


def test_what_others_can_write_is_not_loaded(cache):
    path = cache.path(FACTS)
    for target in (path, path.with_suffix(".json")):
        target.chmod(0o622)
        assert "only you can write to" in cache.read(FACTS)[1]
        target.chmod(0o600)
    cache.folder.chmod(0o777)
    assert "only you can write to" in cache.read(FACTS)[1]
    with pytest.raises(TensorRTError, match="expected a folder that only you can write to, as engines are programs"):
        cache.write(FACTS, b"another")
    cache.folder.chmod(0o700)
    assert cache.read(FACTS)[0] == b"the plan"


def test_a_folder_of_another_user_is_refused(cache, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert f"found one of user {cache.folder.stat().st_uid}" in cache.read(FACTS)[1]


def test_a_link_in_place_of_the_folder_is_refused(cache, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(cache.folder)
    assert "expected a folder" in EngineCache(link).read(FACTS)[1]


def test_an_engine_file_that_is_none(tmp_path):
    with pytest.raises(
        TensorRTError, match=r"expected an engine that `adasgn-edge tensorrt build` wrote, found no file"
    ):
        read_engine(tmp_path / "none.engine")
    (tmp_path / "pipe.engine").touch()
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(TensorRTError):
        read_engine(tmp_path / "pipe.engine")
