"""The three stages that make a base of the embedded kind: autoencoder, transformer, geometry lock.

What each learns stands in autoencoder_training, training.flow and lock_training; here, and for the lock in
lock_stage, is where their clips come from and what they leave behind. Each goes on after a kill, as adapters do.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from diffusers import AutoencoderKLLTX2Video, LTX2InContextPipeline
from diffusers.utils import logging
from torch import Tensor, nn

from renderlift.bridge.errors import SetupError
from renderlift.model.autoencoder_training import psnr, reconstruction_loss, set_latent_statistics
from renderlift.model.bases.facts import EMBEDDED
from renderlift.model.control import to_pixels
from renderlift.model.embedded import EmbeddedSize, build, build_autoencoder
from renderlift.model.linear_start import fit_code, start_linear
from renderlift.model.packing import empty_context
from renderlift.model.pairs import Pair, read_pair
from renderlift.model.references import can_show
from renderlift.model.render import load, load_base
from renderlift.model.training.adapter import spread, weights_of
from renderlift.model.training.dataset import Scene, cut, variants
from renderlift.model.training.flow import flow_loss, noise_levels
from renderlift.model.training.in_context import ltx2_grid, ltx2_velocity
from renderlift.model.training.lock_stage import lock_to_train, train_lock
from renderlift.model.training.plan import Grid, count
from renderlift.model.training.pool import Pool
from renderlift.model.training.recipe import Recipe
from renderlift.model.training.stage import NOT_BEGUN, Outcome, Stage, Work
from renderlift.model.training.strip import decode
from renderlift.model.whereabouts import find_base

CODE_CLIPS = 24  # scenes that the linear start is fitted to
# (what is shown, what is wanted, how often): the base learns to use one reference or two, and to do without.
TASKS = (
    (("rgb",), "photo", 0.34),
    (("rgb", "geometry"), "photo", 0.32),
    (("albedo", "geometry"), "photo", 0.12),
    ((), "photo", 0.06),
    (("rgb",), "rgb", 0.08),
    (("photo",), "photo", 0.08),
)


def open_stage(recipe: Recipe, device: torch.device) -> Work:
    """The model that a stage trains.

    Raises:
        SetupError: a folder that the recipe names is not there, or holds a base of another kind.
    """
    _check_base(recipe)
    if recipe.task == "autoencoder":
        autoencoder = open_autoencoder(recipe, device)
        return Work(count(autoencoder), _grid(autoencoder), lambda stage: train_autoencoder(stage, autoencoder))
    if recipe.task == "transformer":
        pipeline = open_pipeline_to_train(recipe, device)
        grid = ltx2_grid(pipeline.vae, pipeline.transformer)
        return Work(count(pipeline.transformer), grid, lambda stage: train_transformer(stage, pipeline))
    torch.manual_seed(recipe.seed)
    lock = lock_to_train(recipe).to(device)
    return Work(count(lock), Grid(1, 1, 1, 0), lambda stage: train_lock(stage, lock))


def _check_base(recipe: Recipe) -> None:
    """A lock is trained on what any base paints; the other stages go on from a base of the embedded kind alone.

    A published LTX-2 is of the same classes, but learned to read: these stages tell it nothing, so it would forget.
    """
    if recipe.base == EMBEDDED.name:
        return
    _, facts = find_base(recipe.base)
    if recipe.task == "lock" or facts is EMBEDDED:
        return
    adapter = (
        f"; what this one takes is an adapter: renderlift train lift --base {recipe.base}"
        if facts.takes_adapters
        else ""
    )
    raise SetupError(
        f"the stage {recipe.task} makes a base of the embedded kind, and {recipe.base} is {facts.title}",
        fix=f"Leave --base out to begin anew, or name a folder that `renderlift train transformer` wrote{adapter}.",
    )


def open_autoencoder(recipe: Recipe, device: torch.device) -> AutoencoderKLLTX2Video:
    """The one to train: new, or that of a base folder.

    A new one starts as the best linear code, see `start_autoencoder`.
    """
    torch.manual_seed(recipe.seed)
    new = recipe.base == "embedded"
    autoencoder = build_autoencoder(EmbeddedSize()) if new else load_base(recipe.base, torch.float32).vae
    return cast(AutoencoderKLLTX2Video, cast(Any, autoencoder).to(device).train())


def train_autoencoder(stage: Stage, autoencoder: AutoencoderKLLTX2Video) -> Outcome:
    """Train an autoencoder on photos, renders and albedo; writes OUTPUT as a diffusers folder.

    Its figure is the mean PSNR of held-out photos that went through it.
    """
    recipe, device = stage.recipe, stage.team.device
    names = [recipe.target, recipe.target, *recipe.references]  # photos count double
    sizes = dict.fromkeys(names, (stage.sizes.height, stage.sizes.width))
    if recipe.base == "embedded" and not stage.checkpoint.exists():
        clips = _clips(stage.found.train, recipe, sizes, CODE_CLIPS)
        size = EmbeddedSize()
        # Fitted on the CPU, whatever it will be trained on.
        start_linear(cast(Any, autoencoder).cpu(), fit_code(clips, size.latent_channels, size.spatial_ratio))
        cast(Any, autoencoder).to(device)
    pool = Pool(stage.found.train, seed=recipe.seed, rank=stage.team.rank)

    def batch(step: int) -> Tensor:
        videos = [_video(pair, recipe, sizes, names, rng) for pair, rng in pool.draw(step, recipe.batch)]
        return torch.stack(videos).to(device)

    fitted = stage.fit(autoencoder, lambda step: reconstruction_loss(autoencoder, lambda: batch(step))(step))
    autoencoder.eval()
    if stage.team.leads:
        with torch.no_grad():
            samples = _clips(stage.found.train, recipe, sizes, CODE_CLIPS)
            set_latent_statistics(autoencoder, [clip.to(device) for clip in samples])
        _to_bfloat16(autoencoder)
        autoencoder.save_pretrained(str(stage.output))
    if not fitted.done:
        return Outcome(fitted)
    return Outcome(fitted, figures=(("held-out photos through it", _round_trip_db(autoencoder, stage, sizes)),))


def open_pipeline_to_train(recipe: Recipe, device: torch.device) -> LTX2InContextPipeline:
    """A new transformer around the autoencoder that the recipe names, or a base folder to go on from.

    Raises:
        SetupError: no autoencoder is named or there.
    """
    torch.manual_seed(recipe.seed)
    if recipe.base != "embedded":
        pipeline = load_base(recipe.base, torch.float32)
    else:
        autoencoder = _read_autoencoder(recipe.autoencoder)
        channels = int(cast(Any, autoencoder).config.latent_channels)
        pipeline = build(replace(EmbeddedSize(), latent_channels=channels), autoencoder)
    return cast(LTX2InContextPipeline, cast(Any, pipeline).to(device))


def train_transformer(stage: Stage, pipeline: LTX2InContextPipeline) -> Outcome:
    """Train transformer and connectors on all in-context tasks; writes OUTPUT as a pipeline folder."""
    recipe, device = stage.recipe, stage.team.device
    pipeline.vae.requires_grad_(False)
    latents, _ = stage.encode(pipeline.vae)
    if stage.stop():
        return NOT_BEGUN
    transformer = cast(Any, pipeline.transformer)
    if recipe.gradient_checkpointing:
        transformer.enable_gradient_checkpointing()
    first = latents.batch([0], device)[recipe.target]
    levels = noise_levels(
        pipeline.scheduler,
        first.shape[-3:].numel(),
        sampled_steps=recipe.sampled_steps,
        sampled_share=recipe.sampled_share,
    )
    weights = weights_of(lambda values: decode(pipeline.vae, values), latents, recipe, device)
    shares = torch.tensor([share for *_, share in TASKS])

    def loss(_: int) -> Tensor:
        shown, wanted, _share = TASKS[int(torch.multinomial(shares, 1))]
        numbers = torch.randint(0, len(latents), (recipe.batch,)).tolist()
        batch = latents.batch(numbers, device)
        references = [batch[name] for name in shown if name in batch]
        sigma = levels.draw(recipe.batch)
        context = empty_context(pipeline)
        velocity = ltx2_velocity(transformer, {"video": context.video, "audio": context.audio}, {})
        return flow_loss(velocity, batch[wanted], references, sigma, weights=weights)

    fitted = stage.fit(nn.ModuleDict({"transformer": transformer, "connectors": pipeline.connectors}), loss)
    if stage.team.leads:
        _save_pipeline(pipeline, stage.output)
    output, device_name = str(stage.output), str(device)
    return Outcome(
        fitted,
        {"the base": lambda: load(base=output, adapter="none", lock=False, device=device_name)},
    )


def _save_pipeline(pipeline: LTX2InContextPipeline, folder: Path) -> None:
    for part in cast(Any, pipeline).components.values():
        if isinstance(part, nn.Module):
            _to_bfloat16(part)
    said = logging.get_verbosity()
    logging.set_verbosity_error()  # it would warn that there is no text encoder to save
    try:
        pipeline.save_pretrained(str(folder))
    finally:
        logging.set_verbosity(said)


def _to_bfloat16(module: nn.Module) -> None:
    # Not by `to`, which makes diffusers warn of layers to keep in float32, of which there are none.
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            tensor.data = tensor.data.to(torch.bfloat16)


def _grid(autoencoder: AutoencoderKLLTX2Video) -> Grid:
    coder = cast(Any, autoencoder)
    return Grid(int(coder.temporal_compression_ratio), int(coder.spatial_compression_ratio), 1, 0)


def _clips(
    scenes: tuple[Scene, ...], recipe: Recipe, sizes: dict[str, tuple[int, int]], count: int
) -> list[Tensor]:
    """Whole pictures of a few scenes as clips (1, 3, T, H, W) in [-1, 1]."""
    whole = replace(recipe, variants=1)
    found: list[Tensor] = []
    for place in spread(len(scenes), count):
        pictures = next(iter(variants(scenes[place], whole, sizes))).pictures
        found += [(to_pixels(video).permute(1, 0, 2, 3) * 2 - 1)[None] for video in pictures.values()]
    return found


def _video(
    pair: Pair, recipe: Recipe, sizes: dict[str, tuple[int, int]], names: list[str], rng: np.random.Generator
) -> Tensor:
    """A crop of one picture of a pair, (3, T, H, W) in [-1, 1]."""
    start = int(rng.integers(max(1, len(pair.clip) - recipe.frames + 1)))
    places = range(start, start + recipe.frames)
    there = [
        name
        for name in names
        if (pair.truth.keys() >= set(places) if name == recipe.target else can_show(name, pair.clip.channels))
    ]
    name = there[int(rng.integers(len(there)))] if there else "rgb"
    video = cut(pair, places, {name: sizes.get(name, next(iter(sizes.values())))}, rng)[name]
    return to_pixels(video).permute(1, 0, 2, 3) * 2 - 1


def _round_trip_db(autoencoder: AutoencoderKLLTX2Video, stage: Stage, sizes: dict[str, tuple[int, int]]) -> float:
    values: list[float] = []
    coder = cast(Any, autoencoder)
    target = {stage.recipe.target: sizes[stage.recipe.target]}
    for folder in stage.found.held_out[: stage.recipe.measured_scenes]:
        pair = next(iter(read_pair(folder)))
        if len(pair.clip) < stage.recipe.frames or not pair.whole:
            continue
        video = cut(pair, range(stage.recipe.frames), target, None)[stage.recipe.target]
        pixels = (to_pixels(video).permute(1, 0, 2, 3) * 2 - 1)[None].to(autoencoder.device)
        with torch.inference_mode():
            latents = coder.encode(pixels.to(autoencoder.dtype)).latent_dist.mode()
            values.append(psnr(coder.decode(latents).sample.float(), pixels))
    return float(np.mean(values)) if values else float("nan")


def _read_autoencoder(folder: str) -> AutoencoderKLLTX2Video:
    if not (Path(folder) / "config.json").is_file():
        raise SetupError(
            f"no autoencoder at {folder or 'any folder: none is named'}",
            fix='Train one: renderlift train autoencoder -o vae; then write autoencoder = "vae" into the recipe.',
        )
    return cast(
        AutoencoderKLLTX2Video,
        AutoencoderKLLTX2Video.from_pretrained(folder, torch_dtype=torch.float32, use_safetensors=True),
    )
