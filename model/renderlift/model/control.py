"""From a clip to what a model reads: the one place where sizes and value ranges change.

The traps this file exists for: `LTX2InContextPipeline` takes references as float 0..1 (a uint8
array is silently read as 0..255), but conditions as 0..255; heights and widths must be multiples
of 32 and frame counts k * ratio + 1.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from renderlift.bridge.clip import Clip, Video
from renderlift.bridge.frame import Channel
from renderlift.model.frame_by_frame import each_frame

SIZE_MULTIPLE = 32
LOCK_CHANNELS = 12  # rgb 3, albedo 3, normal 3, nearness 1, roughness and metallic 2


def working_size(height: int, width: int, pixels: int) -> tuple[int, int]:
    """The (height, width) a base works at: multiples of 32 near `pixels` in area and the same aspect."""
    scale = math.sqrt(pixels / (height * width))
    return _multiple(height * scale), _multiple(width * scale)


@dataclass(frozen=True)
class Fit:
    """How pictures are laid into a size that a base takes: scaled to `height` x `width`, then grown to the
    right and downwards to `padded_height` x `padded_width` by repeating their border."""

    height: int
    width: int
    padded_height: int
    padded_width: int


def stretched(height: int, width: int, pixels: int) -> Fit:
    """Scaled to `working_size` exactly, as the embedded base was trained."""
    h, w = working_size(height, width, pixels)
    return Fit(h, w, h, w)


def fitted(height: int, width: int, pixels: int, multiple: int) -> Fit:
    """In their own proportions: down to `pixels` where they are larger, then padded to multiples of `multiple`."""
    scale = min(1.0, math.sqrt(pixels / (height * width)))
    h, w = max(1, round(height * scale)), max(1, round(width * scale))
    return Fit(h, w, math.ceil(h / multiple) * multiple, math.ceil(w / multiple) * multiple)


def shrunk(fit: Fit, factor: int) -> Fit:
    """The same picture at 1 / `factor` of the size."""
    height, width = max(1, round(fit.height / factor)), max(1, round(fit.width / factor))
    return Fit(height, width, fit.padded_height // factor, fit.padded_width // factor)


def laid_in(video: NDArray[np.uint8], fit: Fit) -> NDArray[np.uint8]:
    """(T, H, W, 3) to (T, padded_height, padded_width, 3)."""
    small = resize(video, fit.height, fit.width)
    if (fit.height, fit.width) == (fit.padded_height, fit.padded_width):
        return small
    grown = (0, fit.padded_height - fit.height), (0, fit.padded_width - fit.width), (0, 0)
    return each_frame(lambda t: np.pad(small[t], grown, mode="edge"), len(small))


def cut_out(pixels: Tensor, fit: Fit, frames: int) -> Tensor:
    """(T, 3, padded height, padded width) of a base back to (frames, 3, height, width)."""
    return pixels[:frames, :, : fit.height, : fit.width]


def lengthened(video: NDArray[np.uint8], frames: int) -> NDArray[np.uint8]:
    """A short video grown to `frames` by repeating its last picture."""
    missing = frames - len(video)
    return video if missing <= 0 else np.concatenate([video, np.repeat(video[-1:], missing, axis=0)])


def padded_length(frames: int, temporal_ratio: int) -> int:
    """The next frame count of the form k * temporal_ratio + 1."""
    return math.ceil((frames - 1) / temporal_ratio) * temporal_ratio + 1


def resize(video: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """(T, H, W, 3) to (T, height, width, 3): area average down, linear up."""
    if video.shape[1:3] == (height, width):
        return video
    return each_frame(lambda t: resize_frame(video[t], height, width), len(video))


def resize_frame(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The same of one picture, (H, W, 3) to (height, width, 3)."""
    if picture.shape[:2] == (height, width):
        return picture
    how = cv2.INTER_AREA if height * width < picture.shape[0] * picture.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=how), np.uint8)


def reference_pixels(video: NDArray[np.uint8], height: int, width: int, frames: int) -> Tensor:
    """A reference as the pipeline wants it: (frames, 3, height, width), float 0..1.

    A short video is padded by repeating its last frame.
    """
    return to_pixels(lengthened(resize(video, height, width), frames))


def to_pixels(video: NDArray[np.uint8], device: torch.device | str = "cpu") -> Tensor:
    """(T, H, W, 3) uint8 to (T, 3, H, W) float 0..1 on `device`, to which a quarter as much travels so.

    Where weights wait in main memory for want of room, so should these: pipelines bring in one at a time.
    """
    return torch.from_numpy(np.ascontiguousarray(video)).to(device).permute(0, 3, 1, 2).float() / 255


def to_video(pixels: Tensor) -> Video:
    """(T, 3, H, W) float 0..1 to (T, H, W, 3) uint8, rounded, on whatever device they are.

    A frame at a time: a long clip in float32 is larger than all that it was painted with.
    """
    frames, _, height, width = pixels.shape
    video = torch.empty((frames, height, width, 3), dtype=torch.uint8)
    for frame, made in zip(pixels.detach(), video, strict=True):
        made.copy_(frame.float().clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0))
    return video.numpy()


def lock_buffers(clip: Clip) -> Tensor:
    """The engine's full-resolution buffers for the geometry lock: (T, 12, H, W), float.

    Channels the clip lacks are zero, which is also what the lock was shown for them in training.
    """
    return engine_buffers(dict(clip.channels))


def frame_buffers(clip: Clip, t: int) -> Tensor:
    """The same of one frame: (12, H, W)."""
    return engine_buffers({channel: values[t : t + 1] for channel, values in clip.channels.items()})[0]


def engine_buffers(channels: dict[Channel, NDArray[np.generic]]) -> Tensor:
    """As `lock_buffers`, from arrays (T, H, W, C) by channel."""
    rgb = channels[Channel.RGB]
    blank = np.zeros((*rgb.shape[:3], 1), np.float32)
    albedo, normal = channels.get(Channel.ALBEDO), channels.get(Channel.NORMAL)
    depth_m, material = channels.get(Channel.DEPTH), channels.get(Channel.MATERIAL)
    parts = [
        rgb.astype(np.float32) / 255,
        # The square root spreads dark linear colours as sRGB would.
        np.sqrt(albedo.astype(np.float32) / 255) if albedo is not None else blank.repeat(3, axis=-1),
        normal.astype(np.float32) if normal is not None else blank.repeat(3, axis=-1),
        nearness(depth_m.astype(np.float32)) if depth_m is not None else blank,
        material.astype(np.float32) / 255 if material is not None else blank.repeat(2, axis=-1),
    ]
    stacked = np.concatenate(parts, axis=-1, dtype=np.float32)
    return torch.from_numpy(stacked).permute(0, 3, 1, 2)


def nearness(depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """Depth squeezed to (0, 1]: 1 at the camera, 0.5 at four metres, 0 at the sky."""
    with np.errstate(divide="ignore"):
        return (1 / (1 + depth_m / 4)).astype(np.float32)


def _multiple(pixels: float) -> int:
    return max(SIZE_MULTIPLE, round(pixels / SIZE_MULTIPLE) * SIZE_MULTIPLE)
