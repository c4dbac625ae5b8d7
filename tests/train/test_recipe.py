"""Recipes: every built-in one loads, variants lie over them, mistakes are named."""

import math

import pytest

from adasgn_edge.errors import LayoutError, RecipeError
from adasgn_edge.skeletons import load_layout
from adasgn_edge.train.online.recipe import is_online, load_online_recipe
from adasgn_edge.train.recipe import Schedule, builtin_recipes, builtin_variants, load_recipe
from adasgn_edge.train.stages import fingerprint, plan_stages


@pytest.mark.parametrize("name", builtin_recipes())
@pytest.mark.parametrize("variant", [None, *builtin_variants()])
def test_builtin_recipes_load(name, variant, tmp_path):
    if is_online(name):
        assert load_online_recipe(name).name == name
        return
    changes = {"data": {"dataset": str(tmp_path)}} if name == "own" else {}
    assert load_recipe(name, variant, changes).name == name


def test_recipes_cover_the_data_sets():
    assert set(builtin_recipes()) == {
        "shrec14", "shrec28", "nw-ucla", "ntu60-cs", "ntu60-cv", "ntu120-csub", "ntu120-cset", "own",
        "shrec21", "hands",
    }  # fmt: skip


def test_paper_variant_is_the_published_schedule():
    recipe = load_recipe("shrec14", "paper")
    single, adaptive = recipe.single, recipe.adaptive
    for schedule in (single, adaptive):
        assert (schedule.epochs, schedule.batch, schedule.label_smoothing) == (120, 64, 0.1)
        assert (schedule.learning_rate, schedule.weight_decay, schedule.ema) == (1e-3, 1e-4, 0.0)
        rates = [schedule.rate(e) for e in (0, 59, 60, 90, 110)]
        assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5, 1e-6])
        assert schedule.frozen_epochs == 30
    assert adaptive.batch_norm == "batch"
    assert adaptive.temperature_at(0) == 5
    assert adaptive.temperature_at(10) == pytest.approx(5 * math.exp(-0.45))
    assert [round(adaptive.alpha_at(e, 6.0), 6) for e in range(7)] == [1, 2, 3, 4, 5, 6, 6]
    assert load_recipe("ntu60-cs", "paper").augment.rotation == (17, 17, 17)
    assert load_recipe("shrec14", "paper").augment.rotation == (0, 0, 0)


def test_cosine_course_falls_from_the_warm_up_to_near_zero():
    schedule = Schedule(epochs=50, course="cosine", warmup_epochs=3, learning_rate=1.0)
    rates = [schedule.rate(e) for e in range(50)]
    assert rates[:3] == [0.25, 0.5, 0.75]
    assert max(rates) == rates[3] == 1.0
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert 0 < rates[-1] < 0.01


