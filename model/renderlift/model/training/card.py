"""The model card: what was trained, on what, for how long, and how well it does on scenes it never saw."""

from dataclasses import dataclass
from pathlib import Path

from renderlift.model.references import PHOTO
from renderlift.model.training.fit import Fitted
from renderlift.model.training.measure import Result, Row
from renderlift.model.training.plan import Plan
from renderlift.model.training.recipe import Recipe, to_toml

FRONT_MATTER = """---
library_name: diffusers
pipeline_tag: video-to-video
tags: [ic-lora, lora, sim2real, renderlift]
---"""
HEADER = ("picture", "PSNR to the truth", "edge F1", "warp error")


@dataclass(frozen=True)
class Facts:
    """What the card tells beside the table."""

    dataset: str  # name of its folder
    plan: Plan
    fitted: Fitted
    losses: tuple[float, float] | None  # mean of the first and the last tenth
    figures: tuple[tuple[str, float], ...] = ()  # other results: what, PSNR in dB
    held_out: str = ""  # name of another dataset that it was measured on
    base: str = ""  # what the recipe's base is, with its version; empty = it has none


def write_card(folder: Path, recipe: Recipe, facts: Facts, result: Result) -> Path:
    """Write README.md into the adapter's folder."""
    path = folder / "README.md"
    new = path.with_suffix(".new")
    new.write_text(card(folder.name, recipe, facts, result))
    new.replace(path)
    return path


def card(name: str, recipe: Recipe, facts: Facts, result: Result) -> str:
    """The card as Markdown."""
    plan, fitted = facts.plan, facts.fitted
    parts = [
        FRONT_MATTER,
        f"# {name}",
        _what(name, recipe, facts.base),
        "## Trained",
        f"On `{facts.dataset}`: {plan.scenes} scenes, {plan.windows} stretches of {plan.frames} frames, "
        f"{plan.clips} clips with crops and mirrors, at {plan.width} x {plan.height}. {fitted.step} steps of "
        f"{recipe.batch} clips in {fitted.spent_s / 60:.1f} minutes; {plan.trained / 1e6:.2f} M parameters."
        + (_losses(facts.losses) if facts.losses else ""),
        "## Measured",
        *[f"{what[:1].upper()}{what[1:]}: {value:.2f} dB." for what, value in facts.figures],
        *([_measured(result, recipe)] if result.rows or not facts.figures else []),
    ]
    if result.pictures:
        parts.append("![Held-out scenes: the render, what came out, the truth](strip.jpg)")
    parts += ["## Recipe", f"```toml\n{to_toml(recipe)}```"]
    return "\n\n".join(parts) + "\n"


def table_rows(result: Result) -> list[tuple[str, str, str, str]]:
    """The result table as text."""
    return [
        (row.name, _with_unit(row.psnr_db, " dB"), _plain(row), _with_unit(row.warp_relative, "x"))
        for row in result.rows
    ]


def _what(name: str, recipe: Recipe, kind: str) -> str:
    match recipe.task:
        case "autoencoder":
            return "A video autoencoder of the embedded kind (`AutoencoderKLLTX2Video` of diffusers)."
        case "transformer":
            return (
                "A base of the embedded kind (`LTX2InContextPipeline` of diffusers), trained on all in-context "
                f"tasks.\n\n```bash\nrenderlift enhance RECORDING -o lifted.mp4 --base {name}\n```"
            )
        case "lock":
            return f"A geometry lock for what `{recipe.base}` paints: `lock.safetensors`."
        case _:
            base = "" if recipe.base == "embedded" else f" --base {recipe.base}"
            named = f"`{recipe.base}` ({kind})" if kind else f"`{recipe.base}`"
            return (
                f"An IC-LoRA of rank {recipe.rank} for the base {named}: it sees "
                f"{_list(recipe.shown)} of a clip and paints {recipe.target}.\n\n"
                f"```bash\nrenderlift enhance RECORDING -o lifted.mp4 --adapter {name}{base}\n```"
            )


def _measured(result: Result, recipe: Recipe) -> str:
    if not result.rows:
        why = result.problems[0] if result.problems else "the dataset holds no scenes that were kept for it"
        return f"Nothing: {why}."
    lines = ["| " + " | ".join(HEADER) + " |", "|---" * len(HEADER) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in table_rows(result)]
    lacks = any(None in (row.edge_f1, row.warp_relative) for row in result.rows) and recipe.target == PHOTO
    why = " What has a dash needs buffers of the engine that these scenes do not hold." if lacks else ""
    return (
        f"Mean over scenes that were not trained on: {', '.join(result.scenes)}. Warp error is "
        f"relative to the render's own.{why}\n\n" + "\n".join(lines)
    )


def _losses(losses: tuple[float, float]) -> str:
    return f" The loss went from {losses[0]:.3f} (first tenth) to {losses[1]:.3f} (last tenth)."


def _list(names: tuple[str, ...]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _with_unit(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.2f}{unit}"


def _plain(row: Row) -> str:
    return "-" if row.edge_f1 is None else f"{row.edge_f1:.3f}"
