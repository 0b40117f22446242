"""What is known of each base before it is loaded: one row each, and how a folder is recognised.

Figures are the publishers' own; docs/bases.md says which of them were measured here.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from renderlift.bridge.errors import SetupError


@dataclass(frozen=True)
class BaseFacts:
    """One base. Sizes that a folder's own configuration tells are read from there instead."""

    name: str
    title: str
    pipelines: tuple[str, ...]  # class names in model_index.json that mean this base
    loads_as: str  # the diffusers class that it is opened with
    conditions: tuple[str, ...]  # what of a clip it takes
    window: int  # frames it was trained on, and so as many as are painted at once; 0 = any
    overlap: int  # frames that neighbouring windows share
    pixels: int  # area it was trained at
    token: tuple[int, int]  # frames and pixels of a side in one token: lengths are k * frames + 1
    steps: int
    guidance: float  # 1 = none, at half the cost
    fps: float  # what its positions in time stand for
    takes_adapters: bool = True
    takes_before: bool = True  # goes on from the finished pictures of the window before
    low_noise_guidance: float = 0.0  # of a second expert, which takes over at low noise; 0 = the same
    is_distilled: bool = False  # wants the very noise levels that it was distilled on
    version: str = ""  # of those that go by one name; a folder tells, and where it does not, it is empty
    licence: str = ""
    licence_url: str = ""
    repositories: tuple[str, ...] = ()  # on the hub, by their publishers


