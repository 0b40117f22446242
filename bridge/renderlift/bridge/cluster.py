"""Work on many processes, GPUs and machines by Ray. Each worker is opened once and kept warm.

Nothing is asked of Ray but to start processes where there is room and to tell when one has died: what is
finished stands on disk, and whoever gives the work knows it. Ray is imported when it is asked for. One that is
started here listens on loopback, shows no dashboard, reports to nobody and ends with this process.
"""

import importlib
import io
import logging
import os
import secrets
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from renderlift.bridge.errors import SetupError, install_fix

log = logging.getLogger(__name__)

Piece = TypeVar("Piece")
# Opened once on each worker; what it gives does the pieces. It is known by name, or a partial of what is, and
# neither it nor what it gives raises anything but by mistake: what went wrong stands in the result.
OpenWork = Callable[[], Callable[[Piece], Any]]

DIED = None  # result of a piece whose worker died
PATIENCE_S = 0.5  # between two looks at how far the workers are
DEATHS_WHILE_OPENING = 3  # in a row; then it is no accident


@dataclass(frozen=True)
class Cluster:
    """Where to work, and how much of it a worker takes."""

    workers: int | None = None  # None: one per GPU, or one per machine where there is none
    address: str = ""  # of a Ray cluster that runs; empty or "local": Ray on this machine, for the time being
    gpus: bool = True  # whether workers want GPUs


@dataclass(frozen=True)
class Busy(Generic[Piece]):
    """A worker and what it is doing."""

    number: int  # from 1
    place: str  # of its process, e.g. "node7, process 4711"; empty while it is opened
    piece: Piece | None  # None: it is being opened
    steps: tuple[int, int] | None = None  # of the clip at work, done and all; None: not known


@contextmanager
def crew_of(open_work: OpenWork[Piece], cluster: Cluster) -> "Generator[Crew[Piece]]":
    """Workers, which are opened meanwhile and ended at the end.

    Raises:
        SetupError: Ray is not installed, cannot be reached, or has no room.
    """
    with _ray(cluster) as ray:
        crew = Crew(ray, open_work, cluster)
        try:
            yield crew
        finally:
            crew.end()


class _Worker(Generic[Piece]):
    """Runs in a process of its own, somewhere."""

    def __init__(self, open_work: OpenWork[Piece]) -> None:
        self._open_work = open_work
        self._work: Callable[[Piece], Any] | None = None

    def open(self) -> str:
        self._work = self._open_work()
        return f"{os.uname().nodename if hasattr(os, 'uname') else 'here'}, process {os.getpid()}"

    def do(self, piece: Piece) -> Any:
        assert self._work is not None
        return self._work(piece)


@dataclass
class _Member(Generic[Piece]):
    """A worker as it is seen from here."""

    number: int
    actor: Any
    place: str = ""
    piece: Piece | None = None
    last_kind: Hashable = None
    done: int = 0  # pieces


class Crew(Generic[Piece]):
    """All workers, and what they are at."""

    def __init__(self, ray: Any, open_work: OpenWork[Piece], cluster: Cluster) -> None:
        self._ray = ray
        self._open_work = open_work
        self.size, self._share = room(ray.nodes(), cluster)
        self._pending: dict[Any, _Member[Piece]] = {}  # by what they have promised
        self._idle: list[_Member[Piece]] = []
        self._deaths = 0
        for number in range(1, self.size + 1):
            self._hire(number)

    def work(
        self,
        pieces: deque[Piece],
        *,
        kind: Callable[[Piece], Hashable] = lambda piece: None,
        again: Callable[[Piece], bool] = lambda piece: False,
        meanwhile: Callable[[Sequence[Busy[Piece]]], None] = lambda busy: None,
        lifetime: int = 0,
    ) -> Generator[tuple[Piece, Any]]:
        """Each piece with its result, as they get done; DIED where its worker was killed.

        Pieces may be added while it runs. A worker that dies is replaced.

        Args:
            kind: a worker is given pieces of the kind of its last one, while there are any.
            again: asked when the worker of a piece has died: whether another one shall take it.
            meanwhile: called twice a second with what all workers do.
            lifetime: pieces after which a worker is replaced by a new one; 0 = never.

        Raises:
            SetupError: workers die while they are opened.
        """
        while pieces or self._at_work:
            self._give(pieces, kind)
            for piece, result, died in self._results():
                if died and again(piece):
                    pieces.appendleft(piece)
                    continue
                yield piece, result
            self._relieve(lifetime)
            meanwhile(self._busy)

    @property
    def _at_work(self) -> bool:
        return any(member.piece is not None for member in self._pending.values())

    @property
    def _busy(self) -> list[Busy[Piece]]:
        members = sorted(self._pending.values(), key=lambda member: member.number)
        return [Busy(member.number, member.place, member.piece) for member in members]

    def _give(self, pieces: deque[Piece], kind: Callable[[Piece], Hashable]) -> None:
        """Give pieces to workers that have none."""
        while pieces and self._idle:
            member = self._idle.pop(0)
            fitting = (place for place, piece in enumerate(pieces) if kind(piece) == member.last_kind)
            place = next(fitting, 0)
            member.piece = pieces[place]
            del pieces[place]
            member.last_kind = kind(member.piece)
            self._pending[member.actor.do.remote(member.piece)] = member

    def _results(self) -> Generator[tuple[Piece, Any, bool]]:
        """Pieces that are done, their results, and whether the worker died over it. Waits a moment for one."""
        done, _ = self._ray.wait(list(self._pending), num_returns=1, timeout=PATIENCE_S)
        for promise in done:
            member = self._pending.pop(promise)
            piece, member.piece = member.piece, None
            try:
                answer = self._ray.get(promise)
            except self._ray.exceptions.RayTaskError:
                raise  # a mistake in the work itself
            except self._ray.exceptions.RayError as death:
                self._replace(member, death, opening=piece is None)
                if piece is not None:
                    yield piece, DIED, True
                continue
            self._deaths = 0
            self._idle.append(member)
            if piece is None:
                member.place = answer
            else:
                member.done += 1
                yield piece, answer, False

    def _relieve(self, lifetime: int) -> None:
        """Replace idle workers that have done enough."""
        for member in [member for member in self._idle if lifetime and member.done >= lifetime]:
            self._idle.remove(member)
            self._ray.kill(member.actor)
            self._hire(member.number)

    def end(self) -> None:
        for member in [*self._pending.values(), *self._idle]:
            self._ray.kill(member.actor)

    def _replace(self, member: _Member[Piece], death: Exception, *, opening: bool) -> None:
        self._ray.kill(member.actor)  # one that only cannot be reached would go on unseen
        self._deaths += opening
        if self._deaths >= DEATHS_WHILE_OPENING:
            raise SetupError(
                f"workers die while they load: {str(death).splitlines()[0]}",
                fix="Use fewer --workers, if it is for want of memory.",
            ) from death
        self._hire(member.number)

    def _hire(self, number: int) -> None:
        worker = self._ray.remote(**self._share, max_restarts=0)(_Worker)
        actor = worker.remote(self._open_work)
        self._pending[actor.open.remote()] = _Member(number, actor)


