"""The latency model: its counts and times are those of small cases by hand."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from adasgn_edge.deploy.folded_network import FoldedModel
from adasgn_edge.deploy.model_file import ModelFile, read_model_file, shipped_model, write_model_file
from adasgn_edge.model.config import POSE, Branch, ModelConfig, branch_grid
from adasgn_edge.skeletons import load_layout
from bench.gpu import constants
from bench.kernel_report.compiler import ToolError
from bench.predict import boards, document, geometry, instructions, kernel_source
from bench.predict.__main__ import SHREC, SHREC_MIX, main, own_going_on
from bench.predict.boards import BOARDS, MEASURED_BY, span
from bench.predict.costs import Block, Constants, Launch, Phase
from bench.predict.document import refresh
from bench.predict.kernels import (
    Tile,
    branch_kernel_tile,
    branch_tile,
    find_tile,
    frame_block,
    pose_split_block,
    pose_tile,
    tiles_of,
)
from bench.predict.measured import MEASURED, PROFILE, counted, error, fit, read_measured
from bench.predict.prediction import device_microseconds, predict, predict_streaming, sensitivity
from bench.predict.schedule import (
    POLICY_BLOCKS,
    Schedule,
    choose,
    choose_level,
    launches,
    levels,
    reached,
    schedules,
    streaming,
)

ROOT = Path(__file__).resolve().parents[2]
DENSE = ModelConfig.dense(22, 14)
MODELS = {"dense": DENSE, "adasgn": SHREC}
ONE = Constants(**dict.fromkeys((item.name for item in fields(Constants)), 1.0))
DENSE_STRIDE = ModelConfig(22, 14, (Branch(22, "big"),), adaptive=False, stride=2)
ESCALATING = ModelConfig(22, 14, (Branch(22, "pose"), Branch(22, "big")), adaptive=False, escalates=True, stride=2)
H100 = BOARDS["h100"]


def tile_of(rows: int, precision: str = "f16") -> Tile:
    return branch_kernel_tile("sm_87", precision, rows)


# -- shapes ----------------------------------------------------------------------------------------------------------


def test_numbers_of_the_sources() -> None:
    assert kernel_source.whole("kernels/launch.h", "kBlock") == 16
    assert kernel_source.number("csrc/adasgn/cuda/schedule.cpp", "kSplitClips") == pytest.approx(1 / 6)
    assert kernel_source.shapes("kernels/tile.h", "Tile")["f16", 128] == (4,)
    with pytest.raises(ToolError, match=r"kernels/launch\.h: expected a number kNothing, found none"):
        kernel_source.number("kernels/launch.h", "kNothing")
    with pytest.raises(ToolError, match="expected Nothing<…> with its shapes, found none"):
        kernel_source.shapes("kernels/tile.h", "Nothing")


def test_shared_memory_is_the_tiles() -> None:
    assert geometry.tile_bytes(128, "f16") == 128 * (528 + 2 * 272 + 80)  # weights are in registers
    assert geometry.tile_bytes(32, "f32") == 32 * (1040 + 2 * 528 + 144) + 8 * 3 * 1024
    assert geometry.temporal_bytes(64, "f16") == 66 * 528 + 512
    assert geometry.split_bytes("f16") == 8 * 34 * 80 + 8 * 32 * 18 * 4


def test_barriers_of_a_branch() -> None:
    assert branch_tile(Branch(1, "small"), tile_of(32), 20, 22).total("barriers") == 4


def test_the_machine_code_has_what_is_looked_up() -> None:
    for architecture in ("sm_87", "sm_90"):
        for precision, rows in ((kind, rows) for kind in ("f16", "f32") for rows in geometry.BRANCH_ROWS[kind]):
            kernel = instructions.branch_kernel(precision, rows)
            assert 15 < instructions.step(architecture, kernel, rows // 16, 2, precision) < 700
            assert 300 < instructions.adjacency(architecture, kernel, precision) < 4000
        assert 3 * 8 < instructions.result_block(architecture, "f16") < 12 * 8  # a few for each of a lane's results
    with pytest.raises(ToolError, match="expected a loop of a product of 112 rows by 16 columns, found none"):
        instructions.step("sm_87", instructions.branch_kernel("f32", 32), 7, 1, "f32")
    with pytest.raises(ToolError, match="expected branch_tiles<f16, 48 rows>, found"):
        instructions.code("sm_87", instructions.branch_kernel("f16", 48))


# -- counts ----------------------------------------------------------------------------------------------------------


def test_products_by_hand() -> None:
    """One joint, small, 32 rows in f32: two products of 64 x 64, rows in two halves, and one of 64 x 256."""
    block = branch_tile(Branch(1, "small"), tile_of(32, "f32"), 20, 22)
    assert block.total("ordinary") == 2 * 32 * 64 * 64 + 32 * 64 * 256
    assert block.total("tensor") == 0
    assert block.total("weights") == 4 * (2 * 2 * 64 * 64 + 64 * 256)
    assert block.total("steps") == 3 * 4
    low = branch_tile(Branch(1, "small"), branch_kernel_tile("sm_87", "f16", 32), 20, 22)
    assert (low.total("tensor"), low.total("ordinary")) == (block.total("ordinary"), 0)
    assert low.total("weights") == block.total("weights") / 2


def test_shared_memory_of_a_product_by_hand() -> None:
    """The widest product of B-22 in 32 rows of binary16: left side by eight warps, results."""
    product = branch_tile(Branch(22, "big"), tile_of(32), 1, 22).phases[-2]
    once = 8 * 16 * 2 * 512 + 32 * 256 * 2
    assert product.shared == 2 * once  # by neighbours, by itself


def test_every_frame_is_in_one_tile() -> None:
    tiles = tiles_of(Branch(11, "small"), 25, tile_of(128), 22)
    assert len(tiles) == 3  # of 11, 11 and 3 frames
    assert tiles[0] is tiles[1]
    assert tiles_of(Branch(11, "small"), 0, tile_of(128), 22) == []


def test_counted_instructions_are_those_that_ran_on_an_h100() -> None:
    rows = list(counted(PROFILE, H100, MODELS))
    assert len(rows) == 10
    for _, _, kernel, issued, executed in rows:
        spatial = kernel.startswith(("frame_blocks", "branch_tiles", "policy_frames"))
        assert issued == pytest.approx(executed, rel=0.08 if spatial else 0.2), kernel


# -- costs -----------------------------------------------------------------------------------------------------------


def test_clocks_by_hand() -> None:
    phase = Phase(8, instructions=30, exact=10, share=0.5, steps=2, loads=3, shared=40, tensor=70, barriers=4)
    by = replace(ONE, pace=2, exact_pace=3, step=5, load=7, shared=4, tensor=2, issue=3, barrier=6)
    chain = 20 * 2 + 10 * 3 + 2 * 5 + 3 * 7
    assert phase.chain(by) == chain
    assert phase.busy(by)["issue"] == 30 * 0.5 * 8 / 3
    assert max(phase.busy(by).values()) == 40  # of its 120 instructions; its tensor cores are busy for 35
    assert phase.clocks(by, 1) == pytest.approx((chain**2 + 40**2) ** 0.5 + 4 * 6)
    assert phase.clocks(by, 2) == pytest.approx((chain**2 + 80**2) ** 0.5 + 4 * 6)
    assert sum(Block((phase, phase)).limits(by).values()) == pytest.approx(2 * phase.clocks(by, 1))


def test_a_shallow_ring_limits_the_stream_as_measured() -> None:
    """Eight warps, rings of four blocks: the micro-benchmark's bytes a clock follow from latencies of other rows."""
    known = constants.read(boards.H100)
    by = span(H100).middle
    phase = Phase(8, weights=1e6, trips=1e6 / (8 * 3 * 512))
    assert 1e6 / phase.chain(by) == pytest.approx(known["stream/ring of 4/132"], rel=0.1)
    deep = Phase(8, weights=1e6, trips=1e6 / (8 * 16 * 512))
    assert deep.chain(by) < deep.busy(by)["weights"]
    assert "weights under way" in Block((phase,)).limits(by)


