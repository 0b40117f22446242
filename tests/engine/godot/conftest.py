"""The real Godot, drawing with software Vulkan on a screen that is a file."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from renderlift.bridge.connection import Curve
from renderlift.bridge.frame import Frame
from renderlift.bridge.receive import Receiver

ADDON = Path(__file__).parents[3] / "engine_plugin/godot/addons/renderlift"
PROJECT = Path(__file__).parent / "project"
EXTENSION = ADDON / "bin/librenderlift.linux.x86_64.so"
CACHE = Path(os.environ.get("RENDERLIFT_CACHE", Path.home() / ".cache/renderlift"))
SCREEN = (1280, 800)
MAGENTA = (230, 20, 200)


class Painter:
    """A bridge whose every picture is one colour."""

    def __init__(self, endpoint: str = "tcp://127.0.0.1:*", curve: Curve | None = None) -> None:
        self.receiver = Receiver(endpoint, curve=curve)
        self.endpoint = self.receiver.endpoint.replace("0.0.0.0", "127.0.0.1")
        self.frames: list[Frame] = []
        self.arrived_s: list[float] = []  # of each frame, by time.monotonic()
        self.came = threading.Condition()
        self.thread = threading.Thread(target=self._paint, daemon=True)
        self.thread.start()

    def _paint(self) -> None:
        for frame in self.receiver.frames():
            self.receiver.send_result(frame, np.full((frame.height, frame.width, 3), MAGENTA, np.uint8))
            with self.came:
                self.frames.append(frame)
                self.arrived_s.append(time.monotonic())
                self.came.notify_all()

    def wait_frames(self, count: int, timeout_s: float = 300.0) -> None:
        with self.came:
            assert self.came.wait_for(lambda: len(self.frames) >= count, timeout_s), len(self.frames)

    def close(self) -> None:
        self.receiver.close()
        self.thread.join()

    @staticmethod
    def share_in(picture: NDArray[np.uint8]) -> float:
        """Of a picture's pixels, how many are in this painter's colour."""
        return float((np.abs(picture.astype(int) - MAGENTA).max(-1) < 12).mean())


def processor_s(pid: int) -> float:
    """Processor time of a process, its threads included; 0 once it has gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Game:
    """A running Godot; `wait_for` a line of its output.

    Of each line it is known when it came, by time.monotonic(), and what processor time Godot had used by then.
    """

    process: "subprocess.Popen[str]"
    lines: list[str] = field(default_factory=list)
    came_s: list[float] = field(default_factory=list)
    used_s: list[float] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)
    reader: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self.came:
                self.came_s.append(time.monotonic())
                self.used_s.append(processor_s(self.process.pid))
                self.lines.append(line.rstrip())
                self.came.notify_all()

    def wait_for(self, text: str, timeout_s: float = 300.0) -> int:
        """The number of the first line that holds `text`."""
        with self.came:
            assert self.came.wait_for(lambda: any(text in line for line in self.lines), timeout_s), self.output
            return next(number for number, line in enumerate(self.lines) if text in line)

    def end(self, timeout_s: float = 300.0) -> int:
        code = self.process.wait(timeout_s)
        self.reader.join()
        return code

    def kill(self) -> None:
        self.process.kill()
        self.end()
        if self.process.stdout:
            self.process.stdout.close()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    @property
    def complaints(self) -> list[str]:
        """What Godot calls an error."""
        return [line for line in self.lines if "ERROR" in line]