def gpus_here() -> int:
    """GPUs of this machine, as torch counts them; 0 without torch."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return 0
    return int(torch.cuda.device_count())


def room(nodes: Sequence[Mapping[str, Any]], cluster: Cluster) -> tuple[int, dict[str, float]]:
    """How many workers, and what each takes of a machine, as Ray is told it.

    Args:
        nodes: as `ray.nodes()` gives them.

    Raises:
        SetupError: there is no machine.
    """
    offers: list[Mapping[str, float]] = [node["Resources"] for node in nodes if node["Alive"]]
    offers = [offer for offer in offers if offer.get("CPU", 0) >= 1]
    if not offers:
        raise SetupError("the cluster has no machine with a free core", fix="Start one: ray start --address ...")
    gpus = sum(offer.get("GPU", 0) for offer in offers) if cluster.gpus else 0
    if gpus:
        count = cluster.workers or int(gpus)
        # A fraction of a GPU must divide it, or some of them would not fit anywhere.
        return count, {"num_cpus": 1, "num_gpus": 1 / -(-count // gpus) if count > gpus else 1}
    count = cluster.workers or len(offers)
    least = min(offer["CPU"] for offer in offers)
    return count, {"num_cpus": max(1, least // -(-count // len(offers))), "num_gpus": 0}


@contextmanager
def _ray(cluster: Cluster) -> Generator[Any]:
    """Ray, connected; one that runs already in this process is used and left."""
    local = cluster.address in ("", "local")
    _prepare(local)
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise SetupError("several workers need Ray, which is not installed", fix=install_fix("ray")) from error
    if ray.is_initialized():
        yield ray
        return
    cores = max(os.cpu_count() or 1, cluster.workers or 1)
    # Ray's own answer to SIGTERM would end us without a word.
    is_main = threading.current_thread() is threading.main_thread()
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=cluster.address or "local",
            configure_logging=False,
            log_to_driver=False,
            logging_level="ERROR",
            # Nothing but names and numbers passes through Ray.
            **({"num_cpus": cores, "include_dashboard": False, "object_store_memory": 100 << 20} if local else {}),
        )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = cluster.address or "on this machine"
        raise SetupError(
            f"Ray does not start at {where}: {str(error).splitlines()[0]}",
            fix="Look whether `ray status` finds the cluster, and whether both have the same version of Ray.",
        ) from error
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, on_terminate)
    try:
        # What Ray has to say of a dead worker goes to stdout, which belongs to the command.
        with redirect_stdout(_Log()):
            yield ray
    finally:
        ray.shutdown()


class _Log(io.TextIOBase):
    """Takes what is printed into the log."""

    def write(self, text: str) -> int:
        if text.strip():
            log.debug("%s", text.rstrip())
        return len(text)


def _prepare(local: bool) -> None:
    """Ray reads these when it is imported or started; what the user has set wins."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # workers without GPUs see what there is
    if local and "ray" not in sys.modules:
        # Despite its name it tells Ray, on any system, that this machine is all: it then binds to loopback.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        if "RAY_AUTH_MODE" not in os.environ:
            # Otherwise it would leave a token in the user's home.
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
