"""Latency of the CUDA engine on a board that is not at hand: `python -m bench.predict --board orin-nano --batch 1`.

Counts what every launch of a run multiplies, moves, issues and waits for, and turns the counts into a low and a high
estimate; docs/performance.md explains the model and shows it beside what an H100 took.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from adasgn_edge.deploy.model_file import ModelFile, read_model_file, shipped_model
from adasgn_edge.errors import AdaSGNError
from adasgn_edge.model.config import POSE, Branch, ModelConfig, branch_grid
from bench.kernel_report.compiler import ToolError
from bench.predict import tables
from bench.predict.boards import BOARDS, Board, keep_calibration
from bench.predict.measured import CALIBRATED_UP_TO, MEASURED, PROFILE, calibrate, counted, read_measured
from bench.predict.prediction import Prediction, predict, predict_streaming

SHREC = ModelConfig(joints=22, classes=14, branches=branch_grid((1, 11, 22)))
SHREC_MIX = (0.121, 0.158, 0.380, 0.310, 0.017, 0.014)  # docs/results.md, adasgn-a1 on the test set


def read_mix(text: str, branches: int) -> tuple[float, ...]:
    """Shares of the branches, in percent or fractions, made to add up to one."""
    try:
        shares = [float(part) for part in text.replace("/", ",").split(",")]
    except ValueError:
        raise SystemExit(f"predict: --mix: expected {branches} numbers, found {text!r}") from None
    if len(shares) != branches or min(shares) < 0 or sum(shares) <= 0:
        raise SystemExit(f"predict: --mix: expected {branches} shares, none below zero, found {text!r}")
    return tuple(share / sum(shares) for share in shares)


def read_going_on(text: str | None, own: float | None) -> float:
    """A share of clips; own: that of the model's effort table, None where it cannot be told."""
    if text == "own":
        if own is None:
            raise SystemExit("predict: --going-on: expected a share, as the model's effort table does not tell its own")
        return own
    try:
        share = float(text or 0)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise SystemExit(f"predict: --going-on: expected a share from 0 to 1, or own, found {text!r}")
    return share


def own_going_on(file: ModelFile) -> float | None:
    """The share of clips that go on at the file's own effort: what a clip costs on average lies between the cost of one
    that stays and of one that goes on. None of a model that does not escalate or has more than two levels."""
    if file.effort is None or len(file.folded.config.branches) != 2:
        return None
    efforts, _, macs, _ = zip(*file.effort.points, strict=True)
    return float((np.interp(file.effort.default, efforts, macs) - macs[0]) / (macs[-1] - macs[0]))


def _shares(text: str | None, policy: ModelConfig, given: ModelFile | None) -> tuple[float, ...]:
    """Of frames, of each branch of the model with a policy: as asked for, or as its file has them, or, of SHREC's
    branches, those of the test set."""
    if text is not None:
        return read_mix(text, len(policy.branches))
    if given is not None and given.folded.config is policy and given.action_shares is not None:
        return given.action_shares
    if policy.branches != SHREC.branches:
        found = len(policy.branches)
        raise SystemExit(f"predict: --mix: expected the shares of the model's {found} branches, as its file has none")
    return tuple(share / sum(SHREC_MIX) for share in SHREC_MIX)


def main(arguments: list[str] | None = None) -> int:
    """Print the tables."""
    options = _parser().parse_args(arguments)
    batches = options.batch or [1, 64]
    if min(batches) < 1:
        raise SystemExit(f"predict: --batch: expected at least 1, found {min(batches)}")
    try:
        if options.streaming:
            others = ("schedules", "before", "constants", "compare", "profile", "calibrate")
            if any(getattr(options, name) for name in others):
                raise SystemExit("predict: --streaming: expected it alone, or with --settle and a --board")
            for line in _streaming(options, batches):
                print(line, flush=True)
            return 0
        given = None if options.model is None else read_model_file(options.model)
        file = given if given is not None and given.folded.config.escalates else read_model_file(shipped_model("clips"))
        config = SHREC if given is None else given.folded.config
        if config.causal is not None:
            raise SystemExit(
                "predict: --model: expected a model of clips, found one of streams (--streaming is for those)"
            )
        policy = config if config.adaptive else SHREC
        mix = _shares(options.mix, policy, given)
        own = own_going_on(file)
        models = {
            "dense": ModelConfig.dense(config.joints, config.classes, config.frames),
            "adasgn": policy,
            "pose": ModelConfig(
                config.joints, config.classes, (Branch(config.joints, POSE),), config.frames, adaptive=False, stride=2
            ),
            "escalating": file.folded.config,
            "given": config,  # of one branch
        }
        if options.board is None and options.going_on is None and own is not None:
            options.going_on = "own"  # beside the column of nobody
        going_on = read_going_on(options.going_on, own)
        kind = "escalating" if config.escalates else "adasgn" if config.adaptive else "given"
        for line in _lines(options, models, kind, batches, mix, going_on):
            print(line, flush=True)
    except (AdaSGNError, OSError, ToolError) as error:
        raise SystemExit(f"predict: {error}") from None
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.predict", description="Predicted latency of the CUDA engine")
    parser.add_argument("--board", choices=sorted(BOARDS), help="default: a summary of all boards")
    parser.add_argument("--batch", type=int, action="append", help="clips of a run (default 1 and 64)")
    parser.add_argument("--precision", choices=("f16", "f32"), default="f16")
    parser.add_argument(
        "--model", type=Path, help="an .adasgn file (default: the shape of SHREC's AdaSGN with a policy)"
    )
    parser.add_argument("--mix", help="share of frames of each branch, such as 12.1/15.8/38/31/1.7/1.4")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--dense", action="store_true", help="with --board: dense SGN on the model's joints")
    kind.add_argument("--pose", action="store_true", help="with --board: a pose branch alone, a stride of 2")
    kind.add_argument(
        "--escalating",
        action="store_true",
        help="with --board: the shipped model, whose clips go on if they are unsure",
    )
    kind.add_argument("--streaming", action="store_true", help="a step of a causal model: one new frame of some tracks")
    parser.add_argument(
        "--going-on",
        metavar="SHARE",
        help="of a model that escalates: of the clips at a level, from 0 to 1, or own: as its effort table has it "
        "(default with --board 0, nobody)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--schedules", action="store_true", help="what the engine chooses, and the alternatives")
    what.add_argument("--settle", action="store_true", help="with --board: what each constant decides")
    what.add_argument("--before", action="store_true", help="times of the first kernels beside those of now")
    what.add_argument("--constants", action="store_true", help="the ranges of what counts cost")
    for option, text in (
        ("--compare", "predicted beside measured, of a report of bench.gpu on the board (h100)"),
        ("--profile", "instructions counted beside those that ncu found"),
        ("--calibrate", "fit what no micro-benchmark shows to such a report; the H100's is kept"),
    ):
        kept = PROFILE if option == "--profile" else MEASURED
        what.add_argument(option, nargs="?", type=Path, const=kept, metavar="FILE", help=f"{text}  [default: the kept]")
    return parser


