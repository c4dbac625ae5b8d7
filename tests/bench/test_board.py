"""What is read of a board: fake Orin and Thor, and a machine that has none of it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from adasgn_edge.bench.board import Board, PowerMeter
from adasgn_edge.bench.wording import board_lines
from tests.bench.fake_boards import orin, thor, write


def test_an_orin(tmp_path: Path) -> None:
    found = Board(orin(tmp_path)).facts()
    assert found["model"] == "NVIDIA Jetson AGX Orin Developer Kit"
    assert found["l4t"] == "R36.4.3"
    assert found["power_mode"] == {"id": 2, "name": "MODE_30W"}
    assert [(core["core"], core["mhz"], core["allowed_mhz"], core["most_mhz"]) for core in found["cpu"]] == [
        ("cpu0", 1728, 1728, 2201.6),
        ("cpu1", 729.6, 1728, 2201.6),
    ]
    assert found["gpu"] == [
        {"device": "17000000.gpu", "mhz": 306, "allowed_mhz": 612, "governor": "nvhost_podgov"}
    ]  # and not the video engine
    assert found["emc"] == {"mhz": 3199, "most_mhz": 3199}
    assert found["temperatures"] == {"cpu-thermal": 51.25, "gpu-thermal": 47.5}
    assert found["throttling"] == {
        "cooling": {"pwm-fan (cooling_device0)": 1, "gpu-throttle-alert (cooling_device1)": 1},
        "events": {"oc1": 0, "oc3": 4},
    }
    assert found["rails"] == pytest.approx({"VDD_GPU_SOC": 3.0, "VDD_CPU_CV": 2.0, "VIN_SYS_5V0": 5.0})
    assert found["missing"] == {}
    assert "power mode 2 (MODE_30W)" in board_lines({"start": found})


def test_a_thor_says_what_it_does_not_have(tmp_path: Path) -> None:
    board = Board(thor(tmp_path))
    found = board.facts()
    assert found["l4t"] == "R38.2.0"
    assert found["gpu"][0]["device"] == "gpu-gpc-0"
    assert found["power_mode"] is None
    assert found["emc"] is None
    assert found["temperatures"] == {"tj-thermal": 38.0}  # the other zone cannot be read
    assert set(found["missing"]) == {"power mode", "EMC clock", "throttling"}
    assert "No such file" in found["missing"]["EMC clock"]
    lines = board_lines({"start": found})
    assert any(line.startswith("EMC clock: not known (") for line in lines)
    with PowerMeter(board) as meter:
        time.sleep(0.1)
    assert meter.samples >= 2
    assert meter.total() == (pytest.approx(40.0), "VIN")  # the module's input, not the sum
    assert meter.watts == pytest.approx({"VIN": 40.0, "VDD_GPU": 6.0, "VDD_CPU_SOC_MSS": 4.0})


def test_without_a_rail_at_the_input_all_are_added(tmp_path: Path) -> None:
    board = Board(orin(tmp_path))
    with PowerMeter(board) as meter:
        time.sleep(0.05)
    assert meter.total() == (pytest.approx(10.0), "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0")
    write(tmp_path, {"sys/class/hwmon/hwmon1/curr2_input": "?\n"})
    with PowerMeter(board) as meter:
        time.sleep(0.05)
    assert meter.watts["VDD_CPU_CV"] is None
    assert meter.total() == (None, "not all rails can be read")


def test_a_machine_without_any_of_it(tmp_path: Path) -> None:
    found = Board(tmp_path).facts()
    assert found["power_mode"] is found["emc"] is found["model"] is None
    assert found["cpu"] == found["gpu"] == []
    assert found["temperatures"] == found["rails"] == {}
    assert set(found["missing"]) == {
        "power mode", "CPU clocks", "GPU clock", "EMC clock", "temperature", "throttling", "power",
    }  # fmt: skip
    (line,) = board_lines({"start": found})
    assert line.startswith("not known of this machine: power mode")


def test_a_monitor_without_rails_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"sys/class/hwmon/hwmon0/name": "ina3221\n", "sys/class/hwmon/hwmon0/in1_label": "NC\n"})
    assert "no rail of it can be read" in Board(tmp_path).facts()["missing"]["power"]


def test_numbers_that_are_none_are_not_read(tmp_path: Path) -> None:
    write(tmp_path, {"sys/kernel/debug/bpmp/debug/clk/emc/rate": "busy\n", "var/lib/nvpmodel/status": "unknown"})
    missing = Board(tmp_path).facts()["missing"]
    assert missing["EMC clock"].endswith("found 'busy'")
    assert missing["power mode"].endswith("found 'unknown'")
