"""Train an IC-LoRA on a base from cached latents."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import LTX2InContextPipeline, LTX2VideoTransformer3DModel
from torch import Tensor

from renderlift.model import lora
from renderlift.model.control import resize
from renderlift.model.device import pick_dtype
from renderlift.model.packing import Context, empty_context
from renderlift.model.render import find_base, load_base
from renderlift.model.training.flow import NoiseLevels, drop_references, flow_loss, noise_levels, sample
from renderlift.model.training.latents import Latents
from renderlift.model.training.measure import adapter_renders
from renderlift.model.training.plan import Grid
from renderlift.model.training.recipe import Recipe
from renderlift.model.training.stage import NOT_BEGUN, Outcome, Stage, Work
from renderlift.model.training.strip import channel_weights, decode, save_strip, strip, unpack

ADAPTER = "in_context"  # its name inside the running model; the file does not keep it
WEIGHED = 3  # clips that latent channels are weighed on


@dataclass(frozen=True)
class Bench:
    """A base made ready to train an adapter on."""

    pipeline: LTX2InContextPipeline
    context: Context
    bfloat16: bool

    @property
    def transformer(self) -> LTX2VideoTransformer3DModel:
        return cast(LTX2VideoTransformer3DModel, self.pipeline.transformer)


def grid_of(pipeline: LTX2InContextPipeline) -> Grid:
    """How this base packs pixels, and its size."""
    config = cast(Any, pipeline.transformer).config
    return Grid(
        int(pipeline.vae_temporal_compression_ratio),
        int(pipeline.vae_spatial_compression_ratio),
        config.num_attention_heads * config.attention_head_dim,
        config.num_layers,
    )


def make_bench(pipeline: LTX2InContextPipeline, recipe: Recipe, device: torch.device) -> Bench:
    """Move a base to its device, read the prompt once, and put a trainable adapter on it."""
    bfloat16 = pipeline.transformer.dtype == torch.bfloat16
    cast(Any, pipeline).to(device)
    for part in (pipeline.transformer, pipeline.vae):
        for parameter in cast(Any, part).parameters():
            # Loaded weights are a mapped file; a long training must survive that file being replaced.
            parameter.data = parameter.data.clone()
    with torch.no_grad():
        context = read_prompt(pipeline, recipe.prompt)
    # The text encoder of a large base is as heavy as the base, and its work is done.
    cast(Any, pipeline).text_encoder = None
    transformer = cast(LTX2VideoTransformer3DModel, pipeline.transformer)
    torch.manual_seed(recipe.seed)
    lora.attach(transformer, rank=recipe.rank, alpha=recipe.alpha, name=ADAPTER)
    for parameter in transformer.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()  # small steps vanish in bf16
    if recipe.gradient_checkpointing:
        transformer.enable_gradient_checkpointing()
    return Bench(pipeline, context, bfloat16)


def read_prompt(pipeline: LTX2InContextPipeline, prompt: str) -> Context:
    """What the transformer is told: the prompt, or for a base without a text encoder nothing."""
    if cast(Any, pipeline).text_encoder is None:
        return empty_context(pipeline)
    embeds, mask, _, _ = pipeline.encode_prompt(prompt, do_classifier_free_guidance=False)
    side = cast(Any, pipeline).tokenizer_padding_side
    video, audio, _ = pipeline.connectors(embeds, mask, padding_side=side)
    return Context(video, audio)


def adapter_loss(bench: Bench, latents: Latents, recipe: Recipe, levels: NoiseLevels) -> Callable[[int], Tensor]:
    """The loss of a step: draws clips, references and noise from torch's generator."""
    device = bench.context.video.device
    weights = weights_of(bench.pipeline, latents, recipe, device)

    def loss(_: int) -> Tensor:
        numbers = torch.randint(0, len(latents), (recipe.batch,)).tolist()
        batch = latents.batch(numbers, device)
        shown = drop_references([n for n in recipe.references if n in batch], recipe.reference_dropout)
        sigma = levels.draw(recipe.batch)
        return flow_loss(
            bench.transformer,
            bench.context,
            batch[recipe.target],
            [batch[name] for name in shown],
            sigma,
            weights=weights,
            bfloat16=bench.bfloat16,
        )

    return loss


