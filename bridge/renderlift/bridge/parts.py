"""What an unfinished output consists of: a folder of parts, and a ledger that says how far they go.

    OUTPUT.parts/ledger.json        how far it is, and with which settings
    OUTPUT.parts/000000.mp4         one part per clip; pictures go straight to their folder
    OUTPUT.parts/000001.tail.npy    pictures held back for the next clip's cross-fade
    OUTPUT.parts/replaces.json      which finished output, still in its place, this one is to replace

Where the shots of a recording are shared out (see `split`), each share has such a folder of its own in
OUTPUT.parts, named by its first frame, and OUTPUT.parts/plan.json says which there are.
Each file is in place before the ledger counts it.
"""

import errno
import os
import re
import shutil
import sys
import time
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import cv2
import msgspec
import numpy as np

from renderlift.bridge.clip import Clip, Look, Video
from renderlift.bridge.errors import RecordingError
from renderlift.bridge.frame import Channel, Frame
from renderlift.bridge.remedied import Remedied
from renderlift.bridge.segment_index import StreamSummary
from renderlift.bridge.video import Picture, VideoWriter, join_videos
from renderlift.bridge.video import side_by_side as before_and_after

DEFAULT_FPS = 24.0  # of a recording whose engine time does not pass
LOCK_WAIT_S = 15.0  # a worker whose head was killed takes a moment to die
_LEDGERS = ("ledger.json", "plan.json")
_REPLACES = "replaces.json"
_PICTURE_NAME = re.compile(r"\d{6,}\.png")


class Ledger(msgspec.Struct, frozen=True):
    """How far a run is, and everything its pictures depend on."""

    settings: dict[str, str]
    clips: int = 0
    frames: int = 0
    next_index: int = 0  # of the first frame of the next clip
    remedied: tuple[Remedied, ...] = ()
    look: Look | None = None  # of the run that goes on, which colours are held to


class Plan(msgspec.Struct, frozen=True):
    """Where a recording was cut into shares that are rendered by themselves: indices of their first frames."""

    settings: dict[str, str]
    starts: tuple[int, ...]


Kept = TypeVar("Kept", Ledger, Plan)


def parts_folder(output: Path) -> Path:
    """Where what is finished of an output stands until it is whole."""
    return output.with_name(output.name + ".parts")


def frames_done(output: Path) -> int:
    """How many frames of an unfinished output stand in its ledgers; read from outside, while it grows."""
    done = 0
    for path in [*parts_folder(output).glob("ledger.json"), *parts_folder(output).glob("*/ledger.json")]:
        try:
            done += msgspec.json.decode(path.read_bytes(), type=Ledger).frames
        except (OSError, msgspec.MsgspecError):  # it was finished meanwhile
            continue
    return done


