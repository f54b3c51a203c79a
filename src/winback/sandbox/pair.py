"""One pair of stand-ins in the loop that runs: what the handles of ``stand_ins`` talk to."""

import ssl
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from random import Random, SystemRandom
from typing import Final

from winback.clock import Clock
from winback.sandbox.credentials import make_credentials
from winback.sandbox.faults import FaultPlan
from winback.sandbox.orders import (
    Behave,
    CountCalls,
    CountWaiting,
    DeliverTo,
    MailBack,
    MeasureWork,
    Order,
    Report,
    ReportTexts,
    TellTime,
    TextBack,
)
from winback.sandbox.record import Record
from winback.sandbox.reporter import Reporter
from winback.sandbox.server import Desk
from winback.sandbox.telling import Teller
from winback.sandbox.webhooks import Courier, Receiver
from winback.sandbox.wire import Exchange, Wire

_LONGEST_PAUSE: Final = 0.02


class ToldClock:
    """The machine's time, or another clock's, until an instant is told; then that one."""

    def __init__(self, otherwise: Clock) -> None:
        self._otherwise = otherwise
        self.told: datetime | None = None

    def now(self) -> datetime:
        """Give the present instant, aware, in UTC."""
        return self.told or self._otherwise.now()


class Pair:
    """SendGrid's and Twilio's stand-in with one record, one account and one plan."""

    def __init__(
        self, path: Path | None, *, clock: Clock, seed: int | None, has_advanced_opt_out: bool
    ) -> None:
        self.record = Record(path)
        self._clock = ToldClock(clock)
        # Ids stay unique when a seeded run goes on with an older record.
        rng = SystemRandom() if seed is None else Random(f"{seed}:{self.record.count()}")  # noqa: S311 - replays
        self.credentials, keys = make_credentials(
            SystemRandom() if seed is None else Random(seed)  # noqa: S311 - replays
        )
        self.desk = Desk(self.credentials, self.record, clock=self._clock, rng=rng)
        self._courier = Courier(self.credentials, keys, clock=self._clock, rng=rng)
        self._teller = Teller(
            self.record,
            self._courier,
            self.credentials,
            clock=self._clock,
            rng=rng,
            has_advanced_opt_out=has_advanced_opt_out,
        )
        self._reporter = Reporter(
            self.record, self._teller, self.desk.journal.kept, clock=self._clock, rng=rng
        )
        self._wire: Wire | None = None

    async def open(
        self,
        take: Callable[[Exchange], None] | None = None,
        port: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> str:
        """Begin to serve on a loopback port, a free one unless given; gives the URL.

        ``take`` is asked in place of the desk when given; with ``tls`` calls are encrypted.
        """
        self._wire = Wire(take or self.desk.take)
        return await self._wire.open(port, tls)

    async def close(self) -> None:
        """Stop serving and close everything."""
        await self._reporter.close()
        await self._courier.close()
        if self._wire is not None:
            self._wire.close()
        self.record.close()

    async def obey(self, order: Order) -> float:  # noqa: C901, PLR0911 - one line per order
        """Do what was ordered; gives the number that it asks for. Raises as the deeds do."""
        match order:
            case Report(news):
                return await self._teller.report(news)
            case ReportTexts(events):
                return await self._teller.report_texts(events)
            case TextBack():
                return await self._teller.text_back(order)
            case MailBack():
                return await self._teller.mail_back(order)
            case DeliverTo(url, public_url):
                self._courier.receiver = Receiver(url, public_url)
            case Behave(plan):
                self._behave(plan)
            case TellTime(at):
                self._clock.told = at
            case CountWaiting():
                return self._reporter.waiting + self._courier.waiting
            case CountCalls():
                return self.desk.calls
            case MeasureWork():
                return time.thread_time()
        return 0

    def _behave(self, plan: FaultPlan) -> None:
        self.desk.plan = self._teller.plan = plan
        self.desk.journal.pause_seconds = min(plan.latency_seconds / 4, _LONGEST_PAUSE)
        self._reporter.follow(plan.reports_by_itself)
