"""Time that goes by at once: a loop whose sleeps take no time, and a clock that follows it."""

import asyncio
import selectors
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.SelectSelector):
    """Waits for nobody: where nothing is ready, the loop's time goes on instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Give what is ready; asked to wait, let that time be over."""
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits, for ever"
            self.now += max(timeout, 0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop in which nothing but timers passes time."""

    def __init__(self) -> None:
        self._passing = _Selector()
        super().__init__(self._passing)

    def time(self) -> float:
        """Give the seconds that went by."""
        return self._passing.now


@dataclass(slots=True)
class LoopClock:
    """A clock that begins at an instant and goes with a loop."""

    begins_at: datetime
    loop: VirtualLoop

    def now(self) -> datetime:
        """Give the instant that the loop has reached."""
        return self.begins_at + timedelta(seconds=self.loop.time())


def run_virtually(loop: VirtualLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to the end in a virtual loop."""
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(coroutine)
