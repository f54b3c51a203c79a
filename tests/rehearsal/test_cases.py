"""P9 case by case: caps, limits, hours, codes, reminders, consents, variants, pauses, workers.

Each case is rehearsed for some days, and then happens: exactly so.
"""

import asyncio
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

import pytest
from sqlalchemy import delete, event, update
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, HOME, Shop
from tests.delivery.virtual import LoopClock, VirtualLoop, run_virtually
from tests.rehearsal.played import Record, fingerprint, play, rehearsed
from winback.campaign.schema import Campaign, Step
from winback.clock import SetClock
from winback.database.tables import Enrollment, Message, StepPassage, Table, table_of
from winback.day import Day
from winback.delivery.leases import begin_worker
from winback.enrollment.pausing import OPERATOR, PauseScope, pause
from winback.messages.shelf import load_shelf
from winback.periods import Period
from winback.policies import CustomHours, DailyLimits, Hours, PaceSettings, QuietHours
from winback.rehearsal.copying import LEFT_OUT
from winback.rehearsal.results import Rehearsal
from winback.rehearsal.schedule import Moment, Schedule, moments
from winback.rehearsal.walking import rehearse
from winback.states import Channel, MessageState, Mode

CHRISTMAS: Final = datetime.fromisoformat("2026-12-21T10:00+00:00")
OFTEN: Final = Schedule(send_every=timedelta(hours=8))
DAYS: Final = 10


@dataclass(frozen=True, slots=True)
class Case:
    """How a shop stands, and what the rehearsal must have shown for the case to be one."""

    arrange: Callable[[Shop], None]
    shows: Callable[[Rehearsal], bool]
    days: int = DAYS
    schedule: Schedule = OFTEN


def waits_for(why: str) -> Callable[[Rehearsal], bool]:
    """Say whether something was postponed for a reason."""
    return lambda done: any(why in one.why for one in done.postponed)


def with_steps(shop: Shop, *steps: Step) -> Campaign:
    """Give the shipped campaign with these steps, and let the shop have it."""
    campaign = shop.campaign.model_copy(update={"steps": tuple(steps)})
    shop.business = replace(shop.business, campaigns=(campaign,))
    return campaign


def text(name: str, wait_days: int) -> Step:
    """Give a step that is a text."""
    wait = Period(days=wait_days)
    return Step(step=name, wait=wait, channel=Channel.SMS, template="check-in")


def caps_are_reached(shop: Shop) -> None:
    """Four texts on four days, where two a week may go."""
    campaign = with_steps(shop, *(text(f"text-{number}", 1) for number in range(4)))
    for _ in range(3):
        shop.enroll(campaign=campaign)


def an_address_is_shared(shop: Shop) -> None:
    """Two customers with one address: the older enrollment goes on, the younger is passed."""
    for _ in range(2):
        shop.enroll(emails=["both@example.com"])


def the_daily_limit_is_reached(shop: Shop) -> None:
    """Ten mails, where three a day may leave."""
    policies = shop.business.settings.policies
    limits = policies.model_copy(update={"daily_limits": DailyLimits(email=3, sms=500)})
    shop.change(policies=limits)
    for number in range(10):
        shop.enroll(lapsed_on=date(2025, 8, 1) + timedelta(days=number % 3))


def _with_hours(shop: Shop, hours: QuietHours) -> None:
    policies = shop.business.settings.policies.model_copy(update={"quiet_hours": hours})
    shop.change(policies=policies)


def _two_on_each_coast(shop: Shop) -> None:
    for number, zone in enumerate(("America/Los_Angeles", "Europe/London") * 2):
        where = {"country": "US" if "America" in zone else "GB", "time_zone": zone}
        due_on = shop.now.date() + timedelta(days=number)
        shop.enroll(customer=where, next_step="check-in", due_on=due_on)


def hours_are_strict(shop: Shop) -> None:
    """Texts on two coasts, sent three times a day, at strict hours."""
    _with_hours(shop, QuietHours(sms="strict"))
    _two_on_each_coast(shop)


def hours_are_closed_for_days(shop: Shop) -> None:
    """Texts on two days of the week only, before Christmas, none on holidays; mails in the week."""
    shop.now = CHRISTMAS
    open_ = Hours(time(10), time(16))
    texts = CustomHours(mon=open_, fri=open_, holidays=False)
    _with_hours(shop, QuietHours(sms=texts, email=CustomHours(tue=open_, wed=open_)))
    _two_on_each_coast(shop)


