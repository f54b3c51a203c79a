"""The stand-ins in this process: in a thread with a loop of its own."""

import asyncio
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from winback.clock import Clock
from winback.sandbox.orders import Order
from winback.sandbox.pair import Pair

_WAIT_SECONDS: Final = 120


class Within:
    """A pair of stand-ins in a thread, and the line to it; runs until the block ends."""

    def __init__(
        self, path: Path | None, *, clock: Clock, seed: int | None, has_advanced_opt_out: bool
    ) -> None:
        self._pair = Pair(path, clock=clock, seed=seed, has_advanced_opt_out=has_advanced_opt_out)
        self._loop = new_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="stand-ins", daemon=True
        )
        self.url = ""
        self.credentials = self._pair.credentials
        self.record = self._pair.record

    def __enter__(self) -> Self:
        """Begin to serve on a free loopback port."""
        self._thread.start()
        opened = asyncio.run_coroutine_threadsafe(self._pair.open(), self._loop)
        self.url = opened.result(_WAIT_SECONDS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop serving and close everything."""
        asyncio.run_coroutine_threadsafe(self._pair.close(), self._loop).result(_WAIT_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def ask(self, order: Order) -> float:
        """Have an order obeyed."""
        done = asyncio.run_coroutine_threadsafe(self._pair.obey(order), self._loop)
        return done.result(_WAIT_SECONDS)


def new_loop() -> asyncio.AbstractEventLoop:
    """Make the quickest loop that there is."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop  # noqa: PLC0415 - not on Windows

    return uvloop.new_event_loop()