def test_phases_add_up() -> None:
    both = Phase(8, instructions=10, share=1, loads=1, barriers=1) + Phase(8, instructions=30, share=0.2, steps=4)
    assert (both.instructions, both.loads, both.steps, both.barriers) == (40, 1, 4, 1)
    assert both.issued == pytest.approx(8 * (10 + 30 * 0.2))
    with pytest.raises(ValueError, match="phases of 8 and of 4 warps"):
        Phase(8) + Phase(4)


def test_blocks_go_to_whoever_is_free_and_code_is_fetched_once() -> None:
    by = replace(ONE, code=2, issue=1e9)
    long, short = (Block((Phase(1, instructions=n),), ((name, 20),)) for n, name in ((100, "a"), (30, "b")))
    # 100 + 10; 30 + 10, then 30, then 30
    assert Launch("", [[long, short, short, short]]).microseconds(2, 1e-3, by) == pytest.approx(110)
    assert Launch("", [[long, short, short, short, short]]).microseconds(2, 1e-3, by) == pytest.approx(130)
    assert Launch("", [[short] * 4], resident=2).microseconds(2, 1e-3, by) == pytest.approx(40)
    assert Launch("", [[]]).microseconds(2, 1e-3, by) == 0


def test_low_is_below_high_by_a_factor_that_can_be_refuted() -> None:
    for name, board in BOARDS.items():
        for config in MODELS.values():
            for batch in (1, 64):
                low, high = predict(config, board, batch, "f16", SHREC_MIX).device
                assert 1.1 * low < high < 2.5 * low, name
    assert span(H100).middle.load == pytest.approx(291, abs=1)


