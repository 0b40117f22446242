"""MP4 in and out, in bounded memory, and before | after compositions.

Written files are fragmented: one whose writer was killed plays up to its last fragment.
There are no B-frames, so every file starts at time 0 and files can be joined without
encoding again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import cv2
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from renderlift.bridge.errors import RecordingError, RenderError

Picture = NDArray[np.uint8]  # (H, W, 3), sRGB

# Numbers of ITU-T H.273, which players read to show the colours as they were meant.
_BT709, _SRGB_CURVE, _RGB_MATRIX = 1, 13, 0
_LIMITED_RANGE, _FULL_RANGE = 1, 2

# qp 0 is lossless, crf 14 looks so. The encoder looks ahead ten frames: forty, its default, cost memory
# that grows over a video's first clips and buy nothing at this quality.
_LOSSLESS = {"qp": "0", "preset": "veryfast", "bf": "0"}
_LOSSY = {"crf": "14", "bf": "0", "rc-lookahead": "10"}

_LINE = (245, 245, 245)
_TEXT = (255, 255, 255)


def refuse_other_ending(output: Path) -> None:
    """Pictures are written to NAME.mp4, or to a folder, whose name has no ending.

    Raises:
        RecordingError: another ending.
    """
    if output.suffix not in ("", ".mp4"):
        raise RecordingError(
            f"cannot write {output.suffix} files",
            fix="Name a file ending in .mp4, or a folder for PNGs, without an ending.",
        )


class _OutputFile:
    """A file that never fails towards FFmpeg, which crashes the process when its disk is full.

    The first error is kept, and raised by `check` and `close`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._error: OSError | None = None
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise self._failure(error) from error

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        try:
            while rest and self._error is None:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self._error = error
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def check(self) -> None:
        if self._error:
            raise self._failure(self._error) from self._error

    def close(self) -> None:
        self._file.close()
        self.check()

    def _failure(self, error: OSError) -> RecordingError:
        return RecordingError(
            f"cannot write {self.path}: {error.strerror}", fix="Free some space, or write elsewhere."
        )


class VideoWriter:
    """Encodes pictures to an H.264 MP4 as they come.

    Even sizes use yuv420p, which plays everywhere. An odd width or height cannot be said
    in 4:2:0, so those use yuv444p, which desktop players show and some browsers do not;
    the alternative would be to drop or invent a row. `lossless` keeps RGB bit for bit.
    """

    def __init__(self, path: Path | str, height: int, width: int, fps: Fraction | float, *, lossless: bool = False):
        """Open a file for writing, replacing what is there.

        Args:
            fps: frames per second, exact as a fraction.

        Raises:
            RecordingError: the file cannot be written.
        """
        self.path = Path(path)
        self._shape = (height, width, 3)
        self._count = 0
        rate = Fraction(fps).limit_denominator(1001)
        self._file = _OutputFile(self.path)
        self._container = _create(self._file, {"movflags": "frag_keyframe+empty_moov+default_base_moof"})
        codec, options = ("libx264rgb", _LOSSLESS) if lossless else ("libx264", _LOSSY)
        self._stream = self._container.add_stream(codec, rate=rate, options=options)
        self._stream.height, self._stream.width = height, width
        self._stream.time_base = 1 / rate
        odd = height % 2 or width % 2
        self._stream.pix_fmt = "rgb24" if lossless else "yuv444p" if odd else "yuv420p"
        context = self._stream.codec_context
        context.colorspace = _RGB_MATRIX if lossless else _BT709
        context.color_range = _FULL_RANGE if lossless else _LIMITED_RANGE
        context.color_primaries, context.color_trc = _BT709, _SRGB_CURVE

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, picture: Picture) -> None:
        """Append one picture (H, W, 3).

        Raises:
            RenderError: its size is not that of the video.
            RecordingError: the disk is full or failed.
        """
        if picture.shape != self._shape or picture.dtype != np.uint8:
            raise RenderError(f"a picture is {picture.dtype} {picture.shape}, the video is uint8 {self._shape}")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        if self._stream.pix_fmt != "rgb24":
            frame = frame.reformat(
                format=self._stream.pix_fmt, dst_colorspace="ITU709", src_color_range="JPEG", dst_color_range="MPEG"
            )
        frame.pts = self._count
        self._count += 1
        self._container.mux(self._stream.encode(frame))
        self._file.check()

    def close(self) -> None:
        """Finish the file. May be called twice.

        Raises:
            RecordingError: the disk is full or failed.
        """
        if self._count:
            self._container.mux(self._stream.encode(None))
            self._count = 0
        self._container.close()
        self._file.close()


def read_video(path: Path | str) -> Iterator[Picture]:
    """The pictures (H, W, 3) of a video, one at a time.

    Raises:
        RecordingError: no video there, or one that cannot be decoded.
    """
    with _open_video(Path(path)) as container:
        try:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
        except FFmpegError as error:
            raise _not_a_video(Path(path), error) from error


