"""What a user asks of a base, read and held against what it takes before it is loaded."""

import re
from collections.abc import Mapping, Sequence, Sized
from pathlib import Path

import cv2
import numpy as np

from renderlift.bridge.controls import CONTROLS
from renderlift.bridge.errors import SetupError
from renderlift.model.bases.adapters import LOW_NOISE_FILE, fitting_facts
from renderlift.model.bases.controls import USUAL, controls_of, one_control
from renderlift.model.bases.facts import BASES, COSMOS, EMBEDDED, BaseFacts, has_part
from renderlift.model.bases.settings import Picture
from renderlift.model.lora import FILE_NAME, names_task, read_facts
from renderlift.model.references import check_names


def controls(text: str, facts: BaseFacts, adapter: Path | None) -> dict[str, float]:
    """What steers the base, with weights: what the user asked for, else what the adapter was trained with.

    Raises:
        SetupError: there is no such control, or this base or this adapter does not take it.
    """
    found = controls_of(text) if text else {}
    if found and not set(CONTROLS) & set(facts.conditions):
        takers = ", ".join(other.title for other in BASES if set(CONTROLS) & set(other.conditions))
        raise SetupError(f"{facts.title} is not steered by {text}", fix=f"Leave --control out; {takers} read one.")
    trained = read_facts(adapter).control if adapter else ""
    if trained and found and set(found) != {trained}:
        raise SetupError(
            f"the adapter {adapter} was trained with the control {trained}, not {' and '.join(found)}",
            fix=f"Leave --control out, or use --control {trained}.",
        )
    found = found or controls_of(trained or USUAL)
    if facts is not COSMOS:
        one_control(found, facts)
    return found


def references(text: str, facts: BaseFacts, adapter: Path | None) -> tuple[str, ...]:
    """What an adapter reads whose file does not say it; empty = as its file says, or the picture.

    Raises:
        SetupError: no such reference, a base that takes none, no adapter, or one whose file says otherwise.
    """
    if not text:
        return ()
    found = tuple(name.strip() for name in text.split(","))
    check_names(found, what=f"--references {text}")
    _refuse_unless_taken("references", found, facts)
    if not adapter:
        raise SetupError(
            f"there is no adapter that could read {text}", fix="Name one with --adapter, or leave --references out."
        )
    own = read_facts(adapter)
    if own.names_references and own.references != found:
        raise SetupError(
            f"the adapter {adapter} was trained with the references {','.join(own.references)}, not {text}",
            fix="Leave --references out: it is for adapters whose file does not say what they read.",
        )
    return found


def anchors(given: str | Mapping[int, Picture], facts: BaseFacts) -> Mapping[int, Picture]:
    """Pictures that are known, by frame index.

    Raises:
        SetupError: no such folder, or the base takes none.
    """
    found = _read_anchors(Path(given)) if isinstance(given, str) and given else given or {}
    _refuse_unless_taken("anchors", found, facts)
    assert not isinstance(found, str)
    return found


def reference_images(given: str | Sequence[Picture], facts: BaseFacts) -> tuple[Picture, ...]:
    """What things look like, (H, W, 3) each.

    Raises:
        SetupError: no pictures there, or the base takes none.
    """
    if given and isinstance(given, str):
        place = Path(given)
        files = [place] if place.is_file() else sorted(file for file in place.glob("*") if file.is_file())
        if not files:
            raise SetupError(f"no pictures at {place}", fix="Name a picture, or a folder of some.")
        given = [_read_picture(file) for file in files]
    _refuse_unless_taken("reference images", given, facts)
    assert not isinstance(given, str) or not given
    return tuple(given)  # type: ignore[arg-type]


def words(prompt: str, negative_prompt: str, guidance: float, folder: Path, facts: BaseFacts) -> None:
    """Refuse words that nobody would read, and guidance by none.

    Args:
        guidance: as asked for; 0 = the base's own.

    Raises:
        SetupError: the base knows no words, came without what reads them, or is not guided away from any.
    """
    if facts is EMBEDDED and (prompt or negative_prompt or guidance > 1):
        raise SetupError(
            f"{facts.title} reads no words", fix="Leave prompts and guidance out, or name another base."
        )
    if (prompt or negative_prompt or guidance > 1) and not has_part(folder, "text_encoder"):
        raise SetupError(
            f"the base in {folder} lacks its text encoder, so it reads no words",
            fix="Bring its text_encoder and tokenizer there, or leave prompts and guidance out.",
        )
    if negative_prompt and (guidance or facts.guidance) <= 1:
        raise SetupError(
            f"nobody reads a negative prompt where there is no guidance, as here with {facts.title}",
            fix="Add --guidance 3, which takes twice the time, or leave --negative-prompt out.",
        )