def test_every_constant_says_what_settles_it() -> None:
    assert set(MEASURED_BY) == {item.name for item in fields(Constants)}
    run = launches(SHREC, BOARDS["orin-nano"], 1, "f16", SHREC_MIX, Schedule(False, 32, 32))
    rows = sensitivity(run, BOARDS["orin-nano"])
    assert [row[3] for row in rows] == sorted((row[3] for row in rows), reverse=True)
    nodes = {name: microseconds for name, _, _, microseconds in rows}["node"]
    assert nodes == pytest.approx(len(run.launches) * (2 - 0.8))


# -- runs ------------------------------------------------------------------------------------------------------------


def test_launches_follow_the_engine() -> None:
    def names(config: ModelConfig, schedule: Schedule) -> list[str]:
        run = launches(config, BOARDS["orin-nano"], 1, "f16", SHREC_MIX, schedule)
        assert run.fills == 0
        return [launch.name for launch in run.launches]

    head = ["across_split", "widen_split"]
    assert names(SHREC, Schedule(True, 32, 32)) == ["frame_blocks", *head]
    assert names(SHREC, Schedule(False, 32, 32)) == ["policy_frames<8>", "branch_tiles", *head]
    assert names(DENSE, Schedule(False, 64, 32)) == ["branch_tiles", *head]
    assert {str(one) for one in schedules(DENSE, "f32", 132)} == {
        f"{way}, temporal {rows}" for way in ("a block per frame", "tiles of 32 rows") for rows in (32, 64)
    }


def test_launches_of_pose_branches_and_levels_follow_the_engine() -> None:
    pose = ModelConfig(22, 14, (Branch(22, "pose"),), adaptive=False, stride=2)

    def blocks(config: ModelConfig, batch: int) -> dict[str, int]:
        run = predict(config, H100, batch, "f16", ()).run
        assert run.fills == 0
        return {launch.name: len(launch.draws[0]) for launch in run.launches}

    one = {"hidden_split": 16, "output_split": 16, "across_split": 16, "widen_split": 32}
    assert blocks(pose, 1) == one
    assert blocks(pose, 512)["pose_tiles"] == 512 * 20 / 128
    assert blocks(ESCALATING, 1) == {**one, "frame_blocks": 20}
    run = levels(ESCALATING, H100, 1, "f16")
    assert [launch.name for launch in run.launches][4:] == ["frame_blocks", "across_split", "widen_split"]
    assert all(launch.early for launch in run.launches[1:])
    assert sum(block.total("tensor") for block in run.launches[4].draws[0]) == 0
    tiles = levels(ESCALATING, H100, 64, "f16", 0, Schedule(False, 128, 64)).launches
    head = ["across_frames", "widen_and_pool", "classify_samples", "settle_samples"]
    assert [launch.name for launch in tiles] == ["pose_tiles", *head, "branch_tiles", *head]
    assert [launch.early for launch in tiles] == [False] + [True] * 9
    assert not any(launch.early for launch in levels(ESCALATING, BOARDS["orin-nano"], 64, "f16").launches)


ROUTED_BY_POSE = ModelConfig(22, 14, (Branch(22, POSE), Branch(11, "small"), Branch(22, "big")), stride=2)


