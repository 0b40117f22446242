"""Work on a clip's frames in threads: numpy and OpenCV let go of the interpreter while they compute.

One frame at a time stays in the processor's cache. In one thread, a large base's references would take longer to
make than a large GPU takes to paint from them.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

MOST_AHEAD = 4  # what is made may be large: following a frame of 1920x1080 takes 400 MB
Value = TypeVar("Value", bound=np.generic)
Place = TypeVar("Place")
Made = TypeVar("Made")


def each_frame(make: Callable[[int], NDArray[Value]], frames: int) -> NDArray[Value]:
    """(T, ...): what `make` gives for each of at least one frame, made by as many threads as torch may use."""
    first = make(0)
    made = np.empty((frames, *first.shape), first.dtype)
    made[0] = first

    def put(t: int) -> None:
        made[t] = make(t)

    with ThreadPoolExecutor(max(1, min(frames - 1, torch.get_num_threads()))) as pool:
        for _ in pool.map(put, range(1, frames)):
            pass  # raises what a thread raised
    return made


def made_ahead(make: Callable[[Place], Made], places: Iterable[Place]) -> Generator[Made]:
    """What `make` gives for each place, in order, made by a few threads ahead of its use."""
    threads = min(torch.get_num_threads(), MOST_AHEAD)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Made]] = deque()
        for place in places:
            waiting.append(pool.submit(make, place))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
