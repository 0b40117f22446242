"""Which preset each large base gets on a GPU: the one that is there, or one that is thought of."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from renderlift.bridge.doctor import is_installed, probe
from renderlift.bridge.errors import SetupError, install_fix
from renderlift.bridge.events import Events

# The first GPU is the one that renders unless --device says otherwise.
_FITS = """from renderlift.model.bases.published import fits
    memory_bytes = {asked_bytes!r}
    if not memory_bytes:
        import torch
        memory_bytes = torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else 0
    found = {{"memory_bytes": memory_bytes, "fits": fits({base!r}, memory_bytes)}}"""
GIGABYTE = 2.0**30
SHOWN = (
    0.985  # of what a GPU is sold with, its driver keeps the rest: 79.2 of 80 on an H100, 139.8 of 141 on an H200
)
LEANEST, WHOLE = "layers", "resident"


INDEX = "model_index.json"  # in the folder of every base


def refuse_no_base(folder: Path) -> None:
    """Refuse a folder that holds no base, without the seconds that it takes to load the model.

    Raises:
        SetupError: it is not there, or not a base.
    """
    if not folder.is_dir():
        raise SetupError(f"there is no folder {folder}", fix="Name the folder of a base; docs/bases.md lists them.")
    if not (folder / INDEX).is_file():
        fix = "Name the folder that a diffusers pipeline's save_pretrained wrote, or that `renderlift fetch` made."
        raise SetupError(f"no base at {folder}: {INDEX} is missing", fix=fix)


def tell_bases(events: Events, *, base: str | None, gpu_memory_gb: float | None) -> None:
    """Tell which preset fits, base by base; without a GPU, what each would need.

    Args:
        base: a folder, whose files are measured; None: those that are published, by computed sizes.
        gpu_memory_gb: of the GPU that is thought of, as it is sold; None: the first one of this machine.

    Raises:
        SetupError: no base in that folder; or what it takes to look is not installed.
    """
    if not is_installed("torch"):
        if base or gpu_memory_gb:
            raise SetupError("presets are computed by the model, which is not installed", fix=install_fix("model"))
        return
    if base:
        refuse_no_base(Path(base))
    answer = probe(_FITS.format(asked_bytes=(gpu_memory_gb or 0) * SHOWN * GIGABYTE, base=base or ""))
    if "found" not in answer:
        raise SetupError(answer["problem"], fix=answer["fix"])
    fits: list[dict[str, Any]] = answer["found"]["fits"]
    memory_gb = answer["found"]["memory_bytes"] / GIGABYTE
    title = _title(gpu_memory_gb or memory_gb, asked=bool(gpu_memory_gb))
    header, rows = (_HEADER, [_row(fit) for fit in fits]) if memory_gb else (_NEEDS_HEADER, _needs(fits))
    events.table("presets", title, header, rows, memory_gb=memory_gb, fits=fits)
    if hints := _hints(fits):
        events.tell("presets_hint", "\n".join(hints), hints=hints)


def _title(memory_gb: float, *, asked: bool) -> str:
    if not memory_gb:
        return "Large bases: no GPU here, so this is what they would need"
    return f"Large bases on a GPU of {memory_gb:.0f} GB" + ("" if asked else ", which is here")


_HEADER = ("base", "weights", "--preset auto is", "needs", "which means")
_NEEDS_HEADER = ("base", "weights", f"{LEANEST} from", "parts from", f"{WHOLE} from")


def _row(fit: Mapping[str, Any]) -> Sequence[str]:
    if not fit["preset"]:
        return (_name(fit), _gb(fit["weights_gb"]), "none", _gb(fit["needed_gb"][LEANEST]), "too large for it")
    preset, option = fit["preset"], fit["option"]
    needed = "all of it" if option else _gb(fit["needed_gb"][preset])
    means = f"{fit['does']}, and with {option}" if option else fit["does"]
    return (_name(fit), _gb(fit["weights_gb"]), preset, needed, means)


def _needs(fits: Sequence[Mapping[str, Any]]) -> list[Sequence[str]]:
    presets = (LEANEST, "parts", WHOLE)
    return [
        (_name(fit), _gb(fit["weights_gb"]), *(_gb(fit["needed_gb"][preset]) for preset in presets)) for fit in fits
    ]


def _hints(fits: Sequence[Mapping[str, Any]]) -> list[str]:
    hints = ["Computed, not measured" + (", from published sizes." if fits and fits[0]["computed"] else ".")]
    hints[0] += " parts, blocks and layers hold the weights in main memory meanwhile."
    gains = [f"{_name(fit)} {fit['with_torchao']}" for fit in fits if fit["with_torchao"]]
    if gains:
        hints.append(f"With int8 weights (pip install torchao): {', '.join(gains)}.")
    return hints


def _name(fit: Mapping[str, Any]) -> str:
    return str(fit["base"]).rpartition("/")[2].removesuffix("-Diffusers").removesuffix("-diffusers")


def _gb(count: float) -> str:
    return f"{count:.1f} GB"
