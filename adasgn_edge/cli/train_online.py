"""``adasgn-edge train`` of a recipe for continuous recordings: the causal models that a recogniser runs."""

from __future__ import annotations

from pathlib import Path

from adasgn_edge.errors import RecipeError

__all__ = ["train_online"]


def train_online(
    recipe: str,
    *,
    out: Path | None,
    seeds: tuple[int, ...],
    only: tuple[str, ...],
    epochs: int | None,
    folds: int | None,
    chosen_folds: tuple[int, ...] | None,
    root: Path | None,
    device: str,
    threads: int | None,
    list_stages: bool,
) -> None:
    """Train the recipe's stages for each seed and, with folds, for each of them. Arguments as of ``train``."""
    from adasgn_edge.cli.console import TrainingView, console, plain_warnings
    from adasgn_edge.data.online import plan_sequence_folds
    from adasgn_edge.data.registry import open_online_dataset
    from adasgn_edge.progress import RichProgress
    from adasgn_edge.train.devices import choose_device
    from adasgn_edge.train.online.loop import OnlineTrainer
    from adasgn_edge.train.online.recipe import load_online_recipe, plan_online_stages

    changes = {} if epochs is None else {"schedule": {"epochs": epochs}}
    loaded = load_online_recipe(recipe, changes)
    with plain_warnings():
        dataset = open_online_dataset(loaded.dataset, root, progress=RichProgress())
    stages = plan_online_stages(loaded, dataset.layout, len(dataset.class_names), only)
    if list_stages:
        for stage in stages:
            names = ", ".join(stage.config.branch_names)
            console.print(f"{stage.name:12s} {names}: {loaded.schedule.epochs} epochs of {loaded.schedule.steps} steps")
        return
    if folds is None and chosen_folds is not None:
        raise RecipeError("--fold: expected --folds K beside it, found none")
    parts = [None] if folds is None else plan_sequence_folds(dataset, folds)
    if folds is not None and chosen_folds is not None:
        if unknown := sorted(set(chosen_folds) - set(range(1, folds + 1))):
            raise RecipeError(f"--fold: expected from 1 to {folds}, found {unknown[0]}")
        parts = [part for part in parts if part is not None and part.number in chosen_folds]
    folder = out or Path("runs") / (loaded.name if folds is None else f"{loaded.name}-folds")
    target = choose_device(device, threads)
    sequences = dataset.indices("train").tolist()
    console.print(
        f"{dataset.name}: {len(sequences)} training sequences of {dataset.seconds(sequences) / 60:.0f} minutes, "
        f"{dataset.class_counts(sequences).sum()} gestures of {len(dataset.class_names)} classes",
        markup=False,
    )
    for seed in seeds:
        for part in parts:
            if part is not None:
                text = f"{part}: trained on {len(part.train)} sequences, {len(part.held)} held out"
                if dataset.groups:
                    text += f" of {', '.join(sorted({dataset.groups[sequence] for sequence in part.held}))}"
                console.print(text, markup=False)
            with TrainingView(str(part or "")) as view:
                trainer = OnlineTrainer(loaded, dataset, folder, seed, target, view, part)
                for stage in stages:
                    trainer.train(stage)
    console.print(f"Trained models are in {folder}.", markup=False)
