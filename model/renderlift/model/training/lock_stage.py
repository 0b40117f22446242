"""The stage that trains the geometry lock, on what base and adapter paint."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from renderlift.bridge.clip import Render, rendered
from renderlift.bridge.frame import Array, Channel
from renderlift.model.control import engine_buffers, lock_buffers, resize, to_pixels, to_video
from renderlift.model.lock import GeometryLock, apply_lock, load_lock, save_lock
from renderlift.model.lock_training import LockBatch, lock_loss
from renderlift.model.pairs import Pair, read_pair
from renderlift.model.render import load
from renderlift.model.training.latents import Sizes
from renderlift.model.training.pool import Pool, crop, mirror
from renderlift.model.training.recipe import Recipe
from renderlift.model.training.stage import NOT_BEGUN, Outcome, Stage
from renderlift.model.whereabouts import EMBEDDED, lock_path

LOCK_CROP = (192, 256)
PAINTED_SHARE = 0.8  # of what the lock is shown; the rest is the truth itself, as soft as a base is


def lock_to_train(recipe: Recipe) -> GeometryLock:
    """A new one, or one to go on from."""
    if not recipe.lock:
        return GeometryLock()
    return load_lock(lock_path("" if recipe.lock == EMBEDDED else recipe.lock)).train()


def train_lock(stage: Stage, lock: GeometryLock) -> Outcome:
    """Train the geometry lock on what base and adapter paint; writes OUTPUT/lock.safetensors."""
    recipe, device = stage.recipe, stage.team.device
    painter = load(
        base=recipe.base,
        adapter=recipe.adapter or ("embedded" if recipe.base == "embedded" else "none"),
        lock=False,
        device=str(device),
        working_pixels=recipe.working_pixels,
    )
    folder = stage.output / "training" / "painted"
    _paint_scenes(stage, painter, folder)
    if stage.stop():
        return NOT_BEGUN
    pool = Pool(stage.found.train, seed=recipe.seed, rank=stage.team.rank)

    def batch(step: int) -> LockBatch:
        samples = [lock_sample(pair, folder, stage.sizes, rng) for pair, rng in pool.draw(step, recipe.batch)]
        return LockBatch(*(torch.stack(parts).to(device) for parts in zip(*samples, strict=True)))

    fitted = stage.fit(lock, lambda step: lock_loss(lock, lambda: batch(step))(step))
    lock.eval()
    if stage.team.leads:
        save_lock(lock, stage.output / "lock.safetensors")

    def locked(clip: Any) -> Any:
        return to_video(apply_lock(lock, lock_buffers(clip), to_pixels(painter(clip))))

    return Outcome(fitted, {"painted": lambda: painter, "painted, through this lock": lambda: locked})


def _paint_scenes(stage: Stage, painter: Render, folder: Path) -> None:
    """Keep what the base paints of every scene, once."""
    folder.mkdir(parents=True, exist_ok=True)
    scenes = stage.found.train[stage.team.rank :: stage.team.count]
    for done, scene in enumerate(scenes):
        stage.talk.progress("painting scenes", done, len(scenes))
        path = folder / f"{scene.folder.name}.npz"
        if path.exists() or stage.stop():
            continue
        videos = {str(p.clip.frames[0].index): rendered(painter, p.clip) for p in read_pair(scene.folder)}
        new = path.with_suffix(".new.npz")
        np.savez(new, allow_pickle=False, **cast(Any, videos))
        new.replace(path)
    stage.team.wait()


def lock_sample(pair: Pair, painted: Path, sizes: Sizes, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """A crop of one frame: buffers (12, H, W), what was painted (3, H, W), truth (3, H, W)."""
    place = int(rng.choice(sorted(pair.truth)))
    truth = pair.truth[place]
    if rng.random() < PAINTED_SHARE:
        with np.load(painted / f"{pair.name}.npz", allow_pickle=False) as videos:
            decoded = videos[str(pair.clip.frames[0].index)][place]
    else:
        small = resize(truth[None], sizes.height, sizes.width)
        decoded = resize(small, pair.clip.height, pair.clip.width)[0]
    channels: dict[Channel, Array] = {c: a[place : place + 1] for c, a in pair.clip.channels.items()}
    buffers = engine_buffers(channels)[0].permute(1, 2, 0).numpy()
    first, second, third = cropped(buffers, [decoded / 255, truth / 255], rng)
    return first, second, third


def cropped(
    buffers: NDArray[np.float32], pictures: Sequence[NDArray[np.floating]], rng: np.random.Generator
) -> tuple[Tensor, ...]:
    """The same crop, at times mirrored, of buffers (H, W, 12) and pictures (H, W, 3), with channels first."""
    height, width = buffers.shape[:2]
    part = crop(height, width, LOCK_CROP, rng)
    mirrored = bool(rng.random() < 0.5)
    if mirrored:
        buffers = buffers.copy()
        buffers[..., 6] *= -1  # a surface that looked left looks right in the mirror
    cut = (mirror(picture[part].astype(np.float32), mirrored) for picture in (buffers, *pictures))
    return tuple(torch.from_numpy(np.ascontiguousarray(p)).permute(2, 0, 1) for p in cut)
