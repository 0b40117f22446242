"""Out of memory and NaN cost quality or time, never the job."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from renderlift.bridge.clip import Clip
from renderlift.bridge.errors import RenderError
from renderlift.model.bases.settings import Paint
from renderlift.model.endure import Enduring, Remedy, memory_remedies, nan_remedies
from renderlift.model.render import load_base

Shot = Callable[..., Clip]
PICTURE = torch.full((5, 3, 32, 48), 0.5)


def failing(times: int, failure: Exception | Tensor) -> Paint:
    left = [times]

    def paint(clip: Clip, known: Mapping[int, np.ndarray]) -> Tensor:
        if left[0]:
            left[0] -= 1
            if isinstance(failure, Exception):
                raise failure
            return failure
        return PICTURE

    return paint


def counted(log: list[str], word: str) -> Remedy:
    return Remedy(word, lambda: log.append(word))


def test_out_of_memory_is_met_by_one_remedy_after_another(shot: Shot, caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []
    paint = failing(2, torch.OutOfMemoryError())
    enduring = Enduring(paint, for_memory=[counted(done, "tiles"), counted(done, "layers")], for_nan=[])
    assert torch.equal(enduring(shot(5), {}), PICTURE)
    assert done == ["tiles", "layers"]
    assert "trying again with tiles" in caplog.text


def test_a_remedy_stays_for_the_rest_of_the_job(shot: Shot) -> None:
    done: list[str] = []
    small = Remedy("half the pixels", lambda: lambda clip, known: PICTURE / 2)
    enduring = Enduring(failing(9, torch.OutOfMemoryError()), for_memory=[small], for_nan=[])
    assert torch.equal(enduring(shot(5), {}), PICTURE / 2)
    assert torch.equal(enduring(shot(5), {}), PICTURE / 2)
    assert not done


def test_nan_is_met_too(shot: Shot) -> None:
    done: list[str] = []
    enduring = Enduring(failing(1, PICTURE * torch.nan), for_memory=[], for_nan=[counted(done, "float32")])
    assert torch.isfinite(enduring(shot(5), {})).all()
    assert done == ["float32"]


@pytest.mark.parametrize(("failure", "word"), [(torch.OutOfMemoryError(), "out of memory"), (PICTURE / 0, "NaN")])
def test_when_nothing_helps_the_error_names_the_frames_or_the_size(
    shot: Shot, failure: Exception | Tensor, word: str
) -> None:
    with pytest.raises(RenderError, match=word):
        Enduring(failing(9, failure), for_memory=[], for_nan=[])(shot(5), {})


def test_the_remedies_work_on_a_real_pipeline(wan_vace: Path) -> None:
    pipeline = load_base(str(wan_vace), torch.bfloat16)
    tiles, smaller = memory_remedies(pipeline, torch.device("cpu"), lambda: lambda clip, known: PICTURE)
    tiles.apply()
    assert pipeline.vae.use_tiling
    assert smaller.apply() is not None
    nan_remedies(pipeline)[0].apply()
    assert pipeline.vae.dtype == torch.float32
    assert nan_remedies(pipeline) == []
