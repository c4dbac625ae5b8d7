"""What a board is set to and what it takes: power mode, clocks, temperatures, throttling, power.

Everything is read from files below a root (``/`` on the board itself), as Linux and NVIDIA's L4T have them; what is not
there, or may not be read, is said and never guessed.

=====================  ==========================================================================================
power mode             ``/var/lib/nvpmodel/status`` (``pmode:0002``), its name in ``/etc/nvpmodel.conf``
CPU clocks             ``/sys/devices/system/cpu/cpu*/cpufreq/``
GPU clock              ``/sys/class/devfreq/*`` whose name says gpu, ga10b (Orin) or gb10b (Thor)
EMC (memory) clock     ``/sys/kernel/debug/bpmp/debug/clk/emc/``, which root alone may read
temperatures           ``/sys/class/thermal/thermal_zone*/``
throttling             ``/sys/class/thermal/cooling_device*/cur_state``, ``oc*_event_cnt`` below ``/sys/class/hwmon/``,
                       of x86 ``/sys/devices/system/cpu/cpu*/thermal_throttle/*_throttle_count``
power                  INA3221 and INA238 below ``/sys/class/hwmon/``: millivolts times milliamperes of each rail
=====================  ==========================================================================================
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["Board", "PowerMeter", "Rail"]

GPU = re.compile(r"gpu|ga10b|gb10b", re.IGNORECASE)
MODE = re.compile(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+?)\s*>")
INPUTS = ("VDD_IN", "VIN")
"""Rails that all of a module's power comes in by: Orin NX and Nano; Thor."""
SAMPLES_A_SECOND = 50.0
POWER_CHIPS = ("ina3221", "ina238")


@dataclass(frozen=True)
class Rail:
    """A rail of a power monitor. label: as the board names it; power: a file of microwatts, or None; voltage, current:
    of millivolts and milliamperes."""

    label: str
    chip: str
    power: Path | None
    voltage: Path | None
    current: Path | None

    def watts(self) -> float | None:
        """Now; None where it cannot be read."""
        if self.power is not None:
            microwatts = _number(self.power)
            return None if microwatts is None else 1e-6 * microwatts
        assert self.voltage is not None
        assert self.current is not None
        volts, amperes = _number(self.voltage), _number(self.current)
        return None if volts is None or amperes is None else 1e-6 * volts * amperes


