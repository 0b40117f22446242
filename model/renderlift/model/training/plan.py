"""What a training will do, said before it does anything heavy."""

from dataclasses import dataclass

from torch import nn

from renderlift.bridge.errors import SetupError
from renderlift.model.control import working_size
from renderlift.model.training.dataset import Survey
from renderlift.model.training.latents import Sizes
from renderlift.model.training.recipe import Recipe

# Bytes that a transformer layer keeps per token and unit of width for its backward pass in bf16:
# Korthikanti et al. 2022 (arXiv 2205.05198), equation 2 without the attention matrix, which
# fused attention does not keep, plus a second attention over the prompt.
LAYER_BYTES = 34 + 14
CHECKPOINTED_BYTES = 2  # with gradient checkpointing: a layer's input
STATE_BYTES = 5 * 4  # per trained parameter: weight, gradient, two moments, average


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
    tokens: int  # of target and all references
    parameters: int
    trained: int
    memory_bytes: int  # 0 = not estimated


@dataclass(frozen=True)
class Grid:
    """How a base turns pixels into tokens, and how it is built."""

    temporal_ratio: int
    spatial_ratio: int
    width: int  # of its hidden states
    layers: int


def choose_sizes(survey: Survey, recipe: Recipe, pixels: int, grid: Grid) -> Sizes:
    """Sizes in pixels to train at: near `pixels` in area, in the shape of the dataset.

    Raises:
        SetupError: the references' grid would not fit the target's.
    """
    scene = survey.train[0]
    height, width = working_size(scene.height, scene.width, pixels)
    factor = recipe.reference_downscale
    if height % (factor * grid.spatial_ratio) or width % (factor * grid.spatial_ratio):
        raise SetupError(
            f"references at 1/{factor} of {width}x{height} are off the base's grid of {grid.spatial_ratio} px",
            fix=f"Use reference_downscale = 1, or a working_pixels whose sides divide by "
            f"{factor * grid.spatial_ratio}.",
        )
    return Sizes(height, width, factor)


def make_plan(survey: Survey, recipe: Recipe, sizes: Sizes, grid: Grid, module: nn.Module) -> Plan:
    """The plan, with an estimate of the memory that a device needs."""
    parameters = sum(p.numel() for p in module.parameters())
    trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
    weights_bytes = sum(p.numel() * p.element_size() for p in module.parameters())
    frames = (recipe.frames - 1) // grid.temporal_ratio + 1
    target = frames * (sizes.height // grid.spatial_ratio) * (sizes.width // grid.spatial_ratio)
    tokens = target + len(recipe.references) * target // sizes.downscale**2
    row = recipe.batch * tokens * grid.width
    kept = row * grid.layers * (CHECKPOINTED_BYTES if recipe.gradient_checkpointing else LAYER_BYTES)
    return Plan(
        scenes=len(survey.train),
        windows=survey.windows,
        clips=survey.windows * recipe.variants,
        held_out=len(survey.held_out),
        frames=recipe.frames,
        height=sizes.height,
        width=sizes.width,
        tokens=tokens,
        parameters=parameters,
        trained=trained,
        memory_bytes=weights_bytes + trained * STATE_BYTES + kept + row * LAYER_BYTES if grid.layers else 0,
    )


def plan_text(plan: Plan, recipe: Recipe) -> str:
    """The plan in a few lines."""
    end = f"{recipe.steps} steps" if recipe.steps else f"{recipe.minutes:g} minutes"
    shown = " + ".join(recipe.references)
    lines = [
        f"{recipe.task}: {shown} to {recipe.target}, for {end}.",
        f"  pairs: {plan.scenes} scenes, {plan.windows} stretches of {plan.frames} frames, {plan.clips} clips at "
        f"{plan.width}x{plan.height}; {plan.held_out} scenes held out to measure on",
        f"  model: {plan.trained / 1e6:.2f} M of {plan.parameters / 1e6:.1f} M parameters train, in batches of "
        f"{recipe.batch}",
    ]
    if plan.memory_bytes:
        lines.append(
            f"  memory: about {_size(plan.memory_bytes)} beside the program, for {plan.tokens} tokens a clip"
        )
    return "\n".join(lines)


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
