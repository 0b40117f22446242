"""What a base with a text encoder is told: the user's words, or a default with the things the engine names."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from renderlift.bridge.clip import Clip
from renderlift.bridge.frame import IdName
from renderlift.model.bases.settings import RenderSettings

NAMED_CLASSES = 12  # more would push the look out of the encoder's attention
# A service has one prompt per engine that it serves. What LTX-2 reads of one fills 385 MB of GPU memory in bfloat16
# (1024 tokens, all 49 states of its Gemma, 3840 channels each), and twice that with guidance.
REMEMBERED = 4

LOOK = {
    "lift": (
        "Photorealistic footage of {scene}, filmed with a real camera: natural light and soft shadows, "
        "true materials with fine surface detail, physically correct reflections, "
        "no change to shapes, layout or motion."
    ),
    "forward": "Photorealistic footage of {scene}, filmed with a real camera, lit as the buffers say.",
    "inverse": "A rendering pass of {scene}: flat colours without light, shadow or reflections.",
}
NEGATIVE = (
    "video game, 3D render, CGI, cartoon, flat shading, plastic, aliased edges, oversaturated, blurry, flicker, "
    "warped geometry, morphing objects, added objects, subtitles, watermark"
)


def prompts_for(clip: Clip, settings: RenderSettings) -> tuple[str, str]:
    """The user's prompt and negative prompt, or the task's defaults. {scene} becomes what the id table names."""
    words = settings.prompt or LOOK.get(settings.task, LOOK["lift"])
    return words.replace("{scene}", scene_in_words(clip.frames[0].names)), settings.negative_prompt or NEGATIVE


def scene_in_words(names: Sequence[IdName]) -> str:
    """ "a scene with a car, 3 people and trees"-like: the classes of the id table, the most frequent first.

    It reads the whole table and not what one clip shows, so all clips of a session have one prompt.
    """
    counted = Counter(row.class_name for row in names if row.path and row.class_name)
    classes = counted or Counter(row.class_name or row.name for row in names)
    words = [
        f"{count} {name}" if count > 1 else name
        for name, count in sorted(classes.items(), key=lambda item: (-item[1], item[0]))[:NAMED_CLASSES]
        if name
    ]
    return f"a scene with {', '.join(words)}" if words else "a scene"


class PromptEncoder:
    """Encodes each prompt once, while it is among the last `REMEMBERED`; held open as long as its pipeline.

    A text encoder has billions of parameters, and every clip of a job has the same prompt. A service that runs for
    days meets ever new ones, since each scene is described by what its engine names.
    """

    def __init__(self, pipeline: object) -> None:
        self._pipeline = cast(Any, pipeline)
        self._encoded: dict[tuple[str, str, bool, str], tuple[Tensor | None, ...]] = {}  # the oldest first

    @property
    def reads_text(self) -> bool:
        return self._pipeline.text_encoder is not None

    def __call__(self, prompt: str, negative_prompt: str, guided: bool) -> tuple[Tensor | None, ...]:
        """What the pipeline's `encode_prompt` gives, from memory where it was asked lately."""
        # Another render of the same base may have had to go to float32.
        key = (prompt, negative_prompt, guided, str(self._pipeline.text_encoder.dtype))
        encoded = self._encoded.pop(key, None)
        if encoded is None:
            while len(self._encoded) >= REMEMBERED:  # before the new one is made, which needs the room
                del self._encoded[next(iter(self._encoded))]
            with torch.no_grad():
                encoded = tuple(
                    self._pipeline.encode_prompt(
                        prompt=prompt, negative_prompt=negative_prompt, do_classifier_free_guidance=guided
                    )
                )
        self._encoded[key] = encoded  # the last one is the newest
        return encoded


def no_words(tokens: int, channels: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Stands in for the text of a base without a text encoder: (1, tokens, channels), zero."""
    return torch.zeros(1, tokens, channels, device=device, dtype=dtype)
