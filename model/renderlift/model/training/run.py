"""`renderlift train`, from a recipe to a folder that another machine can use.

OUTPUT/pytorch_lora_weights.safetensors   the adapter
OUTPUT/README.md, result.json, strip.jpg  its card: what it was trained on and how well it does
OUTPUT/training/                          what going on needs (delete it when you are done)
"""

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from diffusers import LTX2InContextPipeline

from renderlift.bridge.errors import SetupError
from renderlift.model.device import pick_dtype
from renderlift.model.render import EMBEDDED_PIXELS, load_base
from renderlift.model.training.adapter import SHOWN, Bench, grid_of, make_bench, save_adapter, train_adapter
from renderlift.model.training.card import HEADER, Facts, table_rows, write_card
from renderlift.model.training.dataset import Scene, Survey, survey, survey_scene
from renderlift.model.training.fit import Fitted, checkpoint_facts
from renderlift.model.training.journal import Journal, loss_at_both_ends, write_json
from renderlift.model.training.latents import Latents, Sizes, cache_folder, encode_dataset, open_latents
from renderlift.model.training.measure import Result, measure_adapter
from renderlift.model.training.plan import Plan, choose_sizes, make_plan, plan_text
from renderlift.model.training.recipe import Recipe, changed_fields, read_recipe, to_toml
from renderlift.model.training.strip import save_strip, strip
from renderlift.model.training.talk import Silence, Talk
from renderlift.model.training.team import Team, join_team

RECIPE_FILE = "recipe.toml"


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
        dataset: folder of pairs, as `renderlift pairs` makes them.
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
    team = join_team(device)
    talk = talk if talk is not None and team.leads else Silence()
    _refuse_other_recipe(output, recipe, restart=restart)
    pipeline = load_base(recipe.base, pick_dtype(recipe.precision, team.device))
    grid = grid_of(pipeline)
    found = survey(dataset, held_out, recipe, grid.temporal_ratio)
    sizes = choose_sizes(found, recipe, recipe.working_pixels or EMBEDDED_PIXELS, grid)
    bench = make_bench(pipeline, recipe, team.device)
    plan = make_plan(found, recipe, sizes, grid, bench.transformer)
    _tell_plan(plan, recipe, found, output, talk)
    if dry_run:
        return True
    if team.leads:
        _open_output(output, recipe, restart=restart)
    team.wait()
    latents, shown = _encode(pipeline, recipe, found, sizes, cache or dataset / ".latents", talk, team, stop)
    if stop():
        return False
    fitted = _fit(bench, latents, shown, recipe, output, talk, team, stop)
    if team.leads:
        save_adapter(bench, output, recipe)
    if not fitted.done:
        talk.tell(
            "stopped", f"Stopped at step {fitted.step}; the same command goes on from there.", step=fitted.step
        )
        return False
    if team.leads:
        facts = Facts(dataset.name, plan, fitted, loss_at_both_ends(output / "training"))
        _report(output, recipe, found, facts, talk, device, stop)
    return True


def _tell_plan(plan: Plan, recipe: Recipe, found: Survey, output: Path, talk: Talk) -> None:
    talk.tell("plan", plan_text(plan, recipe), plan=asdict(plan), recipe=asdict(recipe))
    for reason in found.left_out[:3]:
        talk.tell("left_out", f"  left out {reason}", reason=reason)
    if len(found.left_out) > 3:
        talk.tell("left_out", f"  ... and {len(found.left_out) - 3} more")
    step, spent_s = checkpoint_facts(output / "training" / "checkpoint.safetensors")
    if step:
        talk.tell(
            "going_on", f"  going on at step {step}, {spent_s / 60:.1f} minutes in", step=step, spent_s=spent_s
        )


def _encode(
    pipeline: LTX2InContextPipeline,
    recipe: Recipe,
    found: Survey,
    sizes: Sizes,
    root: Path,
    talk: Talk,
    team: Team,
    stop: Callable[[], bool],
) -> tuple[Latents, Latents]:
    """Latents of what is trained on, and of the few held-out clips that the picture strip shows."""
    folder = cache_folder(root, pipeline.vae, recipe, sizes)
    surveyed = (survey_scene(path, recipe) for path in found.held_out[:SHOWN])
    shown = [scene for scene in surveyed if isinstance(scene, Scene)]
    encode_dataset(
        found.train[team.rank :: team.count],
        pipeline.vae,
        recipe,
        sizes,
        folder,
        progress=lambda done, total: talk.progress("encoding scenes", done, total),
        stop=stop,
    )
    if team.leads:
        encode_dataset(shown, pipeline.vae, replace(recipe, variants=1), sizes, folder / "held_out", stop=stop)
    team.wait()
    if stop():
        return Latents(()), Latents(())
    clips = open_latents(shown, folder / "held_out").clips
    first_of_each = {path: (path, key) for path, key in reversed(clips)}
    return open_latents(found.train, folder), Latents(tuple(first_of_each.values()))


def _fit(
    bench: Bench,
    latents: Latents,
    shown: Latents,
    recipe: Recipe,
    output: Path,
    talk: Talk,
    team: Team,
    stop: Callable[[], bool],
) -> Fitted:
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(output / "training", recipe, talk)) if team.leads else None
        return train_adapter(bench, latents, shown, recipe, output, journal, team=team, stop=stop)


def _report(
    output: Path, recipe: Recipe, found: Survey, facts: Facts, talk: Talk, device: str, stop: Callable[[], bool]
) -> None:
    """Measure on the held-out scenes, and write card, table and pictures."""
    result = (
        measure_adapter(output, found.held_out, recipe, talk, device=device, stop=stop)
        if found.held_out
        else Result((), (), (), ())
    )
    if result.pictures:
        save_strip(strip(result.pictures), output / "strip.jpg")
    rows = [asdict(row) for row in result.rows]
    write_json(
        output / "result.json",
        {"scenes": result.scenes, "rows": rows, "problems": result.problems, "steps": facts.fitted.step},
    )
    write_card(output, recipe, facts, result)
    if rows:
        title = f"Mean over held-out scenes: {', '.join(result.scenes)}"
        talk.table("measured", title, HEADER, table_rows(result), scenes=result.scenes, rows=rows)
    for problem in result.problems:
        talk.tell("not_measured", f"not measured: {problem}")
    talk.tell(
        "trained", f"{output} is ready: renderlift enhance RECORDING -o out.mp4 --adapter {output}", output=output
    )


def _refuse_other_recipe(output: Path, recipe: Recipe, *, restart: bool) -> None:
    path = output / "training" / RECIPE_FILE
    if restart or not path.exists():
        return
    changed = changed_fields(read_recipe(path), recipe)
    if changed:
        raise SetupError(
            f"{output} holds a training with another {', '.join(changed)}",
            fix="Use another output folder, or --restart to begin again in this one.",
        )


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
