"""``adasgn-edge train``: a recipe to trained models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["command"]


def command(
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A built-in recipe (see --list), the path of a .toml file; or recordings of your own, a folder with "
            "labels.csv or a converted .skeletons file, by the recipe `own`.",
            show_default=False,
        ),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option("--recipe", help="A variant laid over the recipe: `paper` restores the published settings."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Data set in place of the recipe's: a name, a folder of recordings, a file.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; a run found there goes on.  [default: runs/<name>-<stream>]")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Random seeds, e.g. `1` or `1,2,3`.")] = "1",
    stream: Annotated[str | None, typer.Option(help="Input stream: joint, bone or velocity.")] = None,
    only: Annotated[
        str | None, typer.Option(help="Only these stages, e.g. `sgn,S-1,B-22,adasgn-a4` (see --list-stages).")
    ] = None,
    alpha: Annotated[str | None, typer.Option(help="Weights of the cost in AdaSGN's loss, e.g. `1,4`.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of every stage, in place of the recipe's.")] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the data sets.  [default: $ADASGN_DATA]")] = None,
    on_bad_sample: Annotated[
        str, typer.Option(help="At a broken recording: error, or skip to leave it out and name it.")
    ] = "error",
    missing: Annotated[
        str, typer.Option(help="Joints that were not seen: fill them by the stated rule, or error.")
    ] = "fill",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads.  [default: all]")] = None,
    compile_step: Annotated[
        bool | None,
        typer.Option("--compile/--no-compile", help="Compile the training step.  [default: on a GPU only]"),
    ] = None,
    list_recipes: Annotated[bool, typer.Option("--list", help="List the built-in recipes and variants.")] = False,
    list_stages: Annotated[bool, typer.Option("--list-stages", help="List the recipe's stages and stop.")] = False,
) -> None:
    """Train the models of a RECIPE: dense SGN, each single branch, then AdaSGN for every α.

    Everything is written below --out and a run that was interrupted (Ctrl-C, a kill, a power cut) goes on where it
    was: give the same command again. Finished stages are left alone. Changed settings or changed data are an error.

    Examples: `adasgn-edge train shrec14 --alpha 1,4 --seeds 1,2,3` · `adasgn-edge train my-gestures/`
    """
    from adasgn_edge.cli.console import TrainingView, console, plain_warnings
    from adasgn_edge.errors import RecipeError
    from adasgn_edge.train.recipe import builtin_recipes, builtin_variants, load_recipe

    if list_recipes:
        console.print(f"recipes:  {', '.join(builtin_recipes())}\nvariants: {', '.join(builtin_variants())}")
        return
    if recipe is None:
        raise RecipeError(
            f"expected a recipe: one of {', '.join(builtin_recipes())}, the path of a .toml file, or a folder of "
            "recordings"
        )

    changes: dict[str, Any] = {}
    if recipe not in builtin_recipes() and (recordings := _recordings(recipe)) is not None:
        if data is not None:
            raise RecipeError(f"{recipe} are recordings already: expected no --data beside, found {data[:80]!r}")
        data, recipe = str(recordings), "own"
    if data is not None:
        changes["data"] = {"dataset": _absolute(data)}
        if recipe == "own":
            changes["name"] = Path(changes["data"]["dataset"]).name.removesuffix(".skeletons")
    if stream is not None:
        changes.setdefault("data", {})["stream"] = stream
    if alpha is not None:
        changes.setdefault("adaptive", {})["alpha"] = numbers(alpha, float, "--alpha")
    if epochs is not None:
        for section in ("single", "adaptive"):
            changes.setdefault(section, {}).update(epochs=epochs, min_steps=0)
    with plain_warnings():
        chosen = load_recipe(recipe, variant, changes)

    from adasgn_edge.data.registry import open_dataset
    from adasgn_edge.progress import RichProgress
    from adasgn_edge.train.devices import choose_device
    from adasgn_edge.train.loop import Trainer, check_training_set
    from adasgn_edge.train.stages import plan_stages

    with plain_warnings():
        dataset = open_dataset(
            chosen.data.dataset, root, on_bad_sample=on_bad_sample, missing=missing, progress=RichProgress()
        )
    check_training_set(dataset)
    names = tuple(name.strip() for name in only.split(",")) if only else ()
    train, test = (int((dataset.split == split).sum()) for split in ("train", "test"))
    stages = plan_stages(chosen, dataset.layout, len(dataset.class_names), train, names)
    if list_stages:
        for stage in stages:
            console.print(f"{stage.name:12s} {stage.schedule.epochs} epochs in batches of {stage.schedule.batch}")
        return
    folder = out or Path("runs") / "-".join(
        filter(None, (chosen.name, variant and Path(variant).stem, chosen.data.stream))
    )
    target = choose_device(device, threads)
    console.print(
        f"{dataset.name}: {train} training and {test} test clips of {len(dataset.class_names)} classes", markup=False
    )
    for seed in numbers(seeds, int, "--seeds"):
        with TrainingView() as view:
            with plain_warnings():
                trainer = Trainer(chosen, dataset, folder, seed, target, view, compile_step)
            for stage in stages:
                trainer.train(stage)
    command_line = f"adasgn-edge eval {folder}{'' if test else ' --split train'}"
    console.print(f"Trained models are in {folder}. Measure them: {command_line}", markup=False)


def _recordings(argument: str) -> Path | None:
    """The argument as recordings of one's own, None when it is no folder and no converted file; raises RecipeError for
    a folder that holds no recordings."""
    from adasgn_edge.data.cache import SUFFIX
    from adasgn_edge.data.recordings import LABEL_TABLE
    from adasgn_edge.data.registry import DATASETS
    from adasgn_edge.errors import RecipeError

    path = Path(argument)
    if path.is_file() and path.suffix == SUFFIX:
        return path
    if not path.is_dir():
        return None
    if (path / LABEL_TABLE).is_file():
        return path
    for name, entry in DATASETS.items():
        if (path / entry.folders[0]).is_dir() or path.resolve().name == Path(entry.folders[0]).parts[0]:
            raise RecipeError(
                f"{argument}: a folder without {LABEL_TABLE}, expected a recipe or recordings; for the public data set "
                f"give adasgn-edge train {name} --root FOLDER, the one that holds {entry.folders[0]}"
            )
    raise RecipeError(
        f"{argument}: expected a recipe, or a folder of recordings with {LABEL_TABLE} (lines file,label) and "
        f"layout.json (docs/data.md); found a folder without {LABEL_TABLE}"
    )


def _absolute(data: str) -> str:
    """A data set's path as an absolute one, so that weights can be measured from anywhere; a public name as it is."""
    from adasgn_edge.data.registry import DATASETS

    return data if data in DATASETS or not Path(data).exists() else str(Path(data).resolve())


def numbers(text: str, kind: type, option: str) -> tuple[Any, ...]:
    """The numbers of a comma-separated option; raises RecipeError for a word that is none."""
    from adasgn_edge.errors import RecipeError

    try:
        return tuple(kind(word) for word in text.split(","))
    except ValueError:
        raise RecipeError(f"{option}: expected numbers with commas between, found {text!r}") from None
