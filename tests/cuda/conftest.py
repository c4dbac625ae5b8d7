"""The Python class of the CUDA engine on the emulated device, as `make test-kernels` builds it."""

from __future__ import annotations

import importlib.util
import os
from types import ModuleType

import pytest

import adasgn_edge.engine
import adasgn_edge.recogniser
from tests.engine.conftest import pair, pairs, shrec

__all__ = ["pair", "pairs", "shrec"]

MODULE = os.environ.get("ADASGN_EMULATED_MODULE", "")


def load_emulated() -> ModuleType:
    """The compiled module of the emulated device."""
    spec = importlib.util.spec_from_file_location("_native_emulated", MODULE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`adasgn_edge.load(…, device="cuda")` then loads an engine on the emulated device, and Recogniser runs there."""
    if not MODULE:
        pytest.skip("run by `make test-kernels`, which builds the emulated device")
    module = load_emulated()
    monkeypatch.setattr(adasgn_edge.engine, "_native", lambda: module)
    monkeypatch.setattr(adasgn_edge.recogniser, "native_module", lambda: module)
    return module