class Parts:
    """The files of one output, or of one share of it; locked while they are open."""

    def __init__(self, output: Path, stream: StreamSummary, beside: bool, *, share: int | None = None) -> None:
        """Args:
        share: index of the first frame of the share; None = all.
        """
        self.output = output
        self.root = parts_folder(output)
        self.folder = self.root if share is None else self.root / f"{share:06d}"
        self._is_video = output.suffix == ".mp4"
        self._fps = Fraction(stream.fps or DEFAULT_FPS).limit_denominator(1001)
        self._stream = stream
        self._beside = beside

    def clear(self) -> None:
        """Give up the parts, and what is known of the output, which stays until the new one takes its place."""
        shutil.rmtree(self.root, ignore_errors=True)
        self._note.unlink(missing_ok=True)
        if not self._is_in_the_way():
            return
        self.root.mkdir(parents=True, exist_ok=True)
        with _replacing(self.root / _REPLACES) as path:
            path.write_bytes(msgspec.json.encode(self._pictures()))

    def refuse_in_the_way(self) -> None:
        """Raises:
        RecordingError: there is an output that no parts belong to, and that nobody said to replace.
        """
        if self._is_in_the_way() and not (self.root / _REPLACES).exists():
            raise RecordingError(f"{self.output} is there already", fix="Add --restart, or choose another name.")

    def refuse(self, wanted: Mapping[str, str], *, unknown: Collection[str] = (), noted: bool = False) -> None:
        """Hold a run against what is there, before anything is loaded for it.

        Args:
            unknown: settings that are not known yet.
            noted: an output that is noted as finished with these settings is fine.

        Raises:
            RecordingError: an output is in the way, or was begun with other settings.
        """
        if noted and self.noted(wanted, unknown=unknown):
            return
        if not (self.plan(wanted, unknown=unknown) or self.ledger(wanted, unknown=unknown)):
            self.refuse_in_the_way()

    def ledger(self, wanted: Mapping[str, str], *, unknown: Collection[str] = ()) -> Ledger | None:
        """The ledger to go on from; None = nothing was begun.

        Args:
            unknown: settings that are not compared.

        Raises:
            RecordingError: it was begun with other settings, or is not a ledger.
        """
        return self._read(self.folder / "ledger.json", Ledger, wanted, unknown)

    def begin(self, wanted: dict[str, str]) -> Ledger:
        """A ledger of nothing yet, on disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._note.unlink(missing_ok=True)  # it is of an output that was taken away
        ledger = Ledger(wanted)
        self.write_ledger(ledger)
        return ledger

    def forget(self) -> None:
        """Take a ledger away of which nothing is done, so that nobody is held to its settings."""
        (self.folder / "ledger.json").unlink(missing_ok=True)

    def plan(self, wanted: Mapping[str, str], *, unknown: Collection[str] = ()) -> Plan | None:
        """How the recording was shared out; None = not.

        Raises:
            RecordingError: as `ledger`.
        """
        return self._read(self.root / "plan.json", Plan, wanted, unknown)

    def write_plan(self, plan: Plan) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        with _replacing(self.root / "plan.json") as path:
            path.write_bytes(msgspec.json.format(msgspec.json.encode(plan)))

    def noted(self, wanted: Mapping[str, str], *, unknown: Collection[str] = ()) -> Ledger | None:
        """The ledger of an output that was finished and noted as such; None = it was not, or is gone.

        Raises:
            RecordingError: it was made with other settings.
        """
        if not self.output.exists() or any((self.root / name).exists() for name in (_REPLACES, *_LEDGERS)):
            return None
        return self._read(self._note, Ledger, wanted, unknown)

    @contextmanager
    def locked(self) -> Generator[None]:
        """No other process writes here meanwhile.

        Raises:
            RecordingError: one does.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if sys.platform == "win32":  # which cannot open folders
            yield
            return
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            _lock(folder, self.output)
            yield
        finally:
            os.close(folder)

    def refuse_other_size(self, clip: Clip) -> None:
        size, final = (clip.width, clip.height), (self._stream.width, self._stream.height)
        if self._is_video and size != final:
            raise RecordingError(
                f"frame {clip.frames[0].index} is {size[0]}x{size[1]}, the last {final[0]}x{final[1]}, "
                "and a video has one size",
                fix="Name a folder without an ending, to get PNGs.",
            )

    def write_part(self, number: int, frames: Sequence[Frame], pictures: Video) -> None:
        composed = self._composed(frames, pictures)
        if self._is_video:
            with _replacing(self.part(number)) as path:
                _write_video(path, composed, self._fps)
            return
        self.output.mkdir(parents=True, exist_ok=True)
        for frame, picture in zip(frames, composed, strict=False):  # the held-back frames have no picture yet
            with _replacing(self.output / f"{frame.index:06d}.png") as path:
                path.write_bytes(_png(picture))

    def read_tail(self, number: int) -> Video:
        """The pictures held back before clip `number`."""
        path = self._tail(number)
        if not path.exists():
            return np.empty((0, 0, 0, 3), np.uint8)
        tail: Video = np.load(path, allow_pickle=False)
        return tail

    def write_tail(self, number: int, tail: Video) -> None:
        with _replacing(self._tail(number)) as path, path.open("wb") as file:
            np.save(file, tail, allow_pickle=False)

    def write_ledger(self, ledger: Ledger) -> None:
        with _replacing(self.folder / "ledger.json") as path:
            path.write_bytes(msgspec.json.format(msgspec.json.encode(ledger)))
        self._tail(ledger.clips - 1).unlink(missing_ok=True)

    def part(self, number: int) -> Path:
        return self.folder / f"{number:06d}.mp4"

    def finish(self, parts: Sequence[Path], ledger: Ledger, *, noted: bool) -> None:
        """Put the output in its place and take the parts away.

        Args:
            parts: of a video, in order.
            ledger: of the whole output.
            noted: leave a note beside it, by which the same run, started again, knows its own.
        """
        if self._is_video:
            with _replacing(self.output, beside=self.root) as path:
                join_videos(parts, path)
        self._take_replaced_away()
        if noted:
            self._note.parent.mkdir(exist_ok=True)
            with _replacing(self._note) as path:
                path.write_bytes(msgspec.json.format(msgspec.json.encode(ledger)))
        # First, since without its parts a ledger would mislead a rerun.
        for name in _LEDGERS:
            (self.root / name).unlink(missing_ok=True)
        self.take_away()

    def take_away(self) -> None:
        """What is left of parts that nothing counts any more."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _is_in_the_way(self) -> bool:
        return self.output.exists() and not _is_empty_folder(self.output)

    def _pictures(self) -> dict[str, int]:
        """Pictures of the output's folder, and when each was written, in ns: files' numbers are used again."""
        found = self.output.iterdir() if self.output.is_dir() else ()
        return {path.name: path.stat().st_mtime_ns for path in found if _PICTURE_NAME.fullmatch(path.name)}

    def _take_replaced_away(self) -> None:
        """Take away what the new output has no picture for: those whose file is still that of the old one."""
        replaces = self.root / _REPLACES
        if not replaces.exists():
            return
        before = msgspec.json.decode(replaces.read_bytes(), type=dict[str, int])
        for name, written_ns in self._pictures().items():
            if before.get(name) == written_ns:
                (self.output / name).unlink()
        replaces.unlink()

    def _read(
        self, path: Path, kind: type[Kept], wanted: Mapping[str, str], unknown: Collection[str]
    ) -> Kept | None:
        if not path.exists():
            return None
        try:
            kept = msgspec.json.decode(path.read_bytes(), type=kind)
        except msgspec.MsgspecError as error:
            raise RecordingError(
                f"{path} is not a {kind.__name__.lower()} of ours: {error}", fix="Add --restart to begin again."
            ) from error
        if differences := _differences(kept.settings, wanted, unknown):
            raise RecordingError(
                f"{self.output} was begun with other settings: {differences}",
                fix="Use the same settings, or add --restart to begin again.",
            )
        return kept

    def _composed(self, frames: Sequence[Frame], pictures: Video) -> Iterator[Picture]:
        for frame, picture in zip(frames, pictures, strict=False):
            before = frame.channels[Channel.RGB]
            captions = (frame.engine or "engine", "renderlift")
            yield before_and_after(before, picture, captions=captions) if self._beside else picture

    @property
    def _note(self) -> Path:
        return self.output.parent / ".finished" / f"{self.output.name}.json"

    def _tail(self, number: int) -> Path:
        return self.folder / f"{number:06d}.tail.npy"


def _lock(folder: int, output: Path) -> None:
    import fcntl

    until_s = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() < until_s:
                time.sleep(0.1)
                continue
            raise RecordingError(
                f"another process renders {output}", fix="Wait for it or stop it, or choose another name."
            ) from error
        except OSError:
            return  # a file system without locks
        return


def _differences(before: Mapping[str, str], now: Mapping[str, str], unknown: Collection[str]) -> str:
    known = [name for name in {**before, **now} if name not in unknown]
    names = [name for name in known if before.get(name) != now.get(name)]
    return ", ".join(f"{name} was {before.get(name, 'not set')}, is {now.get(name, 'not set')}" for name in names)


def _write_video(path: Path, pictures: Iterable[Picture], fps: Fraction) -> None:
    writer: VideoWriter | None = None
    try:
        for picture in pictures:
            if writer is None:
                writer = VideoWriter(path, picture.shape[0], picture.shape[1], fps)
            writer.write(picture)
    finally:
        if writer:
            writer.close()


def _png(picture: Picture) -> bytes:
    # Level 3 takes a third of the default's time for some percent more bytes.
    done, encoded = cv2.imencode(".png", picture[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 3])
    assert done
    return encoded.tobytes()


@contextmanager
def _replacing(path: Path, *, beside: Path | None = None) -> Generator[Path]:
    """A name to write to; what was written takes the place of `path` in one step, on disk."""
    temporary = (beside or path.parent) / f".{path.name}.unfinished"
    yield temporary
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


@contextmanager
def disk_errors(parts: Path) -> Generator[None]:
    """A failure of the disk becomes a sentence with its fix.

    Raises:
        RecordingError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        is_full = error.strerror is None or error.errno in (errno.ENOSPC, errno.EDQUOT)  # numpy gives no reason
        raise RecordingError(
            f"cannot write {error.filename or parts}: {error.strerror or error}",
            fix="Free some space and run the same again: what is finished is kept."
            if is_full
            else "Choose a place that can be written to.",
        ) from error
