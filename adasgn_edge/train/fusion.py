"""Fusion: the scores of models of several input streams averaged, like with like (the paper's "3s")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adasgn_edge.errors import ModelConfigError
from adasgn_edge.train.evaluate import Evaluation
from adasgn_edge.train.report import Measurement, plain, spread

__all__ = ["Fusion", "FusionSummary", "fuse", "fuse_streams"]


@dataclass(frozen=True)
class Fusion:
    """Several streams' softmax scores averaged, on so many clips; their costs add up."""

    clips: int
    accuracy: float
    paper_gflops: float
    full_gflops: float


@dataclass(frozen=True)
class FusionSummary:
    """Fusions of one stage over its seeds: means and, from two seeds on, the sample standard deviation (else NaN)."""

    stage: str
    streams: tuple[str, ...]
    seeds: int
    accuracy: float
    accuracy_deviation: float
    paper_gflops: float
    full_gflops: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None."""
        return {name: plain(value) for name, value in self.__dict__.items()}


def fuse_streams(evaluations: Sequence[Evaluation]) -> Fusion:
    """Average the scores of models of different streams on the same samples."""
    labels = evaluations[0].labels
    if any(not np.array_equal(labels, other.labels) for other in evaluations):
        raise ModelConfigError("fusion: expected evaluations of the same samples, found different labels")
    scores = np.mean([evaluation.scores for evaluation in evaluations], axis=0)
    return Fusion(
        clips=len(labels),
        accuracy=float((scores.argmax(1) == labels).mean()),
        paper_gflops=sum(e.paper_gflops for e in evaluations),
        full_gflops=sum(e.full_gflops for e in evaluations),
    )


def fuse(sources: Sequence[tuple[Path, Sequence[Measurement]]]) -> list[FusionSummary]:
    """Fuse one model from each source, stage by stage and seed by seed; a row per stage, in order of cost.

    On folds models of the same fold are fused, and a seed's accuracy is that over the clips of all its folds.

    sources: what was given on the command line, and the models found there: a run folder of one stream, or one file.
    Raises ModelConfigError where the sources do not hold the same stages and seeds, are of the same stream, or were
    measured on different data.
    """
    if len(sources) < 2:
        raise ModelConfigError(f"fusion: expected at least two runs or files, one a stream, found {len(sources)}")
    files = all(path.is_file() for path, _ in sources)  # these were chosen one by one, whatever their seeds
    tables = [_by_place(path, found, seeds=not files) for path, found in sources]
    if len({m.fold and (m.fold.count, m.fold.over) for _, found in sources for m in found}) > 1:
        raise ModelConfigError(
            "fusion: expected models of a whole data set, or of one division into folds, found both or several; give "
            "their folders apart"
        )
    streams = [_stream(path, found) for path, found in sources]
    if len(set(streams)) != len(streams):
        pairs = ", ".join(f"{path} is {stream}" for (path, _), stream in zip(sources, streams, strict=True))
        raise ModelConfigError(f"fusion: expected a different stream in each, found: {pairs[:300]}")
    for (path, _), table in zip(sources[1:], tables[1:], strict=True):
        if different := sorted(set(table) ^ set(tables[0])):
            stage, seed, fold = different[0]
            who, other = (path, sources[0][0]) if different[0] in table else (sources[0][0], path)
            raise ModelConfigError(
                f"fusion: expected the same stages and seeds in each, found {stage}{seed and f' of seed {seed}'}"
                f"{fold and f', {fold},'} in {who} but not in {other}; choose with --only and --seeds"
            )
    if any(len({table[place].data for table in tables}) > 1 for place in tables[0]):
        raise ModelConfigError("fusion: expected models measured on the same data, found different data sets")
    fused: dict[str, dict[str, dict[str, Fusion]]] = {}  # by stage, seed and fold
    for stage, seed, fold in tables[0]:
        one = fuse_streams([table[stage, seed, fold].evaluation for table in tables])
        fused.setdefault(stage, {}).setdefault(seed, {})[fold] = one
    rows = []
    for stage, by_seed in fused.items():
        if len({tuple(sorted(folds)) for folds in by_seed.values()}) > 1:
            raise ModelConfigError(f"fusion: expected {stage} on the same folds for every seed; choose with --seeds")
        rows.append(_summary(stage, streams, [list(folds.values()) for folds in by_seed.values()]))
    return sorted(rows, key=lambda row: (row.paper_gflops, row.stage))


def _summary(stage: str, streams: Sequence[str], seeds: Sequence[Sequence[Fusion]]) -> FusionSummary:
    def mean(figure: str) -> list[float]:  # over the clips of all folds, of each seed
        return [
            float(np.average([getattr(f, figure) for f in folds], weights=[f.clips for f in folds])) for folds in seeds
        ]

    return FusionSummary(
        stage=stage,
        streams=tuple(streams),
        seeds=len(seeds),
        **spread(mean("accuracy")),
        paper_gflops=float(np.mean(mean("paper_gflops"))),
        full_gflops=float(np.mean(mean("full_gflops"))),
    )


def _by_place(path: Path, found: Sequence[Measurement], seeds: bool) -> dict[tuple[str, str, str], Measurement]:
    """Models by stage, seed ("" where seeds do not matter) and fold ("" for a whole data set)."""
    table: dict[tuple[str, str, str], Measurement] = {}
    for m in found:
        place = (m.stage, str(m.seed) if seeds else "", str(m.fold or ""))
        if place in table:
            raise ModelConfigError(
                f"fusion: expected one {m.stage} of seed {m.seed} in {path}, found {table[place].path} and {m.path}; "
                "give the folder of one run"
            )
        table[place] = m
    return table


def _stream(path: Path, found: Sequence[Measurement]) -> str:
    streams = sorted({m.trained.stream for m in found})
    if len(streams) != 1:
        raise ModelConfigError(f"fusion: expected models of one stream in {path}, found {', '.join(streams) or 'none'}")
    return streams[0]
