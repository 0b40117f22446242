"""Work ahead: one stage of a pipeline runs in a thread while the next consumes what it made."""

import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class _End:
    error: BaseException | None


def ahead(items: Iterable[Item], size: int) -> Generator[Item]:
    """Run `items` in a thread of its own, at most `size` items before the reader, the one in the making included.

    numpy, OpenCV, PyAV, PyTorch and sockets let go of the interpreter while they work, so reading,
    rendering and writing overlap in one process. Memory is bounded: with a size of 1, the next item is made
    while the reader is at work on one, and no further one. What `items` raises is raised here, in its place.

    Leaving early (`close()`, or an error in the reader) closes `items` and waits for its thread,
    so nothing goes on behind the reader's back.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    waiting: SimpleQueue[Item | _End] = SimpleQueue()
    room = threading.Semaphore(size)
    left = threading.Event()
    worker = threading.Thread(target=_work, args=(items, waiting, room, left), name="renderlift-ahead", daemon=True)
    worker.start()
    try:
        while not isinstance(item := waiting.get(), _End):
            room.release()
            yield item
            del item  # it may be large, and the next one can be long in coming
        if item.error is not None:
            raise item.error
    finally:
        left.set()
        room.release()  # a worker that waits for room gets it, looks up and ends
        worker.join()


def _work(
    items: Iterable[Item], waiting: "SimpleQueue[Item | _End]", room: threading.Semaphore, left: threading.Event
) -> None:
    error: BaseException | None = None
    try:
        made = iter(items)
        while room.acquire() and not left.is_set():
            try:
                item = next(made)
            except StopIteration:
                break
            waiting.put(item)
            del item  # the reader has it now, and may let go of it
    except BaseException as raised:  # it travels to the reader's thread
        error = raised
    finally:
        if isinstance(items, Generator):
            items.close()
    waiting.put(_End(error))
