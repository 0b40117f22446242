"""A picture that is decoded in tiles is the one that is decoded whole."""

import gc
import json
import shutil
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLLTX2Video, AutoencoderKLWan
from torch import Tensor
from torch.nn import functional

from renderlift.bridge.clip import Clip
from renderlift.model.endure import Enduring, memory_remedies
from renderlift.model.render import load, load_base
from renderlift.model.tiles import can_halve, use_smaller_tiles, use_tiles
from renderlift.model.training.parts import load_part

from .ltx2_versions import AUTOENCODER, LATENTS

Shot = Callable[..., Clip]
AUTOENCODERS = {"ltx2": 4, "ltx2_3": 2, "ltx2_5": 2, "wan": 4, "wan_5b": 3, "cosmos": 4}  # and sizes of their tiles
PICTURE = torch.full((5, 3, 32, 48), 0.5)


@pytest.fixture(params=AUTOENCODERS)
def autoencoder(request: pytest.FixtureRequest) -> Any:
    return load_part(request.getfixturevalue(request.param), "vae", torch.float32)


def channels_of(autoencoder: Any) -> int:
    config = autoencoder.config
    return config.z_dim if isinstance(autoencoder, AutoencoderKLWan) else config.latent_channels


def enlarge_only(autoencoder: Any) -> list[tuple[int, ...]]:
    """Each pixel is that of its latent, and each latent the mean of its pixels, so that nothing hides a tile out of
    place. Gives the heights and widths of what is decoded at once."""
    # Wan's folds pixels into channels around its coder, LTX-2's within.
    patch = (autoencoder.config.patch_size or 1) if isinstance(autoencoder, AutoencoderKLWan) else 1
    factor, made = autoencoder.spatial_compression_ratio // patch, 3 * patch**2
    packed = 2 * channels_of(autoencoder)
    seen: list[tuple[int, ...]] = []

    def decode(latents: Tensor, *_: object, **__: object) -> Tensor:
        seen.append(tuple(latents.shape[-2:]))
        return latents[:, :made].repeat_interleave(factor, 3).repeat_interleave(factor, 4)

    def encode(pixels: Tensor, *_: object, **__: object) -> Tensor:
        means = functional.avg_pool3d(pixels, (1, factor, factor))
        return means[:, torch.arange(packed) % means.shape[1]]

    autoencoder.decoder.forward, autoencoder.encoder.forward = decode, encode
    return seen


def without_tiles(autoencoder: Any, call: Callable[[], Tensor]) -> Tensor:
    autoencoder.use_tiling = False
    made = call()
    autoencoder.use_tiling = True
    return made


@torch.no_grad()
def test_tiles_lie_in_their_places_at_every_size_that_they_may_have(
    autoencoder: Any, request: pytest.FixtureRequest
) -> None:
    seen = enlarge_only(autoencoder)
    ratio = autoencoder.spatial_compression_ratio
    use_tiles(autoencoder)
    sizes = 1
    while True:
        side, stride = autoencoder.tile_sample_min_height // ratio, autoencoder.tile_sample_stride_height // ratio
        height, width = 2 * side + 1, stride + side - 1
        latents = torch.rand(1, channels_of(autoencoder), 1, height, width) - 0.5
        pixels = torch.rand(1, 3, 1, height * ratio, width * ratio) - 0.5

        def decoded(latents: Tensor = latents) -> Tensor:
            return autoencoder.decode(latents).sample

        def encoded(pixels: Tensor = pixels) -> Tensor:
            return autoencoder.encode(pixels).latent_dist.mean

        seen.clear()
        assert torch.allclose(decoded(), without_tiles(autoencoder, decoded), atol=1e-6)
        assert len(seen) > 2
        assert torch.allclose(encoded(), without_tiles(autoencoder, encoded), atol=1e-6)
        if not can_halve(autoencoder):
            break
        use_smaller_tiles(autoencoder)
        sizes += 1
    assert sizes == AUTOENCODERS[request.node.callspec.params["autoencoder"]]


