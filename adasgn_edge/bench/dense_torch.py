"""Dense SGN with weights of torch, the same in every runtime and in our engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adasgn_edge.bench.peers import Peers
from adasgn_edge.bench.runtimes import Call
from adasgn_edge.bench.settings import Settings
from adasgn_edge.bench.torch_reference import TorchReference
from adasgn_edge.deploy.export import to_model_file
from adasgn_edge.model.adasgn import SGN, build_model
from adasgn_edge.model.config import ModelConfig
from adasgn_edge.model.weights import TrainedModel, save_weights
from adasgn_edge.skeletons import SkeletonLayout

__all__ = ["TorchDense"]


class TorchDense:
    """Weights that have learnt nothing, none of them at its initial zero or one."""

    def __init__(
        self,
        config: ModelConfig,
        layout: SkeletonLayout,
        classes: tuple[str, ...],
        stream: str,
        folder: Path,
        settings: Settings,
    ) -> None:
        generator = torch.Generator().manual_seed(0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = build_model(config, layout).eval()
        assert isinstance(model, SGN)
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.rand(tensor.shape, generator=generator)
                tensor.copy_(noise + 0.5 if "running_var" in name else tensor + 0.2 * (noise - 0.5))
        trained = TrainedModel(model, layout, stream, classes)
        self.file, self.reference = to_model_file(trained), TorchReference(model)
        self._weights = folder / "dense.safetensors"
        save_weights(self._weights, trained)
        self._settings, self._folder = settings, folder
        self._peers = Peers(model, folder)

    def maker(self, runtime: str, graph: str) -> Callable[[int], Call]:
        """A runtime on a graph, for batches of a size."""
        settings = self._settings

        def make(batch: int) -> Call:
            torch.set_num_threads(settings.threads)
            torch.backends.cudnn.allow_tf32 = False  # on a GPU convolutions are less precise by default
            call = self._peers.call(runtime, graph, batch, settings.threads, settings.device)

            def contiguous(clips: NDArray[np.float32]) -> NDArray[np.float32]:
                return call(np.ascontiguousarray(clips))

            return contiguous

        return make

    def fresh(self, runtime: str, graph: str) -> dict[str, Any]:
        """How a process of its own makes it (adasgn_edge/bench/fresh.py)."""
        in_torch = runtime in ("eager", "compile")
        return {
            "kind": runtime,
            "graph": graph,
            "file": str(self._weights if in_torch else self._folder / f"{graph}.onnx"),
            "device": self._settings.device,
            "threads": self._settings.threads,
        }
