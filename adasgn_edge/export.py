"""From trained weights to a model file: fold, describe, write (docs/model_file.md)."""

from __future__ import annotations

import hashlib
from pathlib import Path

from adasgn_edge import __version__
from adasgn_edge.files import check_output
from adasgn_edge.folding import fold
from adasgn_edge.model.weights import TrainedModel, load_weights
from adasgn_edge.model_file import ModelFile, write_model_file

__all__ = ["DEFAULT_WINDOW", "MODEL_ENDING", "export_weights", "to_model_file"]

MODEL_ENDING = ".adasgn"
"""What the name of a model file ends in; `--model` of the commands tells it from weights by that."""

DEFAULT_WINDOW = 2.0
"""Seconds that a clip spans where training does not say: SHREC'17's median gesture is 57 frames at 30 Hz, 1.9 s."""


def to_model_file(trained: TrainedModel, window: float | None = None, precision: str = "f32") -> ModelFile:
    """A trained model (AdaSGN, dense SGN or a single branch) as the content of a model file.

    window: seconds that a clip spans; by default the length of training's median clip (``provenance["window"]``, which
    training notes where the frame rate is known), else DEFAULT_WINDOW.
    precision: "f32", or "f16" to store the matrices in half precision. Raises ModelFileError for values that do not
    fit.
    """
    if window is None:
        window = float(trained.provenance.get("window", DEFAULT_WINDOW))
    return ModelFile(
        folded=fold(trained.model.state_dict(), trained.model.config),
        layout=trained.layout,
        class_names=trained.class_names,
        stream=trained.stream,
        window=window,
        precision=precision,
        provenance={**trained.provenance, "adasgn_edge": __version__},
    )


def export_weights(checkpoint: Path, out: Path, window: float | None = None, half: bool = False) -> ModelFile:
    """Write the weights file `checkpoint` as the model file `out`, atomically; returns what was written.

    Raises CheckpointError for an unusable checkpoint, ModelFileError for weights that cannot be stored (NaN, or too
    large for half precision), OutputError for a name that does not end in ``.adasgn`` or a file that cannot be written.
    """
    out = Path(out)
    check_output(out, (MODEL_ENDING,), instead="ONNX graphs are written by --onnx, or by onnx_graphs.write_onnx")
    model = to_model_file(load_weights(checkpoint), window, "f16" if half else "f32")
    model.provenance["weights_sha256"] = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    write_model_file(out, model)
    return model
