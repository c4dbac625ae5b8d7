"""Loading the compiled ops, after making sure that they fit the torch that is here."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from adasgn_edge.errors import EngineError, MissingDependencyError
from adasgn_edge.installation.build_info import REBUILD, read_build, same_torch

__all__ = ["load_library"]


def load_library() -> None:
    """Make ``torch.ops.adasgn_edge`` known, once for all.

    Raises MissingDependencyError without torch; EngineError where the ops were not built, or against another torch:
    loading them then would end in undefined symbols, or worse, in none.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingDependencyError(
            "torch ops: expected torch, found none; pip install 'adasgn-edge[train]'"
        ) from None
    build = read_build().torch
    if not build.built:
        raise EngineError(f"torch ops: expected them to be built, found that {build.reason}; {build.remedy}")
    if not same_torch(build.version, torch.__version__):
        raise EngineError(
            f"torch ops: expected torch {build.version}, against which they were built, found torch "
            f"{torch.__version__}; {REBUILD} (in a source tree `.` in place of adasgn-edge)"
        )
    path = Path(__file__).parents[1] / f"_torch_ops{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not path.is_file():
        raise EngineError(f"torch ops: expected the library {path}, found none; {REBUILD}")
    try:
        torch.ops.load_library(path)
    except OSError as error:
        raise EngineError(f"torch ops: expected a library that loads, found {error}; {REBUILD}") from None
