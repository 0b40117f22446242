"""How a training speaks: the shape of the bridge's events, which it may not import."""

from collections.abc import Sequence
from typing import Protocol


class Talk(Protocol):
    """Lines and progress for people, facts for machines; `renderlift.bridge.events.Events` is one."""

    def tell(self, event: str, text: str = "", /, **facts: object) -> None: ...

    def progress(
        self, stage: str, done: int, total: int | None = None, *, text: str = "", **facts: object
    ) -> None: ...

    def table(
        self, event: str, title: str, header: Sequence[str], rows: Sequence[Sequence[str]], /, **facts: object
    ) -> None: ...


class Silence:
    """Says nothing: for the processes of a team that do not lead, and for tests."""

    def tell(self, event: str, text: str = "", /, **facts: object) -> None:
        return None

    def progress(self, stage: str, done: int, total: int | None = None, *, text: str = "", **facts: object) -> None:
        return None

    def table(
        self, event: str, title: str, header: Sequence[str], rows: Sequence[Sequence[str]], /, **facts: object
    ) -> None:
        return None
