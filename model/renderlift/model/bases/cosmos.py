"""Cosmos-Transfer 2.5, by the stock `Cosmos2_5_TransferPipeline`: control videos from the engine's buffers.

Inference only: the pipeline takes no LoRA. Its licence asks that the guardrail runs, so nothing here switches it
off. Two things the pipeline (diffusers 0.42) has no argument for are added here, as its publishers have them: a
window goes on from finished pictures, and several controls steer at once, each by its own net and weight.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from diffusers import Cosmos2_5_TransferPipeline, CosmosControlNetModel
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from renderlift.bridge.clip import Clip, Video
from renderlift.bridge.errors import RenderError, SetupError
from renderlift.model import control
from renderlift.model.bases.controls import control_video
from renderlift.model.bases.facts import BaseFacts
from renderlift.model.bases.prompts import PromptEncoder, no_words, prompts_for
from renderlift.model.bases.settings import Painter, Picture, RenderSettings
from renderlift.model.control import Fit

CHUNK_FRAMES = 93
SIZE_MULTIPLE = 16
TEXT_TOKENS = 512
NET = "controlnet"  # its folder, for whichever control; or with a control's name: controlnet_depth


class ControlNets(ModelMixin):  # type: ignore[misc]
    """Several control nets in the place of one; what they say is weighted and added, block by block."""

    def __init__(self, nets: Sequence[CosmosControlNetModel]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(cast(Sequence[nn.Module], nets))
        self.weights: Sequence[float] = ()
        self.further: Sequence[Tensor] = ()  # latents of the controls after the first, which the pipeline brings

    def forward(self, controls_latents: Tensor, conditioning_scale: float, **how: Any) -> tuple[list[Tensor]]:
        said: list[list[Tensor]] = []
        for net, latents, weight in zip(self.nets, (controls_latents, *self.further), self.weights, strict=True):
            said += net(controls_latents=latents, conditioning_scale=weight * conditioning_scale, **how)
        return ([torch.stack(block).sum(0) for block in zip(*said, strict=True)],)


def open_control_nets(folder: Path, names: Sequence[str], dtype: torch.dtype) -> list[CosmosControlNetModel]:
    """The nets of these controls; none where the one that the pipeline loads by itself does.

    Raises:
        SetupError: a control has no net.
    """
    own = {name: folder / f"{NET}_{name}" for name in names}
    lacking = [name for name, place in own.items() if not (place / "config.json").is_file()]
    if len(names) == 1 and lacking and (folder / NET).is_dir():
        return []
    if lacking:
        raise SetupError(
            f"{folder} has no control net for {' and '.join(lacking)}",
            fix=f"Fetch it into {own[lacking[0]]}: docs/bases.md says from where.",
        )
    return [
        CosmosControlNetModel.from_pretrained(place, dtype=dtype, use_safetensors=True, local_files_only=True)
        for place in own.values()
    ]


def painter(
    pipeline: Cosmos2_5_TransferPipeline,
    facts: BaseFacts,
    settings: RenderSettings,
    chunk_frames: int = CHUNK_FRAMES,
) -> Painter:
    """The function that paints clips with this pipeline; of known pictures it uses those that begin the clip."""
    encoder = PromptEncoder(pipeline)
    frames = _chunk(pipeline, chunk_frames)
    weights = list(settings.controls.values())

    def size(clip: Clip) -> Fit:
        return control.fitted(clip.height, clip.width, settings.working_pixels, SIZE_MULTIPLE)

    def show(clip: Clip) -> list[Video]:
        fit = size(clip)
        videos = (control_video(name, clip, fit.height, fit.width) for name in settings.controls)
        return [control.lengthened(control.laid_in(video, fit), frames) for video in videos]

    def paint(shown: Sequence[Video], clip: Clip, known: Mapping[int, Picture]) -> Tensor:
        if len(clip) > frames:
            raise SetupError(
                f"{facts.title} paints {frames} frames at once, not {len(clip)}", fix=f"Say --window {frames}."
            )
        fit = size(clip)
        first, *others = shown
        if others:
            nets = cast(ControlNets, pipeline.controlnet)
            nets.weights, nets.further = weights, [_encoded(pipeline, video) for video in others]
        with _going_on(pipeline, known, fit):
            painted = cast(Any, pipeline)(
                controls=control.to_pixels(first, cast(Any, pipeline.vae).device),
                controls_conditioning_scale=settings.reference_strength * (1.0 if others else weights[0]),
                **_prompt(pipeline, encoder, settings, clip),
                height=fit.padded_height,
                width=fit.padded_width,
                num_frames=frames,
                num_frames_per_chunk=frames,
                num_inference_steps=settings.steps,
                guidance_scale=settings.guidance,
                generator=torch.Generator().manual_seed(settings.seed),
                output_type="pt",
            )
        return control.cut_out(cast(Tensor, painted.frames)[0], fit, len(clip))

    return Painter(show, paint)


@contextmanager
def _going_on(pipeline: Cosmos2_5_TransferPipeline, known: Mapping[int, Picture], fit: Fit) -> Generator[None]:
    """Start from pictures that are finished: what the pipeline does after its own first chunk, before it.

    Of those at the beginning of the clip, as many as make whole latents are used.
    """
    ratio = int(pipeline.vae_scale_factor_temporal)
    beginning = next(place for place in range(len(known) + 1) if place not in known)
    latents = (beginning - 1) // ratio + 1
    if not latents:
        yield
        return
    pictures = [control.laid_in(known[place][None], fit) for place in range((latents - 1) * ratio + 1)]
    before = 2 * control.to_pixels(np.concatenate(pictures)).movedim(0, 1) - 1
    prepare = pipeline.prepare_latents

    def prepare_after(*, video: Tensor, num_cond_latent_frames: int, **how: Any) -> object:
        assert num_cond_latent_frames == 0  # of the first chunk, and no call here has another
        video = video.clone()
        video[:, :, : len(pictures)] = before.to(video)
        return prepare(video=video, num_cond_latent_frames=latents, **how)

    cast(Any, pipeline).prepare_latents = prepare_after
    try:
        yield
    finally:
        del cast(Any, pipeline).prepare_latents


@torch.no_grad()
def _encoded(pipeline: Cosmos2_5_TransferPipeline, video: Video) -> Tensor:
    """A control's latents, as the pipeline makes those of the one that it takes; without its sampling noise."""
    opened, place = cast(Any, pipeline), pipeline._execution_device
    pixels = 2 * control.to_pixels(video, place).movedim(0, 1)[None] - 1
    latents = opened.vae.encode(pixels.to(opened.vae.dtype)).latent_dist.mode()
    mean, std = (values.to(place, latents.dtype) for values in (opened.latents_mean, opened.latents_std))
    return ((latents - mean) / std).to(opened.transformer.dtype)