@pytest.mark.parametrize("smaller", [False, True])
@torch.no_grad()
def test_a_decoder_that_pads_by_reflection_decodes_every_size(smaller: bool) -> None:
    """LTX-2's as published: 832 x 480 are 26 x 15 latents, and tiles of 16 that begin every 14 leave one alone."""
    sizes = dict.fromkeys(("block_out_channels", "decoder_block_out_channels"), (4, 8, 8, 16))
    layers = dict.fromkeys(("layers_per_block", "decoder_layers_per_block"), (1,) * 5)
    reflecting = AUTOENCODER | {"decoder_spatial_padding_mode": "reflect", "latent_channels": 2}
    autoencoder: Any = AutoencoderKLLTX2Video(**reflecting, **sizes, **layers)
    (use_smaller_tiles if smaller else use_tiles)(autoencoder)
    before = autoencoder.tile_sample_stride_height, autoencoder.tile_sample_stride_width
    size = (22, 9) if smaller else (15, 17)  # 704 rows, of LTX-2's own size
    picture = autoencoder.decode(torch.rand(1, 2, 1, *size)).sample
    assert picture.shape[-2:] == (size[0] * 32, size[1] * 32)
    assert (autoencoder.tile_sample_stride_height, autoencoder.tile_sample_stride_width) == before


@torch.no_grad()
def test_no_tile_is_a_single_latent_however_large_the_picture(ltx2_3: Path) -> None:
    autoencoder = load_part(ltx2_3, "vae", torch.float32)
    seen = enlarge_only(autoencoder)
    for tile in (use_tiles, use_smaller_tiles):
        tile(autoencoder)
        for width in range(17, 62):
            latents = torch.rand(1, LATENTS, 1, 2, width)

            def decoded(latents: Tensor = latents) -> Tensor:
                return autoencoder.decode(latents).sample

            assert torch.allclose(decoded(), without_tiles(autoencoder, decoded), atol=1e-6), width
    assert min(width for _, width in seen) == 2


def test_a_base_in_tiles_goes_as_soon_as_nobody_uses_it(ltx2_3: Path) -> None:
    autoencoder = load_part(ltx2_3, "vae", torch.float32)
    use_tiles(autoencoder)
    held = weakref.ref(autoencoder)
    gc.disable()
    del autoencoder
    gone = held() is None
    gc.enable()
    assert gone


@pytest.mark.parametrize(("name", "again"), [("ltx2_3", "half the pixels"), ("wan", "smaller tiles")])
def test_tiles_that_another_render_of_the_base_made_smaller_are_halved_again_only_where_latents_stay_whole(
    name: str, again: str, shot: Shot, request: pytest.FixtureRequest
) -> None:
    pipeline = load_base(str(request.getfixturevalue(name)), torch.float32)
    cpu = torch.device("cpu")

    def failing(times: int) -> Callable[[Clip, Mapping[int, np.ndarray]], Tensor]:
        failures = [torch.OutOfMemoryError()] * times

        def paint(clip: Clip, known: Mapping[int, np.ndarray]) -> Tensor:
            if failures:
                raise failures.pop()
            return PICTURE

        return paint

    first, second = (
        Enduring(failing(times), for_memory=memory_remedies(pipeline, cpu, lambda clip: failing(0)), for_nan=[])
        for times in (2, 1)
    )
    first(shot(5), {})
    assert [remedy.partition(" (")[0] for remedy in first.remedies] == [
        "the autoencoder in tiles",
        "the autoencoder in smaller tiles",
    ]
    second(shot(5), {})
    (remedy,) = second.remedies
    assert again in remedy


@pytest.mark.parametrize(("name", "height", "width"), [("ltx2_3", 320, 576), ("wan", 272, 320)])
def test_a_clip_of_several_tiles_is_painted_as_it_is_whole(
    name: str, height: int, width: int, shot: Shot, request: pytest.FixtureRequest
) -> None:
    def painted(preset: str) -> np.ndarray:
        render = load(
            base=str(request.getfixturevalue(name)),
            preset=preset,
            device="cpu",
            dtype="float32",
            steps=1,
            guidance=1.0,
            working_pixels=height * width,
        )
        return render(shot(1, height, width)).astype(int)

    whole, tiled = painted("plain"), painted("resident")
    assert not np.array_equal(whole, tiled), "one tile shows nothing"
    assert abs(whole - tiled).mean() < whole.std() / 6  # untrained, it sees far beyond a tile's border


def test_a_base_that_pads_by_reflection_paints_854x480_in_tiles(ltx2_3: Path, tmp_path: Path, shot: Shot) -> None:
    folder = shutil.copytree(ltx2_3, tmp_path / "ltx2_reflecting")
    config = folder / "vae" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"decoder_spatial_padding_mode": "reflect"}))
    render = load(base=str(folder), preset="resident", device="cpu", dtype="float32", steps=1, guidance=1.0)
    assert render(shot(1, 480, 854)).shape == (1, 480, 854, 3)