def test_launches_of_a_policy_that_looks_at_a_pose_branch_follow_the_engine() -> None:
    def run(schedule: Schedule, precision: str = "f16") -> dict[str, Launch]:
        found = launches(ROUTED_BY_POSE, H100, 1, precision, (0.7, 0.2, 0.1), schedule)
        return {launch.name: launch for launch in found.launches}

    head = ["across_split", "widen_split"]
    frames = run(Schedule(True, 32, 32))
    assert list(frames) == ["hidden_split", "output_split", "frame_blocks", *head]
    assert [launch.early for launch in frames.values()] == [False] + [True] * 4
    tiles = run(Schedule(False, 64, 32))
    assert list(tiles) == ["hidden_split", "output_split", "route_frames", "branch_tiles", *head]
    assert [launch.early for launch in tiles.values()] == [False, True, False, True, True, True]
    assert len(tiles["route_frames"].draws[0]) == 3  # of 8 frames
    assert tiles["hidden_split"].mean("tensor") == 0  # in float, whatever the engine's precision
    assert tiles["hidden_split"].mean("ordinary") == 32 * 256 * 256  # inputs are filled up
    assert tiles["branch_tiles"].mean("tensor") > 0


def test_a_policy_that_looks_at_several_joints_has_tiles_alone() -> None:
    config = ModelConfig(22, 14, branch_grid((11, 22)))
    assert not any(schedule.block_per_frame for schedule in schedules(config, "f16", 132))
    run = launches(config, H100, 1, "f16", (0.4, 0.3, 0.2, 0.1), Schedule(False, 64, 32)).launches
    assert [launch.name for launch in run[:3]] == ["branch_tiles", "route_frames", "branch_tiles"]
    assert len(run[0].draws[0]) == 10  # two frames of 11 joints in 32 rows of float
    assert run[0].mean("tensor") == 0


def test_the_shares_of_a_policy_are_the_files_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.adasgn"
    arguments = ["--model", written(ROUTED_BY_POSE, path), "--board", "h100", "--batch", "1"]
    with pytest.raises(SystemExit, match="shares of the model's 3 branches, as its file has none"):
        main(arguments)
    blocks = []
    for shares in ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)):
        written(ROUTED_BY_POSE, path, shares)
        main(arguments)
        line = next(
            line
            for line in capsys.readouterr().out.splitlines()
            if line.startswith(("| frame_blocks", "| branch_tiles"))
        )
        blocks.append(float(line.split("|")[3]))
    assert blocks[0] == 0 < blocks[1]  # multiply-adds on tensor cores


def test_clips_that_go_on_take_the_blocks_of_the_next_level() -> None:
    dense = launches(DENSE_STRIDE, H100, 16, "f16", (), Schedule(True, 32, 32)).launches
    every, none = (levels(ESCALATING, H100, 16, "f16", share, Schedule(True, 32, 32)).launches for share in (1, 0))
    for all_on, nobody, alone in zip(every[4:], none[4:], dense, strict=True):
        assert len(all_on.draws[0]) == len(nobody.draws[0]) == len(alone.draws[0])
        assert all_on.mean("tensor") == alone.mean("tensor") > 0
        assert nobody.mean("tensor") == 0
    some = levels(ESCALATING, H100, 16, "f16", 0.25, Schedule(True, 32, 32)).launches
    assert some[4].mean("tensor") == pytest.approx(every[4].mean("tensor") / 4, rel=0.1)
    times = [predict(ESCALATING, H100, 16, "f16", (), share).device[0] for share in (0, 0.25, 1)]
    assert times == sorted(times)


def test_how_many_clips_reach_a_level() -> None:
    assert reached(1, 0.1, 50) == [0] * 45 + [1] * 5
    assert reached(8, 0.0, 3) == [0] * 3
    assert reached(8, 1.0, 3) == [8] * 3
    many = reached(1024, 0.1, 100)
    assert np.mean(many) == pytest.approx(102.4, rel=0.01)
    assert np.std(many) == pytest.approx((1024 * 0.1 * 0.9) ** 0.5, rel=0.05)


def test_products_of_a_pose_branch_by_hand() -> None:
    """22 joints: 132 inputs, filled up to 192, then 256."""
    tile = pose_tile("sm_87", "f16", 64, 22)
    assert tile.total("tensor") == 64 * (192 + 256) * 256
    assert tile.total("weights") == 2 * (192 + 256) * 256 + 64 * 9 * 22 * 4
    split = pose_split_block("output_split", "sm_87", "f16", 22)
    assert split.total("tensor") == 32 * 256 * 16


