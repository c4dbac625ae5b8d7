"""What is measured together: the groups, whose sides take turns within one run.

==============================  ========================================================================================
``speed-SUBJECT-bB-tN``         whole runs, NumPy arrays in and out, B clips at a time on N threads: dense SGN in
                                every runtime, all models in our engine on every instruction set; with 64 clips on one
                                thread also a large sgemm and the multiply-add loop
``stages-SUBJECT-SET``          one clip on one thread: the engine's stages, one by one, beside the multiply-add loop
==============================  ========================================================================================
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from adasgn_edge.bench.interleave import REST, Pace
from adasgn_edge.bench.runtimes import GRAPHS, installed
from adasgn_edge.engine import instruction_sets
from adasgn_edge.model.config import ModelConfig
from bench.models import AIM_SUBJECT, MODELS, config_of

__all__ = ["BATCHES", "Group", "plan", "stages"]

BATCHES = (1, 8, 64)


@dataclass(frozen=True)
class Group:
    """What is measured together. sides: their names, in the order of their turns; kind: "speed" or "stages"."""

    kind: str
    subject: str
    batch: int
    threads: int
    sides: tuple[str, ...]
    instruction_set: str = ""
    quick: bool = False

    @property
    def name(self) -> str:
        """As in the table above."""
        if self.kind == "stages":
            return f"stages-{self.subject}-{self.instruction_set}"
        return f"speed-{self.subject}-b{self.batch}-t{self.threads}"

    def pace(self, clips: int) -> Pace:
        """How long it is measured, so that all groups take a few minutes; the aims' group runs each of the `clips`."""
        rest = REST if self.threads > 1 else 0.0
        if self.quick:
            return Pace(calls=2, seconds=1.0, least=3, rest=rest)
        if self.kind == "stages":
            return Pace(calls=8, seconds=5.0, least=10)
        if self.batch == BATCHES[-1]:
            return Pace(untimed=0, seconds=14.0, least=7, rest=rest)
        if self.batch > 1:
            return Pace(calls=3, seconds=9.0, least=7, rest=rest)
        if self.threads == 1 and self.subject == AIM_SUBJECT:
            rounds = -(-clips // 6)
            return Pace(calls=6, least=rounds, most=rounds)
        return Pace(calls=6, seconds=9.0, least=7, rest=rest)


def plan(quick: bool = False, only: Sequence[str] = ()) -> list[Group]:
    """All groups, or a few that take seconds and show that everything works; `only` those whose name has one of these
    patterns, as file names have in a shell. ValueError where none has."""
    subjects = (AIM_SUBJECT,) if quick else tuple(MODELS)
    sets = instruction_sets()[: 1 if quick else None]
    groups = [
        Group("stages", subject, 1, 1, _stage_sides(subject, isa), isa, quick) for subject in subjects for isa in sets
    ]
    for threads in (1,) if quick else sorted({1, len(os.sched_getaffinity(0))}):
        for subject in subjects:
            for batch in BATCHES[:2] if quick else BATCHES:
                sides = _speed_sides(subject, batch, threads, quick)
                groups.append(Group("speed", subject, batch, threads, sides, quick=quick))
    wanted = [group for group in groups if not only or any(fnmatchcase(group.name, pattern) for pattern in only)]
    if not wanted:
        names = ", ".join(group.name for group in groups)
        raise ValueError(f"--only: expected patterns of {names}; found {', '.join(only)}")
    return wanted


def stages(config: ModelConfig) -> tuple[str, ...]:
    """The stages of a model that are measured: the engine's calls, and where there are several branches each alone."""
    branches = tuple(f"branch {name}" for name in config.branch_names)
    if config.escalates:  # a clip takes branch after branch, the temporal head after each
        return (*branches, "temporal head", "run")
    if config.adaptive:
        return ("policy features", "actions", "branches", "temporal head", "run", *branches)
    return ("branches", "temporal head", "run")


def _speed_sides(subject: str, batch: int, threads: int, quick: bool) -> tuple[str, ...]:
    sides = [
        f"{peer} {graph}"
        for graph in GRAPHS[: 1 if quick else None]
        for peer in installed()
        if peer != "compile" or (not quick and _worth_compiling(graph, subject, threads))
    ]
    sides += [f"{model} {isa}" for model in MODELS[subject] for isa in instruction_sets()]
    if batch == BATCHES[-1] and threads == 1:
        sides += ["sgemm numpy", "sgemm torch", f"fma {instruction_sets()[0]}"]
    return tuple(sides)


def _worth_compiling(graph: str, subject: str, threads: int) -> bool:
    """Compiling takes 10 to 20 s for each graph, subject and number of threads: on one thread; of AIM_SUBJECT the
    second graph as well, and the first on all threads."""
    if subject == AIM_SUBJECT:
        return threads == 1 or graph == GRAPHS[0]
    return threads == 1 and graph == GRAPHS[0]


def _stage_sides(subject: str, isa: str) -> tuple[str, ...]:
    sides = [f"{model} {stage}" for model in MODELS[subject] for stage in stages(config_of(subject, model))]
    return (*sides, f"fma {isa}")
