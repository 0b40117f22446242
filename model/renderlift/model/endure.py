"""A job of hours must not die of one clip: out of memory and NaN are met by painting again, more cheaply or finer.

What was done stays done for the rest of the job; it is said once in the log, and kept to be said at the end.
"""

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from renderlift.bridge.clip import Clip
from renderlift.bridge.errors import RenderError
from renderlift.model.attention import use_plain_kernel
from renderlift.model.bases.settings import Paint, Painter, Picture
from renderlift.model.offload import LAYERS, bring_by_layers, group_levels, modules_of
from renderlift.model.tiles import can_halve, is_tiled, use_smaller_tiles, use_tiles

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Remedy:
    """One thing that can be done, and how it is said."""

    said: str
    apply: Callable[[Clip], Paint | None]  # a new painter for such clips, or None where the old one will do
    fits: Callable[[], bool] = lambda: True  # asked when its turn comes: remedies before it may have changed that


class Enduring:
    """Paints with what works; held open for a job, and poorer by one remedy each time something fails."""

    def __init__(self, paint: Paint, *, for_memory: list[Remedy], for_nan: list[Remedy]) -> None:
        self._paint = paint
        self._for_memory = list(for_memory)
        self._for_nan = list(for_nan)
        self.remedies: list[str] = []  # what was done until now, and what for

    def __call__(self, clip: Clip, known: Mapping[int, Picture]) -> Tensor:
        """As a `Paint`: (T, 3, h, w), 0..1, finite, where the base computes.

        Raises:
            RenderError: nothing is left to try.
        """
        return self._endured(self._paint, clip, known)

    def begin(self, clip: Clip) -> Paint:
        """What paints this clip. What the base is shown of it is made here and now, without the device."""
        paint = self._paint
        if not isinstance(paint, Painter):
            return self
        shown = paint.show(clip)

        def rest(clip: Clip, known: Mapping[int, Picture]) -> Tensor:
            # What was done meanwhile for want of memory may have changed the size that it is shown at.
            ready = partial(paint.paint_from, shown) if paint is self._paint else self._paint
            return self._endured(ready, clip, known)

        return rest

    def _endured(self, paint: Paint, clip: Clip, known: Mapping[int, Picture]) -> Tensor:
        while True:
            painted = self._attempt(paint, clip, known)
            if isinstance(painted, Tensor):
                return painted
            if painted is None:
                self._remedy(clip, self._for_nan, _not_finite(clip), None)
            else:
                self._remedy(clip, self._for_memory, _out_of_memory(clip), painted)
            paint = self._paint

    def _attempt(self, paint: Paint, clip: Clip, known: Mapping[int, Picture]) -> Tensor | Exception | None:
        """The picture, what told that memory ran out, or None: it is not finite."""
        try:
            # Not inference_mode: tensors born in it can be neither moved in int8 nor handed to offload's hooks.
            with torch.no_grad():
                painted = paint(clip, known)
                # Frame by frame: of a whole clip, even that takes memory.
                return painted if all(torch.isfinite(frame).all() for frame in painted) else None
        except (RuntimeError, MemoryError) as problem:
            if not is_out_of_memory(problem):
                raise
            traceback.clear_frames(problem.__traceback__)  # or they would hold all that filled the memory
            return problem

    def _remedy(self, clip: Clip, remedies: list[Remedy], error: RenderError, cause: Exception | None) -> None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        while remedies and not remedies[0].fits():
            remedies.pop(0)
        if not remedies:
            raise error from cause
        remedy = remedies.pop(0)
        _log.warning("%s; trying again with %s", error.message, remedy.said)
        self._paint = remedy.apply(clip) or self._paint
        self.remedies.append(f"{remedy.said} ({error.message})")


def memory_remedies(pipeline: object, device: torch.device, smaller: Callable[[Clip], Paint]) -> list[Remedy]:
    """From what costs time to what costs quality.

    Args:
        smaller: makes a painter for half of the pixels that a clip is painted with now.
    """
    opened = cast(Any, pipeline)

    def can_tile() -> bool:
        return not is_tiled(opened.vae)

    def tile(clip: Clip) -> None:
        use_tiles(opened.vae)

    def can_tile_smaller() -> bool:
        # Another render of the same base may have halved them already.
        return is_tiled(opened.vae) and can_halve(opened.vae)

    def tile_smaller(clip: Clip) -> None:
        use_smaller_tiles(opened.vae)

    def offload(clip: Clip) -> None:
        bring_by_layers(opened, device)

    def is_coarser() -> bool:
        return group_levels(opened) != {LAYERS}

    remedies = [
        Remedy("the autoencoder in tiles", tile, can_tile),
        Remedy("the autoencoder in smaller tiles", tile_smaller, can_tile_smaller),
    ]
    if device.type == "cuda":
        remedies.append(Remedy("the weights brought in layer by layer", offload, is_coarser))
    return [*remedies, Remedy("half the pixels", smaller), Remedy("a quarter of the pixels", smaller)]


def nan_remedies(pipeline: object, again: Callable[[], Paint]) -> list[Remedy]:
    """bfloat16 overflows rarely, and then mostly in the autoencoder.

    Args:
        again: makes a new painter, which reads the prompt in the new precision.
    """
    opened = cast(Any, pipeline)

    def exact_decoder(clip: Clip) -> None:
        opened.vae.to(torch.float32)

    def exact(clip: Clip) -> Paint:
        for module in modules_of(opened):
            module.to(torch.float32)
            use_plain_kernel(module)
        return again()

    def is_whole() -> bool:
        return not group_levels(opened)  # what is streamed stays what it is

    def can_be_exact() -> bool:
        # Another render of the same base may have done it. The next remedy helps even where another render did that
        # as well: the prompt is read anew.
        return is_whole() and opened.vae.dtype != torch.float32

    # Cosmos hands its control to the denoiser in the autoencoder's precision, so those two go together.
    can_part = opened.vae.dtype != torch.float32 and not hasattr(opened, "controlnet")
    remedies = [Remedy("the autoencoder in float32", exact_decoder, can_be_exact)] if can_part else []
    if _denoiser(opened).dtype != torch.float32 and not _is_quantised(opened):
        remedies.append(Remedy("all of the base in float32", exact, is_whole))
    return remedies


def _denoiser(pipeline: Any) -> Any:
    return pipeline.transformer if pipeline.transformer is not None else pipeline.transformer_2


def _is_quantised(pipeline: Any) -> bool:
    return any(getattr(part, "hf_quantizer", None) is not None for part in modules_of(pipeline))


def is_out_of_memory(problem: Exception) -> bool:
    """Also where it is told in words: by the CPU's allocator, by cuBLAS, by other devices."""
    if isinstance(problem, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(words in str(problem) for words in ("out of memory", "can't allocate memory", "ALLOC_FAILED"))


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
