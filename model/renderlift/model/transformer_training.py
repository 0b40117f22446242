"""What the transformer is trained to do: the base on every in-context task, the lift on one.

Flow matching (Lipman et al. 2023, arXiv 2210.02747): a clean latent is mixed with noise at level
sigma and the model predicts the velocity, noise minus clean. References enter clean at timestep 0
and carry no loss. The base learns to use a reference of any kind, and to do without; the adapter
then says which picture is wanted: the photo of what the reference renders.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import LTX2VideoTransformer3DModel
from torch import Tensor

from renderlift.model.packing import Context, Tokens, pack, velocity

# Sampling visits these noise levels in four steps, so half of the training does too.
VISITED_SIGMAS = (1.0, 0.75, 0.5, 0.25)


@dataclass(frozen=True)
class Task:
    """Paint `target` from `reference` (None: from nothing), drawn with `weight`."""

    reference: str | None
    target: str
    weight: float


# "rgb" is the render, "truth" its path-traced photo, "albedo" the unlit base colour.
BASE_TASKS = (
    Task("rgb", "truth", 0.50),
    Task("albedo", "truth", 0.18),
    Task(None, "truth", 0.12),
    Task("rgb", "rgb", 0.12),
    Task("truth", "truth", 0.08),
)
LIFT_TASKS = (Task("rgb", "truth", 0.97), Task(None, "truth", 0.03))


def draw_task(tasks: Sequence[Task]) -> Task:
    """One task, by weight."""
    weights = torch.tensor([task.weight for task in tasks])
    return tasks[int(torch.multinomial(weights, 1))]


def flow_loss(
    transformer: LTX2VideoTransformer3DModel,
    context: Context,
    target: Tensor,
    reference: Tensor | None,
    importance: Tensor | None = None,
) -> Tensor:
    """Mean squared error of the predicted velocity, on the target tokens only.

    Args:
        target: clean normalised latents (B, C, t, h, w).
        reference: those of the reference, or None.
        importance: (C,) weight of each latent channel, from `autoencoder_training.latent_importance`.
    """
    clean = pack(target)
    sigma = draw_sigmas(len(target))
    noise = torch.randn_like(clean.values)
    level = sigma.view(-1, 1, 1)
    noisy = Tokens((1 - level) * clean.values + level * noise, clean.frames, clean.height, clean.width)
    references = [] if reference is None else [pack(reference)]
    with torch.autocast(target.device.type, torch.bfloat16):
        predicted = velocity(transformer, noisy, sigma, references, context)
    error = (predicted.float() - (noise - clean.values)).square()
    return error.mean() if importance is None else (error * importance).mean()


def draw_sigmas(count: int) -> Tensor:
    """(count,) noise levels: half among those that sampling visits, half uniform in (0.02, 1)."""
    visited = torch.tensor(VISITED_SIGMAS)[torch.randint(0, len(VISITED_SIGMAS), (count,))]
    return torch.where(torch.rand(count) < 0.5, visited, 0.02 + 0.98 * torch.rand(count))