def only_the_day_sends(shop: Shop) -> None:
    """With one run a day at ten in London, a text across the ocean waits until it is stale."""
    _two_on_each_coast(shop)


def codes_run_out(shop: Shop) -> None:
    """Twenty codes for twenty-two customers."""
    for _ in range(22):
        shop.enroll(next_step="voucher")


def codes_are_not_exported(shop: Shop) -> None:
    """In live the shop must know a code first."""
    shop.change(mode=Mode.LIVE)
    shop.enroll(next_step="voucher")
    shop.enroll()


def reminders_come_before_the_expiry(shop: Shop) -> None:
    """Give vouchers, which are reminded of four days before they expire."""
    for number in range(3):
        shop.enroll(next_step="voucher", due_on=shop.now.date() + timedelta(days=number))


def consents_differ(shop: Shop) -> None:
    """Enroll some with one consent only, some with one address only."""
    for consents in ((Channel.EMAIL,), (Channel.SMS,), (Channel.EMAIL, Channel.SMS)):
        shop.enroll(consents=consents)
        shop.enroll(consents=consents, next_step="check-in")
    shop.enroll(phones=[], next_step="check-in")
    shop.enroll(emails=[], next_step="check-in")


def templates_have_variants(shop: Shop) -> None:
    """Two variants of the first mail, split by a stable hash."""
    home = shop.business.environment.home
    shutil.copytree(HOME / "templates", home / "templates")
    first = home / "templates" / "six-month" / "concern.mjml"
    second = first.read_text(encoding="utf-8").replace("subject: ", "subject: Still there? ", 1)
    (first.parent / "concern.b.mjml").write_text(second, encoding="utf-8")
    business = shop.business
    shelf = load_shelf(home, business.campaigns, business.facts)
    shop.business = replace(business, shelf=shelf)
    for _ in range(12):
        shop.enroll()


def associates_call(shop: Shop) -> None:
    """Enroll some whose next step is a call, which opens a case."""
    for _ in range(2):
        shop.enroll(next_step="call", value="high")


def a_channel_stands_still(shop: Shop) -> None:
    """Texts are paused by the operator, mails go on."""
    with Session(shop.engine) as session, session.begin():
        pause(session, PauseScope.CHANNEL, "sms", by=OPERATOR, why="moving house", now=shop.now)
    shop.enroll()
    shop.enroll(next_step="check-in")


def mails_have_bounced(shop: Shop) -> None:
    """Let ten of forty mails bounce, which brakes the campaign; their next steps are far off."""
    for _ in range(40):
        shop.enroll()
    shop.send()
    bounced = [one.id for one in shop.messages()][:10]
    with Session(shop.engine) as session, session.begin():
        session.execute(
            update(Message).where(Message.id.in_(bounced)).values(state=MessageState.BOUNCED)
        )
    shop.now += timedelta(hours=26)
    for _ in range(2):
        shop.enroll(due_on=shop.now.date() + timedelta(days=1))


def segments_are_few(shop: Shop) -> None:
    """Six texts of two segments or more, where five segments may leave in a day."""
    shop.limit(daily_limits=DailyLimits(sms_segments=5))
    for number in range(6):
        shop.enroll(next_step="check-in", customer={"given_name": "Ann" * (1 + 30 * (number % 2))})


def texts_have_a_pace(shop: Shop) -> None:
    """Fifteen texts of three segments, an hour before their hours end, at one in 100 seconds."""
    shop.limit(pace=PaceSettings(sms=0.01))
    for _ in range(15):
        shop.enroll(next_step="check-in", customer={"given_name": "Łucja"})
    # Somebody whose hours are over anyway is not kept by the pace.
    shop.enroll(next_step="check-in", customer={"time_zone": "Asia/Kolkata", "country": "IN"})


def _spreads_over_days(done: Rehearsal) -> bool:
    first = sum(one.day == done.days[0] for one in done.sendings)
    return 10 < first < 15 and done.put_off == {Channel.SMS: 15 - first}


def mails_warm_up(shop: Shop) -> None:
    """Seventy lapsed on two days: fifty mails on the first day, the newest first."""
    shop.change(mode=Mode.LIVE)
    shop.limit(daily_limits=DailyLimits(email=60, sms=500))
    shop.lapse(45, on=date(2025, 7, 30), spent=900)
    shop.lapse(25)