def weights_of(
    pipeline: LTX2InContextPipeline, latents: Latents, recipe: Recipe, device: torch.device
) -> Tensor | None:
    """(C,) weight of each latent channel in the loss, if the recipe wants them weighed."""
    if not recipe.weigh_channels:
        return None
    tried = [latents.batch([number], device)[recipe.target] for number in spread(len(latents), WEIGHED)]
    return channel_weights(pipeline.vae, tried).to(device)


def spread(length: int, count: int) -> list[int]:
    """Up to `count` numbers below `length`, evenly."""
    return [i * length // min(count, length) for i in range(min(count, length))]


def levels_of(bench: Bench, recipe: Recipe, target: Tensor) -> NoiseLevels:
    """The base's noise levels for a target of this shape (..., C, t, h, w)."""
    return noise_levels(
        bench.pipeline.scheduler,
        target.shape[-3:].numel(),
        sampled_steps=recipe.sampled_steps,
        sampled_share=recipe.sampled_share,
    )


def open_adapter(recipe: Recipe, device: torch.device) -> Work:
    """A base with a new adapter on it.

    Raises:
        SetupError: no such base.
    """
    pipeline = load_base(recipe.base, pick_dtype(recipe.precision, device))
    grid = grid_of(pipeline)
    bench = make_bench(pipeline, recipe, device)
    return Work(bench.transformer, grid, lambda stage: train_adapter(stage, bench))


def train_adapter(stage: Stage, bench: Bench) -> Outcome:
    """Train until the budget is spent or `stage.stop` says so; writes the adapter to the output folder."""
    recipe = stage.recipe
    latents, shown = stage.encode(bench.pipeline.vae)
    if stage.stop():
        return NOT_BEGUN
    levels = levels_of(bench, recipe, latents.clip(0)[recipe.target])

    def show(step: int) -> None:
        if stage.journal and len(shown):
            picture = strip([_strip_row(bench, shown, number, recipe, levels) for number in range(len(shown))])
            save_strip(picture, stage.output / "training" / "strip.jpg")
            stage.journal.picture(picture, step)

    fitted = stage.fit(bench.transformer, adapter_loss(bench, latents, recipe, levels), show)
    show(fitted.step)
    if stage.team.leads:
        save_adapter(bench, stage.output, recipe)
    device = str(stage.team.device)
    return Outcome(fitted, lambda: adapter_renders(stage.output, recipe, device))


def save_adapter(bench: Bench, folder: Path, recipe: Recipe) -> Path:
    """Write the adapter as `lora.save` does, all at once; gives its path."""
    facts = lora.AdapterFacts(
        recipe.task, find_base(recipe.base)[1].name, recipe.references, recipe.reference_downscale, recipe.target
    )
    new = folder / "training" / "new"
    lora.save(bench.transformer, new, facts, name=ADAPTER)
    (new / lora.FILE_NAME).chmod(0o644)  # safetensors writes for the owner alone
    (new / lora.FILE_NAME).replace(folder / lora.FILE_NAME)
    shutil.rmtree(new)
    return folder / lora.FILE_NAME


@torch.no_grad()
def _strip_row(bench: Bench, shown: Latents, number: int, recipe: Recipe, levels: NoiseLevels) -> dict[str, Any]:
    """Pictures of the middle frame of a clip, through the autoencoder, so that what is left is the adapter's."""
    batch = shown.batch([number], bench.context.video.device)
    target = batch[recipe.target]
    names: Sequence[str] = [name for name in recipe.references if name in batch]
    tokens = sample(
        bench.transformer,
        levels.sampled,
        bench.context,
        [batch[name] for name in names],
        target,
        bfloat16=bench.bfloat16,
    )
    autoencoder = bench.pipeline.vae
    videos = {name: decode(autoencoder, batch[name]) for name in names}
    videos |= {f"{recipe.task} (trained)": decode(autoencoder, unpack(tokens, target))}
    videos |= {f"{recipe.target} (wanted)": decode(autoencoder, target)}
    height, width = (2 * side for side in next(reversed(videos.values())).shape[1:3])
    middle = recipe.frames // 2
    return {name: resize(videos[name][middle : middle + 1], height, width)[0] for name in videos}
