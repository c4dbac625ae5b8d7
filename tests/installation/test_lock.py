"""requirements/ci.txt: it names all that CI installs for the tests, at versions that pyproject.toml allows."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")

ROOT = Path(__file__).parents[2]
NOT_THERE = {"bench", "camera", "fuzz"}
"""Extras that `make test` and `make lint` do not install."""


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def test_every_requirement_has_a_version_that_it_allows() -> None:
    lines = [line for line in (ROOT / "requirements/ci.txt").read_text().splitlines() if not line.startswith("#")]
    locked = dict(line.split("==") for line in lines)
    assert len(locked) == len(lines)
    assert all(
        re.fullmatch(r"\d+(\.\d+)*", version) for version in locked.values()
    )  # no local version, no release candidate
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for group, requirements in load("test_lowest").read_groups(project).items():
        for one in requirements:
            if group in NOT_THERE or one.marker:
                continue
            found = numbers(locked[one.name])
            assert found == numbers(one.version) if one.operator == "==" else found >= numbers(one.version), one
    assert f"TORCH ?= torch=={locked['torch']}\n" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_lines_of_pips_report() -> None:
    report = [{"metadata": {"name": name, "version": version}} for name, version in (
        ("torch", "2.13.0+cpu"), ("adasgn-edge", "0.1.0"), ("Jinja2", "3.1.6"), ("typing_extensions", "4.16.0"),
    )]  # fmt: skip
    assert load("lock_ci").lines(report) == ["jinja2==3.1.6", "torch==2.13.0", "typing-extensions==4.16.0"]
