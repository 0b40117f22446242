"""The honest control: what a plain network makes of the same buffers and pairs, without any diffusion model.

    python benchmarks/regression_control.py DATASET -o control --minutes 10
    CONTROL=control PYTHONPATH=benchmarks renderlift evaluate HELD_OUT --also render=regression_control:load

A U-Net of the geometry lock's shape, twice as wide, goes from the engine's buffers straight to the photo. Killed,
the same command goes on.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from renderlift.bridge.clip import Clip, Render, Video
from renderlift.model.control import engine_buffers, lock_buffers, to_pixels, to_video
from renderlift.model.lock import GeometryLock, LockSize, apply_lock, load_lock, save_lock
from renderlift.model.lock_training import DROPPABLE, LockBatch, locking_loss
from renderlift.model.pairs import Pair
from renderlift.model.training.dataset import survey
from renderlift.model.training.fit import Moment, Schedule, fit
from renderlift.model.training.lock_stage import cropped
from renderlift.model.training.pool import Pool
from renderlift.model.training.recipe import read_recipe

WIDE = LockSize((64, 128, 192, 256))
SAID_EVERY = 100  # steps


def load(steps: int = 1) -> Render:
    """The trained control as a renderer; the environment's CONTROL names its folder."""
    network = load_lock(Path(os.environ.get("CONTROL", "control")) / "lock.safetensors")

    def render(clip: Clip) -> Video:
        return to_video(apply_lock(network, lock_buffers(clip), to_pixels(clip.channels["rgb"])))

    return render


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("control"))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--batch", type=int, default=2)
    asked = parser.parse_args()

    recipe = read_recipe(None, task="lock", minutes=asked.minutes)
    pool = Pool(survey(asked.dataset, None, recipe, 1).train, seed=recipe.seed)
    torch.manual_seed(recipe.seed)
    network = GeometryLock(WIDE)
    print(f"{sum(p.numel() for p in network.parameters()) / 1e6:.1f} M parameters")

    def batch(step: int) -> LockBatch:
        samples = [sample(pair, rng) for pair, rng in pool.draw(step, asked.batch)]
        buffers, truth = (torch.stack(parts) for parts in zip(*samples, strict=True))
        for channels in DROPPABLE.values():
            buffers[torch.rand(len(buffers)) < 0.08, channels] = 0
        return LockBatch(buffers, buffers[:, :3], truth)  # where a painted picture would be: the render again

    def said(moment: Moment) -> None:
        if moment.step % SAID_EVERY == 0:
            print(f"step {moment.step}, {moment.spent_s / 60:.1f} min: loss {moment.loss:.4f}", flush=True)

    schedule = Schedule(recipe.learning_rate, minutes=asked.minutes, ema_halflife_steps=150.0)
    fit(
        network,
        lambda step: locking_loss(network, batch(step)),
        schedule,
        asked.output / "state.safetensors",
        watch=said,
    )
    save_lock(network, asked.output / "lock.safetensors")


def sample(pair: Pair, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A crop of one frame: buffers (12, H, W) and photo (3, H, W), 0..1."""
    place = int(rng.choice(sorted(pair.truth)))
    buffers = engine_buffers({channel: values[place : place + 1] for channel, values in pair.clip.channels.items()})
    return cropped(buffers[0].permute(1, 2, 0).numpy(), [pair.truth[place] / 255], rng)


if __name__ == "__main__":
    main()