EMBEDDED = BaseFacts(
    name="embedded",
    title="Renderlift's own, of LTX-2's classes",
    pipelines=(),
    loads_as="LTX2InContextPipeline",
    conditions=("references",),
    window=0,
    overlap=0,
    pixels=96 * 160,
    token=(4, 8),
    steps=2,
    guidance=1.0,
    fps=24.0,
    takes_before=False,  # it was never shown a beginning, and starts every clip from the same noise
    licence="Apache-2.0",
    licence_url="https://www.apache.org/licenses/LICENSE-2.0",
)
LTX2 = BaseFacts(
    name="ltx2",
    title="LTX-2, 2.3 and 2.5, in context",
    pipelines=(
        "LTX2InContextPipeline",
        "LTX2Pipeline",
        "LTX2ConditionPipeline",
        "LTX2ImageToVideoPipeline",
    ),
    loads_as="LTX2InContextPipeline",
    conditions=("references", "anchors"),
    window=121,
    overlap=9,
    pixels=704 * 1216,
    token=(8, 32),
    steps=8,
    guidance=1.0,
    fps=24.0,
    is_distilled=True,
    licence="LTX-2 Community License (free below a yearly revenue that it names)",
    licence_url="https://huggingface.co/Lightricks/LTX-2/blob/main/LICENSE",
    repositories=(
        "Lightricks/LTX-2",
        "diffusers/LTX-2.3-Diffusers",
        "diffusers/LTX-2.3-Distilled-Diffusers",
        "Lightricks/LTX-2.5-Diffusers",
    ),
)
# The same, before distillation: the pipeline's own steps and guidance.
LTX2_FULL = replace(
    LTX2, title="LTX-2 and 2.3, in context, not distilled", steps=30, guidance=3.0, is_distilled=False
)
WAN = BaseFacts(
    name="wan",
    title="Wan 2.1 and 2.2, in context (experimental)",
    pipelines=("WanPipeline",),
    loads_as="WanPipeline",
    conditions=("references",),
    window=81,
    overlap=5,
    pixels=480 * 832,
    token=(4, 16),
    steps=30,
    guidance=5.0,
    fps=16.0,
    licence="Apache-2.0",
    licence_url="https://huggingface.co/Wan-AI/Wan2.1-T2V-1.3B-Diffusers/blob/main/LICENSE.txt",
    repositories=(
        "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        "Wan-AI/Wan2.1-T2V-14B-Diffusers",
        "Wan-AI/Wan2.2-T2V-A14B-Diffusers",
        "Wan-AI/Wan2.2-TI2V-5B-Diffusers",
    ),
)
# Its own autoencoder, size and rate.
WAN_5B = replace(
    WAN,
    title="Wan 2.2 TI2V 5B, in context (experimental)",
    window=121,
    pixels=704 * 1280,
    token=(4, 32),
    fps=24.0,
)
# Two experts, each with a guidance of its own.
WAN_A14B = replace(
    WAN, title="Wan 2.2 A14B, in context (experimental)", steps=40, guidance=4.0, low_noise_guidance=3.0
)
WAN_VACE = BaseFacts(
    name="wan-vace",
    title="Wan 2.1 and 2.2 VACE",
    pipelines=("WanVACEPipeline",),
    loads_as="WanVACEPipeline",
    conditions=("edge", "depth", "rgb", "anchors", "reference images"),
    window=81,
    overlap=5,
    pixels=480 * 832,
    token=(4, 16),
    steps=30,
    guidance=5.0,
    fps=16.0,
    licence="Apache-2.0",
    licence_url="https://huggingface.co/Wan-AI/Wan2.1-VACE-1.3B-diffusers/blob/main/LICENSE.txt",
    repositories=("Wan-AI/Wan2.1-VACE-1.3B-diffusers", "Wan-AI/Wan2.1-VACE-14B-diffusers"),
)
COSMOS = BaseFacts(
    name="cosmos-transfer",
    title="Cosmos-Transfer 2.5",
    pipelines=("Cosmos2_5_TransferPipeline",),
    loads_as="Cosmos2_5_TransferPipeline",
    conditions=("edge", "blur", "depth", "seg"),
    window=93,
    overlap=5,  # two latents: as many as it was trained to go on from
    pixels=704 * 1280,
    token=(4, 16),
    steps=36,
    guidance=3.0,
    fps=30.0,
    takes_adapters=False,
    licence="NVIDIA Open Model License, which asks that the guardrail stays on",
    licence_url="https://www.nvidia.com/en-us/agreements/enterprise-software/nvidia-open-model-license",
    repositories=("nvidia/Cosmos-Transfer2.5-2B",),
)
FEW_STEPS = 4  # that Wan's LoRAs are distilled for
# Of LTX-2.5's folder: full weights, what rewrites prompts, a second decoder, what guesses how long a video is.
UNUSED_FOLDERS = ("transformer_full", "prompt_enhancer", "diffusion_decoder", "duration_head")
# What tells versions apart: those of LTX-2 by the transformer's switches, those of Wan by the pipeline's. The same
# weights are one version, distilled or not.
LTX2_SWITCHES = ("gated_attn", "cross_attn_mod", "use_keyframes_abs_pos_embedding")
LTX2_VERSIONS: dict[tuple[bool, ...], str] = {
    (False, False, False): "2",
    (True, True, False): "2.3",
    (True, True, True): "2.5",
}
WAN_SWITCHES = ("expand_timesteps", "boundary_ratio", "transformer_2")
WAN_VERSIONS: dict[tuple[bool, ...], str] = {
    (False, False, False): "2.1",
    (False, True, True): "2.2 A14B",
    (True, False, False): "2.2 TI2V-5B",
}
# Of one layout where they are of one size (14B), the second trained on from the first: adapters are in use across
# the two.
NEAR_VERSIONS = frozenset({"2.1", "2.2 A14B"})
# One row for each name; the variants go by their base's.
BASES = (EMBEDDED, LTX2, WAN, WAN_VACE, COSMOS)


def facts_of(folder: Path) -> BaseFacts:
    """Which base lies in a folder.

    Raises:
        SetupError: no model_index.json, or a pipeline that none of `BASES` means.
    """
    index = _model_index(folder)
    pipeline = str(index.get("_class_name", ""))
    if pipeline == EMBEDDED.loads_as and _is_absent(index.get("text_encoder")):
        return EMBEDDED  # of our own making: it knows no text
    for facts in BASES:
        if pipeline in facts.pipelines:
            row, version = _variant(facts, folder, index), _version(facts, folder, index)
            return replace(row, version=version) if version else row
    known = ", ".join(name for facts in BASES for name in facts.pipelines)
    raise SetupError(
        f"the base in {folder} is a {pipeline or 'folder without a pipeline class'}, which is none of {known}",
        fix="Name a folder with one of these pipelines, in the form of diffusers; docs/bases.md lists them.",
    )


