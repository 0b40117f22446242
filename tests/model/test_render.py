from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from renderlift.bridge.clip import Clip
from renderlift.bridge.errors import SetupError
from renderlift.bridge.frame import Channel
from renderlift.model import lora
from renderlift.model.lock import GeometryLock, save_lock
from renderlift.model.render import load, load_base

MakeClip = Callable[..., Clip]


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 64, 96), (7, 45, 71), (9, 64, 64)])
def test_the_video_has_the_clips_length_and_size(
    tiny_base: Path, make_clip: MakeClip, frames: int, height: int, width: int
) -> None:
    render = load(base=str(tiny_base), adapter="none", lock=False, steps=1, device="cpu", working_pixels=4096)
    video = render(make_clip(frames, height, width))
    assert video.shape == (frames, height, width, 3)
    assert video.dtype == np.uint8


def test_the_same_seed_gives_the_same_video_and_another_seed_another(tiny_base: Path, make_clip: MakeClip) -> None:
    clip = make_clip(5, 64, 64)

    def video(seed: int) -> np.ndarray:
        return load(base=str(tiny_base), adapter="none", lock=False, steps=2, seed=seed, working_pixels=4096)(clip)

    assert np.array_equal(video(3), video(3))
    assert not np.array_equal(video(3), video(4))


def test_another_lock_is_used_by_folder_or_file(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip(2, 64, 96)
    save_lock(GeometryLock(), tmp_path / "lock.safetensors")  # untrained: it gives the engine's own picture
    for place in (tmp_path, tmp_path / "lock.safetensors"):
        assert np.array_equal(load(steps=1, lock_weights=str(place))(clip), clip.channels[Channel.RGB])
    assert not np.array_equal(load(steps=1)(clip), clip.channels[Channel.RGB])
    with pytest.raises(SetupError, match="no lock at"):
        load(lock_weights=str(tmp_path / "none"))


def test_a_control_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SetupError, match="no control 'edges'"):
        load(control="edges")


def test_the_reference_reaches_the_picture(tiny_base: Path, make_clip: MakeClip) -> None:
    render = load(base=str(tiny_base), adapter="none", lock=False, steps=1, working_pixels=4096)
    assert not np.array_equal(render(make_clip(5, 64, 64)), render(make_clip(5, 64, 64, seed=1)))


def test_an_adapter_survives_its_file_and_its_scale_is_a_dial(
    tiny_base: Path, make_clip: MakeClip, tmp_path: Path
) -> None:
    pipeline = load_base(str(tiny_base), torch.float32)
    lora.attach(pipeline.transformer, rank=4)
    torch.manual_seed(1)
    for name, parameter in pipeline.transformer.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    facts = lora.AdapterFacts(task="lift", base="tiny", references=("rgb",), reference_downscale_factor=2)
    lora.save(pipeline.transformer, tmp_path, facts)
    assert lora.read_facts(tmp_path) == facts
    clip = make_clip(5, 64, 64)

    def video(adapter: str, scale: float = 1.0) -> np.ndarray:
        settings = {
            "base": str(tiny_base),
            "lock": False,
            "steps": 1,
            "working_pixels": 64 * 64,
            "dtype": "float32",
        }
        return load(adapter=adapter, adapter_scale=scale, **settings)(clip).astype(int)  # type: ignore[arg-type]

    plain, half, full = video("none"), video(str(tmp_path), 0.5), video(str(tmp_path))
    # Scale 0 still halves the reference, as the adapter's file says; so the dial is read from it.
    off = video(str(tmp_path), 0.0)
    assert 0 < abs(half - off).mean() < abs(full - off).mean()
    assert abs(full - plain).mean() > 0


def test_missing_weights_name_the_fix(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="--base"):
        load(base=str(tmp_path))


@pytest.mark.parametrize("task", ["forward", "train", "my.own task"])
def test_an_adapter_may_be_of_any_task(task: str, tiny_base: Path, make_clip: MakeClip, tmp_path: Path) -> None:
    pipeline = load_base(str(tiny_base), torch.float32)
    lora.attach(pipeline.transformer, rank=4)
    lora.save(pipeline.transformer, tmp_path, lora.AdapterFacts(task=task, base="tiny"))
    render = load(base=str(tiny_base), adapter=str(tmp_path), lock=False, steps=1, working_pixels=64 * 64)
    assert render(make_clip(1, 64, 64)).shape == (1, 64, 64, 3)


def test_a_missing_adapter_names_the_fix(tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="--adapter"):
        load(base=str(tiny_base), adapter=str(tmp_path))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_asking_for_a_gpu_that_is_not_there_names_the_fix(tiny_base: Path) -> None:
    with pytest.raises(SetupError, match="renderlift doctor"):
        load(base=str(tiny_base), device="cuda")
