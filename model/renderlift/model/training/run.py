"""`renderlift train`, from a recipe to a folder that another machine can use.

OUTPUT/...                                the adapter, autoencoder, base or lock
OUTPUT/README.md, result.json, strip.jpg  its card: what it was trained on and how well it does
OUTPUT/training/                          what going on needs (delete it when you are done)
"""

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from renderlift.bridge.errors import SetupError
from renderlift.model.pairs.columns import as_scenes
from renderlift.model.presets import gpu_memory_bytes
from renderlift.model.training.adapter import open_adapter, settled
from renderlift.model.training.base_stages import open_stage
from renderlift.model.training.card import HEADER, Facts, table_rows, write_card
from renderlift.model.training.dataset import Survey, survey
from renderlift.model.training.finished import (
    PICTURES,
    RECIPE_FILE,
    RESULT_FILE,
    Before,
    called,
    files_of,
    is_finished,
    look_at,
)
from renderlift.model.training.fit import checkpoint_facts
from renderlift.model.training.journal import Journal, loss_at_both_ends, write_json
from renderlift.model.training.measure import Result, measure_renders
from renderlift.model.training.plan import Plan, choose_sizes, make_plan, plan_text
from renderlift.model.training.recipe import BASE_STAGES, Recipe, read_recipe, to_toml
from renderlift.model.training.stage import Outcome, Stage
from renderlift.model.training.strip import save_strip, strip
from renderlift.model.training.talk import Silence, Talk
from renderlift.model.training.team import in_turn, join_team
from renderlift.model.whereabouts import find_base


def train(
    output: Path,
    dataset: Path,
    *,
    config: Path | None = None,
    held_out: Path | None = None,
    cache: Path | None = None,
    device: str = "auto",
    restart: bool = False,
    dry_run: bool = False,
    talk: Talk | None = None,
    stop: Callable[[], bool] = lambda: False,
    **given: Any,
) -> bool:
    """Train what the recipe says. Called again on the same output it goes on where it stopped.

    Args:
        output: folder to write.
        dataset: folder of pairs, as `renderlift pairs` makes them, or videos and a file of ltx-trainer's columns.
        config: recipe file; `given` fields win over it.
        held_out: dataset to measure on; None = the held-out scenes of `dataset`.
        cache: where latents are kept; None = in the dataset.
        restart: begin again, and replace the output.
        dry_run: say what would be done, and end.
        stop: asked often; True ends with everything saved.

    Returns:
        Whether the budget is spent (False: it was stopped).

    Raises:
        SetupError, RecordingError: before any heavy work, with the fix.
    """
    recipe = read_recipe(config, **given)
    if recipe.task not in BASE_STAGES:
        recipe = settled(recipe)
    team = join_team(device)
    talk = talk if talk is not None and team.leads else Silence()
    before = look_at(output, recipe, restart=restart)
    there = dataset.exists() and (held_out is None or held_out.exists())
    if there and is_finished(output, before, recipe, held_out):
        _tell_finished(output, before, recipe, talk)
        return True
    recipe = before.at_least_this(recipe)
    work = (open_stage if recipe.task in BASE_STAGES else open_adapter)(recipe, team.device)
    kept = cache or (dataset / ".latents" if dataset.is_dir() else dataset.parent / ".latents")
    pairs, measured = in_turn(team, lambda: (as_scenes(dataset, kept), held_out and as_scenes(held_out, kept)))
    found = survey(pairs, measured, recipe, work.grid.temporal_ratio, work.grid.multiple, called=dataset)
    sizes = choose_sizes(found, recipe, work.grid, work.pixels, stretches=work.stretches)
    plan = make_plan(found, recipe, sizes, work.grid, work.counts, gpu_memory_bytes(team.device))
    _tell_plan(plan, recipe, found, before, talk)
    if dry_run:
        return True
    if team.leads:
        _open_output(output, recipe, restart=restart)
    team.wait()
    with ExitStack() as stack:
        journal = Journal(output / "training", recipe, talk, step=before.step) if team.leads else None
        if journal:
            stack.enter_context(journal)
        stage = Stage(recipe, found, sizes, output, kept, team, journal, talk, stop, plan.memory)
        outcome = work.run(stage)
    if not outcome.fitted.done:
        step, _ = checkpoint_facts(stage.checkpoint)
        talk.tell("stopped", f"Stopped at step {step}; the same command goes on from there.", step=step)
        return False
    if team.leads:
        facts = Facts(
            dataset.name,
            plan,
            outcome.fitted,
            loss_at_both_ends(output / "training"),
            outcome.figures,
            called(held_out),
            _kind_of_base(recipe),
        )
        return _report(stage, facts, outcome)
    return True