def _variant(facts: BaseFacts, folder: Path, index: dict[str, Any]) -> BaseFacts:
    """The row of a base that comes in two kinds."""
    if facts is LTX2 and not _is_distilled(folder):
        return LTX2_FULL
    if facts is WAN and index.get("expand_timesteps"):
        return WAN_5B
    if facts is WAN and index.get("boundary_ratio") and not _is_absent(index.get("transformer_2")):
        return WAN_A14B
    return facts


def _version(facts: BaseFacts, folder: Path, index: dict[str, Any]) -> str:
    """Which one of its name a base is; empty: its name has no versions, or its switches are those of none."""
    if facts is LTX2:
        config = _json(folder / "transformer" / "config.json")
        return LTX2_VERSIONS.get(tuple(bool(config.get(name)) for name in LTX2_SWITCHES), "") if config else ""
    if facts in (WAN, WAN_VACE):
        told = (index.get(name) for name in WAN_SWITCHES)
        return WAN_VERSIONS.get(tuple(bool(value) and not _is_absent(value) for value in told), "")
    return ""


def in_few_steps(facts: BaseFacts) -> BaseFacts:
    """The row of a base once a LoRA that was distilled for few steps is merged into it."""
    if facts.name == LTX2.name:
        return replace(LTX2, version=facts.version)
    return replace(facts, steps=FEW_STEPS, guidance=1.0, low_noise_guidance=0.0, is_distilled=True)


def _is_distilled(folder: Path) -> bool:
    """Whether LTX-2's weights are distilled: as published, or with the publisher's distilled LoRA beside them."""
    return _has_distilled_weights(folder) or distilled_lora(folder) is not None


def _has_distilled_weights(folder: Path) -> bool:
    """Whether they are without any LoRA.

    Nothing says so outright. But the scheduler of distilled weights shifts no noise levels, since theirs are
    given; and of 2.5 (the first with positions for keyframes) only the distilled weights stand in `transformer`.
    """
    scheduler, transformer = (
        _json(folder / part / name)
        for part, name in (("scheduler", "scheduler_config.json"), ("transformer", "config.json"))
    )
    shifts = bool(scheduler.get("use_dynamic_shifting"))
    return not shifts or bool(transformer.get("use_keyframes_abs_pos_embedding"))


def distilled_lora(folder: Path) -> Path | None:
    """The LoRA that lies beside LTX-2's full weights and makes them distilled ones.

    2.5 brings one as well, for full weights in a folder of their own. Distilled ones would be spoiled by it.
    """
    if _has_distilled_weights(folder):
        return None
    return next(iter(sorted(folder.glob("*distilled-lora*.safetensors"))), None)


def weight_files(folder: Path) -> list[Path]:
    """The files of weights in a base's folder that are ever loaded."""
    return sorted(path for path in folder.glob("*/*.safetensors") if path.parent.name not in UNUSED_FOLDERS)


def has_part(folder: Path, name: str) -> bool:
    """Whether a pipeline's folder brings the part `name`."""
    return not _is_absent(_model_index(folder).get(name)) and (folder / name).is_dir()


def _model_index(folder: Path) -> dict[str, Any]:
    path = folder / "model_index.json"
    if not path.is_file():
        missing = "model_index.json is missing" if folder.is_dir() else "there is no such folder"
        raise SetupError(
            f"no base at {folder}: {missing}",
            fix="Name a folder that `renderlift fetch` or a diffusers pipeline's save_pretrained wrote, or leave "
            "--base out; docs/bases.md lists what there is.",
        )
    return _json(path)


def _json(path: Path) -> dict[str, Any]:
    """A file's table; empty where there is no such file."""
    if not path.is_file():
        return {}
    try:
        table = json.loads(path.read_text())
    except ValueError as problem:
        raise SetupError(f"{path} is not JSON: {problem}", fix="Download or save the base again.") from problem
    return cast(dict[str, Any], table) if isinstance(table, dict) else {}


def _is_absent(part: object) -> bool:
    """model_index.json writes a missing part as [null, null]."""
    return part is None or (isinstance(part, list) and all(word is None for word in cast(list[object], part)))