@dataclass(frozen=True)
class VideoFacts:
    """What a video file holds."""

    frames: int
    height: int
    width: int
    fps: float


def video_facts(path: Path | str) -> VideoFacts:
    """What a video holds, counted without decoding it.

    Raises:
        RecordingError: no video there.
    """
    with _open_video(Path(path)) as container:
        stream = container.streams.video[0]
        height, width, fps = int(stream.height), int(stream.width), float(stream.average_rate or 24)
    return VideoFacts(_packet_count(Path(path)), height, width, fps)


def join_videos(parts: Sequence[Path], output: Path) -> None:
    """Put videos of equal size, rate and encoding one after the other, without encoding again.

    The result is one plain MP4 whose index stands in front, so that players and browsers
    start at once.

    Raises:
        RecordingError: a part cannot be read, or the output not written.
    """
    file = _OutputFile(output)
    # Room for the index, which is written last: 28 bytes per frame at most, and the header.
    room = (1 << 16) + 32 * sum(_packet_count(part) for part in parts)
    with _create(file, {"moov_size": str(room)}) as joined:
        stream: Any = None
        start = Fraction(0)
        for part in parts:
            with _open_video(part) as container:
                stream = stream or joined.add_stream_from_template(container.streams.video[0])
                start += _append(joined, stream, container, start)
            file.check()
    file.close()


def side_by_side(before: Picture, after: Picture, *, captions: tuple[str, str] = ("before", "after")) -> Picture:
    """Two pictures (H, W, 3) next to each other, (H, 2W, 3), a thin line between them."""
    return in_a_row((before, after), captions)


def in_a_row(pictures: Sequence[Picture], captions: Sequence[str]) -> Picture:
    """N pictures (H, W, 3) next to each other, (H, N W, 3), thin lines between them."""
    row = np.concatenate(pictures, axis=1)
    width = pictures[0].shape[1]
    for i, caption in enumerate(captions):
        if i:
            _draw_line(row, i * width)
        _draw_caption(row, caption, left=i * width, right=(i + 1) * width)
    return row


def wipe(
    before: Picture, after: Picture, share: float, *, captions: tuple[str, str] = ("before", "after")
) -> Picture:
    """One picture (H, W, 3) whose left `share` is `before` and whose rest is `after`.

    Args:
        share: from 0, all after, to 1, all before.
    """
    edge = round(min(max(share, 0.0), 1.0) * before.shape[1])
    picture = after.copy()
    picture[:, :edge] = before[:, :edge]
    if 0 < edge < before.shape[1]:
        _draw_line(picture, edge)
    _draw_caption(picture, captions[0], left=0, right=edge)
    _draw_caption(picture, captions[1], left=edge, right=picture.shape[1])
    return picture


def _packet_count(path: Path) -> int:
    with _open_video(path) as container:
        return sum(packet.pts is not None for packet in container.demux(container.streams.video[0]))


def _append(joined: Any, stream: Any, container: Any, start: Fraction) -> Fraction:
    """Copy one part so that it begins at `start` seconds; returns how long it lasts."""
    source = container.streams.video[0]
    offset = round(start / source.time_base)
    frames = 0
    for packet in container.demux(source):
        if packet.pts is None:
            continue  # the empty packet that ends a stream
        packet.pts += offset
        packet.dts += offset
        packet.stream = stream
        joined.mux(packet)
        frames += 1
    return Fraction(frames / source.average_rate)


def _draw_line(picture: Picture, column: int) -> None:
    picture[:, max(column - 1, 0) : column + 1] = _LINE


def _draw_caption(picture: Picture, text: str, *, left: int, right: int) -> None:
    """White text on a darkened box, bottom left of some columns; left out where it does not fit."""
    height = picture.shape[0]
    scale = max(height / 900, 0.4)
    (text_width, text_height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    margin = text_height // 2
    box_width, box_height = text_width + 2 * margin, text_height + 2 * margin
    if box_width + 2 * margin > right - left or box_height > height // 6:
        return
    bottom, start = height - margin, left + margin
    box = picture[bottom - box_height : bottom, start : start + box_width]
    box //= 3
    at = (start + margin, bottom - margin)
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, _TEXT, 1, cv2.LINE_AA)


def _create(file: _OutputFile, options: dict[str, str]) -> Any:
    # PyAV's own types are partly unknown to strict checkers; here they end.
    return av.open(file, "w", format="mp4", options=options)


def _open_video(path: Path) -> Any:
    try:
        container = av.open(str(path))
    except (FFmpegError, OSError) as error:
        raise _not_a_video(path, error) from error
    if not container.streams.video:
        container.close()
        raise RecordingError(f"{path} has no picture track", fix="Name a video file.")
    container.streams.video[0].thread_type = "AUTO"
    return container


def _not_a_video(path: Path, error: Exception) -> RecordingError:
    return RecordingError(f"{path} cannot be read as a video: {error}", fix="Name an MP4 that plays.")
