"""Train an IC-LoRA on a base: latents first, then words, then the adapter, so that no two large parts meet."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from renderlift.bridge.clip import Video
from renderlift.bridge.errors import SetupError
from renderlift.model.bases.controls import USUAL
from renderlift.model.bases.facts import EMBEDDED, WAN_VACE, BaseFacts
from renderlift.model.bases.ltx2 import distilled_levels
from renderlift.model.control import resize
from renderlift.model.device import pick_dtype
from renderlift.model.tiles import use_tiles
from renderlift.model.training.bench import (
    Bench,
    counts_of,
    denoisers_of,
    expert_of_step,
    experts_turns,
    open_bench,
    owned,
    save_adapter,
)
from renderlift.model.training.flow import NoiseLevels, drop_references, flow_loss, sample
from renderlift.model.training.in_context import InContext, kind_of
from renderlift.model.training.latents import Latents
from renderlift.model.training.measure import adapter_renders
from renderlift.model.training.parts import load_part, skeleton
from renderlift.model.training.recipe import Recipe
from renderlift.model.training.stage import NOT_BEGUN, Outcome, Stage, Work
from renderlift.model.training.strip import channel_weights, save_strip, strip
from renderlift.model.training.team import in_turn
from renderlift.model.training.text import Texts, encode_texts
from renderlift.model.whereabouts import find_base

WEIGHED = 3  # clips that latent channels are weighed on


def settled(recipe: Recipe) -> Recipe:
    """The recipe with what follows from its base: VACE is shown a control in the place of references.

    Raises:
        SetupError: no such base, or one that does not read what the recipe shows.
    """
    facts = find_base(recipe.base)[1]
    kind_of(facts)
    if facts.name != WAN_VACE.name:
        if recipe.control:
            raise SetupError(
                f"control = {recipe.control!r}, and {facts.title} reads references, not a control",
                fix="Leave control out, or train on a Wan VACE.",
            )
        return recipe
    if recipe.references not in ((), ("rgb",)):  # those of a lift, which nobody had to write
        raise SetupError(
            f"{facts.title} reads a control video, and no references such as {', '.join(recipe.references)}",
            fix='Train the task lift on it, with control = "depth" for instance; or use LTX-2 or Wan.',
        )
    return replace(recipe, references=(), control=recipe.control or USUAL)


def open_adapter(recipe: Recipe, device: torch.device) -> Work:
    """What training an adapter comes to, told from the base's config files: nothing is loaded yet.

    Raises:
        SetupError: no such base, or one that cannot be trained so.
    """
    folder, facts = find_base(recipe.base)
    kind = kind_of(facts)
    if recipe.reference_downscale != 1 and not kind.smaller_references:
        raise SetupError(
            f"reference_downscale = {recipe.reference_downscale}, and {facts.title} wants all frames in one size",
            fix="Use reference_downscale = 1.",
        )
    dtype = pick_dtype(recipe.precision, device)
    denoisers = [skeleton(folder, part) for part in denoisers_of(folder)]
    autoencoder = skeleton(folder, "vae")
    return Work(
        counts_of(denoisers, autoencoder, recipe.rank, dtype),
        kind.grid(autoencoder, denoisers[0]),
        lambda stage: train_adapter(stage, (folder, facts), kind, dtype),
        facts.pixels,
        stretches=facts is EMBEDDED,
    )


def train_adapter(stage: Stage, base: tuple[Path, BaseFacts], kind: InContext, dtype: torch.dtype) -> Outcome:
    """Train until the budget is spent or `stage.stop` says so; writes the adapter to the output folder."""
    recipe, place = stage.recipe, (stage.team.device, dtype)
    autoencoder = owned(load_part(base[0], "vae", dtype)).to(stage.team.device)
    if stage.memory == "low":
        use_tiles(autoencoder)
    latents, shown = stage.encode(autoencoder, kind.encode)
    if stage.stop():
        return NOT_BEGUN
    constants = kind.constants(autoencoder, (recipe.frames, stage.sizes.height, stage.sizes.width))
    if stage.memory == "low":
        autoencoder.to("cpu")
    texts = _texts(stage, base, kind, dtype)
    bench = open_bench(base[0], kind, recipe, autoencoder, place, stage.memory, constants)
    levels = levels_of(bench, recipe, latents.clip(0)[recipe.target])

    def show(step: int) -> None:
        if stage.journal and len(shown):
            rows = [_strip_row(bench, shown, texts, number, recipe, levels) for number in range(len(shown))]
            save_strip(strip(rows), stage.output / "training" / "strip.jpg")
            stage.journal.picture(strip(rows), step)

    loss = adapter_loss(bench, latents, texts, recipe, levels, recipe.batch // stage.parts)
    fitted = stage.fit(bench.module, loss, show)
    show(fitted.step)
    if stage.team.leads:
        save_adapter(bench, stage.output, recipe, base[1])
    return Outcome(fitted, adapter_renders(stage.output, recipe, str(stage.team.device)))


def _texts(stage: Stage, base: tuple[Path, BaseFacts], kind: InContext, dtype: torch.dtype) -> Texts:
    """The words of all scenes; the process that leads encodes what is new, the others read it."""
    scenes = [*(scene.folder for scene in stage.found.train), *stage.found.held_out]
    denoiser = skeleton(base[0], next(iter(denoisers_of(base[0]))))

    def encoded() -> Texts:
        place = (stage.team.device, dtype)
        return encode_texts(scenes, stage.recipe, base, kind, denoiser, stage.cache, place, tell=_told(stage))

    return in_turn(stage.team, encoded)


def _told(stage: Stage) -> Callable[[str], None]:
    return lambda text: stage.talk.tell("reading_prompts", text)


def adapter_loss(
    bench: Bench, latents: Latents, texts: Texts, recipe: Recipe, levels: NoiseLevels, count: int
) -> Callable[[int], Tensor]:
    """The loss of a step, or of a part of it: draws `count` clips, references and noise from torch's generator."""
    weights = weights_of(bench.decode, latents, recipe, bench.device)
    shares = experts_turns(bench, levels)

    def loss(step: int) -> Tensor:
        numbers = torch.randint(0, len(latents), (count,)).tolist()
        batch = latents.batch(numbers, bench.device)
        # Renderers may lack a reference, but never go without a control.
        dropout = 0.0 if recipe.control else recipe.reference_dropout
        shown = drop_references([n for n in recipe.shown if n in batch], dropout)
        expert = expert_of_step(step, shares)
        sigma = levels.draw(count, bench.levels_of(expert))
        return flow_loss(
            bench.velocity(expert, texts.of(latents.scenes(numbers), bench.device)),
            batch[recipe.target],
            [batch[name] for name in shown],
            sigma,
            weights=weights,
            bfloat16=bench.bfloat16,
        )

    return loss


