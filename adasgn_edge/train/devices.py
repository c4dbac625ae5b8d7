"""Where training runs: the device of a name, the dtype of its products, what it is called, its random numbers."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

import torch

from adasgn_edge.errors import RecipeError
from adasgn_edge.wording import shown

__all__ = [
    "autocast_dtype", "choose_device", "dtype_name", "hardware", "products_in", "seeded_generator", "seeded_number",
]  # fmt: skip


MOST_THREADS = 4096


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The dtype of products in training, None for float32; "auto" takes bfloat16 where hardware multiplies it."""
    if precision == "float32":
        return None
    if precision == "bfloat16":
        return torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else None
    capabilities = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return torch.bfloat16 if capabilities is not None and capabilities() else None


def products_in(dtype: torch.dtype | None, device: torch.device) -> torch.autocast:
    """A context in which matrix products are made in a dtype of :func:`autocast_dtype`."""
    return torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None)


def dtype_name(dtype: torch.dtype | None) -> str:
    """What weights say of the dtype of :func:`autocast_dtype` in which they were trained."""
    return str(dtype or torch.float32).removeprefix("torch.")


def choose_device(name: str = "auto", threads: int | None = None) -> torch.device:
    """The device of a name: "auto" is the first GPU where there is one; `threads` bounds the CPU's."""
    if threads is not None:
        if not 1 <= threads <= MOST_THREADS:
            raise RecipeError(f"threads: expected 1 to {MOST_THREADS}, found {threads}")
        torch.set_num_threads(threads)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise RecipeError(f"expected a device auto, cpu, cuda or cuda:N, found {shown(name)}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise RecipeError(f"device {name!r} was asked for, but this torch ({torch.__version__}) finds no GPU")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RecipeError(f"device {name!r}: expected one below cuda:{torch.cuda.device_count()}")
    return device


def hardware(device: torch.device) -> str:
    """The processor that trains, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        name = models[0] if models else name
    return f"{name}, {torch.get_num_threads()} threads"


def seeded_number(*words: object) -> int:
    """A seed of 56 bits that follows from the words alone, e.g. (seed, stage, epoch)."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:7], "little")


def seeded_generator(device: torch.device, *words: object) -> torch.Generator:
    """The random numbers of :func:`seeded_number`'s words."""
    return torch.Generator(device).manual_seed(seeded_number(*words))
