"""TensorRT as a stand-in, beside a made-up GPU, for what needs neither."""

from __future__ import annotations

import dataclasses
import sys
import types
from pathlib import Path
from typing import Any

import pytest

native = pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")

from adasgn_edge import engine as engines  # noqa: E402
from adasgn_edge.installation.build_info import Part, read_build  # noqa: E402
from adasgn_edge.installation.cuda_driver import Driver, Gpu  # noqa: E402
from adasgn_edge.tensorrt import engine as trt_engines  # noqa: E402
from adasgn_edge.tensorrt import plugin  # noqa: E402
from tests.tensorrt import fake_tensorrt  # noqa: E402


class Machine:
    """What this package finds on the made-up machine; tests change it."""

    def __init__(self, library: Path) -> None:
        self.trt, self.state = fake_tensorrt, fake_tensorrt.state
        self.library = library
        self.part = Part(True, "10.3.0")
        self.driver = Driver("12.6", (Gpu("Orin", (8, 7)),))
        self.staging: Any = fake_tensorrt.FakeStaging
        self.multiprocessors = 16

    @property
    def names(self) -> list[str]:
        """What was asked of TensorRT, in order."""
        return [call[0] for call in self.state.calls]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    library = tmp_path / "libadasgn_tensorrt.so"
    library.write_bytes(b"the plugin")
    monkeypatch.setattr(fake_tensorrt, "state", fake_tensorrt.State())
    monkeypatch.setattr(fake_tensorrt, "__version__", "10.3.0")
    made = Machine(library)
    monkeypatch.setitem(sys.modules, "tensorrt", fake_tensorrt)
    monkeypatch.setattr(plugin, "LIBRARY", library)
    monkeypatch.setattr(plugin, "_loaded", set())
    monkeypatch.setattr(trt_engines, "read_build", lambda: dataclasses.replace(read_build(), tensorrt=made.part))
    monkeypatch.setattr(trt_engines, "query_driver", lambda: made.driver)
    monkeypatch.setattr(trt_engines, "expect_memory", lambda workspace: None)
    monkeypatch.setenv("ADASGN_CACHE", str(tmp_path / "cache"))

    class WithStaging(types.ModuleType):
        """The native module, as it is where CUDA is built in."""

        def __getattr__(self, name: str) -> Any:
            if name == "Staging":
                if made.staging is None:
                    raise AttributeError(name)
                return made.staging
            if name == "cuda_devices":
                return lambda: [("Orin", 87, made.multiprocessors)]
            return getattr(native, name)

    monkeypatch.setattr(engines, "_native", lambda: WithStaging("adasgn_edge._native"))
    return made
