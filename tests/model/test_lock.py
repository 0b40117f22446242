from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from renderlift.bridge.errors import SetupError
from renderlift.model.lock import GeometryLock, LockSize, apply_lock, load_lock, save_lock

SMALL = LockSize((8, 8, 16, 16))


@pytest.mark.parametrize(("height", "width"), [(64, 96), (37, 51), (1, 1)])
def test_the_picture_comes_back_at_the_engines_size(height: int, width: int) -> None:
    lock = GeometryLock(SMALL)
    picture = apply_lock(lock, torch.rand(3, 12, height, width), torch.rand(3, 3, 16, 24))
    assert picture.shape == (3, 3, height, width)


def test_an_untrained_lock_gives_the_engines_own_picture() -> None:
    buffers = torch.rand(2, 12, 32, 48)
    picture = apply_lock(GeometryLock(SMALL), buffers, torch.rand(2, 3, 16, 24))
    torch.testing.assert_close(picture, buffers[:, :3])


def test_a_lock_survives_its_file_up_to_bfloat16(tmp_path: Path) -> None:
    torch.manual_seed(0)
    lock = GeometryLock(SMALL)
    for parameter in lock.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    save_lock(lock, tmp_path / "lock.safetensors")
    buffers, decoded = torch.rand(1, 12, 32, 32), torch.rand(1, 3, 16, 16)
    read = load_lock(tmp_path / "lock.safetensors")
    assert (apply_lock(read, buffers, decoded) - apply_lock(lock, buffers, decoded)).abs().max() < 0.02


def test_a_file_that_is_no_lock_is_refused_by_name(tmp_path: Path) -> None:
    other, text = tmp_path / "other.safetensors", tmp_path / "text.safetensors"
    save_file({"weight": torch.zeros(2)}, other, metadata={"size": '{"widths": [8, 8, 16, 16]}'})
    text.write_text("lock")
    bare = tmp_path / "bare.safetensors"
    save_file({"weight": torch.zeros(2)}, bare)
    for path in (other, text, bare):
        with pytest.raises(SetupError, match=f"{path.name} is no geometry lock"):
            load_lock(path)
