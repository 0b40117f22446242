"""What a training will do, said before it does anything heavy."""

import math
from dataclasses import dataclass
from typing import Literal

from torch import nn

from renderlift.bridge.errors import SetupError
from renderlift.model.control import SIZE_MULTIPLE
from renderlift.model.presets import is_quantisable
from renderlift.model.training.dataset import Survey
from renderlift.model.training.latents import Sizes
from renderlift.model.training.recipe import Recipe

# Bytes that a transformer layer keeps per token and unit of width for its backward pass in bf16:
# Korthikanti et al. 2022 (arXiv 2205.05198), equation 2 without the attention matrix, which
# fused attention does not keep, plus a second attention over the prompt.
LAYER_BYTES = 34 + 14
CHECKPOINTED_BYTES = 2  # with gradient checkpointing: a layer's input
STATE_BYTES = 5 * 4  # per trained parameter: weight, gradient, two moments, average
INT8_BYTES = 1.05  # per quantised weight, with its scales
SPARE_SHARE = 0.9  # of a GPU's memory is counted on; the rest is the allocator's and the driver's

Memory = Literal["full", "low"]
DOES = {
    "full": "all on the device, each step in one go",
    "low": "clip by clip, layers recomputed, {weights}what does not learn off the GPU",
}


@dataclass(frozen=True)
class Plan:
    """The size of a training."""

    scenes: int
    windows: int
    clips: int  # windows times variants
    held_out: int
    frames: int
    height: int
    width: int
    pairs_height: int  # of the pictures that the clips are made of
    pairs_width: int
    tokens: int  # of target and all references
    parameters: int
    trained: int
    memory: Memory
    memory_bytes: int  # with it; 0 = not estimated
    full_bytes: int  # without saving any
    low_bytes: int  # with memory = low; 0 = there is no such way
    state_bytes: int  # of weights, and of what learning them takes: at least so much
    available_bytes: int  # on the GPU; 0 = there is none


@dataclass(frozen=True)
class Grid:
    """How a base turns pixels into tokens, and how it is built."""

    temporal_ratio: int
    spatial_ratio: int  # pixels to a token, across and down
    width: int  # of its hidden states
    layers: int
    multiple: int = SIZE_MULTIPLE  # heights and widths are multiples of it


@dataclass(frozen=True)
class Counts:
    """The parameters of what is trained, and of what must be there for it."""

    parameters: int
    trained: int
    bytes: int  # of all weights
    largest: int = 0  # parameters of the largest denoiser; 0 = there is no low-memory way


def count(module: nn.Module) -> Counts:
    """Of a module that trains where it is."""
    every = list(module.parameters())
    return Counts(
        sum(p.numel() for p in every),
        sum(p.numel() for p in every if p.requires_grad),
        sum(p.numel() * p.element_size() for p in every),
    )


def choose_sizes(survey: Survey, recipe: Recipe, grid: Grid, pixels: int, *, stretches: bool = True) -> Sizes:
    """Sizes in pixels to train at: near `pixels` in area, in the shape of the dataset.

    Args:
        stretches: to `pixels` also where the dataset is smaller.

    Raises:
        SetupError: the references' grid would not fit the target's.
    """
    scene, factor = survey.train[0], recipe.reference_downscale
    if recipe.working_pixels or stretches:
        height, width = near(scene.height, scene.width, recipe.working_pixels or pixels, grid.multiple)
    else:
        area = min(pixels, scene.height * scene.width)
        height, width = near(scene.height, scene.width, area, grid.multiple * factor)
    if height % (factor * grid.spatial_ratio) or width % (factor * grid.spatial_ratio):
        raise SetupError(
            f"references at 1/{factor} of {width}x{height} are off the base's grid of {grid.spatial_ratio} px",
            fix=f"Use reference_downscale = 1, or a working_pixels whose sides divide by "
            f"{factor * grid.spatial_ratio}.",
        )
    return Sizes(height, width, factor)


def near(height: int, width: int, pixels: int, multiple: int) -> tuple[int, int]:
    """(height, width) in multiples of `multiple`, near `pixels` in area and of the same aspect."""
    scale = math.sqrt(pixels / (height * width))
    sides = (max(multiple, round(side * scale / multiple) * multiple) for side in (height, width))
    return next(sides), next(sides)


