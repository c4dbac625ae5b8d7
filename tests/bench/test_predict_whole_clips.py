"""Clips in one launch: what is predicted of them."""

from __future__ import annotations

import pytest

from adasgn_edge.model.config import Branch, ModelConfig
from bench.gpu import measure
from bench.predict.__main__ import SHREC, SHREC_MIX
from bench.predict.boards import BOARDS, span
from bench.predict.costs import Block, Chain, Phase
from bench.predict.measured import read_schedule
from bench.predict.prediction import device_microseconds
from bench.predict.schedule import Schedule, choose, launches, schedules
from bench.predict.whole_clips import clip_blocks

DENSE = ModelConfig.dense(22, 14)
H100 = BOARDS["h100"]


def test_whole_clips_are_one_launch_where_their_blocks_run_at_once() -> None:
    """A block a frame and branch, the temporal module's among the policy's; without a policy 16 for it."""
    assert (clip_blocks(SHREC), clip_blocks(DENSE)) == (120, 36)
    whole = Schedule(True, 32, 32, True)
    assert whole in schedules(SHREC, "f16", 120)
    assert whole not in schedules(SHREC, "f16", 119)
    assert whole not in schedules(SHREC, "f32", 132)
    pose = ModelConfig(22, 14, (Branch(22, "pose"),), adaptive=False)
    assert not any(one.whole_clips for one in schedules(pose, "f16", 132))
    assert choose(SHREC, 132, 20, SHREC_MIX, "f16") == whole
    assert (
        choose(SHREC, 132, 40, SHREC_MIX, "f16") == choose(SHREC, 119, 20, SHREC_MIX, "f16") == Schedule(True, 32, 32)
    )
    (launch,) = launches(SHREC, H100, 1, "f16", SHREC_MIX, whole).launches
    assert launch.name == "whole_clip"
    assert len(launch.draws[0]) == 20 * 6 + 2 * 16
    assert [launch.name for launch in launches(DENSE, H100, 7, "f16", (), whole).launches] == ["whole_clip"] * 3


def test_a_chain_is_as_long_as_the_longest_of_each_stage() -> None:
    by = span(H100).middle
    short, long, last = (Block((Phase(8, instructions=count),), ((str(count), 100.0),)) for count in (10, 30, 7))
    chain = Chain("chain", [[short, long, last]], 1, False, [[[short, long], [last]]])
    clocks = long.clocks(by) + last.clocks(by) + 200 / by.code
    assert chain.microseconds(132, 2.0, by) == pytest.approx(clocks / 2000)


def test_a_policy_runs_beside_the_branches_of_a_whole_clip() -> None:
    """Of a clip with a policy the branches do not wait, so that it takes no longer than dense; by launches it does."""
    by = span(H100).middle

    def microseconds(config: ModelConfig, whole: bool) -> float:
        shares = SHREC_MIX if config.adaptive else ()
        run = launches(config, H100, 1, "f16", shares, Schedule(True, 32, 32, whole))
        return device_microseconds(run, H100, by)

    assert microseconds(SHREC, True) < microseconds(DENSE, True)
    assert microseconds(SHREC, False) > microseconds(DENSE, False)
    assert microseconds(SHREC, True) < microseconds(SHREC, False)


def test_schedules_have_one_name_in_measuring_and_predicting() -> None:
    """What bench.gpu writes into a report, bench.predict reads."""
    for one in {schedule for each in measure.SCHEDULES.values() for schedule in each}:
        name = measure.schedule_name(one)
        assert name == str(Schedule(*one))
        assert read_schedule(name) == Schedule(*one)
