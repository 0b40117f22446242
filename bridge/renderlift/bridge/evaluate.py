"""`renderlift evaluate`: the model has the measures; here they get renderers, videos and a voice."""

import importlib
from collections.abc import Mapping
from typing import Any

from renderlift.bridge.events import Events
from renderlift.bridge.renderer import load_renderer
from renderlift.bridge.video import read_video


def evaluate(asked: Mapping[str, Any], events: Events) -> bool:
    """Measure, write the page and the numbers, and show the tables.

    Args:
        asked: the fields of `renderlift.model.evaluate.command.Request`.

    Returns:
        Whether every scene could be measured.

    Raises:
        RenderliftError: as `renderlift.model.evaluate.run.evaluate`.
    """

    def remark(text: str) -> None:
        events.tell("remark", text, text=text)

    # By name, because the bridge does not know the model.
    command = importlib.import_module("renderlift.model.evaluate.command")
    answer = command.answer(
        command.Request(**asked),
        load=load_renderer,
        read_video=read_video,
        progress=events.progress,
        remark=remark,
    )
    for table in answer.tables:
        events.table(table.event, table.title, table.header, table.rows, report=answer.report)
    lines = [*answer.notes, *(f"  {path}" for path in answer.files.values())]
    events.tell("evaluated", "\n".join(lines), files=answer.files, notes=answer.notes)
    return not answer.report.left_out
