import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from renderlift.bridge.clip import Clip
from renderlift.bridge.frame import IdName
from renderlift.model.bases.prompts import REMEMBERED, PromptEncoder, prompts_for, scene_in_words
from renderlift.model.bases.settings import RenderSettings
from renderlift.model.render import load

Shot = Callable[..., Clip]


def test_the_scene_is_described_by_what_the_engine_names() -> None:
    table = [IdName(n, f"car {n}", "car", f"street/car{n}") for n in range(3)]
    table += [IdName(9, "oak", "tree", "park/oak"), IdName(1, "car", "car")]
    assert scene_in_words(table) == "a scene with 3 car, tree"
    assert scene_in_words([]) == "a scene"


def test_a_scene_of_a_thousand_things_stays_a_sentence() -> None:
    table = [IdName(n, "", f"class{n}", f"path{n}") for n in range(1000)]
    assert len(scene_in_words(table)) < 200


def test_the_users_words_come_first_and_may_name_the_scene(shot: Shot) -> None:
    settings = RenderSettings(steps=1, prompt="{scene} at dusk", negative_prompt="fog")
    assert prompts_for(shot(1), settings) == ("a scene with column, text at dusk", "fog")
    words, opposite = prompts_for(shot(1), RenderSettings(steps=1))
    assert "a scene with column, text" in words
    assert "video game" in opposite


@pytest.mark.parametrize("base", ["ltx2", "wan", "wan_vace"])
def test_the_text_encoder_runs_once_for_a_whole_job(
    base: str, shot: Shot, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder: Path = request.getfixturevalue(base)
    runs: list[str] = []
    encode = PromptEncoder.__call__

    def counting(self: PromptEncoder, prompt: str, negative_prompt: str, guided: bool) -> object:
        pipeline = self._pipeline
        plain = pipeline.encode_prompt
        monkeypatch.setattr(pipeline, "encode_prompt", lambda **k: (runs.append(k["prompt"]), plain(**k))[1])
        try:
            return encode(self, prompt, negative_prompt, guided)
        finally:
            monkeypatch.setattr(pipeline, "encode_prompt", plain)

    monkeypatch.setattr(PromptEncoder, "__call__", counting)
    render = load(base=str(folder), steps=1, guidance=1.0, device="cpu", dtype="float32", window=9)
    assert np.shape(render(shot(30))) == (30, 32, 48, 3)
    render(shot(3))
    assert len(runs) == 1


class Reader:
    """Stands for a pipeline with a text encoder; notes what it reads, and which of the results are still held."""

    def __init__(self) -> None:
        self.text_encoder = SimpleNamespace(dtype=torch.float32)
        self.read: list[str] = []
        self.results: list[weakref.ref[Tensor]] = []

    def encode_prompt(
        self, *, prompt: str, negative_prompt: str, do_classifier_free_guidance: bool
    ) -> tuple[Tensor, Tensor | None]:
        result = torch.full((1, 4, 8), float(len(self.read)))
        self.read.append(prompt)
        self.results.append(weakref.ref(result))
        return result, None

    @property
    def held(self) -> int:
        if self._alive > REMEMBERED:
            gc.collect()  # takes its time, and finds something only where results hold each other
        return self._alive

    @property
    def _alive(self) -> int:
        return sum(result() is not None for result in self.results)


def test_a_service_that_meets_ever_new_scenes_does_not_grow() -> None:
    reader = Reader()
    encoder = PromptEncoder(reader)
    for number in range(10 * REMEMBERED):
        encoder(f"scene {number}", "", False)
        assert reader.held == min(number + 1, REMEMBERED)


def test_prompts_that_are_in_use_are_read_once_however_many_others_come_and_go() -> None:
    reader = Reader()
    encoder = PromptEncoder(reader)
    first, _ = encoder("the scene that stays", "", False)
    for number in range(10 * REMEMBERED):
        encoder(f"scene {number}", "", False)
        again, _ = encoder("the scene that stays", "", False)
        assert again is first
    assert reader.read.count("the scene that stays") == 1


def test_a_prompt_that_was_forgotten_is_read_again() -> None:
    reader = Reader()
    encoder = PromptEncoder(reader)
    for name in ["old", *map(str, range(REMEMBERED)), "old"]:
        encoder(name, "", False)
    assert reader.read.count("old") == 2
