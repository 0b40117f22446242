"""How to paint a clip, whatever the base: what `render.load` was asked for, over the base's own defaults."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from renderlift.bridge.clip import Clip, Video

Picture = NDArray[np.uint8]  # (H, W, 3), sRGB
# A clip and the pictures that are known already, by place in the clip (what the window before ended with, anchors),
# to (T, 3, h, w), 0..1, at whatever size the base paints.
Paint = Callable[[Clip, Mapping[int, Picture]], Tensor]


@dataclass(frozen=True)
class Painter:
    """A `Paint` in two parts, of which the first needs neither the base nor other clips, and so can be ahead."""

    show: Callable[[Clip], Sequence[Video]]  # references or controls, at the size that the base is shown them
    paint_from: Callable[[Sequence[Video], Clip, Mapping[int, Picture]], Tensor]

    def __call__(self, clip: Clip, known: Mapping[int, Picture]) -> Tensor:
        return self.paint_from(self.show(clip), clip, known)


@dataclass(frozen=True)
class RenderSettings:
    """How to paint a clip."""

    steps: int
    seed: int = 0
    working_pixels: int = 96 * 160  # area at which the base paints, at most
    guidance: float = 1.0  # 1 = none
    low_noise_guidance: float = 0.0  # of Wan's second expert; 0 = the same
    task: str = "lift"  # of the adapter: which default prompt
    prompt: str = ""  # for bases with a text encoder; empty = a default, with what the id table names
    negative_prompt: str = ""
    references: tuple[str, ...] = ("rgb",)  # as the adapter was trained with
    reference_downscale_factor: int = 1
    target: str = "photo"  # what the adapter paints
    reference_strength: float = 1.0  # 0 = the base does not see the clip, 1 = as trained
    controls: Mapping[str, float] = field(
        default_factory=lambda: {"edge": 1.0}
    )  # for bases that read them: weights
    reference_images: tuple[Picture, ...] = ()  # what things look like, not where
    two_stages: bool = False  # paint at half the size, then upsample the latents and refine
