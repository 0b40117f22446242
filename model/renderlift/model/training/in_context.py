"""What differs between the bases that are taught, as functions: LTX-2's kind, Wan's and VACE's side by side.

Everything else of a training (clips, noise, loss, checkpoints, card) is the same for all. Latents are normalised
and of shape (B, C, t, h, w) throughout; how a transformer wants them packed is its own affair.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from renderlift.bridge.clip import Video
from renderlift.bridge.errors import SetupError
from renderlift.model import packing
from renderlift.model.bases import wan_packing, wan_vace
from renderlift.model.bases.facts import EMBEDDED, LTX2, WAN, WAN_VACE, BaseFacts
from renderlift.model.bases.prompts import no_words
from renderlift.model.bases.wan import TEXT_TOKENS
from renderlift.model.control import SIZE_MULTIPLE, to_video
from renderlift.model.packing import Context, empty_context
from renderlift.model.training.flow import NoiseLevels, Velocity, noise_levels, shifted
from renderlift.model.training.plan import Grid
from renderlift.model.training.strip import decode

Words = Mapping[str, Tensor]  # what a transformer is told: name to (B, tokens, C)
Constants = Mapping[str, Tensor]  # what it is shown with every clip: name to (1, C, t, h, w)


@dataclass(frozen=True)
class InContext:
    """How one kind of base is taught."""

    grid: Callable[[Any, Any], Grid]  # of its autoencoder and a denoiser; skeletons will do
    encode: Callable[[Any, Tensor], Tensor]  # autoencoder, (B, 3, T, H, W) in [-1, 1]
    decode: Callable[[Any, Tensor], Video]  # autoencoder, (1, C, t, h, w)
    words: Callable[[Any, Any, str], Words]  # pipeline of the text parts, a denoiser's skeleton, prompt
    velocity: Callable[[Any, Words, Constants], Velocity]  # of a denoiser
    levels: Callable[..., NoiseLevels]  # of its scheduler, as flow.noise_levels
    smaller_references: bool  # whether it can place references of another size
    # Autoencoder, and (T, H, W) of the clips in pixels.
    constants: Callable[[Any, tuple[int, int, int]], Constants] = lambda autoencoder, shape: {}


def kind_of(facts: BaseFacts) -> InContext:
    """How a base is taught.

    Raises:
        SetupError: it cannot be.
    """
    if facts.name in (EMBEDDED.name, LTX2.name):
        return OF_LTX2
    if facts.name == WAN.name:
        return OF_WAN
    if facts.name == WAN_VACE.name:
        return OF_VACE
    raise SetupError(
        f"{facts.title} takes no adapters, so there is none to train",
        fix="Train on LTX-2, Wan or Wan VACE; steer this one with its control and its strength.",
    )


def ltx2_grid(autoencoder: Any, denoiser: Any) -> Grid:
    """How LTX-2 and the embedded base turn pixels into tokens."""
    ratio, config = int(autoencoder.spatial_compression_ratio), denoiser.config
    return Grid(
        int(autoencoder.temporal_compression_ratio),
        ratio,
        config.num_attention_heads * config.attention_head_dim,
        config.num_layers,
        max(SIZE_MULTIPLE, ratio),
    )


def ltx2_velocity(transformer: Any, words: Words, constants: Constants) -> Velocity:
    """Of clips, by an LTX-2 transformer."""
    context = Context(words["video"], words["audio"])

    def velocity(noisy: Tensor, sigma: Tensor, references: Sequence[Tensor]) -> Tensor:
        shown = [packing.pack(reference) for reference in references]
        predicted = packing.velocity(transformer, packing.pack(noisy), sigma, shown, context)
        return packing.unpack(predicted, noisy)

    return velocity


def ltx2_words(pipeline: Any, denoiser: Any, prompt: str) -> Words:
    """The connectors' output for a prompt, or for a base without a text encoder for none."""
    if pipeline.text_encoder is None:
        context = empty_context(pipeline)
        return {"video": context.video, "audio": context.audio}
    embeds, mask, _, _ = pipeline.encode_prompt(prompt, do_classifier_free_guidance=False)
    video, audio, _ = pipeline.connectors(embeds, mask, padding_side=pipeline.tokenizer_padding_side)
    return {"video": video, "audio": audio}


