"""Named errors. Every message says what was expected and what came.

All derive from :class:`AdaSGNError`, so a caller can catch one type; the ones that stand for
bad values also derive from :class:`ValueError`, so code that knows nothing of this package works too.
"""

from __future__ import annotations

from adasgn_edge.wording import printable, shortened

__all__ = [
    "LONGEST_MESSAGE", "AdaSGNError", "BenchError", "CheckpointError", "ClipError", "DatasetError", "EffortError",
    "EngineError", "LayoutError", "MissingDependencyError", "ModelConfigError", "ModelFileError", "OutputError",
    "RecipeError", "RecognitionError", "ScoreError", "SourceError", "TensorRTError",
]  # fmt: skip


LONGEST_MESSAGE = 600
"""Characters. Messages are written to be shorter; paths and words of hostile files are not."""


class AdaSGNError(Exception):
    """Base of every error that this package raises on purpose.

    A message is one line in which nothing acts on a terminal, whatever is quoted in it; of an overlong one the middle
    is left out.
    """

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*(_fit(part) if isinstance(part, str) else part for part in arguments), **options)


def _fit(message: str) -> str:
    return shortened(printable(shortened(message, LONGEST_MESSAGE)), LONGEST_MESSAGE)


class EffortError(AdaSGNError, ValueError):
    """An effort or a budget that a model does not have, or an effort table that is none."""


class EngineError(AdaSGNError, ValueError):
    """An engine was asked for on a device, or with options, that this machine or this installation does not have."""


class TensorRTError(EngineError):
    """TensorRT, or this package's plugin for it, is missing, does not fit, or gave something else than an engine."""


class LayoutError(AdaSGNError, ValueError):
    """A skeleton layout is unknown or inconsistent."""


class ClipError(AdaSGNError, ValueError):
    """A clip has the wrong shape, joint count or values."""


class DatasetError(AdaSGNError, ValueError):
    """A data set, one of its files or its cache cannot be used as it is."""


class ModelConfigError(AdaSGNError, ValueError):
    """A model was asked for with options that do not fit together."""


class BenchError(AdaSGNError, ValueError):
    """A benchmark was asked for what it does not have, or reports do not belong together."""


class RecipeError(AdaSGNError, ValueError):
    """A training recipe is missing, misspelt or inconsistent."""


class RecognitionError(AdaSGNError, ValueError):
    """A recogniser was given options, a time stamp or a stream that it cannot use."""


class ScoreError(AdaSGNError, ValueError):
    """Detections, gestures or scores that cannot be, or do not belong together."""


class SourceError(AdaSGNError, ValueError):
    """A source of skeletons does not say what its positions are, says what cannot be, or gives what contradicts it."""


class CheckpointError(AdaSGNError, ValueError):
    """A checkpoint is missing, half-written, of another version or of another model."""


class ModelFileError(AdaSGNError, ValueError):
    """A model file is missing, damaged, of another version or inconsistent; or a model cannot be written as one."""


class MissingDependencyError(AdaSGNError, ImportError):
    """An optional part was used whose packages are not installed; the message says which extra to install."""


class OutputError(AdaSGNError, OSError):
    """A file cannot be written: its place is missing, full, read-only or taken, or its name has the wrong ending."""
