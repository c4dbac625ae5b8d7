"""From trained weights to a model file: fold, describe, write (docs/model_file.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from adasgn_edge import __version__
from adasgn_edge.data.dataset import SkeletonDataset
from adasgn_edge.deploy.fold_weights import fold
from adasgn_edge.deploy.fused_file import FUSED_ENDING, write_fused_file
from adasgn_edge.deploy.model_file import ModelFile, write_model_file
from adasgn_edge.errors import ModelConfigError
from adasgn_edge.files import check_output
from adasgn_edge.model.adasgn import AdaSGN
from adasgn_edge.model.weights import TrainedModel, load_weights
from adasgn_edge.progress import Progress
from adasgn_edge.train.evaluate import policy_shares
from adasgn_edge.train.sampler import ClipSampler

__all__ = ["DEFAULT_WINDOW", "MODEL_ENDING", "calibrated", "export_fused", "export_weights", "to_model_file"]

MODEL_ENDING = ".adasgn"
"""What the name of a model file ends in; `--model` of the commands tells it from weights by that."""

DEFAULT_WINDOW = 2.0
"""Seconds that a clip spans where training does not say: SHREC'17's median gesture is 57 frames at 30 Hz, 1.9 s."""


def to_model_file(trained: TrainedModel, window: float | None = None, precision: str = "f32") -> ModelFile:
    """A trained model (AdaSGN, one that escalates, dense SGN or a single branch) as the content of a model file.

    window: seconds that a clip spans; by default the length of training's median clip (``provenance["window"]``, which
    training notes where the frame rate is known), else DEFAULT_WINDOW.
    precision: "f32", or "f16" to store the matrices in half precision. Raises ModelFileError for values that do not
    fit, ModelConfigError for a model that escalates and has not been calibrated.
    """
    if trained.model.config.escalates and trained.effort is None:
        raise ModelConfigError(
            "export: expected a model that escalates to have an effort table, found none; make one by "
            "`adasgn-edge train RECIPE --folds 4` and `adasgn-edge calibrate FOLDS --into WEIGHTS`"
        )
    recognition = trained.recognition
    if trained.model.config.causal is not None and recognition is None:
        raise ModelConfigError(
            "export: expected a causal model to know its grid and thresholds, found none; `adasgn-edge calibrate` "
            "chooses them on held-out sequences"
        )
    if window is None and recognition is not None:
        window = trained.model.config.clip_frames * recognition.step / 1e9
    elif window is None:
        window = float(trained.provenance.get("window", DEFAULT_WINDOW))
    return ModelFile(
        folded=fold(trained.model.state_dict(), trained.model.config),
        layout=trained.layout,
        class_names=trained.class_names,
        stream=trained.stream,
        window=window,
        precision=precision,
        provenance={**trained.provenance, "adasgn_edge": __version__},
        action_shares=trained.action_shares,
        effort=trained.effort,
        recognition=recognition,
    )


def calibrated(
    trained: TrainedModel, read_dataset: Callable[[], SkeletonDataset], progress: Progress | None = None
) -> TrainedModel:
    """AdaSGN with the shares of frames that its policy gives to each branch on a data set's training clips.

    The data set is read once it is known that the model has a policy. Raises ModelConfigError for a model without
    policy or of another layout than the data set's, DatasetError for a data set without training clips.
    """
    model = trained.model
    if not isinstance(model, AdaSGN):
        names = ", ".join(model.config.branch_names)
        raise ModelConfigError(f"calibration: expected AdaSGN, found a model without policy ({names})")
    dataset = read_dataset()
    if trained.layout != dataset.layout:
        raise ModelConfigError(
            f"calibration: the model expects layout {trained.layout.name!r}, "
            f"data set {dataset.name!r} has {dataset.layout.name!r}"
        )
    sampler = ClipSampler(dataset, "train", model.config.frames, trained.stream, "cpu")
    return replace(trained, action_shares=policy_shares(model, sampler, progress=progress))


def export_weights(
    checkpoint: Path,
    out: Path,
    window: float | None = None,
    half: bool = False,
    calibration: Callable[[], SkeletonDataset] | None = None,
    progress: Progress | None = None,
) -> ModelFile:
    """Write the weights file `checkpoint` as the model file `out`, atomically; returns what was written.

    calibration: opens the data set of :func:`calibrated`; without one the action shares are those that the weights
    hold, if they do. Raises CheckpointError for an unusable checkpoint, ModelFileError for weights that cannot be
    stored (NaN, or too large for half precision), OutputError for a name that does not end in ``.adasgn`` or a file
    that cannot be written, and what :func:`calibrated` raises.
    """
    out = Path(out)
    check_output(out, (MODEL_ENDING,), instead="ONNX graphs are written by --onnx, or by onnx_graphs.write_onnx")
    model = _model_of(checkpoint, window, half, calibration, progress)
    write_model_file(out, model)
    return model


def export_fused(
    checkpoints: Sequence[Path],
    out: Path,
    window: float | None = None,
    half: bool = False,
    calibration: Callable[[], SkeletonDataset] | None = None,
    progress: Progress | None = None,
) -> list[ModelFile]:
    """Write the weights of several input streams as one fused file `out`, atomically; returns what was written.

    Raises as :func:`export_weights` does, and ModelFileError for models that cannot be averaged.
    """
    out = Path(out)
    check_output(out, (FUSED_ENDING,))
    models = [_model_of(checkpoint, window, half, calibration, progress) for checkpoint in checkpoints]
    write_fused_file(out, models)
    return models


def _model_of(
    checkpoint: Path,
    window: float | None,
    half: bool,
    calibration: Callable[[], SkeletonDataset] | None,
    progress: Progress | None,
) -> ModelFile:
    """The model file of a weights file, which notes their digest."""
    trained = load_weights(checkpoint)
    if calibration is not None:
        trained = calibrated(trained, calibration, progress)
    model = to_model_file(trained, window, "f16" if half else "f32")
    model.provenance["weights_sha256"] = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    return model