def test_a_level_is_chosen_for_those_that_are_expected_there() -> None:
    assert choose_level(ESCALATING, 1, 132, 3 * 20, "f16") == choose(DENSE, 132, 20, None, "f16")
    assert choose_level(ESCALATING, 1, 132, 96 * 20, "f16") == choose(DENSE, 132, 32 * 20, None, "f16")


def test_surplus_blocks_look_for_a_tile_too() -> None:
    """kernels/branch_tiles.cu launches for the worst case: all frames in a branch of 22 joints, five broken tiles."""
    run = launches(SHREC, H100, 64, "f16", SHREC_MIX, Schedule(False, 128, 32))
    blocks = run.launches[1].draws[0]
    assert len(blocks) == 1280 // 5 + 5
    assert blocks[-1] is find_tile(8, 8)  # what is fetched together is looked at together
    assert blocks[-1].total("loads") == 1
    assert find_tile(9, 8).total("loads") == 2
    frames = 64 * 20
    expected = sum(
        frames * share / (128 // branch.joints) for branch, share in zip(SHREC.branches, SHREC_MIX, strict=True)
    )
    assert expected / 2 < sum(block.total("tensor") > 0 for block in blocks) < expected * 2


def test_a_block_per_frame_is_policy_and_branch() -> None:
    dear = frame_block(SHREC, 5, 3, "sm_87", "f16")
    policy = frame_block(SHREC, 0, 3, "sm_87", "f16")
    alone = frame_block(DENSE, None, 3, "sm_87", "f16")
    assert dear.total("issued") == pytest.approx(policy.total("issued") + alone.total("issued"), rel=0.02)
    assert policy.total("tensor") == 0


@pytest.mark.parametrize("architecture", ["sm_87", "sm_90"])
def test_blocks_of_the_policy_that_run_at_once_are_those_that_its_registers_allow(architecture: str) -> None:
    board = replace(BOARDS["orin-nano"], architecture=architecture)
    found = {
        rows: board.resident(
            geometry.THREADS,
            instructions.code(architecture, f"policy_frames<{rows}>").registers,
            geometry.policy_bytes(rows),
        )
        for rows in geometry.POLICY_ROWS
    }
    assert found == POLICY_BLOCKS


def test_tiles_of_few_clips_stay_low_where_most_are_short() -> None:
    """What ceil of the mean would get wrong: nine tiles on eight multiprocessors are not two waves of the dearest."""
    board = BOARDS["orin-nano"]
    assert choose(SHREC, board.multiprocessors, 20, SHREC_MIX, "f16").branch_rows == 32
    middle = span(board).middle
    times = {
        rows: device_microseconds(launches(SHREC, board, 1, "f16", SHREC_MIX, Schedule(False, rows, 32)), board, middle)
        for rows in (32, 64, 128)
    }
    assert min(times, key=lambda rows: times[rows]) == 32


STREAM = read_model_file(shipped_model("stream")).folded.config


def test_a_step_of_a_stream_is_one_kernel_of_groups() -> None:
    run = streaming(STREAM, H100, 40, "f16")
    assert [(launch.name, len(launch.draws[0])) for launch in run.launches] == [("causal_step", 2 * 16)]
    layers = len(STREAM.causal.dilations)
    multiplied = 256 * (256 + 256 + layers * 3 * 256 + 512)  # of a track, inputs filled up; of two groups of 32 rows
    assert run.launches[-1].mean("tensor") == 2 * 32 * multiplied
    assert streaming(STREAM, H100, 1, "f32").launches[-1].mean("ordinary") == 16 * multiplied


def test_more_groups_than_run_at_once_follow_each_other() -> None:
    board = BOARDS["orin-nano"]
    launched = streaming(STREAM, board, 100, "f16").launches
    assert [len(launch.draws[0]) for launch in launched] == [16] * 4  # two blocks on each of 8 multiprocessors
    one, many = (predict_streaming(STREAM, board, tracks, "f16").device for tracks in (1, 100))
    assert 3 * one[0] < many[0] < 10 * one[0]


# -- measured --------------------------------------------------------------------------------------------------------


def test_the_model_is_close_to_what_an_h100_took() -> None:
    measurements = list(read_measured(MEASURED, H100, MODELS, SHREC_MIX))
    assert len(measurements) > 100
    few = [one for one in measurements if one.batch <= 64]
    assert error(few, H100, span(H100).middle) < 0.08
    assert error([one for one in measurements if one.batch > 64], H100, span(H100).middle) < 0.22


def test_fit_finds_the_least() -> None:
    found = fit(lambda x: (x[0] - 3) ** 2 + (x[1] - 0.5) ** 2, [1, 1])
    assert found == pytest.approx([3, 0.5], rel=0.02)


def test_reads_times_of_a_model_that_escalates(tmp_path: Path) -> None:
    """Means, with the share of clips that the report has."""
    times = {"tiles of 64 rows, temporal 64": {"median": 4e-5, "mean": 5e-5}}
    report = {
        "format": "adasgn_edge.gpu_speed.2",
        "action_shares": {"escalating": {"P-22": 0.75, "B-22": 0.25}},
        "groups": [{"batch": 64, "schedules": {"escalating f16": times}}],
    }
    (tmp_path / "gpu.json").write_text(json.dumps(report))
    (one,) = read_measured(tmp_path / "gpu.json", H100, {"escalating": ESCALATING}, ())
    assert (one.model, one.microseconds) == ("escalating", pytest.approx(50))
    expected = levels(ESCALATING, H100, 64, "f16", 0.25, one.schedule)
    assert [launch.mean("issued") for launch in one.run.launches] == [
        launch.mean("issued") for launch in expected.launches
    ]


# -- command ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--batch", "0"], "expected at least 1, found 0"),
        (["--board", "agx-orin", "--mix", "1/2"], "expected 6 shares"),
        (["--board", "agx-orin", "--mix", "1/2/x"], "expected 6 numbers"),
        (["--settle"], "expected a --board"),
        (["--streaming", "--settle"], "expected a --board"),
        (["--streaming", "--schedules"], "expected it alone, or with --settle and a --board"),
        (["--going-on", "some"], "expected a share from 0 to 1, or own, found 'some'"),
        (["--going-on", "1.5"], "expected a share from 0 to 1"),
        (["--compare", str(ROOT / "bench/results/gpu/h100/constants.json")], "expected a report of bench.gpu"),
    ],
)
def test_bad_options_say_what_was_expected(arguments: list[str], words: str) -> None:
    with pytest.raises(SystemExit, match=words):
        main(arguments)


