"""Which preset a GPU gets: computed from sizes, so published sizes can be held against GPUs that are not here."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch

from renderlift.bridge.errors import SetupError
from renderlift.model.bases.facts import LTX2, WAN
from renderlift.model.presets import (
    GIGABYTE,
    PRESETS,
    Weights,
    choose,
    loading_options,
    named,
    needed_bytes,
    read_weights,
    settle,
    usual_tokens,
)
from renderlift.model.render import load_base

# bf16 bytes of the published bases' parts, from their parameter counts.
LTX2_19B = Weights({"transformer": 38_000_000_000, "text_encoder": 24_400_000_000, "vae": 2_500_000_000}, 48, 4096)
WAN_1_3B = Weights({"transformer": 2_840_000_000, "text_encoder": 11_400_000_000, "vae": 510_000_000}, 30, 1536)


@pytest.mark.parametrize(
    ("memory_gb", "ltx2", "wan"),
    [
        (8, "layers", "blocks"),
        (12, "blocks", "parts-int8"),
        (16, "blocks", "parts-int8"),
        (24, "parts-int8", "resident"),
        (32, "parts-int8", "resident-compiled"),
        (48, "parts", "resident-compiled"),
        (72, "resident", "resident-compiled"),
        (79, "resident-compiled", "resident-compiled"),  # what is sold as 80 GB
        (139, "resident-compiled", "resident-compiled"),  # and as 141
    ],
)
def test_a_gpu_gets_the_fastest_preset_that_fits(memory_gb: int, ltx2: str, wan: str) -> None:
    chosen = {
        facts.name: choose(weights, memory_gb * GIGABYTE, usual_tokens(facts), quantisable=True).name
        for facts, weights in ((LTX2, LTX2_19B), (WAN, WAN_1_3B))
    }
    assert chosen == {"ltx2": ltx2, "wan": wan}


def test_presets_go_from_fast_to_lean() -> None:
    needed = [needed_bytes(preset, LTX2_19B, usual_tokens(LTX2)) for preset in PRESETS]
    assert all(lean < fast for fast, lean in pairwise(needed))


def test_without_torchao_nothing_is_quantised(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose(LTX2_19B, 32 * GIGABYTE, usual_tokens(LTX2), quantisable=False).name == "blocks"
    monkeypatch.setattr("renderlift.model.presets.is_quantisable", lambda: False)
    with pytest.raises(SetupError, match="torchao"):
        loading_options(named("parts-int8"), Path())


def test_an_unknown_preset_names_those_there_are() -> None:
    with pytest.raises(SetupError, match="layers: weights brought in layer by layer"):
        named("tiny")


def test_sizes_are_read_without_loading(tiny_base: Path) -> None:
    weights = read_weights(tiny_base)
    assert weights.blocks == 2
    assert weights.width == 32
    assert weights.bytes_of["transformer"] > weights.bytes_of["connectors"] > 0


@pytest.mark.parametrize("name", ["plain", "resident", "blocks", "layers"])
def test_a_preset_changes_where_weights_lie_and_not_the_picture(tiny_base: Path, name: str) -> None:
    def predicted(preset: str) -> torch.Tensor:
        pipeline = load_base(str(tiny_base), torch.float32)
        settle(pipeline, named(preset), torch.device("cpu"))
        with torch.inference_mode():
            return pipeline.vae.decode(torch.ones(1, 8, 2, 4, 4), return_dict=False)[0]

    assert torch.allclose(predicted(name), predicted("plain"), atol=1e-6)
