"""Where an output may stand: not among what it is made from."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from renderlift.bridge.errors import RecordingError
from renderlift.bridge.renderer_options import PLACES, option_word


def refuse_place(
    outputs: Iterable[Path], recordings: Iterable[Path], options: Mapping[str, object] | None = None
) -> None:
    """Refuse outputs that would be written over or into what is read.

    Args:
        recordings: and what else is read; or, where there is none yet, recorded to.
        options: of a renderer, some of which name folders: a base, an adapter, anchors.

    Raises:
        RecordingError: an output is one of them, or a folder inside a recording.
    """
    read = {path.resolve(): "where a recording or another input stands" for path in recordings}
    segmented = {path for path in read if any(path.glob("*.mcap"))}
    named = {Path(value).resolve(): f"the {option_word(name)} given" for name, value in _folders(options or {})}
    for output in outputs:
        place = output.resolve()
        if what := (read | named).get(place):
            raise RecordingError(f"{output} is {what}", fix="Choose another name for the output.")
        if not output.suffix and (inside := segmented.intersection(place.parents)):
            raise RecordingError(
                f"{output} lies inside the recording {inside.pop()}",
                fix="Choose a place outside of it for the output.",
            )


def _folders(options: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    # By name: a folder may be called as a reference is, or a prompt.
    return [(name, str(options[name])) for name in PLACES if name in options and Path(str(options[name])).is_dir()]
