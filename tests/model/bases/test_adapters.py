"""Adapters of any trainer load where they fit, give one picture in every spelling, and are refused elsewhere."""

import gc
import json
from collections.abc import Callable, Collection
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from renderlift.bridge.clip import Clip, Render, Video, stack
from renderlift.bridge.errors import ChannelError, SetupError
from renderlift.bridge.frame import Channel
from renderlift.model import control
from renderlift.model.bases.adapters import LOW_NOISE_FILE, fitting_facts
from renderlift.model.bases.comfyui import original_name
from renderlift.model.bases.facts import facts_of
from renderlift.model.bases.opening import open_pipeline
from renderlift.model.lora import FILE_NAME, read_facts
from renderlift.model.render import load, load_base

Shot = Callable[..., Clip]
RANK = 2


def layers(pipeline: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """Random LoRA factors (down, up) for every layer that trainers adapt."""
    generator = torch.Generator().manual_seed(0)
    found = {}
    for name, module in pipeline.transformer.named_modules():
        if (
            isinstance(module, torch.nn.Linear)
            and "blocks." in name
            and any(part in name for part in ("attn1", "attn2", "ff", "vace_blocks"))
        ):
            if "audio" in name:
                continue
            down = torch.randn(RANK, module.in_features, generator=generator)
            up = torch.randn(module.out_features, RANK, generator=generator) / 3
            found[name] = (down, up)
    return found


def spelled(factors: dict[str, tuple[Tensor, Tensor]], spelling: str) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    for name, (down, up) in factors.items():
        if spelling == "diffusers":
            weights |= {f"transformer.{name}.lora_A.weight": down, f"transformer.{name}.lora_B.weight": up}
            continue
        theirs = original_name(name)
        if spelling in ("comfy", "comfy with alphas"):
            has_alphas = spelling != "comfy"
            weights |= {f"diffusion_model.{theirs}.alpha": torch.tensor(RANK / 2)} if has_alphas else {}
            weights |= {
                f"diffusion_model.{theirs}.lora_A.weight": down * (2 if has_alphas else 1),
                f"diffusion_model.{theirs}.lora_B.weight": up,
            }
        else:
            flat = "lora_unet_" + theirs.replace(".", "_")
            # Half the alpha and twice the weight: the same adapter.
            weights |= {f"{flat}.lora_down.weight": down * 2, f"{flat}.lora_up.weight": up}
            weights |= {f"{flat}.alpha": torch.tensor(RANK / 2)}
    return {key: value.contiguous() for key, value in weights.items()}


def video(folder: Path, adapter: Path | str, clip: Clip, **options: Any) -> Video:
    how: dict[str, Any] = {"steps": 1, "guidance": 1.0, "device": "cpu", "dtype": "float32"}
    return load(base=str(folder), adapter=str(adapter), **how, **options)(clip)


@pytest.mark.parametrize("base", ["ltx2", "ltx2_3", "ltx2_5", "wan", "wan_vace", "wan_vace_a14b"])
def test_every_spelling_of_one_adapter_gives_the_same_picture(
    base: str, shot: Shot, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(base)
    factors, clip = layers(load_base(str(folder), torch.float32)), shot(5)
    made = {}
    for spelling in ("diffusers", "comfy", "comfy with alphas", "kohya"):
        path = tmp_path / f"{spelling}.safetensors"
        save_file(spelled(factors, spelling), path)
        made[spelling] = video(folder, path, clip).astype(int)
    assert abs(made["diffusers"] - video(folder, "none", clip)).mean() > 0.3
    assert all(abs(made["diffusers"] - other).max() <= 1 for other in made.values())


def test_vaces_own_blocks_alone_give_the_same_picture_in_every_spelling(
    wan_vace: Path, shot: Shot, tmp_path: Path
) -> None:
    factors, clip = layers(load_base(str(wan_vace), torch.float32)), shot(5)
    own = {name: both for name, both in factors.items() if name.startswith("vace_blocks.")}
    kinds = ("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0", "ffn.net.0.proj", "ffn.net.2", "proj_in")
    assert {f"vace_blocks.0.{kind}" for kind in (*kinds, "attn2.to_q", "proj_out")} <= own.keys()
    made = {}
    for spelling in ("diffusers", "comfy", "comfy with alphas", "kohya"):
        save_file(spelled(own, spelling), tmp_path / FILE_NAME)
        made[spelling] = video(wan_vace, tmp_path, clip).astype(int)
    assert abs(made["diffusers"] - video(wan_vace, "none", clip)).mean() > 0.3
    assert all(abs(made["diffusers"] - other).max() <= 1 for other in made.values())


def test_vaces_own_blocks_have_the_names_that_their_publishers_gave_them() -> None:
    assert original_name("vace_blocks.0.proj_in") == "vace_blocks.0.before_proj"
    assert original_name("vace_blocks.7.proj_out") == "vace_blocks.7.after_proj"
    assert original_name("vace_blocks.7.attn1.to_q") == "vace_blocks.7.self_attn.q"
    assert original_name("vace_blocks.7.attn2.to_out.0") == "vace_blocks.7.cross_attn.o"
    assert original_name("vace_blocks.7.ffn.net.2") == "vace_blocks.7.ffn.2"


@pytest.mark.parametrize(
    ("spelling", "layer", "kinds"),
    [
        ("comfy", "diffusion_model.vace_blocks.5.self_attn.q", ["lora_A.weight", "lora_B.weight"]),
        ("kohya", "lora_unet_vace_blocks_5_self_attn_q", ["lora_down.weight", "lora_up.weight"]),
    ],
)
def test_what_cannot_be_read_of_vaces_own_blocks_is_named(
    spelling: str, layer: str, kinds: list[str], wan_vace: Path, tmp_path: Path
) -> None:
    weights = spelled(layers(load_base(str(wan_vace), torch.float32)), spelling)
    weights |= {f"{layer}.{kind}": torch.zeros(32, 32) for kind in kinds}
    save_file(weights, tmp_path / FILE_NAME)
    named = layer.removeprefix("diffusion_model.").removeprefix("lora_unet_")
    with pytest.raises(SetupError, match=f"does not fit this base: it has a layer {named}"):
        load(base=str(wan_vace), adapter=str(tmp_path), device="cpu")


@pytest.mark.parametrize("spelling", ["diffusers", "comfy", "kohya"])
def test_half_an_adapter_is_refused(spelling: str, wan_vace: Path, tmp_path: Path) -> None:
    weights = spelled(layers(load_base(str(wan_vace), torch.float32)), spelling)
    del weights[
        next(key for key in reversed(weights) if "vace_blocks" in key and (".lora_B" in key or "_up" in key))
    ]
    save_file(weights, tmp_path / FILE_NAME)
    with pytest.raises(SetupError, match=r"of its layer .*vace_blocks.* there is one factor alone"):
        load(base=str(wan_vace), adapter=str(tmp_path), device="cpu")


def test_an_adapter_of_vaces_own_blocks_does_not_fit_wan_without_them(
    wan: Path, wan_vace: Path, tmp_path: Path
) -> None:
    save_file(spelled(layers(load_base(str(wan_vace), torch.float32)), "comfy"), tmp_path / FILE_NAME)
    with pytest.raises(SetupError, match="does not fit this base: it has layers vace_blocks"):
        load(base=str(wan), adapter=str(tmp_path), device="cpu")


@pytest.mark.parametrize(
    "base", ["ltx2", "ltx2_3", "ltx2_5", "wan", "wan_5b", "wan_a14b", "wan_vace", "wan_vace_a14b"]
)
def test_the_scale_is_a_dial_from_the_base_alone_to_the_trained_look(
    base: str, shot: Shot, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(base)
    factors, clip = layers(load_base(str(folder), torch.float32)), shot(5)
    # Without the ends of VACE's own blocks, which soon fill the picture.
    inner = {name: both for name, both in factors.items() if not name.endswith(("proj_in", "proj_out"))}
    gentle = {name: (down / 8, up) for name, (down, up) in inner.items()}
    save_file(spelled(gentle, "diffusers"), tmp_path / FILE_NAME)
    settings: dict[str, Any] = {"steps": 3, "guidance": 1.0, "device": "cpu", "dtype": "float32"}
    bare = load(base=str(folder), adapter="none", **settings)  # stays open, so the others share its base
    alone = bare(clip).astype(float)

    def painted(scale: float) -> np.ndarray:
        return load(base=str(folder), adapter=str(tmp_path), adapter_scale=scale, **settings)(clip).astype(float)

    moved = [abs(painted(scale) - alone).mean() for scale in (0.0, 0.3, 0.6, 1.0)]
    assert moved[0] == 0
    assert moved[0] < moved[1] < moved[2] < moved[3]


def test_both_experts_get_their_own_file(wan_a14b: Path, shot: Shot, tmp_path: Path) -> None:
    factors, clip = layers(load_base(str(wan_a14b), torch.float32)), shot(5)
    save_file(spelled(factors, "diffusers"), tmp_path / FILE_NAME)

    def painted() -> Video:
        settings = {"steps": 6, "guidance": 1.0, "device": "cpu", "dtype": "float32"}
        return load(base=str(wan_a14b), adapter=str(tmp_path), **settings)(clip)  # type: ignore[arg-type]

    shared = painted()
    silent = {name: (down, up * 0) for name, (down, up) in factors.items()}
    save_file(spelled(silent, "diffusers"), tmp_path / LOW_NOISE_FILE)
    assert not np.array_equal(shared, painted())


def test_adapters_of_two_experts_share_one_base_and_paint_as_if_each_had_its_own(
    wan_a14b: Path, shot: Shot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factors, clip = layers(load_base(str(wan_a14b), torch.float32)), shot(5)
    others = {name: (down, -up) for name, (down, up) in factors.items()}
    wider = {name: (down.repeat(2, 1), up.repeat(1, 2) / 3) for name, (down, up) in factors.items()}
    files = {"one": (factors,), "two": (factors, others), "wider": (wider, factors)}
    for folder, experts in files.items():
        (tmp_path / folder).mkdir()
        for expert, name in zip(experts, (FILE_NAME, LOW_NOISE_FILE), strict=False):
            save_file(spelled(expert, "diffusers"), tmp_path / folder / name)
    adapters = [*(str(tmp_path / folder) for folder in files), "none"]
    opened: list[Any] = []

    def noted(*how: Any, **more: Any) -> Any:
        opened.append(how)
        return open_pipeline(*how, **more)

    monkeypatch.setattr("renderlift.model.render.open_pipeline", noted)

    def loaded(adapter: str) -> Render:
        return load(base=str(wan_a14b), adapter=adapter, steps=3, guidance=1.0, device="cpu", dtype="float32")

    alone: list[Video] = []
    for adapter in adapters:
        alone.append(loaded(adapter)(clip))
        gc.collect()  # and its base is let go
    assert len(opened) == len(adapters)
    together = [loaded(adapter) for adapter in adapters]
    assert len(opened) == len(adapters) + 1
    for _ in range(2):
        assert all(np.array_equal(paint(clip), video) for paint, video in zip(together, alone, strict=True))
    assert all(not np.array_equal(a, b) for a, b in combinations(alone, 2))


@pytest.mark.parametrize(
    "spelling", ["reference_downscale_factor", "reference_spatial_scale_factor", "ss_reference_downscale_factor"]
)
def test_the_reference_factor_is_read_in_every_spelling(tmp_path: Path, spelling: str) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / FILE_NAME, metadata={spelling: "2.0"})
    assert read_facts(tmp_path).reference_downscale_factor == 2


@pytest.mark.parametrize("wrong", ["0.5", "none", "-1"])
def test_a_factor_that_is_none_is_refused(tmp_path: Path, wrong: str) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / FILE_NAME, metadata={"reference_downscale_factor": wrong})
    with pytest.raises(SetupError, match="whole number"):
        read_facts(tmp_path)


def test_references_at_another_rate_are_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / FILE_NAME, metadata={"reference_temporal_scale_factor": "2"})
    with pytest.raises(SetupError, match="frame rate"):
        read_facts(tmp_path)


def test_a_dora_is_refused_rather_than_read_by_half(wan: Path, tmp_path: Path) -> None:
    factors = layers(load_base(str(wan), torch.float32))
    magnitudes = {f"diffusion_model.{original_name(name)}.dora_scale": torch.ones(1) for name in factors}
    save_file(spelled(factors, "comfy") | magnitudes, tmp_path / FILE_NAME)
    with pytest.raises(SetupError, match="DoRA"):
        load(base=str(wan), adapter=str(tmp_path), device="cpu")


def with_biases(
    weights: dict[str, Tensor], layers: Collection[str], generator: torch.Generator
) -> dict[str, Tensor]:
    """As lightx2v writes them: biases of some layers, and changes of norms, which diffusers leaves out."""
    ups = {layer: weights[f"diffusion_model.{layer}.lora_B.weight"] for layer in layers}
    biases = {
        f"diffusion_model.{layer}.diff_b": torch.randn(len(up), generator=generator) for layer, up in ups.items()
    }
    norms = {f"diffusion_model.blocks.{n}.self_attn.norm_q.diff": torch.zeros(24) for n in range(2)}
    return weights | biases | norms


@pytest.mark.parametrize("share", ["every layer", "every other layer"])
@pytest.mark.parametrize("base", ["wan", "wan_vace"])
def test_biases_of_an_adapter_are_heard_whether_all_layers_have_one_or_some(
    base: str, share: str, shot: Shot, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(base)
    factors, clip = layers(load_base(str(folder), torch.float32)), shot(5)
    plain = spelled(factors, "comfy")
    named = [original_name(name) for name in factors]
    named = named if share == "every layer" else named[1::2]
    save_file(plain, tmp_path / "plain.safetensors")
    save_file(with_biases(plain, named, torch.Generator().manual_seed(1)), tmp_path / "biased.safetensors")
    zero = {
        key: values * (not key.endswith("diff_b"))
        for key, values in load_file(tmp_path / "biased.safetensors").items()
    }
    save_file(zero, tmp_path / "silent.safetensors")
    made = {
        name: video(folder, tmp_path / f"{name}.safetensors", clip).astype(int)
        for name in ("plain", "silent", "biased")
    }
    assert abs(made["silent"] - made["plain"]).max() <= 1
    assert abs(made["biased"] - made["plain"]).mean() > 0.3


def test_biases_of_some_layers_in_diffusers_own_spelling_are_refused(wan: Path, tmp_path: Path) -> None:
    factors = layers(load_base(str(wan), torch.float32))
    bias = {"transformer.blocks.1.ffn.net.2.lora_B.bias": torch.ones(24)}
    save_file(spelled(factors, "diffusers") | bias, tmp_path / FILE_NAME)
    with pytest.raises(SetupError, match=r"does not fit this base: its layer .* has no bias, and others have one"):
        load(base=str(wan), adapter=str(tmp_path), device="cpu")


def test_references_that_no_engine_sends_are_named(wan: Path, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / FILE_NAME, metadata={"renderlift_references": '["pose"]'})
    with pytest.raises(SetupError, match="pose"):
        load(base=str(wan), adapter=str(tmp_path), device="cpu")


@pytest.mark.parametrize("base", ["ltx2", "wan"])
@pytest.mark.parametrize("names", ["depth", "rgb,depth", "edge"])
def test_an_adapter_whose_file_does_not_say_what_it_reads_is_shown_what_its_user_says(
    base: str, names: str, shot: Shot, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(base)
    weights, clip = spelled(layers(load_base(str(folder), torch.float32)), "diffusers"), shot(5)
    save_file(weights, tmp_path / "silent.safetensors")
    said = json.dumps(names.split(","))
    save_file(weights, tmp_path / "telling.safetensors", metadata={"renderlift_references": said})
    silent, telling = str(tmp_path / "silent.safetensors"), str(tmp_path / "telling.safetensors")
    told = video(folder, silent, clip, references=names.replace(",", ", "))
    assert np.array_equal(told, video(folder, telling, clip))
    assert np.array_equal(told, video(folder, telling, clip, references=names))
    assert not np.array_equal(told, video(folder, silent, clip))


@pytest.mark.parametrize(
    ("base", "adapter", "names", "reason"),
    [
        ("wan", "silent", "pose", "--references pose: pose"),
        ("wan", "silent", "rgb,rgb", "twice"),
        ("wan", "none", "depth", "no adapter that could read depth"),
        ("wan", "", "depth", "no adapter that could read depth"),
        ("wan", "telling", "depth", "was trained with the references rgb,depth, not depth"),
        ("tiny_base", "embedded", "depth", "was trained with the references rgb, not depth"),
        ("wan_vace", "silent", "depth", "takes no references"),
        ("cosmos", "", "depth", "takes no references"),
    ],
)
def test_references_that_cannot_be_are_refused_before_a_base_is_loaded(
    base: str,
    adapter: str,
    names: str,
    reason: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("renderlift.model.render.open_pipeline", lambda *how, **more: pytest.fail("it was loaded"))
    save_file({"a": torch.zeros(1)}, tmp_path / "silent.safetensors")
    said = json.dumps(["rgb", "depth"])
    save_file({"a": torch.zeros(1)}, tmp_path / "telling.safetensors", metadata={"renderlift_references": said})
    if adapter in ("silent", "telling"):
        adapter = str(tmp_path / f"{adapter}.safetensors")
    folder = str(request.getfixturevalue(base))
    with pytest.raises(SetupError, match=reason) as refused:
        load(base=folder, adapter=adapter, references=names, device="cpu")
    assert refused.value.fix


@pytest.mark.parametrize(
    ("base", "factor", "size"), [("ltx2", 1, (48, 72)), ("ltx2", 2, (24, 36)), ("wan", 1, (48, 72))]
)
def test_edges_are_shown_as_they_were_drawn_whatever_the_size(
    base: str,
    factor: int,
    size: tuple[int, int],
    shot: Shot,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder: Path = request.getfixturevalue(base)
    weights = spelled(layers(load_base(str(folder), torch.float32)), "diffusers")
    save_file(weights, tmp_path / FILE_NAME, metadata={"reference_downscale_factor": str(factor)})
    shown: list[Video] = []
    laid_in = control.laid_in

    def noted(picture: Video, fit: control.Fit) -> Video:
        assert picture.shape[1:3] == (fit.height, fit.width)
        shown.append(picture)
        return laid_in(picture, fit)

    monkeypatch.setattr(control, "laid_in", noted)
    video(folder, tmp_path, shot(5, 96, 144), references="edge", working_pixels=48 * 72)
    assert [picture.shape[1:3] for picture in shown] == [size]
    assert set(np.unique(shown[0])) == {0, 255}


def test_an_adapter_whose_references_the_recording_lacks_paints_nothing_from_nothing(
    wan: Path, shot: Shot, tmp_path: Path
) -> None:
    factors = layers(load_base(str(wan), torch.float32))
    names = json.dumps(["normal", "material"])
    save_file(spelled(factors, "diffusers"), tmp_path / FILE_NAME, metadata={"renderlift_references": names})
    clip = shot(1)
    render = load(base=str(wan), adapter=str(tmp_path), steps=1, guidance=1.0, device="cpu", dtype="float32")
    assert len(render(clip)) == 1  # one of the two is enough
    with pytest.raises(ChannelError, match="reads normal, material"):
        render(stack([replace(f, channels={Channel.RGB: f.channels[Channel.RGB]}) for f in clip.frames]))


def test_a_file_that_is_no_safetensors_names_itself(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"\x80\x04pickle")
    with pytest.raises(SetupError, match="cannot be read"):
        read_facts(tmp_path)


@pytest.mark.parametrize(
    ("base", "trained_on"), [("wan", "ltx2"), ("wan", "wan-vace"), ("wan_vace", "wan"), ("ltx2", "wan-vace")]
)
def test_an_adapter_of_another_base_is_refused_by_its_name(
    base: str, trained_on: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / FILE_NAME, metadata={"renderlift_base": trained_on})
    with pytest.raises(SetupError, match=f"trained on {trained_on}, and this base is {base.replace('_', '-')} "):
        load(base=str(request.getfixturevalue(base)), adapter=str(tmp_path), device="cpu")


def says(file: Path, base: str, version: str, weights: dict[str, Tensor] | None = None) -> Path:
    """An adapter whose file names its base and, as `renderlift train` writes it, the version of that."""
    told = {"renderlift_base": base, "renderlift_base_version": version}
    save_file(weights or {"a": torch.zeros(1)}, file, metadata={key: value for key, value in told.items() if value})
    return file


@pytest.mark.parametrize(
    ("option", "base", "name", "trained_on", "version"),
    [
        ("adapter", "ltx2", "ltx2", "2.3", "2"),
        ("adapter", "ltx2_full", "ltx2", "2.5", "2"),
        ("adapter", "ltx2_3", "ltx2", "2", "2.3"),
        ("adapter", "ltx2_3", "ltx2", "2.5", "2.3"),
        ("adapter", "ltx2_5", "ltx2", "2.3", "2.5"),
        ("adapter", "wan", "wan", "2.2 TI2V-5B", "2.1"),
        ("adapter", "wan_a14b", "wan", "2.2 TI2V-5B", "2.2 A14B"),
        ("adapter", "wan_5b", "wan", "2.1", "2.2 TI2V-5B"),
        ("adapter", "wan_5b", "wan", "2.2 A14B", "2.2 TI2V-5B"),
        ("adapter", "wan_vace", "wan-vace", "3", "2.1"),
        ("distilled", "ltx2_full", "ltx2", "2.3", "2"),
        ("distilled", "wan_5b", "wan", "2.1", "2.2 TI2V-5B"),
    ],
)
def test_an_adapter_of_another_version_is_refused_before_a_base_is_loaded(
    option: str,
    base: str,
    name: str,
    trained_on: str,
    version: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder: Path = request.getfixturevalue(base)
    monkeypatch.setattr("renderlift.model.render.open_pipeline", lambda *how, **more: pytest.fail("it was loaded"))
    asked: Any = {option: str(says(tmp_path / FILE_NAME, name, trained_on))}
    reason = f"was trained on {name} {trained_on}, and this base is {name} {version}\n"
    with pytest.raises(SetupError, match=reason) as refused:
        load(base=str(folder), device="cpu", **asked)
    assert f"a {name} {trained_on} base" in refused.value.fix


@pytest.mark.parametrize(
    ("base", "name", "trained_on"),
    [
        ("wan", "wan", "2.2 A14B"),
        ("wan_a14b", "wan", "2.1"),
        ("wan_vace", "wan-vace", "2.2 A14B"),
        ("wan_vace_a14b", "wan-vace", "2.1"),
    ],
)
def test_an_adapter_of_a_near_version_is_taken_with_a_warning(
    base: str,
    name: str,
    trained_on: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder: Path = request.getfixturevalue(base)
    weights = spelled(layers(load_base(str(folder), torch.float32)), "diffusers")
    file = says(tmp_path / FILE_NAME, name, trained_on, weights)
    load(base=str(folder), adapter=str(file), device="cpu")
    assert caplog.text.count("was trained on") == 1
    assert f"was trained on {name} {trained_on}, and this base is {facts_of(folder).version}" in caplog.text


@pytest.mark.parametrize(
    ("base", "version"),
    [("ltx2", "2"), ("ltx2_full", "2"), ("ltx2_3", "2.3"), ("ltx2_5", "2.5"), ("ltx2_5", ""), ("wan_5b", "")],
)
def test_an_adapter_of_the_same_version_or_of_none_that_it_names_is_taken_without_a_word(
    base: str, version: str, tmp_path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    folder: Path = request.getfixturevalue(base)
    weights = spelled(layers(load_base(str(folder), torch.float32)), "diffusers")
    file = says(tmp_path / FILE_NAME, facts_of(folder).name, version, weights)
    load(base=str(folder), adapter=str(file), device="cpu")
    assert "was trained on" not in caplog.text


def test_a_base_whose_version_cannot_be_told_takes_adapters_of_any(wan: Path, tmp_path: Path) -> None:
    unknown = replace(facts_of(wan), version="")
    for version in ("2.1", "2.2 TI2V-5B"):
        assert fitting_facts(unknown, says(tmp_path / FILE_NAME, "wan", version)).base_version == version


def test_an_adapter_without_a_name_is_refused_by_its_layers(wan: Path, ltx2: Path, tmp_path: Path) -> None:
    factors = layers(load_base(str(ltx2), torch.float32))
    save_file(spelled(factors, "diffusers"), tmp_path / FILE_NAME)
    with pytest.raises(SetupError, match="does not fit this base"):
        load(base=str(wan), adapter=str(tmp_path), device="cpu")


def test_an_adapter_of_another_size_is_refused(ltx2: Path, tmp_path: Path) -> None:
    factors = {name: (down[:, :5], up) for name, (down, up) in layers(load_base(str(ltx2), torch.float32)).items()}
    for spelling in ("diffusers", "kohya"):
        save_file(spelled(factors, spelling), tmp_path / FILE_NAME)
        with pytest.raises(SetupError, match="does not fit this base"):
            load(base=str(ltx2), adapter=str(tmp_path), device="cpu")


def test_cosmos_takes_no_adapter_and_wan_no_small_reference(cosmos: Path, wan: Path, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / FILE_NAME, metadata={"reference_downscale_factor": "2"})
    with pytest.raises(SetupError, match="takes no adapters"):
        load(base=str(cosmos), adapter=str(tmp_path), device="cpu")
    with pytest.raises(SetupError, match="1/2 of the size"):
        load(base=str(wan), adapter=str(tmp_path), device="cpu")


def test_a_folder_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    with pytest.raises(SetupError, match="FluxPipeline, which is none of"):
        load(base=str(tmp_path), device="cpu")


def test_weights_that_are_pickled_are_refused(wan: Path, tmp_path: Path) -> None:
    import shutil

    folder = shutil.copytree(wan, tmp_path / "pickled")
    (weights,) = (folder / "transformer").glob("*.safetensors")
    torch.save(load_file(weights), weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(SetupError, match="cannot be loaded"):
        load(base=str(folder), device="cpu")
