"""Refusals in a row: what all messages meet alike stops, before it burns the steps of a day."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import count, cycle
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from tests.delivery.shop import Shop, make_business
from tests.delivery.test_closing import MINUTE
from tests.delivery.test_hours import two_campaigns
from winback.database.tables import ChannelPause, Pause
from winback.delivery.refusing import REFUSED_IN_A_ROW
from winback.enrollment.pausing import PauseScope, resume
from winback.policies import Policies
from winback.providers.outgoing import Accepted, Outgoing, Refused, Result, Scope
from winback.states import Channel, MessageState

S = MessageState
E = Channel.EMAIL


@pytest.fixture
def shop(engine: Engine) -> Shop:
    """Give a shop that makes one call after the other."""
    return Shop(make_business(engine, policies=Policies(in_flight=1)))


def refusing(code: str = "400", scope: Scope = "message") -> Callable[[Outgoing], Result]:
    """Refuse everything."""
    return lambda _: Refused(code, "no", scope)


def accepting(message: Outgoing) -> Result:
    """Accept everything."""
    return Accepted(message.send_id)


def enroll(shop: Shop, number: int, *steps: str, **fields: Any) -> list[int]:
    """Enroll people who are due, at these steps in turn; mails only."""
    turns: Iterator[str] = cycle(steps or ("concern",))
    return [shop.enroll(phones=[], next_step=next(turns), **fields) for _ in range(number)]


def failed(shop: Shop) -> int:
    """Count the messages whose step is over for nothing."""
    return [message.state for message in shop.messages()].count(S.FAILED)


def paused(shop: Shop) -> list[tuple[str, str, str]]:
    """Give scope, name and author of what stands still."""
    with Session(shop.engine) as session:
        standing = select(Pause.scope, Pause.name, Pause.by).where(Pause.resumed_at.is_(None))
        return [tuple(row) for row in session.execute(standing)]


def closed(shop: Shop) -> list[tuple[Channel, str, int]]:
    """Give the closed channels, why, and how often in a row."""
    with Session(shop.engine) as session:
        rows = select(ChannelPause.channel, ChannelPause.why, ChannelPause.strikes)
        return [tuple(row) for row in session.execute(rows)]


def test_refusals_of_one_step_stop_its_campaign_and_no_other(shop: Shop, tmp_path: Path) -> None:
    """It may be the template: that campaign waits for an operator, other mails go on (TW-17)."""
    broken, other = two_campaigns(shop, tmp_path)
    enroll(shop, 30, "farewell", campaign=broken)
    others = enroll(shop, 3, "farewell", campaign=other)
    shop.mail.answer = lambda message: (
        accepting(message) if len(shop.mail.sent) > REFUSED_IN_A_ROW else refusing()(message)
    )

    counts = shop.send(E)

    assert (counts.failed, counts.accepted) == (REFUSED_IN_A_ROW, 3)
    assert paused(shop) == [("campaign", "dear", "brake")]
    assert closed(shop) == []
    assert all(shop.messages(one)[0].state is S.ACCEPTED for one in others)
    with Session(shop.engine) as session, session.begin():
        (why,) = session.scalars(select(Pause.why))
        assert why == "farewell by email: 10 refusals in a row: 400 no"
        zone = shop.business.zone
        resume(session, PauseScope.CAMPAIGN, "dear", now=shop.now, zone=zone)
    assert shop.send(E).accepted == 20, "what was not called yet is not lost"


def test_one_more_after_a_resume_stops_it_again(shop: Shop) -> None:
    """Who lets it go on too early loses one step, not ten."""
    enroll(shop, 30)
    shop.mail.answer = refusing()
    shop.send(E)
    with Session(shop.engine) as session, session.begin():
        name, zone = shop.campaign.campaign, shop.business.zone
        resume(session, PauseScope.CAMPAIGN, name, now=shop.now, zone=zone)

    shop.send(E)

    assert failed(shop) == REFUSED_IN_A_ROW + 1
    assert len(paused(shop)) == 1


def test_refusals_of_several_steps_close_the_channel(shop: Shop) -> None:
    """A wrong setting is met by all: the channel closes, and one message tries it (SG-14)."""
    enroll(shop, 40, "concern", "farewell")
    shop.mail.answer = refusing()

    assert shop.send(E).failed == REFUSED_IN_A_ROW
    assert closed(shop) == [(E, "10 refusals in a row: 400 no", 1)]
    assert paused(shop) == []

    shop.now += 61 * MINUTE
    assert shop.send(E).failed == 1, "one message tries it"
    assert [strikes for _, _, strikes in closed(shop)] == [2]

    # What was claimed behind the one that tried it went back for up to an hour and a half.
    shop.now += 91 * MINUTE
    shop.mail.answer = accepting
    assert shop.send(E).accepted == 40 - REFUSED_IN_A_ROW - 1
    assert closed(shop) == []


@pytest.mark.parametrize("steps", [("concern",), ("concern", "farewell")])
def test_a_row_goes_on_in_the_next_run(shop: Shop, steps: tuple[str, ...]) -> None:
    """Ten runs that burn one step each are as bad as one that burns ten."""
    shop.mail.answer = refusing()
    for number in range(REFUSED_IN_A_ROW):
        assert not paused(shop) + closed(shop)
        enroll(shop, 1, steps[number % len(steps)])
        shop.now += MINUTE
        shop.send(E)

    assert len(paused(shop) + closed(shop)) == 1
    assert failed(shop) == REFUSED_IN_A_ROW


def test_what_is_accepted_in_between_ends_a_row(shop: Shop) -> None:
    """Single messages that are refused among others are their own fault, in one run or many."""
    enroll(shop, 40)
    shop.mail.answer = lambda message: (
        accepting(message) if len(shop.mail.sent) % 9 == 0 else refusing()(message)
    )

    assert shop.send(E).failed == 36
    enroll(shop, 4)
    shop.mail.sent.clear()
    assert shop.send(E).failed == 4
    assert paused(shop) + closed(shop) == []


@pytest.mark.parametrize("scope", ["address_invalid", "recipient_opted_out"])
def test_refusals_of_persons_stop_nothing(shop: Shop, scope: Scope) -> None:
    """Thirty dead addresses in a row are a bad list, not a bad setting (TW-17)."""
    enroll(shop, 30, "concern", "farewell")
    shop.mail.answer = refusing(scope=scope)

    assert shop.send(E).failed == 30
    assert paused(shop) + closed(shop) == []


@pytest.mark.parametrize("scope", ["address_invalid", "recipient_opted_out"])
@pytest.mark.parametrize("steps", [("concern",), ("concern", "farewell")])
def test_refusals_of_persons_end_no_row(shop: Shop, scope: Scope, steps: tuple[str, ...]) -> None:
    """A wrong setting with a dead address here and there among it is a wrong setting (TW-17).

    Whatever its code and words: SendGrid says 400 for both, and names another field (SG-13).
    """
    enroll(shop, 40, *steps)
    turns = cycle(range(4))
    whole, of_one = Refused("400", "no", "message"), Refused("400", "no such mailbox", scope)
    shop.mail.answer = lambda _: of_one if next(turns) == 3 else whole

    shop.send(E)

    assert len(paused(shop) + closed(shop)) == 1
    of_persons = REFUSED_IN_A_ROW // 3
    assert failed(shop) == REFUSED_IN_A_ROW + of_persons


def test_what_is_still_on_its_way_ends_a_row_for_now(engine: Engine) -> None:
    """A refusal comes back sooner than an acceptance: one in sixteen is no row, however soon."""
    shop = Shop(make_business(engine, policies=Policies(in_flight=160)))
    enroll(shop, 200)
    turns = iter(range(200))
    is_bad: defaultdict[str, bool] = defaultdict(lambda: next(turns) % 16 == 0)
    shop.mail.takes = lambda message: 0.05 if is_bad[message.send_id] else 1.0
    shop.mail.answer = lambda message: (
        refusing()(message) if is_bad[message.send_id] else accepting(message)
    )

    counts = shop.send_in_time()

    assert (counts.failed, counts.accepted) == (13, 187)
    assert paused(shop) + closed(shop) == []


@pytest.mark.parametrize(("in_flight", "spread"), [(220, 0.0), (32, 2.0)])
def test_a_row_is_found_behind_what_is_on_its_way(
    engine: Engine, in_flight: int, spread: float
) -> None:
    """Many calls at once, slow and in any order: it costs what is on its way, and little more."""
    shop = Shop(make_business(engine, policies=Policies(in_flight=in_flight)))
    enroll(shop, 2 * in_flight + 40)
    shop.mail.takes = lambda _: 1.0 + spread * shop.rng.random()
    shop.mail.answer = refusing()

    shop.send_in_time()

    assert len(paused(shop)) == 1
    assert failed(shop) <= in_flight + 3 * REFUSED_IN_A_ROW


def test_one_call_that_hangs_hides_no_row(engine: Engine) -> None:
    """What was claimed after it is refused ten times in a row, whatever becomes of it."""
    shop = Shop(make_business(engine, policies=Policies(in_flight=4)))
    enroll(shop, 60)
    turns = count()
    shop.mail.takes = lambda _: 300.0 if next(turns) == 0 else 1.0
    shop.mail.answer = refusing()

    shop.send_in_time()

    assert len(paused(shop)) == 1
    assert failed(shop) <= REFUSED_IN_A_ROW + 4


def test_refusals_with_several_codes_are_no_row(shop: Shop) -> None:
    """Only what is refused alike has something in common."""
    enroll(shop, 20)
    codes = cycle(("400", "413"))
    shop.mail.answer = lambda _: Refused(next(codes), "no", "message")

    assert shop.send(E).failed == 20
    assert paused(shop) + closed(shop) == []


def test_what_our_own_templates_refuse_never_closes_a_channel(shop: Shop) -> None:
    """A template that cannot be rendered stops its campaign, whatever the steps (TW-17)."""
    enroll(shop, 40, "concern", "farewell")
    shop.mail.answer = refusing("template")

    shop.send(E)

    assert closed(shop) == []
    assert paused(shop) == [("campaign", shop.campaign.campaign, "brake")]