def written(config: ModelConfig, path: Path, shares: tuple[float, ...] | None = None) -> str:
    folded = FoldedModel.build(config, lambda _, shape: np.ones(shape))
    labels = tuple(f"gesture {k}" for k in range(config.classes))
    write_model_file(path, ModelFile(folded, load_layout("shrec22"), labels, "joint", 2.0, action_shares=shares))
    return str(path)


def test_prints_a_model_of_one_branch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = ModelConfig(22, 2, (Branch(22, POSE),), adaptive=False)
    main(["--model", written(config, tmp_path / "pose.adasgn"), "--board", "h100", "--batch", "1"])
    assert "h100, 1 clips, f16, P-22; tiles of 32 rows, temporal 32" in capsys.readouterr().out


def test_a_model_of_streams_is_refused_without_streaming() -> None:
    with pytest.raises(SystemExit, match="expected a model of clips, found one of streams"):
        main(["--model", str(shipped_model("stream"))])


def test_prints_the_shipped_model(capsys: pytest.CaptureFixture[str]) -> None:
    """Of its effort table a tenth of the clips goes on by default."""
    file = read_model_file(shipped_model("clips"))
    assert own_going_on(file) == pytest.approx(0.1, abs=1e-4)
    assert own_going_on(read_model_file(shipped_model("stream"))) is None
    command = ["--model", str(shipped_model("clips")), "--board", "orin-nano", "--batch", "1"]
    assert main(command) == 0
    nobody = capsys.readouterr().out
    assert "P-22, S-11 (0% of the clips go on); tiles of 32 rows, temporal 32,\nthen" in nobody
    assert main([*command, "--going-on", "own"]) == 0
    own = capsys.readouterr().out
    assert "P-22, S-11 (10% of the clips go on)" in own
    found = [int(re.search(r"device: (\d+) …", text)[1]) for text in (nobody, own)]
    assert found[0] < found[1]
    assert main(["--batch", "1"]) == 0
    summary = capsys.readouterr().out
    assert "escalating, none goes on, µs | 10% go on, µs" in summary
    assert f" | {found[0]} … " in next(line for line in summary.splitlines() if "orin-nano | 1 | f16" in line)


