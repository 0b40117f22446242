"""Pictures of streams as they are served: one video, or one folder of PNGs, per stream."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import cv2

from renderlift.bridge.enhance import DEFAULT_FPS
from renderlift.bridge.errors import RecordingError
from renderlift.bridge.frame import Frame
from renderlift.bridge.video import Picture, VideoWriter, refuse_other_ending

FilmKey = tuple[tuple[str, str, str], int, int]  # stream, height, width
# A third of the default's time for some percent more bytes.
PNG_SETTINGS = (cv2.IMWRITE_PNG_COMPRESSION, 3)


class Film(Protocol):
    """Takes the pictures of one stream."""

    def write(self, picture: Picture, /) -> None: ...

    def close(self) -> None: ...


class Films:
    """Keeps the pictures of every stream, in an MP4 at the rate of the engine's clock, or as PNGs, bit for bit.

    The first stream gets the name that was asked for, the next ones `NAME-2`, `NAME-3`; so
    does a stream whose size changes.
    """

    def __init__(self, path: Path | str) -> None:
        """Args:
            path: ends in .mp4, or has no ending: a folder for PNGs.

        Raises:
            RecordingError: another ending.
        """
        self.paths: list[Path] = []
        self._path = Path(path)
        refuse_other_ending(self._path)
        self._films: dict[FilmKey, Film] = {}
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
        if key not in self._films and key not in self._first:
            self._first[key] = (frame, picture)
            return
        if key in self._first:
            self._begin(key, frame.engine_time_ns - self._first[key][0].engine_time_ns)
        self._films[key].write(picture)

    def close(self) -> None:
        """Finish all of them.

        Raises:
            RecordingError: the disk is full or failed.
        """
        for key in list(self._first):
            self._begin(key, 0)
        films, self._films = self._films, {}
        for film in films.values():
            film.close()

    def _begin(self, key: FilmKey, step_ns: int) -> None:
        _, height, width = key
        number = len(self.paths) + 1
        path = self._path if number == 1 else self._path.with_stem(f"{self._path.stem}-{number}")
        fps = Fraction(1_000_000_000, step_ns) if step_ns > 0 else Fraction(DEFAULT_FPS)
        self._films[key] = VideoWriter(path, height, width, fps) if path.suffix else _Folder(path)
        self.paths.append(path)
        _, picture = self._first.pop(key)
        self._films[key].write(picture)


class _Folder:
    """PNGs numbered from 0."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordingError(f"cannot write {path}: {error.strerror}", fix="Choose another name.") from error

    def write(self, picture: Picture, /) -> None:
        path = self._path / f"{self._count:06d}.png"
        write_png(path, picture)
        self._count += 1

    def close(self) -> None:
        """Every picture is on disk already."""


def write_png(path: Path, picture: Picture) -> None:
    """Write one picture (H, W, 3).

    Raises:
        RecordingError: the disk is full or failed.
    """
    if not cv2.imwrite(str(path), picture[:, :, ::-1], PNG_SETTINGS):
        raise RecordingError(f"cannot write {path}", fix="Free some space, or write elsewhere.")


def read_png(path: Path) -> Picture:
    """Read what `write_png` wrote.

    Raises:
        RecordingError: no picture there.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise RecordingError(f"there is no picture at {path}", fix="It was expected there; run the same again.")
    return picture.astype("uint8", copy=False)
