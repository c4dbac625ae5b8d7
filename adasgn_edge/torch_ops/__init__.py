"""The native engine for torch: a module that runs a model file, and the ops ``torch.ops.adasgn_edge.…`` below it.

    model = adasgn_edge.torch_ops.load("gestures.adasgn")
    logits, actions, _ = model(clips)          # (B, T, V, 3) float32 → (B, K), (B, T)

Importing this needs torch and the compiled ops (``pip install --no-build-isolation``, docs/engine.md). It raises
MissingDependencyError without torch, and EngineError where the ops were not built or were built against another torch.
"""

from adasgn_edge.torch_ops.library import load_library

load_library()  # before anything imports torch: its errors say what to do

from adasgn_edge.torch_ops.module import Result, TorchEngine, load  # noqa: E402

__all__ = ["Result", "TorchEngine", "load"]
