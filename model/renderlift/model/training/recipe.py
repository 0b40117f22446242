"""What a training is: one small file, every field with its meaning beside it.

The command line's `--example` prints these fields with their meanings, so this file is the one
place where they are explained.
"""

import difflib
import tomllib
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import msgspec

from renderlift.bridge.controls import CONTROLS
from renderlift.bridge.errors import SetupError
from renderlift.model.references import CHANNELS_OF, PHOTO, check_names

BASE_STAGES = ("autoencoder", "transformer", "lock")
CONTROL = "control "  # begins the name of a control among the pictures of a training: "control edge"
# What a task means, unless the file says otherwise.
TASKS: dict[str, dict[str, Any]] = {
    "lift": {"references": ("rgb",), "target": PHOTO},
    "forward": {"references": ("albedo", "normal", "depth"), "target": PHOTO},
    "inverse": {"references": (PHOTO,), "target": "albedo"},
    "autoencoder": {
        "references": ("rgb", "albedo"),
        "target": PHOTO,
        "learning_rate": 1e-4,
        "warmup_steps": 200,
        "weight_decay": 0.0,
        "batch": 2,
        "ema_halflife_steps": 150.0,
    },
    "transformer": {
        "references": ("rgb", "albedo", "geometry"),
        "target": PHOTO,
        "warmup_steps": 100,
        "ema_halflife_steps": 150.0,
    },
    "lock": {
        "references": ("rgb",),
        "target": PHOTO,
        "learning_rate": 1e-3,
        "batch": 2,
        "ema_halflife_steps": 150.0,
    },
}