def guidance(given: float, folder: Path, facts: BaseFacts) -> float:
    """How strongly the prompt is followed: as asked for, or, where that is 0, as the base is meant to be used.

    Where nothing reads words, those to follow and those to shun are the same, and so would be both predictions.
    """
    return given or (facts.guidance if has_part(folder, "text_encoder") else 1.0)


def adapter_scale(scale: float, adapter: str, facts: BaseFacts) -> None:
    """Refuse the strength of an adapter that was forgotten; one that was left out by its name may have any.

    Raises:
        SetupError: there is none.
    """
    if scale != 1 and not adapter and facts is not EMBEDDED:
        raise SetupError(
            f"there is no adapter that could have the strength {scale:g}",
            fix=f"Name one with --adapter{'' if facts.takes_adapters else ' on another base'}, or leave it out.",
        )


def distilled(given: str, folder: Path, facts: BaseFacts) -> tuple[Path, ...]:
    """The LoRA that is to make a base one of few steps: no file, one, or one for each expert, high noise first.

    Raises:
        SetupError: there is none, it is for other weights, or the base has no use for one.
    """
    if not given:
        return ()
    if not facts.takes_adapters or facts is EMBEDDED or facts.is_distilled:
        able = "takes no LoRA" if not facts.takes_adapters else f"takes {facts.steps} steps as it is"
        title = "the embedded base" if facts is EMBEDDED else facts.title
        raise SetupError(
            f"{title} {able}, so {given} has no place in it",
            fix="Leave --distilled out, or name a folder of Wan, Wan VACE or full LTX-2 with --base.",
        )
    if not Path(given).exists():
        raise SetupError(f"there is no {given}", fix="Name the LoRA, or its folder, with --distilled.")
    files = _lora_files(Path(given))
    experts = 2 if has_part(folder, "transformer_2") else 1
    if not files or len(files) > experts:
        others = len(list(Path(given).glob("*.safetensors")))
        found = f"holds {others} files, of which it cannot be told which to take" if others else "is no LoRA"
        raise SetupError(
            f"{given} " + ("holds a LoRA for each of two experts, and the base has one" if files else found),
            fix="Name a .safetensors file or a folder with one; for two experts a folder with two, that have high "
            "and low in their names.",
        )
    if len(files) < experts and (expert := _expert(files[0])):
        raise SetupError(
            f"{files[0]} is for the expert for {expert} noise, and the base in {folder} has another beside it",
            fix="Name a folder that holds the LoRAs of both.",
        )
    for file in files:
        if names_task(file):
            raise SetupError(f"{file} is an adapter", fix="Name it with --adapter; --distilled is for few steps.")
        fitting_facts(facts, file)
    return files


def _lora_files(place: Path) -> tuple[Path, ...]:
    """One file, or that for high and that for low noise; empty where there are none, or others as well."""
    own = place / FILE_NAME if place.is_dir() else place
    if own.name == FILE_NAME and own.is_file():  # ours, which may have a copy for ComfyUI beside it
        return tuple(path for path in (own, own.with_name(LOW_NOISE_FILE)) if path.is_file())
    files = [place] if place.is_file() else list(place.glob("*.safetensors"))
    if sorted(map(_expert, files)) == ["high", "low"]:
        return tuple(sorted(files, key=_expert))
    return tuple(files) if len(files) == 1 and files[0].suffix == ".safetensors" else ()


def _expert(file: Path) -> str:
    """The noise that a file's name says its LoRA is for: high, low or neither."""
    found = re.search(r"(?<![a-z])(high|low)(?![a-z])", file.stem.lower())
    return found[0] if found else ""


def _refuse_unless_taken(what: str, given: Sized, facts: BaseFacts) -> None:
    if given and what not in facts.conditions:
        able = ", ".join(other.title for other in BASES if what in other.conditions)
        raise SetupError(f"{facts.title} takes no {what}", fix=f"Use one of these bases: {able}.")


def _read_picture(path: Path) -> Picture:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SetupError(f"{path} is no picture", fix="Use PNG or JPEG.")
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


def _read_anchors(folder: Path) -> dict[int, Picture]:
    found: dict[int, Picture] = {}
    for path in sorted(folder.glob("*.png")):
        if not path.stem.isdecimal():
            raise SetupError(
                f"{path} is no anchor", fix="Name each picture by its frame index: 000000.png, 000048.png."
            )
        found[int(path.stem)] = _read_picture(path)
    if not found:
        raise SetupError(f"no anchors in {folder}", fix="Put pictures there, named by frame index: 000000.png.")
    return found
