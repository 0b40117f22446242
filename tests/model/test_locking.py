"""The lock's failures cost time, never the job or a black frame; and its memory is of a few frames."""

import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from renderlift.bridge.clip import Clip, Video
from renderlift.bridge.enhance import enhance
from renderlift.bridge.errors import RenderError
from renderlift.bridge.frame import Array, Channel
from renderlift.bridge.record import Recorder
from renderlift.bridge.remedied import Remedied
from renderlift.model import control, presets
from renderlift.model import render as render_module
from renderlift.model.frame_by_frame import MOST_AHEAD
from renderlift.model.lock import GeometryLock, LockSize, apply_lock
from renderlift.model.locking import CPU, Locking
from renderlift.model.render import load

MakeClip = Callable[..., Clip]
GPU = torch.device("cuda")
SMALL = LockSize((8, 8, 16, 16))


class FailingLock(GeometryLock):
    """A trained lock, as if on the device it was last brought to, which computes at first, and there only once."""

    def __init__(self, failure: Exception | float, *, works_for: int = 0, where: object = None) -> None:
        super().__init__(SMALL)
        torch.manual_seed(0)
        for parameter in self.parameters():
            parameter.data = (0.1 * torch.randn_like(parameter)).bfloat16().float()  # as they are saved
        self.failure, self.works_for, self.where = failure, works_for, where
        self.place: tuple[torch.device, torch.dtype] = CPU, torch.float32

    def to(self, *place: Any, **_: Any) -> "FailingLock":
        self.place = place[0], place[1]
        return super().to(CPU, place[1])

    def forward(self, buffers: Tensor, decoded: Tensor) -> Tensor:
        self.works_for -= 1
        fails = self.works_for < 0 and (self.where is None or self.where in self.place)
        if fails and isinstance(self.failure, Exception):
            raise self.failure
        return super().forward(buffers, decoded) * (self.failure if fails else 1)  # type: ignore[operator]


def out_of_memory(works_for: int = 0, where: object = GPU) -> FailingLock:
    return FailingLock(torch.OutOfMemoryError("CUDA out of memory"), works_for=works_for, where=where)


def nan(works_for: int = 0, where: object = torch.bfloat16) -> FailingLock:
    return FailingLock(torch.nan, works_for=works_for, where=where)


def sound(clip: Clip, painted: Tensor) -> Video:
    """What an unfailing lock in float32 makes of it, the whole clip at once."""
    lock = FailingLock(1.0)
    return control.to_video(apply_lock(lock, control.lock_buffers(clip), painted))


def picture(clip: Clip) -> Tensor:
    return torch.linspace(0, 1, len(clip) * 3 * 16 * 24).reshape(len(clip), 3, 16, 24)


@pytest.mark.parametrize(("height", "width"), [(32, 48), (37, 51)])
def test_a_clip_is_locked_to_the_very_pictures_of_one_locked_at_once(
    make_clip: MakeClip, height: int, width: int
) -> None:
    clip = make_clip(7, height, width)
    video = Locking(FailingLock(1.0), CPU, torch.float32)(clip, picture(clip))
    assert video.dtype == np.uint8 and np.array_equal(video, sound(clip, picture(clip)))
    assert video.std() > 5