def _chunk(pipeline: Cosmos2_5_TransferPipeline, wanted: int) -> int:
    """The longest chunk up to `wanted` that the positions reach and the autoencoder gives back whole.

    From another length the pipeline would lose frames at the end.
    """
    config = cast(Any, pipeline.transformer).config
    longest = max(size // patch for size, patch in zip(config.max_size, config.patch_size, strict=True))
    ratio = int(pipeline.vae_scale_factor_temporal)
    return (min(wanted, longest) - 1) // ratio * ratio + 1


def _prompt(
    pipeline: Cosmos2_5_TransferPipeline, encoder: PromptEncoder, settings: RenderSettings, clip: Clip
) -> dict[str, Any]:
    guided = settings.guidance > 1
    if encoder.reads_text:
        told = prompts_for(clip, settings)
        _refuse_unsafe(pipeline, told[0])
        words, opposite = encoder(*told, guided)
    else:
        transformer = cast(Any, pipeline.transformer)
        config = transformer.config
        uses_projection = bool(config.use_crossattn_projection)
        channels = config.crossattn_proj_in_channels if uses_projection else config.text_embed_dim
        words = no_words(TEXT_TOKENS, int(channels), pipeline._execution_device, transformer.dtype)
        opposite = words if guided else None
    return {"prompt_embeds": words, "negative_prompt_embeds": opposite}


def _refuse_unsafe(pipeline: Cosmos2_5_TransferPipeline, prompt: str) -> None:
    """What the pipeline does with words; it is given them encoded, and could not."""
    if not cast(Any, pipeline).safety_checker.check_text_safety(prompt):
        raise RenderError(f"the guardrail of Cosmos refuses the prompt {prompt!r}", fix="Describe it otherwise.")