def wan_grid(autoencoder: Any, denoiser: Any) -> Grid:
    """How Wan turns pixels into tokens: its transformer folds 2 x 2 latents into one."""
    config = denoiser.config
    ratio = int(autoencoder.config.scale_factor_spatial) * int(config.patch_size[1])
    return Grid(
        int(autoencoder.config.scale_factor_temporal),
        ratio,
        config.num_attention_heads * config.attention_head_dim,
        config.num_layers,
        ratio,
    )


def wan_velocity(transformer: Any, words: Words, constants: Constants) -> Velocity:
    """Of clips, by a Wan transformer with references as further frames."""

    def velocity(noisy: Tensor, sigma: Tensor, references: Sequence[Tensor]) -> Tensor:
        text = words["text"].expand(len(noisy), -1, -1)
        return wan_packing.velocity(transformer, noisy, sigma, references, text)

    return velocity


def vace_grid(autoencoder: Any, denoiser: Any) -> Grid:
    """As Wan's; the blocks that read the control are as wide, and have as many tokens."""
    grid = wan_grid(autoencoder, denoiser)
    return replace(grid, layers=grid.layers + len(denoiser.config.vace_layers))


def vace_constants(autoencoder: Any, shape: tuple[int, int, int]) -> Constants:
    """What stands in VACE's control where no picture is known: latents of mid-grey."""
    with torch.no_grad():
        grey = torch.zeros(1, 3, *shape, device=autoencoder.device)
        return {"blank": wan_packing.encode(autoencoder, grey)}


def vace_velocity(transformer: Any, words: Words, constants: Constants) -> Velocity:
    """Of clips, by a VACE transformer, whose one reference is the control."""

    def velocity(noisy: Tensor, sigma: Tensor, references: Sequence[Tensor]) -> Tensor:
        (control,) = references
        text, blank = (t.expand(len(noisy), *t.shape[1:]) for t in (words["text"], constants["blank"]))
        return wan_vace.velocity(transformer, noisy, sigma, control, blank, text)

    return velocity


def wan_words(pipeline: Any, denoiser: Any, prompt: str) -> Words:
    """The text encoder's output, or zeros for a base without one."""
    if pipeline.text_encoder is None:
        channels = int(denoiser.config.text_dim)
        return {"text": no_words(TEXT_TOKENS, channels, torch.device("cpu"), torch.float32)}
    return {"text": pipeline.encode_prompt(prompt, do_classifier_free_guidance=False)[0]}


def wan_decode(autoencoder: Any, latents: Tensor) -> Video:
    """(1, C, t, h, w) to (T, H, W, 3) uint8."""
    with torch.no_grad():
        pixels = wan_packing.decode(autoencoder, latents)[0].permute(1, 0, 2, 3)
    return to_video(pixels.float() / 2 + 0.5)


def wan_levels(scheduler: Any, target_tokens: int, *, sampled_steps: int, sampled_share: float) -> NoiseLevels:
    """Along the scheduler's fixed shift; what sampling visits, the scheduler itself tells."""
    config = scheduler.config
    shift = float(config.get("flow_shift") or config.get("shift") or 1.0)
    sampling = copy.deepcopy(scheduler)
    sampling.set_timesteps(sampled_steps)
    visited = cast(Tensor, sampling.sigmas[:-1]).float().clamp(max=1.0)
    return NoiseLevels(lambda sigma: shifted(sigma, shift), visited, sampled_share)


OF_LTX2 = InContext(
    ltx2_grid,
    packing.encode,
    decode,
    ltx2_words,
    ltx2_velocity,
    noise_levels,
    smaller_references=True,
)
OF_WAN = InContext(
    wan_grid,
    wan_packing.encode,
    wan_decode,
    wan_words,
    wan_velocity,
    wan_levels,
    smaller_references=False,
)
OF_VACE = replace(OF_WAN, grid=vace_grid, velocity=vace_velocity, constants=vace_constants)
