"""Does the same work for many numbers in processes of their own: what kills one, costs one piece of work."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, cast

from renderlift.bridge.cluster import Cluster, crew_of

Work = Callable[[int], Any]
DIED = None  # result of a piece whose process died
# Engines and path tracers keep a little of every scene they have seen.
PIECES_PER_PROCESS = 64


def in_processes(work: Work, numbers: Iterable[int], jobs: int) -> Generator[tuple[int, Any]]:
    """Each number with `work(number)`, as they get done; DIED where the process was killed or crashed.

    Ending early ends the processes.

    Args:
        work: known by name, as multiprocessing wants it; it raises nothing.
        jobs: how many processes.
    """
    waiting = deque(numbers)
    workers: list[_Worker] = []
    try:
        while waiting and len(workers) < jobs:
            workers.append(_Worker(work, jobs, waiting.popleft()))
        while workers:
            ready = wait([worker.connection for worker in workers])
            for worker in [worker for worker in workers if worker.connection in ready]:
                yield worker.number, worker.result()
                if waiting and not worker.spent:
                    worker.give(waiting.popleft())
                    continue
                workers.remove(worker)
                worker.end()
                if waiting:
                    workers.append(_Worker(work, jobs, waiting.popleft()))
    finally:
        for worker in workers:
            worker.end()


def on_cluster(work: Work, numbers: Iterable[int], jobs: int, address: str) -> Generator[tuple[int, Any]]:
    """As `in_processes`, on the machines of a Ray cluster.

    Args:
        address: of the cluster, as `ray.init` takes it.

    Raises:
        SetupError: Ray is not installed, or there is no cluster.
    """
    with crew_of(partial(_same, work), Cluster(jobs, address, gpus=False)) as crew:
        yield from crew.work(deque(numbers), lifetime=PIECES_PER_PROCESS)


def _same(work: Work) -> Work:
    """There is nothing to open."""
    return work


class _Worker:
    """One process, which does one piece of work at a time."""

    def __init__(self, work: Work, jobs: int, number: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(work, theirs, jobs), daemon=True)
        self._process.start()
        theirs.close()  # so that reading ours ends when the process does
        self._done = 0
        self._dead = False
        self.give(number)

    @property
    def spent(self) -> bool:
        """It died, or has done enough."""
        return self._dead or self._done >= PIECES_PER_PROCESS

    def give(self, number: int) -> None:
        self.number = number
        try:
            self.connection.send(number)
        except OSError:
            self._dead = True  # `result` tells

    def result(self) -> Any:
        self._done += 1
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self._dead = True
            return DIED

    def end(self) -> None:
        self.connection.close()
        self._process.terminate()
        self._process.join()


def _serve(work: Work, connection: Connection, jobs: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if jobs > 1:
        share = max(1, (os.cpu_count() or 1) // jobs)
        for name in ("OMP_NUM_THREADS", "LP_NUM_THREADS"):
            os.environ.setdefault(name, str(share))
    while True:
        try:
            number = cast(int, connection.recv())
        except EOFError:  # the parent is gone
            return
        connection.send(work(number))