def weights_of(
    decode: Callable[[Tensor], Video], latents: Latents, recipe: Recipe, device: torch.device
) -> Tensor | None:
    """(C,) weight of each latent channel in the loss, if the recipe wants them weighed."""
    if not recipe.weigh_channels:
        return None
    tried = [latents.batch([number], device)[recipe.target] for number in spread(len(latents), WEIGHED)]
    return channel_weights(decode, tried).to(device)


def spread(length: int, count: int) -> list[int]:
    """Up to `count` numbers below `length`, evenly."""
    return [i * length // min(count, length) for i in range(min(count, length))]


def levels_of(bench: Bench, recipe: Recipe, target: Tensor) -> NoiseLevels:
    """The base's noise levels for a target of this shape (..., C, t, h, w)."""
    levels = bench.kind.levels(
        bench.scheduler,
        target.shape[-3:].numel(),
        sampled_steps=recipe.sampled_steps,
        sampled_share=recipe.sampled_share,
    )
    given = distilled_levels(recipe.sampled_steps) if find_base(recipe.base)[1].is_distilled else []
    return replace(levels, sampled=torch.tensor(given)) if given else levels


@torch.no_grad()
def _strip_row(
    bench: Bench, shown: Latents, texts: Texts, number: int, recipe: Recipe, levels: NoiseLevels
) -> dict[str, Any]:
    """Pictures of the middle frame of a clip, through the autoencoder, so that what is left is the adapter's."""
    batch = shown.batch([number], bench.device)
    words = texts.of(shown.scenes([number]), bench.device)
    target = batch[recipe.target]
    names = [name for name in recipe.shown if name in batch]
    painted = sample(
        lambda level: bench.velocity(bench.expert_at(level), words),
        levels.sampled,
        [batch[name] for name in names],
        target,
        bfloat16=bench.bfloat16,
    )
    videos = {name: bench.decode(batch[name]) for name in names}
    videos |= {f"{recipe.task} (trained)": bench.decode(painted)}
    videos |= {f"{recipe.target} (wanted)": bench.decode(target)}
    height, width = (2 * side for side in next(reversed(videos.values())).shape[1:3])
    middle = recipe.frames // 2
    return {name: np.asarray(resize(videos[name][middle : middle + 1], height, width)[0]) for name in videos}
