"""``adasgn-edge train``: a recipe to trained models."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adasgn_edge.cli.option_values import numbers

if TYPE_CHECKING:
    from adasgn_edge.data.dataset import SkeletonDataset
    from adasgn_edge.data.folds import Fold
    from adasgn_edge.train.own import OwnPlan
    from adasgn_edge.train.stages import Stage

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
        typer.Option(help="A variant laid over the recipe: `paper` restores the published settings."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Data set in place of the recipe's: a name, a folder of recordings, a file.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the run; a run found there goes on.  [default: runs/NAME-STREAM, of folds "
            "runs/NAME-STREAM-folds]",
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Random seeds, e.g. `1` or `1,2,3`.")] = "1",
    stream: Annotated[str | None, typer.Option(help="Input stream: joint, bone or velocity.")] = None,
    only: Annotated[
        str | None, typer.Option(help="Only these stages, e.g. `sgn,S-1,B-22,adasgn-a4`, or `all` (see --list-stages).")
    ] = None,
    alpha: Annotated[str | None, typer.Option(help="Weights of the cost in AdaSGN's loss, e.g. `1,4`.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of every stage, in place of the recipe's.")] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds",
            help="Train K models of every stage, each without one of K folds of the training clips, and never see the "
            "test clips: to choose a recipe, a branch or a threshold. Folds are whole groups: subjects, or what else "
            "the data set divides by (NW-UCLA: two views, so K = 2). 0: of recordings of your own, no folds and no "
            "card.",
        ),
    ] = None,
    fold: Annotated[
        str | None, typer.Option(help="Only these of the folds, from 1, e.g. `1` or `1,3`: for several machines.")
    ] = None,
    over: Annotated[
        str | None,
        typer.Option(
            help="What the folds divide: `train`, or `all`, training and test clips together, to report an accuracy "
            "over all subjects.  [default: train]"
        ),
    ] = None,
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
    """Train the models of a RECIPE: those that it names, or with `--only all` dense SGN, each single branch, AdaSGN for
    every α, and the model whose branches are trained together and that escalates.

    Of recordings of your own it trains a model on all of them, and before it models of up to four folds, each without
    some of the subjects (without a column subject: some of the clips): they tell how good it is on people that it does
    not know. card.md in the run's folder says it all.

    Everything is written below --out and a run that was interrupted (Ctrl-C, a kill, a power cut) goes on where it
    was: give the same command again. Finished stages are left alone. Changed settings or changed data are an error.

    To choose between recipes, compare them on clips that no model of theirs was trained on and that are not the test
    split: `--folds 4` trains each stage four times, and `adasgn-edge eval` takes the clips held out together.

    Examples: `adasgn-edge train shrec14 --seeds 1,2,3` · `adasgn-edge train my-gestures/` ·
    `adasgn-edge train shrec14 --only all --alpha 1,4` · `adasgn-edge train shrec14 --only S-11 --folds 4` ·
    `adasgn-edge train shrec14 --folds 7 --over all --fold 1` · `adasgn-edge train shrec21` (a model for streams)
    """
    from adasgn_edge.cli.console import TrainingView, console, plain_warnings
    from adasgn_edge.cli.train_online import train_online
    from adasgn_edge.errors import RecipeError
    from adasgn_edge.train.online.recipe import is_online
    from adasgn_edge.train.recipe import builtin_recipes, builtin_variants, load_recipe

    if list_recipes:
        console.print(f"recipes:  {', '.join(builtin_recipes())}\nvariants: {', '.join(builtin_variants())}")
        return
    if recipe is None:
        raise RecipeError(
            f"expected a recipe: one of {', '.join(builtin_recipes())}, the path of a .toml file, or a folder of "
            "recordings"
        )

    is_recipe = recipe in builtin_recipes() or (recipe.endswith(".toml") and Path(recipe).is_file())
    if is_recipe and is_online(recipe):
        others = {
            "--variant": variant, "--data": data, "--stream": stream, "--alpha": alpha, "--over": over,
            "--on-bad-sample": None if on_bad_sample == "error" else on_bad_sample,
            "--missing": None if missing == "fill" else missing, "--compile": compile_step,
        }  # fmt: skip
        for option, value in others.items():
            if value is not None:
                raise RecipeError(
                    f"{option}: expected a recipe of clips, found {recipe[:80]}, of continuous recordings"
                )
        train_online(
            recipe,
            out=out,
            seeds=numbers(seeds, int, "--seeds", least=0),
            only=tuple(name.strip() for name in only.split(",")) if only else (),
            epochs=epochs,
            folds=folds,
            chosen_folds=None if fold is None else numbers(fold, int, "--fold"),
            root=root,
            device=device,
            threads=threads,
            list_stages=list_stages,
        )
        return
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
    with plain_warnings():
        chosen = load_recipe(recipe, variant, changes)
        if epochs is not None:
            for section in ("single", "adaptive", *(["shared"] if chosen.shared else [])):
                changes.setdefault(section, {}).update(epochs=epochs, min_steps=0)
            chosen = load_recipe(recipe, variant, changes)
    if alpha is not None and only is None and chosen.stages:
        raise RecipeError(
            f"--alpha {alpha[:40]}: expected stages that have one, found {', '.join(chosen.stages)}, which this recipe "
            "trains by default; name others by --only, such as --only all"
        )

    from adasgn_edge.data.registry import open_dataset
    from adasgn_edge.progress import RichProgress
    from adasgn_edge.train.devices import choose_device
    from adasgn_edge.train.loop import Trainer, check_training_set
    from adasgn_edge.train.stages import plan_stages

    chosen_seeds = numbers(seeds, int, "--seeds", least=0)
    target = choose_device(device, threads)
    is_own = recipe == "own" and folds is None
    with plain_warnings():
        if is_own:  # what it says of a split that is made up does not hold for the folds
            warnings.filterwarnings("ignore", message=".*: no column split: ")
        dataset = open_dataset(
            chosen.data.dataset, root, on_bad_sample=on_bad_sample, missing=missing, progress=RichProgress()
        )
    chosen_folds = _folds(dataset, None if recipe == "own" and folds == 0 else folds, fold, over)
    plan: OwnPlan | None = None
    whole = dataset
    if is_own:
        from adasgn_edge.train.own import whole_of

        whole = whole_of(dataset, Path(chosen.data.dataset))
    if not chosen_folds:
        check_training_set(whole)
    names = tuple(name.strip() for name in only.split(",")) if only else ()
    train, test = (int((whole.split == split).sum()) for split in ("train", "test"))

    def stages_of(part: Fold | None) -> list[Stage]:
        clips = train if part is None else part.clips - part.held
        return plan_stages(chosen, dataset.layout, len(dataset.class_names), clips, names)

    if is_own:
        from adasgn_edge.train.own import plan_own

        plan = plan_own(dataset, whole, stages_of(None))
    parts: Sequence[Fold | None] = chosen_folds or (plan.parts if plan else (None,))
    if list_stages:
        for part in parts:
            if part is not None:
                console.print(_described(part), markup=False)
        for stage in stages_of(chosen_folds[0] if chosen_folds else None):
            console.print(f"{stage.name:12s} {stage.schedule.epochs} epochs in batches of {stage.schedule.batch}")
        return
    folder = out or Path("runs") / "-".join(
        filter(
            None, (chosen.name, variant and Path(variant).stem, chosen.data.stream, "folds" if chosen_folds else None)
        )
    )
    if not chosen_folds:
        console.print(
            f"{dataset.name}: {train} training and {test} test clips of {len(dataset.class_names)} classes",
            markup=False,
        )
    for seed in chosen_seeds:
        for part in parts:
            if part is not None:
                console.print(f"{dataset.name}, {_described(part)}", markup=False)
            elif plan is not None and not plan.tested:
                console.print(f"{dataset.name}, the model that is kept: trained on all {train} clips", markup=False)
            with TrainingView(str(part or "")) as view:
                with plain_warnings():
                    if plan is not None:
                        warnings.filterwarnings("ignore", message=".*: no test clips, ")
                    trainer = Trainer(
                        chosen, dataset if part is not None else whole, folder, seed, target, view, compile_step, part
                    )
                for stage in stages_of(part):
                    trainer.train(stage)
    if plan is not None:
        from adasgn_edge.cli.own_card import finish_run

        given = {
            "--seeds": None if seeds == "1" else seeds, "--only": only, "--epochs": epochs, "--stream": stream,
            "--variant": variant, "--out": out, "--alpha": alpha,
        }  # fmt: skip
        finish_run(folder, plan, stages_of(None), chosen_seeds, str(chosen.data.dataset), given, str(target))
        return
    command_line = f"adasgn-edge eval {folder}{'' if test or chosen_folds else ' --split train'}"
    console.print(f"Trained models are in {folder}. Measure them: {command_line}", markup=False)


def _folds(dataset: SkeletonDataset, count: int | None, chosen: str | None, over: str | None) -> list[Fold]:
    """The folds to train, none for a whole data set; raises RecipeError for options that do not fit each other."""
    from adasgn_edge.data.folds import OVER, plan_folds
    from adasgn_edge.errors import RecipeError

    if count is None:
        for option, value in (("--fold", chosen), ("--over", over)):
            if value is not None:
                raise RecipeError(f"{option} {value[:80]}: expected --folds K beside it, found none")
        return []
    if over is not None and over not in OVER:
        raise RecipeError(f"--over: expected {' or '.join(OVER)}, found {over[:80]!r}")
    folds = plan_folds(dataset, count, over or "train")
    wanted = set(numbers(chosen, int, "--fold")) if chosen is not None else set(range(1, count + 1))
    if unknown := sorted(wanted - set(range(1, count + 1))):
        raise RecipeError(f"--fold: expected from 1 to {count}, found {unknown[0]}")
    return [fold for fold in folds if fold.number in wanted]


def _described(fold: Fold) -> str:
    from adasgn_edge.wording import listed

    of = ", a run of each class" if fold.by == "clip" else f" of {listed(fold.groups, 10)}"
    return f"{fold}: trained on {fold.clips - fold.held} clips; held out {fold.held}{of}"


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