class Board:
    """The files below `root`."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root
        self.rails, self._rails_reason = self._find_rails()

    def facts(self) -> dict[str, Any]:
        """All of it now, as plain values: what cannot be had is None, or an empty list, and `missing` says why."""
        missing: dict[str, str] = {}
        model = _text(self.root / "proc/device-tree/model")
        found: dict[str, Any] = {
            "model": None if model is None else model.strip("\0\n "),
            "l4t": self._l4t(),
            "power_mode": self._power_mode(missing),
            "cpu": self._cpu_clocks(missing),
            "gpu": self._gpu_clock(missing),
            "emc": self._emc_clock(missing),
            "temperatures": self._temperatures(missing),
            "throttling": self.throttling(),
            "rails": {rail.label: rail.watts() for rail in self.rails},
        }
        if not self.rails:
            missing["power"] = self._rails_reason
        if not any(found["throttling"].values()):
            missing["throttling"] = "no cooling devices and no counters of throttling"
        return {**found, "missing": missing}

    def throttling(self) -> dict[str, dict[str, int]]:
        """cooling: state of every cooling device that has any but 0 now; events: counters since the board started."""
        cooling, events = {}, {}
        for device in sorted((self.root / "sys/class/thermal").glob("cooling_device*")):
            state, kind = _number(device / "cur_state"), (_text(device / "type") or device.name).strip()
            if state is not None:
                cooling[f"{kind} ({device.name})"] = int(state)
        for file in sorted((self.root / "sys/class/hwmon").glob("hwmon*/oc*_event_cnt")):
            count = _number(file)
            if count is not None:
                events[file.name.removesuffix("_event_cnt")] = int(count)
        for file in sorted((self.root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_throttle_count")):
            count = _number(file)
            if count is not None:
                events[f"{file.parts[-3]} {file.name.removesuffix('_throttle_count')}"] = int(count)
        return {"cooling": cooling, "events": events}

    # -- one by one ---------------------------------------------------------------------------------------------------

    def _l4t(self) -> str | None:
        """As "R36.4.3": release and revision of NVIDIA's system."""
        found = re.search(r"R(\d+).*?REVISION:\s*([\d.]+)", _text(self.root / "etc/nv_tegra_release") or "")
        return None if found is None else f"R{found[1]}.{found[2]}"

    def _power_mode(self, missing: dict[str, str]) -> dict[str, Any] | None:
        status = self.root / "var/lib/nvpmodel/status"
        found = re.search(r"pmode:\s*(\d+)", _text(status) or "")
        if found is None:
            missing["power mode"] = _why(status)
            return None
        number = int(found[1])
        modes = MODE.findall(_text(self.root / "etc/nvpmodel.conf") or "")
        names = {int(mode): name for mode, name in modes}
        return {"id": number, "name": names.get(number)}

    def _cpu_clocks(self, missing: dict[str, str]) -> list[dict[str, Any]]:
        """MHz of every core that is on: now, the most it is allowed, the most it can; its governor."""
        folder = self.root / "sys/devices/system/cpu"
        found = []
        for core in sorted(folder.glob("cpu[0-9]*/cpufreq"), key=lambda path: int(path.parent.name[3:])):
            now, allowed, most = (
                _number(core / name) for name in ("scaling_cur_freq", "scaling_max_freq", "cpuinfo_max_freq")
            )
            if now is not None:
                governor = _text(core / "scaling_governor")
                found.append(
                    {
                        "core": core.parent.name,
                        "mhz": now / 1e3,
                        "allowed_mhz": None if allowed is None else allowed / 1e3,
                        "most_mhz": None if most is None else most / 1e3,
                        "governor": None if governor is None else governor.strip(),
                    }
                )
        if not found:
            missing["CPU clocks"] = f"no {folder}/cpu*/cpufreq/scaling_cur_freq that can be read"
        return found

    def _gpu_clock(self, missing: dict[str, str]) -> list[dict[str, Any]]:
        folder = self.root / "sys/class/devfreq"
        found = []
        for device in sorted(folder.glob("*")):
            now = _number(device / "cur_freq")
            if GPU.search(device.name) and now is not None:
                allowed, governor = _number(device / "max_freq"), _text(device / "governor")
                found.append(
                    {
                        "device": device.name,
                        "mhz": now / 1e6,
                        "allowed_mhz": None if allowed is None else allowed / 1e6,
                        "governor": None if governor is None else governor.strip(),
                    }
                )
        if not found:
            missing["GPU clock"] = f"no GPU in {folder}"
        return found

    def _emc_clock(self, missing: dict[str, str]) -> dict[str, float | None] | None:
        folder = self.root / "sys/kernel/debug/bpmp/debug/clk/emc"
        now = _number(folder / "rate")
        if now is None:
            missing["EMC clock"] = _why(folder / "rate")
            return None
        most = _number(folder / "max_rate")
        return {"mhz": now / 1e6, "most_mhz": None if most is None else most / 1e6}

    def _temperatures(self, missing: dict[str, str]) -> dict[str, float]:
        """Degrees Celsius by zone."""
        folder = self.root / "sys/class/thermal"
        found = {}
        for zone in sorted(folder.glob("thermal_zone*"), key=lambda path: int(path.name[len("thermal_zone") :] or 0)):
            millidegrees = _number(zone / "temp")  # zones of parts that are off cannot be read
            if millidegrees is not None:
                found[(_text(zone / "type") or zone.name).strip()] = millidegrees / 1e3
        if not found:
            missing["temperature"] = f"no {folder}/thermal_zone*/temp that can be read"
        return found

    def _find_rails(self) -> tuple[tuple[Rail, ...], str]:
        """Rails of all power monitors, and why there is none."""
        folder = self.root / "sys/class/hwmon"
        rails, chips = [], []
        for monitor in sorted(folder.glob("hwmon*")):
            chip = (_text(monitor / "name") or "").strip()
            if chip not in POWER_CHIPS:
                continue
            chips.append(chip)
            if chip == "ina238":
                label = (_text(monitor / "power1_label") or _text(monitor / "in1_label") or "VIN").strip()
                if _number(monitor / "power1_input") is not None:
                    rails.append(Rail(label, chip, monitor / "power1_input", None, None))
                continue
            for current in sorted(monitor.glob("curr[0-9]_input")):
                channel = current.name[len("curr") : -len("_input")]
                voltage = monitor / f"in{channel}_input"
                label = (_text(monitor / f"in{channel}_label") or "").strip()
                if label and label != "NC" and _number(voltage) is not None and _number(current) is not None:
                    rails.append(Rail(label, chip, None, voltage, current))
        if rails:
            return tuple(rails), ""
        if chips:
            return (), f"{', '.join(chips)} in {folder}, but no rail of it can be read"
        return (), f"no INA3221 in {folder}"


class PowerMeter:
    """While it is entered, samples the rails of a board in a thread; then `watts` are the means.

    A mean is None of a rail that could not be read. samples: how many were taken.
    """

    def __init__(self, board: Board) -> None:
        self._rails = board.rails
        self._sums = {rail.label: 0.0 for rail in self._rails}
        self._counts = dict.fromkeys(self._sums, 0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="power", daemon=True)
        self.samples = 0

    def __enter__(self) -> PowerMeter:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def watts(self) -> dict[str, float | None]:
        """Mean of each rail."""
        return {label: self._sums[label] / self._counts[label] if self._counts[label] else None for label in self._sums}

    def total(self) -> tuple[float | None, str]:
        """Watts of the whole module and by which rails: its input where one is measured, else all rails together."""
        means = {label: watts for label, watts in self.watts.items() if watts is not None}
        for label in INPUTS:
            if label in means:
                return means[label], label
        if not means or len(means) < len(self._sums):
            return None, "not all rails can be read"
        return sum(means.values()), " + ".join(means)

    def _sample(self) -> None:
        following = time.monotonic()
        while not self._stop.is_set():
            for rail in self._rails:
                watts = rail.watts()
                if watts is not None:
                    self._sums[rail.label] += watts
                    self._counts[rail.label] += 1
            self.samples += 1
            following += 1 / SAMPLES_A_SECOND
            self._stop.wait(max(0.0, following - time.monotonic()))


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _number(path: Path) -> float | None:
    text = _text(path)
    try:
        return None if text is None else float(text.strip())
    except ValueError:
        return None


def _why(path: Path) -> str:
    """Why a file says nothing."""
    try:
        found = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        hint = ", which root may" if isinstance(error, PermissionError) else ""
        return f"{path}: {error.strerror}{hint}"
    return f"{path}: found {found.strip()[:60]!r}"
