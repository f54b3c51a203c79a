"""Let the process die at any commit or call, without leaving the process.

From the moment of death every further commit fails too, as it would for a process that is gone,
until it is started again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from winback.failpoints import watch


class Died(SystemExit):
    """The simulated process is gone; a SystemExit, so that no loop goes on after it."""


@dataclass(slots=True)
class Fate:
    """When the process dies: at the ``left``-th point from now, None: it lives on."""

    rng: Random
    left: int | None = None
    is_dead: bool = False
    deaths: int = 0

    def draw(self, chance: float = 0.06, *, most: int = 30) -> int | None:
        """Draw after how many points a run dies; None: it lives."""
        return self.rng.randint(1, most) if self.rng.random() < chance else None

    def let_live(self, points: int | None) -> None:
        """Begin a run, which dies at that point from now; None: it lives."""
        self.is_dead = False
        self.left = points

    def pass_by(self, _point: str) -> None:
        """Die, when the time has come."""
        if self.is_dead:
            raise Died
        if self.left is None:
            return
        self.left -= 1
        if self.left == 0:
            self.is_dead = True
            self.deaths += 1
            raise Died


@contextmanager
def watched(fate: Fate) -> Iterator[None]:
    """Let ``fate`` decide at each point that is passed inside."""
    watch(fate.pass_by)
    try:
        yield
    finally:
        watch(None)
