"""The builder on a real one: TensorRT-RTX, whose interface is TensorRT's and which builds for GPUs that are not there.

It knows no Orin and takes no plugin's layer, so it builds dense graphs and runs none. `make test-tensorrt-rtx`.
"""

from __future__ import annotations

import _thread
import importlib
import os
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")
pytest.importorskip("torch")
pytest.importorskip("onnxscript")
if not os.environ.get("ADASGN_TENSORRT_RTX"):
    pytest.skip("TensorRT-RTX is a large download: make test-tensorrt-rtx brings it", allow_module_level=True)

from adasgn_edge.deploy.export import to_model_file
from adasgn_edge.deploy.onnx_graphs import write_onnx
from adasgn_edge.engine import load_content
from adasgn_edge.errors import TensorRTError
from adasgn_edge.model.weights import load_weights
from adasgn_edge.tensorrt.build import Profile, build_plan

WEIGHTS = Path(__file__).parents[2] / "bench" / "results" / "shrec14-joint" / "seed-1" / "sgn" / "model.safetensors"


class OfOtherGpus:
    """The module, whose builder is told for which GPU to build."""

    def __init__(self) -> None:
        self._trt = importlib.import_module("tensorrt_rtx")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trt, name)

    def Builder(self, logger: Any) -> Any:  # noqa: N802
        builder, trt = self._trt.Builder(logger), self._trt

        class Told:
            def __getattr__(self, name: str) -> Any:
                return getattr(builder, name)

            def create_builder_config(self) -> Any:
                config = builder.create_builder_config()
                config.num_compute_capabilities = 1
                assert config.set_compute_capability(trt.ComputeCapability.SM86, 0)
                return config

        return Told()


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, bytes]]:
    """The description of dense SGN and its graphs."""
    folder = tmp_path_factory.mktemp("graphs")
    trained = load_weights(WEIGHTS)
    description = load_content(to_model_file(trained).to_bytes(), "dense").description
    graphs = {}
    for precision in ("f32", "f16"):
        (path,) = write_onnx(trained.model, folder / f"{precision}.onnx", precision=precision)
        graphs[precision] = path.read_bytes()
    return description, graphs


@pytest.mark.parametrize("precision", ["f32", "f16"])
def test_dense_graphs_are_built(dense, precision):
    description, graphs = dense
    steps: list[tuple[str, int, int]] = []
    plan = build_plan(
        OfOtherGpus(), None, graphs[precision], description, precision, Profile(64),
        report=lambda *step: steps.append(step),
    )  # fmt: skip
    print(f"{precision}: {len(plan)} bytes, {len(steps)} steps")
    assert len(plan) > 1_000_000
    assert steps
    assert all(done <= of for _, done, of in steps)


def test_what_is_no_graph_is_refused_in_the_parsers_words(dense):
    with pytest.raises(TensorRTError, match="expected an ONNX graph that its parser takes, found: "):
        build_plan(OfOtherGpus(), None, b"no graph", dense[0], "f32", Profile(4))


def test_ctrl_c_ends_a_build(dense):
    description, graphs = dense
    seen: list[str] = []

    def interrupt(phase: str, done: int, steps: int) -> None:
        seen.append(phase)
        if len(seen) == 3:
            _thread.interrupt_main()

    with pytest.raises(KeyboardInterrupt):
        build_plan(OfOtherGpus(), None, graphs["f16"], description, "f16", Profile(64), report=interrupt)
    assert len(seen) >= 3
