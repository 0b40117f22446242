"""How far a base is with the clip that it paints: its denoising steps, told to whoever listens."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

Told = Callable[[int, int], None]  # steps done, and of how many


class StepTeller:
    """Stands where a diffusers pipeline has its progress bar, and is called as that is."""

    def __init__(self) -> None:
        self.told: Told | None = None

    @contextmanager
    def __call__(self, *, total: int) -> Generator["StepTeller"]:
        self._done, self._total = 0, total
        self._tell()
        yield self

    def listen(self, told: Told) -> None:
        """From now on, call `told` in the painting thread at the start and after each step."""
        self.told = told

    def update(self) -> None:
        self._done += 1
        self._tell()

    def _tell(self) -> None:
        if self.told:
            self.told(self._done, self._total)
