"""Reports by itself what became of messages: in the server's loop, while a plan asks for it."""

import asyncio
from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Final

from winback.clock import Clock
from winback.sandbox.faults import SelfReports
from winback.sandbox.orders import MailNews, TextEvent, news_of
from winback.sandbox.record import Record
from winback.sandbox.telling import Teller

_MAIL_WORDS: Final = ("processed", "delivered")
_TEXT_WORDS: Final = ("sent", "delivered")


class Reporter:
    """Collects what was accepted, and tells of it when its time has come."""

    def __init__(
        self, record: Record, teller: Teller, kept: asyncio.Event, *, clock: Clock, rng: Random
    ) -> None:
        self._record = record
        self._teller = teller
        self._kept = kept
        self._clock = clock
        self._rng = rng
        self._due: list[tuple[float, int, MailNews | TextEvent]] = []
        self._numbers = count()
        self._last_mail = self._last_text = 0
        self._on_the_way = 0
        self._reports: SelfReports | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many reports have yet to be written or posted for the first time."""
        behind = 0
        if self._reports is not None:
            behind = self._record.count_untold(self._last_mail, self._last_text)
        return len(self._due) + self._on_the_way + behind

    def follow(self, reports: SelfReports | None) -> None:
        """Report like that from now on, or no more; what is due already is told in any case."""
        self._reports = reports
        # A round that runs is not cut off: a status that is on its way would be lost.
        self._kept.set()
        if reports is not None and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._run(reports))

    async def close(self) -> None:
        """Report no more, whatever is due."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, reports: SelfReports) -> None:
        while self._reports is not None or self._due:
            if not self._due and not self._teller.waiting:
                await self._kept.wait()
            self._kept.clear()
            reports = self._reports or reports
            await asyncio.sleep(reports.every_seconds)
            if self._reports is not None:
                self._collect(reports.delay_seconds)
            await self._tell(self._taken_out())

    def _collect(self, delay_seconds: float) -> None:
        """Set a time for the reports of what was accepted since."""
        at = self._clock.now().timestamp()
        for mail in self._record.untold_mails(self._last_mail):
            self._last_mail = mail.id
            for word in _MAIL_WORDS:
                self._set_time(news_of(mail, word, at), delay_seconds)
        for text in self._record.untold_texts(self._last_text):
            self._last_text = text.id
            for word in _TEXT_WORDS:
                self._set_time(TextEvent(text.sid, word), delay_seconds)

    def _set_time(self, report: MailNews | TextEvent, delay_seconds: float) -> None:
        due_at = asyncio.get_running_loop().time()
        if delay_seconds:
            due_at += self._rng.uniform(0, delay_seconds)
        heappush(self._due, (due_at, next(self._numbers), report))

    def _taken_out(self) -> list[MailNews | TextEvent]:
        now, found = asyncio.get_running_loop().time(), []
        while self._due and self._due[0][0] <= now:
            found.append(heappop(self._due)[2])
        return found

    async def _tell(self, reports: Sequence[MailNews | TextEvent]) -> None:
        news = [one for one in reports if isinstance(one, MailNews)]
        statuses = [one for one in reports if isinstance(one, TextEvent)]
        self._on_the_way = len(reports)
        try:
            # Also without news: what was not taken before is tried again.
            await self._teller.report(news)
            for word in _TEXT_WORDS:
                # One status of a text at a time: callbacks of a list run at once.
                await self._teller.report_texts([one for one in statuses if one.status == word])
        finally:
            self._on_the_way = 0
