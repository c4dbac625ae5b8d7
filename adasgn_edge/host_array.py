"""Arrays of the host as engines take them: whatever callers give becomes packed float32 or int32, or a ClipError."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adasgn_edge.errors import ClipError
from adasgn_edge.wording import shown

__all__ = ["actions", "as_numbers", "detached", "packed_floats"]

Array = NDArray[Any]


def as_numbers(what: str, values: Any) -> Array:
    """Real numbers as an array, of their own type and strides; torch tensors of the CPU, with or without gradient, too.

    Raises ClipError for anything else: other types, ragged lists, masked values, tensors of another device.
    """
    masked = sys.modules.get("numpy.ma")  # imported by whoever makes masked arrays; see _is_tensor
    if masked is not None and masked.isMaskedArray(values) and masked.is_masked(values):
        raise ClipError(
            f"{what}: expected a value everywhere, found {masked.count_masked(values)} of {values.size} masked; "
            "fill them (numpy.ma.filled) or leave those frames out"
        )
    try:
        array = np.asarray(_of_cpu(what, detached(values)))
    except ClipError:
        raise
    except Exception as error:  # of whatever library the values are
        raise ClipError(
            f"{what}: expected an array of numbers, found {type(values).__name__} ({shown(str(error), 200)})"
        ) from None
    if array.dtype.kind not in "fiu":
        raise ClipError(
            f"{what}: expected real numbers, found {shown(array.dtype.name, 60)} in {type(values).__name__}"
        )
    return array


def packed_floats(what: str, array: Array) -> NDArray[np.float32]:
    """Numbers as C-contiguous float32; those that it cannot hold become infinite, which engines refuse."""
    try:
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(array, dtype=np.float32)
    except MemoryError:
        raise ClipError(f"{what}: expected an array that fits the memory, found shape {array.shape}") from None


def actions(values: Any, shape: tuple[int, ...], branches: int) -> NDArray[np.int32]:
    """Branch numbers 0 to `branches` - 1 of this shape as C-contiguous int32, else ClipError."""
    array = as_numbers("actions", values)
    if array.dtype.kind not in "iu":
        raise ClipError(f"actions: expected whole numbers, found {array.dtype}")
    if array.shape != shape:
        raise ClipError(f"actions: expected shape {shape}, found {array.shape}")
    wrong = (array < 0) | (array >= branches)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ClipError(
            f"actions: expected branch numbers 0 to {branches - 1}, found {array[where]} at position {where}"
        )
    return np.ascontiguousarray(array, dtype=np.int32)


def detached(values: Any) -> Any:
    """A torch tensor without its gradient, which no result would carry on: results are NumPy arrays."""
    return values.detach() if _is_tensor(values) else values


def _is_tensor(values: Any) -> bool:
    # Who has made no tensor need not have torch. Nothing is imported within a call: a fork in another thread meanwhile
    # would leave the child with the module's lock held for ever.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)


def _of_cpu(what: str, values: Any) -> Any:
    """A torch tensor as one that NumPy can read."""
    if not _is_tensor(values):
        return values
    torch = sys.modules["torch"]
    if values.device.type != "cpu":
        raise ClipError(f"{what}: expected a tensor on the CPU, found one on {values.device}; move it with .cpu()")
    if values.is_floating_point() and values.dtype not in (torch.float16, torch.float32, torch.float64):
        values = values.float()  # bfloat16 and smaller, which NumPy does not have
    return values.resolve_neg()
