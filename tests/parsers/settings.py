"""Parsers of what users write or name, and of reports: layouts, sources, recipes, options, names, the environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.parsers.parser import Run, every
from tests.parsers.recordings import stick


def layout(path: Path) -> object:
    from adasgn_edge.skeletons import load_layout, stated_conventions

    found = load_layout(path)
    stated_conventions(found)
    assert same(found.to_dict()), "a layout that does not read what it writes"
    return found.parents


def same(data: dict[str, Any]) -> bool:
    from adasgn_edge.skeletons import SkeletonLayout

    return SkeletonLayout.from_dict(json.loads(json.dumps(data))).to_dict() == data


def source(path: Path) -> object:
    from adasgn_edge.data.sources import load_source
    from adasgn_edge.skeletons import load_layout

    found = load_source(path)
    return found.options, found.fits(stick()), found.matrix(stick()), found.fits(load_layout("shrec22"))


def clip_recipe(path: Path) -> object:
    from adasgn_edge.train.recipe import load_recipe
    from adasgn_edge.train.stages import plan_stages

    recipe = load_recipe(str(path))
    recipe.single.fitted(100)
    return plan_stages(recipe, stick(), 3, 100)


def variant(path: Path) -> object:
    from adasgn_edge.train.recipe import load_recipe

    return load_recipe("shrec14", str(path))


def online_recipe(path: Path) -> object:
    from adasgn_edge.skeletons import load_layout
    from adasgn_edge.train.online.recipe import is_online, load_online_recipe, plan_online_stages

    if not is_online(str(path)):
        return None
    return plan_online_stages(load_online_recipe(str(path)), load_layout("shrec22"), 3)


def log(path: Path) -> object:
    from adasgn_edge.train.log import read_log

    return read_log(path)


def reports(path: Path) -> object:
    """A report of `bench`, compared with itself."""
    from adasgn_edge.bench.comparison import compare
    from adasgn_edge.bench.report import read_report

    report = read_report(path)
    every((lambda: compare(report, report), lambda: compare(report, report, anyway=True)))
    return report


def measured(path: Path) -> object:
    from adasgn_edge.cli.plot import _read_models

    return _read_models(path)


def calibration(path: Path) -> object:
    from adasgn_edge.camera import read_calibration

    return read_calibration(path)


def build_facts(path: Path) -> object:
    from adasgn_edge.installation.build_info import read_build

    return read_build(path.parent)


def description(text: str) -> object:
    """Options of a source, divided by bars: source, axes, units, gravity, side."""
    from adasgn_edge.data.axes import parse_axes, parse_direction, parse_units
    from adasgn_edge.data.description import described
    from adasgn_edge.skeletons import load_layout

    name, axes, units, gravity, side = (text.split("|") + [""] * 5)[:5]
    every(
        (
            lambda: parse_axes(axes),
            lambda: parse_units(units),
            lambda: parse_direction(gravity, "gravity"),
            lambda: described(load_layout("shrec22"), name, axes=axes, units=units, gravity=gravity, side=side),
            lambda: described(stick(), axes=axes or None, units=units or None, gravity=gravity or None),
        )
    )
    return None


def names(folder: Path) -> Run:
    """Names that users give: of data sets, layouts, sources, recipes, branches and so on; a line for each."""
    from adasgn_edge.bench.settings import parse_rate
    from adasgn_edge.data.degrade import Degradation
    from adasgn_edge.data.ntu_protocol import SampleName
    from adasgn_edge.data.registry import open_dataset, open_online_dataset
    from adasgn_edge.data.sources import load_source
    from adasgn_edge.model.config import Branch
    from adasgn_edge.skeletons import load_layout
    from adasgn_edge.tensorrt.runtime import Version
    from adasgn_edge.train.online.recipe import load_online_recipe
    from adasgn_edge.train.recipe import load_recipe

    readers: tuple[Callable[[str], object], ...] = (
        partial(open_dataset, root=folder, cache_dir=folder), partial(open_online_dataset, root=folder), load_layout,
        load_source, load_recipe, partial(load_recipe, "shrec14"), load_online_recipe, Branch.parse, Degradation.parse,
        SampleName.parse, parse_rate, Version.parse,
    )  # fmt: skip

    def run(content: bytes) -> None:
        lines = content.decode(errors="surrogateescape").split("\n")
        every(partial(read, line) for line in lines[:4] for read in readers)

    return run


def environment(folder: Path) -> Run:
    """The environment variables that name folders: a line for each."""
    import os

    from adasgn_edge.data.registry import cached_path, open_dataset, user_cache_folder

    (folder / "SHREC17").mkdir()

    def run(content: bytes) -> None:
        before, place = dict(os.environ), Path.cwd()
        values = content.replace(b"\0", b"").split(b"\n")
        os.chdir(folder)  # where relative paths lead nowhere
        try:
            for name, value in zip((b"ADASGN_DATA", b"ADASGN_CACHE", b"XDG_CACHE_HOME", b"HOME"), values, strict=False):
                os.environb[name] = value
            every(
                (
                    user_cache_folder,
                    lambda: open_dataset("shrec14"),
                    lambda: cached_path("shrec14", folder),
                )
            )
        finally:
            os.environ.clear()
            os.environ.update(before)
            os.chdir(place)

    return run


def json_values() -> tuple[Callable[[Any], object], ...]:
    """Readers of values that stand in the metadata of weights and model files, in headers and in calibrations."""

    def described_stream(value: Any) -> object:
        from adasgn_edge.data.description import StreamDescription

        return StreamDescription.from_dict(StreamDescription.from_dict(value).to_dict())

    def intrinsics(value: Any) -> object:
        from adasgn_edge.data.perspective import Intrinsics

        return Intrinsics.from_dict(Intrinsics.from_dict(value).to_dict())

    def layout_of(value: Any) -> object:
        from adasgn_edge.skeletons import SkeletonLayout

        return SkeletonLayout.from_dict(value)

    def source_of(value: Any) -> object:
        from adasgn_edge.data.sources import Source

        return Source.from_dict(value)

    def effort(value: Any) -> object:
        from adasgn_edge.effort import EffortTable

        return EffortTable.from_json(value).threshold(0.3)

    def recognition(value: Any) -> object:
        from adasgn_edge.recognition import Recognition

        return Recognition.from_json(value)

    def config(value: Any) -> object:
        from adasgn_edge.model.config import ModelConfig
        from adasgn_edge.model.cost import CostTable

        return CostTable(ModelConfig.from_dict(value)).full

    def fold(value: Any) -> object:
        from adasgn_edge.data.folds import Fold

        return Fold.from_dict(value)

    return described_stream, intrinsics, layout_of, source_of, effort, recognition, config, fold


def model_description(text: str) -> object:
    from adasgn_edge.engine import ModelDescription

    return ModelDescription.from_json(text)
