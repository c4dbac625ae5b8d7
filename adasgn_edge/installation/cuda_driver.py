"""Which GPUs the NVIDIA driver shows: asked through its own library, so that neither torch nor a toolkit is needed."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

__all__ = ["Driver", "Gpu", "query_driver"]

LIBRARY = "libcuda.so.1"
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…


@dataclass(frozen=True)
class Gpu:
    """capability: (8, 7) for compute capability 8.7."""

    name: str
    capability: tuple[int, int]


@dataclass(frozen=True)
class Driver:
    """cuda: the newest CUDA that the driver serves, "13.0", or empty; problem: why no GPU can be used, or empty."""

    cuda: str = ""
    gpus: tuple[Gpu, ...] = ()
    problem: str = ""


def query_driver(library: str = LIBRARY) -> Driver:
    """What the driver says of itself and its GPUs."""
    try:
        cuda = ctypes.CDLL(library)
    except OSError:
        return Driver(problem=f"no NVIDIA driver: {library} is not installed")
    number = ctypes.c_int()
    version = ""
    if cuda.cuDriverGetVersion(ctypes.byref(number)) == 0:
        version = f"{number.value // 1000}.{number.value % 1000 // 10}"
    if (code := cuda.cuInit(0)) != 0:
        return Driver(version, problem=f"the NVIDIA driver shows no GPU ({_error_name(cuda, code)})")
    if (code := cuda.cuDeviceGetCount(ctypes.byref(number))) != 0:
        return Driver(version, problem=f"the NVIDIA driver does not count its GPUs ({_error_name(cuda, code)})")
    gpus = tuple(_gpu(cuda, index) for index in range(number.value))
    return Driver(version, gpus, "" if gpus else "the NVIDIA driver shows no GPU")


def _gpu(cuda: ctypes.CDLL, index: int) -> Gpu:
    device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
    major, minor = ctypes.c_int(), ctypes.c_int()
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), _CAPABILITY_MINOR, device)
    return Gpu(name.value.decode(errors="replace"), (major.value, minor.value))


def _error_name(cuda: ctypes.CDLL, code: int) -> str:
    text = ctypes.c_char_p()
    if cuda.cuGetErrorName(code, ctypes.byref(text)) != 0 or text.value is None:
        return f"error {code}"
    return text.value.decode()
