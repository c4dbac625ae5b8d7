"""Where and how a command runs its model: the options that commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["DeviceOption", "EffortOption", "PrecisionOption", "StreamDeviceOption"]

DeviceOption = Annotated[
    str,
    typer.Option(
        metavar="cpu|cuda|cuda:N|tensorrt",
        help="What runs the model: cpu, cuda (the GPU), cuda:1 (the second GPU) or tensorrt (built at the first run). "
        "`adasgn-edge doctor` says what works here.",
    ),
]
StreamDeviceOption = Annotated[
    str,
    typer.Option(
        metavar="cpu|cuda|cuda:N",
        help="What runs the model: cpu, cuda (the GPU) or cuda:1 (the second GPU).",
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        metavar="f16|f32",
        help="Arithmetic: f32, or on a GPU f16, its default, which is faster and picks the same branches.",
        show_default=False,
    ),
]
EffortOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        help="Of a model that escalates, how much to spend: 0 is the first branch alone, 1 all for every clip.  "
        "[default: the model's own]",
        show_default=False,
    ),
]
