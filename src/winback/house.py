"""The one place that builds what a running winback is made of.

``open_business`` gives settings, database and campaigns; ``open_day`` adds the providers, and in
mode sandbox the stand-ins and a receiver, for as long as the block lasts.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine, or_, select, update
from sqlalchemy.orm import Session

from winback.business import Business
from winback.campaign.loading import load_campaigns, load_facts
from winback.clock import (
    Clock,
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
from winback.errors import ConfigError
from winback.failpoints import committing
from winback.messages.shelf import load_shelf
from winback.providers.registry import open_senders
from winback.sandbox.stand_ins import Sandbox, stand_ins
from winback.settings import Settings, load_settings
from winback.states import Mode
from winback.web.app import make_app
from winback.web.receiver import receiving, server_config
from winback.web.serving import WebhookKeys


@contextmanager
def open_business(
    as_of: str | None = None,
    *,
    writes: bool,
    home: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[tuple[Business, datetime]]:
    """Open the business of a home folder, and give it with the instant to stand at.

    ``environ`` stands for the process's environment unless given. ``as_of`` is read by the rule
    of DESIGN.md, section 6. Raises ConfigError or FileMistakes for what people wrote, SchemaError
    for a database that does not fit.
    """
    environment = read_environment(os.environ if environ is None else environ, home)
    settings = load_settings(environment.home)
    now = _instant(as_of, settings, environment, writes=writes)
    campaigns = load_campaigns(environment.home)
    facts = load_facts(environment.home)
    shelf = load_shelf(environment.home, campaigns, facts)
    engine = open_database(environment.database_url, settings.mode, SystemClock().now())
    try:
        if as_of is not None and writes:
            _never_backwards(engine, now)
        yield Business(settings, environment, engine, campaigns, facts, shelf), now
    finally:
        engine.dispose()


@asynccontextmanager
async def open_day(
    as_of: str | None = None, *, by: str = "direct", home: Path | None = None
) -> AsyncIterator[Day]:
    """Open everything that one day's work needs.

    In mode sandbox the stand-ins and a receiver run on free loopback ports meanwhile, unless the
    providers' URLs are given, which win. Raises as ``open_business`` and ``make_senders``.
    """
    clock: Clock = SystemClock()
    async with AsyncExitStack() as stack:
        business, now = stack.enter_context(open_business(as_of, writes=True, home=home))
        if as_of is not None:
            clock = SetClock(now)
        deliver_news = None
        if business.settings.mode is Mode.SANDBOX and not business.environment.has_both_urls:
            sandboxed = stack.enter_context(open_sandbox(business, clock))
            business, deliver_news = sandboxed.business, sandboxed.deliver_news
        senders = await stack.enter_async_context(
            open_senders(business.settings, business.environment, clock=clock)
        )
        yield Day(business, now, SystemClock(), senders, deliver_news=deliver_news, by=by)


@dataclass(frozen=True, slots=True)
class Sandboxed:
    """A business whose providers are the stand-ins, with a receiver for what they report."""

    business: Business
    stand_ins: Sandbox
    receiver_url: str

    async def deliver_news(self) -> None:
        """Let the stand-ins report what became of messages that nobody acts on."""
        await asyncio.to_thread(self.stand_ins.flush)


@contextmanager
def open_sandbox(
    business: Business, clock: Clock, *, seed: int | None = None, applies_at_once: bool = True
) -> Iterator[Sandboxed]:
    """Run the stand-ins and a receiver on free loopback ports; URLs that were given win.

    With ``applies_at_once`` false, what the receiver stored waits for the respond stage.
    """
    given = business.environment
    with stand_ins(given.var / "sandbox.db", clock=clock, seed=seed) as stand:
        lent = stand.lend_to(given)
        if given.sendgrid_url is not None:
            key = given.sendgrid_api_key
            lent = replace(lent, sendgrid_url=given.sendgrid_url, sendgrid_api_key=key)
        if given.twilio_url is not None:
            lent = replace(
                lent,
                twilio_url=given.twilio_url,
                twilio_account_sid=given.twilio_account_sid,
                twilio_auth_tokens=given.twilio_auth_tokens,
            )
        within = replace(business, environment=lent)
        keys = _webhook_keys(lent)

        def app(_url: str) -> FastAPI:
            return make_app(within, webhook_keys=keys, clock=clock, applies_at_once=applies_at_once)

        with receiving(app) as receiver:
            stand.deliver_to(receiver.url, business.settings.base_url)
            yield Sandboxed(within, stand, receiver.url)


def serve_web(business: Business, *, host: str, port: int) -> None:
    """Serve webhooks and public pages in this thread, until a signal stops it.

    Raises ConfigError where a webhook would stand open in mode live.
    """
    app = make_app(business, webhook_keys=_webhook_keys(business.environment), clock=SystemClock())
    uvicorn.Server(server_config(app, host=host, port=port)).run()


async def prefect_answers() -> bool:
    """Say whether ``PREFECT_API_URL`` is set and a server answers there."""
    url = read_environment().prefect_api_url
    return url is not None and await asyncio.to_thread(answers, url)


def _webhook_keys(environment: Environment) -> WebhookKeys:
    return WebhookKeys(
        sendgrid_events=environment.sendgrid_webhook_keys,
        sendgrid_parse=environment.sendgrid_parse_keys,
        twilio_tokens=tuple(token.get_secret_value() for token in environment.twilio_auth_tokens),
    )


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
