"""The latency model: its constants are the kernels', its counts those of small cases by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adasgn_edge.model.config import Branch, ModelConfig
from bench import predict
from bench.predict import BOARDS, HIGH, LOW, SHREC, SHREC_MIX, Work, branch_tile, half_product, product, stages_of

ROOT = Path(__file__).resolve().parents[2]


def constant(file: str, name: str) -> int:
    match = re.search(rf"\b{name} = (\d+);", (ROOT / file).read_text())
    assert match, f"{name} is gone from {file}"
    return int(match[1])


def test_constants_are_the_kernels() -> None:
    assert constant("kernels/launch.h", "kBlock") == predict.BLOCK
    assert constant("kernels/launch.h", "kWarps") == predict.WARPS
    assert constant("kernels/launch.h", "kPolicyFrames") == predict.POLICY_FRAMES
    engine = "csrc/adasgn/cuda/device_engine.cpp"
    assert constant(engine, "kFramesPerMultiprocessor") == predict.FRAMES_PER_MULTIPROCESSOR


def test_tiles_are_the_kernels() -> None:
    tile = (ROOT / "kernels/tile.h").read_text()
    rows = {name: 16 * int(tiles) for name, tiles in re.findall(r"using (\w+) = Tile<Binary\d+, (\d+), \d+>", tile)}
    assert rows == {"ExactTile16": 16, "ExactTile32": 32, "Tile16": 16, "Tile32": 32, "Tile64": 64, "Tile128": 128}


def test_barriers_of_a_branch_are_those_of_the_source() -> None:
    source = (ROOT / "kernels/branch.h").read_text()
    in_layer = 1  # passed twice by a big branch of several joints
    assert source.count("block_barrier();") + in_layer == branch_tile(Branch(22, "big"), 128, 5, 22, False).barriers


def test_products_by_hand() -> None:
    whole = product(128, 64, 256, 8, False)
    assert (whole.tensor, whole.ordinary) == (128 * 64 * 256, 0)
    assert whole.cache_bytes == 64 * 256 * 2
    assert whole.steps == 4 * 2
    half = half_product(32, True)
    assert (half.tensor, half.ordinary) == (0, 32 * 64 * 64)
    assert half.cache_bytes == 2 * 64 * 64 * 4
    assert half_product(16, True).ordinary == 32 * 64 * 64  # the empty half is multiplied as well


def test_one_joint_tile_by_hand() -> None:
    work = branch_tile(Branch(1, "small"), 32, 20, 22, True)
    assert work.ordinary == 2 * 32 * 64 * 64 + 32 * 64 * 256
    weights = 4 * (2 * 2 * 64 * 64 + 64 * 256)
    assert weights < work.cache_bytes < 1.2 * weights
    assert work.barriers == 3


def test_launches_follow_the_engine() -> None:
    def names(board: str, batch: int, config: ModelConfig = SHREC) -> list[str]:
        return [stage.name for stage in stages_of(config, BOARDS[board], batch, False, SHREC_MIX)[0]]

    head = ["across_frames", "widen_and_pool", "classify_samples"]
    assert names("agx-orin", 1) == ["frame_blocks", *head]  # 20 frames, 16 multiprocessors
    assert names("orin-nano", 1) == ["branch_tiles, policy", "route_frames", "branch_tiles", *head]
    assert names("orin-nano", 64, ModelConfig.dense(22, 14)) == ["branch_tiles", *head]


def test_every_frame_is_in_one_tile() -> None:
    tiles = predict.tiles_of(Branch(11, "small"), 25, 128, 22, False)
    assert len(tiles) == 3  # of 11, 11 and 3 frames


def test_low_is_below_high_and_more_takes_longer() -> None:
    for board in ("orin-nano", "agx-orin"):
        for exact in (False, True):
            one = predict.predict(SHREC, BOARDS[board], 1, exact, SHREC_MIX)
            many = predict.predict(SHREC, BOARDS[board], 64, exact, SHREC_MIX)
            assert 0 < one.device[0] < one.device[1]
            assert one.device[0] < many.device[0] < 64 * one.device[0]
            assert one.end_to_end[0] > one.device[0]


def test_clocks_by_hand() -> None:
    work = Work(tensor=10240, cache_bytes=6400, instructions=400, barriers=2, steps=1)
    assert work.clocks(LOW) == 100  # cache and instructions; all at once
    assert work.clocks(HIGH) == pytest.approx(10240 / 512 + 6400 / 24 + 400 / 2.5 + 2 * 100 + 90)


@pytest.mark.parametrize("arguments", [["--batch", "0"], ["--board", "agx-orin", "--mix", "1/2"]])
def test_bad_options_say_what_was_expected(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="expected"):
        predict.main(arguments)


def test_prints_a_board(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict.main(["--board", "agx-orin", "--batch", "1"]) == 0
    printed = capsys.readouterr().out
    assert "| frame_blocks | 20.0 |" in printed
    assert re.search(r"device: \d+ … \d+ µs", printed)
