"""One step of flow matching for an adapter: noise on the target, references clean, loss on the target.

Flow matching: Lipman et al. 2023, arXiv 2210.02747. In-context references at timestep 0 that share
positions with the target: IC-LoRA as LTX-2 and RealMaster (arXiv 2603.23462) train it.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from diffusers.pipelines.ltx2.pipeline_ltx2_ic_lora import calculate_shift
from torch import Tensor

# The velocity (noise minus clean) of the target's latents (B, C, t, h, w): noisy, sigma (B,), clean references.
Velocity = Callable[[Tensor, Tensor, Sequence[Tensor]], Tensor]

SMALLEST_SIGMA = 0.02  # below it a picture is as good as clean, and its velocity mostly noise


@dataclass(frozen=True)
class NoiseLevels:
    """Where on the way from noise to picture a base is trained: along its own shift."""

    shift: Callable[[Tensor], Tensor]  # sigma in equal steps to the base's own
    sampled: Tensor  # (n,) levels that sampling in n steps visits, from 1 down
    sampled_share: float

    def draw(self, count: int, within: tuple[float, float] = (0.0, 1.0)) -> Tensor:
        """(count,) levels in (0, 1], or in [low, high) of `within`, where 1 counts as below it."""
        low, high = within
        drawn = self._draw(count)
        while (outside := (drawn < low) | ((drawn >= high) & (high < 1))).any():
            drawn = torch.where(outside, self._draw(count), drawn)
        return drawn

    def _draw(self, count: int) -> Tensor:
        anywhere = self.shift(SMALLEST_SIGMA + (1 - SMALLEST_SIGMA) * torch.rand(count))
        chosen = self.sampled[torch.randint(0, len(self.sampled), (count,))]
        return torch.where(torch.rand(count) < self.sampled_share, chosen, anywhere)


def noise_levels(scheduler: Any, target_tokens: int, *, sampled_steps: int, sampled_share: float) -> NoiseLevels:
    """The levels of a base, from its scheduler's settings.

    A base that shifts by the number of tokens is asked for those of the target alone: references
    carry no noise, so they make the picture no larger.
    """

    def shift(sigma: Tensor) -> Tensor:
        config = scheduler.config
        if not config.use_dynamic_shifting:
            return shifted(sigma, config.shift)
        mu = calculate_shift(
            target_tokens,
            config.get("base_image_seq_len", 1024),
            config.get("max_image_seq_len", 4096),
            config.get("base_shift", 0.95),
            config.get("max_shift", 2.05),
        )
        return cast(Tensor, scheduler.time_shift(mu, 1.0, sigma))

    sampled = shift(torch.linspace(1, 1 / sampled_steps, sampled_steps))
    if scheduler.config.shift_terminal and sampled_steps > 1:
        sampled = cast(Tensor, scheduler.stretch_shift_to_terminal(sampled))
    return NoiseLevels(shift, sampled, sampled_share)


def shifted(sigma: Tensor, shift: float) -> Tensor:
    """Equal steps of noise moved towards noise, as a scheduler of this shift does."""
    return shift * sigma / (1 + (shift - 1) * sigma)


def flow_loss(
    velocity: Velocity,
    target: Tensor,
    references: Sequence[Tensor],
    sigma: Tensor,
    *,
    weights: Tensor | None = None,
    bfloat16: bool = True,
) -> Tensor:
    """Mean squared error of the predicted velocity, on the target alone.

    Args:
        target: clean normalised latents (B, C, t, h, w).
        references: those of each reference, of the same or a coarser grid.
        sigma: (B,) noise level of each clip.
        weights: (C,) of each latent channel, 1 on average; None = all 1.
        bfloat16: compute in it; the loss itself is float32.
    """
    noise = noise_like(target)
    sigma = sigma.to(target.device)
    level = sigma.view(-1, 1, 1, 1, 1)
    with warnings.catch_warnings(), torch.autocast(target.device.type, torch.bfloat16, enabled=bfloat16):
        # Said once of a base whose own float32 weights train: its norms take the slower way.
        warnings.filterwarnings("ignore", "Mismatch dtype between input and weight")
        predicted = velocity((1 - level) * target + level * noise, sigma, references)
    error = (predicted.float() - (noise - target)).square()
    return (error if weights is None else error * weights.view(-1, 1, 1, 1)).mean()


def noise_like(latents: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Noise for latents (B, C, t, h, w), drawn on the CPU token by token: the same on every device."""
    batch, channels, *places = latents.shape
    count = places[0] * places[1] * places[2]
    tokens = torch.randn((batch, count, channels), generator=generator)
    return tokens.transpose(1, 2).reshape(latents.shape).to(latents.device)


def drop_references(names: Sequence[str], share: float) -> list[str]:
    """The names that are shown in this step: each is left out `share` of the time."""
    kept = torch.rand(len(names)) >= share
    return [name for name, keep in zip(names, kept.tolist(), strict=True) if keep]


@torch.no_grad()
def sample(
    velocity_at: Callable[[float], Velocity],
    levels: Tensor,
    references: Sequence[Tensor],
    target: Tensor,
    *,
    seed: int = 0,
    bfloat16: bool = True,
) -> Tensor:
    """Paint from noise, in Euler steps, for a look during training.

    Args:
        velocity_at: noise level to what predicts there: a base may have several experts.
        levels: (n,) noise levels from 1 down.
        references: latents of each reference.
        target: latents of the size wanted (1, C, t, h, w); only their shape is used.

    Returns:
        Normalised latents (1, C, t, h, w).
    """
    values = noise_like(target, torch.Generator().manual_seed(seed))
    for now, after in zip(levels.tolist(), [*levels.tolist()[1:], 0.0], strict=True):
        sigma = torch.full((len(values),), now, device=target.device)
        with torch.autocast(target.device.type, torch.bfloat16, enabled=bfloat16):
            predicted = velocity_at(now)(values, sigma, references)
        values = values + (after - now) * predicted.float()
    return values
