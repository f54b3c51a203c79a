"""The one place that builds what a running winback is made of.

``open_business`` gives settings, database and campaigns; ``open_day`` adds the providers, and in
mode sandbox the stand-ins and a receiver, for as long as the block lasts. ``open_switch`` gives
the database alone, for a pause or a no that waits for no file. What listens is in
``listening.py``.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, or_, select, update
from sqlalchemy.orm import Session

from winback.business import Business
from winback.campaign.facts import Facts
from winback.campaign.loading import load_facts, read_campaigns
from winback.campaign.schema import Campaign
from winback.clock import (
    Clock,
    ForwardClock,
    SetClock,
    SystemClock,
    day_end,
    read_as_of,
    ten_in_the_morning,
)
from winback.dashboard import answers
from winback.database.engine import open_database
from winback.database.tables import Installation
from winback.day import Day
from winback.environment import Environment, read_environment
from winback.errors import ConfigError, FileMistakes, Mistake
from winback.failpoints import committing
from winback.messages.clean import CleanList
from winback.messages.shelf import load_shelf
from winback.providers.list_registry import open_lists
from winback.providers.lookup_registry import open_lookups
from winback.providers.registry import open_senders
from winback.sandbox.record import Record
from winback.settings import Settings, load_settings
from winback.states import Mode

if TYPE_CHECKING:
    from winback.listening import Sandboxed


@contextmanager
def open_business(
    as_of: str | None = None,
    *,
    writes: bool,
    home: Path | None = None,
    environ: Mapping[str, str] | None = None,
    needs_files: bool = True,
) -> Iterator[tuple[Business, datetime]]:
    """Open the business of a home folder, and give it with the instant to stand at.

    ``environ`` stands for the process's environment unless given. ``as_of`` is read by the rule
    of DESIGN.md, section 6. Without ``needs_files``, campaigns and facts are taken as far as
    their files can be: what a person does by hand does not wait until a mistake is put right.
    Raises ConfigError or FileMistakes for what people wrote, SchemaError for a database that does
    not fit.
    """
    environment = read_environment(os.environ if environ is None else environ, home)
    settings = load_settings(environment.home)
    now = _instant(as_of, settings, environment, writes=writes)
    campaigns, facts, mistakes = _edited(environment.home)
    if needs_files and mistakes:
        raise FileMistakes(mistakes)
    clean = CleanList(environment.var / "clean-templates")
    shelf = load_shelf(environment.home, campaigns, facts, clean=clean)
    sets_time = as_of is not None and writes
    with _database(environment, settings.mode, now, sets_time=sets_time) as engine:
        business = Business(
            settings, environment, engine, campaigns, facts, shelf, mistakes=tuple(mistakes)
        )
        yield business, now


@contextmanager
def open_switch(
    as_of: str | None = None,
    *,
    home: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[tuple[Engine, datetime]]:
    """Open the database alone, to pause or to take a no, and give it with the instant.

    No mistake in a file stops this, in the settings neither: the database is then taken as it is,
    in the present. Raises ConfigError where there are no settings at all, for that is no home
    folder, and FileMistakes only where ``as_of`` has to be read by them.
    """
    environment = read_environment(os.environ if environ is None else environ, home)
    mode: Mode | None = None
    now = SystemClock().now()
    try:
        settings = load_settings(environment.home)
        now, mode = _instant(as_of, settings, environment, writes=True), settings.mode
    except FileMistakes:
        if as_of is not None:
            raise
    with _database(environment, mode, now, sets_time=as_of is not None) as engine:
        yield engine, now


@asynccontextmanager
async def open_day(
    as_of: str | None = None, *, by: str = "direct", home: Path | None = None
) -> AsyncIterator[Day]:
    """Open everything that one day's work needs, in the present unless ``as_of`` is given.

    In mode sandbox the stand-ins and a receiver run on free loopback ports from the first message
    on, unless the providers' URLs are given, which win. Raises as ``open_business`` and
    ``make_senders``.
    """
    machine = SystemClock()
    async with AsyncExitStack() as stack:
        business, now = stack.enter_context(open_business(as_of, writes=True, home=home))
        settings, environment = business.settings, business.environment
        clock: Clock = machine if as_of is None else SetClock(now)
        lend = lent = deliver_news = None
        if settings.mode is Mode.SANDBOX and not environment.has_both_urls:
            stand_ins = _StandIns(business, clock, stack.enter_context(ExitStack()))
            lend, lent = stand_ins.lend, stand_ins.lent
            deliver_news = stand_ins.deliver_news
        senders = await stack.enter_async_context(
            open_senders(settings, environment, clock=clock, lend=lend)
        )
        lookups = await stack.enter_async_context(open_lookups(settings, environment, lend=lend))
        lists = await stack.enter_async_context(open_lists(environment, lent=lent))
        yield Day(
            business,
            now,
            machine,
            senders,
            lookups=lookups,
            lists=lists,
            deliver_news=deliver_news,
            by=by,
            goes_by=ForwardClock(machine, now) if as_of is None else None,
        )


class _StandIns:
    """The stand-ins of one day, started with the first message that is sent.

    A day on which nothing is due neither loads nor starts and stops two servers.
    """

    def __init__(self, business: Business, clock: Clock, stack: ExitStack) -> None:
        self._business = business
        self._clock = clock
        self._stack = stack
        self._started: Sandboxed | None = None

    def lend(self) -> Environment:
        """Give the environment in which the stand-ins are the providers, started by now."""
        return self._start().business.environment

    def lent(self) -> Environment | None:
        """Give that environment once they were started, None before."""
        return None if self._started is None else self._started.business.environment

    async def deliver_news(self) -> None:
        """Let them report what became of messages, also of those of a run that was killed."""
        if self._started is not None or self._has_untold():
            await self._start().deliver_news()

    def _start(self) -> "Sandboxed":
        if self._started is None:
            from winback.listening import open_sandbox  # noqa: PLC0415 - loaded when used

            self._started = self._stack.enter_context(open_sandbox(self._business, self._clock))
        return self._started

    def _has_untold(self) -> bool:
        with closing(Record(self._business.environment.var / "sandbox.db")) as record:
            return bool(record.untold_mails() or record.untold_texts())


async def prefect_answers() -> bool:
    """Say whether ``PREFECT_API_URL`` is set and a server answers there."""
    url = read_environment().prefect_api_url
    return url is not None and await asyncio.to_thread(answers, url)


@contextmanager
def _database(
    environment: Environment, mode: Mode | None, now: datetime, *, sets_time: bool
) -> Iterator[Engine]:
    engine = open_database(environment.database_url, mode, SystemClock().now())
    try:
        if sets_time:
            _never_backwards(engine, now)
        yield engine
    finally:
        engine.dispose()


def _edited(home: Path) -> tuple[tuple[Campaign, ...], Facts, list[Mistake]]:
    """Read campaigns and facts as far as their files can be taken, with all mistakes of both."""
    campaigns, mistakes = read_campaigns(home)
    try:
        return campaigns, load_facts(home), mistakes
    except FileMistakes as found:
        return campaigns, Facts(), mistakes + found.mistakes


def _instant(
    as_of: str | None, settings: Settings, environment: Environment, *, writes: bool
) -> datetime:
    if as_of is None:
        return SystemClock().now()
    if writes and settings.mode is not Mode.SANDBOX and not environment.is_loopback:
        raise ConfigError(
            f"--as-of is not for commands that write in mode {settings.mode}: "
            "real people cannot be written to in another time"
        )
    zone = settings.business.zone
    return read_as_of(as_of, zone, ten_in_the_morning if writes else day_end)


def _never_backwards(engine: Engine, now: datetime) -> None:
    with Session(engine) as session, committing(session.begin(), "start.as_of"):
        moved = session.scalar(
            update(Installation)
            .where(or_(Installation.latest_as_of.is_(None), Installation.latest_as_of <= now))
            .values(latest_as_of=now)
            .returning(Installation.id)
        )
        if moved is None:
            latest = session.scalars(select(Installation.latest_as_of)).one()
            raise ConfigError(
                f"--as-of {now:%Y-%m-%dT%H:%MZ} is earlier than {latest:%Y-%m-%dT%H:%MZ}, the last "
                "one used in this database; time does not run backwards"
            )
