"""Our own scenes as pairs: the game look by Panda3D, the photo by Mitsuba, of the very same scene.

`renderlift pairs` finds `make` and `path_tracer` by name; a function of yours with the same arguments and
results can stand in their place.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderlift.bridge.errors import RenderError, SetupError
from renderlift.bridge.frame import Channel, Frame
from renderlift.engine.mitsuba import path_trace_frames
from renderlift.engine.panda3d.play import instant_of, load_scene
from renderlift.engine.panda3d.scene_graph import render_frames
from renderlift.engine.photo import CameraResponse
from renderlift.engine.scene import Scene
from renderlift.engine.scenes import GENERATOR, KINDS, UNSEEN_KINDS, random_scene

Picture = NDArray[np.uint8]  # (H, W, 3) sRGB

BY_CHANCE = "any"  # of the kinds that training may see
FIRST_UNSEEN_SEED = 900_000  # docs/train_your_own.md: scenes from here on are never trained on
_FOCUS_SIZE = (36, 64)  # of the picture that autofocus looks at
SAME_POSE = 1e-4  # the engine keeps its matrices in single precision


def make(
    seed: int,
    *,
    frames: int,
    height: int,
    width: int,
    samples: int,
    kinds: Sequence[str] = (BY_CHANCE,),
    exposure_jitter: float = 0.0,
    vignette: float = 0.0,
    aperture_mm: float = 0.0,
) -> tuple[Iterator[Frame], Iterator[tuple[int, Picture]], Mapping[str, Any]]:
    """One scene, rendered as it is asked for.

    Args:
        kinds: dealt out in turn by seed; "any" is one by chance. Those of UNSEEN_KINDS are for held-out seeds.
        samples: light paths per pixel of the photo.
        exposure_jitter: the photo is over- or underexposed by up to so many stops.
        vignette: share of light that the photo's corners lose.
        aperture_mm: of the photo's lens, focused on the middle of the first frame; 0 = a pinhole.

    Returns:
        its frames with all channels; frame index and photo (H, W, 3) of each; and facts for its scene.json.

    Raises:
        SetupError: no such kind, or one that would spoil the held-out set; Panda3D or Mitsuba is missing.
    """
    scene = random_scene(seed, frames=frames, kind=_kind(kinds, seed))
    response = CameraResponse(
        exposure_stops=_jitter(seed, exposure_jitter),
        vignette=vignette,
        aperture_mm=aperture_mm,
        focus_m=_focus_m(scene) if aperture_mm else 0.0,
    )
    photos = path_trace_frames(scene, height, width, samples=samples, response=response)
    facts = {
        "scene": f"random:{seed}",
        "kind": scene.tags["kind"],
        "engine": "panda3d",
        "fps": scene.fps,
        "generator": GENERATOR,
        "samples": samples,
        "response": asdict(response),
    }
    return render_frames(scene, height, width), enumerate(photos), facts


def path_tracer(
    scene: str, *, samples: int = 16, frames: int | None = None, kind: str | None = None
) -> Callable[[Sequence[Frame]], NDArray[np.uint8]]:
    """What makes photos (T, H, W, 3) of recorded frames of one of our scenes: anchors that are always right.

    The function it gives raises a RenderError where the frames were not taken of this scene.

    Args:
        scene: as `renderlift capture panda3d SCENE` takes it: demo, random:SEED, module:function.
        frames, kind: those that a random scene was made with; else those of `capture`.

    Raises:
        SetupError: no such scene.
    """
    loaded = _scene(scene, frames, kind)

    def trace(recorded: Sequence[Frame]) -> NDArray[np.uint8]:
        times = [instant_of(loaded, frame.index) for frame in recorded]
        for frame, time in zip(recorded, times, strict=True):
            _refuse_other_scene(loaded, frame, time)
        size = (recorded[0].height, recorded[0].width)
        return np.stack(list(path_trace_frames(loaded, *size, times, samples=samples)))

    return trace


def _refuse_other_scene(scene: Scene, frame: Frame, time: int) -> None:
    if np.abs(scene.world_from_camera[time] - frame.camera.world_from_camera).max() > SAME_POSE:
        raise RenderError(
            f"frame {frame.index} was not taken of {scene.name}: its camera stands elsewhere",
            fix="Name the scene that was recorded: --scene random:SEED or --scene demo.",
        )


def _scene(name: str, frames: int | None, kind: str | None) -> Scene:
    seed = name.removeprefix("random:")
    if frames is not None and name != seed and seed.isdecimal():
        return random_scene(int(seed), frames=frames, kind=kind)
    return load_scene(name)


def _kind(kinds: Sequence[str], seed: int) -> str | None:
    """The kind whose turn it is; None = by chance."""
    for name in kinds:
        if name not in {BY_CHANCE, *KINDS, *UNSEEN_KINDS}:
            raise SetupError(
                f"there is no kind of scene {name!r}", fix=f"Use {', '.join([BY_CHANCE, *KINDS, *UNSEEN_KINDS])}."
            )
    kind = kinds[seed % len(kinds)]
    if kind in UNSEEN_KINDS and seed < FIRST_UNSEEN_SEED:
        raise SetupError(
            f"scenes of the kind {kind} are kept for tests, and seed {seed} is one to train on",
            fix=f"Use seeds from {FIRST_UNSEEN_SEED} on, or another kind.",
        )
    return None if kind == BY_CHANCE else kind


def _jitter(seed: int, stops: float) -> float:
    return float(np.random.default_rng([seed, 0xCA3E7A]).uniform(-stops, stops))


def _focus_m(scene: Scene) -> float:
    """How far away what stands in the middle of the first frame is."""
    height, width = _FOCUS_SIZE
    depth_m = next(render_frames(scene, height, width)).channels[Channel.DEPTH]
    middle = depth_m[height // 3 : -height // 3, width // 3 : -width // 3]
    return float(np.clip(np.median(middle), 0.3, 100.0))  # the sky is as good as 100 m away
