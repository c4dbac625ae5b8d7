"""The torch that the ops are built against: the one of the environment in which the build runs."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from build_support.parts import Absent, settle, switch

__all__ = ["TorchHeaders", "find_torch"]

VARIABLE = "ADASGN_BUILD_TORCH"
OLDEST = (2, 5)
INSTALL = (
    "install torch, pybind11, setuptools and wheel, then "
    "`pip install --no-build-isolation --no-deps --no-cache-dir --force-reinstall adasgn-edge`"
)


@dataclass(frozen=True)
class TorchHeaders:
    """version: as torch states it, "2.13.0+cpu"; cuda: of which CUDA it was made, or None; new_strings: its std::string
    is that of C++11 (wheels for x86 before 2.6 have the older one)."""

    version: str
    cuda: str | None
    new_strings: bool
    folder: Path

    @property
    def flags(self) -> list[str]:
        """Compiler options for files that include torch."""
        include = self.folder / "include"
        return [f"-isystem{include}", f"-isystem{include / 'torch/csrc/api/include'}"]

    @property
    def string_flags(self) -> list[str]:
        """Compiler options for every file that is linked with them."""
        return [] if self.new_strings else ["-D_GLIBCXX_USE_CXX11_ABI=0"]


def find_torch(environment: Mapping[str, str]) -> TorchHeaders | Absent:
    """The torch to build against, or why there is none; BuildError if it was asked for in vain."""
    if switch(VARIABLE, environment) == "off":
        return Absent(f"{VARIABLE}=off was set when it was built", f"install again without {VARIABLE}=off")
    found = _examine()
    return settle(VARIABLE, environment, found) if isinstance(found, Absent) else found


def _examine() -> TorchHeaders | Absent:
    if importlib.util.find_spec("torch") is None:
        return Absent("torch was not in the environment of the build (pip's build isolation hides it)", INSTALL)
    try:
        torch = importlib.import_module("torch")
    except Exception as error:  # a broken torch raises whatever its libraries raise
        return Absent(f"torch could not be imported when it was built ({error})", f"repair torch; then {INSTALL}")
    version = str(torch.__version__)
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        return Absent(f"torch {version} is older than {'.'.join(map(str, OLDEST))}", f"upgrade torch; then {INSTALL}")
    folder = Path(torch.__file__).parent
    if not (folder / "include/torch/library.h").is_file():
        return Absent(f"torch {version} comes without its C++ headers", f"{INSTALL}, with a torch that has them")
    return TorchHeaders(version, torch.version.cuda, bool(torch._C._GLIBCXX_USE_CXX11_ABI), folder)