@dataclass(frozen=True)
class Screen:
    """The virtual screen; what it shows can be read at any time."""

    display: str
    file: Path

    def picture(self) -> NDArray[np.uint8]:
        """What is shown now: H x W x 3, sRGB. The file is an X window dump (XWD)."""
        data = self.file.read_bytes()
        header = np.frombuffer(data, ">u4", 25)
        width, height, row_bytes, colors = int(header[4]), int(header[5]), int(header[12]), int(header[19])
        start = int(header[0]) + 12 * colors
        rows = np.frombuffer(data, np.uint8, row_bytes * height, start).reshape(height, row_bytes)
        return rows[:, : 4 * width].reshape(height, width, 4)[..., 2::-1].copy()

    def picture_once(
        self, is_wanted: Callable[[NDArray[np.uint8]], bool], timeout_s: float = 300.0
    ) -> NDArray[np.uint8]:
        """The picture once it is as wanted, or the last one; looks ten times a second."""
        never = threading.Event()
        for _ in range(int(timeout_s * 10)):
            if is_wanted(self.picture()):
                break
            never.wait(0.1)
        return self.picture()


@pytest.fixture(scope="session")
def godot() -> str:
    binary = os.environ.get("RENDERLIFT_GODOT", str(CACHE / "godot-forky/godot"))
    if not Path(binary).exists():
        pytest.skip("no Godot: run engine_plugin/godot/get_godot.sh, or set RENDERLIFT_GODOT")
    if not EXTENSION.exists():
        pytest.skip("the Godot extension is not built: run engine_plugin/godot/build.sh")
    if shutil.which("Xvfb") is None:
        pytest.skip("no Xvfb: Godot draws only on a screen")
    return binary


@pytest.fixture(scope="session")
def screen(godot: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    folder = tmp_path_factory.mktemp("screen")
    size = "{}x{}x24".format(*SCREEN)
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", size, "-fbdir", str(folder), "-nolisten", "tcp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        yield Screen(":" + process.stdout.readline().strip(), folder / "Xvfb_screen0")
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Godot project with the addon, as a user would set it up."""
    folder = tmp_path_factory.mktemp("godot") / "project"
    shutil.copytree(PROJECT, folder)
    shutil.copytree(ADDON, folder / "addons/renderlift")
    (folder / ".godot").mkdir()
    # What an import would write; without it the first start knows no extension.
    (folder / ".godot/extension_list.cfg").write_text("res://addons/renderlift/renderlift.gdextension\n")
    return folder


@pytest.fixture(scope="session")
def games() -> list[Game]:
    """Those that run."""
    return []


@pytest.fixture(scope="session")
def start(godot: str, screen: Screen, project: Path, games: list[Game]) -> Callable[..., Game]:
    """start("scene.tscn", "--renderlift-mode=capture", engine=("--fixed-fps", "24")) -> Game."""

    def start_game(scene: str, *arguments: str, engine: tuple[str, ...] = ()) -> Game:
        command = [godot, "--audio-driver", "Dummy", "--disable-vsync", "--path", str(project), *engine]
        process = subprocess.Popen(
            [*command, f"res://{scene}", "--", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "DISPLAY": screen.display},
        )
        game = Game(process)
        game.reader.start()
        games.append(game)
        return game

    return start_game


@pytest.fixture(autouse=True)
def no_game_is_left(games: list[Game]) -> Iterator[None]:
    yield
    while games:
        games.pop().kill()


@pytest.fixture
def new_painter() -> Iterator[Callable[..., Painter]]:
    """new_painter(endpoint, curve) -> Painter; a bridge to be started, closed and started again."""
    painters: list[Painter] = []

    def new(endpoint: str = "tcp://127.0.0.1:*", curve: Curve | None = None) -> Painter:
        painters.append(Painter(endpoint, curve))
        return painters[-1]

    yield new
    for painter in painters:
        painter.close()


@pytest.fixture
def keep_picture() -> Callable[[str, NDArray[np.uint8]], None]:
    """keep_picture(name, picture): writes NAME.png into $RENDERLIFT_PICTURES, if that is set, to be looked at."""

    def keep(name: str, picture: NDArray[np.uint8]) -> None:
        if folder := os.environ.get("RENDERLIFT_PICTURES"):
            cv2.imwrite(f"{folder}/{name}.png", picture[..., ::-1])

    return keep