def test_changes_lie_over_variant_over_recipe():
    recipe = load_recipe("shrec14", "paper", {"single": {"epochs": 7}})
    assert recipe.single.epochs == 7
    assert recipe.single.course == "steps"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[data]\ndataset = 'shrec14'\n[single]\nepoch = 3",
            r"epoch: expected the keys epochs, batch, .* in a table \[single\], found 'epoch'; did you mean 'epochs'",
        ),
        ("[data]\ndataset = 'shrec14'\n[shared]\nstrides = 1", "shared.strides: .*; did you mean 'stride'"),
        ("[data]\ndataset = 'shrec14'\n[agument]\nscale = 1", "in a recipe, found 'agument'; did you mean 'augment'"),
        (
            "[data]\ndataset = 'shrec14'\n[single.augment]\nrotate = 3",
            r"single\.augment\.rotate: expected the keys rotation, scale, [^;]*, found 'rotate'",
        ),
        ("[data]\ndataset = 'shrec14'\n[adaptive]\ntemperature_decay = -inf", "temperature_decay: .*finite"),
        ("[data]\ndataset = 'shrec14'\n[adaptive]\nalpha = [1, nan]", "adaptive.alpha.1: .*finite"),
        ("[data]\ndataset = 'shrec14'\n[single]\nlearning_rate = inf", "single.learning_rate: .*finite"),
        ("[data]\ndataset = 'shrec14'\n[augment]\nrotation = [inf, 0, 0]", "augment.rotation.0: .*finite"),
        ("[data]\ndataset = 'shrec14'\n[augment]\njitter = inf", "augment.jitter: .*finite"),
        ("[data]\ndataset = 'shrec14'\nstream = 'smell'", "data.stream"),
        ("[single]\nepochs = 3", r"\[data\]"),
        ("[data]\ndataset = 'shrec14'\n[single]\nepochs = 0", "single.epochs"),
        ("[data", "not valid TOML"),
    ],
)
def test_mistakes_in_a_recipe_are_named(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        load_recipe(str(path))


def test_mistakes_in_a_recipe_of_streams_are_named_alike():
    for changes, message in (
        (
            {"schedule": {"epoch": 3}},
            r"schedule\.epoch: .* in a table \[schedule\], .*; did you mean 'epochs'",
        ),
        ({"grids": {"step": 1}}, "grids: expected the keys name, .* in a recipe, found 'grids'; did you mean 'grid'"),
        ({"labels": {"late": math.inf}}, "labels.late: .*finite"),
        ({"grid": {"step": math.nan}}, "grid.step: .*finite"),
    ):
        with pytest.raises(RecipeError, match=message):
            load_online_recipe("shrec21", changes)


def test_unknown_recipes():
    with pytest.raises(RecipeError, match=r"unknown recipe 'shrek': expected one of .*shrec14.*folder of recordings"):
        load_recipe("shrek")
    with pytest.raises(RecipeError) as error:
        load_recipe("x" * 100_000)
    assert len(str(error.value)) < 500
    with pytest.raises(RecipeError, match="No such file"):
        load_recipe("missing.toml")
    with pytest.raises(RecipeError, match=r"unknown variant .papre.: expected one of paper"):
        load_recipe("shrec14", "papre")


@pytest.mark.parametrize("section", ["single", "adaptive"])
@pytest.mark.parametrize("clips", [2, 10, 50, 210, 278, 600, 1960, 10_000, 50_000])
def test_own_recordings_get_a_course_that_fits_their_number(section, clips, tmp_path):
    asked = getattr(load_recipe("own", changes={"data": {"dataset": str(tmp_path)}}), section)
    schedule = asked.fitted(clips)
    steps = schedule.epochs * math.ceil(clips / schedule.batch)
    assert schedule.batch <= max(16, clips / 8), "an epoch has eight steps, unless a batch would fall below 16"
    assert asked.epochs <= schedule.epochs <= 10 * asked.epochs
    assert steps >= asked.min_steps or schedule.epochs == 10 * asked.epochs
    assert schedule.epochs == asked.epochs or steps < 1.2 * asked.min_steps, "not more than needed"
    stretch = schedule.epochs / asked.epochs
    assert schedule.frozen_epochs == pytest.approx(asked.frozen_epochs * stretch, abs=0.5)
    assert schedule.rate(schedule.epochs - 1) < 0.01 * schedule.learning_rate
    assert schedule.fitted(clips) == schedule, "fitting twice changes nothing"
    if section == "adaptive":
        assert schedule.temperature_at(schedule.epochs) == pytest.approx(asked.temperature_at(asked.epochs))
        assert schedule.alpha_epochs == pytest.approx(asked.alpha_epochs * stretch, abs=0.5)


def test_other_recipes_stay_as_they_are_however_few_the_clips():
    schedule = load_recipe("shrec14").single
    assert schedule.fitted(50) == schedule


def test_a_path_in_a_recipe_starts_at_the_recipe(tmp_path, monkeypatch):
    text = "[data]\ndataset = 'set'"
    for folder in ("beside/set", "here/set"):
        (tmp_path / folder).mkdir(parents=True)
    recipe = tmp_path / "beside" / "mine.toml"
    recipe.write_text(text)
    monkeypatch.chdir(tmp_path)
    assert load_recipe("beside/mine.toml").data.dataset == str(tmp_path / "beside" / "set")
    monkeypatch.chdir(tmp_path / "here")
    with pytest.warns(UserWarning, match=r"'set' is that beside the recipe, not .*here"):
        assert load_recipe(str(recipe)).data.dataset == str(tmp_path / "beside" / "set")
    (tmp_path / "beside" / "set").rmdir()
    with pytest.warns(UserWarning, match="'set' is not beside the recipe, so that of the working folder"):
        assert load_recipe(str(recipe)).data.dataset == str(tmp_path / "here" / "set")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=r"'set': expected one of shrec14, .*or a folder of recordings"):
        load_recipe(str(recipe))
    assert load_recipe(str(recipe), changes={"data": {"dataset": "shrec14"}}).data.dataset == "shrec14"


