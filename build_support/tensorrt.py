"""TensorRT's headers, against which the plugin is built: nothing of its libraries is needed, and no GPU."""

from __future__ import annotations

import platform
import re
import shlex
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from build_support.cuda import Toolkit
from build_support.parts import Absent, settle, switch

__all__ = ["TensorRTHeaders", "find_tensorrt"]

VARIABLE = "ADASGN_BUILD_TENSORRT"
OLDEST = 10
"""The first major version that has IPluginV3. cmake/adasgn_tensorrt.cmake has this and the folders, too."""

_INSTALL = (
    "install TensorRT's headers (`sudo apt install libnvinfer-dev`), or name their folder with TENSORRT_INCLUDE, and "
    "install the package again"
)


@dataclass(frozen=True)
class TensorRTHeaders:
    """version: "10.3.0", as the headers have it."""

    version: str
    include: Path


def find_tensorrt(
    environment: Mapping[str, str], cuda: Toolkit | Absent, root: Path = Path("/")
) -> TensorRTHeaders | Absent:
    """The headers to build the plugin against, or why there are none; BuildError if it was asked for in vain.

    They are looked for in TENSORRT_INCLUDE, in `include` of TENSORRT_ROOT, and where Debian packages put them; a
    variable that is set decides alone.
    """
    if switch(VARIABLE, environment) == "off":
        return Absent(f"{VARIABLE}=off was set when it was built", f"install again without {VARIABLE}=off")
    if isinstance(cuda, Absent):  # whose kernels it runs
        return settle(VARIABLE, environment, cuda)
    if named := environment.get("TENSORRT_INCLUDE"):
        folders, where = [Path(named)], f"TENSORRT_INCLUDE={named}"
    elif named := environment.get("TENSORRT_ROOT"):
        folders, where = [Path(named) / "include"], f"TENSORRT_ROOT={named}"
    else:
        include = root / "usr/include"
        folders, where = [include / f"{platform.machine()}-linux-gnu", include], "this machine"
    found = next((folder for folder in folders if (folder / "NvInferRuntime.h").is_file()), None)
    if found is None:
        return settle(VARIABLE, environment, Absent(f"{where} had no NvInferRuntime.h when it was built", _INSTALL))
    version = _version(found, environment)
    if version is None:
        reason = f"the compiler found no version of TensorRT in {found / 'NvInferVersion.h'}"
        return settle(VARIABLE, environment, Absent(reason, _INSTALL))
    if int(version.split(".")[0]) < OLDEST:
        reason = f"TensorRT: expected version {OLDEST} or newer, found {version} ({found})"
        return settle(VARIABLE, environment, Absent(reason, _INSTALL))
    return TensorRTHeaders(version, found)


def _version(include: Path, environment: Mapping[str, str]) -> str | None:
    """As the compiler reads it: some headers define it by way of other names."""
    compiler = shlex.split(environment.get("CXX") or sysconfig.get_config_var("CXX") or "c++")[:1]
    try:
        said = subprocess.run(
            [*compiler, "-E", "-P", "-x", "c++", f"-I{include}", "-"],
            input="#include <NvInferVersion.h>\nadasgn NV_TENSORRT_MAJOR NV_TENSORRT_MINOR NV_TENSORRT_PATCH\n",
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    match = re.search(r"^adasgn (\d+) (\d+) (\d+)$", said, re.MULTILINE)
    return ".".join(match.groups()) if match else None
