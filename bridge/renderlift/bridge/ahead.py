"""Work ahead: one stage of a pipeline runs in a thread while the next consumes what it made."""

import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from queue import Empty, Queue
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class _End:
    error: BaseException | None


def ahead(items: Iterable[Item], size: int) -> Generator[Item]:
    """Run `items` in a thread of its own, at most `size` items before the reader.

    numpy, OpenCV, PyAV, PyTorch and sockets let go of the interpreter while they work, so reading,
    rendering and writing overlap in one process. Memory is bounded: `size` items wait,
    one more may be in the making. What `items` raises is raised here, in its place.

    Leaving early (`close()`, or an error in the reader) closes `items` and waits for its thread,
    so nothing goes on behind the reader's back.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    waiting: Queue[Item | _End] = Queue(size)
    left = threading.Event()
    worker = threading.Thread(target=_work, args=(items, waiting, left), name="renderlift-ahead", daemon=True)
    worker.start()
    try:
        while not isinstance(item := waiting.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        left.set()
        _empty(waiting)  # a worker that waits for room gets it, looks up and ends
        worker.join()


def _work(items: Iterable[Item], waiting: "Queue[Item | _End]", left: threading.Event) -> None:
    error: BaseException | None = None
    try:
        for item in items:
            waiting.put(item)
            if left.is_set():
                break
    except BaseException as raised:  # it travels to the reader's thread
        error = raised
    finally:
        if isinstance(items, Generator):
            items.close()
    if not left.is_set():
        waiting.put(_End(error))


def _empty(waiting: "Queue[Item | _End]") -> None:
    try:
        while True:
            waiting.get_nowait()
    except Empty:
        return
