"""Parts that a build may have or lack, and the variables that ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Absent", "BuildError", "settle", "switch"]


class BuildError(SystemExit):
    """Ends the build; the message says what was expected and what was found."""

    def __init__(self, message: str) -> None:
        super().__init__(f"adasgn_edge: {message}")


@dataclass(frozen=True)
class Absent:
    """Why a part is not built, and what brings it."""

    reason: str
    remedy: str


def switch(variable: str, environment: Mapping[str, str]) -> str:
    """ "auto", "on" or "off" as the environment says; BuildError for anything else."""
    value = environment.get(variable, "auto").lower()
    if value not in ("auto", "on", "off"):
        raise BuildError(f"{variable}: expected auto, on or off, found {value!r}")
    return value


def settle(variable: str, environment: Mapping[str, str], absent: Absent) -> Absent:
    """A part that cannot be built: accepted under "auto", BuildError under "on"."""
    if switch(variable, environment) == "on":
        raise BuildError(f"{variable}=on, but {absent.reason}; {absent.remedy}")
    return absent
