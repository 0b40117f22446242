"""`renderlift evaluate`: the model has the measures; here they get renderers, videos and a voice."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from renderlift.bridge.clip import Render, tell_steps
from renderlift.bridge.events import Events
from renderlift.bridge.loading import load_told
from renderlift.bridge.renderer import check_renderer
from renderlift.bridge.renderer_options import RendererOptions, argument_name, as_words, read_as_typed
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

    before: list[Render] = []

    def load(spec: str, options: RendererOptions) -> Render:
        # --also names options as the command line does.
        render = load_told(spec, _as_arguments(options), events, may_share=bool(before))
        tell_steps(render, events.denoising)
        before[:] = [render]  # kept until the next one is there, so that they can share what they stand on
        return render

    # By name, because the bridge does not know the model.
    command = importlib.import_module("renderlift.model.evaluate.command")
    request = command.Request(**asked, typed=_typed(asked["options"]))
    for subject in command.subjects(request):  # a slip in the last one is told before the first is rendered
        if subject.renderer:
            check_renderer(subject.renderer, _as_arguments(subject.options))
    answer = command.answer(
        request,
        load=load,
        read_video=read_video,
        progress=events.progress,
        remark=remark,
    )
    for table in answer.tables:
        events.table(table.event, table.title, table.header, table.rows, report=answer.report)
    lines = [*answer.notes, *(f"  {path}" for path in answer.files.values())]
    events.tell("evaluated", "\n".join(lines), files=answer.files, notes=answer.notes)
    return not answer.report.left_out


def _as_arguments(options: RendererOptions) -> RendererOptions:
    return read_as_typed({argument_name(name): value for name, value in options.items()})


def _typed(options: RendererOptions) -> tuple[str, ...]:
    """The options as they were typed, with names in place of folders, for a page that others read."""
    plain = {
        name: Path(value).name if isinstance(value, str) and Path(value).exists() else value
        for name, value in options.items()
    }
    return tuple(as_words(plain))