def test_prints_a_board(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--board", "agx-orin", "--batch", "1", "--dense"]) == 0
    printed = capsys.readouterr().out
    assert "agx-orin, 1 clips, f16, B-22; tiles of 64 rows, temporal 32" in printed
    assert "| branch_tiles | 10.0 |" in printed
    assert re.search(r"device: \d+ … \d+ µs", printed)


def test_prints_what_settles_a_boards_constants(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--board", "orin-nano", "--batch", "1", "--settle"]) == 0
    printed = capsys.readouterr().out
    assert "| node | 0.8 | 2 | 4.8 | `python -m bench.gpu.constants`: graph, idle: each node |" in printed


def test_prints_times_before_and_now(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--before"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "| 1 clip | 36.0 | 21.8 | 44.8 | 25.3 |" in lines
    now = predict(DENSE, BOARDS["agx-orin"], 64, "f16", SHREC_MIX).device
    expected = f"| agx-orin | 64 clips | 837 … 1382 | {now[0]:.0f} … {now[1]:.0f} |"
    assert any(line.startswith(expected) for line in lines)


def test_prints_what_settles_a_step_of_a_stream(capsys: pytest.CaptureFixture[str]) -> None:
    """It has no graph: how long its launch takes is open, what a graph takes does not matter."""
    assert main(["--streaming", "--settle", "--board", "orin-nano", "--batch", "1"]) == 0
    rows = capsys.readouterr().out.splitlines()
    (row,) = (row for row in rows if row.startswith("| cooperative |"))
    assert "| 0.8 | 7 | 6.2 |" in row
    assert "not measured yet" in row
    assert not any(row.startswith(("| empty |", "| node |", "| early |")) for row in rows)


def test_prints_schedules(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--schedules", "--board", "h100"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 2 * 8
    assert any(line.startswith("| h100 | dense | 8 | tiles of 64 rows, temporal 32 |") for line in lines)


def test_keeps_what_it_calibrates(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a few of the measured times alone, which are soon fitted."""
    report = json.loads(MEASURED.read_text())
    (group,) = (group for group in report["groups"] if group["batch"] == 1)
    group["schedules"] = {"dense f16": group["schedules"]["dense f16"]}
    report["groups"] = [group]
    (tmp_path / "one.json").write_text(json.dumps(report))
    kept = tmp_path / "calibration.json"
    monkeypatch.setattr(boards.keep_calibration, "__defaults__", (kept,))
    before = boards.calibrated()
    assert main(["--calibrate", str(tmp_path / "one.json")]) == 0
    found = json.loads(kept.read_text())
    assert "on one.json" in found["how"]
    assert found["pace"] == pytest.approx(before[0], rel=0.5)
    assert f"pace {found['pace']:.3f}" in capsys.readouterr().out


# -- docs/performance.md ---------------------------------------------------------------------------------------------

SAMPLE = """\
Before.

`python -m bench.predict --board h100 --dense`
<!-- output -->
old
<!-- end of output -->

`python -m bench.predict`
<!-- output -->
<!-- end of output -->
After: `python -m bench.predict --settle`.
"""


def test_outputs_come_into_the_document() -> None:
    asked = []

    def run(arguments: list[str]) -> str:
        asked.append(arguments)
        return f"\nnew {len(asked)}\n"

    text = refresh(SAMPLE, run)
    assert asked == [["--board", "h100", "--dense"], []]
    assert "old" not in text
    assert text.startswith(
        "Before.\n\n`python -m bench.predict --board h100 --dense`\n<!-- output -->\n\nnew 1\n\n<!-- end"
    )
    assert text.endswith("new 2\n\n<!-- end of output -->\nAfter: `python -m bench.predict --settle`.\n")
    assert refresh(text, lambda arguments: "new 1" if arguments else "new 2") == text


@pytest.mark.slow
def test_the_document_is_what_the_commands_print(capsys: pytest.CaptureFixture[str]) -> None:
    assert document.main(["--check"]) == 0, capsys.readouterr().err
