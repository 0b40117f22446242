"""Videos of streams as they are served: one file per stream."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

from renderlift.bridge.enhance import DEFAULT_FPS
from renderlift.bridge.frame import Frame
from renderlift.bridge.video import Picture, VideoWriter

FilmKey = tuple[tuple[str, str, str], int, int]  # stream, height, width


class Films:
    """Writes the pictures of every stream to an MP4 of its own, at the rate of the engine's clock.

    The first stream gets the file that was asked for, the next ones `NAME-2.mp4`, `NAME-3.mp4`;
    so does a stream whose size changes.
    """

    def __init__(self, path: Path | str) -> None:
        self.paths: list[Path] = []
        self._path = Path(path)
        self._writers: dict[FilmKey, VideoWriter] = {}
        self._first: dict[FilmKey, tuple[Frame, Picture]] = {}  # until a second one tells the rate

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, frame: Frame, picture: Picture) -> None:
        """Append the picture (H, W, 3) of a frame; those of one stream come in order.

        Raises:
            RecordingError: the disk is full or failed.
        """
        key = (frame.stream, picture.shape[0], picture.shape[1])
        if key not in self._writers and key not in self._first:
            self._first[key] = (frame, picture)
            return
        if key in self._first:
            self._begin(key, frame.engine_time_ns - self._first[key][0].engine_time_ns)
        self._writers[key].write(picture)

    def close(self) -> None:
        """Finish all files.

        Raises:
            RecordingError: the disk is full or failed.
        """
        for key in list(self._first):
            self._begin(key, 0)
        writers, self._writers = self._writers, {}
        for writer in writers.values():
            writer.close()

    def _begin(self, key: FilmKey, step_ns: int) -> None:
        _, height, width = key
        fps = Fraction(1_000_000_000, step_ns) if step_ns > 0 else Fraction(DEFAULT_FPS)
        number = len(self.paths) + 1
        path = self._path if number == 1 else self._path.with_stem(f"{self._path.stem}-{number}")
        self._writers[key] = VideoWriter(path, height, width, fps)
        self.paths.append(path)
        _, picture = self._first.pop(key)
        self._writers[key].write(picture)
