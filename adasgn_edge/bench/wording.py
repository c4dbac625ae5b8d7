"""A report's parts in words, for terminal and page alike."""

from __future__ import annotations

from typing import Any

__all__ = ["board_lines", "group_title", "interval", "ms", "number"]


def board_lines(board: dict[str, Any]) -> list[str]:
    """What is known of a board, for people; of what is not known why."""
    start, end = board["start"], board.get("end", board["start"])
    lines = []
    if start["model"]:
        lines.append(f"board: {start['model']}" + (f", L4T {start['l4t']}" if start["l4t"] else ""))
    if start["power_mode"]:
        name = start["power_mode"]["name"]
        lines.append(f"power mode {start['power_mode']['id']}" + (f" ({name})" if name else ""))
    clocks = []
    if start["cpu"]:
        clocks.append("CPU " + ", ".join(f"{core['mhz']:.0f}" for core in start["cpu"]))
    clocks += [f"{gpu['device']} {gpu['mhz']:.0f}" for gpu in start["gpu"]]
    if start["emc"]:
        clocks.append(f"EMC {start['emc']['mhz']:.0f}")
    if clocks:
        lines.append(f"clocks at the start, MHz: {'; '.join(clocks)}")
    if end["temperatures"]:
        pairs = [f"{zone} {start['temperatures'].get(zone, degrees):.0f} → {degrees:.0f}"
                 for zone, degrees in end["temperatures"].items()]  # fmt: skip
        lines.append(f"temperatures, °C: {', '.join(pairs)}")
    if start["rails"]:
        rails = [f"{label} {'?' if watts is None else f'{watts:.2f}'}" for label, watts in start["rails"].items()]
        lines.append(f"power at the start, W: {', '.join(rails)}")
    if not lines:
        return [f"not known of this machine: {', '.join(start['missing'])} (why: --json)"] if start["missing"] else []
    return lines + [f"{what}: not known ({why})" for what, why in start["missing"].items()]


def group_title(name: str, group: dict[str, Any]) -> str:
    """For people."""
    threads = f"{group['threads']} thread{'s' * (group['threads'] > 1)}"
    if group["unit"] == "step":
        return f"a step of a stream, {threads}"
    return f"{group['batch']} clip{'s' * (group['batch'] > 1)} at a time, {threads}"


def ms(seconds: float | None) -> str:
    """Milliseconds of three digits or so."""
    if seconds is None:
        return "–"
    value = 1e3 * seconds
    return f"{value:.4f}" if value < 0.1 else f"{value:.3f}" if value < 10 else f"{value:.1f}"


def number(value: float | None, form: str) -> str:
    """A number that may be missing."""
    return "–" if value is None else format(value, form)


def interval(row: dict[str, Any]) -> str:
    """As 0.094 (0.091–0.097)."""
    return f"{row['ratio']:.3f} ({row['low']:.3f}–{row['high']:.3f})"
