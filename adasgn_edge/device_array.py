"""Arrays that lie on a GPU, of whatever library: by DLPack, else by ``__cuda_array_interface__`` (versions 2 and 3).

Work on a GPU is done later than it is asked for, so an array may be one that is still to be written. By DLPack, its
library is told the engine's stream and makes that wait. The interface may name the stream that writes the array, for
which the engine's then waits; where it names none (torch's has no place for one), this waits for the whole device.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from adasgn_edge.errors import AdaSGNError, ClipError
from adasgn_edge.wording import shown

__all__ = ["DeviceArray", "on_device"]

_FLOAT32 = ("<f4", "=f4", "f4")
_DLPACK_CUDA, _DLPACK_MANAGED = 2, 13  # types of a device; pinned memory (3) is the host's
_DLPACK_FLOAT32 = (2, 32, 1)  # an element's type, bits and lanes


class DeviceArray(NamedTuple):
    """Packed float32 at an address of a GPU, good to be read on the engine's stream as long as `keep` lives."""

    address: int
    shape: tuple[int, ...]
    keep: Any


def on_device(array: Any, native: Any, device: int) -> DeviceArray | None:
    """An array on a GPU for a native engine on the one of that number; None for an array that does not say it is there.

    Raises ClipError unless it is float32 without gaps on that GPU: nothing is converted or moved.
    """
    try:
        if hasattr(array, "__dlpack_device__") and hasattr(array, "__dlpack__"):
            kind, number = (int(part) for part in array.__dlpack_device__())
            if kind not in (_DLPACK_CUDA, _DLPACK_MANAGED):
                return None
            if kind == _DLPACK_CUDA and number != device:
                raise ClipError(f"clips: expected an array on cuda:{device}, found one on cuda:{number}")
            return _from_dlpack(native.take_dlpack(array), (kind, number))
        if (facts := getattr(array, "__cuda_array_interface__", None)) is not None:
            return _from_interface(array, facts, native)
    except AdaSGNError:
        raise
    except Exception as error:  # of whatever library the array is
        found = f"{type(array).__name__}, which does not say so ({shown(str(error), 200)})"
        raise ClipError(f"clips: expected an array that says where it lies, found {found}") from None
    return None


def _from_dlpack(tensor: Any, place: tuple[int, int]) -> DeviceArray:
    if tensor.device != place:
        raise ClipError(f"clips: expected a tensor on DLPack device {place}, as its array says, found {tensor.device}")
    if tensor.type != _DLPACK_FLOAT32:
        code, bits, lanes = tensor.type
        vectors = f", {lanes} lanes" if lanes != 1 else ""
        raise ClipError(f"clips: expected float32 on a GPU, found DLPack type {code} of {bits} bits{vectors}")
    _expect_packed(tensor.shape, tensor.strides)
    return DeviceArray(tensor.address, tensor.shape, tensor)


def _from_interface(array: Any, facts: dict[str, Any], native: Any) -> DeviceArray:
    shape = tuple(int(extent) for extent in facts["shape"])
    if facts["typestr"] not in _FLOAT32:
        raise ClipError(f"clips: expected float32 on a GPU, found {facts['typestr']}")
    if facts.get("mask") is not None:
        raise ClipError("clips: expected an array without mask on a GPU, found one with")
    strides = facts.get("strides")
    _expect_packed(shape, None if strides is None else tuple(int(stride) // 4 for stride in strides))
    stream = facts.get("stream")  # 1 and 2 stand for CUDA's two default streams and are their handles
    if stream == 0:
        raise ClipError("clips: expected a stream that is not 0, which __cuda_array_interface__ forbids as ambiguous")
    native.wait_for(stream)
    return DeviceArray(int(facts["data"][0] or 0), shape, array)


def _expect_packed(shape: tuple[int, ...], strides: tuple[int, ...] | None) -> None:
    """Strides count elements; an axis of one element may have any."""
    size = 1
    for axis in reversed(range(len(shape))):
        if strides is not None and shape[axis] > 1 and strides[axis] != size and 0 not in shape:
            raise ClipError(
                f"clips: expected a C-contiguous array on a GPU, found strides {strides} (elements) for shape {shape}"
            )
        size *= shape[axis]
