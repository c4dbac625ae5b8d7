"""Arrays that lie on a GPU, of whatever library: by ``__cuda_array_interface__`` (version 3) or by DLPack."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

from adasgn_edge.errors import ClipError
from adasgn_edge.wording import shown

__all__ = ["DeviceArray", "on_device"]

_FLOAT32 = ("<f4", "=f4", "f4")
_DLPACK_CUDA = 2  # a device's type
_DLPACK_FLOAT = 2  # an element's type
_DEFAULT_STREAM = 1  # the handle of CUDA's default stream, in both protocols


class DeviceArray(NamedTuple):
    """Packed float32 at an address of a GPU.

    stream: the handle of the stream that writes it, 0 if none need be waited for; keep: what must live as long.
    """

    address: int
    shape: tuple[int, ...]
    stream: int
    keep: Any


def on_device(array: Any, device: int) -> DeviceArray | None:
    """An array on a GPU as its address and shape, or None for one that does not say it is there.

    Raises ClipError unless it is float32 without gaps on the GPU of that number: nothing is converted or moved.
    """
    try:
        if (facts := getattr(array, "__cuda_array_interface__", None)) is not None:
            return _from_interface(array, facts)
        if hasattr(array, "__dlpack_device__") and hasattr(array, "__dlpack__"):
            kind, number = (int(part) for part in array.__dlpack_device__())
            if kind == _DLPACK_CUDA:
                if number != device:
                    raise ClipError(f"clips: expected an array on cuda:{device}, found one on cuda:{number}")
                return _from_capsule(array.__dlpack__(stream=_DEFAULT_STREAM))
    except ClipError:
        raise
    except Exception as error:  # of whatever library the array is
        found = f"{type(array).__name__}, which does not say so ({shown(str(error), 200)})"
        raise ClipError(f"clips: expected an array that says where it lies, found {found}") from None
    return None


def _from_interface(array: Any, facts: dict[str, Any]) -> DeviceArray:
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
    return DeviceArray(int(facts["data"][0] or 0), shape, int(stream or 0), array)


class _DLTensor(ctypes.Structure):
    """DLPack's DLTensor, version 0 and 1."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


def _from_capsule(capsule: Any) -> DeviceArray:
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    # Not renamed to "used_dltensor": the capsule, which is kept, still owns the tensor and lets it go at its end.
    tensor = _DLTensor.from_address(pointer_of(capsule, b"dltensor"))
    if (tensor.code, tensor.bits, tensor.lanes) != (_DLPACK_FLOAT, 32, 1):
        raise ClipError(f"clips: expected float32 on a GPU, found DLPack type {tensor.code} of {tensor.bits} bits")
    shape = tuple(tensor.shape[axis] for axis in range(tensor.ndim))
    _expect_packed(shape, tuple(tensor.strides[axis] for axis in range(tensor.ndim)) if tensor.strides else None)
    return DeviceArray((tensor.data or 0) + tensor.byte_offset, shape, _DEFAULT_STREAM, capsule)


def _expect_packed(shape: tuple[int, ...], strides: tuple[int, ...] | None) -> None:
    """Strides count elements; an axis of one element may have any."""
    size = 1
    for axis in reversed(range(len(shape))):
        if strides is not None and shape[axis] > 1 and strides[axis] != size and 0 not in shape:
            raise ClipError(
                f"clips: expected a C-contiguous array on a GPU, found strides {strides} (elements) for shape {shape}"
            )
        size *= shape[axis]