def _enters_slowly(done: Rehearsal) -> bool:
    by_day = [sum(one.day == day for one in done.entries) for day in done.days]
    newest = {one.customer_id for one in done.entries if one.day == done.days[0]}
    return by_day == [50, 20] and set(range(46, 71)) <= newest


def a_worker_is_in_the_middle(shop: Shop) -> None:
    """Let one message be in the hands of a living worker, and one in those of a dead one."""
    for _ in range(2):
        shop.enroll()
    shop.send()
    first, second = (one.id for one in shop.messages())
    with Session(shop.engine) as session, session.begin():
        alive = begin_worker(session, shop.now)
        claimed = {"state": MessageState.SENDING, "accepted_at": None}
        session.execute(delete(StepPassage))
        session.execute(update(Enrollment).values(next_step="concern", due_on=shop.now.date()))
        session.execute(
            update(Message).where(Message.id == first).values(claimed | {"worker_id": alive})
        )
        session.execute(
            update(Message).where(Message.id == second).values(claimed | {"worker_id": alive + 1})
        )


CASES: Final = {
    "caps": Case(caps_are_reached, waits_for("the cap of sms is reached")),
    "shared address": Case(
        an_address_is_shared, lambda done: any("another open" in one.why for one in done.passed)
    ),
    "daily limit": Case(the_daily_limit_is_reached, waits_for("the daily limit of email")),
    "strict hours": Case(hours_are_strict, waits_for("outside the decent hours")),
    "closed days": Case(
        hours_are_closed_for_days,
        waits_for("outside the decent hours"),
        schedule=Schedule(send_every=timedelta(hours=6)),
    ),
    "one run a day": Case(
        only_the_day_sends,
        lambda done: any(one.what == "stale" and "decent" in one.why for one in done.passed),
        schedule=Schedule(),
    ),
    "codes run out": Case(
        codes_run_out,
        lambda done: any("run out" in one.why and one.count == 2 for one in done.passed),
    ),
    "codes not exported": Case(codes_are_not_exported, waits_for("not exported")),
    "reminders": Case(
        reminders_come_before_the_expiry,
        lambda done: any(one.step == "reminder" for one in done.sendings),
        days=22,
    ),
    "consents": Case(consents_differ, lambda done: len(done.sendings) > 8),
    "variants": Case(
        templates_have_variants, lambda done: {one.variant for one in done.sendings} >= {"a", "b"}
    ),
    "calls": Case(associates_call, lambda done: done.count(Channel.CALL) == 2),
    "brake": Case(mails_have_bounced, lambda done: not done.sendings, days=3),
    "segments": Case(segments_are_few, waits_for("budget of text segments"), days=5),
    "pace": Case(texts_have_a_pace, _spreads_over_days, days=2, schedule=Schedule(day_at=time(19))),
    "warm-up": Case(mails_warm_up, _enters_slowly, days=2),
    "pause": Case(a_channel_stands_still, lambda done: done.count(Channel.SMS) == 0),
}


def rehearse_shop(shop: Shop, days: int, schedule: Schedule) -> Rehearsal:
    """Rehearse a shop from its present instant on."""
    clock = SetClock(shop.now)
    return asyncio.run(
        rehearse(shop.business, now=shop.now, days=days, schedule=schedule, clock=clock)
    )


def happen(shop: Shop, played: list[Moment]) -> None:
    """Let the days happen, with providers that take everything; waiting takes virtual time."""
    senders = {one.channel: one for one in (shop.mail, shop.texts)}
    loop = VirtualLoop()

    def day_at(at: datetime) -> Day:
        rng = Random(str(at))  # noqa: S311 - the test replays
        clock = LoopClock(at - timedelta(seconds=loop.time()), loop)
        return Day(shop.business, at, clock, senders, rng=rng, goes_by=clock)

    run_virtually(loop, play(played, day_at))


def _on_databases() -> list[Any]:
    """Give every case on each database; what is not on its turn there is left to the soak."""
    return [
        pytest.param(
            database,
            name,
            marks=() if number % 2 == turn else pytest.mark.soak,
            id=f"{database}-{name}",
        )
        for number, name in enumerate(CASES)
        for turn, database in enumerate(("sqlite", "postgresql"))
    ]