def make_plan(
    survey: Survey, recipe: Recipe, sizes: Sizes, grid: Grid, counts: Counts, available_bytes: float = 0.0
) -> Plan:
    """The plan, with an estimate of the memory that a device needs, and whether to save some.

    Args:
        available_bytes: of the GPU; 0 = there is none, and nothing is saved unless the recipe says so.
    """
    frames = (recipe.frames - 1) // grid.temporal_ratio + 1
    target = frames * (sizes.height // grid.spatial_ratio) * (sizes.width // grid.spatial_ratio)
    tokens = target + len(recipe.references) * target // sizes.downscale**2
    full = _full_bytes(recipe, grid, counts, tokens)
    low = _low_bytes(grid, counts, tokens) if counts.largest else 0
    memory: Memory = "full"
    if counts.largest and (recipe.memory == "low" or 0 < SPARE_SHARE * available_bytes < full):
        memory = "full" if recipe.memory == "full" else "low"
    return Plan(
        scenes=len(survey.train),
        windows=survey.windows,
        clips=survey.windows * recipe.variants,
        held_out=len(survey.held_out),
        frames=recipe.frames,
        height=sizes.height,
        width=sizes.width,
        pairs_height=survey.train[0].height,
        pairs_width=survey.train[0].width,
        tokens=tokens,
        parameters=counts.parameters,
        trained=counts.trained,
        memory=memory,
        memory_bytes=low if memory == "low" else full,
        full_bytes=full,
        low_bytes=low,
        state_bytes=_state_bytes(counts),
        available_bytes=int(available_bytes),
    )


def _full_bytes(recipe: Recipe, grid: Grid, counts: Counts, tokens: int) -> int:
    if not grid.layers:
        return 0
    row = recipe.batch * tokens * grid.width
    kept = row * grid.layers * (CHECKPOINTED_BYTES if recipe.gradient_checkpointing else LAYER_BYTES)
    return _state_bytes(counts) + kept + row * LAYER_BYTES


def _state_bytes(counts: Counts) -> int:
    return counts.bytes + counts.trained * STATE_BYTES


def _low_bytes(grid: Grid, counts: Counts, tokens: int) -> int:
    """One denoiser on the device, one clip at a time, every layer recomputed."""
    row = tokens * grid.width
    weights = counts.largest * (INT8_BYTES if is_quantisable() else counts.bytes / counts.parameters)
    return int(weights + counts.trained * STATE_BYTES + row * (grid.layers * CHECKPOINTED_BYTES + LAYER_BYTES))


def plan_text(plan: Plan, recipe: Recipe) -> str:
    """The plan in a few lines."""
    end = f"{recipe.steps} steps" if recipe.steps else f"{recipe.minutes:g} minutes"
    shown = " + ".join(recipe.shown)
    lines = [
        f"{recipe.task}: {shown} to {recipe.target}, for {end}.",
        f"  pairs: {plan.scenes} scenes, {plan.windows} stretches of {plan.frames} frames, {plan.clips} clips at "
        f"{plan.width}x{plan.height}; {plan.held_out} scenes held out to measure on",
        *_why_so_large(plan, recipe),
        f"  model: {plan.trained / 1e6:.2f} M of {plan.parameters / 1e6:.1f} M parameters train, in batches of "
        f"{recipe.batch}",
    ]
    if plan.memory_bytes:
        lines.append(
            f"  memory: about {_size(plan.memory_bytes)} beside the program, for {plan.tokens} tokens a clip"
        )
        lines += _why(plan, recipe)
    else:
        least = _size(plan.state_bytes)
        lines.append(f"  memory: {least} for weights and what learns them; how much clips add was not estimated")
    lines += _without_gpu(plan)
    return "\n".join(lines)


def _why_so_large(plan: Plan, recipe: Recipe) -> list[str]:
    """Where pairs are enlarged, which gains them no detail."""
    if plan.height * plan.width <= plan.pairs_height * plan.pairs_width:
        return []
    area = "working_pixels" if recipe.working_pixels else "the area that the base paints at, here and in `enhance`"
    return [f"  the pairs are {plan.pairs_width}x{plan.pairs_height}: they are enlarged to {area}"]


def _without_gpu(plan: Plan) -> list[str]:
    if plan.available_bytes:
        return []
    needs = ""
    if plan.full_bytes:
        ways = [(plan.full_bytes, "memory = full"), (plan.low_bytes, "memory = low")]
        told = [f"{_size(needed / SPARE_SHARE)} for {way}" for needed, way in ways if needed]
        needs = f"; one would need {' or '.join(told)}"
    return [f"  there is no CUDA GPU in use here{needs}"]


def _why(plan: Plan, recipe: Recipe) -> list[str]:
    """Why memory is saved or not, where there is something to say."""
    there = f"the GPU has {_size(plan.available_bytes)}"
    lines: list[str] = []
    if plan.memory == "low":
        does = DOES["low"].format(weights="weights in int8, " if is_quantisable() else "")
        wanted = f"full needs {_size(plan.full_bytes)}" + (f", and {there}" if plan.available_bytes else "")
        reason = "as the recipe says" if recipe.memory == "low" else wanted
        lines.append(f"  memory = low ({reason}): {does}")
    elif plan.available_bytes:
        lines.append(f"  memory = full ({there}): {DOES['full']}")
    if 0 < SPARE_SHARE * plan.available_bytes < plan.memory_bytes:
        lines.append(f"  this may not fit: {there}. Lower frames, working_pixels or rank if it does not.")
    return lines


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