def _said(default: Any, meaning: str) -> Any:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is learned. Two runs of one recipe on one dataset learn the same."""

    task: str = _said("lift", "lift, forward, inverse, or a name of your own; goes into the adapter's file")
    references: tuple[str, ...] = _said((), f"what it sees: {', '.join(CHANNELS_OF)}")
    target: str = _said("", "what it shall paint: photo, or one of the above")
    control: str = _said("", f"for VACE, which sees that and no references: {', '.join(CONTROLS)}; empty = edge")
    prompt: str = _said("", "for bases that read text; a scene's own caption wins; empty = the task's default")
    base: str = _said("embedded", "embedded, or the folder of an LTX-2, a Wan or a Wan VACE")
    autoencoder: str = _said("", "stage transformer: folder that the stage autoencoder made")
    adapter: str = _said("", "stage lock: folder of the adapter that paints; empty = the embedded one, or none")
    lock: str = _said("", "stage lock: file of one to go on from, or embedded; empty = a new one")
    frames: int = _said(5, "frames in a clip; of the form k * r + 1, where r is what the base packs (4, LTX-2: 8)")
    working_pixels: int = _said(0, "area to paint at; 0 = the base's own, but no larger than a folder base's pairs")
    variants: int = _said(4, "clips cut from each stretch of frames: the whole picture, then crops and mirrors")
    recolour: float = _said(0.0, "share of the crops with their colours exchanged: variety where pairs are few")
    reference_downscale: int = _said(1, "2 halves the references' sides: a quarter of their tokens; not for Wan")
    reference_dropout: float = _said(0.05, "how often each reference is left out, so that it may be missing later")
    rank: int = _said(32, "of the LoRA")
    alpha: int = _said(0, "of the LoRA; 0 = as the rank")
    steps: int = _said(0, "when to stop, in steps; 0 = by the minutes")
    minutes: float = _said(0.0, "when to stop, in minutes of training over all resumed runs; 0 = by the steps")
    batch: int = _said(4, "clips in a step, per device")
    learning_rate: float = _said(5e-4, "at the peak, after the warm-up; then a cosine down")
    warmup_steps: int = _said(40, "steps until the peak")
    weight_decay: float = _said(0.01, "of AdamW")
    ema_halflife_steps: float = _said(50.0, "of the running average, which is what is saved")
    sampled_share: float = _said(0.5, "share of noise levels taken from those that sampling in few steps visits")
    sampled_steps: int = _said(4, "those few steps")
    weigh_channels: bool = _said(True, "latent channels count by what they change; for bases in folders: false")
    gradient_checkpointing: bool = _said(False, "less memory, a third more time")
    memory: str = _said("auto", "full; low = slower, for small GPUs; auto = low where full does not fit")
    precision: str = _said("auto", "bfloat16, float32, or auto: what the processor computes")
    seed: int = _said(0, "of everything drawn at random")
    held_out_scenes: int = _said(0, "scenes kept to measure on, if the dataset has no held-out ones; 0 = a tenth")
    measured_scenes: int = _said(8, "held-out scenes that the table is measured on, at most")
    picture_every_steps: int = _said(100, "steps between two picture strips")

    @property
    def shown(self) -> tuple[str, ...]:
        """Names of all pictures that the base is shown."""
        return (*self.references, *((CONTROL + self.control,) if self.control else ()))


# These may change on the way: they end, show or fit a training, and what it learns stays the same task.
BUDGET = ("steps", "minutes", "picture_every_steps", "measured_scenes", "memory")


def read_recipe(path: Path | None, **given: Any) -> Recipe:
    """A recipe from a file and from flags, which win; what neither says is the task's default.

    Args:
        path: a TOML file, or None.
        given: fields of `Recipe`; None = not given.

    Raises:
        SetupError: no such file, a field that does not exist, a value that cannot be.
    """
    table = _read_table(path) if path else {}
    table |= {name: value for name, value in given.items() if value is not None}
    if given.get("minutes") is not None and given.get("steps") is None:
        table["steps"] = 0
    if given.get("steps") is not None and given.get("minutes") is None:
        table["minutes"] = 0.0
    table = TASKS.get(str(table.get("task", "lift")), {}) | table
    # Measuring it decodes a clip per channel, and large bases are trained without it.
    table.setdefault("weigh_channels", table.get("base", "embedded") == "embedded")
    where = str(path) if path else "the command line"
    names = [f.name for f in fields(Recipe)]
    for name in table:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            raise SetupError(
                f"{where}: there is no field {name!r}",
                fix=f"Did you mean {near[0]}?" if near else "`renderlift train --example` prints every field.",
            )
    try:
        recipe = msgspec.convert(table, Recipe)
    except msgspec.ValidationError as problem:
        raise SetupError(
            f"{where}: {problem}", fix="`renderlift train --example` prints every field with a value."
        ) from None
    return check(_with_defaults(recipe))


def check(recipe: Recipe) -> Recipe:
    """The recipe itself, if it can be.

    Raises:
        SetupError: says which field and what it may be.
    """
    if not recipe.shown or not recipe.target:
        raise SetupError(
            f"the task {recipe.task!r} is new: what it reads and paints is not said",
            fix='Write references = ["rgb"] and target = "photo" into the file given with --config.',
        )
    check_names(recipe.references, what="references")
    check_names([recipe.target], what="target")
    if recipe.control and (recipe.control not in CONTROLS or recipe.task in BASE_STAGES):
        raise SetupError(
            f"control = {recipe.control!r} cannot be for the task {recipe.task!r}",
            fix=f"It is for adapters on Wan VACE, and one of {', '.join(CONTROLS)}.",
        )
    if recipe.target in recipe.references:
        raise SetupError(
            f"{recipe.target!r} is both reference and target: there is nothing to learn",
            fix="Leave it out of the references.",
        )
    wanted = {
        "rank": recipe.rank >= 1,
        "frames": recipe.frames >= 1,
        "batch": recipe.batch >= 1,
        "variants": recipe.variants >= 1,
        "reference_downscale": recipe.reference_downscale >= 1,
        "reference_dropout": 0 <= recipe.reference_dropout < 1,
        "sampled_share": 0 <= recipe.sampled_share <= 1,
        "recolour": 0 <= recipe.recolour <= 1,
        "sampled_steps": recipe.sampled_steps >= 1,
        "learning_rate": 0 < recipe.learning_rate < 1,
        "memory": recipe.memory in ("auto", "full", "low"),
        "precision": recipe.precision in ("auto", "bfloat16", "float32"),
        "minutes": recipe.minutes >= 0,
        "steps": recipe.steps >= 0,
    }
    for name, holds in wanted.items():
        if not holds:
            raise SetupError(
                f"{name} = {getattr(recipe, name)!r} cannot be",
                fix=f"It is: {_meaning(name)}. `renderlift train --example` prints values that work.",
            )
    if bool(recipe.steps) == bool(recipe.minutes):
        raise SetupError(
            "a training needs an end" if not recipe.steps else "both minutes and steps are given",
            fix="Give one of --minutes 10 and --steps 500.",
        )
    return recipe


def example(task: str = "lift") -> str:
    """A file with every field, its default and its meaning."""
    table = {"task": task, "minutes": 10.0} | TASKS.get(task, {})
    recipe = _with_defaults(msgspec.convert(table, Recipe))
    rows = [(f.name, _toml(getattr(recipe, f.name)), _meaning(f.name)) for f in fields(Recipe)]
    wide = max(len(f"{name} = {value}") for name, value, _ in rows)
    lines = [f"{f'{name} = {value}'.ljust(wide)}  # {meaning}" for name, value, meaning in rows]
    return (
        "# A training, for `renderlift train --config FILE`. Every line may be left out.\n"
        + "\n".join(lines)
        + "\n"
    )


def to_toml(recipe: Recipe) -> str:
    """The recipe as a file that `read_recipe` takes."""
    return "".join(f"{name} = {_toml(value)}\n" for name, value in asdict(recipe).items())


def changed_fields(before: Recipe, after: Recipe) -> list[str]:
    """Fields that differ and that decide what is learned."""
    return [
        f.name for f in fields(Recipe) if f.name not in BUDGET and getattr(before, f.name) != getattr(after, f.name)
    ]


def _with_defaults(recipe: Recipe) -> Recipe:
    return replace(recipe, alpha=recipe.alpha or recipe.rank)


def _read_table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as problem:
        raise SetupError(
            f"{path} cannot be read: {problem.strerror}", fix="`renderlift train --example > my.toml` makes one."
        ) from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise SetupError(
            f"{path} is not TOML: {problem}", fix="Compare it with `renderlift train --example`."
        ) from None


def _meaning(name: str) -> str:
    return str(next(f.metadata["meaning"] for f in fields(Recipe) if f.name == name))


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(part) for part in value) + "]"
    return msgspec.json.encode(value).decode() if isinstance(value, str) else repr(value)