@pytest.mark.parametrize(("database_url", "name"), _on_databases(), indirect=["database_url"])
def test_what_is_rehearsed_happens(shop: Shop, name: str) -> None:
    """P9: rehearsed and real are the same set, exactly, and nothing was written."""
    case = CASES[name]
    case.arrange(shop)
    before, record = fingerprint(shop.engine), Record(shop.business)

    done = rehearse_shop(shop, case.days, case.schedule)

    assert fingerprint(shop.engine) == before
    assert case.shows(done)
    zone = shop.business.zone
    happen(shop, list(moments(case.schedule, now=shop.now, days=case.days, zone=zone)))
    assert rehearsed(done) == record.since()
    entries = sorted((one.day, one.customer_id, one.campaign, one.arm) for one in done.entries)
    assert entries == record.entered()


def test_what_is_being_called_counts_as_accepted(shop: Shop) -> None:
    """A rehearsal beside a worker goes on from where the worker will be in a second."""
    a_worker_is_in_the_middle(shop)

    done = rehearse_shop(shop, 8, OFTEN)

    # The living one's second step comes five days on; the dead one's claim is in doubt for a day.
    first, second = (one.customer_id for one in shop.messages())
    by_day = {one.customer_id: one.day for one in done.sendings if one.step == "check-in"}
    assert by_day[first] == shop.now.date() + timedelta(days=5)
    assert by_day[second] == shop.now.date() + timedelta(days=6)
    assert not [one for one in done.sendings if one.step == "concern"]


def test_every_table_is_copied_or_left_out_with_a_reason(shop: Shop) -> None:
    """A new table has to be thought of, or what is rehearsed is not what happens."""
    shop.enroll()
    read: set[str] = set()

    @event.listens_for(shop.engine, "before_cursor_execute")
    def _note(*told: Any) -> None:
        read.update(re.findall(r"(?:FROM|JOIN) (\w+)", told[2]))

    rehearse_shop(shop, 1, Schedule())

    left_out = {table_of(mapped).name for mapped in LEFT_OUT}
    tables = set(Table.metadata.tables)
    assert tables - read - left_out == set()
    # Workers are asked who lives; nothing else that is left out is even read.
    assert left_out & read == {"workers"}


def test_a_rehearsal_leaves_no_copy_behind(shop: Shop) -> None:
    """The copy holds people; it is gone with the rehearsal, and one left by a kill soon after."""
    var = shop.business.environment.var
    left = var / "rehearsal-left"
    left.mkdir(parents=True)
    shop.enroll()

    asyncio.run(
        rehearse(
            shop.business,
            now=shop.now,
            days=1,
            schedule=Schedule(),
            clock=SetClock(datetime.fromtimestamp(left.stat().st_mtime).astimezone() + 2 * DAY),
        )
    )

    assert list(var.iterdir()) == []


def test_what_the_rehearsal_tells_of_is_what_would_be_billed(shop: Shop) -> None:
    """Cost and segments are those of the very words that would leave."""
    shop.enroll(next_step="check-in", customer={"given_name": "Zoë" * 40})

    done = rehearse_shop(shop, 1, OFTEN)
    happen(shop, list(moments(OFTEN, now=shop.now, days=1, zone=shop.business.zone)))

    [sent] = shop.messages()
    [told] = done.sendings
    assert (told.segments, told.cost) == (sent.segments, sent.cost)
    assert done.cost == sent.cost > 0


def test_a_rehearsal_of_the_past_knows_no_later_purchase(shop: Shop) -> None:
    """With ``--as-of`` in the past the line of a high value is drawn by what was known then.

    Who lapses in the second week is high among five buyers; a purchase of 500 two days after the
    instant would draw the line above them.
    """
    campaign = with_steps(
        shop, shop.campaign.steps[0].model_copy(update={"only_if": 'value == "high"'})
    )
    shop.business = replace(
        shop.business, campaigns=(campaign.model_copy(update={"holdout": Decimal(0)}),)
    )
    [high] = shop.lapse(1, on=date(2025, 9, 10), spent=100)
    shop.lapse(4, on=date(2025, 12, 1), spent=10)
    shop.lapse(1, on=shop.now.date() + 2 * DAY, spent=500)

    done = rehearse_shop(shop, 10, Schedule())

    assert [one.customer_id for one in done.sendings] == [high]
