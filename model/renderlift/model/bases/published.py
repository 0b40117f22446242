"""What the published bases weigh, and which preset a GPU gets, for whoever plans before a base or a GPU is there.

The sizes are computed, not measured: parameters of the published configurations, two bytes each (bf16).
`tests/model/bases/test_published.py` counts them. A folder that is there is read instead.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from renderlift.model import presets
from renderlift.model.bases.facts import COSMOS, LTX2, WAN, WAN_VACE, BaseFacts, facts_of
from renderlift.model.presets import GIGABYTE, PRESETS, Preset, Weights


@dataclass(frozen=True)
class Published:
    """One repository of a base."""

    repository: str
    facts: BaseFacts
    weights: Weights


def _ltx2(
    repository: str, transformer: float, text_encoder: float, connectors: float, vae: float, vocoder: float
) -> Published:
    pictures = {"transformer": transformer, "text_encoder": text_encoder, "connectors": connectors, "vae": vae}
    # Sound is made along the way, and dropped.
    return Published(repository, LTX2, _weights(48, 4096, **pictures, audio_vae=0.05325, vocoder=vocoder))


def _wan(
    repository: str, facts: BaseFacts, blocks: int, width: int, *billions: float, vae: float = 0.127
) -> Published:
    experts = dict(zip(("transformer", "transformer_2"), billions, strict=False))
    return Published(repository, facts, _weights(blocks, width, **experts, text_encoder=5.681, vae=vae))


def _weights(blocks: int, width: int, **billions: float) -> Weights:
    return Weights({part: round(2 * 1e9 * count) for part, count in billions.items()}, blocks, width)


PUBLISHED = (
    _ltx2("Lightricks/LTX-2", 18.876, 12.203, 1.431, 1.222, 0.05559),
    _ltx2("diffusers/LTX-2.3-Distilled-Diffusers", 18.989, 12.203, 3.172, 0.726, 0.12854),
    _ltx2("Lightricks/LTX-2.5-Diffusers", 18.988, 11.960, 3.172, 0.726, 0.12854),
    _wan("Wan-AI/Wan2.1-T2V-1.3B-Diffusers", WAN, 30, 1536, 1.419),
    _wan("Wan-AI/Wan2.1-T2V-14B-Diffusers", WAN, 40, 5120, 14.288),
    _wan("Wan-AI/Wan2.2-T2V-A14B-Diffusers", WAN, 40, 5120, 14.288, 14.288),
    _wan("Wan-AI/Wan2.2-TI2V-5B-Diffusers", WAN, 30, 3072, 5.000, vae=0.705),
    _wan("Wan-AI/Wan2.1-VACE-1.3B-diffusers", WAN_VACE, 30, 1536, 2.154),
    _wan("Wan-AI/Wan2.1-VACE-14B-diffusers", WAN_VACE, 40, 5120, 17.338),
    Published(
        "nvidia/Cosmos-Transfer2.5-2B",
        COSMOS,
        _weights(28, 2048, transformer=2.414, controlnet=0.471, text_encoder=8.292, vae=0.127),
    ),
)


LEANEST = PRESETS[-1]


@dataclass(frozen=True)
class Fit:
    """How one base fits into a GPU's memory."""

    base: str
    computed: bool  # from published sizes; else from the files of a folder
    weights_gb: float
    preset: str  # what it would get; empty: not even the leanest fits, or no GPU is asked about
    option: str  # what must be said beside it for it to fit: fewer frames at once, or a smaller picture
    does: str
    needed_gb: dict[str, float]  # by each preset
    with_torchao: str  # what it would get if torchao were installed, where that is another


def fits(base: str, memory_bytes: float) -> list[dict[str, Any]]:
    """How a base fits, as plain data.

    Args:
        base: a folder; empty: all that are published.
        memory_bytes: of the GPU; 0 = there is none.

    Raises:
        SetupError: no base in that folder.
    """
    if base:
        folder = Path(base)
        known = [Published(folder.name, facts_of(folder), presets.read_weights(folder))]
    else:
        known = list(PUBLISHED)
    return [asdict(_fit(one, memory_bytes, computed=not base)) for one in known]


def _fit(one: Published, memory_bytes: float, *, computed: bool) -> Fit:
    tokens = presets.usual_tokens(one.facts)
    needed = {preset: presets.needed_bytes(preset, one.weights, tokens) for preset in PRESETS}
    chosen = _chosen(one.weights, memory_bytes, tokens, needed, None)
    option = "" if chosen else _smaller(one, memory_bytes)
    chosen = LEANEST if option else chosen
    quantised = _chosen(one.weights, memory_bytes, tokens, needed, True)
    return Fit(
        one.repository,
        computed,
        round(one.weights.total / GIGABYTE, 1),
        chosen.name if chosen else "",
        option,
        chosen.does if chosen else "",
        {preset.name: round(count / GIGABYTE, 1) for preset, count in needed.items()},
        quantised.name if quantised and quantised != chosen else "",
    )


def _smaller(one: Published, memory_bytes: float) -> str:
    """The longest window that fits by the leanest preset, or, where the base has but one, the largest picture.

    Empty: less than half of what the base was trained on would fit.
    """
    facts = one.facts

    def fitting(**size: int) -> bool:
        tokens = presets.usual_tokens(facts, **size)
        return presets.needed_bytes(LEANEST, one.weights, tokens) <= memory_bytes

    if facts.name == COSMOS.name:
        # Of the usual proportions, 16 to 9, in multiples of what such a base takes.
        sizes = (
            (w, h)
            for w, h in zip(range(1280, 0, -32), range(704, 0, -16), strict=False)
            if w * h * 2 >= facts.pixels
        )
        found = next((f"{w}x{h}" for w, h in sizes if fitting(pixels=w * h)), "")
        return f"--working-size {found}" if found else ""
    windows = range(facts.window - facts.token[0], facts.window // 2, -facts.token[0])
    found = next((str(window) for window in windows if fitting(window=window)), "")
    return f"--window {found}" if found else ""


def _chosen(
    weights: Weights, memory_bytes: float, tokens: int, needed: dict[Preset, float], quantisable: bool | None
) -> Preset | None:
    """What `presets.choose` says, unless it says the leanest though that does not fit either."""
    chosen = presets.choose(weights, memory_bytes, tokens, quantisable=quantisable)
    return chosen if needed[chosen] <= memory_bytes else None
