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
        self._lines: dict[str, str] = {}  # the last one of each stage
        self._done: dict[str, int] = {}  # of each stage
        self._moving = threading.RLock()  # bars: the renderer's thread tells steps, the main one frames
        self._ended = False
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._moving:
            self._ended = True  # a renderer's thread may outlive the command's last word
            self.end_progress()

    def tell(self, event: str, text: str = "", /, **facts: object) -> None:
        """Something happened: `text` for people (none = not worth a line), `facts` for machines."""
        if self._as_json:
            self._write_json(event, facts)
        elif text:
            self._write_line(text)

    def progress(
        self,
        stage: str,
        done: int,
        total: int | None = None,
        *,
        text: str = "",
        bar: bool = True,
        recurs: bool = False,
        **facts: object,
    ) -> None:
        """A stage has come so far; `total` None = nobody knows how far it goes.

        `text` stands beside the bar, or with `bar` False in its place: a terminal has 80 columns. A stage that
        `recurs`, as with every clip, ends without a word, and is worth a plain line only where it takes long.
        """
        if self._ended:
            return
        is_last = done == total and not recurs
        begins_again = recurs and done <= self._done.get(stage, done)
        self._done[stage] = done
        if self._as_json:
            if self._is_due(stage, JSON_PROGRESS_S, is_last):
                self._write_json("progress", {"stage": stage, "done": done, "total": total, **facts})
            return
        if self._err.isatty():
            with self._moving:
                self._move_bar(stage, done, total, text, bar, begins_again)
            return
        if begins_again:
            self._told_s[stage] = time.monotonic()
            self._lines.pop(stage, None)
        if self._is_due(stage, PLAIN_PROGRESS_S, is_last):
            share = f"{done}/{total} " if total else f"{done} "
            line = f"{stage}: {share if bar else ''}{text}".rstrip()
            if line != self._lines.get(stage):  # nothing has moved since
                self._write_line(line)
            self._lines[stage] = line

    def denoising(self, done: int, total: int, *, bar: bool = True) -> None:
        """The clip at work has come so far; see `clip.tell_steps`."""
        text = "" if bar else f"{done} of {total}"
        self.progress("denoising", done, total, text=text, bar=bar, recurs=True)

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
        with self._moving:
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

    def _move_bar(self, stage: str, done: int, total: int | None, text: str, bar: bool, begins_again: bool) -> None:
        if self._ended:  # meanwhile
            return
        if self._bars is None:
            self._bars = _new_bars(self._err, bar)
            self._bars.start()
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total, text="")
        if begins_again:  # its time left is that of this time
            self._bars.reset(self._tasks[stage], total=total)
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