def _kind_of_base(recipe: Recipe) -> str:
    """What an adapter's base is, with its version; empty: it has none."""
    if recipe.task in BASE_STAGES:
        return ""
    _, base = find_base(recipe.base)
    return f"{base.name} {base.version}" if base.version else ""


def _tell_finished(output: Path, before: Before, recipe: Recipe, talk: Talk) -> None:
    done = f"{output} is at step {before.step} already, after {before.spent_s / 60:.1f} minutes"
    more = "steps" if recipe.steps else "minutes"
    text = (
        f"{done}; everything is left as it is. A larger --{more} trains on, --restart begins again; "
        f"without {output / RESULT_FILE} it is measured again."
    )
    talk.tell("finished", text, output=output, step=before.step, spent_s=before.spent_s)


def _tell_plan(plan: Plan, recipe: Recipe, found: Survey, before: Before, talk: Talk) -> None:
    talk.tell("plan", plan_text(plan, recipe), plan=asdict(plan), recipe=asdict(recipe))
    for reason in found.left_out[:3]:
        talk.tell("left_out", f"  left out {reason}", reason=reason)
    if len(found.left_out) > 3:
        talk.tell("left_out", f"  ... and {len(found.left_out) - 3} more")
    if before.step:
        doing = "trained already; what is missing is made" if before.has_spent(recipe) else "going on"
        text = f"  {doing} at step {before.step}, {before.spent_s / 60:.1f} minutes in"
        talk.tell("going_on", text, step=before.step, spent_s=before.spent_s)


def _report(stage: Stage, facts: Facts, outcome: Outcome) -> bool:
    """Measure on the held-out scenes, and write card, table and pictures; False: it was stopped before."""
    output, recipe = stage.output, stage.recipe
    renders = outcome.renders if stage.found.held_out else {}
    result = (
        measure_renders(renders, stage.found.held_out, recipe, stage.talk, stop=stage.stop)
        if renders
        else Result((), (), (), ())
    )
    if stage.stop():
        stage.talk.tell("stopped", "Trained, and stopped before it was measured; the same command measures it.")
        return False
    if result.pictures:
        save_strip(strip(result.pictures), output / PICTURES)
    rows = [asdict(row) for row in result.rows]
    write_json(
        output / RESULT_FILE,
        {
            "scenes": result.scenes,
            "rows": rows,
            "figures": outcome.figures,
            "problems": result.problems,
            "steps": facts.fitted.step,
            "measured_scenes": recipe.measured_scenes,
            "held_out": facts.held_out,
            "files": files_of(output),
        },
    )
    write_card(output, recipe, facts, result)
    if rows:
        title = f"Mean over {len(result.scenes)} held-out scenes"
        stage.talk.table("measured", title, HEADER, table_rows(result), scenes=result.scenes, rows=rows)
    for name, value in outcome.figures:
        stage.talk.tell("figure", f"{name}: {value:.2f} dB", name=name, psnr_db=value)
    for problem in result.problems:
        stage.talk.tell("not_measured", f"not measured: {problem}")
    stage.talk.tell("trained", f"{output} is ready; {output / 'README.md'} says what it is.", output=output)
    return True


def _open_output(output: Path, recipe: Recipe, *, restart: bool) -> None:
    folder = output / "training"
    if restart and folder.exists():
        shutil.rmtree(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECIPE_FILE).write_text(to_toml(recipe))
    except OSError as problem:
        raise SetupError(
            f"{output} cannot be written: {problem.strerror}", fix="Name another folder with --output."
        ) from problem
