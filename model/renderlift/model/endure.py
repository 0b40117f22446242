"""A job of hours must not die of one clip: out of memory and NaN are met by painting again, more cheaply or finer.

What was done stays done for the rest of the job, and is said once in the log.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from renderlift.bridge.clip import Clip
from renderlift.bridge.errors import RenderError
from renderlift.model.bases.settings import Paint, Picture

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Remedy:
    """One thing that can be done, and how it is said."""

    said: str
    apply: Callable[[], Paint | None]  # a new painter, or None where the old one will do


class Enduring:
    """Paints with what works; held open for a job, and poorer by one remedy each time something fails."""

    def __init__(self, paint: Paint, *, for_memory: list[Remedy], for_nan: list[Remedy]) -> None:
        self._paint = paint
        self._for_memory = list(for_memory)
        self._for_nan = list(for_nan)

    def __call__(self, clip: Clip, known: Mapping[int, Picture]) -> Tensor:
        """As a `Paint`: (T, 3, h, w), 0..1, finite, on the CPU.

        Raises:
            RenderError: nothing is left to try.
        """
        while True:
            try:
                with torch.inference_mode():
                    video = self._paint(clip, known).float().cpu()
            except torch.OutOfMemoryError as problem:
                self._remedy(self._for_memory, _out_of_memory(clip), problem)
                continue
            if torch.isfinite(video).all():
                return video
            self._remedy(self._for_nan, _not_finite(clip), None)

    def _remedy(self, remedies: list[Remedy], error: RenderError, cause: Exception | None) -> None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if not remedies:
            raise error from cause
        remedy = remedies.pop(0)
        _log.warning("%s; trying again with %s", error.message, remedy.said)
        self._paint = remedy.apply() or self._paint


def memory_remedies(pipeline: object, device: torch.device, smaller: Callable[[], Paint]) -> list[Remedy]:
    """From what costs time to what costs quality."""
    opened = cast(Any, pipeline)

    def tile() -> None:
        opened.vae.enable_tiling()

    def offload() -> None:
        if not _is_offloaded(opened):
            opened.enable_group_offload(onload_device=device, offload_type="leaf_level", use_stream=True)

    remedies = [Remedy("the autoencoder in tiles", tile)]
    if device.type == "cuda":
        remedies.append(Remedy("the weights brought in layer by layer", offload))
    return [*remedies, Remedy("half the pixels", smaller)]


def nan_remedies(pipeline: object) -> list[Remedy]:
    """bfloat16 overflows rarely, and then mostly in the autoencoder."""
    opened = cast(Any, pipeline)

    def exact(name: str) -> Callable[[], None]:
        def apply() -> None:
            getattr(opened, name).to(torch.float32)

        return apply

    return [Remedy("the autoencoder in float32", exact("vae"))] if opened.vae.dtype != torch.float32 else []


def _is_offloaded(pipeline: Any) -> bool:
    return any(hasattr(module, "_diffusers_hook") for module in pipeline.components.values() if module is not None)


def _out_of_memory(clip: Clip) -> RenderError:
    return RenderError(
        f"out of memory on a clip of {len(clip)} frames at {clip.width}x{clip.height}",
        fix="Use shorter clips (--length), fewer working pixels, or a preset for less memory.",
    )


def _not_finite(clip: Clip) -> RenderError:
    return RenderError(
        f"the model gave NaN for frames {clip.frames[0].index} to {clip.frames[-1].index}",
        fix="Load it with dtype=float32: renderlift.model.render.load.",
    )
