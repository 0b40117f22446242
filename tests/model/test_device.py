import pytest
import torch

from renderlift.bridge.errors import SetupError
from renderlift.model.device import pick_device, pick_dtype


def test_the_precision_is_the_same_at_every_start() -> None:
    # A resumed job must not change its pictures midway.
    cpu = torch.device("cpu")
    assert len({pick_dtype("auto", cpu) for _ in range(50)}) == 1


def test_a_named_precision_is_taken_and_an_unknown_one_refused() -> None:
    assert pick_dtype("float32", torch.device("cpu")) is torch.float32
    with pytest.raises(SetupError, match="bfloat16"):
        pick_dtype("float8", torch.device("cpu"))


def test_an_unknown_device_names_the_fix() -> None:
    with pytest.raises(SetupError, match="doctor"):
        pick_device("toaster")
