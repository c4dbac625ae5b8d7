"""``adasgn-edge convert``: a data set as distributed to one checked file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from adasgn_edge.data.dataset import SkeletonDataset

__all__ = ["command"]

UNEVEN = 4
"""The largest class has over so many times the clips of the smallest when it is worth saying."""


def command(
    name: Annotated[
        str | None,
        typer.Argument(help="A data set (see --list), or a folder with your recordings.", show_default=False),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder that holds the data sets.  [default: $ADASGN_DATA, else ./data]")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write the converted data set here as well; the name ends in .skeletons."),
    ] = None,
    on_bad_sample: Annotated[
        Literal["error", "skip"], typer.Option(help="A broken sample ends the conversion, or is named and left out.")
    ] = "error",
    missing: Annotated[
        Literal["fill", "error"], typer.Option(help="Joints that were not seen are filled and counted, or refused.")
    ] = "fill",
    list_datasets: Annotated[bool, typer.Option("--list", help="List the data sets and where each must lie.")] = False,
) -> None:
    """Convert a data set from the form it is distributed in to one compact file, and say what is in it.

    Training converts by itself when it must; this command does it beforehand, shows what was found, and with --out
    makes a file that can be carried to another machine: every command takes its path in place of a data set's name.

    Put the data as you downloaded it below one folder (--list shows the names of the sub-folders) and name that folder
    with --root or the environment variable ADASGN_DATA. Conversions are kept in $ADASGN_CACHE, by default in your
    cache folder, and made again when the files change.

    Your own recordings are a folder of clips with layout.json and labels.csv (columns file and label; split and subject
    if you like): see docs/data.md. What is passed over or looks like a mistake is named in a warning.

    Examples: `adasgn-edge convert shrec14`, `adasgn-edge convert my_gestures --out my_gestures.skeletons`
    """
    import warnings

    from rich.text import Text

    from adasgn_edge.cli.console import SafeConsole
    from adasgn_edge.data.cache import SUFFIX, read_checksum, save_dataset
    from adasgn_edge.data.registry import DATASETS, cached_path, open_dataset
    from adasgn_edge.errors import DatasetError
    from adasgn_edge.files import check_output
    from adasgn_edge.progress import RichProgress

    console = SafeConsole()
    if list_datasets:
        console.print(known_datasets())
        return
    if name is None:
        raise DatasetError(f"expected a data set: one of {', '.join(DATASETS)}, or a folder with your recordings")
    if out is not None and out.suffix != SUFFIX:
        raise DatasetError(f"--out: expected a name ending in {SUFFIX}, found {str(out)!r}")
    if out is not None:
        check_output(out, option="--out")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = open_dataset(name, root, on_bad_sample=on_bad_sample, progress=RichProgress(), missing=missing)
    for warning in caught:
        text = Text.assemble(("warning:", "yellow"), f" {warning.message}")
        console.print(text, highlight=False, soft_wrap=True)

    path = out
    if out is not None:
        save_dataset(out, dataset)
    elif name in DATASETS or Path(name).is_dir():
        path = cached_path(name, root, missing=missing)
    console.print(summary(dataset))
    for line in further_counts(dataset):
        console.print(line, highlight=False, soft_wrap=True)
    if path is not None and path.exists():
        size = f"{path.stat().st_size / 1e6:.1f} MB, SHA-256 {read_checksum(path)}"
        console.print(f"{path!s}: {size}", soft_wrap=True)


def known_datasets() -> Table:
    """Names, sub-folders and published numbers of samples."""
    from rich.table import Table

    from adasgn_edge.data.registry import DATASETS

    table = Table("name", "data set", "sub-folder of the data folder", "train", "test")
    for name, entry in DATASETS.items():
        table.add_row(name, entry.description, "\n".join(entry.folders), str(entry.train), str(entry.test))
    return table


def summary(dataset: SkeletonDataset) -> Table:
    """Samples, classes, persons and frames of each split."""
    import numpy as np
    from rich.table import Table

    columns = ("split", "samples", "classes", "persons", "frames: fewest", "median", "most")
    table = Table(*columns, title=dataset.name)
    for split in ("train", "test"):
        chosen = np.flatnonzero(dataset.split == split)
        if len(chosen) == 0:
            table.add_row(split, "0", *["-"] * 5)
            continue
        persons = (dataset.length[chosen] > 0).sum(1)
        frames = dataset.length[chosen, 0]
        seen = f"{persons.min()}" if persons.min() == persons.max() else f"{persons.min()} to {persons.max()}"
        classes = f"{len(np.unique(dataset.labels[chosen]))} of {len(dataset.class_names)}"
        counts = (frames.min(), int(np.median(frames)), frames.max())
        table.add_row(split, str(len(chosen)), classes, seen, *map(str, counts))
    layout = dataset.layout
    table.caption = f"{layout.joint_count} joints ({layout.name}), {len(dataset.left_out)} samples left out"
    return table


def further_counts(dataset: SkeletonDataset) -> list[str]:
    """Lines about groups, uneven classes and what was made good, where there is something to say."""
    import numpy as np

    from adasgn_edge.wording import listed

    lines = []
    if dataset.groups:
        groups = np.asarray(dataset.groups)
        each = (f"{len(set(groups[dataset.split == split]))} in {split}" for split in ("train", "test"))
        lines.append(f"groups (subjects, views): {len(set(dataset.groups))}, {', '.join(each)}")
    counts = np.bincount(dataset.labels, minlength=len(dataset.class_names))
    if counts.max() > UNEVEN * max(1, counts.min()):
        order = np.argsort(-counts, kind="stable")
        fewest = [f"{dataset.class_names[label]} {counts[label]}" for label in order[::-1]]
        largest = f"{dataset.class_names[order[0]]} {counts[order[0]]}"
        lines.append(f"uneven classes, in clips: largest {largest}; smallest {listed(fewest, 3)}")
    if dataset.cleaning:
        lines.append(f"made good: {dataset.cleaning}")
    return lines
