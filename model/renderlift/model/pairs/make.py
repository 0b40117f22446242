"""Makes truth pairs: scenes by number, each recorded through an engine and photographed by a path tracer.

Everything a scene shows depends on its number and the recipe alone, so the work can be split over any number of
processes and machines, stopped, killed, and gone on with.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from renderlift.bridge.errors import RecordingError, RenderliftError, SetupError
from renderlift.bridge.frame import Frame
from renderlift.model.pairs.dataset import Picture, part_of
from renderlift.model.pairs.find import find
from renderlift.model.pairs.ledger import open_dataset
from renderlift.model.pairs.scene_folder import Outcome, under_construction, write_scene
from renderlift.model.pairs.workers import DIED, in_processes, on_cluster

OUR_SCENES = "renderlift.engine.pairs:make"
LAST_SEED = 999_999
# A maker gets a seed and, by keyword, frames, height, width and the options; see renderlift.engine.pairs.make.
Scene = tuple[Iterable[Frame], Iterable[tuple[int, Picture]], Mapping[str, Any]]
Maker = Callable[..., Scene]


@dataclass(frozen=True)
class Recipe:
    """What all scenes of a dataset have in common."""

    frames: int = 5
    height: int = 256
    width: int = 448
    maker: str = OUR_SCENES
    options: Mapping[str, Any] = field(default_factory=lambda: {"samples": 8})


@dataclass(frozen=True)
class Made:
    """What became of one scene."""

    seed: int
    outcome: Outcome
    problem: str = ""
    fix: str = ""
    fatal: bool = False  # no other scene would fare better


def recipe_of(maker: str | None, frames: int, height: int, width: int, options: Mapping[str, Any]) -> Recipe:
    """A recipe; options that are None are left to the maker's own defaults."""
    given = {name: value for name, value in options.items() if value is not None}
    return Recipe(frames, height, width, maker or OUR_SCENES, given)


def parse_seeds(text: str) -> list[int]:
    """`0:200` is 0 to 199, `7` is itself, commas join; sorted, each once.

    Raises:
        SetupError: not that, or not within six digits.
    """
    seeds: set[int] = set()
    for word in text.split(","):
        first, colon, stop = word.strip().partition(":")
        if not (first.isdecimal() and (stop.isdecimal() or not colon)):
            raise SetupError(f"{text!r} are no seeds", fix="Write e.g. 0:200, or 0:200,900000:900024, or 7.")
        low, high = int(first), int(stop) if colon else int(first) + 1
        if not 0 <= low < high <= LAST_SEED + 1:
            raise SetupError(f"seeds {word} are not within 0 to {LAST_SEED}, in ascending order")
        seeds.update(range(low, high))
    return sorted(seeds)


def share_of(seeds: Sequence[int], shard: str) -> list[int]:
    """Those of the seeds that shard `i/n` makes, i from 1 to n.

    Raises:
        SetupError: no such shard.
    """
    number, slash, count = shard.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise SetupError(
            f"{shard!r} is not a shard", fix="Write 1/4 on the first of four machines, 2/4 on the next."
        )
    return list(seeds[int(number) - 1 :: int(count)])


def make_pairs(
    dataset: Path, seeds: Sequence[int], recipe: Recipe, *, jobs: int = 1, ray_address: str = ""
) -> Generator[Made]:
    """Make what is not there yet of these scenes; each is told when it is done.

    Args:
        ray_address: of a Ray cluster that does the jobs, where all see the dataset's folder; empty: this machine.

    Raises:
        SetupError: something is missing that every scene needs.
        RecordingError: the dataset was begun with another recipe, or the disk is full.
    """
    open_dataset(dataset, kind="truth pairs", recipe=_comparable(recipe))
    wanted = [seed for seed in seeds if not (dataset / f"{seed:06d}").exists()]
    yield from (Made(seed, Outcome.THERE) for seed in sorted(set(seeds) - set(wanted)))
    # Other machines have other working folders.
    work = partial(make_scene, dataset.resolve() if ray_address else dataset, recipe)
    working = on_cluster(work, wanted, jobs, ray_address) if ray_address else in_processes(work, wanted, jobs)
    with closing(working) as results:
        for seed, made in results:
            if made is DIED:
                yield Made(
                    seed, Outcome.FAILED, "its process died, perhaps for want of memory", "Use fewer --jobs."
                )
            elif made.fatal:
                raise SetupError(made.problem, fix=made.fix)
            else:
                yield made


def make_scene(dataset: Path, recipe: Recipe, seed: int) -> Made:
    """Make one scene, unless it is there. Raises nothing: what went wrong stands in the result."""
    name = f"{seed:06d}"
    try:
        with under_construction(dataset / name) as folder:
            if isinstance(folder, Outcome):
                return Made(seed, folder)
            maker: Maker = find(recipe.maker, "the scene maker")
            size = {"frames": recipe.frames, "height": recipe.height, "width": recipe.width}
            frames, truth, facts = maker(seed, **size, **recipe.options)
            own = {"seed": seed, "part": part_of(name), **size}
            write_scene(folder, frames, truth, {**own, **facts})
    except RenderliftError as error:
        fatal = isinstance(error, SetupError | RecordingError)
        return Made(seed, Outcome.FAILED, error.message, error.fix, fatal)
    except Exception as error:  # a scene that fails costs that scene
        return Made(seed, Outcome.FAILED, f"{type(error).__name__}: {error}")
    return Made(seed, Outcome.MADE)


def _comparable(recipe: Recipe) -> dict[str, Any]:
    """What all scenes must share. Kinds differ from scene to scene anyway."""
    options = {name: value for name, value in recipe.options.items() if name != "kinds"}
    return {
        "maker": recipe.maker,
        "frames": recipe.frames,
        "size": f"{recipe.width}x{recipe.height}",
        **options,
    }