def test_own_needs_recordings():
    with pytest.raises(RecipeError, match="give a folder of recordings with --data"):
        load_recipe("own")
    with pytest.raises(RecipeError, match=r"data\.dataset 'nowhere'"):
        load_recipe("own", changes={"data": {"dataset": "nowhere"}})


def test_stages_in_order():
    recipe = load_recipe("shrec14", changes={"adaptive": {"alpha": [0.5, 4]}})
    stages = plan_stages(recipe, load_layout("shrec22"), 14, 1960, ("all",))
    singles = ["P-22", "S-1", "B-1", "S-11", "B-11", "S-22", "B-22"]
    assert [s.name for s in stages] == ["sgn", *singles, "adasgn-a0.5", "adasgn-a4", "adasgn-shared"]
    assert [str(s.branch) for s in stages[1:-3]] == singles
    assert [s.config.escalates for s in stages] == [False] * 10 + [True]
    assert [s.name for s in plan_stages(recipe, load_layout("shrec22"), 14, 1960, ("S-11",))] == ["S-11"]
    (own_choice,) = plan_stages(recipe, load_layout("shrec22"), 14, 1960)
    assert own_choice.name == "adasgn-shared"
    with pytest.raises(RecipeError, match="found 'S-12'"):
        plan_stages(recipe, load_layout("shrec22"), 14, 1960, ("S-12",))
    with pytest.raises(LayoutError, match="no joint set of 7"):
        plan_stages(load_recipe("shrec14", changes={"model": {"joint_sets": [1, 7]}}), load_layout("shrec22"), 14, 1960)


def test_fingerprint_tells_settings_apart():
    layout = load_layout("shrec22")

    def digest(changes, seed=1, name="adasgn-a1"):
        recipe = load_recipe("shrec14", changes=changes)
        (stage,) = plan_stages(recipe, layout, 14, 1960, (name,))
        return fingerprint(recipe, stage, seed)

    base = digest({})
    assert digest({}) == base
    assert digest({}, seed=2) != base
    assert digest({"augment": {"scale": 0.3}}) != base
    assert digest({"adaptive": {"epochs": 3}}) != base
    assert digest({"adaptive": {"min_steps": 1}}) == base, "it is the course that follows which counts"
    assert digest({"adaptive": {"min_steps": 9999}}) != base
    assert digest({"adaptive": {"alpha": [1, 9]}}, name="sgn") == digest({}, name="sgn"), "other stages do not matter"
    assert digest({"augment": {"crop": 0.9}}) != base
    shared = digest({}, name="adasgn-shared")
    for change in ({"stride": 1}, {"branches": ["P", "S-1"]}, {"distillation": 0.5}, {"augment": {"bones": 0.1}}):
        assert digest({"shared": change}, name="adasgn-shared") != shared, change
    assert digest({"shared": {"effort": 0.5}}, name="adasgn-shared") == shared, "it is for after training"


def test_finished_runs_keep_their_fingerprint():
    """What weights from before say of their settings is still what the same recipe gives now."""
    recipe = load_recipe("shrec14")
    (stage,) = plan_stages(recipe, load_layout("shrec22"), 14, 1960, ("S-1",))
    assert fingerprint(recipe, stage, 1) == "bb4fc136576a"
