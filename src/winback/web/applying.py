"""Apply stored events right after the answer, one batch at a time in this process.

An error here loses nothing: the events are committed and wait for the respond stage.
"""

import logging
import threading
from collections import deque

from winback.business import Business
from winback.clock import Clock
from winback.responses.applying import apply_events

logger = logging.getLogger(__name__)


class Applying:
    """The one hand of this process that applies events; others leave their ids to it."""

    def __init__(self, business: Business, clock: Clock, *, at_once: bool = True) -> None:
        self._business = business
        self._clock = clock
        self._at_once = at_once
        self._waiting: deque[int] = deque()
        self._busy = threading.Lock()

    def soon(self, ids: list[int]) -> None:
        """Apply these events now, or leave them to whoever is at it; never raises."""
        if not self._at_once or not ids:
            return
        self._waiting.extend(ids)
        # Asked again after the lock is free: ids may have come between the last look and that.
        while self._waiting and self._busy.acquire(blocking=False):
            try:
                self._drain()
            except Exception as error:  # noqa: BLE001 - the caller was answered long ago
                # The kind only: a database error's text may quote what a person wrote.
                logger.warning("events wait for the respond stage: %s", type(error).__name__)
            finally:
                self._busy.release()

    def _drain(self) -> None:
        ids: list[int] = []
        while self._waiting:
            ids.append(self._waiting.popleft())
        apply_events(self._business, self._clock.now(), ids=ids)