def test_where_the_gpus_memory_runs_out_the_lock_goes_on_on_the_cpu_for_the_rest_of_the_job(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    lock, clip = out_of_memory(), make_clip(3, 32, 48)
    locking = Locking(lock, GPU, torch.bfloat16)
    for _ in range(2):
        assert np.array_equal(locking(clip, picture(clip)), sound(clip, picture(clip)))
    assert locking.remedies == ["the lock on the CPU (out of memory in the geometry lock at 48x32)"]
    assert caplog.text.count("trying again with the lock on the CPU") == 1


def test_where_it_gives_nan_the_lock_goes_on_in_float32_where_it_is(make_clip: MakeClip) -> None:
    lock, clip = nan(), make_clip(3, 32, 48)
    locking = Locking(lock, GPU, torch.bfloat16)
    for _ in range(2):
        assert np.array_equal(locking(clip, picture(clip)), sound(clip, picture(clip)))
    assert locking.remedies == ["the lock in float32 (the geometry lock gave NaN for frame 0)"]
    assert lock.place == (GPU, torch.float32)


@pytest.mark.parametrize("failure", [torch.nan, torch.inf])
def test_what_stays_nan_is_an_error_that_names_the_frame_and_no_black_one(
    make_clip: MakeClip, failure: float
) -> None:
    clip = make_clip(4, 32, 48)
    with pytest.raises(RenderError, match="NaN for frame 2") as told:
        Locking(FailingLock(failure, works_for=2), GPU, torch.bfloat16)(clip, picture(clip))
    assert "--no-lock" in told.value.fix


def test_memory_that_runs_out_on_the_cpu_too_is_an_error_that_names_the_size(make_clip: MakeClip) -> None:
    with pytest.raises(RenderError, match="out of memory in the geometry lock at 48x32"):
        Locking(out_of_memory(where=None), GPU, torch.float32)(make_clip(2, 32, 48), torch.zeros(2, 3, 8, 8))


def test_another_failure_of_the_lock_is_told_as_it_is(make_clip: MakeClip) -> None:
    locking = Locking(FailingLock(RuntimeError("size mismatch")), GPU, torch.bfloat16)
    with pytest.raises(RuntimeError, match="size mismatch"):
        locking(make_clip(2, 32, 48), torch.zeros(2, 3, 8, 8))
    assert locking.remedies == []


def test_what_the_engine_does_not_know_of_a_frame_is_no_fault_of_the_lock(make_clip: MakeClip) -> None:
    clip, blank = make_clip(3, 32, 48), make_clip(3, 32, 48)
    clip.channels[Channel.NORMAL][1] = np.nan
    blank.channels[Channel.NORMAL][1] = 0
    locking = Locking(FailingLock(1.0), CPU, torch.float32)
    assert np.array_equal(locking(clip, picture(clip)), sound(blank, picture(clip)))
    assert locking.remedies == []


def test_only_a_few_frames_have_their_buffers_in_memory_at_once(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, alive, most = control.engine_buffers, weakref.WeakSet[Any](), [0, 0]

    def counted(channels: dict[Channel, Array]) -> Tensor:
        buffers = make(channels)
        alive.add(buffers.untyped_storage())
        most[:] = max(most[0], len(buffers)), max(most[1], len(alive))
        return buffers

    monkeypatch.setattr(control, "engine_buffers", counted)
    clip = make_clip(40, 16, 24)
    Locking(FailingLock(1.0), CPU, torch.float32)(clip, picture(clip))
    assert most[0] == 1
    assert 1 <= most[1] <= MOST_AHEAD + 3  # waiting, being made, being locked


@pytest.mark.parametrize(
    ("failing", "device", "remedy"),
    [
        (out_of_memory, "cuda", "the lock on the CPU (out of memory in the geometry lock at 48x32)"),
        (nan, "cpu", "the lock in float32 (the geometry lock gave NaN for frame 12)"),
    ],
    ids=["memory", "nan"],
)
def test_the_frames_that_the_lock_did_otherwise_are_told_when_the_job_is_done(
    failing: Callable[[int], FailingLock],
    device: str,
    remedy: str,
    tiny_base: Path,
    make_clip: MakeClip,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def paint(clip: Clip, known: Mapping[int, np.ndarray]) -> Tensor:
        return torch.full((len(clip), 3, 32, 48), 0.5)

    monkeypatch.setattr(render_module, "open_painter", lambda *_: paint)
    monkeypatch.setattr(render_module, "load_lock", lambda _: failing(12))
    monkeypatch.setattr(render_module, "pick_device", lambda _: torch.device(device))
    monkeypatch.setattr(presets, "settle", lambda *_, **__: None)
    with Recorder(tmp_path / "take") as recorder:
        for frame in make_clip(20, 32, 48).frames:
            recorder.write(frame)
    asked: dict[str, Any] = {"dtype": "bfloat16", "window": 5, "preset": "resident"}
    render = load(base=str(tiny_base), adapter="none", lock=True, steady=0, **asked)
    done = enhance(tmp_path / "take", tmp_path / "out", render, length=5, overlap=0)
    assert done.frames == 20
    assert done.remedied == (Remedied(remedy, 10, 19),)
