"""What a command says while it works: to people, or with --json to machines.

For people, results go to stdout, and what happens meanwhile to stderr: progress bars on a
terminal, plain lines elsewhere. For machines, stdout carries one JSON object per line, each
with its `event`; docs/cli.md lists them.
"""

import math
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

import msgspec

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

JSON_PROGRESS_S = 0.2  # between two progress events of one stage
PLAIN_PROGRESS_S = 5.0  # between two lines


class Events:
    """Open while a command runs, because progress bars must end before the last word is said."""

    def __init__(self, *, as_json: bool = False, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._as_json = as_json
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._writing = threading.Lock()  # lines of several threads must not run into each other
        self._told_s: dict[str, float] = {}
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_progress()

    def tell(self, event: str, text: str = "", /, **facts: object) -> None:
        """Something happened: `text` for people (none = not worth a line), `facts` for machines."""
        if self._as_json:
            self._write_json(event, facts)
        elif text:
            self._write_line(text)

    def progress(
        self, stage: str, done: int, total: int | None = None, *, text: str = "", bar: bool = True, **facts: object
    ) -> None:
        """A stage has come so far; `total` None = nobody knows how far it goes.

        `text` stands beside the bar, or with `bar` False in its place: a terminal has 80 columns.
        """
        if self._as_json:
            if self._is_due(stage, JSON_PROGRESS_S, done == total):
                self._write_json("progress", {"stage": stage, "done": done, "total": total, **facts})
        elif self._err.isatty():
            self._move_bar(stage, done, total, text, bar)
        elif self._is_due(stage, PLAIN_PROGRESS_S, done == total):
            share = f"{done}/{total} " if total else f"{done} "
            self._write_line(f"{stage}: {share if bar else ''}{text}".rstrip())

    def table(
        self, event: str, title: str, header: Sequence[str], rows: Sequence[Sequence[str]], /, **facts: object
    ) -> None:
        """A result: a table for people, `facts` for machines."""
        if self._as_json:
            self._write_json(event, facts)
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(title=title, title_justify="left", title_style="bold")
        for name in header:
            table.add_column(name)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self.end_progress()
        Console(file=self._out).print(table)

    def end_progress(self) -> None:
        """Take the bars away; the next `progress` starts new ones."""
        if self._bars:
            self._bars.stop()
        self._bars = None
        self._tasks.clear()

    def _write_json(self, event: str, facts: Mapping[str, object]) -> None:
        line = msgspec.json.encode({"event": event, **facts}, enc_hook=str)  # not finite = null
        with self._writing:
            self._out.write(line.decode() + "\n")
            self._out.flush()

    def _write_line(self, text: str) -> None:
        if self._bars:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            with self._writing:
                self._err.write(text + "\n")
                self._err.flush()

    def _is_due(self, stage: str, every_s: float, is_last: bool) -> bool:
        now_s = time.monotonic()
        if not is_last and now_s - self._told_s.get(stage, -math.inf) < every_s:
            return False
        self._told_s[stage] = now_s
        return True

    def _move_bar(self, stage: str, done: int, total: int | None, text: str, bar: bool) -> None:
        if self._bars is None:
            self._bars = _new_bars(self._err, bar)
            self._bars.start()
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total, text="")
        self._bars.update(self._tasks[stage], completed=done, total=total, text=text)


def _new_bars(err: TextIO, bar: bool) -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    name, text = TextColumn("{task.description}"), TextColumn("{task.fields[text]}", markup=False)
    console = Console(file=err)
    if not bar:
        return Progress(name, text, console=console)
    how_far = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn(elapsed_when_finished=True))
    return Progress(name, *how_far, text, console=console)
