"""What a running winback is made of: the instant it stands at, and who its providers are."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.shop import make_shop
from winback import day
from winback.clock import SetClock, SystemClock
from winback.database.tables import Message
from winback.errors import ConfigError
from winback.house import open_business, open_day
from winback.listening import open_sandbox
from winback.states import MessageState

TODAY = date(2026, 7, 1)
"""In summer: London is an hour ahead of UTC."""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Give a home folder with three lapsed customers."""
    return make_shop(tmp_path / "shop", customers=3, lapsed_on=TODAY)


def stood(home: Path, as_of: str, *, writes: bool, **environ: str) -> datetime:
    """Give the instant at which a command stands."""
    with open_business(as_of, writes=writes, home=home, environ=environ) as (_, now):
        return now


def go_live(home: Path) -> None:
    """Set the mode of a home folder to live."""
    path = home / "config" / "winback.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("mode: sandbox", "mode: live"), encoding="utf-8")


@pytest.mark.parametrize(
    ("as_of", "writes", "instant"),
    [
        ("2026-07-01", False, datetime(2026, 7, 1, 22, 59, 59, 999999, tzinfo=UTC)),
        ("2026-07-01", True, datetime(2026, 7, 1, 9, tzinfo=UTC)),
        ("2026-07-01T12:00", True, datetime(2026, 7, 1, 11, tzinfo=UTC)),
        ("2026-07-01T12:00+05:00", False, datetime(2026, 7, 1, 7, tzinfo=UTC)),
    ],
)
def test_as_of_is_read_in_the_business_zone(
    shop: Path, as_of: str, instant: datetime, *, writes: bool
) -> None:
    """A bare date is the day's end to who reads, 10:00 to who writes; an offset wins."""
    assert stood(shop, as_of, writes=writes) == instant


def test_time_never_runs_backwards_for_who_writes(shop: Path) -> None:
    """The last instant used is kept; who only reads may look at any day."""
    stood(shop, "2026-07-01", writes=True)
    stood(shop, "2026-07-01", writes=True)

    with pytest.raises(ConfigError, match="does not run backwards"):
        stood(shop, "2026-06-30", writes=True)
    assert stood(shop, "2026-06-30", writes=False) < stood(shop, "2026-07-02", writes=True)


def test_live_takes_another_time_only_on_loopback(shop: Path) -> None:
    """Real people cannot be written to in another time; stand-ins can, reading always may."""
    go_live(shop)

    with pytest.raises(ConfigError, match="real people"):
        stood(shop, "2026-07-01", writes=True)
    assert stood(shop, "2026-07-01", writes=False)
    local = {
        "WINBACK_SENDGRID_URL": "http://127.0.0.1:9",
        "WINBACK_TWILIO_URL": "http://localhost:9",
    }
    assert stood(shop, "2026-07-01", writes=True, **local)


def test_a_given_provider_wins_over_its_stand_in(shop: Path) -> None:
    """One URL given, one not: the first is used with its own key, the other is lent."""
    given = "http://127.0.0.1:9"
    with open_business("2026-07-01", writes=True, home=shop, environ={}) as (business, now):
        mine = replace(business.environment, sendgrid_url=given)
        with open_sandbox(replace(business, environment=mine), SetClock(now)) as sandboxed:
            environment = sandboxed.business.environment

    assert (environment.sendgrid_url, environment.sendgrid_api_key) == (given, None)
    assert environment.twilio_url is not None
    assert environment.twilio_url.startswith("http://127.0.0.1:")
    assert environment.twilio_account_sid
    assert environment.twilio_auth_tokens


def test_the_stand_ins_of_the_demo_are_a_process_of_their_own(shop: Path) -> None:
    """They know the receiver, and stand at our instant: what they sign at another is refused."""
    with (
        open_business("2026-07-01", writes=True, home=shop, environ={}) as (business, now),
        open_sandbox(business, SetClock(now), seed=1, is_apart=True) as sandboxed,
    ):
        stand = sandboxed.stand_ins
        write_back = partial(
            stand.mail_back,
            to="reply@example.com",
            from_address="mary@example.com",
            subject="Re: hello",
            text="hello",
        )
        is_heard = write_back()
        stand.tell_time(now - timedelta(days=9))
        is_heard_late = write_back()

    assert (is_heard, is_heard_late) == (True, False)
    assert (shop / "var" / "sandbox.db").exists()


async def test_a_day_in_the_sandbox_sends_and_hears(shop: Path) -> None:
    """The stand-ins take what is sent, and their news arrives through the receiver."""
    async with open_day("2026-07-01", home=shop) as today:
        await day.pull(today)
        enrolled = await day.detect(today)
        sent = await day.send(today)
        await day.respond(today)
        with Session(today.business.engine) as session:
            states = session.scalars(select(Message.state)).all()

    assert sent["accepted"] == enrolled["enrolled"] - enrolled["held_out"]
    assert states == [MessageState.DELIVERED] * sent["accepted"]


async def test_only_a_day_without_an_instant_goes_with_the_time(shop: Path) -> None:
    """What ``--as-of`` says holds for all stages, so that it gives the same again."""
    async with open_day(home=shop) as today:
        before = SystemClock().now()
        assert today.is_present
        assert today.opened_at <= before <= today.now()
    async with open_day("2026-07-01", home=shop) as stands:
        assert not stands.is_present
        assert stands.now() == stands.opened_at == datetime(2026, 7, 1, 9, tzinfo=UTC)


def test_a_day_on_which_nothing_is_sent_starts_no_server(shop: Path) -> None:
    """A run in the sandbox that has nothing to say loads neither stand-ins nor a web part."""
    script = (
        "import asyncio, sys; from pathlib import Path\n"
        "from winback import day; from winback.house import open_day\n"
        "async def work():\n"
        "    async with open_day('2026-07-01', home=Path(sys.argv[1])) as today:\n"
        "        return await day.send(today)\n"
        "assert asyncio.run(work())['accepted'] == 0\n"
        "print({'aiohttp', 'fastapi', 'uvicorn', 'twilio', 'sendgrid'} & sys.modules.keys())"
    )

    printed = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", script, str(shop)], capture_output=True, text=True, check=True
    )

    assert printed.stdout.strip() == "set()"


async def test_news_of_a_run_that_was_killed_is_heard_by_the_next(shop: Path) -> None:
    """What a stand-in accepted and had no time to report is reported, though nothing is sent."""
    async with open_day("2026-07-01", home=shop) as killed:
        await day.pull(killed)
        await day.detect(killed)
        sent = await day.send(replace(killed, deliver_news=None))
    async with open_day("2026-07-01", home=shop) as after:
        await day.send(after)
        await day.respond(after)
        with Session(after.business.engine) as session:
            states = session.scalars(select(Message.state)).all()

    assert sent["accepted"]
    assert states == [MessageState.DELIVERED] * sent["accepted"]