def _lines(
    options: argparse.Namespace,
    models: dict[str, ModelConfig],
    kind: str,
    batches: list[int],
    mix: tuple[float, ...],
    going_on: float,
) -> Iterable[str]:
    board = BOARDS[options.board or "h100"]  # of what was measured
    if options.compare:
        yield from tables.comparison(list(read_measured(options.compare, board, models, mix)), board)
    elif options.profile:
        yield from tables.instruction_table(counted(options.profile, board, models))
    elif options.calibrate:
        constants, error = calibrate(list(read_measured(options.calibrate, board, models, mix)), board)
        name = options.calibrate.name
        how = f"python -m bench.predict --calibrate, on {name}, up to {CALIBRATED_UP_TO} clips; error {error:.1%}"
        if board is BOARDS["h100"]:
            keep_calibration(constants.pace, constants.exact_pace, constants.code, how)
        yield f"pace {constants.pace:.3f}, exact_pace {constants.exact_pace:.3f}, code {constants.code:.2f}: {how}"
    elif options.before:
        yield from tables.before_and_after(models, mix)
    elif options.constants:
        yield from tables.constants_table()
    elif options.schedules:
        boards = [options.board] if options.board else list(BOARDS)
        yield from tables.schedule_table({name: models[name] for name in ("dense", "adasgn")}, boards, mix)
    elif options.board is None:
        _expect_board_to_settle(options)
        yield from tables.summary(models, batches, ("f16", "f32"), mix, going_on)
    else:
        kind = next((name for name in ("dense", "pose", "escalating") if getattr(options, name)), kind)
        yield from _of_board(options, models[kind], batches, mix, going_on)


def _streaming(options: argparse.Namespace, batches: list[int]) -> Iterable[str]:
    config = read_model_file(options.model or shipped_model("stream")).folded.config
    if config.causal is None or not all(branch.pose for branch in config.branches):
        raise SystemExit("predict: --streaming: expected a causal model of a pose branch alone, found another")
    if options.board is None:
        _expect_board_to_settle(options)
        yield from tables.streaming_table(config)
        return
    board = BOARDS[options.board]
    for batch in batches:
        prediction = predict_streaming(config, board, batch, options.precision)
        title = f"{options.board}, {batch} tracks, one new frame each, {options.precision}"
        yield from _titled(title, prediction, board, options.settle)


def _expect_board_to_settle(options: argparse.Namespace) -> None:
    if options.settle:
        raise SystemExit("predict: --settle: expected a --board, found none")


def _titled(title: str, prediction: Prediction, board: Board, settle: bool) -> Iterable[str]:
    yield ""
    if settle:
        yield title
        yield ""
        yield from tables.settle_table(prediction, board)
    else:
        yield from tables.prediction_lines(title, prediction, board)


def _of_board(
    options: argparse.Namespace, config: ModelConfig, batches: list[int], mix: tuple[float, ...], going_on: float
) -> Iterable[str]:
    board = BOARDS[options.board]
    names = ", ".join(config.branch_names)
    if config.escalates:
        names += f" ({going_on:.0%} of the clips go on)"
    for batch in batches:
        prediction = predict(config, board, batch, options.precision, mix, going_on)
        ways = ",\nthen ".join(map(str, prediction.chosen))
        title = f"{options.board}, {batch} clips, {options.precision}, {names}; {ways}"
        yield from _titled(title, prediction, board, options.settle)


if __name__ == "__main__":
    sys.exit(main())
