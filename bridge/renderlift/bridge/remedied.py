"""Which frames of an output a renderer made otherwise than was asked for, and why.

A renderer that had to help itself, as where memory ran out, says so by its attribute `remedies`: the sentences of
all that it has done since it was loaded and that still holds, the first one first.
"""

from collections.abc import Iterable

import msgspec

from renderlift.bridge.clip import Render


class Remedied(msgspec.Struct, frozen=True):
    """Frames that were rendered so, from clip to clip."""

    remedy: str  # what was done, and what it was done for
    first_index: int
    last_index: int


def remedies_of(render: Render) -> tuple[str, ...]:
    """What this renderer has had to do until now; nothing, where it does not say."""
    said: Iterable[str] = getattr(render, "remedies", ())
    return tuple(said)


def with_more(
    known: Iterable[Remedied], more: Iterable[Remedied], *, done_to: int | None = None
) -> tuple[Remedied, ...]:
    """Add what was rendered next: a remedy that held until then goes on, another one begins.

    Args:
        done_to: first frame after those that are done, remedied or not; it tells that a remedy held until then
            even where frames are missing. None = the first frame of what is added.
    """
    rows = list(known)
    for new in more:
        reached = (new.first_index if done_to is None else done_to) - 1
        same = [n for n, row in enumerate(rows) if row.remedy == new.remedy and row.last_index >= reached]
        if same:
            rows[same[0]] = Remedied(new.remedy, rows[same[0]].first_index, new.last_index)
        else:
            rows.append(new)
    return tuple(rows)


def in_words(remedied: Iterable[Remedied]) -> str:
    """ "frames 40 to 95 with the autoencoder in tiles (out of memory on a clip of 9 frames at 64x48)"-like."""
    return "; ".join(f"frames {row.first_index} to {row.last_index} with {row.remedy}" for row in remedied)
