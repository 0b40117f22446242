"""What every kind of training is given, and what it gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from renderlift.bridge.clip import Render
from renderlift.model.packing import encode
from renderlift.model.render import EMBEDDED_PIXELS
from renderlift.model.training.dataset import Scene, Survey, survey_scene
from renderlift.model.training.fit import Fitted, Schedule, fit
from renderlift.model.training.journal import Journal
from renderlift.model.training.latents import Latents, Sizes, cache_folder, encode_dataset, open_latents
from renderlift.model.training.plan import Counts, Grid, Memory
from renderlift.model.training.recipe import Recipe
from renderlift.model.training.talk import Talk
from renderlift.model.training.team import Team

SHOWN = 3  # clips in the picture strip


@dataclass(frozen=True)
class Outcome:
    """How a training ended."""

    fitted: Fitted
    # Name to what opens a renderer, of what is to be measured on held-out scenes: one is open at a time.
    renders: Mapping[str, Callable[[], Render]] = field(default_factory=dict[str, Callable[[], Render]])
    figures: tuple[tuple[str, float], ...] = ()  # other results: what, PSNR in dB


@dataclass(frozen=True)
class Stage:
    """One training under way."""

    recipe: Recipe
    found: Survey
    sizes: Sizes
    output: Path
    cache: Path
    team: Team
    journal: Journal | None  # None in processes that do not lead
    talk: Talk
    stop: Callable[[], bool]
    memory: Memory = "full"

    @property
    def checkpoint(self) -> Path:
        return checkpoint_in(self.output)

    @property
    def parts(self) -> int:
        """How many parts a step's batch is computed in."""
        return self.recipe.batch if self.memory == "low" else 1

    def fit(
        self, module: nn.Module, loss: Callable[[int], Tensor], show: Callable[[int], None] | None = None
    ) -> Fitted:
        """Train `module` as the recipe says."""
        recipe = self.recipe
        schedule = Schedule(
            recipe.learning_rate,
            recipe.steps,
            recipe.minutes,
            recipe.warmup_steps,
            weight_decay=recipe.weight_decay,
            ema_halflife_steps=recipe.ema_halflife_steps,
            seed=recipe.seed,
        )
        return fit(
            module,
            loss,
            schedule,
            self.checkpoint,
            team=self.team,
            parts=self.parts,
            watch=self.journal.note if self.journal else None,
            show=show,
            show_every=recipe.picture_every_steps,
            stop=self.stop,
        )

    def encode(self, autoencoder: Any, how: Callable[[Any, Tensor], Tensor] = encode) -> tuple[Latents, Latents]:
        """Latents of what is trained on, and of the few held-out clips that the picture strip shows.

        Args:
            how: autoencoder and pixels (B, 3, T, H, W) in [-1, 1] to normalised latents.
        """
        recipe, scenes = self.recipe, self.found.train
        folder = cache_folder(self.cache, autoencoder, recipe, self.sizes)
        mine = scenes[self.team.rank :: self.team.count]

        def progress(done: int, total: int) -> None:
            self.talk.progress("encoding scenes", done, total)

        encode_dataset(mine, autoencoder, recipe, self.sizes, folder, encode=how, progress=progress, stop=self.stop)
        surveyed = (survey_scene(path, recipe) for path in self.found.held_out[:SHOWN])
        shown = [scene for scene in surveyed if isinstance(scene, Scene)]
        if self.team.leads:
            whole = replace(recipe, variants=1)
            encode_dataset(shown, autoencoder, whole, self.sizes, folder / "held_out", encode=how, stop=self.stop)
        self.team.wait()
        if self.stop():
            return Latents(()), Latents(())
        clips = open_latents(shown, folder / "held_out").clips
        first_of_each = {path: (path, key) for path, key in reversed(clips)}
        return open_latents(scenes, folder), Latents(tuple(first_of_each.values()))


@dataclass(frozen=True)
class Work:
    """What is to be trained, before a large base is loaded: what its plan is counted from, and how it goes on."""

    counts: Counts
    grid: Grid
    run: Callable[[Stage], Outcome]
    pixels: int = EMBEDDED_PIXELS  # area to train at, unless the recipe says
    stretches: bool = True  # to it, also where the dataset is smaller


NOT_BEGUN = Outcome(Fitted(0, 0.0, done=False))  # stopped before the first step


def checkpoint_in(output: Path) -> Path:
    """Where a training keeps what going on needs."""
    return output / "training" / "checkpoint.safetensors"
