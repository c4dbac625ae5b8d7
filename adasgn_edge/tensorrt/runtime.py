"""NVIDIA's package ``tensorrt``: the only import of it, which versions will do, and what is said where it is missing.

It belongs to the system (on a Jetson to JetPack) and is never a dependency of this package. Python alone is needed to
say what is missing.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adasgn_edge.errors import TensorRTError
from adasgn_edge.wording import shortened, shown

__all__ = [
    "MAJORS",
    "Missing",
    "Version",
    "expect_supported",
    "explain",
    "find_tensorrt",
    "is_jetson",
    "look_for_tensorrt",
    "make",
    "make_logger",
    "make_monitor",
    "shared_logger",
    "unfit",
]  # fmt: skip

MAJORS = (10, 11)
"""Of TensorRT, those that this package knows."""
LOG_LINES = 5
"""Of TensorRT's warnings and errors, as many as an error of ours repeats."""
ORIN = (8, 7)

_SYSTEM = "sudo apt install python3-libnvinfer libnvinfer-dev"
_DLA = "sudo apt install nvidia-l4t-dla-compiler"


@dataclass(frozen=True, order=True)
class Version:
    """Of TensorRT: (10, 3, 0) or, with a build number, (10, 16, 1, 11)."""

    numbers: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Version:
        """Of ``tensorrt.__version__`` (10.3.0, 11.4.0.106) or a Debian package (1:10.3.0.30-1+cuda12.5)."""
        found = re.match(r"\s*(?:\d+:)?(\d{1,4}(?:\.\d{1,6}){1,3})(?!\.?\d)", text)
        if found is None:
            raise TensorRTError(f"TensorRT: expected a version such as 10.3.0, found {shown(text)}")
        return cls(tuple(map(int, found[1].split("."))))

    @classmethod
    def from_number(cls, number: int) -> Version:
        """Of ``getInferLibVersion()``: 100300 is 10.3.0; before 10 one digit less, 8601 is 8.6.1."""
        thousand = 10_000 if number >= 100_000 else 1000
        return cls((number // thousand, number % thousand // 100, number % 100))

    @property
    def major(self) -> int:
        return self.numbers[0]

    def __str__(self) -> str:
        return ".".join(map(str, self.numbers))


@dataclass(frozen=True)
class Missing:
    """Why ``tensorrt`` cannot be had, and the command or step that brings it."""

    reason: str
    remedy: str


def look_for_tensorrt(root: Path = Path("/")) -> Any | Missing:
    """The module ``tensorrt``, or why it cannot be had. root: of the file system, below which the system's packages
    are looked for."""
    try:
        return importlib.import_module("tensorrt")
    except Exception as error:  # of a damaged installation anything
        return explain(error, root)


def find_tensorrt(root: Path = Path("/")) -> Any:
    """The module ``tensorrt``; TensorRTError, with what brings it, where it is missing, does not load or is another."""
    module = look_for_tensorrt(root)
    if isinstance(module, Missing):
        raise TensorRTError(f"TensorRT: {module.reason}; {module.remedy}")
    expect_supported(module)
    return module


def expect_supported(module: Any) -> Version:
    """The version of a module ``tensorrt``; TensorRTError for a major that this package does not know."""
    version = Version.parse(str(getattr(module, "__version__", "")))
    if version.major not in MAJORS:
        known = " or ".join(map(str, MAJORS))
        raise TensorRTError(f"TensorRT: expected version {known}, found {version}; install one of those")
    return version


def unfit(version: Version, capability: tuple[int, int]) -> str | None:
    """Why a TensorRT is known to have no code for a GPU; None where that is not known."""
    if capability == ORIN and version.numbers[:2] == (10, 13):
        return f"TensorRT {version} has no code for GPUs of compute capability 8.7 (Orin); JetPack 7.2's 10.16 has"
    if capability == ORIN and (11,) <= version.numbers < (11, 4, 1):
        return f"TensorRT {version} supports no JetPack; 10.16 of JetPack 7.2 does, as does 11.4.1"
    return None


# -- what is missing --------------------------------------------------------------------------------------------------


def explain(error: BaseException, root: Path = Path("/")) -> Missing:
    """What to make of an error of ``import tensorrt``."""
    text = str(error)
    if "libnvdla_compiler" in text:
        return Missing("it is installed but does not load, as libnvdla_compiler.so is missing", _DLA)
    if library := re.search(r"lib(nvinfer|nvonnxparser)\w*\.so\.(\d+)", text):
        reason = f"the module is installed but does not load, as {library[0]} is missing"
        if is_jetson(root):
            return Missing(reason, f"sudo apt install libnvinfer{library[2]} libnvonnxparsers{library[2]}")
        return Missing(reason, f"install the libraries of TensorRT {library[2]} beside it, all of one version")
    if not (isinstance(error, ModuleNotFoundError) and error.name == "tensorrt"):
        return Missing(f"the module does not load ({shown(text, 200)})", _for_machine(root))
    if system := _of_the_system(root):
        return system
    return Missing("no module tensorrt in this Python", _for_machine(root))


def is_jetson(root: Path = Path("/")) -> bool:
    """Whether this is a Jetson board, where TensorRT comes with JetPack and never by pip."""
    try:
        tree = (root / "proc/device-tree/compatible").read_bytes()
    except OSError:
        tree = b""
    return b"nvidia,tegra" in tree or (root / "etc/nv_tegra_release").exists()


def _of_the_system(root: Path) -> Missing | None:
    """Installed, but for the system's Python, as the environment of this one does not see."""
    for init in sorted((root / "usr/lib").glob("python3*/dist-packages/tensorrt/__init__.py")):
        folder = init.parents[1]
        number = folder.parent.name.removeprefix("python")
        python = f"/usr/bin/python{number}"
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        other = f" (this is Python {here})" if "." in number and number != here else ""
        remedy = f"{python} -m venv --system-site-packages ENVIRONMENT, and install adasgn-edge there"
        place = f"/{folder.relative_to(root)}"
        return Missing(f"it is installed in {place}, which this environment does not see{other}", remedy)
    return None


def _for_machine(root: Path) -> str:
    if is_jetson(root):
        return f"{_SYSTEM} (it comes with JetPack; pip has none for a Jetson)"
    return f"{_SYSTEM} from NVIDIA's repository, then an environment with --system-site-packages"


# -- classes that are derived from its own ----------------------------------------------------------------------------


def shared_logger(trt: Any) -> Any:
    """The logger of this process, whose `last` holds TensorRT's latest warnings and errors; emptied by this call.

    There is one, and it stays: TensorRT keeps the first that it is given for all that has none of its own, plugins
    among them, and does not keep it alive.
    """
    if id(trt) not in _loggers:
        _loggers[id(trt)] = (trt, make_logger(trt))
    logger = _loggers[id(trt)][1]
    logger.last.clear()
    return logger


_loggers: dict[int, tuple[Any, Any]] = {}


def make_logger(trt: Any) -> Any:
    """A logger for TensorRT; :func:`shared_logger` is the one to use."""

    class Logger(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.last: deque[str] = deque(maxlen=LOG_LINES)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR, trt.ILogger.WARNING):
                self.last.append(" ".join(str(message).split()))

    return Logger()


def make(what: str, kind: Callable[[Any], Any], logger: Any) -> Any:
    """A builder or runtime; TensorRTError, with TensorRT's last lines, where it gives none, as without a GPU."""
    try:
        return kind(logger)
    except TypeError as error:  # of a null pointer
        said = "; ".join(logger.last) or str(error)
        raise TensorRTError(f"TensorRT: making a {what} failed; it said: {shortened(said, 400)}") from None


def make_monitor(trt: Any, step: Callable[[str, int, int], None], wanted: Callable[[], bool]) -> Any:
    """A progress monitor for TensorRT's builder. step: is given a phase's name, the steps done and how many there are;
    wanted: says whether the builder shall go on."""

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps
            step(phase_name, 0, num_steps)

        def step_complete(self, phase_name: str, done: int) -> bool:
            # `done` counts from 0. TensorRT calls this from threads of its own, where an exception has no way out.
            step(phase_name, done + 1, self._steps.get(phase_name, done + 1))
            return wanted()

        def phase_finish(self, phase_name: str) -> None:
            steps = self._steps.pop(phase_name, 0)
            step(phase_name, steps, steps)

    return Monitor()
