"""A brand's daily budget of text segments: exact, and what is over it leaves on the next day."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, Shop
from winback.campaign.schema import Step
from winback.database.tables import ChannelDay, Link, Voucher
from winback.delivery.budget import SPENT
from winback.delivery.counts import SendCounts
from winback.periods import Period
from winback.policies import DailyLimits
from winback.providers.outgoing import Busy
from winback.states import Channel, MessageState, VoucherState

E, T = Channel.EMAIL, Channel.SMS
TWO = {"given_name": "Bartholomew-Ann"}
"""A name with which the shipped text has two segments."""
THREE = {"given_name": "Łucja"}
"""A letter that a text pays for with UCS-2: three segments."""


def budget(shop: Shop, segments: int | None) -> None:
    """Let so many segments leave in a day."""
    shop.limit(daily_limits=DailyLimits(sms_segments=segments))


def counted(shop: Shop) -> dict[date, int]:
    """Give the segments that were counted, by day."""
    with Session(shop.engine) as session:
        rows = session.execute(select(ChannelDay.day, ChannelDay.segments))
        return {day: segments for day, segments in rows if segments}


def test_what_is_over_the_budget_leaves_on_the_next_day(shop: Shop) -> None:
    """FACTS.md TW-19b: when it is spent, sends move to the next day, not to failure."""
    budget(shop, 5)
    for _ in range(3):
        shop.enroll(next_step="check-in", customer=TWO)
    shop.enroll()
    today = shop.now.date()

    counts = shop.send()
    left = [one for one in shop.messages() if one.state is MessageState.QUEUED]
    shop.send()
    shop.now += DAY
    next_day = shop.send()

    # Two texts of two segments, and the mail, which has none; a fifth segment stays unused.
    assert (counts.accepted, counts.postponed, counts.failed) == (3, 1, 0)
    assert [(one.channel, one.reason) for one in left] == [(T, SPENT)]
    assert (next_day.accepted, len(shop.texts.sent)) == (1, 3)
    assert counted(shop) == {today: 4, today + DAY: 2}


def test_a_smaller_text_may_still_fit(shop: Shop) -> None:
    """Segments are those of the very words, not of the template."""
    budget(shop, 4)
    shop.enroll(next_step="check-in", customer=TWO)
    shop.enroll(next_step="check-in", customer=THREE)
    shop.enroll(next_step="check-in", customer=TWO)

    shop.send()

    assert [one.segments for one in shop.messages()] == [2, None, 2]


def test_once_it_is_spent_the_gate_holds_every_text(shop: Shop) -> None:
    """Who comes later in the day waits for the same reason, and it is told once."""
    budget(shop, 2)
    shop.enroll(next_step="check-in", customer=TWO)
    shop.send()
    late = shop.enroll(next_step="check-in", customer=TWO)

    counts = shop.send()
    shop.send()

    assert (counts.accepted, counts.postponed) == (0, 1)
    told = [why for what, why in shop.decisions(late) if what == "postponed"]
    assert told == [f"check-in: {SPENT}"]


def test_without_a_budget_nothing_is_counted(shop: Shop) -> None:
    """Who sets none pays nothing: no text is rendered in the claim."""
    shop.enroll(next_step="check-in", customer=TWO)

    shop.send()

    assert shop.messages()[0].segments == 2
    assert counted(shop) == {}


def test_what_goes_back_unsent_goes_back_to_the_budget(shop: Shop) -> None:
    """A busy provider uses up no segment."""
    budget(shop, 10)
    shop.texts.answer = lambda _: Busy(90)
    shop.enroll(next_step="check-in", customer=TWO)

    shop.send()

    assert counted(shop) == {}


def test_a_text_over_the_budget_burns_no_code(shop: Shop) -> None:
    """P6: its own code stays reserved, without an expiry, and no link is made for it."""
    coupon = Step(
        step="coupon", wait=Period(), channel=T, template="reminder", offer="welcome-back"
    )
    campaign = shop.campaign.model_copy(update={"steps": (coupon,)})
    shop.business = replace(shop.business, campaigns=(campaign,))
    budget(shop, 1)
    shop.enroll(campaign=campaign)

    counts = shop.send()

    with Session(shop.engine) as session:
        held = select(Voucher.state, Voucher.expires_at).where(Voucher.state != VoucherState.FREE)
        assert session.execute(held).tuples().all() == [(VoucherState.RESERVED, None)]
        assert session.scalars(select(func.count()).select_from(Link)).one() == 0
    assert (counts.postponed, shop.texts.sent) == (1, [])


def test_a_text_that_never_fits_turns_stale(shop: Shop) -> None:
    """It waits as for any limit, is dropped by ``fresh_for``, and says what it waited for."""
    budget(shop, 1)
    enrolled = shop.enroll(next_step="check-in", customer=TWO)
    # On a Sunday, too, within the hours.
    shop.now = shop.now.replace(hour=13)
    for _ in range(8):
        shop.send()
        shop.now += DAY

    [message] = shop.messages(enrolled)
    assert message.state is MessageState.SKIPPED
    assert SPENT in message.reason
    assert shop.passages(enrolled) == {"check-in": "stale"}


def test_several_workers_keep_to_one_budget(shop: Shop) -> None:
    """However many claim at once, no more segments leave than the brand has (P12)."""
    budget(shop, 21)
    for _ in range(24):
        shop.enroll(next_step="check-in", customer=TWO)

    def work(_: int) -> SendCounts:
        return shop.send(T)

    with ThreadPoolExecutor(3) as pool:
        counts = list(pool.map(work, range(3)))

    assert sum(one.accepted for one in counts) == len(shop.texts.sent) == 10
    assert counted(shop) == {shop.now.date(): 20}
