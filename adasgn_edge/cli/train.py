"""``adasgn-edge train``: a recipe to trained models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["command"]


def command(
    recipe: Annotated[
        str | None,
        typer.Argument(help="A built-in recipe (see --list) or the path of a .toml file.", show_default=False),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option("--recipe", help="A variant laid over the recipe: `paper` restores the published settings."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; a run found there goes on.  [default: runs/<recipe>]")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Random seeds, e.g. `1` or `1,2,3`.")] = "1",
    stream: Annotated[str | None, typer.Option(help="Input stream: joint, bone or velocity.")] = None,
    only: Annotated[
        str | None, typer.Option(help="Only these stages, e.g. `sgn,S-1,B-22,adasgn-a4` (see --list-stages).")
    ] = None,
    alpha: Annotated[str | None, typer.Option(help="Weights of the cost in AdaSGN's loss, e.g. `1,4`.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of every stage, in place of the recipe's.")] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the data sets.  [default: $ADASGN_DATA]")] = None,
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
    was: give the same command again. Finished stages are left alone.

    Example: `adasgn-edge train shrec14 --alpha 1,4 --seeds 1,2,3`
    """
    from adasgn_edge.cli.console import TrainingView, console
    from adasgn_edge.errors import RecipeError
    from adasgn_edge.train.recipe import builtin_recipes, builtin_variants, load_recipe

    if list_recipes:
        console.print(f"recipes:  {', '.join(builtin_recipes())}\nvariants: {', '.join(builtin_variants())}")
        return
    if recipe is None:
        raise RecipeError(f"expected a recipe: one of {', '.join(builtin_recipes())}, or the path of a .toml file")

    changes: dict[str, Any] = {}
    if stream is not None:
        changes["data"] = {"stream": stream}
    if alpha is not None:
        changes.setdefault("adaptive", {})["alpha"] = numbers(alpha, float, "--alpha")
    if epochs is not None:
        changes.setdefault("single", {})["epochs"] = epochs
        changes.setdefault("adaptive", {})["epochs"] = epochs
    chosen = load_recipe(recipe, variant, changes)

    from adasgn_edge.data.registry import open_dataset
    from adasgn_edge.progress import RichProgress
    from adasgn_edge.train.devices import choose_device
    from adasgn_edge.train.loop import Trainer
    from adasgn_edge.train.stages import plan_stages

    dataset = open_dataset(chosen.data.dataset, root, progress=RichProgress())
    names = tuple(name.strip() for name in only.split(",")) if only else ()
    stages = plan_stages(chosen, dataset.layout, len(dataset.class_names), names)
    if list_stages:
        console.print("\n".join(f"{stage.name:12s} {stage.schedule.epochs} epochs" for stage in stages))
        return
    folder = out or Path("runs") / "-".join(filter(None, (chosen.name, variant, chosen.data.stream)))
    target = choose_device(device, threads)
    for seed in numbers(seeds, int, "--seeds"):
        with TrainingView() as view:
            trainer = Trainer(chosen, dataset, folder, seed, target, view, compile_step)
            for stage in stages:
                trainer.train(stage)
    command_line = f"adasgn-edge eval {folder}"
    console.print(f"Trained models are in {folder}. Measure them: {command_line}")


def numbers(text: str, kind: type, option: str) -> tuple[Any, ...]:
    """The numbers of a comma-separated option; raises RecipeError for a word that is none."""
    from adasgn_edge.errors import RecipeError

    try:
        return tuple(kind(word) for word in text.split(","))
    except ValueError:
        raise RecipeError(f"{option}: expected numbers with commas between, found {text!r}") from None
